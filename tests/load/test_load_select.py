"""Min, Max, reductions, ArgMax, TopK, and products of activations: exact values against onnxruntime."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import ort_oracle
import pytest
from small_models import node, write
from test_load_qdq import file_codes

from fxsim import SQ
from fxsim.load import load
from hls import compile_graphs

F32 = np.float32


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def per(*values: float) -> np.ndarray:
    return np.array(values, F32)


ELEMENTS = np.arange(-6, 6).astype(F32).reshape(1, 3, 4) / 8

# Each case reads the codes d of one scale, and e, whose three channels have scales of their own.
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "max with a constant": ([node("Max", "k d", "y")], {"k": F32(0.75)}),
    "min with a constant a channel": ([node("Min", "d k", "y")], {"k": per(0.5, -1, 2).reshape(3, 1)}),
    "max of channels with a constant": ([node("Max", "e k", "y")], {"k": F32(1.5)}),
    "max of two": ([node("Max", "d e", "y")], {}),
    "min of three": ([node("Min", "d e k", "y")], {"k": F32(2.25)}),
    "max of two rows": (
        [node("Split", "d", "l r", axis=2, num_outputs=2), node("Max", "l r", "y")],
        {},
    ),
    "max, broadcast": (
        [node("ReduceMax", "d two", "m", keepdims=1), node("Min", "e m", "y")],
        {"two": ints(2)},
    ),
    "greatest": ([node("ReduceMax", "d k", "y", keepdims=0)], {"k": ints(2)}),
    "least of all": ([node("ReduceMin", "d k", "y")], {"k": ints(1, -1)}),
    "greatest of unequal channels": ([node("ReduceMax", "e k", "y", keepdims=0)], {"k": ints(1)}),
    "least of falling channels": (
        [node("Mul", "d f", "g"), node("ReduceMin", "g k", "y", keepdims=0)],
        {"f": per(1, -2, 0.5).reshape(3, 1), "k": ints(1, 2)},
    ),
    "greatest behind a ReLU": ([node("Relu", "e", "r"), node("ReduceMax", "r k", "y")], {"k": ints(2)}),
    "sum": ([node("ReduceSum", "d k", "y", keepdims=0)], {"k": ints(1, 2)}),
    "sum of channels": ([node("ReduceSum", "e k", "y")], {"k": ints(-1)}),
    "no sum": ([node("ReduceSum", "d k", "y", noop_with_empty_axes=1)], {"k": ints()}),
    "argmax": ([node("ArgMax", "d", "y", axis=2)], {}),
    "argmax of unequal channels": ([node("ArgMax", "e", "y", axis=1, keepdims=0)], {}),
    "last argmax": ([node("ArgMax", "e", "y", axis=1, select_last_index=1)], {}),
    "argmin": ([node("ArgMin", "d", "y", axis=-1, keepdims=0)], {}),
    "last argmin": ([node("ArgMin", "e", "y", axis=1, select_last_index=1, keepdims=0)], {}),
    "greatest with its index": ([node("TopK", "d one", "y i", axis=2)], {"one": ints(1)}),
    "three greatest": ([node("TopK", "e k", "y i", axis=1)], {"k": ints(3)}),
    "two least": ([node("TopK", "d k", "y i", axis=-1, largest=0)], {"k": ints(2)}),
    "indices of the greatest": ([node("TopK", "e k", "v y", axis=1)], {"k": ints(2)}),
    "product": ([node("Mul", "d e", "y")], {}),
    "product by a gate": (
        [node("ReduceMax", "d two", "m", keepdims=1), node("Mul", "e m", "y")],
        {"two": ints(2)},
    ),
    "square": ([node("Mul", "d d", "y")], {}),
    "square of channels": ([node("Mul", "e e", "y")], {}),
    "a root of squares": (
        [
            node("Mul", "d d", "g"),
            node("Add", "g k", "a"),
            node("Sqrt", "a", "b"),
            node("QuantizeLinear", "b s z", "y"),
        ],
        {"k": F32(0.0625)},
    ),
    "a constant for each element": ([node("Add", "k e", "g"), node("Mul", "g k", "y")], {"k": ELEMENTS}),
    "a quantized constant for each element": (
        [node("DequantizeLinear", "w ws", "k", axis=1), node("Sub", "d k", "g"), node("Mul", "k g", "y")],
        {"w": np.arange(-6, 6).astype(np.int8).reshape(1, 3, 4), "ws": per(0.5, 2, 0.25)},
    ),
    "index as int32": ([node("ArgMax", "d", "g", axis=2), node("Cast", "g", "y", to=6)], {}),
    "square of sums": (
        [node("MatMul", "d k", "g"), node("Pow", "g two", "y")],
        {"k": np.arange(-128, 128, 8).reshape(4, 8).astype(F32), "two": F32(2)},
    ),
    "product with an offset": ([node("Add", "d k", "a"), node("Mul", "a e", "y")], {"k": F32(0.375)}),
    "matrix product of two": ([node("Transpose", "d", "r", perm=[0, 2, 1]), node("MatMul", "d r", "y")], {}),
    "weights first": (
        [node("DequantizeLinear", "w ws", "k", axis=0), node("MatMul", "k d", "y")],
        {"w": np.arange(-6, 6).astype(np.int8).reshape(4, 3), "ws": per(0.5, 1, 2, 0.25)},
    ),
    "neg of channels": ([node("Neg", "e", "y")], {}),
    "difference": ([node("Sub", "d e", "y")], {}),
}


def model(folder: Path, case: str) -> Path:
    nodes, constants = CASES[case]
    names = {
        "s": F32(0.25), "z": np.array(-3, np.int8), "t": per(0.25, 0.75, 0.5),
        "o": np.array([0, 1, -2], np.int8),
    }  # fmt: skip
    before = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"),
        node("QuantizeLinear", "d t o", "p", axis=1), node("DequantizeLinear", "p t o", "e", axis=1),
    ]  # fmt: skip
    return write(folder, [*before, *nodes], names | constants, ("N", 3, 4), opset=18)


@pytest.mark.parametrize("case", CASES)
def test_values(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    path = model(tmp_path, case)
    x = (rng.integers(-24, 24, (60, 3, 4)) / 8).astype(F32)
    graph, want = load(path), ort_oracle.tensors(path, x)
    found = graph.run(x)
    assert found.shape == want["y"].shape
    assert np.array_equal(found, want["y"])
    reals = file_codes(graph, x)
    for name in ("i", "v", "m", "e", "g"):
        if name in reals:
            assert np.array_equal(reals[name], want[name]), name


def test_generated_code_equals_the_emulator(tmp_path: Path, rng: np.random.Generator) -> None:
    graphs = []
    for i, case in enumerate(("three greatest", "last argmin", "product", "min of three")):
        (tmp_path / str(i)).mkdir()
        graphs.append(load(model(tmp_path / str(i), case)))
    for graph, compiled in zip(graphs, compile_graphs(graphs), strict=True):
        t = graph.inputs[0].type
        raw = rng.integers(t.lo, t.hi + 1, (64, *t.shape))
        for a, b in zip(np.atleast_1d(compiled(raw)), np.atleast_1d(graph.run_raw(raw)), strict=True):
            assert np.array_equal(a, b)


def test_scales_that_are_no_powers_of_two(tmp_path: Path, rng: np.random.Generator) -> None:
    """A product and a maximum of two branches, in fractions."""
    a, b = F32(0.0311), F32(0.047)
    constants = {"s": a, "z": np.array(3, np.int8), "t": b, "o": np.array(-5, np.int8), "u": F32(0.0203)}
    nodes = [
        node("Split", "x", "l r", axis=1, num_outputs=2),
        node("QuantizeLinear", "l s z", "p"), node("DequantizeLinear", "p s z", "d"),
        node("QuantizeLinear", "r t o", "q"), node("DequantizeLinear", "q t o", "e"),
        node("Mul", "d e", "m"), node("Max", "m d", "n"), node("QuantizeLinear", "n u z", "y"),
    ]  # fmt: skip
    path = write(tmp_path, nodes, constants, ("N", 6), opset=18)
    graph = load(path, input=SQ(4, 8))
    x = rng.integers(-2000, 2000, (100, 6)) / 256
    found = file_codes(graph, x)
    exact = [Fraction(float(v)) for v in (a, b, constants["u"])]
    for row in range(100):
        for k in range(3):
            d = exact[0] * (int(found["p"][row, k]) - 3)
            e = exact[1] * (int(found["q"][row, k]) + 5)
            want = min(max(round(max(d * e, d) / exact[2]) + 3, -128), 127)
            assert found["y"][row, k] == want


ERRORS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "all axes": (
        [node("ReduceMax", "d", "y")],
        {},
        r"reduces all axes, the batch too; give it axes from 1 on",
    ),
    "the batch": ([node("ReduceSum", "d k", "y")], {"k": ints(0, 1)}, "works along the batch axis"),
    "sum of unequal channels": (
        [node("ReduceSum", "e k", "y")],
        {"k": ints(1)},
        "sums codes of unequal scales; use",
    ),
    "elements without a quantizer": (
        [node("Mul", "d k", "y")],
        {"k": F32(1e-9) ** np.arange(12, dtype=F32).reshape(3, 4) % 3},
        "has a constant that differs from element to element and has no quantizer: .*; put a quantizer on",
    ),
    "elements that do not fit": (
        [node("Mul", "d k", "y")],
        {"k": np.ones((3, 5), F32)},
        "does not broadcast",
    ),
    "a cast of a fraction": ([node("Cast", "d", "y", to=6)], {}, "casts to type 6; cast to float"),
    "a narrow cast": (
        [node("ArgMax", "d", "g", axis=1), node("Add", "g k", "h"), node("Cast", "h", "y", to=3)],
        {"k": F32(127)},
        "casts to type 3; cast",
    ),
    "k": ([node("TopK", "d k", "y i")], {"k": ints(9)}, r"has k = 9 of 4 elements; use 1\.\.4"),
    "argmax of the batch": ([node("ArgMax", "d", "y")], {}, "works along the batch axis; use another"),
    "division by another": ([node("Div", "d e", "y")], {}, "divides by an activation; put a Reciprocal"),
    "division by 0": ([node("Div", "d k", "y")], {"k": F32(0)}, r"\(Div\) divides by 0; correct"),
    "a product of unequal rows": (
        [node("MatMul", "d e", "y")],
        {},
        r"multiplies \(3, 4\) by \(3, 4\) beside the batch",
    ),
    "a product of channels": (
        [node("Transpose", "e", "r", perm=[0, 2, 1]), node("MatMul", "d r", "y")],
        {},
        "multiplies activations of unequal scales; use one scale",
    ),
    "weights before a vector": (
        [node("Flatten", "d", "f"), node("MatMul", "k f", "y")],
        {"k": np.ones((2, 12), F32)},
        r"multiplies weights by \(12,\), which mixes the batch; put the weights second",
    ),
    "a grid too fine": (
        [node("Mul", "d k", "a"), node("Max", "a e", "y")],
        {"k": F32(1e-12)},
        r"compares codes of unequal scales, whose common grid is finer than 2\*\*-32 of them; share",
    ),
    "no code": (
        [node("Add", "d k", "a"), node("Mul", "a e", "y")],
        {"k": F32(1e-12)},
        "multiplies an activation whose zero point is no code; put a quantizer",
    ),
    "scales along other axes": (
        [node("Mul", "d k", "a"), node("Mul", "a e", "y")],
        {"k": per(1, 3, 5, 7)},
        "multiplies activations whose scales vary along other axes; use one",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, constants, message = ERRORS[case]
    CASES["error"] = (nodes, constants)
    try:
        path = model(tmp_path, "error")
    finally:
        del CASES["error"]
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith("node 'n_y'")
