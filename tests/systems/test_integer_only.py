"""I-BERT's integer forms against the authors' steps written in Python integers, and in every reading."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from math import floor, isqrt

import numpy as np
import pytest

from fxsim import SQ, UQ, TensorType, trace
from fxsim.integers import to_object
from fxsim.layers.ibert import IntExp, IntGelu, IntSoftmax
from fxsim.layers.layer_norm import IntLayerNorm, integer_sqrt
from tests.agreement import readings

NEGATIVE = TensorType((), 0, np.array(-2047), np.array(0), 0)


@cache
def int_exp(q, scale, cap=30):
    """`int_exp` and `int_polynomial` of the source, with exact rationals for its float constants."""
    a, b, c = Fraction(35815147, 10**8), Fraction(96963238, 10**8), Fraction(1)
    x0 = floor(Fraction(-6931, 10000) / scale)
    q = max(q, cap * x0)
    n = q // x0
    r = q - x0 * n
    z = (r + floor(b / a / scale)) * r + floor(c / a / scale**2)
    return max(z * 2 ** (cap - n), 0)


@cache
def int_gelu(q, scale, drop=14):
    """`int_erf` and `forward` of IntGELU, the product negated as the unit has it."""
    a, b = Fraction(-2888, 10000), Fraction(-1769, 1000)
    s = scale / Fraction(14142, 10000)
    b_int, c_int = floor(b / s), floor(1 / a / s**2)
    sign = (q > 0) - (q < 0)
    y = sign * ((min(abs(q), -b_int) + b_int) ** 2 + c_int)
    y = floor(Fraction(y, 2**drop))
    erf_scale = s * s * a * 2**drop
    return -q * (y + floor(1 / erf_scale)), -scale * erf_scale / 2


def int_softmax(row, scale, bits=8, cap=30):
    a = Fraction(35815147, 10**8)
    exps = [int_exp(q - max(row), scale, cap) for q in row]
    unit = IntSoftmax(scale, bits, cap).to_codes
    assert abs(unit.factor / (a * scale**2 * Fraction(2) ** (15 - cap)) - 1) <= Fraction(1, 1 << 16)
    codes = [min((2 * e * unit.multiplier + 2**unit.shift) >> (unit.shift + 1), 2**15 - 1) for e in exps]
    factor = 2**32 // sum(codes)
    return [c * factor >> (32 - bits) for c in codes]


def int_layer_norm(row, shift=0, factor_bits=31, bias=0):
    n = len(row)
    mean = floor(Fraction(sum(row), n) + Fraction(1, 2))
    y = [v - mean for v in row]
    std = isqrt(sum((v >> shift) ** 2 for v in y)) << shift
    factor = 2**factor_bits // std if std else 0
    return [(v * factor >> 1) + b for v, b in zip(y, np.broadcast_to(bias, n).tolist(), strict=True)]


SCALE = Fraction(1, 16)
EXP, FINE = IntExp(SCALE), IntExp(Fraction(1, 100), cap=12)
GELU, COARSE = IntGelu(Fraction(1, 64)), IntGelu(SCALE, drop=6)
SOFTMAX = IntSoftmax(SCALE)
SMALL = IntSoftmax(Fraction(1, 4), bits=6, cap=8)
NORM = IntLayerNorm(3, bias=[5, -3, 100])
SHIFTED = IntLayerNorm(3, shift=1, factor_bits=16)


def units(q, g, three, v):
    return (
        EXP(q, "exp"),
        FINE(q, "exp_fine"),
        GELU(g, "gelu"),
        COARSE(g, "gelu_coarse"),
        SMALL(three, "softmax"),
        NORM(three, "norm"),
        SHIFTED(three, "norm_shifted"),
        integer_sqrt(v),
    )


@pytest.fixture(scope="module")
def graph():
    types = (
        NEGATIVE, *(TensorType.of(f, s) for f, s in
        ((SQ(10, 0), ()), (SQ(5, 0), (3,)), (UQ(13, 0), ()))),
    )  # fmt: skip
    return trace(units, *types)


def stimulus(n=1 << 15):
    """Every code of every input: 11, 10 and 13 bits, and three elements of 5 bits."""
    k = np.arange(n)
    three = (k[:, None] >> np.array([0, 5, 10])) % 32 - 16
    return [-(k % 2048), k % 1024 - 512, three, k % 8192]


def test_graph_is_the_reference(graph):
    raw = stimulus()
    q, g, three, v = (a.tolist() for a in raw)
    got = readings.emulator(graph, raw)
    want = [
        [int_exp(x, EXP.scale) for x in q],
        [int_exp(x, FINE.scale, 12) for x in q],
        [int_gelu(x, GELU.scale)[0] for x in g],
        [int_gelu(x, COARSE.scale, 6)[0] for x in g],
        [int_softmax(r, Fraction(1, 4), 6, 8) for r in three],
        [int_layer_norm(r, bias=[5, -3, 100]) for r in three],
        [int_layer_norm(r, 1, 16) for r in three],
        [isqrt(x) for x in v],
    ]
    for name, x, y in zip(graph.output_names, got, want, strict=True):
        assert to_object(x).tolist() == y, name


def test_wider_rows_are_the_reference():
    rng = np.random.default_rng(5)
    rows = rng.integers(-128, 128, (1000, 8))
    rows[:200] = rng.integers(-4, 4, (200, 8))
    rows[200:202] = [[127] * 8, [-128] * 7 + [127]]
    norm = IntLayerNorm(8, shift=2)
    soft, normed = trace(lambda x: (SOFTMAX(x), norm(x)), SQ(8, 0), shape=(8,)).run_raw(rows)
    assert to_object(soft).tolist() == [int_softmax(r, SCALE) for r in rows.tolist()]
    assert to_object(normed).tolist() == [int_layer_norm(r, 2) for r in rows.tolist()]


def test_every_value_keeps_its_type(graph):
    raw = stimulus(3000)
    assert not readings.disagreement(graph, readings.reference(graph, raw), readings.emulator(graph, raw))


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp], ids=lambda r: r.__name__)
def test_readings(graph, reading):
    raw = stimulus()
    assert not readings.disagreement(graph, readings.emulator(graph, raw), reading(graph, raw))


def test_constants_of_the_source():
    assert (EXP.ln2, EXP.constants) == (12, (43, 714))
    assert EXP.out_scale == Fraction(35815147, 10**8) / 256 / (1 << 30)
    b, c, one = GELU.constants
    assert (b, c) == (-161, -28366)  # floors of -1.769 * 64 * 1.4142 and of -(64 * 1.4142)**2 / 0.2888
    assert (
        one == floor(1 / (Fraction(1, 64) / Fraction("1.4142")) ** 2 / Fraction("-0.2888") / (1 << 14)) == -2
    )


def test_error_of_exp_and_gelu():
    """The bounds of the docstrings, over all codes."""
    unit = IntExp(Fraction(1, 1000))
    y = trace(unit, NEGATIVE).run_raw(-np.arange(2048))
    error = [abs(float(int(v) * unit.out_scale) - math.exp(-k / 1000)) for k, v in enumerate(to_object(y))]
    assert max(error) < 0.003
    gelu = IntGelu(Fraction(1, 128), drop=0)
    codes = np.arange(-512, 512)
    y = trace(gelu, SQ(10, 0)).run_raw(codes)
    real = codes / 128 / 2 * (1 + np.array([math.erf(c / 128 / math.sqrt(2)) for c in codes]))
    assert np.abs(to_object(y).astype(float) * float(gelu.out_scale) - real).max() < 0.02


def test_softmax_is_near_the_real_one():
    rng = np.random.default_rng(6)
    rows = rng.integers(-64, 64, (500, 6))
    y = trace(SOFTMAX, SQ(8, 0), shape=(6,)).run_raw(rows)
    power = np.exp(rows / 16.0)
    assert np.abs(y / 256 - power / power.sum(-1, keepdims=True)).max() < 0.04


def test_layer_norm_is_near_the_real_one():
    rng = np.random.default_rng(7)
    rows = rng.integers(-128, 128, (300, 16))
    unit = IntLayerNorm(16)
    y = to_object(trace(unit, SQ(8, 0), shape=(16,)).run_raw(rows)).astype(float) * float(unit.out_scale)
    real = (rows - rows.mean(-1, keepdims=True)) / rows.std(-1, keepdims=True)
    assert np.abs(y - real).max() < 0.02
    assert float(unit.out_scale) == 4 * 2.0**-30


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 12, 24, 100])
def test_mean_is_exact_for_every_sum(size):
    """The certified factor rounds sum / size as the rational does, ties up."""
    unit = IntLayerNorm(size)
    x = TensorType((size,), 0, np.full(size, -8), np.full(size, 7), 0)
    g = trace(unit._mean, x)
    sums = np.arange(-8 * size, 7 * size + 1)
    rows = np.array([np.clip(s - 15 * np.arange(size) + 8 * size, 0, 15) - 8 for s in sums])
    assert np.array_equal(rows.sum(-1), sums)
    assert g.run_raw(rows).tolist() == [floor(Fraction(int(s), size) + Fraction(1, 2)) for s in sums]


@pytest.mark.parametrize("width", [1, 2, 3, 7, 16])
def test_square_roots(width):
    g = trace(integer_sqrt, UQ(width, 0))
    assert g.run_raw(np.arange(1 << width)).tolist() == [isqrt(k) for k in range(1 << width)]
    assert g.outputs[0].type.bounds[1] < 1 << (width + 1) // 2


def test_wide_square_roots():
    g = trace(integer_sqrt, UQ(60, 0))
    values = [0, 1, (1 << 60) - 1, (1 << 58) - 1, 1 << 58]
    values += [s * s + d for s in (3, 1 << 20, 987654321) for d in (-1, 0, 1)]
    assert g.run_raw(np.array(values)).tolist() == [isqrt(v) for v in values]


def test_no_deviation_gives_the_bias():
    assert trace(NORM, SQ(8, 0), shape=(3,)).run_raw([[9, 9, 9]]).tolist() == [[5, -3, 100]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntExp(0), "scale of IntExp must be one positive number, not 0"),
        (lambda: IntExp(0.7), "scale of IntExp must be at most 0.6931"),
        (lambda: IntExp(0.1, cap=0), r"cap of IntExp must be an integer in 1\.\.62, not 0"),
        (lambda: IntGelu(Fraction(1, 16)), r"scale of IntGelu with drop 14 must make steps .* smaller drop"),
        (lambda: IntGelu(0.01, drop=-1), "drop of IntGelu must be an integer of at least 0, not -1"),
        (lambda: IntSoftmax(0.1, bits=17), r"bits of IntSoftmax must be an integer in 1\.\.16, not 17"),
        (lambda: IntSoftmax(-1), "scale of IntExp must be one positive number"),
        (lambda: IntLayerNorm(0), "size of IntLayerNorm must be an integer of at least 1, not 0"),
        (lambda: IntLayerNorm(2, shift=-1), "shift of IntLayerNorm must be an integer of at least 0, not -1"),
        (lambda: IntLayerNorm(2, factor_bits=1), "factor_bits of IntLayerNorm must be .* at least 2, not 1"),
        (lambda: IntLayerNorm(2, bias=[1, 2, 3]), "bias must be one integer or 2"),
        (lambda: trace(EXP, SQ(4, 0)), "operand of IntExp must be proven at most 0"),
        (lambda: trace(SOFTMAX, SQ(4, 0)), "operand of IntSoftmax must have a last axis"),
        (lambda: trace(NORM, SQ(4, 0), shape=(4,)), "operand must have 3 elements last"),
        (lambda: trace(integer_sqrt, SQ(4, 0)), "operand of integer_sqrt must be proven at least 0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
