"""Error feedback: sums that lose nothing, EControl's recursion by Fractions, and errors."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from fxsim import SQ, UQ, Format
from fxsim.layers.error_feedback import econtrol, error_feedback


def rounded(value: Fraction, mode: str) -> int:
    """To an integer, by the definition of the mode on reals."""
    if mode == "TRN":
        return floor(value)
    if mode == "TRN_ZERO":
        return int(value)
    return floor(value + Fraction(1, 2)) if mode == "RND" else round(value)


def quantized(value: Fraction, fmt: Format) -> Fraction:
    q = rounded(value * 2**fmt.frac, fmt.rounding)
    if fmt.overflow == "SAT":
        q = min(max(q, fmt.lo), fmt.hi)
    assert fmt.lo <= q <= fmt.hi
    return Fraction(q, 1) / Fraction(2) ** fmt.frac


def test_a_worked_stream():
    """x = 0.4 of an LSB at every step, 4 bits of fraction: 6, 12, 18 - 16, 8, 14, 20 - 16, ..."""
    machine = error_feedback(SQ(4, 4), SQ(6, 0, rounding="TRN"))
    (y,), (e,) = machine.run_raw(np.full((1, 8), 6))
    assert y[0].tolist() == [0, 0, 1, 0, 0, 1, 0, 1] and e[0] == 8 * 6 - 3 * 16


@pytest.mark.parametrize("mode", ["TRN", "TRN_ZERO", "RND", "RND_CONV"])
def test_no_sum_is_off_by_more_than_a_code(mode, rng):
    source, code = SQ(4, 4), SQ(6, 1, rounding=mode)
    x = rng.integers(source.lo, source.hi + 1, (20, 300, 3))
    x[0], x[1] = source.lo, source.hi
    (y,), (e,) = error_feedback(source, code, (3,)).run_raw(x)
    left = np.cumsum(x, 1) - np.cumsum(y, 1) * 8
    assert np.abs(left).max() < 8 and np.array_equal(left[:, -1], e)
    carried = Fraction(0)
    for t in range(300):
        total = carried + Fraction(int(x[2, t, 0]), 16)
        want = quantized(total, code)
        carried = total - want
        assert Fraction(int(y[2, t, 0]), 2) == want


def test_a_saturating_code_with_a_residual(rng):
    """A sign and a magnitude of one bit: what saturation cuts off comes later."""
    source, code, residual = SQ(2, 6), SQ(1, 0, rounding="RND_CONV", overflow="SAT"), SQ(4, 6)
    x = rng.integers(-70, 20, (5, 200))
    (y,), (e,) = error_feedback(source, code, (), residual).run_raw(x)
    for k in range(5):
        carried = Fraction(0)
        for t in range(200):
            total = carried + Fraction(int(x[k, t]), 64)
            want = quantized(total, code)
            carried = total - want
            assert y[k, t] == want and residual.lo <= carried * 64 <= residual.hi
        assert e[k] == carried * 64


@pytest.mark.parametrize("shift", [0, 2, 5])
def test_econtrol_by_fractions(shift, rng):
    source, code = SQ(4, 4), SQ(3, 1, rounding="RND", overflow="SAT")
    residual, estimate = SQ(8, 4, overflow="SAT"), SQ(5, 1, overflow="SAT")
    x = rng.integers(-60, 60, (4, 120, 2))
    x[0] = 37
    (y, h), (last, _) = econtrol(source, code, residual, estimate, shift, (2,)).run_raw(x)
    for k in range(4):
        e = known = Fraction(0)
        for t in range(120):
            g = Fraction(int(x[k, t, 1]), 16)
            message = quantized(e / 2**shift + g - known, code)
            e += g - known - message
            known += message
            assert (Fraction(int(y[k, t, 1]), 2), Fraction(int(h[k, t, 1]), 2)) == (message, known)
        assert last[k, 1] == e * 16
    mean = Fraction(int(h[0, 40:, 0].sum()), 2 * 80)
    assert abs(mean - Fraction(37, 16)) < Fraction(1, 16)  # the estimate is right on average


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="code must have fewer than the 4 fraction bits of x, not 4"):
        error_feedback(SQ(4, 4), SQ(6, 4))
    with pytest.raises(ValueError, match=r"code must hold x \+ e, raw -143\.\.142 at 4 fraction bits"):
        error_feedback(SQ(4, 4), SQ(4, 0))
    with pytest.raises(ValueError, match="code must hold x"):
        error_feedback(SQ(4, 4), UQ(8, 0))
    sizes = SQ(4, 4), SQ(3, 1), SQ(8, 4), SQ(5, 1)
    with pytest.raises(ValueError, match="shift of the feedback must be an integer of at least 0, not -1"):
        econtrol(*sizes, -1)
    with pytest.raises(ValueError, match="residual must have the 4 fraction bits of x and h, not 3"):
        econtrol(SQ(4, 4), SQ(3, 1), SQ(8, 3), SQ(5, 1), 1)
    with pytest.raises(ValueError, match="estimate must have the 1 fraction bits of code, not 0"):
        econtrol(SQ(4, 4), SQ(3, 1), SQ(8, 4), SQ(5, 0), 1)
