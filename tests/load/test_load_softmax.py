"""Softmax: left out where its order is all that counts, elsewhere within the bound that its block states."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import ort_oracle
import pytest
from small_models import node, write
from test_load_qdq import file_codes

from fxsim import Graph
from fxsim.load import load
from hls import compile_graphs

F32 = np.float32
BASE = {"s": F32(0.0437), "z": np.array(-4, np.int8), "u": F32(1 / 256), "v": np.array(-128, np.int8)}
BEFORE = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]


def true(row: list[int], scale: float) -> list[Fraction]:
    """Softmax of integers times a scale, to 50 digits."""
    with localcontext() as c:
        c.prec = 60
        powers = [(Decimal(k - max(row)) * Decimal(scale)).exp() for k in row]
        return [Fraction(p / sum(powers)) for p in powers]


def bound(graph: Graph) -> Fraction:
    """The block's, in LSB of 2**-16, as a real number."""
    block = next(b for b in graph.blocks if b.kind == "softmax_quotient")
    return Fraction(block.params["max_error"]) / (1 << 16)


@pytest.mark.parametrize("size", [1, 2, 3, 17])
def test_the_stated_bound(tmp_path: Path, rng: np.random.Generator, size: int) -> None:
    """Every pair of codes for two elements, random rows for more; equal rows and the widest distances too."""
    nodes = [*BEFORE, node("Softmax", "d", "p"), node("QuantizeLinear", "p u v", "y")]
    graph = load(write(tmp_path, nodes, BASE, ("N", size)))
    if size == 2:
        codes = np.array(list(product(range(-124, 132, 5), repeat=2)))
    else:
        codes = rng.integers(-124, 132, (150, size))
        codes[0], codes[1, 0] = 9, 131
    x = (codes * F32(0.0437)).astype(F32)
    found = graph.codes(x)
    assert np.array_equal(found["d"], codes)
    entry = graph.names["p"]
    values = entry.affine.apply(found["p"], entry.value.type.frac, 1)
    limit = bound(graph)
    assert limit < Fraction(1, 1 << 16)
    worst = Fraction(0)
    for row, p, y in zip(codes.tolist(), values, found["y"], strict=True):
        for want, got, code in zip(true(row, float(F32(0.0437))), p, y, strict=True):
            error = abs(Fraction(float(got)) - want)
            assert error <= limit
            worst = max(worst, error)
            exact = min(round(want * 256) - 128, 127) + 128
            side = abs(want * 256 - (want * 256).__floor__() - Fraction(1, 2))
            assert int(code) == exact or (side <= 256 * limit and abs(int(code) - exact) == 1)
    assert size == 1 or worst > limit / 4


@pytest.mark.parametrize(
    ("axis", "opset", "shape"), [(1, 13, (3, 4)), (-1, 13, (3, 4)), (1, 11, (3, 4)), (2, 11, (2, 5))]
)
def test_axes_against_onnxruntime(
    tmp_path: Path, rng: np.random.Generator, axis: int, opset: int, shape: Any
) -> None:
    """Codes differ by one at most, and then the real lies within the stated bound and float32's of a tie."""
    nodes = [*BEFORE, node("Softmax", "d", "p", axis=axis), node("QuantizeLinear", "p u v", "y")]
    path = write(tmp_path, nodes, BASE, ("N", *shape), opset=opset)
    x = rng.normal(0, 2, (100, *shape)).astype(F32)
    graph, want = load(path), ort_oracle.tensors(path, x)
    found = file_codes(graph, x)
    assert np.array_equal(found["q"], want["q"])
    bad = found["y"] != want["y"]
    near = np.abs(np.abs(want["p"].astype(float) * 256 % 1) - 0.5) <= 256 * float(bound(graph)) + 1e-4
    assert np.all(near[bad]) and np.mean(bad) < 0.01
    assert np.all(np.abs(found["y"] - want["y"])[bad] == 1)


def test_the_end_of_a_network(tmp_path: Path, rng: np.random.Generator) -> None:
    for op in ("Softmax", "LogSoftmax"):
        path = write(tmp_path, [*BEFORE, node(op, "d", "y")], BASE, ("N", 5))
        graph = load(path)
        x = rng.normal(0, 2, (50, 5)).astype(F32)
        assert np.array_equal(graph.run(x).argmax(1), ort_oracle.tensors(path, x)["q"].argmax(1))
        assert graph.names["y"].reason.startswith(f"{op} at the end is left to the host")
        assert not [b for b in graph.blocks if b.kind == "softmax_quotient"]


def test_where_only_the_order_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    nodes = [*BEFORE, node("Softmax", "d", "p"), node("TopK", "p k", "v2 y", axis=1)]
    path = write(tmp_path, nodes, BASE | {"k": np.array([2])}, ("N", 5))
    graph = load(path)
    x = rng.normal(0, 3, (50, 5)).astype(F32)
    want = np.argsort(-ort_oracle.tensors(path, x)["q"].astype(int), axis=1, kind="stable")[:, :2]
    assert np.array_equal(graph.run(x), want)
    assert graph.names["p"].reason == "Softmax is left out: only its order is read"
    both = write(tmp_path, [*nodes, node("Identity", "v2", "w")], BASE | {"k": np.array([2])}, ("N", 5), "w")
    assert [b.kind for b in load(both).blocks if b.kind == "softmax_quotient"]


def test_quantized_softmax(tmp_path: Path, rng: np.random.Generator) -> None:
    """onnxruntime's own approximation is within one code; ours is the rounded real within the bound."""
    constants = {"s": F32(0.07), "z": np.array(120, np.uint8), "u": F32(1 / 256), "v": np.array(0, np.uint8)}
    nodes = [node("QLinearSoftmax", "x s z u v", "y", axis=-1, opset=13)]
    path = write(tmp_path, nodes, constants, ("N", 6), dtype=onnx.TensorProto.UINT8)
    x = rng.integers(0, 256, (100, 6)).astype(np.uint8)
    found = load(path).run(x)
    assert np.max(np.abs(found - ort_oracle.tensors(path, x)["y"])) <= 1
    for row, y in zip(x.tolist(), found.astype(int).tolist(), strict=True):
        for want, code in zip(true(row, float(F32(0.07))), y, strict=True):
            exact = min(round(want * 256), 255)
            side = abs(want * 256 - (want * 256).__floor__() - Fraction(1, 2))
            assert code == exact or side < Fraction(1, 100)


def test_generated_code_equals_the_emulator(tmp_path: Path, rng: np.random.Generator) -> None:
    nodes = [*BEFORE, node("Softmax", "d", "p"), node("QuantizeLinear", "p u v", "y")]
    graph = load(write(tmp_path, nodes, BASE, ("N", 4)))
    t = graph.inputs[0].type
    raw = rng.integers(t.lo, t.hi + 1, (64, 4))
    assert np.array_equal(compile_graphs([graph])[0](raw), graph.run_raw(raw))


ERRORS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "a scale too fine": (
        [node("Mul", "m k", "e"), node("Softmax", "e", "p"), node("Identity", "p", "y")],
        {"k": F32(1e-5)},
        r"node 'n_p' \(Softmax\) has an operand whose scale .* is too fine for a table; put a quantizer",
    ),
    "a logarithm in the middle": (
        [node("LogSoftmax", "d", "p"), node("Identity", "p", "y")],
        {},
        r"node 'n_p' \(LogSoftmax\) is read by other nodes; end the network with it",
    ),
    "the batch": (
        [node("Softmax", "d", "p", axis=0), node("Identity", "p", "y")],
        {},
        "works along the batch axis",
    ),
    "a function before it": (
        [node("Sigmoid", "d", "p"), node("Softmax", "p", "y")],
        {},
        r"\(Softmax\) needs integers.*sigmoid",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, constants, message = ERRORS[case]
    wide = [node("MatMul", "d w", "m")]  # so that the scale of the operand has a wide range
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, [*BEFORE, *wide, *nodes], BASE | {"w": np.full((4, 4), 512, F32)} | constants))
