"""Shared exponents: worked numbers, every reading against exact rationals, bad input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import SQ, TensorType, quantizers
from fxsim.layers.shared_exponent import (
    Shared,
    chunk_length,
    shared_add,
    shared_matmul,
    shared_multiply,
    shared_quantize,
    shared_renormalise,
    shared_value,
)
from fxsim.quantizers.shared_exponent import SharedExponent
from tests.agreement import readings

VALUES = [0.75, -0.3, 0.01234, -1.1875, 0.5]
CODES = [12288, -4915, 202, -19456, 8192]


def rounded(v: Fraction, bits: int) -> int:
    """Nearest integer, ties to even (Python's round), saturated symmetrically."""
    most = 2 ** (bits - 1) - 1
    return min(max(round(v), -most), most)


def floor_log2(v: Fraction) -> int:
    k = 0
    while Fraction(2) ** (k + 1) <= v:
        k += 1
    while Fraction(2) ** k > v:
        k -= 1
    return k


def quantized(values: list[Fraction], bits: int, headroom: int, zero: int) -> tuple[list[int], int]:
    """The definition; `zero` is floor(log2) for a block of zeros."""
    largest = max(map(abs, values))
    e = (floor_log2(largest) if largest else zero) - (bits - 2) + headroom
    return [rounded(v / Fraction(2) ** e, bits) for v in values], e


def renormalised(acc: list[int], e: int, bits: int) -> tuple[list[int], int]:
    drop = max(0, max(abs(a) for a in acc).bit_length() - (bits - 1))
    return [rounded(Fraction(a, 2**drop), bits) for a in acc], e + drop


def added(a: list[int], ea: int, b: list[int], eb: int, bits: int) -> tuple[list[int], int]:
    e = max(ea, eb)
    sums = [x * Fraction(2) ** (ea - e) + y * Fraction(2) ** (eb - e) for x, y in zip(a, b, strict=True)]
    e += any(abs(s) >= 2 ** (bits - 1) for s in sums)
    scale = Fraction(2) ** (max(ea, eb) - e)
    return [rounded(s * scale, bits) for s in sums], e


def test_worked_block():
    codec = SharedExponent.fit(VALUES)
    assert (codec.exponent, codec.frac, codec.encode(VALUES).tolist()) == (-14, 14, CODES)
    assert codec.encode([Fraction(v) for v in VALUES]).tolist() == CODES
    assert codec.decode(CODES).tolist() == [c / 2**14 for c in CODES]
    assert SharedExponent.fit(VALUES, headroom=2).exponent == -12
    assert SharedExponent.fit(np.float32(VALUES)) == SharedExponent.fit(list(map(Fraction, VALUES))) == codec
    assert codec.encode(np.float32(VALUES)).tolist() == CODES
    graph = fxsim.trace(lambda x: shared_quantize(x), SQ(4, 30, rounding="RND"), shape=(5,))
    mantissa, exponent = graph.run_raw(np.rint(np.array(VALUES) * 2**30).astype(np.int64))
    assert (mantissa.tolist(), exponent) == (CODES, -14)


def test_rounding_is_not_the_reference_librarys():
    ulp = 2.0**-14
    codec = SharedExponent(-14)
    assert codec.encode([-0.75 * ulp, -1.75 * ulp, -0.5 * ulp, 1.5 * ulp]).tolist() == [-1, -2, 0, 2]
    assert SharedExponent.fit([1.99999]).exponent == -14
    assert codec.encode([1.99999, -1.99999, 5, -2]).tolist() == [32767, -32767, 32767, -32767]


def test_exponents_of_any_size():
    assert SharedExponent(-800).encode([1e300, -1e300, 1e-300]).tolist() == [32767, -32767, 0]
    assert SharedExponent(800).encode([1e300, -1e300, 1e-300]).tolist() == [32767, -32767, 0]
    for power in (-1000, -60, 0, 60, 1000):
        codec = SharedExponent.fit([1.5 * 2.0**power, 2.0**power])
        assert codec.exponent == power - 14
        assert codec.encode([1.5 * 2.0**power, -(2.0**power)]).tolist() == [3 << 13, -1 << 14]
        exact = codec.raw([3 << 13]) * Fraction(1, 2**codec.frac)
        assert exact[0] == Fraction(3, 2) * Fraction(2) ** power


def test_worked_down_conversion():
    acc = [123456789, -7654321, 1000]
    kind = TensorType((3,), 0, np.full(3, -(2**31) + 1), np.full(3, 2**31 - 1))
    graph = fxsim.trace(lambda x: shared_renormalise(Shared(x, x[0] * 0)), kind)
    mantissa, exponent = graph.run_raw(acc)
    assert (mantissa.tolist(), exponent) == ([30141, -1869, 0], 12)
    mantissa, exponent = graph.run_raw([2**31 - 1, -(2**31) + 1, 1 << 15])
    assert (mantissa.tolist(), exponent) == ([32767, -32767, 0], 16)  # (acc + half) >> 16 would be 32768


def test_chunks_of_the_paper():
    assert [chunk_length(b, b) for b in (16, 15, 14, 13, 12)] == [2, 8, 32, 128, 512]
    assert 2 * 32767**2 < 2**31 <= 2 * 32768**2  # why the range is symmetric
    assert chunk_length(16, 8, 24) == 2
    for a, b, width in ((16, 16, 32), (8, 8, 20), (4, 9, 13)):
        n, product = chunk_length(a, b, width), (2 ** (a - 1) - 1) * (2 ** (b - 1) - 1)
        assert n * product <= 2 ** (width - 1) - 1 < (n + 1) * product


def test_chunks_are_as_wide_as_the_accumulator_and_spill():
    kind = TensorType((7,), 0, np.full(7, -32767), np.full(7, 32767))
    weights = np.full((7, 1), 32767)

    def dot(x):
        zero = x[0] * 0
        return shared_matmul(Shared(x, zero), Shared(x.builder.constant(weights), zero)).mantissa

    graph = fxsim.trace(dot, kind)
    parts = [v.type.max_width for v in graph.values if type(getattr(v, "op", None)).__name__ == "MatMul"]
    assert parts == [32, 32, 32, 31]
    assert graph.outputs[0].type.max_width == 34  # 32 + ceil(log2(7 / 2))
    assert graph.run_raw(np.full(7, -32767)).tolist() == [-7 * 32767**2]


def small(x, y):
    """All blocks of two 6-bit and one 5-bit number, in 4-bit mantissas."""
    a, b = shared_quantize(x, 4), shared_quantize(y, 4, headroom=1, name="q")
    p = shared_multiply(a, b)
    return (
        *a, *b, *p, *shared_add(a, b, 4), *shared_renormalise(p, 4),
        *shared_renormalise(Shared(p.mantissa, p.exponent), 6, name="r"), shared_value(p),
    )  # fmt: skip


def large(m, e, x, w, f):
    """A layer of 16-bit mantissas: quantize, matrix product in pairs, renormalise, add a bias of its own."""
    a, b = Shared(m, e), shared_quantize(x)
    product = shared_matmul(b, Shared(w, f))
    narrow = shared_renormalise(product)
    return *b, *product, *narrow, *shared_add(narrow, a)


def symmetric(shape, most):
    return TensorType(shape, 0, np.full(shape, -most), np.full(shape, most))


GRAPHS = {
    "small": lambda: fxsim.trace(small, SQ(3, 3), SQ(2, 3), shape=[(2,), (1,)], name="shared_small"),
    "large": lambda: fxsim.trace(
        large, symmetric((2,), 32767), symmetric((), 12), SQ(10, 10), symmetric((5, 2), 32767),
        symmetric((), 6), shape=[(2,), (), (5,), (5, 2), ()], name="shared_large",
    ),
}  # fmt: skip


def stimulus(which: str, rows: int) -> list[np.ndarray]:
    if which == "small":
        code = np.arange(1 << 17)
        return [np.stack([code % 64 - 32, code // 64 % 64 - 32], 1), code[:, None] // 4096 - 16]
    rng = np.random.default_rng(3)
    m = rng.integers(-32767, 32768, (rows, 2)) >> rng.integers(0, 16, (rows, 1))
    x = rng.integers(-(2**19), 2**19, (rows, 5)) >> rng.integers(0, 20, (rows, 1))
    w = rng.integers(-32767, 32768, (rows, 5, 2)) >> rng.integers(0, 8, (rows, 1, 1))
    extreme = np.array([-(2**19), 2**19 - 1, 0, 1, -1, 2**15, -(2**15) - 1])
    x[:500] = rng.choice(extreme, (500, 5))
    w[:500] = rng.choice([-32767, 32767, 0, 1], (500, 5, 2))
    m[:500] = rng.choice([-32767, 32767, 0, 1], (500, 2))
    return [m, rng.integers(-12, 13, rows), x, w, rng.integers(-6, 7, rows)]


def reference_small(x, y):
    a, ea = quantized([Fraction(int(v), 8) for v in x], 4, 0, -4)
    b, eb = quantized([Fraction(int(v), 8) for v in y], 4, 1, -4)
    p = [v * b[0] for v in a]
    value = [Fraction(v) * Fraction(2) ** (ea + eb) for v in p]
    return (
        a, ea, b, eb, p, ea + eb, *added(a, ea, b * 2, eb, 4), *renormalised(p, ea + eb, 4),
        *renormalised(p, ea + eb, 6), value,
    )  # fmt: skip


def reference_large(m, e, x, w, f):
    a, ea = quantized([Fraction(int(v), 1024) for v in x], 16, 0, -11)
    p = [sum(int(w[k, j]) * a[k] for k in range(5)) for j in range(2)]
    narrow, en = renormalised(p, ea + int(f), 16)
    return a, ea, p, ea + int(f), narrow, en, *added(narrow, en, [int(v) for v in m], int(e), 16)


@pytest.mark.parametrize(("which", "reference"), [("small", reference_small), ("large", reference_large)])
def test_every_step_is_the_definition(which, reference):
    graph, raw = GRAPHS[which](), stimulus(which, 4000)
    rows = range(0, len(raw[0]), 31 if which == "small" else 1)
    outs = [o[:: rows.step] for o in graph.run_raw(*raw)]
    fracs = [o.type.frac for o in graph.outputs]
    for i, row in enumerate(rows):
        want = reference(*(r[row] for r in raw))
        got = [o[i].tolist() for o in outs]
        if which == "small":
            want = (*want[:-1], [int(v * 2 ** fracs[-1]) for v in want[-1]])
        assert got == list(want), row


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp])
@pytest.mark.parametrize("which", ["small", "large"])
def test_every_step_in_hardware(which, reading):
    readings.check(GRAPHS[which](), stimulus(which, 100_000), reading)


def test_the_graph_quantizes_as_the_codec(rng):
    x = rng.integers(-(2**19), 2**19, (200, 6)) >> rng.integers(0, 19, (200, 1))
    mantissa, exponent = fxsim.trace(shared_quantize, SQ(4, 16), shape=(6,)).run_raw(x)
    for row, m, e in zip(x, mantissa, exponent, strict=True):
        if np.any(row):
            codec = SharedExponent.fit(row / 2**16)
            assert (codec.exponent, codec.encode(row / 2**16).tolist()) == (e, m.tolist())


@pytest.mark.parametrize("which", ["small", "large"])
def test_the_specification_agrees(which):
    raw = stimulus(which, 2000)
    rows = np.random.default_rng(0).integers(0, 2000, 8)
    readings.check(GRAPHS[which](), [r[rows] for r in raw], readings.specification)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SharedExponent(0, 1), ValueError, "bits must be in 2..32, not 1"),
        (lambda: SharedExponent(0.5), TypeError, "exponent must be an integer, not 0.5"),
        (lambda: SharedExponent.fit([0.0, 0.0]), ValueError, "one that is not 0, not a zero block"),
        (lambda: SharedExponent.fit([]), ValueError, "one that is not 0, not a zero block"),
        (lambda: SharedExponent.fit([1.0], headroom=15), ValueError, "headroom must be in 0..14, not 15"),
        (lambda: SharedExponent(0).encode([0.0, np.nan]), ValueError, r"finite, not nan at index \(1,\)"),
        (lambda: SharedExponent(0).raw([-32768]), ValueError, "codes must lie in -32767..32767, not -32768"),
        (lambda: chunk_length(16, 16, 30), ValueError, "accumulator must have .* one product, 31, not 30"),
    ],
)
def test_bad_parameters_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_bad_operands_are_named():
    def use(fn, frac=0):
        return fxsim.trace(fn, SQ(16 - frac, frac), shape=(2,))

    with pytest.raises(TypeError, match=r"operands must be Shared \(mantissa, exponent\), not <Tensor"):
        use(lambda x: shared_renormalise(x))
    with pytest.raises(TypeError, match="fracs 1, 1 and an exponent of shape"):
        use(lambda x: shared_renormalise(Shared(x, x[0] * 0)), frac=1)
    with pytest.raises(TypeError, match=r"an exponent of shape \(2,\)"):
        use(lambda x: shared_renormalise(Shared(x, x)))
    with pytest.raises(TypeError, match=r"needs \(..., K\) and \(K, N\), not \(2,\) and \(2,\)"):
        use(lambda x: shared_matmul(Shared(x, x[0]), Shared(x, x[0])))
    with pytest.raises(ValueError, match=r"bits must hold both operands' mantissas, .* 32768, not 16"):
        use(lambda x: shared_add(Shared(x, x[0] * 0), Shared(x, x[0] * 0)))
    with pytest.raises(ValueError, match=r"headroom must be in 0..14, not -1"):
        use(lambda x: shared_quantize(x, headroom=-1))


def test_the_codec_is_known_by_name():
    assert "E_max - (bits - 2)" in quantizers.describe("shared exponent")
