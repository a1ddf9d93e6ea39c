"""A graph with its transposes moved behind the elementwise ops, so that layers meet channels last."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Block, Graph, Name, Node, Op, Value
from fxsim.integers import Array, IntArray
from fxsim.types import TensorType

POINTWISE = (
    ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Min, ops.Max, ops.Compare, ops.Select, ops.And, ops.Or, ops.Xor,
    ops.Not, ops.Neg, ops.Shift, ops.Scale, ops.ShiftLeft, ops.LeadingOne, ops.Cast, ops.Table, ops.Threshold,
)  # fmt: skip
MOST_AXES = 5


@dataclass(frozen=True, eq=False)
class View:
    """A tensor of the old graph in the new one: its elements, row-major, are `base`'s at `order`."""

    base: Node
    order: Array


def channels_last(graph: Graph) -> Graph:
    """A graph of the same inputs, outputs and integers, in which no elementwise op reads a transposed tensor.

    A Transpose only renames places, so an op that treats all places alike may come before it: such ops work
    on the operand of the Transpose, with per-channel parameters moved to the channel's new axis. Transposes
    that cancel disappear, those that move axes of size 1 become Reshapes, and a product by constants takes a
    flattened transposed tensor by rearranging the rows of its weights. `names` and `blocks` name what tensors
    came from; a name's axes are those of the old tensor.
    """
    return _Mover(graph).graph()


class _Mover:
    def __init__(self, old: Graph) -> None:
        self.old = old
        self.values: list[Node] = list(old.inputs)
        self.views: dict[Node, View] = {i: View(i, np.arange(i.type.size)) for i in old.inputs}
        self.origin: dict[Node, int] = {i: k for k, i in enumerate(old.inputs)}
        self.made: dict[Node, Node] = {}
        self.at = len(old.inputs)

    def graph(self) -> Graph:
        old = self.old
        for k, v in enumerate(old.values[len(old.inputs) :], len(old.inputs)):
            assert isinstance(v, Value)
            self.at = k
            self.views[v] = self.moved(v)
        outputs = tuple(self.plain(o) for o in old.outputs)
        values = self.live(outputs)
        names = {}
        for key, name in old.names.items():
            node = self.views[name.value].base if name.value is not None else None
            if node in values:
                names[key] = Name(node)
        return replace(
            old, outputs=outputs, values=tuple(values), names=names, blocks=tuple(self.blocks(values))
        )

    def live(self, outputs: Sequence[Node]) -> dict[Node, int]:
        """The values that the outputs need, in order, with their positions."""
        needed = set(outputs)
        for v in reversed(self.values):
            if isinstance(v, Value) and v in needed:
                needed.update(v.args)
        kept = [v for v in self.values if v in needed or not isinstance(v, Value)]
        return {v: k for k, v in enumerate(kept)}

    def blocks(self, values: dict[Node, int]) -> list[Block]:
        """The old blocks around what is left of them."""
        found = []
        for b in self.old.blocks:
            inside = [k for v, k in values.items() if b.start <= self.origin[v] < b.stop]
            if inside:
                before, after = (tuple(self.views[n].base for n in nodes) for nodes in (b.inputs, b.outputs))
                found.append(Block(b.kind, b.name, b.params, before, after, inside[0], inside[-1] + 1))
        return found

    def add(self, type_: TensorType, op: Op, *args: Node) -> Value:
        v = Value(type_, op, args)
        self.values.append(v)
        self.origin[v] = self.at
        return v

    def moved(self, v: Value) -> View:
        """The view that v becomes."""
        if np.all(v.type.is_constant):
            return View(self.add(v.type, ops.Const(IntArray(v.type.lo), v.type.frac)), np.arange(v.type.size))
        views = [self.views[a] for a in v.args]
        straight = all(_plain(w) for w in views)
        if isinstance(v.op, ops.Transpose) and v.type.size:
            order = views[0].order.reshape(v.args[0].type.shape).transpose(v.op.axes).ravel()
            return View(views[0].base, order)
        if isinstance(v.op, ops.Reshape) and not straight:
            return views[0]
        if not straight and isinstance(v.op, POINTWISE) and (view := self.pointwise(v)) is not None:
            return view
        if not straight and isinstance(v.op, ops.Concat) and (view := self.concat(v)) is not None:
            return view
        if not straight and isinstance(v.op, ops.MatMul) and (view := self.product(v)) is not None:
            return view
        return View(self.add(v.type, v.op, *(self.plain(a) for a in v.args)), np.arange(v.type.size))

    def plain(self, a: Node) -> Node:
        """The tensor itself: by a Reshape, a Transpose, or a Gather of its base."""
        view = self.views[a]
        base = view.base
        if a.type.shape == base.type.shape and _plain(view):
            return base
        if a not in self.made:
            self.made[a] = self.placed(a.type, view)
        return self.made[a]

    def placed(self, type_: TensorType, view: View) -> Node:
        base = view.base
        if _plain(view):
            return self.add(type_, ops.Reshape(type_.shape), base)
        axes = _axes(view)
        if axes is not None:
            shape = tuple(base.type.shape[k] for k in axes)
            turned = base if shape == type_.shape else None
            if turned is not None:
                return self.add(type_, ops.Transpose(axes), base)
            arranged = _arranged(type_, type_.size, np.arange(type_.size))
            inner = self.add(_shaped(arranged, shape), ops.Transpose(axes), base)
            return self.add(type_, ops.Reshape(type_.shape), inner)
        flat = base
        if base.type.ndim != 1:
            flat = self.add(_shaped(base.type, (base.type.size,)), ops.Reshape((base.type.size,)), base)
        taken = self.add(_shaped(type_, (type_.size,)), ops.Gather(IntArray(view.order)), flat)
        return taken if type_.ndim == 1 else self.add(type_, ops.Reshape(type_.shape), taken)

    def pointwise(self, v: Value) -> View | None:
        """v before the transposes of its operands, if they are the same."""
        shape = v.type.shape
        views = [self.views[a] for a in v.args if not _constant(a) and a.type.size != 1]
        wide = [a for a in v.args if not _constant(a) and a.type.size != 1]
        first = views[0]
        if any(a.type.shape != shape for a in wide):
            return None
        if any(w.base.type.shape != first.base.type.shape for w in views):
            return None
        if any(not np.array_equal(w.order, first.order) for w in views):
            return None
        target = first.base.type.shape
        op = _moved_op(v, first, target)
        if op is None:
            return None
        args = []
        for a in v.args:
            if _constant(a) and a.type.size > 1:
                args.append(self.constant(a, shape, first))
            elif a.type.size == 1:
                one = self.plain(a)
                args.append(one if one.type.ndim <= len(target) else self.views[a].base)
            else:
                args.append(self.views[a].base)
        return View(self.add(_unordered(v.type, first, target), op, *args), first.order)

    def constant(self, a: Node, shape: tuple[int, ...], like: View) -> Node:
        """A constant operand, broadcast to `shape`, in the places of `like`'s base."""
        full = np.broadcast_to(a.type.lo, shape)
        return self.add(
            TensorType.constant(moved := _compact(_unplaced(full, like)), a.type.frac),
            ops.Const(IntArray(moved), a.type.frac),
        )

    def concat(self, v: Value) -> View | None:
        """A concatenation of tensors that are transposed alike, before the transpose."""
        views = [self.views[a] for a in v.args]
        axes = [_axes(w) for w in views]
        first = axes[0]
        shapes_match = all(
            p is not None and tuple(w.base.type.shape[k] for k in p) == a.type.shape
            for p, w, a in zip(axes, views, v.args, strict=True)
        )
        if first is None or any(p != first for p in axes) or not shapes_match:
            return None
        axis = first[v.op.axis % v.type.ndim]  # type: ignore[attr-defined]
        shape = tuple(v.type.shape[first.index(k)] for k in range(v.type.ndim))
        order = np.arange(v.type.size).reshape(shape).transpose(first).ravel()
        placed = View(views[0].base, order)
        node = self.add(_unordered(v.type, placed, shape), ops.Concat(axis), *(w.base for w in views))
        return View(node, order)

    def product(self, v: Value) -> View | None:
        """A flattened transposed vector times constants: the rows of the constants move instead."""
        x, w = v.args
        if _constant(x) or not _constant(w) or x.type.ndim != 1 or w.type.ndim != 2:
            return None
        view = self.views[x]
        flat = view.base
        if flat.type.ndim != 1:
            flat = self.add(_shaped(flat.type, (flat.type.size,)), ops.Reshape((flat.type.size,)), flat)
        rows = np.empty_like(w.type.lo)
        rows[view.order] = w.type.lo
        weights = self.add(TensorType.constant(rows, w.type.frac), ops.Const(IntArray(rows), w.type.frac))
        return View(self.add(v.type, v.op, flat, weights), np.arange(v.type.size))


def _plain(view: View) -> bool:
    return bool(np.array_equal(view.order, np.arange(len(view.order))))


def _constant(a: Node) -> bool:
    return bool(np.all(a.type.is_constant))


def _axes(view: View) -> tuple[int, ...] | None:
    """The permutation of the base's axes that gives this order."""
    shape = view.base.type.shape
    if len(shape) > MOST_AXES:
        return None
    places = np.arange(len(view.order)).reshape(shape)
    for axes in itertools.permutations(range(len(shape))):
        if np.array_equal(places.transpose(axes).ravel(), view.order):
            return axes
    return None


def _unplaced(a: Array, view: View) -> Array:
    """Elements of the old tensor in the places of the base."""
    out = np.empty(a.size, a.dtype)
    out[view.order] = a.ravel()
    return out.reshape(view.base.type.shape)


def _unordered(t: TensorType, view: View, shape: tuple[int, ...]) -> TensorType:
    """The type of the old tensor in the places of a base of this shape."""
    inverse = np.empty_like(view.order)
    inverse[view.order] = np.arange(len(view.order))
    return _shaped(_arranged(t, t.size, inverse), shape)


def _arranged(t: TensorType, size: int, order: Array) -> TensorType:
    flat = [a.reshape(-1)[order] for a in (t.lo, t.hi, t.stride)]
    return TensorType((size,), t.frac, *flat)


def _shaped(t: TensorType, shape: tuple[int, ...]) -> TensorType:
    return TensorType(shape, t.frac, *(a.reshape(shape) for a in (t.lo, t.hi, t.stride)))


def _compact(a: Array) -> Array:
    """The same array, size 1 on axes along which it does not change."""
    for axis, n in enumerate(a.shape):
        head = np.take(a, [0], axis)
        if n > 1 and np.all(a == head):
            a = head
    return a


def _moved_op(v: Value, view: View, shape: tuple[int, ...]) -> Op | None:
    """The op with its per-element parameters in the places of the base; None where no axis has them there."""
    op: Any = v.op
    if isinstance(op, ops.Cast):
        moved: dict[str, Any] = {}
        for name in ("frac", "width", "signed"):
            a = getattr(op, name).array
            full = a if a.size == 1 else _compact(_unplaced(np.broadcast_to(a, v.type.shape), view))
            moved[name] = IntArray(full.reshape(()) if full.size == 1 else full)
        return replace(op, **moved)
    if isinstance(op, (ops.Table, ops.Threshold)) and op.axis is not None:
        old = v.type.shape
        axis = op.axis % len(old)
        channel = np.arange(old[axis]).reshape((-1,) + (1,) * (len(old) - 1 - axis))
        placed = _unplaced(np.broadcast_to(channel, old), view)
        for k in range(len(shape)):
            wanted = np.arange(shape[k]).reshape((-1,) + (1,) * (len(shape) - 1 - k))
            if shape[k] == old[axis] and np.array_equal(np.broadcast_to(wanted, shape), placed):
                return replace(op, axis=k)
        return None
    return v.op
