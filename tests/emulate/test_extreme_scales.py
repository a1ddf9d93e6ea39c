"""Real values beyond what float64 or the fast paths hold: exact or refused, never rounded in silence."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format, FxArray, Graph
from fxsim.boundary import Affine, FormatEncoder, QuantEncoder


def identity(fmt: Format) -> Graph:
    return fxsim.trace(lambda x: x, fmt)


@pytest.mark.parametrize("dtype", ["i8", "u8", ">i8", ">u8", object])
def test_integers_beyond_53_bits_reach_the_codes_as_they_are(dtype: Any) -> None:
    big = np.array([2**53 + 1, 2**60 - 1, 5], dtype)
    assert FormatEncoder(SQ(62, 0)).encode(big, "x").tolist() == [2**53 + 1, 2**60 - 1, 5]
    with pytest.raises(OverflowError, match="9007199254740993"):
        identity(SQ(62, 0)).run(big)
    # What is then cast to few bits is held again: the low bit, which float64 would lose.
    low = fxsim.trace(lambda x: x.cast(UQ(2, 0)), SQ(62, 0))
    assert low.run(big).tolist() == [1, 3, 1]


def test_unsigned_integers_beyond_int64() -> None:
    low = fxsim.trace(lambda x: x.cast(UQ(8, 0)), UQ(64, 0))
    assert low.run(np.array([2**64 - 1, 2**63 + 1], np.uint64)).tolist() == [255, 1]
    assert low.run([2**64 - 1, 2**63 + 1]).tolist() == [255, 1]
    with pytest.raises(ValueError, match=r"not 18446744073709551616 at index \(1,\)"):
        low.run([0, 2**64])


@pytest.mark.parametrize("x", [2.0**1000, -(2.0**1000), 2.0**930, 1.0])
def test_a_value_far_outside_a_tiny_format_is_refused(x: float) -> None:
    with pytest.raises(ValueError, match=r"input 'x' must lie in .* at index \(0,\)"):
        identity(Format(8, -100)).run(np.array([x]))


@pytest.mark.parametrize("overflow", ["WRAP", "WRAP_SM"])
def test_every_code_just_outside_is_refused(overflow: str) -> None:
    encoder = FormatEncoder(Format(3, 70, overflow=overflow))  # of negative frac, so without the fast path
    unit = 2.0**67
    assert encoder.encode(np.arange(-4, 4) * unit, "x").tolist() == list(range(-4, 4))
    for q in (*range(-30, -4), *range(4, 30)):
        with pytest.raises(ValueError, match="must lie in"):
            encoder.encode(np.array([q * unit]), "x")


@pytest.mark.parametrize("fmt", [Format(4, 1028), Format(4, 1026, False)])
def test_bounds_beyond_the_exponents_of_float64_are_spelled_out(fmt: Format) -> None:
    with pytest.raises(ValueError, match=rf"\.\.{fmt.hi} \* 2\*\*{-fmt.frac} .* not {2**1030} at index"):
        identity(fmt).run([2**1030])


def test_real_values_that_float64_does_not_hold_are_refused() -> None:
    square = fxsim.trace(lambda x: x * x, Format(8, -1000))
    assert square.run(np.array([0.0])).tolist() == [0.0]
    with pytest.raises(OverflowError, match=r"raw code 9 times 2\*\*-2016 .* run_raw"):
        square.run(np.array([3 * 2.0**-1008]))
    with pytest.raises(OverflowError, match=r"raw code 5 times 2\*\*1992 .* run_raw"):
        identity(Format(8, 2000)).output_affines[0].apply(np.array([5]), -1992, 0)
    assert identity(Format(8, -1066)).run(np.array([3 * 2.0**-1074])).tolist() == [3 * 2.0**-1074]
    wide = Affine().apply(np.array([3 << 1100, 0], object), 1000, 0)
    assert wide.tolist() == [3 * 2.0**100, 0.0]
    with pytest.raises(OverflowError, match="beyond float64"):
        Affine((Fraction(3, 7),)).apply(np.array([1 << 1100], object), 0, 0)


@pytest.mark.parametrize("code", [1, -3, 2**53, 2**53 + 1, -(2**53) - 1, 2**61 + 2**8, 2**61 + 2**9, 3 << 99])
@pytest.mark.parametrize("frac", [-900, 0, 30, 1074, 1080])
def test_eager_and_graph_hold_the_same_reals(code: int, frac: int) -> None:
    width = code.bit_length() + 2
    x = FxArray(code, Format(width, width - frac))
    value = Fraction(code) * Fraction(2) ** -frac
    try:
        held = Fraction(float(value)) == value
    except OverflowError:
        held = False
    if held:
        assert x.to_numpy() == value
        assert Affine().apply(x.codes[None], frac, 0).tolist() == [float(value)]
        return
    with pytest.raises(OverflowError):
        x.to_numpy()
    with pytest.raises(OverflowError):
        Affine().apply(x.codes[None], frac, 0)


def test_longer_floats_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="input 'x' must be floats of at most 64 bits, not"):
        identity(SQ(4, 4)).run(np.ones(3, np.longdouble))


@pytest.mark.parametrize("name", ["graph", "self", "x"])
def test_an_input_may_have_any_name(name: str) -> None:
    b = fxsim.trace(lambda x: x + 1, SQ(8, 0))
    g = fxsim.trace(eval(f"lambda {name}: {name} + 1"), SQ(8, 0))
    assert g.run(**{name: 3}) == g.run_raw(**{name: 3}) == b.run(3) == 4
    assert g.codes(**{name: 3}) == {}


def test_rows_of_different_lengths_name_the_input() -> None:
    g = fxsim.trace(lambda x: x, SQ(8, 0), shape=(2,))
    for call in (g.run, g.run_raw):
        with pytest.raises(ValueError, match=r"input 'x' must have shape \('batch', 2\)"):
            call([[1, 2], [3]])


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_scales_of_an_input_quantizer_lie_along_its_axis(axis: int) -> None:
    x = np.arange(24.0).reshape(4, 2, 3)
    n = x.shape[1:][axis]
    scale = [2.0**-k for k in range(n)]
    codes = QuantEncoder(tuple(scale), (0.0,) * n, -(1 << 15), (1 << 15) - 1, axis=axis).encode(x, "x")
    by_hand = x / np.array(scale).reshape((-1, 1) if axis % 2 == 0 else (-1,))
    assert codes.tolist() == by_hand.tolist()


def test_an_input_quantizer_of_32_bits_saturates_at_its_own_bounds() -> None:
    encoder = QuantEncoder((0.5,), (0.0,), -(2**31), 2**31 - 1)
    assert encoder.encode(np.array([1e300, -1e300, 2.0**40, 3.0]), "x").tolist() == [
        2**31 - 1, -(2**31), 2**31 - 1, 6,
    ]  # fmt: skip


@pytest.mark.parametrize("axis", [2, -3])
def test_scales_of_an_output_need_an_axis_that_exists(axis: int) -> None:
    affine = Affine((Fraction(1), Fraction(2)), (Fraction(0),), axis)
    with pytest.raises(ValueError, match=rf"axis must be in -2\.\.1, not {axis}"):
        affine.apply(np.arange(8).reshape(2, 2, 2), 0, 2)
