"""Graph solver, Jacobi, values and ranks between floor and ceil: lo <= x* <= hi, and how far apart."""

from fractions import Fraction

import linear_figures
import numpy as np

from fxsim import SQ
from fxsim.iterate import enclosure
from fxsim.iterate.references.graphs import laplacian, numgrid
from fxsim.iterate.references.rational import fractions, solve
from fxsim.iterate.zoo import cgs, jacobi, pagerank, value, value_iteration
from fxsim.iterate.zoo.affine import reference
from fxsim.iterate.zoo.linear import reference as solution


def enclosed(unit, start=None):
    """The enclosure of a library unit of one state."""
    nodes = unit.map.inputs
    held = {n.name: (n.type, None) for n in nodes[1:]}
    return enclosure(
        unit.plan.step,
        {"x": (unit.formats[0], nodes[0].type.shape)},
        held,
        start=start,
        cap=5000,
        name=unit.name,
    )


def bounds(unit, **problems):
    """(lo, hi) of an enclosure that came to rest by T5."""
    assert unit.certify().terminates_by == "T5"
    s = unit.solve_raw(**problems)
    assert set(np.atleast_1d(s.status)) == {"fixed"}
    return s.raw["lo"], s.raw["hi"]


def test_graph_solver(rng):
    for gamma in (Fraction(1, 2), Fraction(15, 16)):
        g = linear_figures.graph(rng, 12)
        b = rng.integers(-1024, 1025, (20, 12))
        lo, hi = bounds(enclosed(cgs(g, 8, gamma=gamma)), b=b)
        exact = reference(fractions(g, 8), b, gamma)
        assert np.all(lo <= exact) and np.all(exact <= hi)
        # affine M >= 0: the width is below 2 (I - M)^-1 1.
        eye = fractions(np.eye(12, dtype=np.int64))
        assert np.all(hi - lo < 2 * solve(eye - gamma * fractions(g, 8), np.ones(12, np.int64)))


def test_jacobi(rng):
    A = laplacian(numgrid("L", 7))
    b = rng.integers(-1024, 1025, (10, len(A)))
    lo, hi = bounds(enclosed(jacobi(A, frac=10, b=SQ(2, 10))), b=b)
    exact = solution(A, b)
    assert np.all(lo <= exact) and np.all(exact <= hi)
    assert np.all(hi - lo < 2 * 4 * solve(A, np.ones(len(A), np.int64)))


def test_values(rng):
    follow = rng.integers(0, 9, (9, 4))
    rewards = rng.integers(-1024, 1025, (10, 9, 4))
    lo, hi = bounds(enclosed(value_iteration(follow, Fraction(29, 32))), rewards=rewards)
    exact = value.optimal_values(follow, Fraction(29, 32), rewards)
    assert np.all(lo <= exact) and np.all(exact <= hi)
    assert np.max(hi - lo) < Fraction(64, 3)


def test_ranks():
    """Width below 2 n / (1 - d) LSB in the 1-norm."""
    for seed in range(2):
        links = linear_figures.web(seed=seed)
        teleport = np.full((1, 64), (1 << 20) // 8 // 64)
        lo, hi = bounds(enclosed(pagerank(links), start=(0, (1 << 20) - 1)), teleport=teleport)
        exact = value.reference(fractions(value.link_weights(links, 12), 12), Fraction(7, 8), teleport)
        assert np.all(lo <= exact) and np.all(exact <= hi)
        assert int((hi - lo).sum()) < 2 * 64 * 8
