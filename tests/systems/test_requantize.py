"""Affine codes and requantization: worked numbers, exact certificates, and one graph in every reading."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from fxsim import SQ, UQ, quantizers, trace
from fxsim.layers.affine_product import affine_matmul
from fxsim.layers.dyadic import Dyadic, certify, differ, least_bits
from fxsim.layers.requantize import requantize
from fxsim.quantizers.affine import Affine, AffinePerChannel
from tests.agreement import readings

M = 0.0037
FACTOR = Dyadic.of(M)


def clip(v, lo=-128, hi=127):
    return min(max(v, lo), hi)


def single(acc, m, e, zero=0, lo=-128, hi=127):
    """The real definition: floor(acc * m / 2**e + 1/2)."""
    return clip(zero + floor(Fraction(acc * m, 1 << e) + Fraction(1, 2)), lo, hi)


def srdhm(a, b):
    """gemmlowp's SaturatingRoundingDoublingHighMul as its C++ has it: a nudge, then a truncation."""
    if a == b == -(1 << 31):
        return (1 << 31) - 1
    ab = a * b
    nudged = ab + ((1 << 30) if ab >= 0 else 1 - (1 << 30))
    return abs(nudged) // (1 << 31) * (1 if nudged >= 0 else -1)


def divide_by_pot(x, k):
    """gemmlowp's RoundingDivideByPOT: mask, remainder, threshold."""
    mask = (1 << k) - 1
    remainder, threshold = x & mask, (mask >> 1) + (x < 0)
    return (x >> k) + (remainder > threshold)


def gemmlowp(acc, m, e, zero=0, lo=-128, hi=127):
    return clip(zero + divide_by_pot(srdhm(acc << max(31 - e, 0), m), max(e - 31, 0)), lo, hi)


def test_worked_numbers():
    assert (FACTOR.multiplier, FACTOR.shift) == (2034096511, 39)
    want = {12345: 46, -12345: -46, 135: 0, 405: 1}
    assert {a: FACTOR.code(a) for a in want} == want
    twice = {135: 1, 405: 2, -135: -1}
    assert {a: FACTOR.code(a, "gemmlowp") for a in twice} == twice
    assert Dyadic.of(M, 1) == Dyadic(1, 8)
    assert Dyadic.of(0.75, 1) == Dyadic(1, 0)  # ties of the mantissa go up
    assert Dyadic.of(Fraction(3, 4), 2) == Dyadic(3, 2)


def test_codes_of_the_python_object_are_the_c_code():
    rng = np.random.default_rng(1)
    for e in (31, 32, 33, 36, 39, 44):
        m = int(rng.integers(1 << 30, 1 << 31))
        ties = [((2 * k + 1) << e - 1) // m + d for k in range(-5, 5) for d in (-1, 0, 1)]
        for acc in [*map(int, rng.integers(-(1 << 31), 1 << 31, 300)), *ties, -(1 << 31), (1 << 31) - 1]:
            assert clip(Dyadic(m, e).code(acc)) == single(acc, m, e)
            assert clip(Dyadic(m, e).code(acc, "gemmlowp")) == gemmlowp(acc, m, e)


@pytest.mark.parametrize("factor", [0.3, 0.071, Fraction(1, 3), Fraction(1, 16), 0.9])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_certificate_is_the_enumeration(factor, bits):
    d = Dyadic.of(factor, bits)
    lo, hi, real = -700, 650, Fraction(factor)
    codes = [clip(floor(a * real + Fraction(1, 2)), -32, 31) for a in range(lo, hi + 1)]
    bad = [
        a
        for a, c in zip(range(lo, hi + 1), codes, strict=True)
        if c != single(a, d.multiplier, d.shift, 0, -32, 31)
    ]
    found = certify(d, factor, lo, hi, -32, 31)
    assert (found.count, found.first) == (len(bad), min(map(abs, bad), default=None))
    assert found.exact == (not bad) and found.rate == Fraction(len(bad), hi - lo + 1)
    inside = [a for s, e in found.examples for a in range(s, e + 1)]
    assert inside == bad[: len(inside)] and len(found.examples) <= 8


@pytest.mark.parametrize("e", [30, 31, 32, 33, 35])
def test_modes_differ_where_the_enumeration_says(e):
    d = Dyadic(1718281829, e)
    bad = [a for a in range(-3000, 3001) if clip(d.code(a)) != gemmlowp(a, d.multiplier, e)]
    found = differ(d, -3000, 3000, -128, 127)
    assert (found.count, found.first) == (len(bad), min(map(abs, bad), default=None))
    real = certify(d, d.factor, -3000, 3000, -128, 127, "gemmlowp")
    assert real.count == len(bad)


def int8_range(factor):
    """Accumulators whose codes do not saturate."""
    return -floor(Fraction(255, 2) / Fraction(factor)), floor(Fraction(255, 2) / Fraction(factor))


@pytest.mark.parametrize(
    ("low", "high", "rate"), [(2**-12, 2**-8, 0.0012), (2**-8, 2**-4, 0.022), (2**-4, 2**-1, 0.19)]
)
def test_rate_of_double_rounding(low, high, rate):
    """The rates of the worked numbers, here exact over all accumulators, for 200 uniform factors."""
    factors = np.random.default_rng(2).uniform(low, high, 200)
    rates = [differ(Dyadic.of(f), *int8_range(f), -128, 127).rate for f in factors]
    assert abs(float(sum(rates)) / 200 - rate) < rate / 6


@pytest.mark.parametrize(("bits", "rate"), [(8, 0.087), (12, 0.005), (16, 0.0004)])
def test_rate_of_few_multiplier_bits(bits, rate):
    factors = np.random.default_rng(3).uniform(2**-12, 2**-6, 200)
    rates = [
        certify(Dyadic.of(f, bits), Dyadic.of(f).factor, *int8_range(f), -128, 127).rate for f in factors
    ]
    assert abs(float(sum(rates)) / 200 - rate) < rate / 4


def test_least_bits_is_certified_and_least():
    lo, hi = -(1 << 15), (1 << 15) - 1
    d = least_bits(M, lo, hi, -128, 127)
    n = d.multiplier.bit_length()
    assert certify(d, M, lo, hi, -128, 127).exact
    assert not certify(Dyadic.of(M, n - 1), M, lo, hi, -128, 127).exact
    with pytest.raises(ValueError, match="multiplier of at most 3 bits that is exact"):
        least_bits(M, lo, hi, -128, 127, most=3)


CHANNELS = (Dyadic.of(0.0037, 16), Dyadic.of(0.4, 8), Dyadic.of(Fraction(1, 3), 12))
DOUBLE = (Dyadic.of(0.0037), Dyadic.of(0.4), Dyadic.of(0.7))
W = np.array([[3, -128, 0], [127, 5, -7], [-1, 64, 100], [17, -90, 2]])
ZW, BIAS, ZA = np.array([0, 3, -128]), np.array([1000, -5, 0]), 7


def units(acc, row, a, w):
    codes = a.reshape(4)
    constant = affine_matmul(codes, W, ZA, ZW, BIAS, "constant")
    loaded = affine_matmul(codes, w, ZA, 3, BIAS, "loaded")
    return (
        requantize(acc, FACTOR, name="single"),
        requantize(acc, FACTOR, mode="gemmlowp", name="double"),
        requantize(acc, Dyadic.of(M, 1), zero=-3, name="pot"),
        requantize(acc, Dyadic.of(M, 16), zero=128, signed=False, name="unsigned"),
        requantize(row, CHANNELS, zero=5, axis=-1, name="channels"),
        requantize(row, DOUBLE, zero=5, axis=0, mode="gemmlowp", name="channels_double"),
        constant,
        loaded,
        requantize(constant, Dyadic.of(0.011, 12), zero=-20, name="codes"),
    )


def stimulus(n):
    rng = np.random.default_rng(4)
    edges = [((2 * k + 1) << 38) // FACTOR.multiplier + d for k in range(-130, 130) for d in (-1, 0, 1)]
    acc = np.concatenate([edges, [-(1 << 31), (1 << 31) - 1, 0, 135, 405, -135]])
    acc = np.concatenate(
        [acc, rng.integers(-40000, 40000, n // 2), rng.integers(-(1 << 31), 1 << 31, n // 2)]
    )
    n = len(acc)
    row = rng.integers(-(1 << 12), 1 << 12, (n, 3))
    a, w = rng.integers(-128, 128, (n, 4)), rng.integers(-8, 8, (n, 4, 3))
    a[:2], w[:2], row[:2] = [[-128], [127]], [[[-8]], [[7]]], [[-4096], [4095]]
    return [acc, row, a, w]


@pytest.fixture(scope="module")
def graph():
    return trace(units, SQ(32, 0), SQ(13, 0), SQ(8, 0), SQ(4, 0), shape=[(), (3,), (4,), (4, 3)])


def test_graph_is_the_reference(graph):
    acc, row, a, w = raw = stimulus(3000)
    got = readings.emulator(graph, raw)
    f16 = Dyadic.of(M, 16)
    want = [
        [single(v, FACTOR.multiplier, 39) for v in acc.tolist()],
        [gemmlowp(v, FACTOR.multiplier, 39) for v in acc.tolist()],
        [single(v, 1, 8, -3) for v in acc.tolist()],
        [single(v, f16.multiplier, f16.shift, 128, 0, 255) for v in acc.tolist()],
        [
            [single(v, c.multiplier, c.shift, 5) for v, c in zip(r, CHANNELS, strict=True)]
            for r in row.tolist()
        ],
        [
            [gemmlowp(v, c.multiplier, c.shift, 5) for v, c in zip(r, DOUBLE, strict=True)]
            for r in row.tolist()
        ],
        ((a - ZA)[:, :, None] * (W - ZW)).sum(1) + BIAS,
        ((a - ZA)[:, :, None] * (w - 3)).sum(1) + BIAS,
    ]
    d = Dyadic.of(0.011, 12)
    want.append([[single(v, d.multiplier, d.shift, -20) for v in r] for r in np.array(want[6]).tolist()])
    for name, x, y in zip(graph.output_names, got, want, strict=True):
        assert np.array_equal(x, y), name


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp], ids=lambda r: r.__name__)
def test_readings(graph, reading):
    raw = stimulus(100_000)
    assert not readings.disagreement(graph, readings.emulator(graph, raw), reading(graph, raw))


def test_blocks_hold_their_parameters(graph):
    blocks = {b.name: b for b in graph.blocks}
    assert blocks["single"].kind == "requantize" and blocks["single"].params["shift"].array.tolist() == [39]
    assert blocks["constant"].params["zero"] == ZA


def test_affine_codec():
    c = Affine(0.5, zero=3, bits=4)
    assert c.encode([0.0, 0.25, 0.75, -10, 10, 1.0]).tolist() == [3, 3, 5, -8, 7, 5]
    assert c.decode([3, 4, -8]).tolist() == [0.0, 0.5, -5.5]
    assert c.quantize([1.0]).tolist() == [2] and c.scale == Fraction(1, 2)
    assert Affine(0.5, rounding="RND_INF").encode([0.25, -0.25]).tolist() == [1, -1]
    u = Affine.fit([-1.0, 2.0], 8, signed=False)
    assert (u.scale, u.zero, u.lo, u.hi) == (Fraction(3, 255), 85, 0, 255)
    assert u.encode([-1.0, 0.0, 2.0]).tolist() == [0, 85, 255]
    s = Affine.symmetric([0.5, -2.0], 8)
    assert s.scale == Fraction(2, 127) and s.encode([-2.0, 2.0, -9.0]).tolist() == [-127, 127, -127]
    assert Affine.fit([1.0, 3.0], 4, signed=False).zero == 0  # 0.0 is always a code
    assert "clip(round(x / scale) + zero)" in quantizers.describe("affine")


def test_every_code_comes_back():
    for c in (Affine(0.1, -3, 5), Affine(Fraction(1, 3), 9, 4, signed=False), Affine(2, 0, 3, narrow=True)):
        codes = np.arange(c.lo, c.hi + 1)
        exact = [c.scale * int(r) for r in c.raw(codes)]
        assert c.encode(np.array(exact, object)).tolist() == codes.tolist()


def test_affine_per_channel():
    values = np.array([[1.0, -8.0, 0.0], [-2.0, 4.0, 0.0]])
    c = AffinePerChannel.symmetric(values, axis=1, bits=4)
    assert c.scales == (Fraction(2, 7), Fraction(8, 7), Fraction(1)) and c.zeros == (0, 0, 0)
    assert c.encode(values).tolist() == [[4, -7, 0], [-7, 4, 0]]  # 3.5 ties to the even 4
    assert c.decode(c.encode(values))[1].tolist() == [-2.0, float(Fraction(32, 7)), 0.0]
    assert c.raw([[1, 2, 3]]).tolist() == [[1, 2, 3]] and c.bits == 4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Affine(0), ValueError, "scale of Affine must be one positive number, not 0"),
        (lambda: Affine(float("nan")), ValueError, "values must be finite"),
        (lambda: Affine(1.0, zero=128), ValueError, r"zero of Affine must be a code, -128\.\.127, not 128"),
        (lambda: Affine(1.0, zero=0.5), TypeError, "zero of Affine must be an integer, not 0.5"),
        (lambda: Affine(1.0, bits=1), ValueError, r"bits of Affine must lie in 2\.\.32, not 1"),
        (lambda: Affine(1.0, signed=False, narrow=True), ValueError, "narrow of Affine must be False"),
        (lambda: Affine.symmetric([0.0]), ValueError, "must not all be zero"),
        (lambda: Affine(1.0).raw([200]), ValueError, r"codes must lie in -128\.\.127, not 200"),
        (lambda: AffinePerChannel(()), TypeError, "channels must be one Affine or more"),
        (lambda: AffinePerChannel((Affine(1), Affine(1, bits=4))), ValueError, "must share bits"),
        (lambda: AffinePerChannel((Affine(1),)).encode([1.0, 2.0]), ValueError, "must have 1 channels"),
        (lambda: Dyadic.of(0), ValueError, "factor must be one positive number, not 0"),
        (lambda: Dyadic.of(0.5, 0), ValueError, r"bits of a multiplier must lie in 1\.\.62, not 0"),
        (lambda: Dyadic.of(300, 8), ValueError, r"factor must be below 2\*\*8"),
        (lambda: Dyadic(0, 3), ValueError, "multiplier of Dyadic must be at least 1, not 0"),
        (lambda: Dyadic(1, -1), ValueError, "shift of Dyadic must be at least 0, not -1"),
        (lambda: Dyadic(1, 2).code(5, "double"), ValueError, "mode must be one of single, gemmlowp"),
        (lambda: certify(FACTOR, M, 1, 0, 0, 1), ValueError, "ranges must not be empty"),
    ],
)  # fmt: skip
def test_bad_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x: requantize(x, FACTOR, zero=200), ValueError, r"zero must be a code, -128\.\.127, not 200"),
        (lambda x: requantize(x, 0.5), TypeError, "factor must be a Dyadic or one per channel"),
        (lambda x: requantize(x, (FACTOR, FACTOR)), ValueError, "axis must name the channels of 2 factors"),
        (lambda x: requantize(x, (FACTOR, FACTOR), axis=0), ValueError, "one per index of axis 0"),
        (lambda x: requantize(x, Dyadic.of(M, 16), mode="gemmlowp"), ValueError, "must have 31 bits, not 16"),
        (lambda x: requantize(x * 16, FACTOR, mode="gemmlowp"), ValueError, "must fit 32 bits"),
        (lambda x: affine_matmul(x, [[1]]), ValueError, "weights must have shape"),
        (lambda x: affine_matmul(x >> 1, W), TypeError, "codes must have frac 0, not 1"),
        (lambda x: affine_matmul(x, np.ones((3, 2), int), bias=[1, 2, 3]), ValueError, "bias must be one"),
        (lambda x: affine_matmul(x, np.ones((3, 2), int), zero=0.5), TypeError, "zero must be an integer"),
    ],
)  # fmt: skip
def test_bad_operands(build, error, message):
    with pytest.raises(error, match=message):
        trace(build, SQ(30, 0), shape=(3,))


def test_unsigned_and_fractions():
    """The raw integers are requantized, whatever the point."""
    g = trace(lambda x: requantize(x, Dyadic(5, 3), bits=4, signed=False), UQ(3, 2))
    assert g.run_raw(np.arange(32)).tolist() == [single(v, 5, 3, 0, 0, 15) for v in range(32)]
