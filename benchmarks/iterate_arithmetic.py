"""Figures of arithmetic, equilibrium, game and non-expansive units, each beside the one that was expected.

python benchmarks/iterate_arithmetic.py [--only NAME ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fxsim import SQ
from fxsim.iterate import assign, count, increment_trunc, unchanged, unit
from fxsim.iterate.references import rational
from fxsim.iterate.zoo import cordic, equilibrium, games, newton
from fxsim.iterate.zoo.goldschmidt import goldschmidt, goldschmidt_start
from fxsim.iterate.zoo.halpern import best_steps, rotation, rounding

Row = tuple[str, str, str]


def texts(values: Any, form: str = ".4g") -> str:
    return ", ".join(format(float(v), form) for v in values)


def newton_rows() -> Iterator[Row]:
    d = np.arange(1 << 15, 1 << 16)[:, None]
    for bits, expected in ((4, "3972, 120, .60, .50"), (6, "1016, 8.0, .50"), (8, "256, .99, .50")):
        sweeps = expected.count(",")
        made = newton.reciprocal(16, bits, sweeps)
        history = made.solve_raw(newton.reciprocal_seed(d, 16, bits), history=True, d=d).history
        worst = [np.max(np.abs(y - 2.0**32 / d)) for y in history]
        yield f"1/d, all 32768 d of 16 bits, seed of {bits} bits: errors in LSB", texts(worst), expected
    d = np.arange(1 << 14, 1 << 16)[:, None]
    for guard, expected in ((0, "1012, 12, 1.0"), (2, "-"), (None, "-")):
        made = newton.rsqrt(16, 6, 3, guard=guard)
        history = made.solve_raw(newton.rsqrt_seed(d, 16, 6), history=True, d=d).history
        worst = [np.max(np.abs(y - 2.0**24 / np.sqrt(d.astype(float)))) for y in history]
        label = "exact inside" if guard is None else f"y**2 and d y**2 of {16 + guard} bits"
        yield f"1/sqrt d, all 49152 d, 96 entries, {label}", texts(worst), expected


def goldschmidt_rows() -> Iterator[Row]:
    d = np.arange(1 << 15, 1 << 16)[:, None]
    for guard, expected in ((0, "2.4"), (2, "1.06"), (4, ".67")):
        s = goldschmidt(16, 6, guard, 2).solve_raw(goldschmidt_start(d, 16, 6, guard))
        q = (s.raw["n"] + (1 << guard >> 1)) >> guard
        yield f"1/d, F = 16 and {guard} guard bits", texts([np.max(np.abs(q - 2.0**32 / d))]), expected


def cordic_rows() -> Iterator[Row]:
    """Expected figures are of an unknown sample of angles; here are all of f = 12 and 16, 40000 of f = 24."""
    cases = ((12, 12, 0, "TRN", "7.8"), (12, 12, 0, "RND", "-"), (12, 14, 4, "RND", "1.04"),
             (16, 18, 5, "RND", "1.07"), (24, 26, 5, "RND", "1.08"))  # fmt: skip
    for frac, steps, guard, mode, expected in cases:
        most = int(math.pi / 2 * 2**frac)
        z = np.arange(-most, most + 1) if frac < 20 else np.random.default_rng(0).integers(-most, most, 40000)
        x, y = cordic.circular_pipeline(frac, steps, guard, rounding=mode).run_raw(z[:, None])
        t = z[:, None] / 2.0**frac
        worst = max(np.abs(x - np.cos(t) * 2.0**frac).max(), np.abs(y - np.sin(t) * 2.0**frac).max())
        bound = float(cordic.rotation_bound(frac, steps, guard, rounding=mode))
        label = f"cos, sin: f = {frac}, N = {steps}, g = {guard}, {mode}"
        yield label, f"{worst:.2f} (bound {bound:.2f})", expected


def network(n: int, m: Any, size: float, seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    A = np.round(rng.normal(size=(n, n)) * size / np.sqrt(n) * 64) / 64
    B = np.round(rng.normal(size=(n, n)) * size / np.sqrt(n) * 4096) / 4096
    return equilibrium.weights(A, B, m)


def wrong(raw: Any, true: Any, frac: int = 12) -> float:
    """The largest 2-norm of a row's error, in LSB."""
    off = (np.asarray(raw).astype(object) - true * (1 << frac)).astype(float)
    return float(np.max(np.linalg.norm(off, axis=-1)))


def equilibrium_rows() -> Iterator[Row]:
    half = Fraction(1, 2)
    cases = ((16, 1, 0.7, 1, Fraction(1, 8), "L .884, 41 its, 4.4 <= 17.3"),
             (32, half, 0.7, 0, Fraction(1, 16), "L .970, 146 its, 26.5 <= 94"),
             (64, 1, 0.5, 0, Fraction(1, 8), "50 its, 11.3 <= 34"))  # fmt: skip
    for n, m, size, seed, alpha, expected in cases:
        W = network(n, m, size, seed)
        b = np.round(np.random.default_rng(100 + seed).normal(size=(2, n)) * 4096).astype(np.int64)
        true = equilibrium.reference(W, rational.fractions(b, 12))
        made = equilibrium.forward_backward(W, alpha=alpha, stop=unchanged(), cap=2000)
        s = made.solve_raw(b=b, certified=False)
        L = equilibrium.contraction(W, alpha)
        found = (
            f"L {float(L):.3f}, {s.steps.max()} its ({s.status[0]}), {wrong(s.raw, true):.1f} <= "
            f"{float(equilibrium.radius(L, n)):.1f}"
        )
        yield f"forward-backward n = {n}, m = {m}, alpha = {alpha}", found, expected
    W = network(32, 1, 0.5, 2)
    b = np.round(np.random.default_rng(7).normal(size=(2, 32)) * 4096).astype(np.int64)
    true = equilibrium.reference(W, rational.fractions(b, 12))
    history = equilibrium.forward_backward(W, alpha=Fraction(1, 8)).solve_raw(b=b, history=True).history
    yield "forward-backward n = 32: its to 8 LSB", str(first(history, true, 8)), "43 (to 4)"
    for alpha, expected in ((half, "7"), (1, "8"), (2, "14")):
        history = equilibrium.peaceman_rachford(W, alpha=alpha).solve_raw(b=b, history=True).history
        history = np.maximum(history, 0)
        found = f"{first(history, true, 4)}; ends at {wrong(history[-1], true):.1f} LSB"
        yield f"Peaceman-Rachford alpha = {alpha}: its to 4 LSB", found, expected


def first(history: Any, true: Any, limit: float) -> int:
    """The sweep from which on no row's error is above the limit."""
    above = [k for k, raw in enumerate(history) if wrong(raw, true) > limit]
    return above[-1] + 1 if above else 0


def games_rows() -> Iterator[Row]:
    b = Fraction(410, 4096)
    H = games.two_player(4, b, [[0, -1], [1, 0]])
    known = games.small_gain(H, (2, 2))
    plain = np.linalg.eigvalsh((H + H.T).astype(float) / 2)[0]
    L = games.step_norm(H, Fraction(1, 8), known.weights)
    found = texts([plain, known.alpha, known.beta, known.most, known.contraction(Fraction(1, 8)), L])
    label = "a = 4, b = 410 / 4096: margin, alpha, beta, eta <, L of eta = 1/8, true L"
    yield label, found, "-1.05, .368, 1.632, .276, .9746, .9541"
    yield "ratio band", texts(games.ratio_band((1, 1), (4, Fraction(1, 10)))), "5.08, 314.9"
    c = np.random.default_rng(0).integers(-4096, 4096, (50, 4))
    true = games.reference(H, rational.fractions(c, 12))
    w = np.array([0.1, 0.1, 4, 4])
    for label, options, expected in (
        ("nearest", {}, "175, 22.2 <= 31.2"),
        ("truncated", {"update": increment_trunc(), "stop": unchanged()}, "177"),
    ):
        s = games.small_gain_nash(H, (2, 2), Fraction(1, 8), **options).solve_raw(c=c)
        off = (s.raw.astype(object) - true * 4096).astype(float)
        worst = float(np.sqrt((w * off * off).sum(axis=1)).max())
        r = math.sqrt(8.2) / 2 / (1 - float(L)) * (2 if options else 1)
        found = f"{s.steps.min()}..{s.steps.max()}, {worst:.1f} <= {r:.1f}"
        yield f"50 games, {label}: sweeps, error in the metric", found, expected
    saddle, eta, wide = np.array([[0, 1], [-1, 0]]), Fraction(1, 4), SQ(26, 12, overflow="SAT")
    yield "extragradient factor, eta = 1/4", texts([games.extragradient_norm(saddle, eta)]), ".9703"
    V = games.proximal_matrix(saddle, eta, 16) / 2.0**16
    yield "proximal point factor", texts([np.linalg.norm(V, 2)]), ".9701"
    options: dict[str, Any] = {"stop": count(400), "cap": 400}
    outward = unit(lambda x: x - (x @ saddle.T) * eta, {"x": (wide, (2,))}, update=assign("RND"), **options)
    inward = games.extragradient(saddle, eta, state=wide, **options)
    near = games.proximal_point(saddle, eta, state=wide, **options)
    one = [4096, 4096]
    found = [
        np.hypot(*outward.solve_raw(one).x),
        *(np.hypot(*u.solve_raw(one, c=0).raw) for u in (inward, near)),
    ]
    yield "after 400 its: |descent|, extragradient and proximal point in LSB", texts(found), "2.6e5, 3, 7"


def halpern_rows() -> Iterator[Row]:
    angle = np.arange(8) * np.pi / 4 + 0.1
    turn = np.array([[0.5, -math.sqrt(0.75)], [math.sqrt(0.75), 0.5]])
    floors = {8: "2.2e-2", 12: "1.7e-3", 16: "7e-4", 20: "1.6e-4"}
    for frac, floor in floors.items():
        x0 = np.round(np.stack([np.cos(angle), np.sin(angle)], axis=1) * 2**frac * 0.999).astype(np.int64)
        sweeps = 20000 if frac == 20 else 6000
        x = rotation(60, frac, steps=sweeps).solve_raw(x0, history=True).history / 2.0**frac
        found = np.linalg.norm(x - x @ turn.T, axis=2)
        if frac == 20:
            worst = [found[k - 1 : k + 5].max() for k in (10, 100, 1000)]
            label = "rotation by 60 degrees, f = 20: worst residual of 6 sweeps from 10, 100, 1000"
            yield label, texts(worst, ".2g"), ".17, 1.8e-2, 1.8e-3"
        delta = rounding(2, Fraction(1, 1 << frac))
        k = best_steps(1, delta)
        bound = 2 * math.sqrt(2 * delta)
        shown = f"{found[-6:].mean():.2g} after {sweeps}, {found[k].max():.2g} after {k} (bound {bound:.2g})"
        yield f"floor of f = {frac}", shown, floor


TOPICS: dict[str, Callable[[], Iterator[Row]]] = {
    "newton": newton_rows, "goldschmidt": goldschmidt_rows, "cordic": cordic_rows,
    "equilibrium": equilibrium_rows, "games": games_rows, "halpern": halpern_rows,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=sorted(TOPICS), default=list(TOPICS))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [(topic, *row) for topic in given.only for row in TOPICS[topic]()]
    if given.json:
        print(
            json.dumps(
                [dict(zip(("unit", "what", "found", "expected"), r, strict=True)) for r in rows], indent=1
            )
        )
        return
    for topic, what, found, expected in rows:
        print(f"{topic:12} {what}\n{'':14}found {found}; expected {expected}")


if __name__ == "__main__":
    main()
