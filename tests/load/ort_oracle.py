"""onnxruntime without optimizations as oracle: every tensor of a model file for a whole batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

NARROW = {"int4", "uint4", "int2", "uint2"}


def samples(path: Path | str, x: np.ndarray) -> dict[str, np.ndarray]:
    """As `tensors`, for files whose constants say that the batch is 1: one sample after another."""
    rows = [tensors(path, x[i : i + 1], 1) for i in range(len(x))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def tensors(path: Path | str, x: np.ndarray, batch: int | None = None) -> dict[str, np.ndarray]:
    """{tensor name: values, batch first}; tensors of types that NumPy has not are left out."""
    proto = onnx.load(str(path))
    proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_value")
    if batch is None:
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    else:
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    types = {t.name: onnx.helper.tensor_dtype_to_np_dtype(t.data_type).name for t in proto.graph.initializer}
    narrow = {
        n.output[0]
        for n in proto.graph.node
        if n.op_type == "QuantizeLinear" and len(n.input) > 2 and types.get(n.input[2]) in NARROW
    }
    names = [o for n in proto.graph.node for o in n.output if o and o not in narrow]
    del proto.graph.output[:], proto.graph.value_info[:]
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(None, {proto.graph.input[0].name: x}), strict=True))
