"""Recurrent cells swept over all times: the sequential run bit for bit, and no later than after T sweeps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ, UQ
from fxsim.iterate import count
from fxsim.iterate.zoo.scan import example, gru_cell, gru_scan, gru_weights, reference, scan, sequential

BYTE = UQ(8, 0)


def scrambled(h, x):
    """A cell that forgets nothing and contracts nowhere: a congruential generator modulo 256."""
    return h * 5 + x + 1


def test_any_cell_is_exact_after_as_many_sweeps_as_steps():
    state, inputs, time = (UQ(8, 0, overflow="SAT"), 2), (BYTE, 2), 20
    # The cast inside the cell wraps; the state's own saturation then never acts.
    cell = lambda h, x: scrambled(h, x).cast(BYTE)  # noqa: E731
    x = np.random.default_rng(0).integers(0, 256, (6, time, 2))
    made = scan(cell, state, inputs, time)
    s = made.solve_raw(x=x, history=True)
    want = sequential(cell, state, inputs, x)
    assert set(s.status) <= {"count", "fixed"} and s.steps.min() >= time - 1
    assert np.array_equal(s.raw, want)
    for k in range(time + 1):
        assert np.array_equal(s.history[k][:, :k], want[:, :k])
        assert k > time - 2 or not np.array_equal(s.history[k], want)


def test_a_start_does_not_matter():
    made = scan(lambda h, x: scrambled(h, x).cast(BYTE), (UQ(8, 0, overflow="SAT"), 1), (BYTE, 1), 12)
    x = np.arange(12)[:, None]
    starts = np.random.default_rng(1).integers(0, 256, (50, 12, 1))
    assert len(np.unique(made.solve_raw(starts, x=x).raw, axis=0)) == 1


def test_gated_cell_needs_few_sweeps():
    """Notes: 256 steps of 8 units are exact after 20 to 22 sweeps, of other weights."""
    a, B = gru_weights(8, 8)
    x = np.round(np.random.default_rng(0).normal(size=(2, 256, 8)) * 256).clip(-1023, 1023).astype(np.int64)
    s = gru_scan(a, B, 256).solve_raw(x=x)
    assert set(s.status) == {"fixed"} and s.steps.max() <= 30
    want = sequential(gru_cell(a, B), (SQ(1, 12, rounding="RND", overflow="SAT"), 8), (SQ(3, 8), 8), x)
    assert np.array_equal(s.raw, want)


def test_gated_cell_is_the_formula():
    """One step against floating point: tables of 8 fraction bits, interpolated, and three roundings."""
    a, B = gru_weights(3, 2, seed=5)
    x = np.random.default_rng(2).integers(-512, 512, (4, 9, 2))
    h = np.zeros((4, 3))
    got = reference(a, B, x).astype(float)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    for t in range(9):
        z = sigmoid(a[0] * h + x[:, t] / 256 @ B[0])
        r = sigmoid(a[1] * h + x[:, t] / 256 @ B[1])
        h = z * np.tanh(a[2] * h * r + x[:, t] / 256 @ B[2]) + (1 - z) * h
        assert np.abs(got[:, t] - h).max() < 0.01


def test_a_linear_state_space_cell():
    """x_t = Q(15/16 x_(t-1) + u_t): the filter of a state-space model."""
    fmt = SQ(6, 6, rounding="TRN_ZERO", overflow="SAT")
    cell = lambda h, u: h * Fraction(15, 16) + u  # noqa: E731
    u = np.random.default_rng(3).integers(-64, 64, (5, 40, 1))
    s = scan(cell, (fmt, 1), (SQ(1, 6), 1), 40).solve_raw(x=u)
    assert np.array_equal(s.raw, sequential(cell, (fmt, 1), (SQ(1, 6), 1), u))


def test_one_step():
    made = scan(lambda h, x: h + x, (SQ(4, 0, overflow="SAT"), 1), (SQ(3, 0), 1), 1)
    s = made.solve_raw([[5]], x=[[3]])
    assert s.raw.tolist() == [[3]] and s.status == "count" and made.stops[1] == count(1)


def test_example_is_exact():
    e = example()
    s = e.solve()
    assert s.raw.shape == (16, 8, 2) and np.max(e.errors(s)) == 0 and s.steps.max() <= 8


def test_bad_arguments():
    with pytest.raises(ValueError, match="time must be an integer of at least 1, not 0"):
        scan(lambda h, x: h, (BYTE, 1), (BYTE, 1), 0)
    with pytest.raises(ValueError, match=r"a must have shape \(3, d\) and B \(3, m, d\)"):
        gru_cell(np.zeros((3, 2)), np.zeros((3, 1, 3)))
