"""Variants of memories, mean field and games that no example shows, as Verilog and C++."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hls
import rtl
from fxsim.iterate.schedules import parallel
from fxsim.iterate.updates import assign
from fxsim.iterate.zoo.equilibrium_propagation import equilibrium_propagation
from fxsim.iterate.zoo.hopfield import dense_hopfield, hebbian, hopfield
from fxsim.iterate.zoo.mean_field import boltzmann, mean_field, monotone_dbm
from fxsim.iterate.zoo.mirror_prox import exponentiated_gradient, mirror_prox, rock_paper_scissors

ROWS = 100
Problem = tuple[Any, dict[str, np.ndarray], Any, set[str]]


def spins(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], (ROWS, n))


def opposed() -> Problem:
    """In parallel, half of all starts in a cycle of two."""
    W = np.zeros((6, 6), np.int64)
    W[:3, 3:] = W[3:, :3] = -1
    return hopfield(-W, schedule=parallel()), {}, spins(6), {"fixed", "cycle"}


def dense() -> Problem:
    patterns = np.random.default_rng(2).integers(-1, 2, (4, 8))
    return dense_hopfield(patterns, 3), {}, spins(8), {"fixed"}


def diluted() -> Problem:
    patterns = np.random.default_rng(3).integers(-1, 2, (2, 10))
    return hopfield(hebbian(patterns)), {}, spins(10), {"fixed"}


def nudged() -> Problem:
    rng = np.random.default_rng(4)
    W = np.array([[0, 0.5, -0.25], [0.5, 0, 0.125], [-0.25, 0.125, 0]])
    unit = equilibrium_propagation(W, [[1], [0.5], [-1]], 0.25, beta=-0.125, outputs=2, frac=8)
    given = {"x": rng.integers(0, 257, (ROWS, 1)), "y": rng.integers(0, 257, (ROWS, 2))}
    return unit, given, rng.integers(0, 257, (ROWS, 3)), {"fixed"}


def observed() -> Problem:
    rng = np.random.default_rng(5)
    Phi = boltzmann(rng.normal(size=(3, 6)), 2)
    evidence = np.where(rng.integers(0, 2, (ROWS, 3, 1)) == 0, [64, 0], [0, 64])
    given = {"b": rng.integers(-256, 257, (ROWS, 3, 2)), "observed": rng.integers(0, 2, (ROWS, 3))}
    return mean_field(Phi, 2, frac=6, mask=True), {**given, "evidence": evidence}, None, {"fixed"}


def machine() -> Problem:
    rng = np.random.default_rng(6)
    Phi = boltzmann(rng.normal(size=(3, 6)), 3, bound=0.5)
    return monotone_dbm(Phi, 3, frac=5), {"b": rng.integers(-256, 257, (ROWS, 2, 3))}, None, {"fixed"}


def weights() -> Problem:
    rng = np.random.default_rng(7)
    unit = exponentiated_gradient([[1, 0.5], [-0.25, 1]], [1, -1], frac=6)
    return unit, {"b": rng.integers(-512, 512, (ROWS, 2))}, None, {"fixed"}


def nearest_game() -> Problem:
    l_ref = -np.random.default_rng(8).integers(0, 192, (ROWS, 3))
    unit = mirror_prox(rock_paper_scissors(), 0.25, frac=6, update=assign("RND"), cap=30)
    return unit, {"l_ref": l_ref - l_ref.max(1, keepdims=True)}, None, {"fixed", "cycle"}


VARIANTS = [opposed, dense, diluted, nudged, observed, machine, weights, nearest_game]


@pytest.mark.parametrize("make", VARIANTS)
def test_verilog(make: Any) -> None:
    unit, parameters, start, statuses = make()
    found = unit.solve_raw(start, **parameters)
    assert set(np.atleast_1d(found.status)) >= statuses
    seen = rtl.verify(unit, parameters, start=start, raw=True, simulator="native", idle=0.3, backpressure=0.3)
    assert seen, seen.first_difference
    assert seen.vectors >= ROWS


def test_cpp() -> None:
    made = [make() for make in (opposed, nudged, observed, machine)]
    compiled = hls.compile_units([unit for unit, *_ in made])
    for (unit, parameters, start, _), code in zip(made, compiled, strict=True):
        want, got = unit.solve_raw(start, **parameters), code.solve_raw(start, **parameters)
        assert np.array_equal(got.codes, want.codes) and np.array_equal(got.steps, want.steps)
        assert all(np.array_equal(a, b) for a, b in zip(got.raws, want.raws, strict=True)), unit.name
