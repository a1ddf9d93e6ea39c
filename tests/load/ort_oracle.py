"""onnxruntime without optimizations as oracle: every tensor of a model file for a whole batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from fxsim.compare.onnxruntime import session_of


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
    session, names = session_of(proto)
    return dict(zip(names, session.run(None, {proto.graph.input[0].name: x}), strict=True))
