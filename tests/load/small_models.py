"""Small QONNX files for tests: nodes in short notation, constants by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
MICROSOFT = "com.microsoft"
MICROSOFT_OPS = (
    "QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConcat",
    "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "QGemm", "QuickGelu", "BiasGelu",
    "FastGelu",
)  # fmt: skip


def node(op: str, inputs: str, outputs: str, name: str | None = None, **attributes: Any) -> onnx.NodeProto:
    """`inputs` and `outputs` are blank-separated names; the node is named after its first output."""
    domain = QONNX if op in ("Quant", "BipolarQuant", "Trunc") else MICROSOFT if op in MICROSOFT_OPS else ""
    outs = outputs.split()
    return helper.make_node(
        op,
        inputs.split(),
        outs,
        name=name if name is not None else f"n_{outs[0]}",
        domain=domain,
        **attributes,
    )


def quant(
    x: str, y: str, scale: str = "s", zero: str = "z", bits: str = "b", **attributes: Any
) -> onnx.NodeProto:
    """A Quant node; signed ROUND unless told otherwise."""
    return node(
        "Quant",
        f"{x} {scale} {zero} {bits}",
        y,
        **{"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attributes,
    )


def write(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    shape: tuple[Any, ...] = (1, 4),
    output: str = "y",
    opset: int | None = 20,
    name: str = "m.onnx",
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """A model file with the input x (float32 of `shape`, batch first) and one output."""
    initializers = [
        numpy_helper.from_array(v if isinstance(v, np.ndarray) else np.float32(v), k)
        for k, v in constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    imports = [helper.make_opsetid(QONNX, 2), helper.make_opsetid(MICROSOFT, 1)] + (
        [] if opset is None else [helper.make_opsetid("", opset)]
    )
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path
