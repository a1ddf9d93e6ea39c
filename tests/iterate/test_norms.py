"""Norms proven in integers: against closed forms, floats, and matrices where the naive bound is off."""

from fractions import Fraction
from math import lcm

import numpy as np
import pytest

from fxsim.iterate import norms
from fxsim.iterate.references import rational


def test_root_above_is_tight_and_above():
    for v in (Fraction(2), Fraction(1, 3), Fraction(10**40), Fraction(1, 10**40), Fraction(49, 64)):
        r = norms.root_above(v)
        assert r * r >= v and (r * r - v) / v < Fraction(1, 1 << 60)
    assert norms.root_above(Fraction(49, 64)) == Fraction(7, 8)
    assert norms.root_above(Fraction(0)) == 0
    with pytest.raises(ValueError, match="negative"):
        norms.root_above(Fraction(-1))


def test_max_norm_and_weights():
    M = np.array([[0, -32], [1, 0]])
    assert norms.max_norm(M, 3) == 4
    assert norms.one_norm(M, 3) == 4
    assert norms.max_norm(M, 3, [8, 1]) == Fraction(1)
    with pytest.raises(ValueError, match="weights"):
        norms.max_norm(M, 0, [1])


@pytest.mark.parametrize("seed", range(20))
def test_perron_weights_prove_the_spectral_radius(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    M = rng.integers(-9, 10, (n, n)) * (rng.random((n, n)) < 0.4)
    w, L = norms.perron_weights(M, 4)
    radius = float(np.max(np.abs(np.linalg.eigvals(np.abs(M) / 16))))
    assert all(v > 0 for v in w)
    assert norms.max_norm(M, 4, w) == L
    assert radius - 1e-6 <= float(L) <= radius * 1.001 + 2e-2 * (radius < 1e-9) + 1e-9


def test_a_triangular_map_contracts_in_a_weighted_norm():
    M = np.array([[4, 1000], [0, 4]])
    assert norms.max_norm(M, 3) > 1
    assert norms.spectral_radius_below_one(M, 3)
    assert not norms.spectral_radius_below_one(np.array([[8]]), 3)


def test_exact_rows_keep_weights_of_one():
    w, L = norms.perron_weights(np.array([[1, 3], [2, 2]]), 3)
    assert w == (1, 1) and Fraction(1, 2) == L


@pytest.mark.parametrize("seed", range(10))
def test_resolvent_bounds_are_above_and_near(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    M = rng.integers(-8, 9, (n, n))
    scale = int(np.ceil(np.log2(1.2 * max(np.abs(M).sum(axis=1).max(), 1))))
    b = [Fraction(1, int(v)) for v in rng.integers(1, 9, n)]
    e = norms.resolvent_above(M, scale, b)
    exact = rational.solve(rational.fractions((np.eye(n, dtype=np.int64) << scale) - np.abs(M), scale), b)
    assert all(w <= v <= w * (1 + Fraction(1, 1000)) for v, w in zip(e, exact, strict=True))
    assert all(
        v - sum(Fraction(abs(int(m)), 1 << scale) * u for m, u in zip(row, e, strict=True)) >= r
        for v, row, r in zip(e, M, b, strict=True)
    )
    assert norms.resolvent_above(np.eye(n, dtype=np.int64), 0, b) is None


def test_positive_definite_is_exact_at_the_edge():
    A = np.array([[10, 9, 9], [9, 10, 9], [9, 9, 10]])
    assert norms.positive_definite(A)
    assert not norms.positive_definite(A - np.eye(3, dtype=np.int64))  # the least eigenvalue is 1
    big = A.astype(object) * 10**30
    assert norms.positive_definite(big)
    assert not norms.positive_definite(big - 10**30 * np.eye(3, dtype=np.int64).astype(object))
    assert not norms.positive_definite(np.array([[1, 2], [2, 1]]))
    with pytest.raises(ValueError, match="symmetric"):
        norms.positive_definite(np.array([[1, 2], [0, 1]]))


def test_positive_definite_beyond_floating_point():
    """The singular Neumann matrix of 12 points times 10**20, one up and one down in a corner."""
    n = 12
    A = 2 * np.eye(n, dtype=np.int64) - np.eye(n, k=1, dtype=np.int64) - np.eye(n, k=-1, dtype=np.int64)
    A[0, 0] = A[-1, -1] = 1
    big, corner = A.astype(object) * 10**20, np.zeros((n, n), object)
    corner[0, 0] = 1
    assert norms.positive_definite(big + corner)
    assert not norms.positive_definite(big)
    assert not norms.positive_definite(big - corner)
    for seed in range(30):  # singular or slightly off, where a float factor may still come out
        B = np.random.default_rng(seed).integers(-9, 10, (n, n - 1)).astype(object)
        G = B @ B.T * 10**9
        assert not norms.positive_definite(G)
        assert norms.positive_definite(G + np.eye(n, dtype=np.int64).astype(object))
        assert not norms.positive_definite(G - corner)


@pytest.mark.parametrize("n", [7, 9])
def test_inverse_above_is_above_where_floats_err(n):
    """Hilbert's matrices of condition 5e8 and 5e11 against the exact inverse; floats alone fall short."""
    whole = lcm(*range(1, 2 * n))
    H = np.array([[whole // (i + j + 1) for j in range(n)] for i in range(n)])
    exact = rational.solve(H, np.array([[Fraction(int(i == j)) for j in range(n)] for i in range(n)], object))
    v = [Fraction((k + 1) * whole) for k in range(n)]
    wanted = [sum(abs(e) * w for e, w in zip(row, v, strict=True)) for row in exact]
    found = norms.inverse_above(H, 0, v)
    assert all(w <= f for f, w in zip(found, wanted, strict=True))
    if n == 7:
        assert all(f <= w + max(wanted) / 100 for f, w in zip(found, wanted, strict=True))


def test_weighted_dominance_is_strict():
    """d g d of row sums 0 is no proof: [[2, -1, -1], ...] is singular, and so is any scaling of it."""
    singular = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2]]).astype(object)
    scale = np.array([1, 1 << 20, 1 << 40], object)
    for d in (np.ones(3, np.int64).astype(object), scale):
        g = singular * (1 << 30) * d[:, None] * d[None, :]
        assert not norms.dominant(g)
        assert norms.dominant(g + np.diag(d * d << 4))
    assert not norms.dominant(np.array([[0]], object))


def test_positive_definite_of_a_hundred():
    n = 100
    A = 2 * np.eye(n, dtype=np.int64) - np.eye(n, k=1, dtype=np.int64) - np.eye(n, k=-1, dtype=np.int64)
    assert norms.positive_definite(A)
    B = A.copy()
    B[0, 0] = B[-1, -1] = 1  # the Neumann matrix: singular
    assert not norms.positive_definite(B)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 2), (24, 24)])
def test_two_norm_is_above_the_singular_value_and_near_it(shape):
    rng = np.random.default_rng(sum(shape))
    M = rng.integers(-99, 100, shape)
    top = np.linalg.norm(M / 64, 2)
    found = norms.two_norm(M, 6)
    assert top * (1 - 1e-12) <= float(found) <= top * (1 + 1e-6)


def test_two_norm_of_the_orbit():
    """M of the 2-norm contraction that runs a truncated orbit: norm sqrt(34) / 8, row sums 1."""
    M = np.array([[-3, -5], [5, -3]])
    L = norms.two_norm(M, 3)
    assert Fraction(34, 64) <= L * L <= Fraction(34, 64) + Fraction(1, 10**8)
    assert norms.perron_weights(M, 3)[1] == 1


def test_zero_and_wide_integers():
    assert norms.two_norm(np.zeros((2, 3), np.int64)) == 0
    M = np.array([[1 << 80, 0], [0, 1]], object)
    assert norms.two_norm(M, 80) >= 1
    assert norms.max_norm(M, 80) == 1


def test_small_gain():
    M = np.array([[4, 0, 1, 0], [0, 4, 0, 1], [9, 0, 2, 0], [0, 9, 0, 2]])
    gains = norms.block_norms(M, 3, [[0, 1], [2, 3]])
    least = rational.fractions(M, 3)[::2, ::2]  # multiples of the identity
    assert np.all(least <= gains) and np.all(gains <= least * (1 + Fraction(1, 10**5)))
    _, L = norms.small_gain(gains)
    radius = max(np.linalg.eigvals(np.array([[0.5, 0.125], [1.125, 0.25]])).real)
    assert radius <= float(L) < radius + 1e-4 < 1
    assert norms.block_norms(M, 3, [[0, 1], [2, 3]], "max")[1, 0] == Fraction(9, 8)
