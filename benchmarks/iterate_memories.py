"""Figures of memories, mean field, equilibrium propagation and games: one line each, seeds fixed.

    python benchmarks/iterate_memories.py [memory] [hopfield] [propagation] [mean-field] [games]

Without names all of them; about two minutes on one core.
"""

from __future__ import annotations

import math
import sys
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import fxsim
from fxsim import SQ, UQ
from fxsim.iterate import assign, cycle, increment_trunc, parallel, unchanged
from fxsim.iterate.softmax import softmax_exact, softmax_of
from fxsim.iterate.zoo.equilibrium_propagation import equilibrium_propagation, gradient
from fxsim.iterate.zoo.equilibrium_propagation import reference as rest_of
from fxsim.iterate.zoo.hopfield import dense_hopfield, hebbian, hopfield
from fxsim.iterate.zoo.mean_field import boltzmann, mean_field, monotone_dbm
from fxsim.iterate.zoo.mean_field import reference as fixed_point
from fxsim.iterate.zoo.mirror_prox import distance, exponentiated_gradient, mirror_prox, rock_paper_scissors
from fxsim.iterate.zoo.mirror_prox import reference as equilibrium
from fxsim.iterate.zoo.modern_hopfield import flipped, modern_hopfield

EITHER = (unchanged(), cycle())


def memory() -> None:
    """Recall of 64-bit patterns with 12 bits flipped; the softmax itself; capacity; a stored pattern."""
    for count in (64, 512, 4096):
        patterns = np.random.default_rng(count).choice([-1, 1], (count, 64))
        right = []
        for beta in (0.25, 0.5, 1):
            found = modern_hopfield(patterns, beta).solve_raw(flipped(patterns[:40], 12, 1) << 10)
            right.append(int(np.sum(np.all(np.where(found.raw > 0, 1, -1) == patterns[:40], axis=1))))
        print(f"modern Hopfield, {count} patterns: {right} of 40 after one update, beta 1/4, 1/2, 1")
    for size, frac in ((8, 10), (64, 10)):
        graph = fxsim.trace(lambda x, f=frac: softmax_of(x, UQ(1, f), f), SQ(5, 10), shape=(size,))
        x = np.random.default_rng(size).integers(-4096, 4097, (300, size))
        ideal = 2.0 ** (x / 1024)
        error = np.abs(graph.run_raw(x) / 2.0**frac - ideal / ideal.sum(1, keepdims=True)).max()
        print(f"softmax of {size}, {frac} bits: max |dp| {error:.1e}")
    for beta, K, d in ((1, 3, 20), (1, 1, 75)):
        a = 2 / (d - 1) * (1 + math.log(2 * beta * K * K * 0.001 * (d - 1)))
        b = 2 * K * K * beta / 5
        print(f"capacity base c, beta {beta}, K {K}, d {d}: {b / lambert(math.exp(a + math.log(b))):.4f}")
    patterns = np.random.default_rng(0).choice([-1.0, 1.0], (64, 64))
    gram = patterns @ patterns.T
    x, M = patterns[0].copy(), 8.0
    for _ in range(20):
        e = np.exp((patterns @ x - (patterns @ x).max()) / 2)
        x = patterns.T @ (e / e.sum())
    error, gap = float(np.linalg.norm(x - patterns[0])), float(64 - np.delete(gram[0], 0).max())
    bound = 2 * 63 * math.exp(-(gap - 2 * error * M) / 2) * M
    print(f"stored pattern, beta 1/2, 64 of 64 bits: |x* - x_0| {error:.1e} <= {bound:.1e}")


def lambert(x: float) -> float:
    """w with w e**w = x."""
    w = math.log1p(x)
    for _ in range(50):
        w -= (w * math.exp(w) - x) / (math.exp(w) * (w + 1))
    return w


def hopfield_nets() -> None:
    """Recall by classical, dense and multitasking nets; periods in parallel."""
    for count in (6, 12, 18):
        right, near, periods = [], [], {"fixed": 0, "cycle": 0}
        for seed in range(10):
            rng = np.random.default_rng(100 * seed + count)
            patterns = rng.choice([-1, 1], (count, 128))
            wanted = patterns[np.arange(30) % count]
            start = flipped(wanted, 12, seed)
            W = hebbian(patterns)
            found = hopfield(W).solve_raw(start).raw
            right.append(int(np.sum(np.all(found == wanted, axis=1))))
            near.append(int(np.sum(np.sum(found == wanted, axis=1) >= 122)))
            for status in hopfield(W, schedule=parallel()).solve_raw(start).status:
                periods[status] += 1
        print(
            f"Hopfield, 128 spins, {count} patterns, 12 flips: {sorted(right)} of 30 in ten nets, "
            f"to 6 bits {sorted(near)}; "
            f"in parallel {periods['fixed']} of 300 fixed, {periods['cycle']} in a cycle of two"
        )
    for count in (64, 256, 1024):
        patterns = np.random.default_rng(count).choice([-1, 1], (count, 64))
        found = dense_hopfield(patterns, 4).solve_raw(flipped(patterns[:20], 6, 1))
        right_ones = int(np.sum(np.all(found.raw == patterns[:20], axis=1)))
        print(f"dense Hopfield, order 4, 64 spins, {count} patterns, 6 flips: {right_ones} of 20")
    for d in (0.1, 0.3, 0.6, 0.8):
        rng, n = np.random.default_rng(1), 2000
        patterns = rng.choice([-1, 0, 1], (2, n), p=[(1 - d) / 2, d, (1 - d) / 2])
        start = np.where(patterns[0] != 0, patterns[0], rng.choice([-1, 1], n))
        found = hopfield(hebbian(patterns), schedule=parallel()).solve_raw(start)
        m = np.abs(patterns @ found.raw) / n
        print(f"multitasking, dilution {d}: {m[0]:.3f}, {m[1]:.3f}; theory {1 - d:.2f}, {(1 - d) * d:.2f}")


def propagation() -> None:
    """Relative error of the gradient against state bits and beta, as medians of five nets."""
    for label, options in (
        ("step 1/4, truncated", {}),
        ("step 1/2, nearest", {"dt": 1, "update": assign("RND")}),
    ):
        for frac in (10, 14, 18, 22):
            errors = []
            for k in range(2, 9):
                errors.append(
                    np.median([gradient_error(s, frac, Fraction(1, 1 << k), options) for s in range(5)])
                )
            cells = ", ".join(f"{e:.4f}" for e in errors)
            print(f"gradient, {label}, {frac} bits: {cells} for beta 2**-2..2**-8")


def gradient_error(seed: int, frac: int, beta: Fraction, options: dict) -> float:
    rng = np.random.default_rng(seed)
    n, outputs = 20, 4
    A = rng.normal(size=(n, n)) / np.sqrt(n) / 2
    W = np.rint((A + A.T) / 2 * 256) / 256
    np.fill_diagonal(W, 0)
    U = np.rint(rng.normal(size=(n, 6)) * 32) / 64
    x, y = rng.integers(0, 257, 6), rng.integers(0, 257, outputs)
    common = {"outputs": outputs, "frac": frac, "cap": 5000, **options}
    proven = not options
    free = equilibrium_propagation(W, U, 0.375, **common).solve_raw(x=x, certified=proven)
    states = [
        equilibrium_propagation(W, U, 0.375, beta=s * beta, **common).solve_raw(
            free.raw, x=x, y=y, certified=proven
        )
        for s in (1, -1)
    ]
    found = gradient(states[0].raw, states[1].raw, beta, frac).astype(float)
    s = np.array(rest_of(W, U, 0.375, x / 256, outputs=outputs)[0], float)
    inside, error, adjoint = (s > 0) & (s < 1), np.zeros(n), np.zeros(n)
    error[-outputs:] = s[-outputs:] - y / 256
    adjoint[inside] = np.linalg.solve((np.eye(n) - W)[np.ix_(inside, inside)], error[inside])
    true = np.outer(adjoint, s) + np.outer(s, adjoint)
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def mean_fields() -> None:
    """Cycles of nearest rounding and of the certified update; the proximal step; errors."""
    cycles, sweeps = {"nearest": 0, "certified": 0}, {"nearest": 0, "certified": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        Phi = boltzmann(rng.normal(size=(6, 16)), 2, bound=Fraction(19, 20))
        b = rng.integers(-64, 65, (5, 8, 2))
        for name, options in (("nearest", {"update": assign("RND"), "stop": EITHER}), ("certified", {})):
            found = mean_field(Phi, 2, **options).solve_raw(b=b)
            cycles[name] += int(np.sum(found.status == "cycle"))
            sweeps[name] = max(sweeps[name], int(found.steps.max()))
    print(f"mean field, 300 problems of 60 nets of 8 x 2: {cycles} in cycles, at most {sweeps} sweeps")
    for bound in (Fraction(3, 8), Fraction(27, 32)):
        rng = np.random.default_rng(11)
        Phi = boltzmann(rng.normal(size=(5, 12)), 3, bound=bound)
        b = rng.integers(-256, 257, (20, 4, 3))
        exact = fixed_point(Phi, 3, b / 256)
        unit = mean_field(Phi, 3, frac=12, exp_frac=14)
        eps = unit.update.then.eps * 2
        plain = mean_field(Phi, 3, frac=12, exp_frac=14, update=increment_trunc(eps))
        for name, made in (("damped", unit), ("plain", plain)):
            found = made.solve_raw(b=b)
            worst = float(np.max(np.abs(found.raw / 4096 - exact.astype(float))))
            radius = float(max(made.certify().radius))
            print(
                f"mean field, |Phi| / 2 = {float(bound):.2f}, 12 bits, {name}: {found.summary()}, "
                f"error {worst:.1e} <= {radius:.1e}"
            )
        found = monotone_dbm(Phi, 3, frac=10).solve_raw(b=b)
        worst = float(np.max(np.abs(found.raw / 1024 - exact.astype(float))))
        print(f"  proximal step of 1/8, 10 bits: {found.summary()}, error {worst:.1e}")


def games() -> None:
    """KL factors of Nash mirror prox against the paper's bound, and what the integers come to."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (8, 8))
    for P, beta in (
        (rock_paper_scissors() / 2, 0.1),
        ((values - values.T) / 2, 0.1),
        ((values - values.T) / 2, 0.5),
    ):
        n = len(P)
        l_ref, start = (-rng.integers(0, k << 12, n) for k in (2, 4))
        l_ref, start = l_ref - l_ref.max(), start - start.max()
        (exact,) = equilibrium(P, beta, l_ref / 4096)
        wanted = np.array([float(p) for p in softmax_exact(list(exact))])
        for name, update in (("nearest", assign("RND")), ("shrunk", increment_trunc(Fraction(1, 4096)))):
            found = mirror_prox(P, beta, update=update).solve_raw(start, l_ref=l_ref, history=True)
            seen = 2.0 ** (found.history / 4096)
            seen /= seen.sum(-1, keepdims=True)
            kl = (wanted * np.log(wanted / seen)).sum(-1)
            factors = (kl[1:] / kl[:-1])[kl[1:] > 1e-3]
            proven = float(distance(P, beta, found.raw / 4096, l_ref / 4096))
            print(
                f"mirror prox, {n} x {n}, beta {beta}, {name}: "
                f"KL factor {np.exp(np.log(factors).mean()):.3f}, at most {factors.max():.3f} < "
                f"{1 / (1 + 2 * beta):.3f}; {found.status} after {found.steps}, "
                f"|pi - pi*| {np.abs(seen[-1] - wanted).max():.1e}, in the 1-norm <= {proven:.1e}"
            )
    for rows in (24, 64, 256):
        rng = np.random.default_rng(0)
        A = np.rint(rng.normal(size=(rows, 16)) / np.sqrt(rows) * 64) / 64
        signs = rng.choice([-1, 1], 16)
        b = np.rint(A @ (signs * rng.uniform(0.3, 2, 16)) * 256).astype(np.int64)
        found = exponentiated_gradient(A, signs).solve_raw(b=b)
        best = np.linalg.lstsq(A, b / 256, rcond=None)[0]
        error = np.abs(signs * 2.0 ** (found.raw / 4096) - best).max()
        print(
            f"exponentiated gradient, {rows} x 16: {found.status} after {found.steps}, |w - w*| {error:.1e}"
        )


PARTS = {
    "memory": memory, "hopfield": hopfield_nets, "propagation": propagation, "mean-field": mean_fields,
    "games": games,
}  # fmt: skip


def main() -> None:
    """Runs the parts that are named."""
    unknown = sorted(set(sys.argv[1:]) - set(PARTS))
    if unknown:
        raise SystemExit(f"parts must be among {', '.join(PARTS)}, not {', '.join(unknown)}")
    for name in sys.argv[1:] or PARTS:
        start = time.perf_counter()
        PARTS[name]()
        print(f"({name}: {time.perf_counter() - start:.0f} s)\n")


if __name__ == "__main__":
    main()
