"""Power iteration normalised by shifts: angles by word length, drift, sign and zero."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim.iterate import count, cycle
from fxsim.iterate.zoo.power import angles, example, power_iteration


def symmetric(n, gap, seed):
    """Random eigenvectors, eigenvalues 1, gap and others of magnitude up to 0.7."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = np.concatenate([[1, gap], rng.uniform(-0.7, 0.7, n - 2)])
    return q @ np.diag(values) @ q.T


@pytest.mark.parametrize("frac, angle", [(10, 2.2e-3), (14, 1.3e-4), (18, 5e-6)])
def test_angles_where_the_state_repeats(frac, angle):
    """n = 32, gap .78. Notes: fixed with 2.2e-3 and 1.3e-4 at 10 and 14 bits, a cycle with 5e-6 at 18."""
    A = symmetric(32, 0.78, 0)
    made = power_iteration(A, frac=frac, coefficient_frac=frac + 2, stop=cycle())
    starts = np.random.default_rng(1).integers(-(1 << frac) + 1, 1 << frac, (8, 32))
    s = made.solve_raw(starts)
    assert set(s.status) <= {"fixed", "cycle"} and s.steps.max() <= 130
    assert angle / 4 < angles(A, s.raw).max() < 3 * angle


def test_small_changes_come_early():
    A = symmetric(32, 0.78, 0)
    s = power_iteration(A).solve_raw(np.random.default_rng(1).integers(-16383, 16384, (8, 32)))
    assert set(s.status) <= {"tolerance", "fixed"} and 15 < s.steps.min() <= s.steps.max() < 60
    assert angles(A, s.raw).max() < np.sqrt(32) / (1 - 0.78) / 8192


def test_state_stays_normalised():
    A = np.array([[5, 1], [1, 5]])
    made = power_iteration(A, frac=8, coefficient_frac=None, stop=count(20), cap=20)
    h = made.solve_raw([[3, 1], [255, -200]], history=True).history[1:]
    assert np.all(np.abs(h).max(axis=2) >= 128) and np.all(np.abs(h) <= 256)


def test_power_of_two_eigenvalue_comes_to_rest():
    made = power_iteration([[3, 1], [1, 3]], frac=8, coefficient_frac=None, stop=cycle())
    s = made.solve_raw([[100, 37], [-7, 90]])
    assert set(s.status) == {"fixed"} and np.all(np.abs(s.raw[:, 0] - s.raw[:, 1]) <= 1)


def test_negative_eigenvalue_turns_over_and_zero_stays():
    s = power_iteration([[-3, 0], [0, 1]], frac=8, stop=cycle()).solve_raw([[100, 50], [0, 0]])
    assert s.status.tolist() == ["cycle", "fixed"]
    assert s.raw[1].tolist() == [0, 0] and abs(s.raw[0, 0]) >= 128 and abs(s.raw[0, 1]) <= 1


def test_example_is_the_centrality():
    e = example()
    s = e.solve()
    assert set(s.status) <= {"tolerance", "fixed"} and s.raw.shape == (8, 34)
    order = np.argsort(-s.raw, axis=1)[:, :3]
    assert {tuple(sorted(r)) for r in order.tolist()} == {(0, 2, 33)}


@pytest.mark.parametrize(
    "A, bits, message",
    [
        (np.zeros((2, 3)), 14, "A must be a finite matrix"),
        ([[np.nan]], 14, "A must be a finite matrix"),
        (np.zeros((2, 2)), 14, "A must have an eigenvalue that is not 0"),
        (np.zeros((2, 3)), None, r"A must have shape \(n, n\), not \(2, 3\)"),
    ],
)
def test_bad_matrices(A, bits, message):
    with pytest.raises(ValueError, match=message):
        power_iteration(A, coefficient_frac=bits)
