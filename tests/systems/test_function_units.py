"""Function units: proven references, facts against brute force, all units in one graph in every reading."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ, UQ, TensorType, trace
from fxsim.layers import functions
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.leading_one import Exp2, Log2, Reciprocal, Rsqrt
from fxsim.layers.references import FUNCTIONS, PRECISION, rounded
from fxsim.layers.softmax import Softmax
from tests.agreement import readings

FLOATS = {
    "exp": math.exp, "exp2": lambda x: 2.0**x, "log2": math.log2, "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / math.sqrt(x), "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh,
    "gelu": lambda x: x / 2 * math.erfc(-x / math.sqrt(2)), "exp_negative": lambda x: math.exp(-x),
    "exp2_negative": lambda x: 2.0**-x, "log2_mantissa": math.log1p, "reciprocal_mantissa": None,
    "rsqrt_mantissa": None,
}  # fmt: skip
FLOATS["log2_mantissa"] = lambda x: math.log2(1 + x)
FLOATS["reciprocal_mantissa"] = lambda x: 1 / (1 + x)
FLOATS["rsqrt_mantissa"] = lambda x: 1 / math.sqrt(1 + x if x < 1 else 2 * x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_references_enclose(name):
    assert set(FLOATS) == set(FUNCTIONS)
    for k in (*range(1, 130), 161, 255, 400, -1, -7, -64, -129, -1000):
        x = Fraction(k, 64)
        if k < 0 and ("log" in name or "rsqrt" in name or "mantissa" in name):
            continue
        low, high = FUNCTIONS[name](x)
        assert 0 <= high - low <= 6
        want = FLOATS[name](float(x))
        assert abs(low / 2**PRECISION - want) <= 1e-14 * max(abs(want), 1)


def test_references_are_exact_where_values_are_dyadic():
    one = 1 << PRECISION
    for name, x, want in (
        ("exp", 0, 1), ("exp2", -3, Fraction(1, 8)), ("log2", Fraction(1, 16), -4), ("log2", 8, 3),
        ("reciprocal", Fraction(-1, 4), -4), ("rsqrt", Fraction(1, 4), 2), ("rsqrt", Fraction(9, 4), None),
        ("sigmoid", 0, Fraction(1, 2)), ("tanh", 0, 0), ("gelu", 0, 0), ("log2_mantissa", 1, 1),
    ):  # fmt: skip
        low, high = FUNCTIONS[name](Fraction(x))
        if want is None:
            assert high - low == 1 and 3 * low < 2 * one < 3 * high
        else:
            assert low == high == want * one
    low, high = FUNCTIONS["gelu"](Fraction(-40))
    assert (low, high) == (-1, 0)
    assert FUNCTIONS["gelu"](Fraction(40))[1] == 40 * one
    assert rounded(FUNCTIONS["sigmoid"](Fraction(0)), 0) == 0  # the tie 1/2 goes to the even 0
    with pytest.raises(ArithmeticError, match="must tell the side of a tie"):
        rounded((one // 2 - 1, one // 2 + 1), 0)


# log2(3) and the others to 30 digits, from tables of constants.
@pytest.mark.parametrize(
    ("name", "x", "digits"),
    [
        ("exp", 1, "2.718281828459045235360287471352"),
        ("exp2", Fraction(1, 2), "1.414213562373095048801688724209"),
        ("log2", 3, "1.584962500721156181453738943947"),
        ("rsqrt", 2, "0.707106781186547524400844362104"),
        ("tanh", 1, "0.761594155955764888119458282604"),
        ("sigmoid", 1, "0.731058578630004879251159241822"),
        ("gelu", 1, "0.841344746068542948585232545632"),
        ("gelu", -1, "-0.158655253931457051414767454367"),
    ],
)
def test_references_to_thirty_digits(name, x, digits):
    low, high = FUNCTIONS[name](Fraction(x))
    value = Fraction(digits)
    assert value - Fraction(1, 10**29) < Fraction(low, 1 << PRECISION)
    assert Fraction(high, 1 << PRECISION) < value + Fraction(1, 10**29)


def results(unit, lo, hi, frac):
    g = trace(unit, TensorType((), frac, np.array(lo), np.array(hi), 0))
    return g.run_raw(np.arange(lo, hi + 1))


@pytest.mark.parametrize("name", functions.STANDARD)
def test_facts_are_the_brute_force(name):
    unit = functions.STANDARD[name]()
    if isinstance(unit, FunctionUnit):
        lo, hi, frac, function = unit.lo, unit.hi, unit.frac, FLOATS[unit.function]
    else:
        lo, hi, frac, function = unit.source.lo, unit.source.hi, unit.source.frac, FLOATS[unit.name]
    y = results(unit, lo, hi, frac)
    low, high, scale = unit.out.lo, unit.out.hi, 2.0**unit.out.frac
    infinite = {"log2": low, "reciprocal": high, "rsqrt": high}
    real = [
        infinite[unit.name] if c == 0 and not isinstance(unit, FunctionUnit) and unit.name in infinite
        else min(max(function(c * 2.0**-frac) * scale, low), high)
        for c in range(lo, hi + 1)
    ]  # fmt: skip
    error = np.abs(y - np.array(real))
    facts = unit.facts
    assert abs(float(facts.max_error) - error.max()) < 1e-8
    assert abs(error[facts.worst - lo] - error.max()) < 1e-8
    steps = np.diff(y)
    assert facts.lipschitz == np.abs(steps).max()
    assert facts.monotone == (1 if (steps >= 0).all() else -1 if (steps <= 0).all() else 0)


def test_plain_tables_are_correctly_rounded():
    for function in ("sigmoid", "tanh", "gelu", "exp_negative"):
        unit = FunctionUnit.of(function, SQ(4, 3), SQ(5, 6))
        assert unit.facts.max_error <= Fraction(1, 2)


def test_docstring_table_is_measured():
    assert functions.table() in functions.__doc__


def test_interpolation_is_continuous_and_best_is_better():
    source, out = SQ(4, 6), UQ(0, 12)
    best, lines = (FunctionUnit.of("sigmoid", source, out, 5, fit) for fit in ("best", "interpolate"))
    assert best.facts.max_error < lines.facts.max_error < 2 * best.facts.max_error + 1
    assert lines.facts.monotone == 1
    assert best.table_bits < FunctionUnit.of("sigmoid", source, out).table_bits / 8


def test_smallest_meets_its_error():
    unit = FunctionUnit.smallest("tanh", SQ(3, 6), SQ(1, 9), Fraction(3, 4))
    assert unit.facts.max_error <= Fraction(3, 4)
    more = FunctionUnit.of("tanh", SQ(3, 6), SQ(1, 9), unit.low_bits + 1)
    assert more.facts.max_error > Fraction(3, 4)
    with pytest.raises(ValueError, match="max_error must be at least 1/2 LSB"):
        FunctionUnit.smallest("tanh", SQ(3, 3), SQ(1, 5), Fraction(1, 4))


def test_parts_of_segments():
    """Ranges that begin and end inside a segment, signs of all kinds, and a function that falls."""
    for lo, hi in ((-37, 21), (3, 50), (-50, -3), (5, 12), (-4, 3)):
        for fit in ("best", "interpolate"):
            unit = FunctionUnit("exp_negative", lo, hi, 4, UQ(6, 6), 3, None, fit)
            y = results(unit, lo, hi, 4)
            want = np.array([math.exp(-c / 16) * 64 for c in range(lo, hi + 1)])
            assert np.abs(y - want).max() <= float(unit.facts.max_error)
            assert float(unit.facts.max_error) < 1 + 2 * math.exp(-lo / 16)  # h**2 / 8 * max f''


SOFT = (
    Softmax(SQ(3, 2), 3, UQ(0, 8)),
    Softmax(SQ(3, 3), 4, UQ(1, 7), base="2", direct=False),
    Softmax(SQ(3, 3), 4, UQ(0, 8), base="2"),
    Softmax(SQ(2, 2), 2, UQ(1, 8), direct=False),
    Softmax(SQ(5, 5), 5, UQ(0, 8)),
)


def softmax_error(unit, x):
    real = x * float(unit.source.lsb)
    base = math.e if unit.base == "e" else 2.0
    power = base ** (real - real.max(-1, keepdims=True))
    want = power / power.sum(-1, keepdims=True) * 2.0**unit.out.frac
    got = trace(unit, unit.source, shape=(unit.size,)).run_raw(x)
    return np.abs(got - want).max()


@pytest.mark.parametrize("unit", SOFT, ids=lambda u: f"{u.size}_{u.base}_{u.direct}")
def test_softmax_is_within_its_bound(unit):
    s = unit.source
    if unit.size == 2:
        codes = np.arange(s.lo, s.hi + 1)
        x = np.stack(np.meshgrid(codes, codes), -1).reshape(-1, 2)
    else:
        x = np.random.default_rng(1).integers(s.lo, s.hi + 1, (20000, unit.size))
        x[:3] = [[s.lo] * unit.size, [s.hi] * unit.size, [s.hi] + [s.lo] * (unit.size - 1)]
    error = softmax_error(unit, x)
    assert error <= float(unit.bound) < 2.5


# One of each kind, with and without interpolation: g++ takes seconds for each.
COMPILED = (
    "sigmoid 8 bit", "tanh 12 bit", "tanh 12 bit, interpolated", "gelu 8 bit", "exp2 8 bit", "exp2 12 bit",
    "log2 8 bit", "log2 12 bit", "reciprocal 12 bit", "rsqrt 12 bit",
)  # fmt: skip


def every_unit(s8, s12, u8, u12, x, pair):
    outs = []
    for name in COMPILED:
        unit = functions.STANDARD[name]()
        signed = unit.lo < 0 if isinstance(unit, FunctionUnit) else unit.source.signed
        frac = unit.frac if isinstance(unit, FunctionUnit) else unit.source.frac
        wide = "12" in name
        t = (s12 if wide else s8) if signed else (u12 if wide else u8)
        outs.append(unit(t >> (frac - t.frac), name.replace(" ", "_").replace(",", "")))
    return (*outs, SOFT[0](x, "soft_e"), SOFT[3](pair, "soft_pair"))


@pytest.fixture(scope="module")
def graph():
    fmts = SQ(8, 0), SQ(12, 0), UQ(8, 0), UQ(12, 0), SQ(3, 2), SQ(2, 2)
    return trace(every_unit, *fmts, shape=[(), (), (), (), (3,), (2,)])


def stimulus(n=1 << 15):
    """Every code of every input: 8 and 12 bits, three elements of 5 bits, two of 4 bits."""
    row = np.arange(n)
    x = (row[:, None] >> np.array([0, 5, 10])) % 32 - 16
    pair = (row[:, None] >> np.array([0, 4])) % 16 - 8
    return [row % 256 - 128, row % 4096 - 2048, row % 256, row % 4096, x, pair]


@pytest.mark.parametrize("reading", [readings.verilator, readings.cpp], ids=lambda r: r.__name__)
def test_readings(graph, reading):
    raw = stimulus()
    assert not readings.disagreement(graph, readings.emulator(graph, raw), reading(graph, raw))


def test_every_value_keeps_its_type(graph):
    raw = [a[:5000] for a in stimulus(5000)]
    assert not readings.disagreement(graph, readings.reference(graph, raw), readings.emulator(graph, raw))


def test_verilog_has_no_multiplier(graph):
    from rtl.core import Core

    text = Core(graph, None).verilog()
    code = [line.split("//")[0] for line in text.splitlines()]
    assert not any(" * " in line for line in code if "(*" not in line)


def test_tensor_functions():
    """The functions by name, on tensors of any type."""
    g = trace(
        lambda x: (
            functions.sigmoid(x, UQ(0, 6)), functions.tanh(x, SQ(1, 5), 2), functions.gelu(x, SQ(3, 4)),
            functions.exp(x, UQ(4, 4)), functions.exp2(x, UQ(4, 4)),
            functions.log2(abs(x), SQ(4, 4)), functions.reciprocal(abs(x), UQ(4, 4)),
            functions.rsqrt(abs(x), UQ(3, 4), 2), functions.exp2(x >= 0, UQ(2, 2)),
        ),
        SQ(2, 3),
        shape=(2,),
    )  # fmt: skip
    got = g.run([[1.0, 0.0]])
    want = [[0.734375, 0.5], [0.78125, 0], [0.8125, 0], [2.6875, 1], [2, 1], [0, -8], [1, 15.9375]]
    want += [[1, 7.9375], [2, 2]]
    assert [v[0].tolist() for v in got] == want


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionUnit("cosh", 0, 3, 0, UQ(1, 3)), "function must be one of .*, not 'cosh'"),
        (
            lambda: FunctionUnit("tanh", 0, 3, 0, UQ(1, 3), fit="cubic"),
            "fit must be one of best, interpolate",
        ),
        (lambda: FunctionUnit("tanh", 3, 0, 0, UQ(1, 3)), "codes of FunctionUnit must not be empty"),
        (lambda: FunctionUnit.of("tanh", SQ(25, 0), UQ(1, 3)), "must have at most 24 bits, not 25"),
        (lambda: FunctionUnit.of("tanh", SQ(4, 0), UQ(1, 3), 5), r"low_bits must lie in 0\.\.4 .*, not 5"),
        (lambda: FunctionUnit("tanh", 0, 3, 0, UQ(1, 3), 1, -1), "guard must be an integer of at least 0"),
        (
            lambda: FunctionUnit("tanh", 0, 15, 0, UQ(1, 3), 3, 1, "interpolate"),
            "guard of fit interpolate must",
        ),
        (lambda: FunctionUnit.of("log2", UQ(4, 0), SQ(4, 4)).facts, "log2 needs a positive number, not 0"),
        (lambda: FunctionUnit.of("rsqrt", SQ(4, 0), SQ(4, 4)).facts, "rsqrt needs a positive number, not -8"),
        (lambda: FunctionUnit.of("reciprocal", SQ(4, 0), SQ(4, 4)).facts, "reciprocal needs a number other"),
        (lambda: Log2(SQ(4, 4), SQ(4, 4)), "source of log2 must be unsigned"),
        (lambda: Reciprocal(UQ(1, 0), UQ(4, 4)), "source of reciprocal must have 2 bits or more"),
        (lambda: Rsqrt(UQ(20, 6), UQ(4, 4)), "must have at most 24 bits, not 26"),
        (lambda: Exp2(SQ(8, -1), UQ(4, 4)), "frac >= 0"),
        (lambda: Softmax(SQ(4, 4), 0, UQ(0, 8)), "size of Softmax must be an integer of at least 1, not 0"),
        (lambda: Softmax(SQ(4, 4), 2, UQ(0, 8), base="10"), "base must be one of e, 2, not '10'"),
        (lambda: Softmax(SQ(4, 4), 2, UQ(8, 0)), "out of Softmax must have fraction bits"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionUnit("tanh", 0.0, 3, 0, UQ(1, 3)), "lo of FunctionUnit must be an integer, not 0.0"),
        (lambda: FunctionUnit("tanh", 0, 3, 0, "UQ1.3"), "out of FunctionUnit must be a fxsim.Format"),
        (lambda: Exp2("SQ1.3", UQ(1, 3)), "source of exp2 must be a fxsim.Format"),
        (lambda: Softmax(4, 2, UQ(0, 8)), "source of Softmax must be a fxsim.Format, not 4"),
    ],
)
def test_bad_types(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (FunctionUnit.of("tanh", SQ(3, 1), SQ(1, 3)), r"operand of tanh must have codes -8\.\.7 at frac 1"),
        (Log2(UQ(2, 2), SQ(4, 4)), "operand of log2 must lie in"),
        (Softmax(SQ(2, 2), 2, UQ(0, 8)), "operand of softmax must lie in"),
        (Softmax(SQ(4, 4), 2, UQ(0, 8)), "operand of softmax must have 2 elements last"),
    ],
)
def test_bad_operands(unit, message):
    with pytest.raises(ValueError, match=message):
        trace(unit, SQ(4, 4), shape=(3,))
