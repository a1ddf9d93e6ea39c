"""Formats: bounds, every notation that is read, growth, and each way to get one wrong."""

from __future__ import annotations

import warnings
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from fxsim import growth
from fxsim.casting import from_double
from fxsim.formats import SQ, UQ, Format, Overflow, Rounding, from_kif, from_qonnx

WRITTEN = {
    "ap_fixed<16,6>": Format(16, 6),
    "ap_fixed<16,6,AP_RND,AP_SAT>": Format(16, 6, True, Rounding.RND, Overflow.SAT),
    "ap_fixed< 16 , 6 , AP_RND_CONV , AP_WRAP_SM , 3 >": Format(16, 6, True, "RND_CONV", "WRAP_SM", 3),  # type: ignore[arg-type]
    "ap_ufixed<8,0>": Format(8, 0, False),
    "ap_ufixed<8,-3,AP_TRN_ZERO>": Format(8, -3, False, Rounding.TRN_ZERO),
    "ap_fixed<4,9>": Format(4, 9),
    "ap_int<7>": Format(7, 7),
    "ap_uint<1>": Format(1, 1, False),
    "fixed<16,6,RND,SAT,0>": Format(16, 6, True, Rounding.RND, Overflow.SAT),
    "ufixed<9,2,TRN,WRAP,2>": Format(9, 2, False, saturation_bits=2),
    "int<12>": Format(12, 12),
    "uint<12>": Format(12, 12, False),
    "ac_fixed<8,3>": Format(8, 3),
    "ac_fixed<8,3,false,AC_RND_CONV_ODD,AC_SAT_SYM>": Format(
        8, 3, False, Rounding.RND_CONV_ODD, Overflow.SAT_SYM
    ),
    "ac_fixed<8,3,true,AC_TRN>": Format(8, 3),
    "ac_int<8,false>": Format(8, 8, False),
    "ac_int<8>": Format(8, 8),
    "SQ1.7": Format(8, 1),
    "UQ0.8": Format(8, 0, False),
    "SQ-2.10": Format(8, -2),
    "UQ9.-1": Format(8, 9, False),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_parse_reads_every_notation(text: str) -> None:
    assert Format.parse(text) == WRITTEN[text]


def test_str_is_canonical_and_read_back() -> None:
    assert str(Format.parse("fixed<16,6,RND,SAT>")) == "ap_fixed<16,6,AP_RND,AP_SAT,0>"
    assert str(UQ(0, 8)) == "ap_ufixed<8,0,AP_TRN,AP_WRAP,0>"
    for signed, rounding, overflow, n in product((True, False), Rounding, Overflow, (0, 2)):
        if signed or overflow is not Overflow.WRAP_SM:
            fmt = Format(5, -1, signed, rounding, overflow, n)
            assert Format.parse(str(fmt)) == fmt


@pytest.mark.parametrize(
    "text",
    ["", "16,6", "ap_fixed<16>", "ap_fixed<16,6", "ap_fixed<a,6>", "ap_fixed<16,6,AP_RND,AP_SAT,x>",
     "float<8,3>", "ap_fixed<1,2,AP_TRN,AP_WRAP,0,0>", "ap_int<8,3>", "ac_ufixed<8,3>", "ac_fixed<8,3,maybe>",
     "Q1.7",
     "SQ1", "ap_fixed<16.5,6>", "ap_fixed<>", "ap_fixed<16,6,AP_RND,AP_SAT,-1>"],
)  # fmt: skip
def test_parse_shows_what_it_reads(text: str) -> None:
    with pytest.raises(ValueError, match="format must be written as ap_fixed<W,I") as caught:
        Format.parse(text)
    assert repr(text) in str(caught.value)


def test_bad_modes_and_numbers_are_named() -> None:
    with pytest.raises(ValueError, match=r"rounding must be one of TRN, .*, not 'AP_UP'"):
        Format.parse("ap_fixed<8,3,AP_UP>")
    with pytest.raises(ValueError, match=r"overflow must be one of WRAP, .*, not 'SATURATE'"):
        Format(8, 3, overflow="SATURATE")  # type: ignore[arg-type]
    for width in (0, -1):
        with pytest.raises(ValueError, match=f"width must be at least 1, not {width}"):
            Format(width, 0)
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        Format.parse("ap_fixed<0,0>")
    with pytest.raises(ValueError, match="width must be at least 1, not -2"):
        SQ(3, -5)
    with pytest.raises(ValueError, match=r"saturation_bits must be in 0\.\.8, not 9"):
        Format(8, 3, saturation_bits=9)
    with pytest.raises(ValueError, match="for an unsigned format, not WRAP_SM"):
        UQ(3, 5, overflow="WRAP_SM")
    with pytest.raises(ValueError, match="k must be 0"):
        from_kif(2, 1, 1)


@pytest.mark.parametrize("bad", [8.0, "8", True, None, np.float32(8)])
def test_numbers_must_be_integers(bad: Any) -> None:
    with pytest.raises(TypeError, match="width must be an integer"):
        Format(bad, 3)
    with pytest.raises(TypeError, match="int_bits must be an integer"):
        Format(8, bad)
    with pytest.raises(TypeError, match="frac_bits must be an integer"):
        SQ(8, bad)


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="signed must be a bool"):
        Format(8, 3, "yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text must be a string"):
        Format.parse(16)  # type: ignore[arg-type]


def test_bounds_and_point() -> None:
    assert (SQ(1, 7).lo, SQ(1, 7).hi, SQ(1, 7).frac, SQ(1, 7).lsb) == (-128, 127, 7, Fraction(1, 128))
    assert (UQ(3, 0).lo, UQ(3, 0).hi, Format(4, 9).frac, Format(4, 9).lsb) == (0, 7, -5, 32)
    assert (SQ(1, 0).lo, SQ(1, 0).hi) == (-1, 0)
    assert (SQ(100, 0).lo, UQ(100, 0).hi) == (-(2**99), 2**100 - 1)
    assert hash(Format(np.int64(8), 3)) == hash(Format(8, 3))  # type: ignore[arg-type]
    assert SQ(4, 4).replace(overflow=Overflow.SAT) == SQ(4, 4, overflow="AP_SAT")


def test_kif_counts_integer_bits_without_the_sign() -> None:
    assert from_kif(1, 3, 4) == SQ(4, 4) == Format(8, 4)
    assert from_kif(0, 3, 4, rounding="RND", overflow="SAT") == UQ(3, 4, rounding="RND", overflow="SAT")
    assert from_kif(1, -3, 4) == Format(2, -2)


QONNX_MODES = ["ROUND", "HALF_EVEN", "FLOOR", "DOWN", "HALF_UP", "HALF_DOWN", "round"]


@pytest.mark.parametrize("mode", QONNX_MODES)
def test_qonnx_quant_is_the_same_function(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        from qonnx.custom_op.general.quant import quant
    for bits, signed, narrow, scale in product((1, 2, 4), (True, False), (True, False), (0.25, 1.0, 4.0)):
        if (signed and bits == 1) or (narrow and not signed):
            continue
        fmt = from_qonnx(bits, signed=signed, narrow=narrow, rounding_mode=mode, scale=scale)
        x = np.arange(-80, 81) * scale / 8
        want = quant(x, np.array(scale), np.array(0.0), np.array(float(bits)), signed, narrow, mode)
        np.testing.assert_array_equal(from_double(x, fmt) * float(fmt.lsb), want)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounding_mode": "CEIL"}, "rounding_mode must be one of .*, not 'CEIL' .*no fixed-point format"),
        ({"rounding_mode": "UP"}, "not 'UP'"),
        ({"rounding_mode": "NEAREST"}, "not 'NEAREST'"),
        ({"scale": 0.3}, "scale must be a power of two, not 0.3"),
        ({"scale": -2.0}, "scale must be a power of two"),
        ({"bits": 3.5}, "bits must be a whole number, not 3.5"),
        ({"bits": 1}, "bipolar"),
        ({"bits": 0}, "width must be at least 1, not 0"),
        ({"signed": False, "narrow": True}, "narrow must be False for an unsigned"),
    ],
)
def test_qonnx_without_a_format_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_qonnx(**{"bits": 4, "signed": True, **changes})


SMALL = [Format(w, i, s) for w in (1, 2, 3) for i in (-1, 0, 1, 4) for s in (True, False)]


def values(f: Format) -> list[Fraction]:
    return [raw * f.lsb for raw in range(f.lo, f.hi + 1)]


def holds(f: Format, all_values: list[Fraction]) -> bool:
    raws = [v / f.lsb for v in all_values]
    return all(r.denominator == 1 and f.lo <= r <= f.hi for r in raws)


@pytest.mark.parametrize("a", SMALL, ids=str)
def test_growth_holds_every_result_and_is_as_wide_as_the_headers_say(a: Format) -> None:
    assert holds(growth.neg_format(a), [-x for x in values(a)])
    assert holds(growth.sum_format(a, 5), [5 * x for x in values(a)])
    for b in SMALL:
        pairs = list(product(values(a), values(b)))
        assert holds(growth.mul_format(a, b), [x * y for x, y in pairs])
        assert holds(growth.add_format(a, b), [x + y for x, y in pairs])
        assert holds(growth.sub_format(a, b), [x - y for x, y in pairs])
        assert holds(growth.union_format(a, b), values(a) + values(b))
        product_, sum_ = growth.mul_format(a, b), growth.add_format(a, b)
        assert (product_.width, product_.int_bits) == (a.width + b.width, a.int_bits + b.int_bits)
        assert sum_.frac == max(a.frac, b.frac) and growth.sub_format(a, b).signed
        assert growth.div_format(a, b).frac == a.frac - min(b.frac, 0)
    with pytest.raises(ValueError, match="terms must be at least 1, not 0"):
        growth.sum_format(a, 0)
