"""Real inputs to codes and back: the quick ways equal the exact ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim.casting import from_double
from hls.plugin.types import from_real, to_real

ROUNDINGS = ("TRN", "TRN_ZERO", "RND_CONV", "RND", "RND_INF")


@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM", "SAT_ZERO"])
def test_random_formats(overflow: str, rng: np.random.Generator) -> None:
    """Ties, numbers inside and just outside, wide and narrow types, points far from the codes."""
    for _ in range(400):
        width, whole = int(rng.integers(1, 60)), int(rng.integers(-6, 20))
        form = fxsim.Format(width, whole, bool(rng.integers(2)), rng.choice(ROUNDINGS), overflow)
        x = rng.normal(size=30) * 2.0 ** rng.uniform(-20, whole + 1)
        x[::3] = np.rint(x[::3] * 2.0 ** (form.frac + 1)) * 2.0 ** -(form.frac + 1)
        assert np.array_equal(from_real(x, form), from_double(x, form))
        assert from_real(x[0], form) == from_double(x[:1], form)[0]  # one number, as a slope is


def test_what_is_not_finite_counts_as_beyond_every_type() -> None:
    x = np.array([np.inf, -np.inf, 0.5])
    assert from_real(x, fxsim.SQ(4, 4)).tolist() == [0, 0, 8]
    assert from_real(x, fxsim.SQ(4, 4, overflow="SAT")).tolist() == [127, -128, 8]


def test_ap_int_takes_small_negative_numbers_for_one() -> None:
    """The header's own conversion from double: -0.5 < x < 0 becomes 1."""
    form = fxsim.Format(8, 8, rounding="TRN_ZERO")
    x = np.array([-0.75, -0.5, -0.25, -1e-9, 0.0, 0.75, -1.5])
    assert from_real(x, form, integer=True).tolist() == [0, 0, 1, 1, 0, 0, -1]


def test_codes_to_floats_are_rounded_once(rng: np.random.Generator) -> None:
    """float32 holds 24 bits of a code: to nearest, ties to even."""
    for _ in range(200):
        frac = int(rng.integers(-50, 80))
        raw = rng.integers(-(2**62), 2**62, size=9) >> int(rng.integers(0, 60))
        for dtype, bits in ((np.float32, 24), (np.float64, 53)):
            found = to_real(raw, frac, dtype)
            for code, y in zip(raw.tolist(), found.tolist(), strict=True):
                excess = max(abs(code).bit_length() - bits, 0)
                nearest = round(Fraction(code, 1 << excess)) << excess
                assert Fraction(y) == nearest * Fraction(2) ** -frac
    assert to_real(np.array(3), 1, np.float32) == 1.5
