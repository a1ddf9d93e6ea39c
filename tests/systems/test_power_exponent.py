"""Power-law codes: worked numbers, exact thresholds and levels, every reading, bad input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, TensorType, quantizers
from fxsim.layers.power_exponent import power_decode, power_encode, power_matmul
from fxsim.quantizers import power_exponent
from fxsim.quantizers.power_exponent import PowerExponent, root_ceiling
from tests.agreement import readings

HALF = PowerExponent(4, 0.5)
FOUR = PowerExponent(4, Fraction(2, 3), 3, frac=10)
EIGHT = PowerExponent(8, 0.62, Fraction(7, 2))
POSITIVE = PowerExponent(5, "3/5", 2)


def code(x: Fraction, c: PowerExponent) -> int:
    """round(n * (|x| / max)**a), ties away, as the count of k with n * (|x| / max)**a >= k - 1/2."""
    p, r = c.exponent.numerator, c.exponent.denominator
    share = abs(x) / c.maximum
    size = sum((2 * c.n) ** r * share**p >= (2 * k - 1) ** r for k in range(1, c.n + 1))
    return -size if x < 0 else size


def is_level(raw: int, share: Fraction, c: PowerExponent) -> bool:
    """Whether raw is share**(1/a) * 2**frac rounded to nearest: between the halves on its two sides."""
    p, r = c.exponent.numerator, c.exponent.denominator
    target = share**r * Fraction(2) ** ((c.frac + 1) * p)
    return max(2 * raw - 1, 0) ** p <= target <= (2 * raw + 1) ** p


def test_worked_table():
    assert PowerExponent(4, 0.5, frac=8).levels.tolist() == [0, 5, 21, 47, 84, 131, 188, 256]
    assert HALF.levels.tolist() == [0, 1, 4, 9, 16, 25, 36, 49]
    assert (HALF.scale, HALF.frac, HALF.is_exact) == (Fraction(1, 49), 0, True)


@pytest.mark.parametrize(
    ("bits", "best", "error", "uniform"),
    [(3, 0.68, 0.3383, 0.4095), (4, 0.66, 0.1452, 0.1755), (6, 0.64, 0.0327, 0.0396),
     (8, 0.62, 0.00800, 0.00964)],
)  # fmt: skip
def test_worked_errors_of_gaussian_weights(bits, best, error, uniform):
    w = np.random.default_rng(2).standard_normal(50_000)

    def rmse(exponent):
        codec = PowerExponent.fit(w, bits, exponent, frac=30)
        return float(np.sqrt(np.mean((codec.decode(codec.encode(w)) - w) ** 2)))

    # The worked exponents are the best of a grid of 0.02.
    share, n = np.abs(w) / np.abs(w).max(), 2 ** (bits - 1) - 1
    losses = {k: power_exponent._loss(share, n, k / 100) for k in range(30, 101)}
    assert min(range(30, 101, 2), key=losses.__getitem__) == round(100 * best)
    assert PowerExponent.fit(w, bits).exponent == Fraction(min(losses, key=losses.__getitem__), 100)
    digits = 5 if bits == 8 else 4
    assert [round(rmse(a), digits) for a in (best, 1)] == [error, uniform]
    assert 1.035 < rmse(0.5) / rmse(best) < 1.065


def test_a_fit_of_any_numbers():
    w = np.float32(np.random.default_rng(1).standard_normal(300))
    assert PowerExponent.fit(w) == PowerExponent.fit([Fraction(float(v)) for v in w])
    assert PowerExponent.fit([3, -4], exponent=1).maximum == 4


def test_two_bits_gain_nothing():
    assert PowerExponent.fit(np.random.default_rng(2).standard_normal(5_000), 2).exponent == 1


def test_products_are_kept_and_sums_are_not():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-7, 8, (2, 12))
    p = a * b
    x, w = HALF.raw(a), HALF.raw(b)
    assert HALF.scale == Fraction(1, 49) and np.array_equal(p * np.abs(p), x * w)
    squares = int((p * np.abs(p)).sum())
    assert squares == int(x @ w)
    assert int(p.sum() * abs(p.sum())) != squares


@pytest.mark.parametrize(
    "c", [HALF, FOUR, EIGHT, POSITIVE, PowerExponent(3, 1, 0.7), PowerExponent(6, "33/50")]
)
def test_codes_and_levels_are_decided_exactly(c, rng):
    assert all(is_level(int(v), Fraction(k, c.n), c) for k, v in enumerate(c.levels)) or c.is_exact
    if c.is_exact:
        assert c.levels.tolist() == [k**c.exponent.denominator for k in range(c.n + 1)]
    edges = c._doubles
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 9), rng.uniform(-1.2, 1.2, 50)])
    near = np.concatenate([near, -near, [0.0, -0.0]]) * 1.0
    want = [code(Fraction(v), c) for v in near]
    assert c.encode(near).tolist() == want
    assert c.encode([Fraction(v) for v in near]).tolist() == want
    assert c.encode(np.float32(near)).tolist() == [code(Fraction(float(v)), c) for v in np.float32(near)]
    assert c.encode(edges).tolist() == list(range(1, c.n + 1))
    for frac in (-2, 0, 3, 40):
        for k, t in enumerate(c.thresholds(frac).tolist(), 1):
            assert abs(code(Fraction(t) / Fraction(2) ** frac, c)) >= k
            assert abs(code(Fraction(t - 1) / Fraction(2) ** frac, c)) < k or t < 1
    codes = np.arange(-c.n, c.n + 1)
    assert c.encode([Fraction(int(r)) * c.scale / 2**c.frac for r in c.raw(codes)]).tolist() == codes.tolist()


def test_ties_go_to_the_even_level():
    # share**(1/a) in LSB of 1/2 or 1: 2 * (1/2)**2 = 1/2, 2 * (3/2)**2 = 9/2, 3/2.
    assert PowerExponent(4, 0.5, frac=1).level(Fraction(1, 2)) == 0
    assert PowerExponent(4, 0.5, frac=1).level(Fraction(3, 2)) == 4
    assert PowerExponent(4, 1, frac=0).level(Fraction(3, 2)) == 2


def test_roots_are_the_least_integers():
    for p in (1, 2, 3, 7):
        for x in [Fraction(n, d) for n in range(0, 400, 7) for d in (1, 3)] + [Fraction(10**40 + 1)]:
            r = root_ceiling(x, p)
            assert r**p >= x and (r == 0 or (r - 1) ** p < x)


def test_slope_is_the_finite_difference_at_fixed_rounding():
    c = PowerExponent(4, 0.6, 2)
    x = np.array([0.31, -1.7, 0.02, 0.0, 2.0])
    q = c.encode(x)
    v = c.n * (np.abs(x) / 2) ** 0.6

    def value(a):
        size = c.n * (np.abs(x) / 2) ** a + np.where(q != 0, np.abs(q) - v, 0)
        return np.sign(q) * (size / c.n) ** (1 / a) * 2

    step = 1e-6
    want = np.where(q != 0, (value(0.6 + step) - value(0.6 - step)) / (2 * step), 0)
    assert np.allclose(c.slope(x, q), want, rtol=1e-7, atol=1e-12)


def everything(a, b, x, z):
    """All code pairs of 4 bits in every unit; encoders of 4, 5 and 8 bits; a constant layer."""
    w = np.random.default_rng(1).integers(-EIGHT.n, EIGHT.n + 1, (3, 2))
    hidden = power_encode(z, EIGHT)
    layer = power_matmul(hidden, z.builder.constant(w), EIGHT, EIGHT, name="layer")
    return (
        power_matmul(a, b, HALF, HALF), power_matmul(a, b, HALF, HALF, unit="square", name="square"),
        power_matmul(a, b, FOUR, FOUR, unit="product", name="product"), power_decode(a, FOUR),
        power_encode(x, FOUR, name="four"), power_encode(abs(x), POSITIVE, name="five"), hidden, layer,
    )  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> fxsim.Graph:
    codes = [TensorType(s, 0, np.full(s, -7), np.full(s, 7)) for s in ((2,), (2, 1))]
    return fxsim.trace(everything, *codes, SQ(4, 8), SQ(3, 13), shape=[(2,), (2, 1), (), (3,)], name="power")


@pytest.fixture(scope="module")
def raw() -> list[np.ndarray]:
    """All 15**4 pairs of vectors of codes, all x; random z."""
    rows = np.arange(100_000)
    digits = np.stack([rows // 15**k % 15 - 7 for k in range(4)], 1)
    z = np.random.default_rng(5).integers(-(1 << 15), 1 << 15, (100_000, 3))
    z[: EIGHT.n] = EIGHT.thresholds(13)[:, None] - np.arange(3)
    z[200 : 200 + EIGHT.n] = -EIGHT.thresholds(13)[:, None] + np.arange(3)
    return [digits[:, :2], digits[:, 2:, None], rows % 4096 - 2048, np.clip(z, -(1 << 15), (1 << 15) - 1)]


def test_every_output_is_the_definition(graph, raw):
    a, b, x, z = raw
    decode, square, product, four, x4, x5, hidden, layer = graph.run_raw(*raw)
    assert [o.type.frac for o in graph.outputs] == [0, 0, 10, 10, 0, 0, 0, 32]
    squares = sum(np.sign(a[:, k]) * a[:, k] ** 2 * np.sign(b[:, k, 0]) * b[:, k, 0] ** 2 for k in range(2))
    assert np.array_equal(decode[:, 0], squares) and np.array_equal(square, decode)
    level = {p: v for p in range(50) for v in range(1025) if is_level(v, Fraction(p, 49), FOUR)}
    p = a * b[..., 0]
    assert np.array_equal(product[:, 0], (np.sign(p) * np.vectorize(level.get)(np.abs(p))).sum(1))
    assert np.array_equal(four, np.sign(a) * np.vectorize(level.get)(np.abs(a) * 7))
    assert x4[:4096].tolist() == [code(Fraction(int(v), 256), FOUR) for v in x[:4096]]
    assert x5[:4096].tolist() == [code(Fraction(abs(int(v)), 256), POSITIVE) for v in x[:4096]]
    want = [[code(Fraction(int(v), 1 << 13), EIGHT) for v in row] for row in z[:500]]
    assert hidden[:500].tolist() == want
    w = np.random.default_rng(1).integers(-EIGHT.n, EIGHT.n + 1, (3, 2))
    assert np.array_equal(layer, EIGHT.raw(hidden) @ EIGHT.raw(w))


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp])
def test_every_output_in_hardware(graph, raw, reading):
    readings.check(graph, raw, reading)


def test_the_specification_agrees(graph, raw):
    rows = np.random.default_rng(0).integers(0, 100_000, 8)
    readings.check(graph, [r[rows] for r in raw], readings.specification)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PowerExponent(1, 0.5), ValueError, r"bits must be in 2..16, not 1"),
        (lambda: PowerExponent(4, 0), ValueError, r"fraction in 0 < a <= 1 .* up to 100, not 0"),
        (lambda: PowerExponent(4, 1.5), ValueError, r"fraction in 0 < a <= 1 .* up to 100, not 1.5"),
        (lambda: PowerExponent(4, 0.123), ValueError, r"denominator up to 100, not 0.123"),
        (lambda: PowerExponent(4, "half"), TypeError, "exponent must be a fraction, not 'half'"),
        (lambda: PowerExponent(4, None), TypeError, "exponent must be a fraction, not None"),
        (lambda: PowerExponent(4, 0.5, 0), ValueError, "maximum must be one number above 0, not 0"),
        (lambda: PowerExponent(4, 0.5, [1, 2]), ValueError, "maximum must be one number above 0"),
        (lambda: PowerExponent(4, 0.5, frac=-1), ValueError, "frac must be at least 0, not -1"),
        (lambda: PowerExponent.fit([0.0]), ValueError, "one that is not 0, not a zero block"),
        (lambda: PowerExponent.fit([1.0], 1), ValueError, r"bits must be in 2..16, not 1"),
        (lambda: HALF.encode([np.nan]), ValueError, r"finite, not nan at index \(0,\)"),
        (lambda: HALF.raw([-8]), ValueError, r"codes must lie in -7..7, not -8 at \(0,\)"),
    ],
)
def test_bad_parameters_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_bad_operands_are_named():
    four = TensorType((2,), 0, np.full(2, -7), np.full(2, 7))
    wide = TensorType((2,), 0, np.full(2, -4095), np.full(2, 4095))
    thirteen = PowerExponent(13, "2/3")

    def units(kind, x, w, unit):
        fxsim.trace(lambda a: power_matmul(a, a.reshape(2, 1), x, w, unit=unit), kind)

    with pytest.raises(TypeError, match=r"codec must be a PowerExponent, not 4"):
        fxsim.trace(lambda a: power_decode(a, 4), four)
    with pytest.raises(TypeError, match=r"codes must have frac 0 .* in -7..7, not frac 0 and 0..15"):
        fxsim.trace(lambda a: power_decode(a, HALF), UQ(4, 0))
    with pytest.raises(TypeError, match=r"needs \(..., K\) and \(K, N\), not \(2,\) and \(2,\)"):
        fxsim.trace(lambda a: power_matmul(a, a, HALF, HALF), four)
    with pytest.raises(ValueError, match="unit must be one of decode, product, square, not 'sum'"):
        units(four, HALF, HALF, "sum")
    with pytest.raises(
        ValueError, match=r"not 'square', which needs exponents of 1/2 .* PowerExponent\(bits=4"
    ):
        units(four, HALF, FOUR, "square")
    with pytest.raises(ValueError, match="not 'product', which needs equal exponents"):
        units(four, FOUR, PowerExponent(4, 0.7), "product")
    with pytest.raises(ValueError, match="not 'product', which needs equal exponents and a frac"):
        units(four, HALF, HALF, "product")
    assert (thirteen.n**2).bit_length() == 24
    fourteen = PowerExponent(14, "2/3")
    with pytest.raises(ValueError, match="product of at most 24 bits for a table, not 25"):
        units(wide, thirteen, fourteen, "product")


def test_the_codec_is_known_by_name():
    assert "Codes that training has moved" in quantizers.describe("power exponent")
