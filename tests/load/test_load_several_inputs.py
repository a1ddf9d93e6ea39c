"""Files of several inputs and outputs: order and names are the file's, values are qonnx's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import QONNX, node, quant

import fxsim
import rtl
from fxsim.load import load

F32 = np.float32
CONSTANTS = {"s": F32(0.25), "s2": F32(0.125), "z": F32(0), "b": F32(4)}


def write(folder: Path, nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str]) -> Path:
    """A model file; every input has shape (N, 4)."""

    def info(name: str, shape: list[str | int] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "g", [info(n, ["N", 4]) for n in inputs], [info(n, None) for n in outputs],
        [numpy_helper.from_array(v, k) for k, v in CONSTANTS.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid(QONNX, 2), helper.make_opsetid("", 20)]
    path = folder / "several.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString())
    return path


@pytest.mark.parametrize("order", ["xu", "ux"])
def test_inputs_are_in_the_order_of_the_file(tmp_path: Path, rng: np.random.Generator, order: str) -> None:
    """Whichever of them a quantizer reads first: another order would swap the samples without a word."""
    nodes = [quant("u", "c", "s2"), quant("x", "a"), node("Sub", "a c", "y")]
    graph = load(write(tmp_path, nodes, list(order), ["y"]))
    assert [i.name for i in graph.inputs] == list(order)
    samples = {n: (rng.integers(-64, 65, (50, 4)) / 32).astype(F32) for n in order}
    a, c = (np.clip(np.rint(samples[n] / s), -8, 7) * s for n, s in (("x", 0.25), ("u", 0.125)))
    np.testing.assert_array_equal(graph.run(*(samples[n] for n in order)), a - c)
    np.testing.assert_array_equal(graph.run(**samples), a - c)


def test_inputs_with_a_format_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    nodes = [quant("u", "c"), quant("x", "a"), node("Sub", "a c", "y")]
    graph = load(write(tmp_path, nodes, ["x", "u"], ["y"]), input=fxsim.SQ(4, 4))
    assert [i.name for i in graph.inputs] == ["x", "u"]


def test_several_outputs_in_hardware(tmp_path: Path, rng: np.random.Generator) -> None:
    """A sum, a difference, an input's codes, and the sum once more."""
    nodes = [quant("x", "a"), quant("u", "c"), node("Add", "a c", "y"), node("Sub", "a c", "w")]
    graph = load(write(tmp_path, nodes, ["x", "u"], ["y", "w", "a", "y"]))
    x, u = (rng.integers(-64, 65, (2, 50, 4)) / 16).astype(F32)
    a, c = (np.clip(np.rint(v / 0.25), -8, 7) / 4 for v in (x, u))
    for got, want in zip(graph.run(x, u), (a + c, a - c, a, a + c), strict=True):
        np.testing.assert_array_equal(got, want)
    assert rtl.verify(graph, x, u, simulator="amaranth", backpressure=0.3).mismatches == 0
