"""Variants of arithmetic, equilibrium, game and non-expansive units as Verilog, cycles and divergence too."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ
from fxsim.iterate import cycle, increment_trunc, unchanged
from fxsim.iterate.zoo import cordic, equilibrium, games, newton
from fxsim.iterate.zoo.goldschmidt import goldschmidt, goldschmidt_start
from fxsim.iterate.zoo.halpern import krasnoselskii_mann, rotation, turn
from fxsim.iterate.zoo.scan import scan

ROWS = 100
Problem = tuple[Any, dict[str, np.ndarray], Any, set[str]]


def random(low: int, high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape) + low % 97).integers(low, high, (ROWS, *shape))


def two_reciprocals() -> Problem:
    d = random(1 << 9, 1 << 10, 2)
    return newton.reciprocal(10, 3, lanes=2), {"d": d}, newton.reciprocal_seed(d, 10, 3), {"count"}


def root() -> Problem:
    d = random(1 << 8, 1 << 10, 1)
    return newton.rsqrt(10, 4), {"d": d}, newton.rsqrt_seed(d, 10, 4), {"count"}


def quotient() -> Problem:
    d, a = random(1 << 9, 1 << 10, 1), random(0, 1 << 10, 1)
    return goldschmidt(10, 4, 3), {}, goldschmidt_start(d, 10, 4, 3, a), {"count"}


def vectoring() -> Problem:
    made = cordic.circular(8, vectoring=True)
    return made, {}, cordic.vectoring_start(made, random(1, 256, 1), random(-255, 256, 1), 8), {"count"}


def hyperbolic() -> Problem:
    made = cordic.hyperbolic(8, rounding="TRN")
    return made, {}, cordic.rotation_start(made, random(-280, 280, 1), 8, -1), {"count"}


def reflected() -> Problem:
    W = equilibrium.weights(np.eye(3) / 2, np.array([[0, 1, -1], [2, 0, 1], [1, 1, 0]]) / 4, Fraction(1, 2))
    made = equilibrium.peaceman_rachford(W, frac=6, coefficient_frac=8)
    return made, {"b": random(-200, 200, 3)}, None, {"fixed"}


def orbiting() -> Problem:
    """Truncated increments under a 2-norm contraction: some starts come to rest, others go round."""
    made = equilibrium.forward_backward(
        np.array([[-3, -5], [5, -3]]) / 8, frac=0, alpha=1, b=SQ(4, 3), update=increment_trunc(), stop=cycle()
    )
    return made, {"b": np.array([32, 12])}, random(0, 6, 2), {"fixed", "cycle"}


def game() -> Problem:
    H = games.two_player(2, Fraction(1, 8), [[1]])
    return (
        games.small_gain_nash(H, (1, 1), Fraction(1, 4), frac=6),
        {"c": random(-64, 64, 2)},
        None,
        {"fixed"},
    )


def saddle() -> Problem:
    made = games.extragradient([[0, 1], [-1, 0]], Fraction(1, 2), frac=6)
    return made, {"c": random(-64, 64, 2)}, None, {"count"}


def implicit() -> Problem:
    made = games.proximal_point([[0, 1], [-1, 0]], 1, frac=6, coefficient_frac=8)
    return made, {"c": random(-64, 64, 2)}, None, {"fixed"}


def anchored() -> Problem:
    return rotation(60, 8, steps=20, coefficient_frac=10), {}, random(-180, 181, 2), {"count"}


def frozen() -> Problem:
    return rotation(60, 8, frozen=2, coefficient_frac=10), {}, random(-180, 181, 2), {"fixed"}


def halfway() -> Problem:
    made = krasnoselskii_mann(turn(60, 10), {"x": (SQ(3, 8, overflow="SAT"), (2,))}, steps=60)
    return made, {}, random(-512, 512, 2), {"fixed"}


def capped() -> Problem:
    options = {"stop": unchanged(), "update": increment_trunc(), "cap": 40}
    made = equilibrium.forward_backward([[0.5]], frac=8, alpha=Fraction(1, 4), **options)
    return made, {"b": random(-512, 512, 1)}, None, {"fixed", "cap"}


def filtered() -> Problem:
    """A state-space cell over 12 steps."""
    fmt = SQ(5, 4, rounding="TRN_ZERO", overflow="SAT")
    made = scan(lambda h, u: h * Fraction(3, 4) + u, (fmt, 1), (SQ(1, 4), 1), 12)
    return made, {"x": random(-8, 8, 12, 1)}, None, {"fixed"}


MAKERS = [two_reciprocals, root, quotient, vectoring, hyperbolic, reflected, orbiting, game, saddle, implicit,
          anchored, frozen, halfway, capped, filtered]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
def test_variant(make: Any) -> None:
    unit, parameters, start, statuses = make()
    found = unit.solve_raw(start, **parameters)
    assert set(np.atleast_1d(found.status)) >= statuses
    seen = rtl.verify(unit, parameters, start=start, raw=True, simulator="native", idle=0.3, backpressure=0.3)
    assert seen, seen.first_difference
    assert seen.vectors >= ROWS


@pytest.mark.parametrize("name", ["reciprocal", "rotation"])
def test_pipelines_are_plain_operators(name: str) -> None:
    """The graphs without a loop, as any graph."""
    if name == "reciprocal":
        graph, x = newton.reciprocal_pipeline(8, 3), [np.arange(128, 256)[:, None]]
    else:
        graph, x = cordic.circular_pipeline(6), [np.arange(-100, 101)[:, None]]
    seen = rtl.verify(graph, *x, raw=True, simulator="native")
    assert seen, seen.first_difference
