"""Residual refinement: any precision from few bits, every round inside its proven factor."""

from fractions import Fraction
from itertools import pairwise

import linear_figures
import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import assign, count, delta, unit
from fxsim.iterate.references.graphs import laplacian, numgrid
from fxsim.iterate.references.rational import fractions
from fxsim.iterate.refine import contraction, refine
from fxsim.iterate.zoo.affine import affine, cgs, reference
from fxsim.iterate.zoo.linear import poisson

# 9e-1, 8e-3, 1.2e-4, 1.3e-6, 1.9e-8, 2.9e-10, 4.6e-12 were measured, on another random graph.
MEASURED = (9e-1, 8e-3, 1.2e-4, 1.3e-6, 1.9e-8, 2.9e-10, 4.6e-12)


@pytest.mark.parametrize(
    "update, stop", [(assign("RND"), count(10)), (assign("TRN"), count(10)), (None, None)]
)
def test_nine_bits_give_any_precision(update, stop, rng):
    g = linear_figures.graph(rng, 16, 6)
    u = cgs(g, 6, frac=7, b=SQ(1, 7), update=update, stop=stop)
    assert u.formats[0].width == 9
    b = rng.integers(-(1 << 60), 1 << 60, (20, 16))
    found = refine(u, b, 60, rounds=12)
    assert set(found.status) == {"rounds"}
    exact = reference(fractions(g, 6), fractions(b, 60), Fraction(1, 2))
    L = u.certify().L
    for row in range(20):
        sizes, factors = found.residuals[row], found.factors[row]
        assert len(sizes) == 13
        for k, factor in enumerate(factors):
            assert factor < Fraction(1, 10) and sizes[k + 1] <= factor * sizes[k]
        for k, measured in enumerate(MEASURED):
            assert sizes[k] < 10 * measured
        assert sizes[12] < Fraction(1, 1 << 60)
        assert max(abs(found.x[row] - exact[row])) <= sizes[12] / (1 - L)
    if stop is not None:
        assert np.array_equal(found.steps, [120] * 20)


def test_until_a_tolerance():
    u = cgs([[0, 64], [32, 0]], 6, frac=7, b=SQ(1, 7))
    found = refine(u, [[3, -1], [0, 0], [1 << 70, 5]], 8, rounds=40, tolerance=Fraction(1, 1 << 40))
    assert set(found.status) == {"tolerance"}
    assert [len(s) for s in found.residuals][1] == 1 and found.steps[1] == 0
    assert all(s[-1] <= Fraction(1, 1 << 40) for s in found.residuals)
    alone = refine(u, [3, -1], 8, tolerance=Fraction(1, 1 << 40))
    assert np.array_equal(alone.x, found.x[0])


def test_heads_and_a_stop_by_change(rng):
    g = np.stack([linear_figures.graph(rng, 5, 6) for _ in range(2)])
    u = cgs(g, 6, frac=9, b=SQ(1, 9), gamma=Fraction(3, 4), update=assign("RND"), stop=delta(3))
    b = rng.integers(-1000, 1000, (4, 2, 5))
    found = refine(u, b.reshape(4, 10), 10, rounds=8)
    exact = reference(fractions(g, 6), fractions(b, 10), Fraction(3, 4)).reshape(4, 10)
    assert np.max(np.abs(found.x - exact)) < Fraction(1, 10**9)
    for sizes, factors in zip(found.residuals, found.factors, strict=True):
        assert all(b <= f * a for a, b, f in zip(sizes, sizes[1:], factors, strict=False))


def test_poisson_with_coarse_units():
    grid = numgrid("S", 7)
    b = linear_figures.square_loads(3, 25, 0, 20)
    exact = fractions(b, 20)
    u = poisson(grid, Fraction(3, 2), frac=7, b=SQ(1, 7))
    found = refine(u, b, 20, rounds=20, tolerance=Fraction(1, 10**12))
    assert set(found.status) == {"tolerance"} and found.factors[0][0] is None
    assert np.max(np.abs(exact - found.x @ laplacian(grid))) <= Fraction(1, 10**12)


def test_too_few_bits_are_reported():
    u = affine([[0.0, 0.9375], [0.9375, 0.0]], frac=1, b=SQ(1, 1))
    found = refine(u, [3, -1], 2, rounds=50)
    assert found.status.tolist() == ["stalled"]
    assert found.factors[0][-1] >= 1
    sizes = found.residuals[0]
    assert all(b < a for a, b in pairwise(sizes))


def test_the_factor_of_the_theorem():
    assert contraction(Fraction(1, 2), 10, Fraction(1, 2), 100) == Fraction(1, 1024) + Fraction(3, 100)
    assert contraction("1/2", 10, 1, 100, 1) == Fraction(1, 1024) + Fraction(6, 100)


def test_errors():
    u = cgs([[0, 64], [32, 0]], 6)
    with pytest.raises(ValueError, match="2 elements"):
        refine(u, [1, 2, 3], 8)
    with pytest.raises(ValueError, match="must not be negative"):
        refine(u, [1, 2], 8, tolerance=-1)
    with pytest.raises(TypeError, match="must be integers"):
        refine(u, [1.5, 2.5], 8)
    plain = unit(lambda x, b: (x >> 1) + b, {"x": (SQ(2, 8, overflow="SAT"), 3)}, {"b": (SQ(1, 8), 3)})
    with pytest.raises(ValueError, match="a residual b - K x"):
        refine(plain, [1, 2, 3], 8)
    relu = affine([[0.5]], activation=lambda t: t.relu())
    with pytest.raises(ValueError, match="b - K x"):
        refine(relu, [1], 8)
    twice = unit(lambda x, b: (x >> 1) + b, {"x": (SQ(2, 8, overflow="SAT"), 1)}, {"b": (SQ(1, 8), 1)},
                 residual=lambda x, b: (b << 1) - x)  # fmt: skip
    with pytest.raises(ValueError, match="b as it is"):
        refine(twice, [1], 8)
