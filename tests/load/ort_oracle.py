"""onnxruntime without optimizations as oracle: every tensor of a model file for a whole batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

NARROW = {"int4", "uint4", "int2", "uint2"}


def tensors(path: Path | str, x: np.ndarray) -> dict[str, np.ndarray]:
    """{tensor name: values, batch first}; tensors of types that NumPy has not are left out."""
    proto = onnx.load(str(path))
    proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_value")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
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
