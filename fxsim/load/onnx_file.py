"""ONNX files: the reader of `.onnx`, and the package's reference evaluator, by which constants are folded."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.limits import MAX_ACTIVATIONS, check_elements, check_folded
from fxsim.load.model import DEFAULT_DOMAIN, INTEGER_TYPES, FileInput, FileNode, Model
from fxsim.load.onnx_guard import (
    check_framing,
    check_order,
    check_schema,
    check_text,
    external_bytes,
    inlined,
)
from fxsim.load.table import unknown

# By TensorProto's numbers; those of quantizers are fewer.
INPUT_TYPES = {**INTEGER_TYPES, 6: (32, True), 7: (64, True), 9: (1, False), 12: (32, False), 13: (64, False)}
REALS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
BITS = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "BFLOAT16": 16}

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
    check_framing(path)
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as e:  # protobuf's error classes differ between its implementations
        raise ValueError(
            f"{path} is not a readable ONNX file; it is truncated or of another kind: {e}"
        ) from None
    if not proto.graph.node or not proto.graph.output:
        raise ValueError(
            f"{path} is not a readable ONNX file: it has no nodes or no outputs; it is truncated or empty"
        )
    check_text(proto, path)
    opset = _opset(proto, path, onnx)
    graph = inlined(proto, path, onnx).graph
    if graph.sparse_initializer:
        raise ValueError(f"{path.name} has sparse initializers; save them as dense tensors")
    names = [t.name for t in graph.initializer]
    inputs = tuple(_input(v, onnx) for v in graph.input if v.name not in names)
    twice = [n for n, k in Counter([*names, *(i.name for i in inputs)]).items() if k > 1]
    if twice:
        raise ValueError(f"{path.name} has two tensors named {twice[0]!r}; give each a name of its own")
    constants = {t.name: _constant(t, path, onnx, f"initializer {t.name!r}") for t in graph.initializer}
    nodes = []
    for n in graph.node:
        nodes.append(_node(n, path, onnx))
        check_schema(n, opset, onnx)
    outputs = tuple(v.name for v in graph.output)
    check_order(path, nodes, {*constants, *(i.name for i in inputs)}, outputs)
    return Model(path, tuple(nodes), inputs, outputs, constants, opset)


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


def _constant(tensor: Any, path: Path, onnx: Any, what: str) -> Array:
    """An initializer or attribute as an array; external data lies beside the model."""
    check_elements(f"{what} of {path.name}", tensor.dims)
    kind = onnx.TensorProto.DataType.Name(tensor.data_type) if 0 <= tensor.data_type < 64 else "unknown"
    if kind in ("UNDEFINED", "STRING", "COMPLEX64", "COMPLEX128", "unknown"):
        raise ValueError(f"{what} of {path.name} must hold numbers, not {kind}; export the model again")
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            bits = BITS.get(kind) or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            tensor.raw_data = external_bytes(tensor, path, (prod(tensor.dims) * bits + 7) // 8)
            tensor.data_location = onnx.TensorProto.DEFAULT
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
        return array.astype(np.float32) if kind == "BFLOAT16" else array  # exact, and a type of NumPy's own
    except Exception as e:  # sizes that do not fit: whatever the package finds
        if str(e).startswith("initializer"):
            raise
        raise ValueError(f"{what} of {path.name} is not readable: {e}; export the model again") from None


def _node(node: Any, path: Path, onnx: Any) -> FileNode:
    made = FileNode(node.op_type, node.domain, node.name, tuple(node.input), tuple(node.output))
    attributes: dict[str, Any] = {}
    for a in node.attribute:
        if a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) or a.HasField("g"):
            raise unknown(made)
        try:
            value = onnx.helper.get_attribute_value(a)
            if isinstance(value, bytes):
                value = value.decode()
        except (ValueError, TypeError) as e:
            raise ValueError(f"{made} has the attribute {a.name!r}, which is damaged: {e}") from None
        if value is None:
            raise ValueError(f"{made} has the attribute {a.name!r} without a value; export it again")
        if isinstance(value, onnx.TensorProto):
            value = _constant(value, path, onnx, f"attribute {a.name!r} of {made}")
        elif not isinstance(value, (int, float, str)):
            value = tuple(value) if isinstance(value, (list, tuple)) else value
        attributes[a.name] = value
    return FileNode(made.op, made.domain, made.name, made.inputs, made.outputs, attributes)


def _input(value: Any, onnx: Any) -> FileInput:
    holds = value.type.WhichOneof("value")
    if holds not in (None, "tensor_type"):
        raise ValueError(
            f"input {value.name!r} must be a tensor, not a {holds.removesuffix('_type')}; cut the model "
            "behind what makes it one"
        )
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
    check_elements(f"input {value.name!r}", dims[1:], MAX_ACTIVATIONS)
    check_elements(f"the batch of input {value.name!r}", dims[:1])
    number = int(kind.elem_type)
    name = onnx.TensorProto.DataType.Name(number) if 0 <= number < 64 else "unknown"
    if number not in INPUT_TYPES and name not in REALS:
        raise ValueError(
            f"input {value.name!r} must hold integers or floating-point numbers, not {name}; export it as "
            "float"
        )
    return FileInput(value.name, tuple(dims), *INPUT_TYPES.get(number, (0, False)), kind=name.lower())


def evaluate(node: FileNode, inputs: list[Array], opset: int) -> list[Array]:
    """A standard node on constants, by the onnx package's own reference evaluator."""
    check_folded(node, inputs)
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
