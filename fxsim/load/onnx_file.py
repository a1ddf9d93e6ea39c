"""ONNX files: the reader of `.onnx`, and the package's reference evaluator, by which constants are folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.model import DEFAULT_DOMAIN, INTEGER_TYPES, FileInput, FileNode, Model

OLDEST_OPSET = 9  # BatchNormalization, Clip and Reshape mean something else before


def require_onnx(what: str) -> Any:
    """The onnx package; ImportError names the extra that brings it."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as e:
        raise ImportError(f"{what} needs the onnx package: install fxsim-hdl[onnx]") from e
    return onnx


def read(path: Path) -> Model:
    """The model in an .onnx file, its external data included.

    Raises ValueError for a damaged file, missing external data, an opset out of range, or a shape that is
    dynamic beyond the batch axis.
    """
    onnx = require_onnx(f"reading {path.name}")
    size = path.stat().st_size
    if size >= 1 << 31:
        raise ValueError(
            f"{path} must be smaller than 2 GB, as every ONNX file is, not {size} bytes; it is damaged, or "
            "save the model with external data"
        )
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as e:  # protobuf's error classes differ between its implementations
        raise ValueError(
            f"{path} is not a readable ONNX file; it is truncated or of another kind: {e}"
        ) from None
    graph = proto.graph
    if not graph.node or not graph.output:
        raise ValueError(
            f"{path} is not a readable ONNX file: it has no nodes or no outputs; it is truncated or empty"
        )
    opset = _opset(proto, path, onnx)
    constants = {t.name: _constant(t, path, onnx) for t in graph.initializer}
    nodes = tuple(_node(n, path, onnx) for n in graph.node)
    inputs = tuple(_input(v) for v in graph.input if v.name not in constants)
    outputs = tuple(v.name for v in graph.output)
    _check_order(path, nodes, {*constants, *(i.name for i in inputs)}, outputs)
    opsets = {o.domain: int(o.version) for o in proto.opset_import}
    return Model(path, nodes, inputs, outputs, constants, opset, opsets)


def _opset(proto: Any, path: Path, onnx: Any) -> int:
    versions = {o.domain: int(o.version) for o in proto.opset_import}
    version = next((versions[d] for d in DEFAULT_DOMAIN if d in versions), None)
    newest = int(onnx.defs.onnx_opset_version())
    if version is None:
        raise ValueError(
            f"{path} imports no version of the standard ONNX opset; export it again with opset_version=20"
        )
    if not OLDEST_OPSET <= version <= newest:
        raise ValueError(
            f"opset must lie in {OLDEST_OPSET}..{newest}, not {version} ({path.name}); convert it with "
            "onnx.version_converter or export it again with opset_version=20"
        )
    return version


def _constant(tensor: Any, path: Path, onnx: Any) -> Array:
    """An initializer as an array; external data lies beside the model."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        place = next((e.value for e in tensor.external_data if e.key == "location"), "?")
        if not (path.parent / place).resolve().is_relative_to(path.parent.resolve()):
            raise ValueError(
                f"initializer {tensor.name!r} of {path.name} must lie in the model's folder, not at "
                f"{place!r}: move the file there, or save the model as one file"
            )
        if not (path.parent / place).is_file():
            raise ValueError(
                f"initializer {tensor.name!r} of {path.name} lies in the file {place!r}, which is missing; "
                "put it beside the model, or save the model as one file"
            )
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor, base_dir=str(path.parent)))
    except Exception as e:  # sizes that do not fit, unknown types: whatever the package finds
        raise ValueError(
            f"initializer {tensor.name!r} of {path.name} is not readable: {e}; export the model again"
        ) from None


def _node(node: Any, path: Path, onnx: Any) -> FileNode:
    attributes = {}
    for a in node.attribute:
        value = onnx.helper.get_attribute_value(a)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, onnx.TensorProto):
            value = _constant(value, path, onnx)
        elif not isinstance(value, (int, float)):
            value = tuple(value) if isinstance(value, (list, tuple)) else value
        attributes[a.name] = value
    return FileNode(node.op_type, node.domain, node.name, tuple(node.input), tuple(node.output), attributes)


def _input(value: Any) -> FileInput:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not len(kind.shape.dim):
        raise ValueError(
            f"input {value.name!r} must have a shape with a batch axis; export the model with a fixed shape"
        )
    dims = []
    for axis, d in enumerate(kind.shape.dim):
        size = d.dim_value if d.HasField("dim_value") else 0
        if size < 1:
            if axis:
                what = d.dim_param or "nothing"
                raise ValueError(
                    f"input {value.name!r} must not be dynamic, but axis {axis} is open ({what!r}); only "
                    "the batch axis may be: export the model with that size fixed"
                )
            size = 1
        dims.append(int(size))
    return FileInput(value.name, tuple(dims), *INTEGER_TYPES.get(int(kind.elem_type), (0, False)))


def _check_order(path: Path, nodes: tuple[FileNode, ...], known: set[str], outputs: tuple[str, ...]) -> None:
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise ValueError(
                    f"{node} reads {name!r}, which nothing before it makes; {path.name} is truncated or "
                    "not sorted: export it again"
                )
        known.update(node.outputs)
    for name in outputs:
        if name not in known:
            raise ValueError(
                f"output {name!r} of {path.name} is made by no node; the file is truncated: export it again"
            )


def evaluate(node: FileNode, inputs: list[Array], opset: int) -> list[Array]:
    """A standard node on constants, by the onnx package's own reference evaluator."""
    onnx = require_onnx(str(node))
    from onnx.reference import ReferenceEvaluator

    names = [f"x{i}" for i in range(len(inputs))]
    attributes = {
        k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v
        for k, v in node.attributes.items()
    }
    proto = onnx.helper.make_node(node.op, names, list(node.outputs), **attributes)
    infos = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in zip(names, inputs, strict=True)
    ]
    results = [onnx.ValueInfoProto(name=o) for o in node.outputs]
    graph = onnx.helper.make_graph([proto], "constant", infos, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return [np.asarray(v) for v in ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))]
