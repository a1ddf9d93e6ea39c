"""Elementwise functions before a quantizer: all codes of all operands, against onnxruntime and the reals."""

from __future__ import annotations

from bisect import bisect_right
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from near import agree
from small_models import node, write

from fxsim.layers import references
from fxsim.load import load
from fxsim.load.affine import Line
from fxsim.load.curves import Rounding, runs
from fxsim.load.functions import FUNCTIONS, Apply
from fxsim.load.nodes.functions import RISING
from fxsim.load.steps import Reach
from fxsim.load.terms import Affine, Both, Term, scaled
from hls import compile_graphs

F32 = np.float32
SCALES = [F32(0.0625), F32(0.0437), np.array([0.043, 0.021, 0.0625], F32)]
QUANTIZE = node("QuantizeLinear", "f s z", "y")
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "sigmoid": ([node("Sigmoid", "d", "f")], {}),
    "tanh": ([node("Tanh", "d", "f")], {}),
    "exp": ([node("Exp", "d", "f")], {}),
    "erf": ([node("Erf", "d", "f")], {}),
    "softplus": ([node("Softplus", "d", "f")], {}),
    "softsign": ([node("Softsign", "d", "f")], {}),
    "log": ([node("Clip", "d k", "c"), node("Log", "c", "f")], {"k": F32(0.01)}),
    "sqrt": ([node("Relu", "d", "c"), node("Sqrt", "c", "f")], {}),
    "reciprocal": ([node("Max", "d k", "c"), node("Reciprocal", "c", "f")], {"k": F32(0.25)}),
    "a constant by it": ([node("Clip", "d k", "c"), node("Div", "k c", "f")], {"k": F32(0.3)}),
    "floor": ([node("Floor", "d", "f")], {}),
    "ceil": ([node("Ceil", "d", "f")], {}),
    "round": ([node("Round", "d", "f")], {}),
    "sign": ([node("Sign", "d", "f")], {}),
    "hard swish": ([node("HardSwish", "d", "f")], {}),
    "hard sigmoid": ([node("HardSigmoid", "d", "f")], {}),
    "hard sigmoid of a function": ([node("Abs", "d", "e"), node("HardSigmoid", "e", "f", alpha=0.25)], {}),
    "elu": ([node("Elu", "d", "f", alpha=1.5)], {}),
    "selu": ([node("Selu", "d", "f")], {}),
    "celu": ([node("Celu", "d", "f", alpha=0.5)], {}),
    "mish": ([node("Mish", "d", "f")], {}),
    "thresholded relu": ([node("ThresholdedRelu", "d", "f", alpha=0.7)], {}),
    "leaky relu": ([node("LeakyRelu", "d", "f")], {}),
    "leaky relu, steep": ([node("LeakyRelu", "d", "f", alpha=1.75)], {}),
    "leaky relu, falling": ([node("LeakyRelu", "d", "f", alpha=-0.3)], {}),
    "prelu": ([node("PRelu", "d k", "f")], {"k": np.array([0.1, 2, -0.5], F32)}),
    "abs": ([node("Abs", "d", "f")], {}),
    "abs of a line": ([node("Add", "d k", "e"), node("Abs", "e", "f")], {"k": F32(0.3)}),
    "neg": ([node("Neg", "d", "f")], {}),
    "gelu": ([node("Gelu", "d", "f")], {}),
    "gelu, tanh": ([node("Gelu", "d", "f", approximate="tanh")], {}),
    "quick gelu": ([node("QuickGelu", "d", "f", alpha=1.5)], {}),
    "bias gelu": ([node("BiasGelu", "d k", "f")], {"k": np.full(3, -0.3, F32)}),
    "fast gelu": ([node("FastGelu", "d k", "f")], {"k": np.full(3, 0.7, F32)}),
    "square": ([node("Pow", "d k", "f")], {"k": F32(2)}),
    "cube": ([node("Pow", "d k", "f")], {"k": F32(3)}),
    "silu": ([node("Sigmoid", "d", "e"), node("Mul", "e d", "f")], {}),
    "hard swish, taken apart": (
        [
            node("Add", "d three", "a"),
            node("Clip", "a zero six", "b"),
            node("Mul", "d b", "c"),
            node("Div", "c six", "f"),
        ],
        {"three": F32(3), "zero": F32(0), "six": F32(6)},
    ),
    "gelu, taken apart": (
        [
            node("Div", "d root", "a"),
            node("Erf", "a", "b"),
            node("Add", "b one", "c"),
            node("Mul", "d c", "e"),
            node("Mul", "e half", "f"),
        ],
        {"root": F32(2**0.5), "one": F32(1), "half": F32(0.5)},
    ),
    "a sum of functions": (
        [
            node("Sigmoid", "d", "a"),
            node("Tanh", "d", "b"),
            node("Sub", "a b", "c"),
            node("Max", "c d", "e"),
            node("Min", "e k", "f"),
        ],
        {"k": F32(0.9)},
    ),
    "a quotient": (
        [node("Abs", "d", "a"), node("Exp", "a", "b"), node("Div", "d b", "f")],
        {},
    ),
    "wiring between": (
        [node("Sigmoid", "d", "a"), node("Transpose", "a", "b", perm=[0, 2, 1]), node("Flatten", "b", "f")],
        {},
    ),
}


def model(folder: Path, case: str, scale: Any, out: float) -> Path:
    nodes, constants = CASES[case]
    names = {"s": scale, "z": np.array(-4, np.int8), "u": F32(out), "v": np.array(3, np.uint8)} | constants
    if getattr(scale, "size", 1) > 1:
        names["z"] = np.full(3, -4, np.int8)
    if "k" in names and getattr(names["k"], "size", 1) == 3 and case == "prelu":
        names["k"] = names["k"].reshape(3, 1)
    before = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]
    return write(
        folder, [*before, *nodes, node("QuantizeLinear", "f u v", "y")], names, ("N", 3, 3), opset=22
    )


def all_codes(scale: Any) -> np.ndarray:
    """Every int8 code of each channel: (samples, channels, codes)."""
    x = np.arange(-128, 130).clip(-128, 127).reshape(86, 1, 3) + 4
    return (np.repeat(x, 3, axis=1) * np.reshape(scale, (-1, 1))).astype(F32)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_all_codes(tmp_path: Path, case: str, scale: Any) -> None:
    out = {"exp": 1.0, "square": 0.5, "cube": 4.0, "log": 0.02}.get(case, 0.0127)
    agree(model(tmp_path, case, scale, out), all_codes(scale))


def reference(term: str) -> Any:
    return {
        "Sigmoid": lambda v: 1 / (1 + (-v).exp()),
        "Tanh": lambda v: 1 - 2 / (1 + (2 * v).exp()),
        "Exp": lambda v: v.exp(),
    }[term]


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh", "Exp"])
def test_against_decimals(tmp_path: Path, op: str) -> None:
    """Every code of an int8 operand, by 60 digits of the decimal module; the zero point after rounding."""
    scale, out = F32(0.0437), F32(0.00391)
    constants = {"s": scale, "z": np.array(-4, np.int8), "u": out, "v": np.array(-3, np.int8)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node(op, "d", "f"),
        node("QuantizeLinear", "f u v", "y"),
    ]  # fmt: skip
    path = write(tmp_path, nodes, constants, ("N", 1))
    codes = np.arange(-128, 128)
    x = ((codes + 4).reshape(-1, 1) * scale).astype(F32)
    with localcontext() as c:
        c.prec = 60
        real = [
            reference(op)(Decimal(int(k) + 4) * Decimal(float(scale))) / Decimal(float(out)) for k in codes
        ]
        want = [min(max(int(v.to_integral_value(ROUND_HALF_EVEN)) - 3, -128), 127) for v in real]
    assert load(path).run(x)[:, 0].tolist() == want


def wide(folder: Path, rng: np.random.Generator, nodes: list[Any], **constants: Any) -> Path:
    """A product of 60 codes, so that the function's operand is an accumulator, and a 4-bit quantizer."""
    names = {
        "s": F32(0.0437), "z": np.array(-4, np.int8), "w": rng.integers(-128, 128, (60, 3)).astype(np.int8),
        "ws": (rng.uniform(0.001, 0.004, 3)).astype(F32), "wz": np.zeros(3, np.int8), "u": F32(0.0507),
        "v": np.array(1, np.int8),
    } | constants  # fmt: skip
    before = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "qd"),
        node("DequantizeLinear", "w ws wz", "wd", axis=1), node("MatMul", "qd wd", "d"),
    ]  # fmt: skip
    return write(folder, [*before, *nodes, node("QuantizeLinear", "f u v", "y")], names, ("N", 60))


@pytest.mark.parametrize(
    "case", ["sigmoid", "gelu", "silu", "hard swish", "leaky relu", "a sum of functions"]
)
def test_accumulators(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    """Operands of some twenty bits, one scale a channel: thresholds, of which some rise and some fall."""
    nodes, constants = CASES[case]
    path = wide(tmp_path, rng, nodes, **constants)
    graph = agree(path, rng.normal(0, 3, (300, 60)).astype(F32))
    block = next(b for b in graph.blocks if b.kind == "curve")
    assert block.params["method"] == "threshold"
    assert block.params["near_count"] < 9000


def test_runs_equal_every_single_enclosure(rng: np.random.Generator) -> None:
    """Random expressions over a thousand integers with a stride: the runs against one by one in rationals."""
    line = Affine(Line(Fraction(37, 4001), Fraction(-1, 3), Fraction(-350), Fraction(400)))
    terms: list[Term] = [line, Affine(Line(Fraction(-1, 100), Fraction(1, 2)))]
    for _ in range(40):
        a, b = (terms[int(rng.integers(len(terms)))] for _ in range(2))
        kind = str(
            rng.choice(["add", "mul", "max", "min", "sigmoid", "tanh", "normal", "erf", "floor", "sign"])
        )
        terms.append(Both(kind, a, b) if kind in ("add", "mul", "max", "min") else Apply(kind, a))
    for term in terms:
        for mode in ("ROUND", "FLOOR", "HALF_UP"):
            rounding, reach = Rounding(-9, 9, mode), Reach(-500, 500, 2)
            found = runs(scaled(term, Fraction(7)), 0, reach, rounding)
            for raw in range(-500, 501, 10):
                low, high = scaled(term, Fraction(7)).enclose(Fraction(raw), Fraction(raw))
                want = rounding.exact(low)
                assert want == rounding.exact(high), (str(term), raw)
                assert found.codes[bisect_right(found.starts, raw) - 1] == want, (str(term), raw)


def taylor(x: Fraction) -> Fraction:
    """e**x to 10**-70 for |x| < 30, in rationals."""
    total, term, n = Fraction(1), Fraction(1), 0
    while abs(term) > Fraction(1, 10**75) or n < 60:
        n += 1
        term = Fraction(int(term * x / n * 10**90), 10**90)
        total += term
    return total


def error_function(x: Fraction) -> Fraction:
    """erf x to 10**-65 for |x| < 5, by its alternating series; pi by Machin's formula."""

    def arctan(d: int) -> Fraction:
        return sum((Fraction((-1) ** k, (2 * k + 1) * d ** (2 * k + 1)) for k in range(60)), Fraction(0))

    pi = 4 * (4 * arctan(5) - arctan(239))
    root = Fraction(isqrt(int(pi * 10**160)), 10**80)
    total, term, n = x, x, 0
    while abs(term) > Fraction(1, 10**75):
        n += 1
        term = Fraction(int(-term * x * x / n * 10**100), 10**100)
        total += term / (2 * n + 1)
    return 2 * total / root


@pytest.mark.parametrize(
    "x", [Fraction(1, 3), Fraction(-22, 7), Fraction(9, 2), Fraction(-1, 10**6), Fraction(2)]
)
def test_enclosures_hold_the_true_values(x: Fraction) -> None:
    """Rationals that no decimal of few digits equals, against series in rationals."""
    slack = Fraction(1, 10**62)
    e = taylor(x)
    root = Fraction(isqrt(2 * 10**160), 10**80)
    normal = (1 + error_function(x / root)) / 2
    want = {
        "exp": e, "sigmoid": e / (1 + e), "tanh": (e - 1 / e) / (e + 1 / e), "erf": error_function(x),
        "normal": normal,
    }  # fmt: skip
    for name, value in want.items():
        low, high = FUNCTIONS[name].point(x)
        assert low - slack <= value <= high + slack, name
        assert high - low < max(abs(value), 1) * Fraction(1, 10**58)
    low, high = references.gelu(x)
    assert low - 1 <= x * normal * references.UNIT <= high + 1


def test_values_on_a_grid_need_no_quantizer(tmp_path: Path, rng: np.random.Generator) -> None:
    """LeakyRelu with a dyadic slope and HardSwish are integers with a scale, which a product reads."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"),
        node("LeakyRelu", "d", "l", alpha=0.125), node("HardSwish", "d", "h"), node("Add", "l h", "a"),
        node("DequantizeLinear", "w s", "wd"), node("MatMul", "a wd", "y"),
    ]  # fmt: skip
    constants = {"s": F32(0.25), "z": np.array(1, np.int8), "w": rng.integers(-9, 9, (4, 2)).astype(np.int8)}
    path = write(tmp_path, nodes, constants, ("N", 4))
    x = np.arange(-128, 128).reshape(-1, 4).astype(F32) / 4
    codes = np.clip(np.rint(x * 4) + 1, -128, 127).astype(int) - 1
    v = np.vectorize(lambda k: Fraction(int(k), 4), otypes=[object])(codes)
    leaky = np.where(codes > 0, v, v / 8)
    swish = v * np.clip(v / 6 + Fraction(1, 2), 0, 1)
    want = (leaky + swish) @ (constants["w"].astype(object) * Fraction(1, 4))
    graph = load(path)
    assert np.array_equal(graph.run(x), want.astype(np.float64))
    assert {b.params["method"] for b in graph.blocks if b.kind == "curve"} == {"table"}


@pytest.mark.parametrize("op", sorted(RISING))
def test_the_end_is_the_hosts(tmp_path: Path, op: str) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node(op, "d", "y")]
    path = write(tmp_path, nodes, {"s": F32(0.25), "z": np.array(0, np.int8)}, ("N", 4))
    graph = load(path)
    assert (
        graph.names["y"].reason
        == f"{op} at the end is left to the host: the output is its operand, which orders the same"
    )
    x = np.arange(-8, 8).reshape(4, 4).astype(F32) / 4
    assert np.array_equal(graph.run(x), x)


def test_names_of_functions(tmp_path: Path) -> None:
    path = model(tmp_path, "silu", F32(0.0625), 0.0127)
    graph = load(path)
    assert "Mul is built into the quantizer after it" in graph.names["f"].reason
    block = next(b for b in graph.blocks if b.kind == "curve")
    assert block.params["function"] == ("(sigmoid(0.0625 x) * 0.0625 x)",) or "sigmoid" in str(
        block.params["function"]
    )


ERRORS: dict[str, tuple[list[Any], str]] = {
    "no quantizer": (
        [node("Sigmoid", "d", "f"), node("MatMul", "f w", "y")],
        r"node 'n_y' \(MatMul\) needs integers, but its operand or result is a function of real numbers: "
        r"sigmoid.* is irrational; put a quantizer right behind that function",
    ),
    "an end that does not rise": (
        [node("Gelu", "d", "y")],
        r"node 'n_y' \(Gelu\) needs integers.*put a quantizer",
    ),
    "a logarithm of 0": ([node("Log", "d", "f"), QUANTIZE], "the logarithm of .* has no value"),
    "a root of less": ([node("Sqrt", "d", "f"), QUANTIZE], "the square root of .* has no value"),
    "a division by 0": ([node("Reciprocal", "d", "f"), QUANTIZE], "1 / 0 has no value"),
    "an exponent": ([node("Pow", "d half", "f"), QUANTIZE], r"\(Pow\) has the exponent 0.75; use one of -1"),
    "exponents": ([node("Pow", "d four", "f"), QUANTIZE], "has the exponent that varies; use one of"),
    "a computed slope": ([node("PRelu", "d d", "f"), QUANTIZE], "needs a constant slope"),
    "an alpha that is no number": (
        [node("Elu", "d", "f", alpha=float("nan")), QUANTIZE],
        "has alpha nan, which is not",
    ),
    "an alpha of 0": ([node("Celu", "d", "f", alpha=0.0), QUANTIZE], "has alpha 0, by which it divides"),
    "gelu": ([node("Gelu", "d", "f", approximate="x"), QUANTIZE], "has approximate 'x'; use none or tanh"),
    "two tensors": (
        [node("Sigmoid", "d", "f"), node("MatMul", "d w", "e"), node("Add", "f e", "y")],
        r"\(Add\) needs integers.*sigmoid.*put a quantizer right behind",
    ),
    "a division by a function of another": (
        [node("Cast", "d", "f", to=1), node("MatMul", "f w", "g"), node("Div", "d g", "y")],
        r"\(Div\) divides by an activation; put a Reciprocal and a quantizer",
    ),
    "the real input": (
        [node("Sigmoid", "x", "f"), QUANTIZE],
        "has no scale for its input: the real input 'x'",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, message = ERRORS[case]
    constants = {
        "s": F32(0.25), "z": np.array(0, np.int8), "half": F32(0.75), "four": np.array([1, 2, 3, 4], F32),
        "w": np.eye(4, dtype=F32),
    }  # fmt: skip
    before = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]
    path = write(tmp_path, [*before, *nodes], constants, ("N", 4), opset=22)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_generated_code_equals_the_emulator(tmp_path: Path, rng: np.random.Generator) -> None:
    """Tables and thresholds through g++."""
    paths = [
        model(tmp_path / k, k, s, 0.0127)
        for k in ("silu", "elu")
        for s in SCALES
        if not (tmp_path / k).mkdir(exist_ok=True)
    ]
    paths.append(wide(tmp_path, rng, *CASES["gelu"][:1]))
    graphs = [load(p) for p in paths]
    for graph, compiled in zip(graphs, compile_graphs(graphs), strict=True):
        t = graph.inputs[0].type
        raw = rng.integers(t.lo, t.hi + 1, (64, *t.shape))
        assert np.array_equal(compiled(raw), graph.run_raw(raw))
