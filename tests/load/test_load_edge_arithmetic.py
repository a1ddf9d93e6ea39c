"""Sums of branches of different rank, and weight quantizers wider than float32 integers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from small_models import QONNX, node, quant, write

from fxsim.load import load

F32 = np.float32


def info(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_offsets_of_a_branch_of_lower_rank_stay_on_their_axis(tmp_path: Path) -> None:
    """(1, 3, 3) + (1, 3): the second branch's per-channel offsets belong to the last axis of the sum."""
    third = np.array([1 / 3, 2 / 3, 4 / 3], F32)
    nodes = [quant("x", "a"), quant("u", "c"), node("Add", "c o", "d"), node("Add", "a d", "y")]
    constants = {"s": F32(0.3), "z": F32(0), "b": F32(4), "o": third}
    graph = helper.make_graph(
        nodes, "g",
        [info("x", 1, 3, 3), info("u", 1, 3)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid(QONNX, 2), helper.make_opsetid("", 20)]
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString())
    assert onnx.load(path).graph.name == "g"
    g = load(path)
    scale = Fraction(float(F32(0.3)))
    x, u = np.arange(9).reshape(1, 3, 3) - 4, np.array([[1, -2, 3]])
    got = g.run((x * 0.3).astype(F32), (u * 0.3).astype(F32))
    want = [
        [float((int(x[0, i, j]) + int(u[0, j])) * scale + Fraction(float(third[j]))) for j in range(3)]
        for i in range(3)
    ]
    np.testing.assert_array_equal(got[0], want)


def test_weights_of_64_bits_are_exact(tmp_path: Path) -> None:
    """2**63 - 1 is no float32: the clipped code must still be an integer of the quantizer."""
    w = np.array([[3e30], [-3e30], [1.0], [0.0]], F32)
    nodes = [quant("x", "a"), quant("w", "q", "one", "z", "wide"), node("MatMul", "a q", "y")]
    constants = {"s": 0.25, "z": 0.0, "b": 4.0, "one": 1.0, "wide": 64.0, "w": w}
    g = load(write(tmp_path, nodes, constants))
    raw = np.array([[1, 2, 3, 4]])
    codes = [2**63 - 1, -(2**63), 1, 0]
    assert int(np.asarray(g.run_raw(raw)).ravel()[0]) == sum(
        int(a) * c for a, c in zip(raw[0], codes, strict=True)
    )
