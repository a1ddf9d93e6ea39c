"""A graph read by a few processing elements: which of its elements they compute depends on the phase.

Every read asks a node for the elements `at[c, ...]` (flat indices, the phase c first) and gets one tensor of
the shape behind the phase's axis, which holds element at[c] while the phase is c. Operators are written down
once, for all phases; what differs between them is in their operands: constants become tables of the phase,
elements of inputs multiplexers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Rounding
from fxsim.graph import Graph, Input, Node, Op, Value
from fxsim.integers import Array, IntArray
from fxsim.ops.wiring import Wiring
from fxsim.trace import Builder, Tensor, concat, select

ELEMENTWISE = (
    ops.Add, ops.Sub, ops.Neg, ops.Shift, ops.Scale, ops.Mul, ops.Min, ops.Max, ops.Compare, ops.Select,
    ops.And, ops.Or, ops.Xor, ops.Not, ops.ShiftLeft, ops.Div, ops.LeadingOne, ops.Cast, ops.Table,
    ops.Threshold,
)  # fmt: skip
REDUCING = (ops.Sum, ops.ReduceMin, ops.ReduceMax, ops.ArgMax, ops.Accumulate)
SPARSE = 3  # a row of a constant matrix is read element by element where this many times fewer are not 0


class Phase:
    """The phase as a tensor, and what depends on it alone."""

    def __init__(self, tensor: Tensor, count: int) -> None:
        self.tensor, self.count = tensor, count
        self._bits: dict[int, Tensor] = {}

    def is_(self, k: int) -> Tensor:
        """One bit: whether it is k."""
        return self.tensor == k

    def bit(self, k: int) -> Tensor:
        if k not in self._bits:
            entries = np.arange(self.count) >> k & 1
            self._bits[k] = self.tensor._apply(ops.Table(IntArray(entries), 0, 0, function="phase bit"))
        return self._bits[k]

    def table(self, values: Array, frac: int) -> Tensor:
        """values[phase], raw, of shape (count, *shape)."""
        builder, shape = self.tensor.builder, values.shape[1:]
        if not np.any(values != values[:1]):
            return builder.apply(ops.Const(IntArray(values[0]), frac))
        rows = np.ascontiguousarray(values.reshape(self.count, -1).T)
        many = self.tensor.reshape(1).take(np.zeros(len(rows), np.int64))
        return many._apply(ops.Table(IntArray(rows), 0, frac, axis=0, function="by phase")).reshape(*shape)

    def choose(self, items: Tensor) -> Tensor:
        """items[phase] of (count, *shape): a tree of multiplexers, level by level."""
        for k in range((self.count - 1).bit_length()):
            even, odd = items[0::2], items[1::2]
            if odd.shape[0] < even.shape[0]:  # the last one has no partner
                odd = concat([odd, even[-1:]])
            items = select(self.bit(k), odd, even)
        return items[0]

    def pick(self, t: Tensor, at: Array) -> Tensor:
        """The elements at[phase] of a tensor."""
        flat = t.reshape(-1)
        if not np.any(at != at[:1]):
            return flat.take(at[0].reshape(-1)).reshape(*at.shape[1:])
        return self.choose(flat.take(at.reshape(-1)).reshape(self.count, -1)).reshape(*at.shape[1:])


class Reader:
    """Reads of one graph, whose inputs are tensors of the graph that is being built."""

    def __init__(self, graph: Graph, inputs: Mapping[Node, Tensor], phase: Phase) -> None:
        self.graph, self.inputs, self.phase = graph, inputs, phase
        self.builder: Builder = phase.tensor.builder
        self.done: dict[tuple[Node, bytes, tuple[int, ...]], Tensor] = {}

    def read(self, node: Node, at: Array) -> Tensor:
        """Elements at[phase] of a node."""
        at = np.ascontiguousarray(at, np.int64)
        key = node, at.tobytes(), at.shape
        if key not in self.done:
            self.done[key] = self._narrow(self._read(node, at), node, at)
        return self.done[key]

    def _read(self, node: Node, at: Array) -> Tensor:
        if isinstance(node, Input):
            return self.phase.pick(self.inputs[node], at)
        assert isinstance(node, Value)
        op, args = node.op, node.args
        if isinstance(op, ops.Const):
            return self.phase.table(np.broadcast_to(op.raw.array, node.type.shape).reshape(-1)[at], op.frac)
        if isinstance(op, ELEMENTWISE):
            return self._elementwise(node, at)
        if isinstance(op, ops.MatMul):
            return self._matmul(node, at)
        if isinstance(op, REDUCING):
            return self._reduced(node, at)
        if isinstance(op, ops.Concat):
            offsets = np.cumsum([0, *(a.type.size for a in args)])
            parts = [
                o + np.arange(a.type.size).reshape(a.type.shape) for o, a in zip(offsets, args, strict=False)
            ]
            return self._mixed(list(args), np.concatenate(parts, axis=op.axis).reshape(-1)[at], offsets, 0, 0)
        if isinstance(op, Wiring):
            (arg,) = args
            place = np.asarray(op.place(np.arange(arg.type.size).reshape(arg.type.shape), arg.type.ndim, -1))
            padding: Any = op
            fill = padding.padding() if np.any(place < 0) else 0
            return self._mixed(
                [arg], place.reshape(-1)[at], np.array([0, arg.type.size]), fill, arg.type.frac
            )
        raise NotImplementedError(
            f"a folded schedule must have a step without {type(op).__name__}; use parallel() or sequential()"
        )

    def _mixed(self, nodes: list[Node], at: Array, offsets: Array, fill: int, frac: int) -> Tensor:
        """Elements of several nodes that lie side by side, from `offsets` on; -1 is the constant `fill`."""
        found: Tensor | None = None
        for node, first, stop in zip(nodes, offsets, offsets[1:], strict=False):
            own = (at >= first) & (at < stop)
            if not np.any(own):
                continue
            part = self.read(node, np.where(own, at - first, 0))
            found = part if found is None else self._where(own, part, found)
        if np.any(at < 0):
            rest = self.builder.apply(ops.Const(IntArray(np.full(at.shape[1:], fill)), frac))
            found = rest if found is None else self._where(at < 0, rest, found)
        assert found is not None
        return found

    def _where(self, mask: Array, a: Tensor, b: Tensor) -> Tensor:
        if np.all(mask):
            return a
        return select(self.phase.table(mask.astype(np.int64), 0), a, b)

    def _elementwise(self, node: Value, at: Array) -> Tensor:
        shape = node.type.shape
        args = []
        for a in node.args:
            places = np.broadcast_to(np.arange(a.type.size).reshape(a.type.shape), shape).reshape(-1)
            args.append(self.read(a, places[at]))
        return self._apply(self._uniform(node, at), *args)

    def _uniform(self, node: Value, at: Array) -> Op:
        """The op without parameters per element; NotImplementedError where those in question differ."""
        op = node.op
        if isinstance(op, ops.Cast):
            used = [
                np.unique(np.broadcast_to(p, node.type.shape).reshape(-1)[at])
                for p in op.parameters(node.type.shape)
            ]
            if all(len(u) == 1 for u in used) and used[0][0] == op.result_frac:
                frac, width, signed = (IntArray(u[0]) for u in used)
                return replace(op, frac=frac, width=width, signed=signed)
        elif not isinstance(op, (ops.Table, ops.Threshold)) or op.axis is None:
            return op
        else:
            shape = node.type.shape
            axis = op.axis % len(shape)
            rows = np.unique(np.unravel_index(at, shape)[axis])
            if isinstance(op, ops.Table):
                entries = op.entries.array[rows]
                if not np.any(entries != entries[:1]):
                    return replace(op, entries=IntArray(entries[0]), axis=None)
        raise NotImplementedError(
            f"a folded schedule must have a step whose {type(op).__name__} is the same for all components; "
            "use parallel() or sequential()"
        )

    def _matmul(self, node: Value, at: Array) -> Tensor:
        """Rows times columns: the products of one element each, and their sum."""
        a, b = node.args
        left, right = (np.arange(n.type.size).reshape(n.type.shape) for n in (a, b))
        left = left[None, :] if left.ndim == 1 else left
        right = right[:, None] if right.ndim == 1 else right
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
        full = (*batch, rows, columns, inner)
        x = np.broadcast_to(left[..., :, None, :], full).reshape(-1, inner)[at]
        y = np.broadcast_to(np.swapaxes(right, -1, -2)[..., None, :, :], full).reshape(-1, inner)[at]
        for node_, mine in ((a, x), (b, y)):
            values = _constant(node_)
            if values is None or not inner:
                continue
            used = values[mine] != 0
            most = int(used.sum(axis=-1).max())
            if most * SPARSE <= inner:
                first = np.argsort(~used, axis=-1, kind="stable")[..., : max(most, 1)]
                x, y = (np.take_along_axis(v, first, axis=-1) for v in (x, y))
                break
        return (self.read(a, x) * self.read(b, y)).sum(-1)

    def _reduced(self, node: Value, at: Array) -> Tensor:
        op: Any = node.op
        (arg,) = node.args
        places = np.arange(arg.type.size).reshape(arg.type.shape)
        axes = op.axes if isinstance(op, ops.Sum) else (op.axis,)
        axes = tuple(x % arg.type.ndim for x in axes)
        moved = np.moveaxis(places, axes, range(-len(axes), 0)) if axes else places[..., None]
        t = self.read(arg, moved.reshape(node.type.size, -1)[at])
        last = t.ndim - 1
        return self._apply(
            replace(op, axes=(last,)) if isinstance(op, ops.Sum) else replace(op, axis=last), t
        )

    def _apply(self, op: Op, *args: Tensor) -> Tensor:
        try:
            return self.builder.apply(op, *args)
        except (TypeError, ValueError) as error:
            raise NotImplementedError(
                f"a folded schedule must have a step whose {type(op).__name__} takes what all phases bring: "
                f"{error}; use parallel() or sequential()"
            ) from error

    def _narrow(self, t: Tensor, node: Node, at: Array) -> Tensor:
        """Without leading bits that no element of the node can have: intervals here are of all phases."""
        lo, hi = (np.asarray(e).reshape(-1)[at] for e in (node.type.lo, node.type.hi))
        signed = bool(np.any(lo < 0))
        width = max(int(max(hi.max(), -1 - lo.min())).bit_length() + signed, 1)
        now = t.type.bounds
        have = max(max(int(now[1]), -1 - int(now[0])).bit_length() + (now[0] < 0), 1)
        if have <= width and (now[0] < 0) == signed:
            return t
        return t.cast(Format(width, width - t.frac, signed, Rounding.TRN))


def _constant(node: Node) -> Array | None:
    """The flat values of a constant, also behind shifts and scales of the binary point."""
    return np.asarray(node.type.lo).reshape(-1) if np.all(node.type.is_constant) else None
