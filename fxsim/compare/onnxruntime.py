"""onnxruntime without graph optimizations as reference: every tensor of a plain ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array

NARROW = {"int4", "uint4", "int2", "uint2"}  # types that NumPy has not


def run(path: Path, graph: Graph, x: Sequence[Array]) -> dict[str, Array]:
    """{tensor name: values, batch first} of onnxruntime's CPU kernels for samples of every input of the file.

    x[k] has the shape (samples, ...) of `graph.inputs[k]`. Tensors of 4 and 2 bits are left out.
    ImportError without the extra.
    """
    from fxsim.load.onnx_file import require_onnx

    onnx = require_onnx("comparing with onnxruntime")
    proto = onnx.load(str(path))
    feeds = {}
    for node, values in zip(graph.inputs, x, strict=True):
        entry = next(i for i in proto.graph.input if i.name == node.name).type.tensor_type
        dims = [d.dim_value for d in entry.shape.dim]
        entry.shape.dim[0].Clear()
        entry.shape.dim[0].dim_param = "N"
        dtype = onnx.helper.tensor_dtype_to_np_dtype(entry.elem_type)
        feeds[node.name] = values.reshape(len(values), *dims[1:]).astype(dtype)
    session, names = session_of(proto)
    try:
        found = session.run(None, feeds)
    except Exception:  # a file that is bound to one sample (a Reshape to (1, 16), say)
        samples = range(len(x[0]))
        rows = [session.run(None, {k: a[i : i + 1] for k, a in feeds.items()}) for i in samples]
        found = [np.concatenate([np.atleast_1d(r[k]) for r in rows]) for k in range(len(names))]
    return {k: np.asarray(v) for k, v in zip(names, found, strict=True)}


def session_of(proto: Any) -> tuple[Any, list[str]]:
    """(an onnxruntime session that gives every tensor that nodes make, their names); changes `proto`."""
    import onnx

    try:
        import onnxruntime
    except ImportError as e:
        raise ImportError(
            "comparing with onnxruntime needs the onnxruntime package: install fxsim-hdl[reference]"
        ) from e
    names = _readable(proto, onnx)
    del proto.graph.output[:], proto.graph.value_info[:]
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    ), names


def _readable(proto: Any, onnx: Any) -> list[str]:
    """The tensors that nodes make and NumPy can hold."""
    types = {t.name: onnx.helper.tensor_dtype_to_np_dtype(t.data_type).name for t in proto.graph.initializer}
    narrow = {
        n.output[0]
        for n in proto.graph.node
        if n.op_type == "QuantizeLinear" and len(n.input) > 2 and types.get(n.input[2]) in NARROW
    }
    return [o for n in proto.graph.node for o in n.output if o and o not in narrow]
