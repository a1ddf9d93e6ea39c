"""The exact solver: against elimination in Fractions, and what it refuses."""

from fractions import Fraction

import numpy as np
import pytest

from fxsim.iterate.references.rational import fractions, solve


def eliminated(a, b):
    """Gauss-Jordan in Fractions."""
    n = len(a)
    m = [[Fraction(v) for v in a[i]] + [Fraction(v) for v in b[i]] for i in range(n)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if m[i][k])
        m[k], m[pivot] = m[pivot], m[k]
        m[k] = [v / m[k][k] for v in m[k]]
        for i in range(n):
            if i != k:
                m[i] = [x - m[i][k] * y for x, y in zip(m[i], m[k], strict=True)]
    return np.array([row[n:] for row in m], object).reshape(np.shape(b))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 11])
def test_equal_to_elimination(n, rng):
    for largest in (3, 1000, 2**40):
        a = rng.integers(-largest, largest + 1, (n, n)) + 2 * largest * np.eye(n, dtype=np.int64)
        b = rng.integers(-largest, largest + 1, (n, 2))
        assert np.array_equal(solve(a, b), eliminated(a.tolist(), b.tolist()))


def test_fractions_and_floats(rng):
    a = fractions(rng.integers(-9, 10, (4, 4)), 3) + fractions(np.eye(4) * 5)
    b = np.array([Fraction(1, 3), Fraction(2, 7), Fraction(0), Fraction(-5, 11)], object)
    assert np.array_equal(a @ solve(a, b), b)
    assert solve([[0.5, 0.0], [0.0, 0.25]], [1.0, 1.0]).tolist() == [2, 4]


def test_a_permutation_needs_pivots():
    assert solve([[0, 0, 3], [1, 0, 0], [0, 2, 0]], [3, 5, 7]).tolist() == [5, Fraction(7, 2), 1]


def test_singular_and_misshapen_systems_are_refused():
    with pytest.raises(ValueError, match="regular, not singular"):
        solve([[1, 2], [2, 4]], [1, 1])
    with pytest.raises(ValueError, match="must be square"):
        solve([[1, 2]], [1])
