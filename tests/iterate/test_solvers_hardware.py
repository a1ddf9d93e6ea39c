"""Affine, linear and value units beyond the examples: Verilog and C++ as the emulator, capped solves too."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import linear_figures
import numpy as np
import pytest

import hls
import rtl
from fxsim import SQ
from fxsim.iterate import Unit, assign, cycle, red_black, residual, sequential, unchanged, zoo
from fxsim.iterate.references.graphs import karate_club, neighbours, numgrid

COUNT = 100
DENSE = [[10, 3, -4], [3, 9, 2], [-4, 2, 11]]


def graphs(heads: int, nodes: int) -> np.ndarray:
    rng = np.random.default_rng(heads)
    return np.stack([linear_figures.graph(rng, nodes, 6) for _ in range(heads)])


def chances() -> np.ndarray:
    return np.random.default_rng(5).multinomial(16, np.full(4, 0.25), (4, 3)) / 16


UNITS: dict[str, Callable[[], Unit]] = {
    "affine with relu": lambda: zoo.affine(
        np.array([[0.5, -0.25], [0.375, 0.25]]), frac=7, activation=lambda t: t.relu(), cap=8
    ),
    "cgs of two heads": lambda: zoo.cgs(graphs(2, 4), 6, frac=7, cap=7),
    "cgs to nearest": lambda: zoo.cgs(
        [[0, 64], [64, 0]], 6, gamma=Fraction(7, 8), frac=6, update=assign("RND"),
        stop=(unchanged(), cycle()), cap=40,
    ),
    "jacobi": lambda: zoo.jacobi([[8, -3, -2], [-3, 8, -4], [-2, -4, 8]], frac=6, cap=10),
    "gauss_seidel": lambda: zoo.gauss_seidel(DENSE, frac=6, update=assign("RND"), cap=4),
    "sor by a residual": lambda: zoo.sor(
        DENSE, Fraction(5, 4), frac=6, stop=(residual(Fraction(1, 8)), unchanged()),
        schedule=sequential((2, 0, 1)), cap=2,
    ),
    "poisson of an L": lambda: zoo.poisson(numgrid("L", 5), Fraction(3, 2), frac=6, cap=4),
    "value_iteration by chance": lambda: zoo.value_iteration(chances(), Fraction(7, 8), frac=5, cap=40),
    "value_iteration by groups": lambda: zoo.value_iteration(
        [[1, 2], [3, 0], [0, 3], [3, 1]], Fraction(3, 4), frac=5, schedule=red_black([[0, 3], [1, 2]]), cap=12
    ),
    "policy_evaluation": lambda: zoo.policy_evaluation(
        chances()[:, 0], Fraction(15, 16), frac=5, rewards=SQ(1, 5), cap=70
    ),
    "pagerank": lambda: zoo.pagerank(
        neighbours(karate_club(), 34)[:8, :8], frac=10, coefficient_frac=6, cap=31
    ),
}  # fmt: skip


@cache
def posed(name: str) -> tuple[Unit, dict[str, np.ndarray]]:
    """A unit and 100 random problems, not all of which end before its cap."""
    unit = UNITS[name]()
    rng = np.random.default_rng(len(name))
    problems: dict[str, Any] = {}
    for node in unit.map.inputs[len(unit.state) :]:
        lo, hi = node.type.bounds
        problems[node.name] = rng.integers(int(lo), int(hi) + 1, (COUNT, *node.type.shape))
    problems["teleport"] = problems["teleport"] >> 3 if "teleport" in problems else None
    return unit, {k: v for k, v in problems.items() if v is not None}


@pytest.mark.parametrize("name", UNITS)
def test_verilog(name: str) -> None:
    unit, problems = posed(name)
    statuses = set(unit.solve_raw(**problems).status)
    assert "cap" in statuses and len(statuses) > 1, statuses
    found = rtl.verify(
        unit, problems, raw=True, simulator="native", idle=0.2, backpressure=0.2,
        max_depth_per_stage=(None, 8)[list(UNITS).index(name) % 2],
    )  # fmt: skip
    assert found, found.first_difference
    assert found.vectors == COUNT


@cache
def compiled() -> dict[str, Any]:
    return dict(zip(UNITS, hls.compile_units([posed(n)[0] for n in UNITS]), strict=True))


@pytest.mark.parametrize("name", UNITS)
def test_cpp(name: str) -> None:
    unit, problems = posed(name)
    want, got = unit.solve_raw(**problems), compiled()[name].solve_raw(**problems)
    assert np.array_equal(want.raw, got.raw)
    assert np.array_equal(want.steps, got.steps) and np.array_equal(want.codes, got.codes)
