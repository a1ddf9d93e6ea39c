"""Small floats and L-Mul in real numbers: worked numbers, formulas, bad input."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import UQ, quantizers
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_dot, lmul_matmul, lmul_product, paper_l
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.layers.small_float import small_float_decode, small_float_encode
from fxsim.quantizers.small_float import NAMED, SmallFloat

TINY = SmallFloat(3, 2)


def value(code: int, f: SmallFloat) -> Fraction:
    """The formula, in fractions."""
    e, m = f.exponent_bits, f.mantissa_bits
    sign, exponent, mantissa = code >> (e + m), code >> m & ((1 << e) - 1), code & ((1 << m) - 1)
    if exponent == 0:
        return Fraction(0)
    return (-1) ** sign * (1 + Fraction(mantissa, 1 << m)) * Fraction(2) ** (exponent - (2 ** (e - 1) - 1))


def fp32(*x: float) -> np.ndarray:
    return np.array(x, np.float32).view(np.uint32).astype(np.int64)


def traced(fn, f: SmallFloat, *args: int) -> int:
    return int(fxsim.trace(fn, *[UQ(f.bits, 0)] * len(args)).run_raw(*args))


@pytest.mark.parametrize(
    ("x", "y", "eq2"),
    [(1.5, 2.5, 3.625), (1.75, 1.75, 3.125), (3.0, -0.1, -0.290625), (1.0, 1.0, 1.0625)],
)
def test_worked_products_in_fp32(x, y, eq2):
    unit = LMul(SmallFloat.named("fp32"))
    code = traced(lambda a, b: lmul_code(a, b, unit), unit.format, *fp32(x, y))
    assert code == fp32(eq2)[0]


def test_offsets_of_the_paper():
    offsets = {name: LMul(SmallFloat.named(name)).offset for name in NAMED}
    assert offsets == {"fp32": 0x3F780000, "bf16": 0x3F78, "fp16": 0x3BC0, "e4m3": 55, "e5m2": 59}
    assert [paper_l(m) for m in range(1, 8)] == [1, 2, 3, 3, 4, 4, 4]


def errors(m: int, l: int | str | None) -> np.ndarray:
    """Relative errors of the adder form over all pairs of mantissas."""
    unit = LMul(SmallFloat(6, m), l)
    codes = unit.format.one + np.arange(1 << m)
    product = lmul_product_raw(codes[:, None], codes, unit) / 2.0**unit.frac
    exact = np.outer(1 + np.arange(1 << m) / 2**m, 1 + np.arange(1 << m) / 2**m)
    return product / exact - 1


@pytest.mark.parametrize(
    ("m", "l", "rms"),
    [(2, "paper", 15.3), (3, "paper", 6.0), (4, "paper", 5.9), (5, "paper", 3.1), (6, "paper", 3.10),
     (7, "paper", 3.10), (4, 4, 3.16), (3, None, 4.9), (2, None, 5.15)],
)  # fmt: skip
def test_errors_over_all_mantissas(m, l, rms):
    found = errors(m, l)
    digits = len(str(rms).split(".")[1])
    assert round(100 * float(np.sqrt(np.mean(found**2))), digits) == rms
    if m == 7:
        assert round(100 * float(np.abs(found).max()), 1) == 7.3
        assert round(100 * float(found.mean()), 2) == 0.41


@pytest.mark.parametrize(("m", "percent"), [(2, 37.5), (3, 43.8), (4, 53.1), (5, 51.6), (6, 53.8), (7, 54.9)])
def test_the_two_equations_differ_by_their_carry(m, percent):
    unit = LMul(SmallFloat(5, m))
    i = [Fraction(k, 1 << m) for k in range(1 << m)]
    differ = 0
    for a in i:
        for b in i:
            s = a + b + Fraction(1, 2 ** int(unit.l))
            eq1 = 1 + s
            eq2 = 1 + s if s < 1 else 2 * s if s < 2 else 4 * (s - 1)
            codes = [unit.format.one + int(v * 2**m) for v in (a, b)]
            assert Fraction(int(lmul_product_raw(*codes, unit)), 1 << unit.frac) == eq2
            differ += eq1 != eq2
    assert round(100 * differ / 4**m + 1e-9, 1) == percent


def test_integer_form_is_the_real_form_on_all_normal_pairs_of_e4m3():
    unit = LMul(SmallFloat.named("e4m3"))
    f, m = unit.format, 3
    normal = np.arange(1 << m, f.largest + 1)
    got = lmul_product_raw(normal[:, None], normal, unit)
    for x in normal.tolist():
        for y in normal.tolist():
            s = Fraction(x % 8, 8) + Fraction(y % 8, 8) + Fraction(1, 8)
            real = 1 + s if s < 1 else 2 * s if s < 2 else 4 * (s - 1)
            real *= Fraction(2) ** ((x >> m) + (y >> m) - 2 * f.bias)
            want = 0 if real < Fraction(2) ** (1 - f.bias) else min(real, value(f.largest, f))
            assert Fraction(int(got[x - 8, y - 8]), 1 << unit.frac) == want


@pytest.mark.parametrize("f", [TINY, SmallFloat.named("e4m3"), SmallFloat.named("e5m2"), SmallFloat(2, 1)])
def test_codec_is_nearest_with_ties_to_even(f):
    codes = [c for c in range(1 << f.bits) if c & ((1 << f.magnitude_bits) - 1) <= f.largest]
    exact = [value(c, f) for c in codes]
    assert [Fraction(int(r), 1 << f.frac) for r in f.raw(codes)] == exact
    assert f.decode(codes).tolist() == [float(v) for v in exact]
    normal = [(c, v) for c, v in zip(codes, exact, strict=True) if v > 0]
    assert f.encode([v for _, v in normal]).tolist() == [c for c, _ in normal]
    for (c, low), (d, high) in itertools.pairwise(normal):
        middle, step = (low + high) / 2, (high - low) / 8
        assert f.encode([middle - step, middle, middle + step]).tolist() == [c, c + c % 2, d]
        assert f.encode([float(middle), -float(middle)]).tolist() == [
            c + c % 2,
            c + c % 2 + (1 << f.bits - 1),
        ]
    least, most = normal[0][1], normal[-1][1]
    half_step = least / (1 << f.mantissa_bits) / 4  # half a last bit below the least normal
    extremes = [0, -0.0, least - half_step, least - half_step * 1.01, -least / 2, most * 3]
    assert f.encode(extremes).tolist() == [0, 0, 1 << f.mantissa_bits, 0, 1 << f.bits - 1, f.largest]


def test_float_and_fraction_paths_agree(rng):
    for f in map(SmallFloat.named, NAMED):
        x = rng.standard_normal(2000) * 2.0 ** rng.integers(-20, 20, 2000)
        assert np.array_equal(f.encode(x), f.encode([Fraction(v) for v in x]))
    x = rng.standard_normal(1000).astype(np.float32)
    assert np.array_equal(SmallFloat.named("fp32").encode(x), x.view(np.uint32))


def test_one_is_no_neutral_element_unless_l_is_none(rng):
    f = SmallFloat.named("e4m3")
    x = rng.integers(8, f.largest - 8, 100)
    assert np.array_equal(lmul_product_raw(x, f.one, LMul(f, None)), f.raw(x))
    assert not np.any(lmul_product_raw(x, f.one, LMul(f)) == f.raw(x))


@pytest.mark.parametrize(
    ("f", "l", "low", "high"),
    [("e4m3", "paper", 4, 11), ("e5m2", None, 10, 20), ("e4m3", None, 0, 15), ("e5m2", "paper", 0, 31),
     (TINY, 1, 2, 4), (SmallFloat(4, 4), 4, 5, 9), (SmallFloat(4, 5), "paper", 0, 15),
     ("bf16", "paper", 100, 150), ("bf16", "paper", 0, 255), (SmallFloat(6, 1), 0, 20, 34),
     (SmallFloat(6, 1), 0, 26, 31)],
)  # fmt: skip
def test_fast_sums_are_the_graphs(f, l, low, high, rng):
    f = SmallFloat.named(f) if isinstance(f, str) else f
    unit = LMul(f, l)
    shape = (6, 5), (5, 3)
    x, w = (
        (rng.integers(0, 2, s) << f.magnitude_bits)
        + np.minimum(
            (rng.integers(low, high + 1, s) << f.mantissa_bits) + rng.integers(0, 1 << f.mantissa_bits, s),
            f.largest,
        )
        for s in shape
    )
    x[0, 1] = w[2, 1] = 1  # a zero of exponent field 0
    graph = fxsim.trace(
        lambda a, b: lmul_matmul(a, b, unit), UQ(f.bits, 0), UQ(f.bits, 0), shape=[(5,), (5, 3)]
    )
    want = graph.run_raw(x, np.broadcast_to(w, (6, 5, 3)))
    assert lmul_matmul_raw(x, w, unit).tolist() == want.tolist()
    assert lmul_matmul_raw(x[0], w, unit).tolist() == want[0].tolist()
    constant = fxsim.trace(lambda a: lmul_matmul(a, a.builder.constant(w), unit), UQ(f.bits, 0), shape=(5,))
    assert constant.run_raw(x).tolist() == want.tolist()


@pytest.mark.parametrize("f", [TINY, SmallFloat(5, 5)])
def test_sums_of_nothing(f):
    def shape(x, w):
        out = lmul_matmul_raw(np.zeros(x, np.int64), np.zeros(w, np.int64), LMul(f))
        assert not out.any()
        return out.shape

    assert [shape((2, 0), (0, 3)), shape((0, 2), (2, 3)), shape((2,), (2, 0)), shape((2, 4, 2), (2, 3))] == [
        (2, 3), (0, 3), (0,), (2, 4, 3),
    ]  # fmt: skip


def test_each_way_of_the_fast_sums_is_taken(rng):
    from fxsim.layers import lmul_fast

    def way(f, low, high, k=5):
        x, w = (rng.integers(low, high, s) for s in ((4, k), (k, 2)))
        return lmul_fast._as_products(x, w, LMul(f))

    e4m3 = SmallFloat.named("e4m3")
    assert way(e4m3, 5 << 3, 11 << 3) is not None
    assert way(e4m3, 0, 8).tolist() == [[0, 0]] * 4  # all zeros
    assert way(e4m3, 3 << 3, 11 << 3) is None or way(e4m3, 1 << 3, 11 << 3) is None  # underflow
    assert way(e4m3, 5 << 3, 14 << 3, 200) is None  # saturation
    assert way(SmallFloat(8, 3), 64 << 3, 126 << 3, 200) is None  # a product beyond 2**53
    for low, high in ((90, 110), (95, 105)):  # sums beyond one float64, and beyond one float32: parts of K
        f, k = SmallFloat(8, 3), 3000
        x, w = (rng.integers(low << 3, high << 3, s) for s in ((2, k), (k, 2)))
        unit = LMul(f, least=50)
        got = lmul_fast._as_products(x, w, unit)
        assert got.tolist() == lmul_fast._summed(x, w, unit).tolist()
        x, w = np.full((1, k), (high << 3) - 1), np.full((k, 1), (high << 3) - 1)
        got = lmul_fast._as_products(x, w, unit)
        assert got.tolist() == [[k * int(lmul_product_raw(x[0, 0], w[0, 0], unit))]]
    assert way(SmallFloat(5, 5), 10 << 5, 18 << 5) is None  # too many mantissas


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SmallFloat(1, 3), ValueError, "exponent_bits must be at least 2, not 1"),
        (lambda: SmallFloat(4, 0), ValueError, "mantissa_bits must be at least 1, not 0"),
        (lambda: SmallFloat(9, 24), ValueError, "must be at most 8 and 23, not 9 and 24"),
        (lambda: SmallFloat(4, 3, 128), ValueError, "largest must be a magnitude code in 8..127, not 128"),
        (lambda: SmallFloat.named("fp4"), ValueError, "name must be one of fp32, .*, not 'fp4'"),
        (lambda: SmallFloat(4, 3).raw([256]), ValueError, r"codes must lie in 0..255, not 256 at \(0,\)"),
        (lambda: SmallFloat.named("e4m3").raw([1, 0x7F]), ValueError, r"up to 0x7e, not 0x7f at \(1,\)"),
        (lambda: SmallFloat(4, 3).encode([np.inf]), ValueError, r"finite, not inf at index \(0,\)"),
        (lambda: LMul(SmallFloat(4, 3), 4), ValueError, "l must be in 0..3, .* or None for .*, not 4"),
        (lambda: LMul(SmallFloat(4, 3), 1.5), TypeError, "l must be an integer, not 1.5"),
        (lambda: LMul(SmallFloat(4, 3), least=16), ValueError, r"exponent field in 1..15, not 16"),
        (lambda: LMul("e4m3"), TypeError, "format must be a SmallFloat, not 'e4m3'"),
        (lambda: lmul_matmul_raw([1], [2], LMul(TINY)), ValueError, "must have shapes"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_bad_operands_are_named():
    unit = LMul(TINY)
    code = UQ(TINY.bits, 0)
    for fn in (lmul_code, lmul_adder, lmul_product, lmul_dot, lmul_matmul):
        shape = [(2,), (2, 2)] if fn is lmul_matmul else (2,)
        with pytest.raises(TypeError, match=r"codes must have frac 0 .* in 0..63, not frac 0 and 0..127"):
            fxsim.trace(lambda x, y, fn=fn: fn(x, y, unit), UQ(7, 0), code, shape=shape)
    with pytest.raises(TypeError, match="unit must be a LMul, not 3"):
        fxsim.trace(lambda x: lmul_code(x, x, 3), code)
    with pytest.raises(TypeError, match=r"lmul_dot needs two vectors of one length, not \(3,\) and \(2,\)"):
        fxsim.trace(lambda x: lmul_dot(x, x[:2], unit), code, shape=(3,))
    with pytest.raises(TypeError, match=r"lmul_matmul needs \(..., K\) and \(K, N\), not \(3,\) and \(3,\)"):
        fxsim.trace(lambda x: lmul_matmul(x, x, unit), code, shape=(3,))
    with pytest.raises(TypeError, match="codes must have frac 0"):
        fxsim.trace(lambda x: small_float_decode(x, TINY), UQ(6, 1))
    with pytest.raises(ValueError, match="rounding must be one of"):
        fxsim.trace(lambda x: small_float_encode(x, TINY, rounding="UP"), UQ(6, 1))


def test_the_codec_is_known_by_name():
    assert "small float" in quantizers.names()
    assert "no subnormals" in quantizers.describe("small float")
