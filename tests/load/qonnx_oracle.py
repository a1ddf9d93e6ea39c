"""The qonnx package as oracle: every tensor of a model file for a whole batch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx


def tensors(path: Path | str, x: np.ndarray) -> dict[str, np.ndarray]:
    """{tensor name: float32 values, batch first} of qonnx's executor, for all samples at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        proto = onnx.load(str(path))
        name = proto.graph.input[0].name
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(x)
        del proto.graph.value_info[:]
        for out in proto.graph.output:
            out.type.tensor_type.ClearField("shape")
        model = ModelWrapper(proto).transform(InferShapes())
        return dict(execute_onnx(model, {name: x}, return_full_exec_context=True))


def quantizers(path: Path | str) -> dict[str, onnx.NodeProto]:
    """{output tensor: node} of every Quant node whose input is not an initializer."""
    graph = onnx.load(str(path)).graph
    constants = {t.name for t in graph.initializer}
    return {n.output[0]: n for n in graph.node if n.op_type == "Quant" and n.input[0] not in constants}


def integer_codes(path: Path | str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every activation quantizer's integers: value / scale, which must be whole up to float32 noise."""
    out = {}
    for name, node in quantizers(path).items():
        scale, zero = values[node.input[1]], values[node.input[2]]
        codes = np.rint(values[name].astype(np.float64) / scale.astype(np.float64) + zero).astype(np.int64)
        again = (codes.astype(np.float32) - zero) * scale
        assert np.array_equal(again.astype(np.float32), values[name])
        out[name] = codes
    return out
