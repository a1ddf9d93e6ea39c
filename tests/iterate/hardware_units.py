"""Small units for the hardware tests, each with raw problems: every schedule, update and stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fxsim.iterate as it
from fxsim import SQ

X, B = SQ(4, 6, overflow="SAT"), SQ(3, 6)
Problems = tuple[Any, dict[str, Any], Any]


def matrix(n: int, seed: int) -> np.ndarray:
    """Row sums of the absolute values at most 3/4, raw at 4 fraction bits: a contraction in the max-norm."""
    rng = np.random.default_rng(seed)
    a = np.zeros((n, n), np.int64)
    for row in a:
        for _ in range(12):
            row[rng.integers(n)] += rng.choice((-1, 1))
    return a


def affine(n: int, seed: int = 0, count: int = 100, **options: Any) -> Problems:
    """x <- A x + b for random problems."""
    a = matrix(n, seed)

    def step(x: Any, b: Any) -> Any:
        return ((x.builder.constant(a) @ x) >> 4) + b

    rng = np.random.default_rng(seed + 1)
    unit = it.unit(step, {"x": (X, n)}, {"b": (B, n)}, name=f"affine{n}", **options)
    problems = {"b": rng.integers(-128, 128, (count, n))}
    return unit, problems, rng.integers(-512, 512, (count, n))


def turning(count: int = 100, **options: Any) -> Problems:
    """x <- R x + b with a quarter turn: no contraction, cycles of period 4 and saturated ones."""

    def step(x: Any, b: Any) -> Any:
        return (x.builder.constant([[0, -1], [1, 0]]) @ x) + b

    rng = np.random.default_rng(3)
    unit = it.unit(step, {"x": (X, 2)}, {"b": (B, 2)}, update=it.assign("RND"), name="turning", **options)
    return unit, {"b": rng.integers(-256, 256, (count, 2))}, rng.integers(-512, 512, (count, 2))


def pair(count: int = 100, **options: Any) -> Problems:
    """Two state tensors, one of them a scalar, that read each other; no parameters."""

    def step(p: Any, q: Any) -> Any:
        return (q * (p.builder.constant([1, -1, 2]) >> 2)) + (p >> 2), (p.sum() >> 3) + 1

    rng = np.random.default_rng(4)
    unit = it.unit(step, {"p": (X, 3), "q": (X, ())}, name="pair", **options)
    return unit, {}, {"p": rng.integers(-512, 512, (count, 3)), "q": rng.integers(-512, 512, count)}


UNITS: dict[str, Callable[[], Problems]] = {
    "jacobi": lambda: affine(4),
    "gauss_seidel": lambda: affine(3, schedule=it.sequential([2, 0, 1])),
    "red_black": lambda: affine(4, schedule=it.red_black([[0, 2], [1, 3]])),
    "capped": lambda: affine(3, cap=3),
    "relaxed": lambda: affine(3, update=it.relax(0.75)),
    "anchored": lambda: affine(3, update=it.anchor([0.5, 0.25, 0.125]), stop=it.count(9)),
    "two_step": lambda: affine(3, update=it.two_step(), stop=it.count(5)),
    "delta": lambda: affine(3, update=it.assign("RND"), stop=it.delta(8)),
    "cycle": lambda: turning(stop=it.cycle(), cap=300),
    "cycle_capped": lambda: turning(stop=[it.unchanged(), it.cycle()], cap=4),
    "pair": lambda: pair(),
    "folded": lambda: affine(5, schedule=it.folded(2)),
    "folded_in_place": lambda: affine(3, schedule=it.sequential([1, 2, 0], folded=True), stop=it.delta(8)),
    "folded_cycle": lambda: turning(schedule=it.folded(1), stop=it.cycle(), cap=60),
}
