"""FxArray against apytypes, the vendors' headers, the graph, and every way to use it wrongly."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import apytypes
import numpy as np
import pytest
from golden_vectors import DATA, Outcomes, read

import fxsim
from fxsim import growth, ops
from fxsim.array import FxArray
from fxsim.casting import cast_raw
from fxsim.formats import SQ, UQ, Format, Overflow, Rounding
from fxsim.integers import to_object
from fxsim.types import TensorType

Q = apytypes.QuantizationMode
APY_ROUNDING = {
    Rounding.TRN: Q.TO_NEG,
    Rounding.TRN_ZERO: Q.TO_ZERO,
    Rounding.RND: Q.TIES_POS,
    Rounding.RND_MIN_INF: Q.TIES_NEG,
    Rounding.RND_ZERO: Q.TIES_ZERO,
    Rounding.RND_INF: Q.TIES_AWAY,
    Rounding.RND_CONV: Q.TIES_EVEN,
    Rounding.RND_CONV_ODD: Q.TIES_ODD,
}
APY_OVERFLOW = {Overflow.WRAP: apytypes.OverflowMode.WRAP, Overflow.SAT: apytypes.OverflowMode.SAT}


def draw(rng: np.random.Generator, fmt: Format, shape: tuple[int, ...]) -> FxArray:
    """Codes of the whole format, its ends among them."""
    codes = rng.integers(fmt.lo, fmt.hi, shape, endpoint=True)
    codes.flat[:2] = fmt.lo, fmt.hi
    return FxArray(codes, fmt)


def in_apytypes(x: FxArray) -> Any:
    return apytypes.APyFixedArray(x.to_bits().tolist(), int_bits=x.format.int_bits, bits=x.format.width)


def assert_same(x: FxArray, y: Any) -> None:
    assert (x.format.width, x.format.int_bits) == (y.bits, y.int_bits)
    assert x.to_bits().tolist() == y.to_bits()


FORMATS = [SQ(1, 0), SQ(3, 4), SQ(-2, 9), SQ(12, -4), SQ(8, 15), SQ(1, 29)]


@pytest.mark.parametrize(("f", "g"), list(product(FORMATS, FORMATS)), ids=str)
def test_exact_operators_equal_apytypes(f: Format, g: Format, rng: np.random.Generator) -> None:
    a, b, m = draw(rng, f, (4, 3)), draw(rng, g, (4, 3)), draw(rng, g, (3, 5))
    x, y, w = in_apytypes(a), in_apytypes(b), in_apytypes(m)
    assert_same(a + b, x + y)
    assert_same(a - b, x - y)
    assert_same(a * b, x * y)
    assert_same(a @ m, x @ w)
    assert_same(-a, -x)
    assert_same(abs(a), abs(x))
    assert_same(a << 3, x << 3)
    assert_same(a >> 5, x >> 5)
    assert_same(a.sum(0), x.sum(0))
    np.testing.assert_array_equal(a < b, np.array(x < y))
    np.testing.assert_array_equal(a <= b, np.array(x <= y))
    np.testing.assert_array_equal(a == b, np.array(x == y))


@pytest.mark.parametrize("rounding", APY_ROUNDING)
@pytest.mark.parametrize("overflow", APY_OVERFLOW)
def test_cast_and_from_float_equal_apytypes(
    rounding: Rounding, overflow: Overflow, rng: np.random.Generator
) -> None:
    for f in (SQ(3, 4), SQ(20, 30), SQ(4, 40), SQ(-3, 60)):
        a = draw(rng, f, (40,))
        for int_bits, frac_bits in ((2, 3), (5, 0), (30, 33), (1, 20), (9, -2)):
            got = a.cast(int_bits=int_bits, frac_bits=frac_bits, quantization=rounding, overflow=overflow)
            want = in_apytypes(a).cast(int_bits, frac_bits, APY_ROUNDING[rounding], APY_OVERFLOW[overflow])
            assert_same(got, want)
            assert got.format.rounding is rounding and got.format.overflow is overflow
    x = rng.normal(size=30) * 2.0 ** rng.integers(-6, 6, 30)
    np.testing.assert_array_equal(
        FxArray.from_float(x, int_bits=4, frac_bits=3).to_numpy(),
        apytypes.APyFixedArray.from_float(x, int_bits=4, frac_bits=3).to_numpy(),
    )


def eagerly(v: Outcomes) -> FxArray:
    a = FxArray(v.a, v.left)
    match v.op:
        case "CAST":
            return a.cast(v.result)
        case "FROM_DOUBLE":
            return FxArray.from_float(v.x, v.result)
        case "NEG":
            return (-a).cast(v.result)
        case "MAC":
            return (a * FxArray(v.b, v.right)).cast(v.result).accumulate(v.result, -1)
        case "MUL":
            return (a * FxArray(v.b, v.right)).cast(v.result)
        case "ADD":
            return (a + FxArray(v.b, v.right)).cast(v.result)
        case "SUB":
            return (a - FxArray(v.b, v.right)).cast(v.result)
        case _:
            return (a / FxArray(v.b, v.right)).cast(v.result)


@pytest.mark.parametrize("op", ["CAST", "FROM_DOUBLE", "MUL", "ADD", "SUB", "DIV", "NEG", "MAC"])
def test_every_golden_outcome(op: str) -> None:
    for name in ("ap_fixed", "ac_fixed"):
        for v in read(DATA / f"{name}.npz", op):
            np.testing.assert_array_equal(eagerly(v).codes, v.y, err_msg=str(v))


def test_division_truncates_toward_zero_and_wraps_only_min_by_minus_one() -> None:
    for f, g in product((SQ(2, 1), SQ(4, -1), UQ(1, 1), SQ(1, 0)), (SQ(1, 2), UQ(0, 3), SQ(5, -2), SQ(1, 0))):
        a = FxArray(np.arange(f.lo, f.hi + 1)[:, None], f)
        b = FxArray([c for c in range(g.lo, g.hi + 1) if c], g)
        q = a / b
        assert q.format == growth.div_format(f, g)
        wraps = growth.div_operand_width(f, g)
        for (i, j), code in np.ndenumerate(q.codes):
            exact = Fraction(int(a.codes[i, 0])) * f.lsb / (int(b.codes[j]) * g.lsb) / q.format.lsb
            want = int(exact)
            if q.format.signed and want == 2 ** (wraps - 1):
                want = -want
            assert code == want


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("source", [SQ(3, 4), UQ(2, 1), SQ(9, 0), SQ(2, 9)], ids=str)
def test_accumulate_casts_at_every_step(overflow: Overflow, source: Format, rng: np.random.Generator) -> None:
    x = draw(rng, source, (3, 7, 2))
    for n in (0, 2) if "WRAP" in overflow else (0,):
        to = SQ(3, 2, rounding=Rounding.RND_CONV, overflow=overflow, n=n)
        grown = growth.add_format(to, source)
        acc = np.zeros((3, 2), np.int64)
        for k in range(7):
            total = (acc << (grown.frac - to.frac)) + (x.codes[:, k] << (grown.frac - source.frac))
            acc = cast_raw(
                total,
                src_frac=grown.frac,
                frac=to.frac,
                width=to.width,
                signed=True,
                rounding=to.rounding,
                overflow=to.overflow,
                n=n,
                source_width=grown.width,
            )
        got = x.accumulate(to, axis=1)
        assert got.format == to
        np.testing.assert_array_equal(got.codes, acc)
        np.testing.assert_array_equal(x.accumulate(str(to), axis=-2).codes, acc)


EXPRESSIONS: list[Callable[[Any], Any]] = [
    lambda x: x @ np.array([[1, -3], [0.5, 7], [-2, 0]]) + np.array([0.25, -1.0]),
    lambda x: (x * x - 0.375 * x).cast(SQ(3, 2, rounding="RND_CONV", overflow="SAT")),
    lambda x: abs(x).sum(-1) * 3,
    lambda x: (5 - x) << 2,
    lambda x: -x[..., 1:] + (x >> 1)[..., :2],
    lambda x: x.T.reshape(-1) + 1,
    lambda x: x.cast(Format.parse("ap_fixed<5,2,AP_TRN,AP_WRAP_SM,0>")) * 1.5,
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_the_same_expression_traced_gives_the_same_integers(
    expression: Callable[[Any], Any], rng: np.random.Generator
) -> None:
    fmt = SQ(3, 4)
    graph = fxsim.trace(expression, fmt, shape=(2, 3))
    x = draw(rng, fmt, (2, 3))
    eager, traced = expression(x), graph.run_raw(x.codes)
    frac = graph.outputs[0].type.frac
    common = max(frac, eager.format.frac)
    np.testing.assert_array_equal(
        to_object(eager.codes) << (common - eager.format.frac), to_object(traced) << (common - frac)
    )


SMALL = [SQ(1, 0), SQ(2, 1), UQ(0, 2), UQ(3, -1), SQ(-1, 3)]


@pytest.mark.parametrize(("f", "g"), list(product(SMALL, SMALL)), ids=str)
def test_result_formats_cover_what_the_ops_infer(f: Format, g: Format) -> None:
    a, b = FxArray(np.full((3, 3), f.lo), f), FxArray(np.full((3, 3), g.hi), g)
    x, y = TensorType.of(f, (3, 3)), TensorType.of(g, (3, 3))
    frac = max(f.frac, g.frac)
    u, v = ops.Shift(frac - f.frac).infer(x), ops.Shift(frac - g.frac).infer(y)
    results = {
        (a + b).format: ops.Add().infer(u, v),
        (a - b).format: ops.Sub().infer(u, v),
        (a * b).format: ops.Mul().infer(x, y),
        (a @ b).format: ops.MatMul().infer(x, y),
        a.sum().format: ops.Sum((0, 1)).infer(x),
        (-a).format: ops.Neg().infer(x),
    }
    for fmt, inferred in results.items():
        assert TensorType.of(fmt, inferred.shape).covers(inferred)


@pytest.mark.parametrize("width", [62, 63, 64, 65, 128])
def test_wide_formats_are_exact(width: int) -> None:
    f = Format(width, 3)
    codes = [f.lo, f.hi, -1, 0, 1, f.lo + 1]
    a, plain = FxArray(codes, f), np.array(codes, object)
    assert (a + a).codes.tolist() == (plain + plain).tolist()
    assert (a - a.reshape(6, 1)).codes.tolist() == (plain - plain.reshape(6, 1)).tolist()
    assert (a * a).codes.tolist() == (plain * plain).tolist()
    assert (a @ a).codes.item() == sum(c * c for c in codes)
    assert (-a).codes.tolist() == (-plain).tolist()
    assert FxArray.from_bits(a.to_bits(), f).is_identical(a)
    assert (a == a).all() and not (a < a).any()
    assert "*" in str(a) or width <= 53
    with pytest.raises(OverflowError, match="float64 does not hold code"):
        a.to_numpy()


def test_numbers_and_numpy_arrays_on_either_side_are_exact() -> None:
    x = FxArray([3, -5], SQ(3, 2))
    for other in (2, np.int8(2), 2.0, np.float32(2), np.array([2, 2]), np.array([2.0, 2.0], np.float16)):
        for got, want in (
            (x + other, [2.75, 0.75]),
            (other + x, [2.75, 0.75]),
            (x - other, [-1.25, -3.25]),
            (other - x, [1.25, 3.25]),
            (x * other, [1.5, -2.5]),
            (other * x, [1.5, -2.5]),
        ):
            assert isinstance(got, FxArray)
            assert got.to_numpy().tolist() == want
        assert (x < other).tolist() == [True, True] and (other < x).tolist() == [False, False]
        assert (other >= x).tolist() == [True, True] and (x != other).tolist() == [True, True]
    assert (np.eye(2) @ x).to_numpy().tolist() == (x @ np.eye(2)).to_numpy().tolist() == [0.75, -1.25]
    assert (x / 2).to_numpy().tolist() == [0.25, -0.5]
    assert (6 / x).to_numpy().tolist() == [8, -4]
    tenth = x * 0.1
    assert [int(c) * tenth.format.lsb for c in tenth.codes] == [Fraction(0.1) * c / 4 for c in (3, -5)]
    assert (x + 2**70).codes.tolist() == [2**72 + 3, 2**72 - 5]
    assert (x * np.array([1e300, 5e-324])).codes.tolist()[1] == -5
    assert (x == "text") is False and (x != "text") is True


def test_bits_and_back() -> None:
    for f in (SQ(1, 3), UQ(2, 2), SQ(1, 0)):
        words = np.arange(2**f.width)
        a = FxArray.from_bits(words, f)
        assert a.to_bits().tolist() == words.tolist()
        assert sorted(a.codes.tolist()) == list(range(f.lo, f.hi + 1))
    assert FxArray.from_bits([255], bits=8, frac_bits=4).to_numpy().tolist() == [-0.0625]
    assert FxArray.from_bits([255], int_bits=4, frac_bits=4, signed=False).to_numpy().tolist() == [15.9375]


def test_two_of_three_sizes_and_modes() -> None:
    want = Format(8, 3, True, Rounding.RND_INF)
    for sizes in ({"bits": 8, "int_bits": 3}, {"bits": 8, "frac_bits": 5}, {"int_bits": 3, "frac_bits": 5}):
        assert FxArray.from_float([0.1], **sizes).format == want  # type: ignore[arg-type]
    x = FxArray.from_float([1.03125], "ap_fixed<8,3,AP_RND_CONV,AP_SAT>")
    assert x.format == Format(8, 3, True, Rounding.RND_CONV, Overflow.SAT)
    assert x.cast(frac_bits=2).format == Format(5, 3)
    assert x.cast(int_bits=2).format == Format(7, 2)
    assert x.cast(bits=4, int_bits=2, signed=False, overflow="SAT").format == UQ(2, 2, overflow="SAT")
    assert x.cast(x.format, quantization="AP_TRN").format == x.format.replace(rounding=Rounding.TRN)
    assert FxArray.from_float([1.5], int_bits=2, frac_bits=0, quantization="TRN").codes.tolist() == [1]


def test_indexing_shapes_and_text() -> None:
    x = FxArray(np.arange(-6, 6).reshape(3, 4), SQ(2, 2))
    assert x.shape == (3, 4) and x.ndim == 2 and x.size == 12 and len(x) == 3
    assert x.T.shape == (4, 3) and x.reshape(2, 6).shape == x.reshape((2, -1)).shape == (2, 6)
    assert x[1, ::2].codes.tolist() == [-2, 0] and x[x > 1].codes.tolist() == [5]
    assert [row.codes.sum() for row in x] == [-18, -2, 14]
    assert float(x[0, 0]) == -1.5 and bool(x[0, 0]) and not x[1, 2]
    assert np.asarray(x).tolist() == x.to_numpy().tolist()
    assert str(x[0, :2]) == "[-1.5  -1.25]"
    assert repr(x[0, :2]) == "FxArray([-6, -5], 'ap_fixed<4,2,AP_TRN,AP_WRAP,0>')"
    for y in (x, x[0, 0], FxArray([2**70], SQ(80, 0))):
        assert eval(repr(y)).is_identical(y) and pickle.loads(pickle.dumps(y)).is_identical(y)
    assert x.is_identical(FxArray(x.codes, x.format.replace(rounding=Rounding.RND)))
    assert not x.is_identical(x.codes) and not x.is_identical(x[0]) and not x.is_identical(x << 1)
    with pytest.raises(ValueError, match="read-only"):
        x.codes[0, 0] = 1


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: FxArray([0.5], SQ(1, 3)), TypeError, "values must be integers, not float64"),
    (lambda: FxArray([0, 8, 9], SQ(4, 0)), ValueError, r"codes must be in -8\.\.7 .* not 8 at index \(1,\)"),
    (lambda: FxArray(-1, UQ(4, 0)), ValueError, r"codes must be in 0\.\.15 .*, not -1$"),
    (lambda: FxArray([1], "fixed"), ValueError, "format must be written as"),
    (lambda: FxArray([1], 8), TypeError, "format must be a fxsim.Format"),  # type: ignore[arg-type]
    (lambda: FxArray([1], "ap_fixed<0,0>"), ValueError, "width must be at least 1, not 0"),
    (lambda: FxArray([1], "ap_fixed<-4,2>"), ValueError, "width must be at least 1, not -4"),
    (lambda: FxArray.from_float([0, np.nan], "SQ1.7"), ValueError, r"x must be finite, not nan at index"),
    (lambda: FxArray.from_float(["a"], "SQ1.7"), TypeError, "x must be float64 or narrower"),
    (lambda: FxArray.from_float([1], bits=8), ValueError, r"exactly two of .* not \['bits'\]"),
    (lambda: FxArray.from_float([1], bits=8, int_bits=4, frac_bits=4), ValueError, "exactly two of"),
    (lambda: FxArray.from_float([1], bits=0, int_bits=0), ValueError, "width must be at least 1, not 0"),
    (lambda: FxArray.from_float([1], int_bits=2, frac_bits=-3), ValueError, "width must be .* not -1"),
    (lambda: FxArray.from_float([1], bits=8.0, int_bits=0), TypeError, "bits must be an integer"),  # type: ignore[arg-type]
    (lambda: FxArray.from_float([1], SQ(1, 1), bits=8), ValueError, "format must stand alone"),
    (lambda: FxArray.from_bits([3, 16], "SQ1.3"), ValueError, r"bit_patterns must .* not 16 at index \(1,\)"),
    (lambda: FxArray.from_bits([-1], "SQ1.3"), ValueError, "bit_patterns must be in"),
    (lambda: X.cast(), ValueError, "exactly two of"),
    (lambda: X.cast(quantization="UP", int_bits=1), ValueError, "rounding must be one of"),
    (lambda: X + np.zeros(3), ValueError, r"shapes \(2,\) and \(3,\) must broadcast"),
    (lambda: X @ np.zeros((3, 2)), ValueError, r"shapes \(2,\) and \(3, 2\) must agree in their inner"),
    (lambda: X @ 2, ValueError, "must agree in their inner sizes"),
    (lambda: X * np.array([1, np.nan]), ValueError, r"operand must be finite, not nan at index \(1,\)"),
    (lambda: X + 1j, TypeError, "unsupported operand"),
    (lambda: X + np.array(1j), TypeError, "operand must hold integers, or floats"),
    (lambda: X + "1", TypeError, "unsupported operand"),
    (lambda: X / np.array([1, 0]), ZeroDivisionError, r"divisor must not be 0 at index \(1,\)"),
    (lambda: X << 0.5, TypeError, "integer"),  # type: ignore[operator]
    (lambda: X.sum(1), ValueError, r"axis must be in -1\.\.0, not 1"),
    (lambda: X.accumulate("SQ4.4", 2), ValueError, "axis must be in"),
    (lambda: bool(X), ValueError, "ambiguous"),
    (lambda: hash(X), TypeError, "unhashable"),
    (lambda: FxArray([1], Format(8, 1100)).to_numpy(), OverflowError, "float64 does not hold"),
    (lambda: FxArray([1], Format(8, -1100)).to_numpy(), OverflowError, "float64 does not hold"),
]  # fmt: skip
X = FxArray([1, 2], SQ(3, 1))


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_wrong_use_is_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
