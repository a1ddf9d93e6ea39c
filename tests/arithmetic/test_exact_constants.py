"""Constants are exact or refused: no float64 on the way rounds them."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format
from fxsim.constants import to_raw
from fxsim.trace import Builder


def test_longer_floats_are_no_constants() -> None:
    long = np.array([np.longdouble(1) + np.longdouble(2) ** -60])
    with pytest.raises(TypeError, match="constant must be floats of at most 64 bits"):
        to_raw(long)
    with pytest.raises(TypeError, match="at most 64 bits"):
        fxsim.trace(lambda x: x * long, SQ(4, 0))
    with pytest.raises(TypeError, match="64"):
        fxsim.constant(long, SQ(4, 4))


def test_a_constant_that_float64_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"held by float64, not {2**58 - 1} \* 2\*\*-58"):
        fxsim.constant([0.5, 10.0], SQ(1, 58, overflow="SAT"))
    with pytest.raises(ValueError, match=f"not {2**60 + 1}"):
        fxsim.constant(2**60 + 1)
    assert fxsim.constant([2**60, 3], SQ(70, 0)).tolist() == [2.0**60, 3.0]
    assert fxsim.constant([0.3, -9.0], SQ(1, 7, overflow="SAT")).tolist() == [38 / 128, -1.0]


@pytest.mark.parametrize("values", [[2**60 + 1], np.array([2**60 + 1]), np.array([2**64 - 1], np.uint64)])
def test_integers_are_quantized_as_they_are(values: object) -> None:
    c = Builder().constant(values, UQ(64, 0))
    assert c.type.lo.tolist() == np.asarray(values).tolist()
    low = Builder().constant(values, UQ(3, 0))
    assert low.type.lo.tolist() == [int(v) % 8 for v in np.asarray(values).tolist()]


@pytest.mark.parametrize("swap", [False, True])
def test_cast_needs_formats(swap: bool) -> None:
    src, dst = (SQ(8, 0), "ap_fixed<4,4>") if swap else ("ap_fixed<8,8>", SQ(4, 0))
    with pytest.raises(TypeError, match=f"{'dst' if swap else 'src'} must be a fxsim.Format, not 'ap_fixed"):
        fxsim.cast([1], src, dst)  # type: ignore[arg-type]
    assert fxsim.cast(5, Format(8, 8), Format(3, 3)) == -3
