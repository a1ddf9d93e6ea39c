"""Equilibrium networks: exact solutions, certified balls, Peaceman-Rachford, the orbit of truncation."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import count, cycle, increment_trunc, unchanged
from fxsim.iterate.counted import sweeps as counted_sweeps
from fxsim.iterate.references import rational
from fxsim.iterate.zoo import equilibrium

ORBIT = np.array([[-3, -5], [5, -3]]) / 8


def network(n, m, size, seed):
    rng = np.random.default_rng(seed)
    A = np.round(rng.normal(size=(n, n)) * size / np.sqrt(n) * 64) / 64
    B = np.round(rng.normal(size=(n, n)) * size / np.sqrt(n) * 4096) / 4096
    return equilibrium.weights(A, B, m)


def problems(n, rows, seed, frac=12):
    b = np.round(np.random.default_rng(seed).normal(size=(rows, n)) * (1 << frac)).astype(np.int64)
    return b, rational.fractions(b, frac)


def square_error(raw, true, frac=12):
    """||raw 2**-frac - true||**2 in LSB**2, exactly."""
    return [
        sum((int(r) - t * (1 << frac)) ** 2 for r, t in zip(*pair, strict=True))
        for pair in zip(raw, true, strict=True)
    ]


def test_weights_are_monotone_and_exact():
    W = network(8, Fraction(1, 2), 0.7, 0)
    assert Fraction(1, 2) <= equilibrium.monotonicity(W) < Fraction(9, 16)
    assert equilibrium.monotonicity(ORBIT) == Fraction(11, 8) - Fraction(1, 256)
    assert equilibrium.monotonicity([[-4]]) == 5 - Fraction(1, 256)
    with pytest.raises(ValueError, match="not monotone"):
        equilibrium.monotonicity(np.eye(3))
    with pytest.raises(ValueError, match=r"W must have shape \(n, n\), not \(2, 3\)"):
        equilibrium.monotonicity(np.zeros((2, 3)))


def test_reference_is_the_only_solution_of_all_active_sets():
    W = network(4, 1, 1, 5)
    _, b = problems(4, 6, 6)
    found = equilibrium.reference(W, b)
    eye = rational.fractions(np.eye(4, dtype=np.int64))
    for row, z in zip(b, found, strict=True):
        solutions = []
        for bits in itertools.product((False, True), repeat=4):
            at = np.flatnonzero(bits)
            trial = np.array([Fraction(0)] * 4, object)
            if len(at):
                trial[at] = rational.solve((eye - W)[np.ix_(at, at)], row[at])
            if np.all(np.maximum(W @ trial + row, 0) == trial):
                solutions.append(trial.tolist())
        assert solutions == [z.tolist()]
    assert np.any(found == 0) and np.any(found > 0)


@pytest.mark.parametrize(
    "n, m, size, seed, alpha, L, bound, sweeps",
    [
        (16, 1, 0.7, 1, Fraction(1, 8), 0.887, 17.7, (15, 60)),  # notes: L .884, 41 sweeps, 4.4 <= 17.3
        (32, Fraction(1, 2), 0.7, 0, Fraction(1, 16), 0.972, 102.3, (50, 200)),  # .970, 146, 26.5 <= 94
    ],
)
def test_forward_backward_figures(n, m, size, seed, alpha, L, bound, sweeps):
    W = network(n, m, size, seed)
    b, values = problems(n, 3, 100 + seed)
    proven = equilibrium.contraction(W, alpha)
    assert round(float(proven), 3) == L and round(float(equilibrium.radius(proven, n)), 1) == bound
    true = equilibrium.reference(W, values)
    made = equilibrium.forward_backward(W, alpha=alpha, stop=unchanged(), cap=1000)
    s = made.solve_raw(b=b, certified=False)
    assert set(s.status) == {"fixed"} and sweeps[0] <= s.steps.min() <= s.steps.max() <= sweeps[1]
    assert max(square_error(s.raw, true)) <= equilibrium.radius(proven, n) ** 2
    counted = equilibrium.forward_backward(W, alpha=alpha, stop=count(made.cap))
    assert made.cap == 1000 and counted.solve_raw(b=b).raw.tolist() == s.raw.tolist()
    best = equilibrium.forward_backward(W)
    assert best.cap < counted_sweeps(proven, [made.formats[0]] * n)
    s = best.solve_raw(b=b)
    assert s.steps.max() <= best.cap and best.certify().terminates_by == "count"
    assert max(square_error(s.raw, true)) <= equilibrium.radius(proven, n) ** 2


@pytest.mark.parametrize("alpha, enough", [(Fraction(1, 2), 10), (1, 11), (2, 18)])
def test_peaceman_rachford_needs_few_sweeps(alpha, enough):
    """Notes: within 4 LSB after 7, 8 and 14 sweeps, where forward-backward took 43."""
    n = 32
    W = network(n, 1, 0.5, 2)
    b, values = problems(n, 3, 7)
    true = equilibrium.reference(W, values)
    made = equilibrium.peaceman_rachford(W, alpha=alpha)
    s = made.solve_raw(b=b, history=True)
    assert set(s.status) <= {"count", "fixed"} and made.certify().terminates_by == "count"
    for raw in s.history[enough:]:
        assert max(square_error(np.maximum(raw, 0), true)) <= 4**2 * 4
    final = max(square_error(np.maximum(s.raw, 0), true))
    assert final <= 6**2
    slow = equilibrium.forward_backward(W).solve_raw(b=b, history=True).history
    assert max(square_error(slow[enough], true)) > 8**2


def test_stored_resolvent_says_its_error():
    W = network(6, 1, 0.7, 3)
    V = rational.fractions(equilibrium.resolvent(W, 1, 12), 12)
    eye = rational.fractions(np.eye(6, dtype=np.int64))
    off = V @ (2 * eye - W) - eye
    assert 0 < equilibrium.resolvent_error(W, 1, 12) <= 6 * Fraction(1, 1 << 13)
    assert np.max(np.abs(off).sum(axis=1)) < Fraction(1, 1 << 8)
    assert equilibrium.resolvent_error(np.eye(2) / 2 + 0, 2, 12) == 0  # V = I / 2


def test_truncated_increments_cycle_on_a_two_norm_contraction():
    """W = [[-3, -5], [5, -3]] / 8, alpha = 1 < 1.205, ||W|| = .729: a legal step that never comes to rest."""
    b = np.array([32, 12])  # 2 (I - W) 1 in eighths: the solution is (2, 2)
    options = dict(frac=0, alpha=1, b=SQ(4, 3), cap=1000)
    assert 0.728 < equilibrium.contraction(ORBIT, 1) < 0.73
    made = equilibrium.forward_backward(ORBIT, update=increment_trunc(), stop=cycle(), **options)
    s = made.solve_raw([3, 3], b=b, history=True)
    assert s.status == "cycle"
    assert s.history[:5].tolist() == [[3, 3], [1, 3], [1, 1], [3, 1], [3, 3]]
    with pytest.raises(ValueError, match="truncated increments may orbit under a contraction of 2-norms"):
        equilibrium.forward_backward(ORBIT, update=increment_trunc(), stop=unchanged(), **options).solve_raw(
            b=b
        )
    nearest = equilibrium.forward_backward(ORBIT, stop=count(20), **options)
    assert (
        np.sum((nearest.solve_raw([3, 3], b=b).raw - 2) ** 2)
        <= equilibrium.radius(Fraction(729, 1000), 2) ** 2
    )


@pytest.mark.parametrize("maker", [equilibrium.forward_backward, equilibrium.peaceman_rachford])
def test_count_brings_every_start_into_the_ball(maker):
    W = network(3, 1, 0.7, 8)
    b, values = problems(3, 1, 9, frac=6)
    made = maker(W, frac=6)
    fmt = made.formats[0]
    corners = np.array(list(itertools.product((fmt.lo, 0, fmt.hi), repeat=3)))
    s = made.solve_raw(corners, b=b)
    true = np.repeat(equilibrium.reference(W, values), len(corners), axis=0)
    assert max(square_error(np.maximum(s.raw, 0), true, 6)) <= 5**2


def test_a_smaller_state_clips_the_solution():
    made = equilibrium.forward_backward([[0.5]], frac=8, state=SQ(2, 8, overflow="SAT"))
    s = made.solve_raw(b=[[64], [1000]])
    assert s.raw.ravel().tolist() == [128, 511]  # 2 b, and the greatest code


def test_digits_network_and_its_readout():
    W, b, digits = equilibrium.digits_network()
    made = equilibrium.forward_backward(W, frac=equilibrium.DIGITS_FRAC)
    z = made.solve_raw(b=b).x
    c = np.round(equilibrium.readout(z[:400], digits[:400]) * 256) / 256
    guess = np.argmax(np.concatenate([z, np.ones((500, 1))], axis=1) @ c, axis=1)
    assert np.mean(guess[400:] == digits[400:]) >= 0.9


def test_example_is_in_the_certified_ball():
    e = equilibrium.example()
    s = e.solve(certified=False)
    wrong = (e.errors(s) * (1 << 10)) ** 2
    L = equilibrium.contraction(*[equilibrium.digits_network()[0], Fraction(1, 8)])
    assert len(s.raw) == 8 and np.max(wrong.sum(axis=1)) <= (equilibrium.radius(L, 48) + 1) ** 2


@pytest.mark.parametrize("alpha", [0, -1, [1, 2]])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match="alpha must be one positive number"):
        equilibrium.forward_backward(ORBIT, alpha=alpha)


def test_alpha_beyond_the_bound_is_refused():
    with pytest.raises(ValueError, match="alpha must make the step contract, not 2"):
        equilibrium.forward_backward(ORBIT, alpha=2)
