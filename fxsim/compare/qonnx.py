"""The qonnx package as reference: every tensor of a QONNX or FINN file, in its own float32."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array


def run(path: Path, graph: Graph, x: Sequence[Array]) -> dict[str, Array]:
    """{tensor name: float values, batch first} of qonnx's executor for samples of every input of the file.

    x[k] has the shape (samples, ...) of `graph.inputs[k]`. All samples run at once where that gives what the
    first one gives alone; a file that is bound to its batch (a Reshape to (1, -1), say) runs sample by
    sample. ImportError without the extra.
    """
    try:
        from qonnx.custom_op.registry import add_domain_alias
    except ImportError as e:
        raise ImportError("comparing with qonnx needs the qonnx package: install fxsim-hdl[reference]") from e
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # qonnx's own deprecations
        add_domain_alias("finn.custom_op.general", "qonnx.custom_op.general")
        feeds = {n.name: a for n, a in zip(graph.inputs, x, strict=True)}
        first = _executed(path, {k: a[:1] for k, a in feeds.items()}, batch=None)
        samples = len(x[0])
        if samples == 1:
            return first
        try:
            found = _executed(path, feeds, batch=samples)
        except Exception:  # whatever qonnx finds wrong with the file at another batch
            found = {}
        if all(_agrees(found.get(k), v, samples) for k, v in first.items() if k in graph.names):
            return found
        rows = [_executed(path, {k: a[i : i + 1] for k, a in feeds.items()}, None) for i in range(samples)]
        # Tensors that qonnx adds have new names in every run.
        return {k: np.stack([r[k] for r in rows]) for k in first if all(k in r for r in rows)}


def _executed(path: Path, feeds: dict[str, Array], batch: int | None) -> dict[str, Array]:
    """Every tensor; shapes are inferred anew, as files have those of another batch, some, or none."""
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    proto = onnx.load(str(path))
    inputs: dict[str, Any] = {i.name: i.type.tensor_type.shape.dim for i in proto.graph.input}
    shaped = {}
    for name, values in feeds.items():
        inputs[name][0].dim_value = batch or 1
        shaped[name] = values.reshape(len(values), *(d.dim_value for d in inputs[name][1:])).astype(
            np.float32
        )
    del proto.graph.value_info[:]
    for out in proto.graph.output:
        out.type.tensor_type.ClearField("shape")
    model = ModelWrapper(proto).transform(InferShapes())  # files have some shapes, or none
    return dict(execute_onnx(model, shaped, return_full_exec_context=True))


def _agrees(whole: Array | None, first: Array, samples: int) -> bool:
    """Is the first of all samples what the first alone gives?"""
    if whole is None or whole.size != samples * first.size:
        return False
    return bool(np.array_equal(whole.reshape(samples, -1)[0], first.ravel()))
