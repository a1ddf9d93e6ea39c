"""Weight codecs: worked numbers, whole code spaces against formulas written here, and bad input."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import quantizers
from fxsim.casting import from_double
from fxsim.integers import IntArray
from fxsim.ops import Cast
from fxsim.quantizers import INQ, APoT, Binary, DeepShift, FixedPoint, KHot, PowerOfTwo, Ternary, digits
from fxsim.quantizers.fields import Fields

NAMES = ("APoT", "DeepShift", "INQ", "K-hot", "binary", "fixed point", "power of two", "ternary")


def test_every_codec_is_described() -> None:
    assert set(NAMES) <= set(quantizers.names())
    for name in NAMES:
        assert quantizers.describe(name).startswith(f"{name}: ")
        assert "value = " in quantizers.describe(name)


# Digits


def test_canonical_signed_digits() -> None:
    assert digits.csd(119) == ((1, 7), (-1, 3), (-1, 0))
    assert digits.csd(0) == ()
    for n in range(-3000, 3001):
        found = digits.csd(n)
        assert digits.value(found) == n
        assert all(a - b > 1 for (_, a), (_, b) in itertools.pairwise(found))
        assert found == _from_the_top(n)
        short = digits.sparse(n)
        assert digits.value(short) == n and len(short) == len(found)
        assert digits.greedy(n, 99) and digits.value(digits.greedy(n, 99)) == n if n else not found


def _from_the_top(n: int) -> tuple[tuple[int, int], ...]:
    """The other form: a digit where the rest passes 2/3 of its weight."""
    found = []
    for i in reversed(range(13)):
        t = 2 * 2**i // 3
        d = (n > t) - (n < -t)
        n -= d << i
        if d:
            found.append((d, i))
    return tuple(found)


@pytest.mark.parametrize(("bits", "signed", "plain"), [(8, 3.11, 4), (12, 4.44, 6), (16, 5.78, 8)])
def test_mean_number_of_digits(bits: int, signed: float, plain: int) -> None:
    counts = [len(digits.csd(n)) for n in range(1 << bits)]
    assert round(float(np.mean(counts)), 2) == signed
    assert max(counts) == bits // 2 + 1
    assert np.mean([n.bit_count() for n in range(1 << bits)]) == plain


def test_sparse_digits_stay_within_the_bits_where_they_can() -> None:
    assert digits.sparse(192) == ((1, 7), (1, 6))
    assert digits.sparse(-96) == ((-1, 6), (-1, 5))
    assert digits.sparse(240) == ((1, 8), (-1, 4))
    for n in range(1, 512):
        least = min(_representations(len(digits.csd(n)))[n])
        assert digits.sparse(n)[0][1] == least, n


_KNOWN: dict[int, dict[int, list[int]]] = {}


def _representations(terms: int) -> dict[int, list[int]]:
    """Integer -> greatest shift of each way to write it with so many signed powers of two."""
    if terms not in _KNOWN:
        found: dict[int, list[int]] = {}
        for shifts in itertools.combinations(range(10), terms):
            for signs in itertools.product((1, -1), repeat=terms):
                total = sum(s << k for s, k in zip(signs, shifts, strict=True))
                found.setdefault(total, []).append(max(shifts))
        _KNOWN[terms] = found
    return _KNOWN[terms]


# K-hot


def _kept(m: int, terms: int, reading: str) -> int:
    codec = KHot(terms, 8, 0, reading)
    return int(codec.quantize(m))


@pytest.mark.parametrize(
    ("m", "truncated", "signed"),
    [
        (91, [64, 80, 88], [64, 96, 92]),
        (119, [64, 96, 112], [128, 120, 119]),
        (183, [128, 160, 176], [128, 192, 184]),
    ],
)
def test_k_hot_vectors(m: int, truncated: list[int], signed: list[int]) -> None:
    assert [_kept(m, k, "truncated") for k in (1, 2, 3)] == truncated
    assert [_kept(m, k, "signed") for k in (1, 2, 3)] == signed
    assert [_kept(-m, k, "signed") for k in (1, 2, 3)] == [-v for v in signed]


@pytest.mark.parametrize(
    ("terms", "reading", "rms", "most"),
    [
        (1, "truncated", 55.5, 127), (1, "nearest", 52.9, 127), (1, "signed", 27.9, 64),
        (2, "truncated", 20.8, 63), (2, "nearest", 19.0, 63), (2, "signed", 5.29, 16),
        (3, "truncated", 7.69, 31), (3, "nearest", 6.79, 31), (3, "signed", 1.03, 4),
        (4, "truncated", 2.77, 15), (4, "nearest", 2.42, 15), (4, "signed", 0.18, 1),
    ],
)  # fmt: skip
def test_k_hot_errors_over_all_magnitudes(terms: int, reading: str, rms: float, most: int) -> None:
    m = np.arange(256)
    codec = KHot(terms, 8, 0, reading)
    kept = codec.quantize(m)
    error = np.abs(kept - m)
    assert error.max() == most
    measured = math.sqrt(float(np.mean(error.astype(float) ** 2)))
    assert f"{measured:.3g}" == f"{rms:.3g}" or round(measured, 2) == rms
    levels = _levels(terms, reading)
    best = np.array([min(abs(v - x) for v in levels) for x in m.tolist()])
    if reading != "truncated":  # then nothing is nearer
        assert np.array_equal(error, best)
    assert np.array_equal(codec.quantize(-m), -kept)
    assert np.array_equal(codec.raw(codec.encode(kept[kept < 256])), kept[kept < 256])
    assert kept.max() <= codec.form.bound <= 256
    assert int(codec.raw(codec.encode(255))) == kept[255]


def _levels(terms: int, reading: str) -> set[int]:
    if reading == "signed":
        reach = {0}
        for _ in range(terms):
            reach |= {v + s for v in reach for k in range(9) for s in (1 << k, -(1 << k))}
        return {v for v in reach if 0 <= v <= 256}
    return {v for v in range(256) if v.bit_count() <= terms}


def test_k_hot_level_counts() -> None:
    assert [len(_levels(k, "truncated")) for k in (1, 2, 3, 4)] == [9, 37, 93, 163]
    assert [len({v for v in _levels(k, "signed") if v < 256}) for k in (1, 2, 3, 4)] == [9, 58, 168, 248]


def test_greedy_digits_that_are_enough_are_exact() -> None:
    for n in range(256):
        assert digits.value(digits.greedy(n, len(digits.csd(n)))) == n


def test_k_hot_fit_and_saturation() -> None:
    codec = KHot.fit([0.3, -0.9], 2)
    assert (codec.N, codec.frac, codec.scale) == (8, 8, 1)
    assert codec.quantize([0.9, 5.0, -5.0, 0.0]).tolist() == [224, 255, -255, 0]
    assert KHot.fit([255.4], 2).frac == 0
    wide = KHot.fit([1000], 2)
    assert (wide.frac, wide.scale) == (0, 4) and wide.decode(wide.encode(1000)) == 992
    assert KHot.fit([Fraction(1, 3)], 3).frac == 9
    assert KHot.fit([255.6], 2).scale == 2


# Powers of two


def test_linear_and_log_rounding() -> None:
    v = [0.72, -0.36, 0.7, 0.0]
    assert PowerOfTwo(-7, 0, "log").decode(PowerOfTwo(-7, 0, "log").encode(v)).tolist() == [1, -0.5, 0.5, 0]
    assert PowerOfTwo(-7, 0).decode(PowerOfTwo(-7, 0).encode(v)).tolist() == [0.5, -0.25, 0.5, 0]
    assert DeepShift().decode(DeepShift().encode(v)).tolist() == [1, -0.5, 0.5, 0]


@pytest.mark.parametrize("rounding", ["linear", "log"])
@pytest.mark.parametrize("small", ["zero", "least"])
@pytest.mark.parametrize(("low", "high"), [(-4, 1), (2, 5), (-6, -3), (0, 0)])
def test_powers_of_two_against_the_formula(rounding: str, small: str, low: int, high: int) -> None:
    codec = PowerOfTwo(low, high, rounding, small)
    values = [Fraction(n, 256) for n in range(-800, 801)] + [Fraction(n) for n in range(-80, 80)]
    got = [Fraction(int(r)) * codec.scale / 2**codec.frac for r in codec.quantize(values)]
    for v, q in zip(values, got, strict=True):
        a = abs(v)
        powers = [Fraction(2) ** e for e in range(low, high + 1)]
        if not a or (small == "zero" and a < powers[0] / 2):
            assert q == 0
            continue
        if rounding == "linear":  # the greatest of the nearest
            distance = min(abs(p - a) for p in powers)
            want = max(p for p in powers if abs(p - a) == distance)
        else:  # the nearest ratio
            want = min(powers, key=lambda p, a=a: max(p / a, a / p))
        assert q == (want if v > 0 else -want), v


def test_deep_shift_ranges() -> None:
    assert [(DeepShift(b).low, DeepShift(b, "PS").low) for b in (2, 3, 4, 5, 6)] == [
        (-1, 0), (-3, -2), (-7, -6), (-15, -14), (-31, -30),
    ]  # fmt: skip
    q = DeepShift(3)
    assert q.decode(q.encode([1e-9, -1e-9, 0, 3.0, -3.0])).tolist() == [0.125, -0.125, 0, 1, -1]
    ps = DeepShift(3, "PS")
    codes = ps.from_parameters([-0.4, -1.5, -2.5, -9, 3, -1], [1, -0.6, 0.7, 2, -1, 0.4])
    assert ps.decode(codes).tolist() == [1, -0.25, 0.25, 0.25, -1, 0]
    assert ps.decode(ps.from_parameters([0, 0], [0.5, -0.5])).tolist() == [0, 0]


def test_inq_vectors() -> None:
    codec = INQ.fit([0.9, -0.3], 5)
    assert (codec.high, codec.low) == (0, -7)
    v = [0.9, 0.76, 0.74, -0.1, 0.0039, 0.00391, 17]
    assert codec.decode(codec.encode(v)).tolist() == [1, 1, 0.5, -0.125, 0, 0.0078125, 1]
    assert [INQ(0, b).bits for b in range(2, 7)] == [2, 3, 4, 5, 6]
    assert codec.decode(codec.encode(0.75)) == 1 and INQ.fit([0.75]).high == 0 and INQ.fit([0.74]).high == -1


def test_powers_fit() -> None:
    assert PowerOfTwo.fit([0.8, -0.1], 8) == PowerOfTwo(-7, 0)
    assert PowerOfTwo.fit([0.72], 4, "log") == PowerOfTwo(-3, 0, "log")
    assert PowerOfTwo.fit([0.72], 4) == PowerOfTwo(-4, -1)


# APoT

APOT = {
    2: [0, 1, 2, 4],
    3: [0, 1, 2, 3, 4, 6, 8, 10],
    4: [0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48],
    5: [*range(9), 10, 12, 14, 16, 17, 20, 21, 24, 28, 32, 34, 36, 38, 48, 52,
        64, 65, 68, 69, 72, 76, 96, 100],
}  # fmt: skip


@pytest.mark.parametrize("table", [2, 3, 4, 5, 6])
def test_apot_tables(table: int) -> None:
    codec = APoT(table)
    codes = np.arange(2 << table)
    raw = codec.raw(codes)
    levels = sorted(set(np.abs(raw).tolist()))
    assert len(levels) == 1 << table
    assert levels == APOT.get(table, levels) and levels[-1] == {2: 4, 3: 10, 4: 48, 5: 100, 6: 448}[table]
    assert np.array_equal(codec.form.raw(codec.fields(codes)), raw)
    assert codec.form.terms == {2: 1, 3: 2, 4: 2, 5: 3, 6: 3}[table]
    assert np.abs(raw).max() == codec.form.bound
    assert max(len(digits.csd(v)) for v in levels) <= codec.form.terms
    values = [Fraction(n, 4) for n in range(-4 * levels[-1] - 9, 4 * levels[-1] + 9, 3)]
    for v, q in zip(values, codec.quantize(values).tolist(), strict=True):
        distance = min(abs(m - abs(v)) for m in levels)
        want = max(m for m in levels if abs(m - abs(v)) == distance)
        assert q == (want if v >= 0 else -want)


def test_apot_fit() -> None:
    w = np.random.default_rng(0).normal(0.1, 0.05, 1000)
    codec = APoT.fit(w, 3)
    assert codec.scale == 3 * Fraction(float(w.std())) / 10 and codec.mean == 0
    centred = APoT.fit(w, 3, alpha=2.5, center=True)
    u = (w - w.mean()) / w.std() / 2.5
    levels = np.array(APOT[3]) / 10
    q = levels[np.argmin(np.abs(np.abs(u)[:, None] - levels), axis=1)] * np.sign(u)
    assert np.array_equal(centred.quantize(w), np.rint(q * 10).astype(int))


# Ternary and binary


def test_ternary_of_gaussian_weights() -> None:
    w = np.random.default_rng(1).normal(size=20_000)
    twn, bitnet, sign = Ternary.twn(w), Ternary.bitnet(w), Binary.fit(w)
    mse = [float(np.mean((c.decode(c.encode(w)) - w) ** 2)) for c in (twn, bitnet, sign)]
    assert [round(m, 2) for m in mse] == [0.19, 0.26, 0.36]
    zeros = [float(np.mean(c.quantize(w) == 0)) for c in (twn, bitnet)]
    assert [round(z, 2) for z in zeros] == [0.42, 0.31]
    assert np.array_equal(bitnet.quantize(w), np.clip(np.rint(w / np.mean(np.abs(w))), -1, 1))


def test_ternary_and_binary_ties_and_channels() -> None:
    w = np.array([[1.0, -0.25, 0.0], [4.0, -1.0, 1.0]])
    twn = Ternary.twn(w, axis=0)
    assert twn.thresholds == (Fraction(7, 24), Fraction(14, 10)) and twn.scales == (1, 4)
    assert twn.quantize(w).tolist() == [[1, 0, 0], [1, 0, 0]]
    assert twn.decode(twn.encode(w)).tolist() == [[1, 0, 0], [4, 0, 0]]
    bitnet = Ternary.bitnet([3.0, -1.5, 1.5])  # mean 2: 0.75 of it is 1
    assert bitnet.quantize([1.0, -1.0, 1.0001, -1.0001, 0]).tolist() == [0, 0, 1, -1, 0]
    binary = Binary.fit(w, axis=1)
    assert binary.scales == (Fraction(5, 2), Fraction(5, 8), Fraction(1, 2)) and binary.scale == 1
    assert binary.encode(w).tolist() == [[1, 0, 1], [1, 0, 1]]
    assert binary.decode(binary.encode(w)).tolist() == [[2.5, -0.625, 0.5], [2.5, -0.625, 0.5]]
    assert Binary.fit([-2.0, 4.0]).scale == 3


# Fixed point

VECTOR = [1.3125, -1.3125, -0.1875, 0.1875, 5.2, -9.0]


@pytest.mark.parametrize(
    ("rounding", "want"),
    [
        ("TRN", [1.25, -1.375, -0.25, 0.125]),
        ("TRN_ZERO", [1.25, -1.25, -0.125, 0.125]),
        ("RND", [1.375, -1.25, -0.125, 0.25]),
        ("RND_INF", [1.375, -1.375, -0.25, 0.25]),
        ("RND_ZERO", [1.25, -1.25, -0.125, 0.125]),
        ("RND_MIN_INF", [1.25, -1.375, -0.25, 0.125]),
        ("RND_CONV", [1.25, -1.25, -0.25, 0.25]),
    ],
)
def test_fixed_point_vector(rounding: str, want: list[float]) -> None:
    codec = FixedPoint.of(fxsim.SQ(3, 3, rounding=rounding, overflow="SAT"))
    assert codec.decode(codec.encode(VECTOR)).tolist() == [*want, 3.875, -4]


def test_fixed_point_overflow_vector() -> None:
    wrap = FixedPoint.of(fxsim.SQ(3, 3, rounding="RND", overflow="WRAP"))
    assert wrap.decode(wrap.encode([5.2, -9])).tolist() == [-2.75, -1]
    symmetric = FixedPoint.of(fxsim.SQ(3, 3, rounding="RND", overflow="SAT_SYM"))
    assert symmetric.decode(symmetric.encode(-9)) == -3.875


@pytest.mark.parametrize("rounding", list(fxsim.Rounding))
@pytest.mark.parametrize("overflow", list(fxsim.Overflow))
def test_fixed_point_is_the_cast_of_every_double(rounding: str, overflow: str) -> None:
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(0, 4, 300), rng.integers(-999, 999, 300) / 16, [0.0, -0.0, 5e-324, 1e9]])
    fmt = fxsim.SQ(3, 3, rounding=rounding, overflow=overflow)
    assert np.array_equal(FixedPoint.of(fmt).encode(x), from_double(x, fmt))
    if overflow != "WRAP_SM":
        fmt = fxsim.UQ(7, -2, rounding=rounding, overflow=overflow)
        codec = FixedPoint.of(fmt)
        assert np.array_equal(codec.encode(x), from_double(x, fmt))
        assert (codec.frac, codec.scale) == (0, 4)


def test_fixed_point_of_fractions_breaks_ties_by_all_bits() -> None:
    codec = FixedPoint.of(fxsim.SQ(4, 0, rounding="RND_CONV", overflow="SAT"))
    tiny = Fraction(1, 10**30)
    assert codec.encode([Fraction(1, 2), Fraction(1, 2) + tiny, Fraction(3, 2) - tiny]).tolist() == [0, 1, 1]
    truncating = FixedPoint.of(fxsim.SQ(4, 0, rounding="TRN_ZERO", overflow="SAT"))
    assert truncating.encode([-1 - tiny, -1 + tiny, -tiny, 2 - tiny]).tolist() == [-1, 0, 0, 1]


def test_fixed_point_formats_per_channel_and_element() -> None:
    w = np.array([[0.7, 3.1, -20.0], [-0.1, 4.0, 0.0]])
    tensor = FixedPoint.fit(w)
    assert (tensor.frac, tensor.bits) == (2, 8)
    channel = FixedPoint.fit(w, axis=1)
    assert channel.cast.frac.array.tolist() == [7, 5, 2]
    assert channel.encode(w).tolist() == [[90, 99, -80], [-13, 127, 0]]
    assert channel.raw(channel.encode(w)).tolist() == [[90, 396, -2560], [-13, 508, 0]]
    assert channel.decode(channel.encode(w)).tolist() == [[90 / 128, 99 / 32, -20], [-13 / 128, 127 / 32, 0]]
    row = FixedPoint.fit(w, 6, axis=0, signed=False)
    assert row.cast.frac.array.tolist() == [[1], [4]]
    element = FixedPoint.fit(w, 4, element=True)
    assert element.cast.frac.array.tolist() == [[3, 1, -2], [6, 1, 3]]
    assert element.encode(w).tolist() == [[6, 6, -5], [-6, 7, 0]]
    mixed = FixedPoint(Cast(IntArray([2, 0]), IntArray([3, 0]), IntArray([1, 1]), "RND", "SAT"))
    assert mixed.encode([0.3, 9.0]).tolist() == [1, 0] and mixed.raw([-4, 0]).tolist() == [-4, 0]


def test_fracbnn_constants() -> None:
    fmt = fxsim.Format.parse("ap_fixed<12,4,AP_RND,AP_SAT,0>")
    assert FixedPoint.of(fmt).encode([Fraction(2, 3), Fraction(1, 3)]).tolist() == [171, 85]


# Fields


def test_fields_are_packed_from_the_lowest() -> None:
    form = Fields(2, 7)
    assert (form.shift_bits, form.width, form.bits, form.bound) == (3, 5, 10, 256)
    codes = form.of([96, -128, 0, 7])
    assert codes.tolist() == [0b00101_00110, 0b10000_01111, 0b10000_10000, 0b01000_00011]
    assert form.raw(codes).tolist() == [96, -128, 0, 7]
    every = np.arange(1 << 10)
    zero, sign, shift = form.unpack(every)
    assert np.array_equal(form.pack(zero, sign, shift), every)
    want = [sum((0 if z else (1 - 2 * s) << n) for z, s, n in zip(*row, strict=True))
            for row in zip(zero.tolist(), sign.tolist(), shift.tolist(), strict=True)]  # fmt: skip
    assert form.raw(every).tolist() == want
    reached = set(want)  # every integer that some fields stand for has a code
    assert {n for n in range(-300, 300) if n in reached} == reached
    assert form.raw(form.of(sorted(reached))).tolist() == sorted(reached)
    three = Fields(3, 2)
    reached = {sum(t) for t in itertools.product((0, 1, 2, 4, -1, -2, -4), repeat=3)}
    assert three.raw(three.of(sorted(reached))).tolist() == sorted(reached)
    assert Fields(1, 0).of([1, -1, 0]).tolist() == [0, 1, 2]
    assert Fields(1, 61).raw(Fields(1, 61).of([-(1 << 61)])).tolist() == [-(1 << 61)]
    assert Fields(4, 62 // 4).raw(Fields(4, 15).of([-0x8421])).tolist() == [-0x8421]


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KHot(0), "terms must be at least 1, not 0"),
        (lambda: KHot(1, 17), r"N must lie in 1..16, not 17"),
        (lambda: KHot(1, 8, -1), "frac must be at least 0, not -1"),
        (lambda: KHot(1, 8, 0, "best"), "reading must be one of truncated, nearest, signed, not 'best'"),
        (lambda: KHot(1, scale=0), "scale must be above 0, not 0"),
        (lambda: KHot.fit([0, 0], 2), "values must hold a number other than 0 to fit to"),
        (lambda: PowerOfTwo(1, 0), "low must be at most high = 0, not 1"),
        (lambda: PowerOfTwo(-40, 0), r"high must be at most low \+ 31, not 0 for low = -40"),
        (lambda: PowerOfTwo(0, 0, "up"), "rounding must be one of linear, log, not 'up'"),
        (lambda: PowerOfTwo(0, 0, small="no"), "small must be one of zero, least, not 'no'"),
        (lambda: PowerOfTwo(-4, 0).encode([0.5, np.nan]), r"values must be finite, not nan at index \(1,\)"),
        (lambda: PowerOfTwo(-4, 0).raw([5]), r"shifts must lie in 0..4, not 5 at \(0, 0\)"),
        (lambda: PowerOfTwo(-4, 0).raw([32]), r"codes must lie in 0..31, not 32 at \(0,\)"),
        (lambda: DeepShift(7), r"b must lie in 2..6, not 7"),
        (lambda: DeepShift(5, "R"), "kind must be Q or PS, not 'R'"),
        (lambda: DeepShift().from_parameters([1], [1, 2]), r"shift and sign must have one shape, not \(1,\)"),
        (lambda: INQ(0, 1), r"b must lie in 2..6, not 1"),
        (lambda: INQ.fit([]), "values must hold a number other than 0 to fit to"),
        (lambda: APoT(7), "table must be one of 2, 3, 4, 5, 6, not 7"),
        (lambda: APoT(3, 0), "scale must be above 0, not 0"),
        (lambda: APoT.fit([1, 1]), "values must have a standard deviation above 0 to fit to"),
        (lambda: APoT.fit([1, 2], alpha=-1), "alpha must be above 0, not -1"),
        (lambda: APoT.fit([1, 2], 9), "table must be one of 2, 3, 4, 5, 6, not 9"),
        (lambda: APoT(3).raw([16]), r"codes must lie in 0..15, not 16 at \(0,\)"),
        (lambda: Ternary((-1,), (1,)), "thresholds must be at least 0, not -1"),
        (lambda: Ternary((1, 1), (1,)), "thresholds must be 1 as scales, not 2"),
        (lambda: Ternary((1, 1), (1, 1)), "scales must be one without an axis, not 2"),
        (lambda: Ternary((1,), (0,)), "scales must be above 0, not 0"),
        (lambda: Ternary.twn([0, 0]), "values must hold a number other than 0 to fit to"),
        (lambda: Ternary.twn(np.zeros(0)), "values must hold at least one number to fit to, not shape"),
        (lambda: Ternary((1, 1), (1, 1), 0).encode([1, 2, 3]), r"axis 0 of \(3,\) must have length 2"),
        (lambda: Binary.fit([[0], [1]], axis=0), "values must hold a number other than 0 to fit to"),
        (lambda: Binary.fit([1], axis=2), r"axis must be one of values of shape \(1,\), not 2"),
        (lambda: Binary((1, 2)), "scales must be one without an axis, not 2"),
        (lambda: FixedPoint.fit([1], 0), "width must be at least 1, not 0"),
        (lambda: FixedPoint.fit([1], axis=0, element=True), "axis must be None for a format of each element"),
        (lambda: FixedPoint.of(fxsim.SQ(2, 1)).raw([0, 4]), r"code at \(1,\) must lie in -4..3, not 4"),
        (lambda: Fields(0, 3), "terms must be at least 1, not 0"),
        (lambda: Fields(1, -1), "most must be at least 0, not -1"),
        (lambda: Fields(1, 99), "most must be at most 62, not 99"),
        (lambda: PowerOfTwo.fit([1], 0), "powers must be at least 1, not 0"),
        (lambda: Fields(2, 3, 17), r"bound must lie in 0..16 \(terms \* 2\*\*most\), not 17"),
        (lambda: Fields(20, 7), "codes of at most 62 bits, not 100"),
        (lambda: Fields(1, 3).of([3]), r"sums of 1 signed powers of two up to 2\*\*3, not 3 at \(0,\)"),
        (lambda: Fields(2, 3).of([1, 17]), r"sums of 2 signed powers of two up to 2\*\*3, not 17 at \(1,\)"),
        (lambda: Fields(2, 3).pack([0], [0], [0]), r"fields must have 2 terms on their last axis, not"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_types_are_named() -> None:
    with pytest.raises(TypeError, match=r"format must be a fxsim.Format, not 8"):
        FixedPoint.of(8)
    for name, call in (
        ("terms", lambda: KHot(1.5)),
        ("N", lambda: KHot(1, 8.0)),
        ("low", lambda: PowerOfTwo(-1.5, 0)),
        ("b", lambda: DeepShift(3.0)),
        ("table", lambda: APoT(4.0)),
        ("width", lambda: FixedPoint.fit([1], 8.0)),
        ("most", lambda: Fields(1, True)),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be an integer, not "):
            call()
    with pytest.raises(TypeError, match=r"cast must be a fxsim.ops.Cast, not 8"):
        FixedPoint(8)
