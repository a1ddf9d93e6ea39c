"""What is checked of an .onnx file before its contents are believed: framing, files, functions, order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from fxsim.load.model import DEFAULT_DOMAIN, FileNode

MAX_BYTES = 1 << 31
MAX_NODES = 1 << 20
FIELDS = 32  # ModelProto has numbers up to 26


def check_framing(path: Path) -> None:
    """ValueError unless the file's outermost protobuf fields lie in it whole; reads a few bytes of each."""
    size = path.stat().st_size
    if size >= MAX_BYTES:
        raise ValueError(
            f"{path} must be smaller than 2 GB, as every ONNX file is, not {size} bytes; it is damaged, or "
            "save the model with external data"
        )
    with path.open("rb") as file:
        while file.tell() < size:
            at = file.tell()
            tag = _varint(file)
            kind = None if tag is None else tag & 7
            length = _varint(file) if kind in (0, 2) else {1: 8, 5: 4}.get(kind or 0)
            known = tag is not None and 1 <= tag >> 3 <= FIELDS and length is not None
            if not known or (kind != 0 and file.tell() + (length or 0) > size):
                raise ValueError(
                    f"{path} is not a readable ONNX file; it is truncated or of another kind: no field of a "
                    f"model at byte {at}"
                )
            if kind != 0:
                file.seek(length or 0, 1)


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


def external_bytes(tensor: Any, path: Path, size: int) -> bytes:
    """The data of an initializer that lies in a file of its own, beside the model; `size` bytes are needed.

    ValueError names the initializer if the file is missing, too short, or outside the model's folder, behind
    a link too.
    """
    what = f"initializer {tensor.name!r} of {path.name}"
    entries = {e.key: e.value for e in tensor.external_data}
    place = entries.get("location", "?")
    try:
        offset, length = (int(entries.get(k) or d) for k, d in (("offset", 0), ("length", size)))
        file = path.parent / place
        inside = file.resolve().is_relative_to(path.parent.resolve())
        there = file.is_file()
    except (ValueError, OSError, RuntimeError) as e:  # a null byte, a name too long, a loop of links
        raise ValueError(f"{what} has a damaged place of its data ({e}); export the model again") from None
    if not inside:
        raise ValueError(
            f"{what} must lie in the model's folder, not at {place!r}: move the file there, or save the "
            "model as one file"
        )
    if not there:
        raise ValueError(
            f"{what} lies in the file {place!r}, which is missing; put it beside the model, or save the "
            "model as one file"
        )
    held = file.stat().st_size
    if offset < 0 or length != size or offset + size > held:
        raise ValueError(
            f"{what} is not readable: it needs {size} bytes, but is said to have {length} from byte {offset} "
            f"on in {place!r}, which has {held}; export the model again"
        )
    with file.open("rb") as stream:
        stream.seek(offset)
        data: bytes = stream.read(size)
    return data


def check_text(proto: Any, path: Path) -> None:
    """ValueError if a name is no text: protobuf gives bytes where it is not UTF-8."""
    graph = proto.graph
    names = [o.domain for o in proto.opset_import]
    names += [t.name for t in graph.initializer]
    for v in (*graph.input, *graph.output):
        names += [v.name, *(d.dim_param for d in v.type.tensor_type.shape.dim)]
    for node in (*graph.node, *(n for f in proto.functions for n in f.node)):
        names += [node.op_type, node.domain, node.name, *node.input, *node.output]
        names += [a.name for a in node.attribute]
    for tensor in graph.initializer:
        names += [text for e in tensor.external_data for text in (e.key, e.value)]
    bad = next((n for n in names if not isinstance(n, str)), None)
    if bad is not None:
        raise ValueError(f"{path} is damaged: {bad!r} stands where a name must be; export it again")


def inlined(proto: Any, path: Path, onnx: Any) -> Any:
    """The model without functions of its own, each call replaced by the function's nodes.

    ValueError where functions call each other in a circle, or would grow to more than a million nodes.
    """
    if not proto.functions:
        return proto
    bodies = {(f.domain, f.name): f for f in proto.functions}
    sizes: dict[tuple[str, str], int] = {}
    open_: list[tuple[str, str]] = []

    def size(name: tuple[str, str]) -> int:
        if name in open_ or len(open_) > 200:
            raise ValueError(f"function {name[1]!r} of {path.name} calls itself; export the model without it")
        if name not in sizes:
            open_.append(name)
            sizes[name] = count(bodies[name].node)
            open_.pop()
        return sizes[name]

    def count(nodes: Any) -> int:
        return sum(size(k) if (k := (n.domain, n.op_type)) in bodies else 1 for n in nodes)

    total = count(proto.graph.node)
    if total > MAX_NODES:
        raise ValueError(f"the functions of {path.name} must give at most {MAX_NODES} nodes, not {total}")
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(proto)
    except Exception as e:  # whatever the package finds wrong with the functions
        raise ValueError(
            f"the functions of {path.name} cannot be put in place: {e}; export it again"
        ) from None


def check_schema(node: Any, opset: int, onnx: Any) -> None:
    """ValueError if a standard node has fewer inputs than its op needs, or an attribute of another type."""
    if node.domain not in DEFAULT_DOMAIN or not onnx.defs.has(node.op_type, opset):
        return
    schema = onnx.defs.get_schema(node.op_type, opset)
    what = f"node {node.name!r} ({node.op_type})"
    given = list(node.input)
    for i, formal in enumerate(schema.inputs[: schema.min_input]):
        needed = formal.option == onnx.defs.OpSchema.FormalParameterOption.Single
        if i >= len(given) or (needed and not given[i]):
            raise ValueError(
                f"{what} has {len([g for g in given if g])} inputs and needs at least {schema.min_input}: "
                f"{formal.name!r} is missing; export it again"
            )
    types = {a.name: a.type for a in node.attribute}
    for name, attribute in schema.attributes.items():
        kind = types.get(name)
        if kind is None and attribute.required:
            raise ValueError(f"{what} must have the attribute {name!r}; export it again")
        if kind is not None and kind != attribute.type.value:
            names = onnx.AttributeProto.AttributeType
            raise ValueError(
                f"{what} has the attribute {name!r} of type {names.Name(kind)}, which must be "
                f"{names.Name(attribute.type.value)}; export it again"
            )


def check_order(path: Path, nodes: Sequence[FileNode], known: set[str], outputs: tuple[str, ...]) -> None:
    """ValueError unless every tensor is made once, and before it is used."""
    makers = {name: node for node in reversed(nodes) for name in node.outputs if name}
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise ValueError(_unordered(path, node, name, makers))
        twice = [name for name in node.outputs if name and name in known]
        if twice or len({n for n in node.outputs if n}) < sum(map(bool, node.outputs)):
            raise ValueError(
                f"{node} makes {(twice or list(node.outputs))[0]!r}, which {path.name} has already; give "
                "every tensor a name of its own"
            )
        known.update(n for n in node.outputs if n)
    for name in outputs:
        if name not in known:
            raise ValueError(
                f"output {name!r} of {path.name} is made by no node; the file is truncated: export it again"
            )


def _unordered(path: Path, node: FileNode, name: str, makers: dict[str, FileNode]) -> str:
    """Why a tensor is not there yet: made by nothing, in a circle, or later."""
    if name not in makers:
        return (
            f"{node} reads {name!r}, which nothing before it makes; {path.name} is truncated or not sorted: "
            "export it again"
        )
    seen, stack = set(), [name]
    while stack:
        at = stack.pop()
        if at in node.outputs:
            return (
                f"{node} reads {name!r}, which is computed from its own result: {path.name} has a cycle; a "
                "recurrence is a fxsim.Machine"
            )
        if at not in seen and at in makers:
            seen.add(at)
            stack.extend(makers[at].inputs)
    return f"{node} reads {name!r}, which only a later node makes; {path.name} is not sorted: export it again"
