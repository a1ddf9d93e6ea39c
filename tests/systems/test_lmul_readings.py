"""L-Mul and the ways to and from small floats: every reading is a reference in Python integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_dot, lmul_matmul, lmul_product
from fxsim.layers.small_float import small_float_decode, small_float_encode
from fxsim.quantizers.small_float import SmallFloat
from tests.agreement import readings

E4M3, E5M2, BF16, FP16, FP32 = (SmallFloat.named(n) for n in ("e4m3", "e5m2", "bf16", "fp16", "fp32"))
BF16_WINDOW = LMul(SmallFloat(8, 7, (140 << 7) - 1), least=115)


def product(x: int, y: int, unit: LMul) -> int:
    """The product code, from the words of the definition."""
    f = unit.format
    m, n = f.mantissa_bits, f.exponent_bits + f.mantissa_bits
    a, b = x % 2**n, y % 2**n
    bias = 2 ** (f.exponent_bits - 1) - 1
    total = a + b - bias * 2**m + (0 if unit.l is None else 2 ** (m - int(unit.l)))
    if a < 2**m or b < 2**m or total < unit.least * 2**m:
        total = 0
    return (x // 2**n ^ y // 2**n) * 2**n + min(total, f.largest)


def bare(x: int, y: int, unit: LMul) -> int:
    n = unit.format.exponent_bits + unit.format.mantissa_bits
    return (x // 2**n ^ y // 2**n) * 2**n + (x % 2**n + y % 2**n - unit.offset) % 2**n


def value(code: int, f: SmallFloat) -> Fraction:
    m, n = f.mantissa_bits, f.exponent_bits + f.mantissa_bits
    exponent = code % 2**n // 2**m
    if not exponent:
        return Fraction(0)
    sign = -1 if code >> n else 1
    return (
        sign * (1 + Fraction(code % 2**m, 2**m)) * Fraction(2) ** (exponent - 2 ** (f.exponent_bits - 1) + 1)
    )


def fixed(x: int, y: int, unit: LMul) -> int:
    v = value(product(x, y, unit), unit.format) * 2**unit.frac
    assert v.denominator == 1
    return v.numerator


def of(function, *arrays, **options) -> np.ndarray:
    return np.vectorize(lambda *a: function(*map(int, a), **options), otypes=[object])(*arrays)


def equal(got, want) -> bool:
    return np.asarray(got).astype(object).tolist() == np.asarray(want).astype(object).tolist()


def eight_bits(x, y, z):
    """All pairs of 8-bit codes; every 13-bit number at frac 10 to e4m3 and e5m2."""
    paper, plain, five = LMul(E4M3), LMul(E4M3, None), LMul(E5M2, 1, least=3)
    return (
        lmul_code(x, y, paper), lmul_adder(x, y, paper, name="raw"), lmul_code(x, y, plain, name="plain"),
        lmul_product(x, y, paper), lmul_code(x, y, five, name="five"), lmul_product(x, y, five, name="f"),
        small_float_decode(x, E4M3), small_float_encode(z, E4M3),
        small_float_encode(z, E5M2, rounding="TRN", name="truncated"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def small() -> fxsim.Graph:
    return fxsim.trace(eight_bits, UQ(8, 0), UQ(8, 0), SQ(3, 10), name="lmul_8")


@pytest.fixture(scope="module")
def all_pairs() -> list[np.ndarray]:
    x, y = np.divmod(np.arange(1 << 16), 256)
    return [x, y, np.arange(1 << 16) % (1 << 13) - (1 << 12)]


def test_all_pairs_of_eight_bits_are_the_definition(small, all_pairs):
    got = small.run_raw(*all_pairs)
    x, y, z = all_pairs
    paper, plain, five = LMul(E4M3), LMul(E4M3, None), LMul(E5M2, 1, least=3)
    wants = [
        of(product, x, y, unit=paper), of(bare, x, y, unit=paper), of(product, x, y, unit=plain),
        of(fixed, x, y, unit=paper), of(product, x, y, unit=five), of(fixed, x, y, unit=five),
        of(lambda c: value(c, E4M3) * 2**9, x), E4M3.encode(z / 1024),
    ]  # fmt: skip
    for g, w in zip(got, wants, strict=False):
        assert equal(g, w)
    zero = np.array([abs(v) < 2.0**-14 for v in z / 1024])
    low = E5M2.encode(z / 1024)  # nearest: truncated is that, or the code before it
    before = np.abs(E5M2.decode(low)) > np.abs(z / 1024)
    assert equal(got[8], np.where(zero, low, low - before))


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp])
def test_all_pairs_of_eight_bits_in_hardware(small, all_pairs, reading):
    readings.check(small, all_pairs, reading)


def wide(x, y, a, b, p, q, u, v, z):
    """16 and 32 bits, sums of products in a window, and a wide fixed-point number to every format."""
    bf16, fp16, fp32 = LMul(BF16), LMul(FP16), LMul(FP32)
    return (
        lmul_code(x, y, bf16), lmul_adder(x, y, bf16, name="raw"), lmul_code(a, b, fp16, name="fp16"),
        lmul_code(p, q, fp32, name="fp32"), lmul_product(a, b, fp16), lmul_matmul(u, v, LMul(E4M3, None)),
        lmul_dot(u, v[:, 0], LMul(E5M2)), lmul_product(x, y, BF16_WINDOW, name="window"),
        *(small_float_encode(z, f, name=f"to{f.bits}_{f.mantissa_bits}") for f in (E5M2, BF16, FP16, FP32)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def large() -> fxsim.Graph:
    types = [UQ(16, 0)] * 4 + [UQ(32, 0)] * 2 + [UQ(8, 0)] * 2 + [SQ(17, 13)]
    shapes = [()] * 6 + [(2,), (2, 2), ()]
    return fxsim.trace(wide, *types, shape=shapes, name="lmul_wide")


def corners(f: SmallFloat) -> list[int]:
    n, m = f.exponent_bits + f.mantissa_bits, f.mantissa_bits
    sizes = {0, 1, 2**m - 1, 2**m, 2**m + 1, f.one - 1, f.one, f.one + 1, f.largest - 1, f.largest}
    sizes |= {f.one // 2, f.one // 2 + 2 ** (m - 1), f.largest + 1, 2**n - 1, LMul(f).offset // 2}
    return sorted(s + sign for s in sizes if s < 2**n for sign in (0, 2**n))


def stimulus(rows: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    out = []
    for f in (BF16, FP16, FP32):
        pairs = np.array(np.meshgrid(corners(f), corners(f))).reshape(2, -1)
        random = rng.integers(0, 1 << f.bits, (2, rows))
        # Half of them near 1, where products neither vanish nor saturate.
        random[:, ::2] = f.one + (rng.integers(-3, 4, (2, (rows + 1) // 2)) << f.mantissa_bits)
        random[:, ::2] += rng.integers(0, 1 << f.mantissa_bits, (2, (rows + 1) // 2))
        random[:, : pairs.shape[1]] = pairs
        out += list(random)
    out += [rng.integers(0, 256, (rows, *s)) for s in ((2,), (2, 2))]
    z = rng.integers(-(1 << 29), 1 << 29, rows) >> rng.integers(0, 30, rows)
    edges = [s * (1 << k) + d for k in range(29) for s in (1, -1) for d in (-1, 0, 1)] + [-(1 << 29)]
    z[: len(edges)] = edges
    return [*out, z]


def test_wide_codes_are_the_definition(large):
    raw = stimulus(3000)
    x, y, a, b, p, q, u, v, z = raw
    got = large.run_raw(*raw)
    bf16, fp16 = LMul(BF16), LMul(FP16)
    wants = [
        of(product, x, y, unit=bf16), of(bare, x, y, unit=bf16), of(product, a, b, unit=fp16),
        of(product, p, q, unit=LMul(FP32)), of(fixed, a, b, unit=fp16),
        of(fixed, u[..., None], v, unit=LMul(E4M3, None)).sum(-2),
        of(fixed, u, v[..., 0], unit=LMul(E5M2)).sum(-1), of(fixed, x, y, unit=BF16_WINDOW),
        *(f.encode([Fraction(int(k), 1 << 13) for k in z]) for f in (E5M2, BF16, FP16, FP32)),
    ]  # fmt: skip
    for name, g, w in zip(large.output_names, got, wants, strict=True):
        assert equal(g, w), name


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp])
def test_wide_codes_in_hardware(large, reading):
    readings.check(large, stimulus(100_000), reading)


def test_the_specification_agrees(small, all_pairs):
    rows = np.random.default_rng(0).integers(0, 1 << 16, 12)
    readings.check(small, [r[rows] for r in all_pairs], readings.specification)
