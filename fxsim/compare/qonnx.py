"""The qonnx package as reference: every tensor of a QONNX or FINN file, in its own float32."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array


def run(path: Path, graph: Graph, x: Sequence[Array]) -> dict[str, Array]:
    """{tensor name: float values, batch first} of qonnx's executor for samples of every input of the file.

    x[k] has the shape (samples, ...) of `graph.inputs[k]`. ImportError without the extra.
    """
    try:
        import onnx
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes
    except ImportError as e:
        raise ImportError("comparing with qonnx needs the qonnx package: install fxsim-hdl[reference]") from e
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # qonnx's own deprecations
        proto = onnx.load(str(path))
        feeds = {}
        for node, values in zip(graph.inputs, x, strict=True):
            entry = next(i for i in proto.graph.input if i.name == node.name)
            dims = [d.dim_value for d in entry.type.tensor_type.shape.dim]
            entry.type.tensor_type.shape.dim[0].dim_value = len(values)
            feeds[node.name] = values.reshape(len(values), *dims[1:]).astype(np.float32)
        del proto.graph.value_info[:]
        for out in proto.graph.output:
            out.type.tensor_type.ClearField("shape")
        model = ModelWrapper(proto).transform(InferShapes())
        return dict(execute_onnx(model, feeds, return_full_exec_context=True))
