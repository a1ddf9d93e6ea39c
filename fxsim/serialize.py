"""Graphs as one file: a JSON description and its integer arrays in an npz, versioned; loading executes no
code."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import fxsim.encoders
import fxsim.ops  # noqa: F401 (registers every op)
from fxsim.boundary import Affine, Encoder
from fxsim.files import atomic_path
from fxsim.formats import Format
from fxsim.graph import Block, Graph, Input, Name, Node, Op, Value
from fxsim.host import HostStep
from fxsim.integers import IntArray
from fxsim.types import TensorType

VERSION = 1
_DATA: dict[str, type] = {"Affine": Affine, "Format": Format, "HostStep": HostStep}
Arrays = dict[str, np.ndarray[Any, Any]]
T = TypeVar("T")


def saves(*kinds: type) -> None:
    """These frozen dataclasses may be parameters in files, by name."""
    for kind in kinds:
        if _DATA.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(f"files have another kind of {kind.__name__} already")


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write `graph` to `path`. The file appears whole or not at all; the same graph gives the same
    description."""
    arrays: Arrays = {}
    write(path, "graph.json", {"version": VERSION, **describe(graph, arrays)}, arrays)


def load(path: str | os.PathLike[str]) -> Graph:
    """The graph that `save` wrote. Types are inferred anew, so a file cannot claim a range that does not
    hold.

    Raises FileNotFoundError, or ValueError for a file that is truncated, of another kind or of a later
    version.
    """
    return read(path, "graph", VERSION, rebuild)


def write(path: str | os.PathLike[str], entry: str, description: dict[str, Any], arrays: Arrays) -> None:
    """A description and its arrays as one file, whole or not at all."""
    text = json.dumps(description, indent=1).encode()
    buffer = io.BytesIO()
    parts: dict[str, Any] = {entry: np.frombuffer(text, np.uint8), **arrays}
    np.savez_compressed(buffer, **parts)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read(
    path: str | os.PathLike[str], kind: str, known: int, make: Callable[[dict[str, Any], Arrays], T]
) -> T:
    """What `make` makes of a file of this kind; ValueError where it is damaged or of another version."""
    path = Path(path)
    entry = f"{kind}.json"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            arrays = {k: data[k] for k in data.files}
    except FileNotFoundError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        KeyError,
    ) as e:
        raise ValueError(f"{path} is not a {kind} file, or it is truncated: {e}") from None
    if not isinstance(arrays, dict) or entry not in arrays:
        raise ValueError(f"{path} is not a {kind} file: it has no {entry}")
    try:
        description = json.loads(arrays.pop(entry).tobytes())
        version = description["version"]
    except (ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path} has a damaged description: {e}") from None
    if version != known:
        raise ValueError(f"{path} has file version {version}; this release reads version {known}")
    try:
        return make(description, arrays)
    except (KeyError, IndexError, TypeError, AttributeError) as e:
        raise ValueError(f"{path} has a damaged description: {type(e).__name__}: {e}") from None


def describe(graph: Graph, arrays: Arrays) -> dict[str, Any]:
    """JSON of a graph; its arrays go to `arrays`."""
    index = graph.index

    def put(v: Any) -> Any:
        return encode(v, arrays)

    inputs = [
        {"name": n.name, "shape": n.type.shape, "frac": n.type.frac, "encoder": put(e)}
        | {k: put(IntArray(getattr(n.type, k))) for k in ("lo", "hi", "stride")}
        for n, e in zip(graph.inputs, graph.encoders, strict=True)
    ]
    values = [
        {"op": put(v.op), "args": [index[a] for a in v.args]} for v in graph.values if isinstance(v, Value)
    ]
    outputs = [
        {"value": index[o], "name": n, "affine": put(a)}
        for o, n, a in zip(graph.outputs, graph.output_names, graph.output_affines, strict=True)
    ]
    blocks = [
        {"kind": b.kind, "name": b.name, "params": put(dict(b.params)), "start": b.start, "stop": b.stop}
        | {
            "parent": b.parent,
            "inputs": [index[n] for n in b.inputs],
            "outputs": [index[n] for n in b.outputs],
        }
        for b in graph.blocks
    ]
    names = {
        k: {"value": None if n.value is None else index[n.value], "affine": put(n.affine), "reason": n.reason}
        | {"axes": n.axes}
        for k, n in graph.names.items()
    }
    return {
        "name": graph.name, "inputs": inputs, "values": values, "outputs": outputs,
        "blocks": blocks, "names": names,
    }  # fmt: skip


def rebuild(d: dict[str, Any], arrays: Arrays) -> Graph:
    """The graph that `describe` described."""

    def get(v: Any) -> Any:
        return decode(v, arrays)

    nodes: list[Node] = []
    for i in d["inputs"]:
        lo, hi, stride = (get(i[k]).array for k in ("lo", "hi", "stride"))
        nodes.append(Input(TensorType(tuple(i["shape"]), i["frac"], lo, hi, stride), i["name"]))
    inputs = tuple(n for n in nodes if isinstance(n, Input))
    for v in d["values"]:
        if any(not 0 <= a < len(nodes) for a in v["args"]):
            raise ValueError(f"value {len(nodes)} refers to an operand that does not come before it")
        op, args = get(v["op"]), tuple(nodes[a] for a in v["args"])
        nodes.append(Value(op.infer(*(a.type for a in args)), op, args))
    blocks = tuple(
        Block(
            b["kind"], b["name"], get(b["params"]), tuple(nodes[i] for i in b["inputs"]),
            tuple(nodes[i] for i in b["outputs"]), b["start"], b["stop"], b["parent"],
        )
        for b in d["blocks"]
    )  # fmt: skip
    names = {
        k: Name(
            None if n["value"] is None else nodes[n["value"]], get(n["affine"]),
            None if n["axes"] is None else tuple(n["axes"]), n["reason"],
        )
        for k, n in d["names"].items()
    }  # fmt: skip
    outs = d["outputs"]
    return Graph(
        inputs, tuple(nodes[o["value"]] for o in outs), tuple(nodes), tuple(o["name"] for o in outs),
        tuple(get(i["encoder"]) for i in d["inputs"]), tuple(get(o["affine"]) for o in outs),
        blocks, names, d["name"],
    )  # fmt: skip


def encode(v: Any, arrays: Arrays) -> Any:
    """JSON of a parameter; arrays go to `arrays`, once per content."""
    if v is None or isinstance(v, (bool, int, float, str)):
        return str(v) if isinstance(v, str) else v
    if isinstance(v, np.integer):
        return int(v)
    if isinstance(v, np.ndarray):
        return encode(IntArray(v), arrays)
    if isinstance(v, IntArray):
        if v.array.dtype == object:
            return {"$big": [str(x) for x in v.array.ravel()], "shape": list(v.shape)}
        key = f"a_{v.digest.hex()}"
        arrays[key] = v.array
        return {"$array": key}
    if isinstance(v, Fraction):
        return {"$fraction": f"{v.numerator}/{v.denominator}"}
    if isinstance(v, (tuple, list)):
        return [encode(x, arrays) for x in v]
    if isinstance(v, dict):
        return {"$dict": {str(k): encode(x, arrays) for k, x in v.items()}}
    if dataclasses.is_dataclass(v) and not isinstance(v, type):
        kind = "op" if isinstance(v, Op) else "encoder" if isinstance(v, Encoder) else "data"
        if kind == "data" and _DATA.get(type(v).__name__) is not type(v):
            raise TypeError(f"a parameter of type {type(v).__name__} cannot be saved")
        fields = {f.name: encode(getattr(v, f.name), arrays) for f in dataclasses.fields(v) if f.init}
        return {f"${kind}": type(v).__name__, "fields": fields}
    raise TypeError(f"a parameter of type {type(v).__name__} cannot be saved")


def decode(v: Any, arrays: Arrays) -> Any:
    """The parameter that `encode` gave."""
    if isinstance(v, list):
        return tuple(decode(x, arrays) for x in v)
    if not isinstance(v, dict):
        return v
    if "$array" in v:
        return IntArray(arrays[v["$array"]])
    if "$big" in v:
        flat = np.array([int(x) for x in v["$big"]], object)
        return IntArray(flat.reshape(tuple(v["shape"])))
    if "$fraction" in v:
        return Fraction(v["$fraction"])
    if "$dict" in v:
        return {k: decode(x, arrays) for k, x in v["$dict"].items()}
    for kind, registry in (("op", Op.registry), ("encoder", Encoder.registry), ("data", _DATA)):
        name = v.get(f"${kind}")
        if name is not None:
            cls = registry.get(name)
            if cls is None:
                raise ValueError(f"the file uses {kind} {name!r}, which this release does not have")
            return cls(**{k: decode(x, arrays) for k, x in v["fields"].items()})
    raise ValueError(f"unknown entry {sorted(v)} in the description")
