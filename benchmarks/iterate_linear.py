"""Figures of affine, linear and value units in full numbers: one line each, seeds fixed.

    python benchmarks/iterate_linear.py [graphs] [relaxation] [sweeps] [omega] [refinement] [values] [ranks]

Without names all of them; about two minutes on one core. The systems are those of tests/iterate, which run
fewer of them. What was measured before stands in brackets; other random graphs were used there.
"""

from __future__ import annotations

import os
import sys
import time
from fractions import Fraction
from pathlib import Path

# Many products with small matrices: threads of the BLAS library only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "iterate"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import linear_figures as figures
import numpy as np

from fxsim import SQ
from fxsim.iterate import assign, count, cycle, unchanged
from fxsim.iterate.references.graphs import laplacian, numgrid
from fxsim.iterate.references.rational import fractions
from fxsim.iterate.refine import refine
from fxsim.iterate.zoo.affine import cgs
from fxsim.iterate.zoo.linear import poisson
from fxsim.iterate.zoo.value import link_weights, pagerank, reference

COUNT = 1000  # nearest rounding cycles in about 1 of 200, too few to be seen reliably in 200


def graphs() -> None:
    """Convergent Graph Solver: 1000 random graphs of 8 to 32 nodes, weights of 8 bits, 10 fraction bits."""
    before = {
        "1/2": "0 of 200 cycle, error .707, 10 sweeps, width 2, 15 sweeps",
        "7/8": "1 of 200 cycles, error .86, width 4, 24 sweeps",
        "15/16": "1 of 200 cycles, error .84, width 4, 28 sweeps",
    }
    for gamma, text in before.items():
        r = figures.cgs(COUNT, gamma)
        bound = Fraction(1, 2) / (1 - Fraction(gamma))
        assert r.valid and r.error <= bound and r.width < 4 * bound
        print(
            f"graphs, gamma {gamma}: nearest {r.cycles} of {COUNT} cycle, error {float(r.error):.3f} "
            f"<= {bound}, {r.sweeps} sweeps; floor and ceil enclose, width {r.width}, "
            f"{r.corner_sweeps} sweeps [{text}]"
        )


def relaxation() -> None:
    """SOR on 6 x 6 points with 14 bits; coordinate descent; Jacobi's enclosure."""
    matrix = laplacian(numgrid("S", 8))
    before = {
        "1": "48 sweeps, 7.8", "5/4": "31, 8.1", "3/2": "18, 2.9", "7/4": "32, 2.0", "15/8": "58, 2.0",
    }  # fmt: skip
    for omega, text in before.items():
        r, near = figures.sor_square(12, omega, "INC"), figures.sor_square(12, omega, "RND")
        bound = figures.sor_bound(matrix, omega)
        assert r.stopped == 12 and r.error < bound
        print(
            f"SOR, omega {omega}: truncated {r.stopped} of 12 rest in {r.sweeps} sweeps, error "
            f"{float(r.error):.2f} < {float(bound):.2f}; nearest {near.stopped} of 12 in 600 sweeps [{text}]"
        )
    for ties in ("up", "keep"):
        print(f"rounded coordinate descent, ties {ties}: {figures.coordinate_descent(300, ties)} of 300 rest")
    stopped, steps = figures.nonconvex_descent(200)
    print(f"truncated descent, not convex: {stopped} of 200 rest in {steps} steps [200 in 256]")
    for seed in range(3):
        rate, early, late = figures.kaczmarz(seed)
        print(f"Kaczmarz, 40 x 8: {rate:.4f} a row, error {early} after 100, {late} after 300 [.9495, 46, 0]")
    valid, width, bound = figures.enclosed_square(40)
    print(
        f"Jacobi, 6 x 6, floor and ceil: {'40 of 40 enclose' if valid else 'NOT ENCLOSED'}, width {width} < "
        f"{float(bound):.1f} [16]; nearest from 0: {figures.nearest_jacobi_square(100)} of 100 cycle [8]"
    )


def sweeps() -> None:
    """float64 SOR on 10 x 10 points to a relative residual of 1e-8, and the unit with omega 25/16."""
    A, b = laplacian(numgrid("S", 12)), np.random.default_rng(0).normal(size=100)
    listed = (1, 1.2, 1.4, 1.5, 1.5625, 1.6, 1.75, 1.8, 1.9)
    counts = ", ".join(f"{w}: {figures.sweeps_of_sor(A, b, w)}" for w in listed)
    print(f"sweeps to 1e-8: {counts}, Jacobi {figures.sweeps_of_sor(A, b, None)}")
    print("             [201, 132, 80, 57, 38, 41, 67, 86, 178, 403]")
    radius = float(max(abs(np.linalg.eigvalsh(np.eye(100) - A / 4))))
    best = 1 + (radius / (1 + np.sqrt(1 - radius**2))) ** 2
    print(f"Jacobi radius {radius:.5f} [.95949], best omega {best:.4f} [1.5604]")
    raw = figures.square_loads(100, 100, 8)
    for omega in ("1", "5/4", "3/2", "25/16", "7/4", "15/8"):
        u = poisson(numgrid("S", 12), Fraction(omega), frac=10, b=SQ(2, 10))
        s = u.solve_raw(b=raw, certified=False)
        assert set(s.status) == {"fixed"}
        print(f"unit, red-black, 10 bits, omega {omega}: {s.steps.min()} to {s.steps.max()} sweeps to rest")


def omega() -> None:
    """Tsallis-INF on shifted Laplacians, at most 400 sweeps an instance; fixed: [268, 219, 169, 124, 102]."""
    for seed in range(3):
        learned, fixed, learner = figures.learned_omega(600, seed)
        means = ", ".join(f"{w}: {v:.0f}" for w, v in fixed.items())
        print(
            f"learned omega, 600 instances: mean {learned.mean():.1f} [136.7], last 200 "
            f"{learned[-200:].mean():.1f} [129.1], best {learner.best:.2f}; fixed {means}"
        )


def refinement() -> None:
    """A unit of 9 bits, gamma 1/2, 16 nodes, 10 sweeps a round: the residual after every round."""
    rng = np.random.default_rng(0)
    weights = figures.graph(rng, 16, 6)
    b = rng.integers(-(1 << 60), 1 << 60, (20, 16))
    for mode in ("RND", "TRN"):
        u = cgs(weights, 6, frac=7, b=SQ(1, 7), update=assign(mode), stop=count(10))
        found = refine(u, b, 60, rounds=7)
        worst = [max(row[k] for row in found.residuals) for k in range(8)]
        theta = max(f for row in found.factors for f in row if f is not None)
        print(
            f"refinement, {mode}: {' '.join(f'{float(v):.1e}' for v in worst)}, factor <= {float(theta):.3f}"
        )
    print("                 [9e-1 8e-3 1.2e-4 1.3e-6 1.9e-8 2.9e-10 4.6e-12]")


def values() -> None:
    """Value iteration on 60 random graphs, 10 bits."""
    before = {"29/32": "4.68, 19, 117", "7/8": "3.00, 14, 92", "1/2": ".99, 2, 20"}
    for gamma, text in before.items():
        r = figures.gvi(60, gamma)
        bound = Fraction(1, 2) / (1 - Fraction(gamma))
        assert r.valid and r.error <= bound and r.width < 4 * bound
        print(
            f"values, gamma {gamma}: {r.cycles} of 60 cycle, error {float(r.error):.2f} "
            f"<= {float(bound):.2f}, width {r.width}, {max(r.sweeps, r.corner_sweeps)} sweeps [{text}]"
        )


def ranks() -> None:
    """PageRank of 64 pages, d = 7/8, 20 bits, nearest from 1/64."""
    teleport = np.full(64, (1 << 20) // 8 // 64)
    for seed in range(3):
        links = figures.web(seed=seed)
        u = pagerank(links, update=assign("RND"), stop=(unchanged(), cycle()), start=(1 << 20) // 64)
        s = u.solve_raw(teleport=teleport)
        exact = reference(fractions(link_weights(links, 12), 12), Fraction(7, 8), teleport[None])[0]
        off = float(sum(abs(fractions(s.raw) - exact)))
        same = (
            np.argsort(-s.raw, kind="stable")[:10].tolist() == sorted(range(64), key=lambda i: -exact[i])[:10]
        )
        print(
            f"ranks: {s.status} after {s.steps} sweeps [31], 1-norm {off:.1f} <= 256 LSB [18.9], first ten "
            f"{'exact' if same else 'NOT EXACT'}"
        )


PARTS = {
    "graphs": graphs, "relaxation": relaxation, "sweeps": sweeps, "omega": omega, "refinement": refinement,
    "values": values, "ranks": ranks,
}  # fmt: skip


def main() -> None:
    """Runs the parts that are named."""
    unknown = sorted(set(sys.argv[1:]) - set(PARTS))
    if unknown:
        raise SystemExit(f"parts must be among {', '.join(PARTS)}, not {', '.join(unknown)}")
    for name in sys.argv[1:] or PARTS:
        start = time.perf_counter()
        PARTS[name]()
        print(f"({name}: {time.perf_counter() - start:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
