"""Tracing: build a graph by calling a function on symbolic tensors that overload Python's operators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import Affine, Encoder, FormatEncoder
from fxsim.casting import from_double, to_double
from fxsim.constants import to_raw
from fxsim.formats import Format
from fxsim.graph import Block, Graph, Input, Name, Node, Op, Value
from fxsim.integers import IntArray, exact
from fxsim.types import TensorType


class Builder:
    """A graph under construction: values are appended in order, blocks are scopes over them."""

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.inputs: list[Input] = []
        self.encoders: list[Encoder] = []
        self.values: list[Value] = []
        self.blocks: list[Block] = []
        self.names: dict[str, Name] = {}
        self._open: list[int] = []
        self._constants: dict[Op, Node] = {}

    def input(self, name: str, type: TensorType, encoder: Encoder) -> Tensor:
        """A new input tensor."""
        if any(i.name == name for i in self.inputs):
            raise ValueError(f"input name {name!r} is already taken")
        node = Input(type, name)
        self.inputs.append(node)
        self.encoders.append(encoder)
        return Tensor(self, node)

    def apply(self, op: Op, *args: Tensor) -> Tensor:
        """A new value: `op` of the operands, typed by the op's rule."""
        for a in args:
            if a.builder is not self:
                raise ValueError(f"an operand of {type(op).__name__} belongs to another graph")
        nodes = tuple(a.node for a in args)
        node = Value(op.infer(*(n.type for n in nodes)), op, nodes)
        self.values.append(node)
        return Tensor(self, node)

    def constant(self, values: object, fmt: Format | None = None) -> Tensor:
        """A constant tensor: exact as given, or quantized to `fmt` (its rounding and overflow)."""
        if fmt is not None:
            raw, frac = from_double(_reals(values), fmt), fmt.frac
        else:
            raw, frac = to_raw(values)
        return self.apply(ops.Const(IntArray(raw), frac))

    @contextmanager
    def block(
        self, kind: str, name: str, inputs: Sequence[Tensor], params: Mapping[str, Any] | None = None
    ) -> Iterator[list[Tensor]]:
        """A scope: values made inside belong to the block. Append its output tensors to the yielded list."""
        outputs: list[Tensor] = []
        index, start = len(self.blocks), len(self.values)
        parent = self._open[-1] if self._open else None
        nodes = tuple(t.node for t in inputs)
        self.blocks.append(Block(kind, name, dict(params or {}), nodes, (), start, start, parent))
        self._open.append(index)
        try:
            yield outputs
        finally:
            self._open.pop()
        outs = tuple(t.node for t in outputs)
        self.blocks[index] = Block(
            kind, name, dict(params or {}), nodes, outs, start, len(self.values), parent
        )

    def finish(
        self,
        outputs: Sequence[Tensor],
        names: Sequence[str] | None = None,
        affines: Sequence[Affine] | None = None,
    ) -> Graph:
        """The graph of everything that the outputs need; names of values nothing reads say so.

        A block of which an input or output is not needed is dissolved: its rule could not be applied.
        """
        live: set[Node] = set()
        stack: list[Node] = [t.node for t in outputs]
        while stack:
            node = stack.pop()
            if node not in live:
                live.add(node)
                if isinstance(node, Value):
                    stack.extend(node.args)
        kept = [v for v in self.values if v in live]
        place = np.cumsum([0] + [v in live for v in self.values]) + len(self.inputs)
        blocks: list[Block] = []
        known = live | set(self.inputs)
        renumber: dict[int, int] = {}
        for i, b in enumerate(self.blocks):
            start, stop = int(place[b.start]), int(place[b.stop])
            if stop > start and all(n in known for n in (*b.inputs, *b.outputs)):
                renumber[i] = len(blocks)
                parent = b.parent
                while parent is not None and parent not in renumber:
                    parent = self.blocks[parent].parent
                parent = None if parent is None else renumber[parent]
                blocks.append(Block(b.kind, b.name, b.params, b.inputs, b.outputs, start, stop, parent))
        tensor_names = {
            k: n
            if n.value is None or n.value in known
            else Name(None, n.affine, n.axes, "no output depends on it")
            for k, n in self.names.items()
        }
        return Graph(
            tuple(self.inputs),
            tuple(t.node for t in outputs),
            (*self.inputs, *kept),
            tuple(names or (f"y{i}" if len(outputs) > 1 else "y" for i in range(len(outputs)))),
            tuple(self.encoders),
            tuple(affines or (Affine() for _ in outputs)),
            tuple(blocks),
            tensor_names,
            self.name,
        )


class Tensor:
    """A symbolic tensor: every operator appends an exact, growing op to its builder's graph.

    Operands of other types are exact constants; operands of other fracs are aligned by exact shifts. Only
    `cast` loses bits. `<<` and `>>` by an int move the binary point (value * 2**k), which is free and exact.
    """

    __slots__ = ("builder", "node")
    __array_ufunc__ = None  # so that NumPy operands on the left defer to the reflected operators here
    __hash__ = object.__hash__

    def __init__(self, builder: Builder, node: Node) -> None:
        self.builder, self.node = builder, node

    @property
    def type(self) -> TensorType:
        return self.node.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.type.shape

    @property
    def frac(self) -> int:
        return self.node.type.frac

    @property
    def ndim(self) -> int:
        return self.node.type.ndim

    def __repr__(self) -> str:
        return f"<Tensor {self.type}>"

    def __bool__(self) -> bool:
        raise TypeError(
            "a symbolic tensor has no truth value while tracing; use fxsim.select(condition, a, b)"
        )

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a scalar tensor cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a scalar tensor has no length")
        return self.shape[0]

    def _apply(self, op: Op, *others: Tensor) -> Tensor:
        return self.builder.apply(op, self, *others)

    def _lift(self, other: object) -> Tensor:
        return other if isinstance(other, Tensor) else self.builder.constant(other)

    def _pair(self, other: object) -> tuple[Tensor, Tensor]:
        a, b = align(self, self._lift(other))
        return a, b

    def __add__(self, other: object) -> Tensor:
        a, b = self._pair(other)
        return a._apply(ops.Add(), b)

    def __radd__(self, other: object) -> Tensor:
        return self._lift(other) + self

    def __sub__(self, other: object) -> Tensor:
        a, b = self._pair(other)
        return a._apply(ops.Sub(), b)

    def __rsub__(self, other: object) -> Tensor:
        return self._lift(other) - self

    def __neg__(self) -> Tensor:
        return self._apply(ops.Neg())

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        if self.type.bounds[0] >= 0:
            return self
        # Not max(x, -x), whose operands' intervals alone would leave negative values possible.
        return maximum(self, maximum(-self, 0))

    def __mul__(self, other: object) -> Tensor:
        return self._apply(ops.Mul(), self._lift(other))

    def __rmul__(self, other: object) -> Tensor:
        return self._lift(other) * self

    def __matmul__(self, other: object) -> Tensor:
        return self._apply(ops.MatMul(), self._lift(other))

    def __rmatmul__(self, other: object) -> Tensor:
        return self._lift(other) @ self

    def __lshift__(self, k: int | Tensor) -> Tensor:
        if isinstance(k, Tensor):
            return self._apply(ops.ShiftLeft(), k)
        still = isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k == 0
        return self if still else self._apply(ops.Scale(k))

    def __rshift__(self, k: int | Tensor) -> Tensor:
        if isinstance(k, Tensor):
            raise TypeError(
                "a variable shift goes left only, so that it is exact; shift the other operands left"
            )
        return self << (k if isinstance(k, bool) else -k)

    def __and__(self, other: object) -> Tensor:
        a, b = self._pair(other)
        return a._apply(ops.And(), b)

    def __or__(self, other: object) -> Tensor:
        a, b = self._pair(other)
        return a._apply(ops.Or(), b)

    def __xor__(self, other: object) -> Tensor:
        a, b = self._pair(other)
        return a._apply(ops.Xor(), b)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return self._apply(ops.Not())

    def _compare(self, kind: str, other: object, swap: bool = False) -> Tensor:
        a, b = self._pair(other)
        return b._apply(ops.Compare(kind), a) if swap else a._apply(ops.Compare(kind), b)

    def __lt__(self, other: object) -> Tensor:
        return self._compare("lt", other)

    def __le__(self, other: object) -> Tensor:
        return self._compare("le", other)

    def __gt__(self, other: object) -> Tensor:
        return self._compare("lt", other, swap=True)

    def __ge__(self, other: object) -> Tensor:
        return self._compare("le", other, swap=True)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._compare("eq", other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._compare("ne", other)

    def __getitem__(self, key: Any) -> Tensor:
        """NumPy basic indexing (ints, slices, ...), or an array of integers or booleans on the first axis."""
        if isinstance(key, (list, np.ndarray)):
            return self.take(self._chosen(np.asarray(key)), 0)
        keys = list(key) if isinstance(key, tuple) else [key]
        ellipses = [i for i, k in enumerate(keys) if k is Ellipsis]
        if len(ellipses) > 1 or any(
            isinstance(k, bool) or not isinstance(k, (int, np.integer, slice, type(...))) for k in keys
        ):
            raise TypeError(f"index must be integers, slices or one ellipsis, not {key!r}")
        for at in ellipses:
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        if len(keys) > self.ndim:
            raise IndexError(f"too many indices for shape {self.shape}: {key!r}")
        keys += [slice(None)] * (self.ndim - len(keys))
        starts, stops, steps, shape = [], [], [], []
        for k, n in zip(keys, self.shape, strict=True):
            if isinstance(k, slice):
                b, e, s = k.indices(n)
                count = len(range(b, e, s))
                if not count:  # a start before the first element would be read from the end
                    b, e, s = 0, 0, 1
                starts.append(b)
                stops.append(None if s < 0 and e < 0 else e)
                steps.append(s)
                shape.append(count)
            else:
                if not -n <= k < n:
                    raise IndexError(f"index {k} is out of range for an axis of size {n}")
                starts.append(int(k) % n)
                stops.append(int(k) % n + 1)
                steps.append(1)
        out = self._apply(ops.Slice(tuple(starts), tuple(stops), tuple(steps)))
        return out if len(shape) == self.ndim else out.reshape(*shape)

    def _chosen(self, key: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The indices on the first axis that an array stands for, booleans as a mask of the axis."""
        if key.dtype != bool:
            return key
        if not self.ndim or key.shape != self.shape[:1]:
            raise IndexError(f"a boolean index must have shape {self.shape[:1]}, not {key.shape}")
        return np.flatnonzero(key)

    def take(self, indices: Any, axis: int = 0) -> Tensor:
        """np.take: elements along `axis`; negative indices count from its end."""
        chosen = exact(indices)
        if isinstance(axis, (int, np.integer)) and -self.ndim <= axis < self.ndim:
            chosen = np.where(chosen < 0, chosen + self.shape[axis], chosen)
        return self._apply(ops.Gather(IntArray(chosen), axis))

    def reshape(self, *shape: Any) -> Tensor:
        dims = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
        if -1 in dims:
            known = int(np.prod([d for d in dims if d != -1], dtype=np.int64))
            dims[dims.index(-1)] = self.type.size // known if known else 0
        return self._apply(ops.Reshape(tuple(dims)))

    def transpose(self, *axes: int) -> Tensor:
        return self._apply(ops.Transpose(tuple(axes) or tuple(reversed(range(self.ndim)))))

    @property
    def T(self) -> Tensor:
        return self.transpose()

    def sum(self, axis: int | tuple[int, ...] | None = None) -> Tensor:
        axes = tuple(range(self.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return self._apply(ops.Sum(axes))

    def max(self, axis: int = -1) -> Tensor:
        return self._apply(ops.ReduceMax(axis))

    def min(self, axis: int = -1) -> Tensor:
        return self._apply(ops.ReduceMin(axis))

    def argmax(self, axis: int = -1) -> Tensor:
        return self._apply(ops.ArgMax(axis))

    def relu(self) -> Tensor:
        return maximum(self, 0)

    def cast(self, fmt: Format | ops.Cast) -> Tensor:
        """The only op that loses bits: rounding and overflow of `fmt` (or a per-element Cast)."""
        if isinstance(fmt, ops.Cast):
            return self._apply(fmt)
        if not isinstance(fmt, Format):
            raise TypeError(f"cast needs a fxsim.Format or an ops.Cast, not {fmt!r}")
        return self._apply(ops.Cast.to(fmt, source_width=self.type.max_width))

    def accumulate(self, fmt: Format, axis: int = -1) -> Tensor:
        """Ordered sum over `axis` with a cast to `fmt` at every step."""
        return self._apply(ops.Accumulate(axis, fmt, self.type.lane()))

    def named(self, name: str, affine: Affine | None = None, axes: tuple[int, ...] | None = None) -> Tensor:
        """Record this tensor under a name, for `codes` and for the names of wires."""
        if name in self.builder.names:
            raise ValueError(f"tensor name {name!r} is already taken")
        self.builder.names[name] = Name(self.node, affine or Affine(), axes)
        return self


def align(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors at their finest frac, by exact shifts."""
    frac = max(t.frac for t in tensors)
    return tuple(t if t.frac == frac else t._apply(ops.Shift(frac - t.frac)) for t in tensors)


def _lifted(*values: object) -> tuple[Tensor, ...]:
    first = next((v for v in values if isinstance(v, Tensor)), None)
    if first is None:
        raise TypeError("at least one operand must be a traced tensor")
    return tuple(first._lift(v) for v in values)


def maximum(a: object, b: object) -> Tensor:
    """Elementwise greater of two tensors or constants."""
    x, y = align(*_lifted(a, b))
    return x._apply(ops.Max(), y)


def minimum(a: object, b: object) -> Tensor:
    """Elementwise lesser of two tensors or constants."""
    x, y = align(*_lifted(a, b))
    return x._apply(ops.Min(), y)


def select(condition: Tensor, a: object, b: object) -> Tensor:
    """a where condition is 1, b where it is 0."""
    c, x, y = _lifted(condition, a, b)
    x, y = align(x, y)
    return c._apply(ops.Select(), x, y)


def concat(tensors: Sequence[object], axis: int = 0) -> Tensor:
    """Join tensors along an axis, aligned to the finest frac."""
    parts = align(*_lifted(*tensors))
    return parts[0]._apply(ops.Concat(axis), *parts[1:])


def constant(values: object, fmt: Format | None = None) -> np.ndarray[Any, Any]:
    """Real values quantized to `fmt` by its own rounding and overflow, as float64 that a trace takes
    exactly."""
    if fmt is None:
        raw, frac = to_raw(values)
    else:
        raw, frac = from_double(_reals(values), fmt), fmt.frac
    reals, lost = to_double(raw, frac)
    if np.any(lost):
        raise ValueError(
            f"constant must be held by float64, not {raw[lost][0]} * 2**{-frac}; Builder.constant takes any"
        )
    return reals


def _reals(values: object) -> np.ndarray[Any, Any]:
    """Integers as they are (float64 would round those beyond 53 bits), other numbers as float64."""
    a = np.asarray(values)
    whole = a.dtype.kind in "iub" or (a.dtype == object and all(isinstance(v, int) for v in a.flat))
    return a if whole or a.dtype.kind == "f" else a.astype(np.float64)


def trace(
    fn: Callable[..., Any],
    *types: Format | TensorType,
    shape: Sequence[int] | Sequence[Sequence[int]] = (),
    name: str | None = None,
    output_names: Sequence[str] | None = None,
) -> Graph:
    """The graph of fn(*tensors): one input per type, named after fn's parameters.

    A Format input takes `shape` (one shape for all, or a list of one per input) and is encoded by the
    format's own rounding; a TensorType input brings its own shape and per-element ranges. fn returns a tensor
    or a tuple of them.
    """
    if not types:
        raise TypeError("trace needs the format or TensorType of at least one input")
    builder = Builder(name or _graph_name(fn))
    shapes = _shapes(shape, len(types))
    tensors = []
    for label, t, s in zip(_parameter_names(fn, len(types)), types, shapes, strict=True):
        if isinstance(t, TensorType):
            tensors.append(builder.input(label, t, FormatEncoder(t.lane())))
        elif isinstance(t, Format):
            tensors.append(builder.input(label, TensorType.of(t, s), FormatEncoder(t)))
        else:
            raise TypeError(f"input {label!r} must be a fxsim.Format or TensorType, not {t!r}")
    result = fn(*tensors)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    outputs = [t if isinstance(t, Tensor) else tensors[0]._lift(t) for t in outputs]
    return builder.finish(outputs, output_names)


def _graph_name(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__name__", "graph")
    return name if name.isidentifier() and name != "<lambda>" else "graph"


def _shapes(shape: Any, n: int) -> list[tuple[int, ...]]:
    if isinstance(shape, (list, tuple)) and any(isinstance(s, (list, tuple)) for s in shape):
        if len(shape) != n:
            raise ValueError(f"shape must give {n} shapes, not {len(shape)}")
        return [tuple(s) for s in shape]
    if isinstance(shape, (int, np.integer)):
        raise TypeError(f"shape must be a tuple of integers, not {shape!r}")
    return [tuple(shape)] * n


def _parameter_names(fn: Callable[..., Any], n: int) -> list[str]:
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return plain[:n] if len(plain) >= n else [f"x{i}" for i in range(n)]


__all__ = [
    "Builder", "Tensor", "align", "concat", "constant", "maximum", "minimum", "select", "trace",
]  # fmt: skip
