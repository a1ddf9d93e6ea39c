"""Reads a .tflite flatbuffer into plain data, and takes whatever is wrong with it as a ValueError."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.tflite.options import OPTIONS

MOST_BYTES = 1 << 31
DTYPES: dict[str, Any] = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "FLOAT64": np.float64, "INT8": np.int8, "UINT8": np.uint8,
    "INT16": np.int16, "UINT16": np.uint16, "INT32": np.int32, "UINT32": np.uint32, "INT64": np.int64,
    "UINT64": np.uint64, "BOOL": np.bool_,
}  # fmt: skip
# What reading a flatbuffer whose offsets lie can end in; the format has no checksum and Python no verifier.
DAMAGE = (
    struct.error, IndexError, KeyError, ValueError, TypeError, OverflowError, AttributeError, MemoryError,
    AssertionError, SystemError,
)  # fmt: skip


@dataclass(frozen=True)
class Quantization:
    """real = scale * (code - zero), scales in float32: one, or one per index of `axis`."""

    scale: Array
    zero: Array
    axis: int


@dataclass(frozen=True)
class FileTensor:
    """One tensor of the file; `data` is its constant value, `open` the open axes other than the batch."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    quantization: Quantization | None = None
    data: Array | None = None
    variable: bool = False
    open: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"tensor {self.name!r}"


@dataclass(frozen=True)
class FileOp:
    """One operator: its builtin name (or CUSTOM and its own), tensor indices (-1 for none), options."""

    op: str
    index: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    label: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """A name for blocks: the converter joins the names of all layers that it fused, by semicolons."""
        return self.label.split(";")[0] or self.op

    def __str__(self) -> str:
        return f"operator {self.index} ({self.op}) that makes {self.label!r}"


@dataclass(frozen=True)
class FileModel:
    """What the file says, checked: every index is one of a tensor."""

    path: Path
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        """The file's name up to its first dot, as an identifier."""
        stem = "".join(c if c.isalnum() else "_" for c in self.path.name.split(".")[0])
        return stem if stem and not stem[0].isdigit() else f"model_{stem}"


def read(path: Path) -> FileModel:
    """The main subgraph of a .tflite file.

    Raises ImportError without the package `tflite`, ValueError for a file that is none, is damaged, or has
    no subgraph; NotImplementedError for sparse weights and quantization other than affine.
    """
    try:
        import tflite  # noqa: F401
        from tflite.Model import Model
    except ImportError:
        raise ImportError(
            "reading .tflite files needs the package tflite: install fxsim-hdl[tflite]"
        ) from None
    if path.stat().st_size >= MOST_BYTES:
        raise ValueError(f"{path.name} has 2 GB or more; it is damaged, or no TFLite model")
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"{path.name} is not a TFLite model: its bytes 4 to 7 are {content[4:8]!r}, not b'TFL3'; "
            "convert the model again"
        )
    try:
        return _model(path, content, Model.GetRootAs(content, 0))
    except NotImplementedError:
        raise
    except _Wrong as e:
        raise ValueError(f"{path.name} {e}") from None
    except DAMAGE as e:
        what = "it is cut short, or an offset points outside" if isinstance(e, struct.error) else str(e)
        raise ValueError(f"{path.name} is damaged: {what}; copy or convert it again") from None


class _Wrong(Exception):
    """A sound file of the wrong content, in words that follow its name."""


def _model(path: Path, content: bytes, model: Any) -> FileModel:
    count = model.SubgraphsLength()
    if not count:
        raise _Wrong("has no subgraph")
    graph = model.Subgraphs(0)
    tensors = tuple(_tensor(graph.Tensors(i), i, model, content) for i in range(graph.TensorsLength()))
    tensors = _named(tensors)
    operators = tuple(
        _operator(graph.Operators(i), i, model, tensors) for i in range(graph.OperatorsLength())
    )
    inputs, outputs = (_indices(v, len(tensors)) for v in (graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
    if not outputs or -1 in (*inputs, *outputs):
        raise _Wrong("has no outputs" if not outputs else "has an input or output that is no tensor")
    return FileModel(path, tensors, operators, inputs, outputs)


def _named(tensors: tuple[FileTensor, ...]) -> tuple[FileTensor, ...]:
    """The tensors under names that differ: those without one, or with one that is taken, are numbered."""
    taken, seen, out = {t.name for t in tensors}, {""}, []
    for t in tensors:
        name = t.name
        while name in seen or (name != t.name and name in taken):
            name = f"{name or 'tensor'}_{t.index}"
        seen.add(name)
        out.append(replace(t, name=name))
    return tuple(out)


def _array(value: Any) -> Array:
    """A numeric vector of the schema's classes, which give 0 for one that is absent."""
    return np.zeros(0, np.int64) if isinstance(value, int) else np.asarray(value)


def _indices(value: Any, tensors: int) -> tuple[int, ...]:
    found = tuple(int(v) for v in _array(value))
    if any(not -1 <= v < tensors for v in found):
        raise _Wrong(f"is damaged: it refers to tensor {max(found)} of {tensors}; copy or convert it again")
    return found


def _tensor(t: Any, index: int, model: Any, content: bytes) -> FileTensor:
    name = (t.Name() or b"").decode("utf-8", "replace")
    kind = _type_names().get(t.Type(), f"type {t.Type()}")
    if t.Sparsity() is not None:
        raise NotImplementedError(f"tensor {name!r} has sparse weights; densify the model before conversion")
    shape = tuple(int(n) for n in _array(t.ShapeAsNumpy()))
    data = _bytes(model, t.Buffer(), content)
    signature = tuple(int(n) for n in _array(t.ShapeSignatureAsNumpy()))
    free = [i for i, n in enumerate(signature) if n == -1 and len(signature) == len(shape)]
    shape = tuple(1 if i in free else n for i, n in enumerate(shape))
    if any(n < 0 for n in shape):
        raise _Wrong(f"is damaged: tensor {name!r} has shape {shape}; copy or convert it again")
    values = None if data is None or t.IsVariable() else _values(name, kind, shape, data)
    quantization = _quantization(name, t.Quantization())
    return FileTensor(
        index, name, kind, shape, quantization, values, bool(t.IsVariable()), tuple(i for i in free if i)
    )


def _type_names() -> dict[int, str]:
    from tflite.TensorType import TensorType

    return {v: k for k, v in vars(TensorType).items() if not k.startswith("_")}


def _bytes(model: Any, index: int, content: bytes) -> bytes | None:
    """A buffer's content, in the flatbuffer or behind it; None for an empty one."""
    if not 0 <= index < model.BuffersLength():
        raise _Wrong(
            f"is damaged: it refers to buffer {index} of {model.BuffersLength()}; copy or convert it again"
        )
    buffer = model.Buffers(index)
    if buffer.Offset() > 1:
        data = content[buffer.Offset() : buffer.Offset() + buffer.Size()]
        if len(data) != buffer.Size():
            raise _Wrong(f"is truncated: buffer {index} ends beyond it; copy or convert it again")
        return data
    data = _array(buffer.DataAsNumpy()).astype(np.uint8).tobytes()
    return data or None


def _values(name: str, kind: str, shape: tuple[int, ...], data: bytes) -> Array | None:
    """The constant's array; None for a type that is no plain number (a string)."""
    size = int(np.prod(shape, dtype=object))
    if kind == "INT4":  # two codes a byte, the low half first
        packed = np.frombuffer(data, np.uint8)
        flat = np.stack([packed & 15, packed >> 4], 1).reshape(-1).astype(np.int8)[:size]
        flat = np.where(flat >= 8, flat - 16, flat).astype(np.int8)
        need = (size + 1) // 2
    elif kind in DTYPES:
        each = np.dtype(DTYPES[kind]).itemsize
        need, flat = size * each, np.frombuffer(data[: len(data) // each * each], DTYPES[kind])
    else:
        return None
    if len(data) != need:
        raise _Wrong(
            f"is damaged: tensor {name!r} of {kind} {shape} has {len(data)} bytes, not {need}; "
            "copy or convert it again"
        )
    return flat.reshape(shape)


def _quantization(name: str, q: Any) -> Quantization | None:
    if q is None or not q.ScaleLength():
        if q is not None and q.DetailsType():
            raise NotImplementedError(
                f"tensor {name!r} is quantized by a custom scheme; convert with affine quantization"
            )
        return None
    scale = _array(q.ScaleAsNumpy()).astype(np.float32)
    zero = _array(q.ZeroPointAsNumpy()).astype(np.int64)
    if len(zero) not in (0, len(scale)):
        raise _Wrong(
            f"is damaged: tensor {name!r} has {len(scale)} scales and {len(zero)} zero points; "
            "copy or convert it again"
        )
    return Quantization(scale, zero if len(zero) else np.zeros(len(scale), np.int64), q.QuantizedDimension())


def _operator(o: Any, index: int, model: Any, tensors: tuple[FileTensor, ...]) -> FileOp:
    from tflite.utils import BUILTIN_OPCODE2NAME

    if not 0 <= o.OpcodeIndex() < model.OperatorCodesLength():
        raise _Wrong(f"is damaged: operator {index} has no code; copy or convert it again")
    code = model.OperatorCodes(o.OpcodeIndex())
    number = max(_builtin(code), code.DeprecatedBuiltinCode())
    op = BUILTIN_OPCODE2NAME.get(number, f"builtin {number}")
    if op == "CUSTOM":
        op = f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')}"
    inputs, outputs = (_indices(v, len(tensors)) for v in (o.InputsAsNumpy(), o.OutputsAsNumpy()))
    if not outputs or -1 in outputs:
        raise _Wrong(f"is damaged: operator {index} ({op}) has no output; copy or convert it again")
    label = tensors[outputs[0]].name
    return FileOp(op, index, inputs, outputs, label, _options(o, op))


def _builtin(code: Any) -> int:
    """The field builtin_code, which the package's accessor hides where it is below 127."""
    from flatbuffers.number_types import Int32Flags

    at = code._tab.Offset(10)
    return int(code._tab.Get(Int32Flags, at + code._tab.Pos)) if at else 0


def _options(o: Any, op: str) -> dict[str, Any]:
    """The operator's options by name; those of a file without them are the schema's defaults."""
    if op not in OPTIONS:
        return {}
    from importlib import import_module

    kind, fields = OPTIONS[op]
    table = o.BuiltinOptions()
    if table is None:
        return dict(fields)
    options = getattr(import_module(f"tflite.{kind}"), kind)()
    options.Init(table.Bytes, table.Pos)
    found = {}
    for name in fields:
        if f"{name}AsNumpy" in dir(options):
            found[name] = tuple(int(v) for v in _array(getattr(options, f"{name}AsNumpy")()))
        else:
            found[name] = getattr(options, name)()
    return found
