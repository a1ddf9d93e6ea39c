"""The Amaranth reading: one rule per op, from object arrays of wires to object arrays of wires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fxsim import ops, ranges
from fxsim.graph import Graph, Interpreter, Value
from fxsim.integers import to_object
from fxsim.ops.lossy import cast_range
from fxsim.ranges import Range
from fxsim.types import TensorType
from rtl.lower import casts, divider, encode, lookup, product
from rtl.lower.names import Names
from rtl.lower.netlist import Net, Netlist, Wire

__all__ = ["Net", "Netlist", "Wire", "amaranth_rules", "lower"]

Wires = np.ndarray  # of dtype object, of the tensor's shape
Bounds = tuple[int, int]

# rule(netlist, node, *operand wires) -> wires of node.type.shape; `lower` fits each to the type's interval.
amaranth_rules: Interpreter[Wires] = Interpreter("amaranth_rules")
rule = amaranth_rules.rule


def lower(graph: Graph, inputs: Sequence[Wires], netlist: Netlist, names: Names | None = None) -> list[Wires]:
    """The wires of the graph's outputs, all logic of the graph written into `netlist`."""
    names = names or Names(graph)

    def bind(node: Any, wires: Wires) -> Wires:
        fit = fitted_to(netlist, node.type, wires)
        names.give(netlist, node, fit)
        names.enter(netlist, node)
        return fit

    names.enter(netlist, None)
    lowered = amaranth_rules(graph, inputs, netlist, bind=bind)
    lanes = [
        (w, n.type.max_width) for n, wires in zip(graph.outputs, lowered, strict=True) for w in wires.ravel()
    ]
    flat = iter(encode.encode(netlist, lanes))
    return [_filled(wires.shape, flat) for wires in lowered]


def _filled(shape: tuple[int, ...], wires: Iterator[Wire]) -> Wires:
    out = np.empty(shape, object)
    for i in np.ndindex(shape):
        out[i] = next(wires)
    return out


def fitted_to(nl: Netlist, t: TensorType, wires: Wires) -> Wires:
    """Every wire with the width, sign and low zero bits that its type proves; constants as literals."""
    wires = np.asarray(wires, object)
    out = np.empty(t.shape, object)
    parts = (wires.reshape(t.shape).ravel(), *(a.ravel().tolist() for a in t.range))
    out.ravel()[:] = [nl.fit(w, lo, hi, zeros) for w, lo, hi, zeros in zip(*parts, strict=True)]
    return out


def each(node: Value, fn: Callable[..., Wire], *operands: Wires) -> Wires:
    """fn(bounds, *wires) for every element, operands broadcast; bounds are the element's proven raw ends."""
    shape = node.type.shape
    flat = [np.broadcast_to(o, shape).ravel() for o in operands]
    ends = zip(node.type.lo.ravel().tolist(), node.type.hi.ravel().tolist(), strict=True)
    out = np.empty(shape, object)
    out.ravel()[:] = [fn(b, *w) for b, *w in zip(ends, *flat, strict=True)]
    return out


def along(node: Value, axes: Sequence[int], fn: Callable[[Bounds, list[Wire]], Wire], a: Wires) -> Wires:
    """fn(bounds, wires) for every element, over the operand's elements on `axes`, row-major."""
    axes = [i % a.ndim for i in axes]
    rows = np.moveaxis(a, axes, range(len(axes))).reshape(-1, *node.type.shape)
    ends = zip(node.type.lo.ravel().tolist(), node.type.hi.ravel().tolist(), strict=True)
    flat = rows.reshape(rows.shape[0], node.type.size)
    out = np.empty(node.type.shape, object)
    out.ravel()[:] = [fn(b, list(flat[:, i])) for i, b in enumerate(ends)]
    return out


# ---- arithmetic ---------------------------------------------------------------------------------------


@rule(ops.Const)
def _const(nl: Netlist, v: Any) -> Wires:
    raw = v.op.raw.array
    out = np.empty(raw.shape, object)
    out.ravel()[:] = [nl.const(c) for c in raw.ravel().tolist()]
    return out


@rule(ops.Add)
def _add(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: nl.add(x, y, bounds), a, b)


@rule(ops.Sub)
def _sub(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: nl.sub(x, y, bounds), a, b)


@rule(ops.Neg)
def _neg(nl: Netlist, v: Any, a: Wires) -> Wires:
    return each(v, lambda _, x: nl.neg(x), a)


@rule(ops.Shift)
def _shift(nl: Netlist, v: Any, a: Wires) -> Wires:
    return each(v, lambda _, x: nl.shift(x, v.op.bits), a)


@rule(ops.Scale)
def _scale(nl: Netlist, v: Any, a: Wires) -> Wires:
    return a


@rule(ops.Mul)
def _mul(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: product.times(nl, x, y, bounds), a, b)


@rule(ops.Sum)
def _sum(nl: Netlist, v: Any, a: Wires) -> Wires:
    return along(v, v.op.axes, lambda bounds, xs: product.total(nl, xs, bounds), a)


@rule(ops.MatMul)
def _matmul(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    ta, tb = (n.type for n in v.args)
    left = a.reshape(1, -1) if a.ndim == 1 else a
    right = b.reshape(-1, 1) if b.ndim == 1 else b
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows, columns = left.shape[-2], right.shape[-1]
    left = np.broadcast_to(left, (*lead, *left.shape[-2:]))
    right = np.broadcast_to(right, (*lead, *right.shape[-2:]))
    out = np.empty((*lead, rows, columns), object)
    lo, hi = (to_object(e.reshape(out.shape)) for e in (v.type.lo, v.type.hi))
    for i in np.ndindex(lead):
        if tb.is_constant.all():
            weights = _values(right[i])
            for r in range(rows):
                out[(*i, r)] = product.constant_product(nl, list(left[(*i, r)]), weights)
        elif ta.is_constant.all():
            weights = _values(left[i]).T
            for c in range(columns):
                at = (*i, slice(None), c)
                out[at] = product.constant_product(nl, list(right[at]), weights)
        else:
            for r, c in np.ndindex(rows, columns):
                at = (*i, r, c)
                pairs = list(zip(left[(*i, r)], right[(*i, slice(None), c)], strict=True))
                out[at] = product.dot(nl, pairs, (lo[at], hi[at]))
    return out


def _values(wires: Wires) -> np.ndarray:
    out = np.empty(wires.shape, object)
    out.ravel()[:] = [w.value for w in wires.ravel()]
    return out


@rule(ops.ShiftLeft)
def _shift_left(nl: Netlist, v: Any, a: Wires, n: Wires) -> Wires:
    return each(v, lambda _, x, k: divider.shift_left(nl, x, k), a, n)


@rule(ops.Div)
def _div(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: divider.divide(nl, x, y, bounds), a, b)


# ---- choice -------------------------------------------------------------------------------------------


def _least(nl: Netlist, bounds: Bounds | None, a: Wire, b: Wire) -> Wire:
    if b.is_constant:
        a, b = b, a
    if a.is_constant:
        return nl.clamp(b, min(b.lo, a.value), a.value)
    if _flags(a, b):
        return nl.both(a, b)
    return nl.mux(nl.less(b, a), b, a, bounds or (min(a.lo, b.lo), min(a.hi, b.hi)))


def _greatest(nl: Netlist, bounds: Bounds | None, a: Wire, b: Wire) -> Wire:
    if b.is_constant:
        a, b = b, a
    if a.is_constant:
        return nl.clamp(b, a.value, max(b.hi, a.value))
    if _flags(a, b):
        return nl.either(a, b)
    return nl.mux(nl.less(a, b), b, a, bounds or (max(a.lo, b.lo), max(a.hi, b.hi)))


def _flags(*wires: Wire) -> bool:
    return all(w.lo >= 0 and w.hi <= 1 for w in wires)


def _tree(pair: Callable[[Any, Any], Any], items: list[Any]) -> Any:
    """Neighbours pairwise, in order, until one is left."""
    while len(items) > 1:
        paired = [pair(*items[k : k + 2]) for k in range(0, len(items) - 1, 2)]
        items = paired + items[len(paired) * 2 :]
    return items[0]


@rule(ops.Min)
def _min(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: _least(nl, bounds, x, y), a, b)


@rule(ops.Max)
def _max(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: _greatest(nl, bounds, x, y), a, b)


@rule(ops.ReduceMin)
def _reduce_min(nl: Netlist, v: Any, a: Wires) -> Wires:
    return along(v, [v.op.axis], lambda _, xs: _tree(lambda x, y: _least(nl, None, x, y), xs), a)


@rule(ops.ReduceMax)
def _reduce_max(nl: Netlist, v: Any, a: Wires) -> Wires:
    return along(v, [v.op.axis], lambda _, xs: _tree(lambda x, y: _greatest(nl, None, x, y), xs), a)


@rule(ops.ArgMax)
def _argmax(nl: Netlist, v: Any, a: Wires) -> Wires:
    def play(x: tuple[Wire, Wire], y: tuple[Wire, Wire]) -> tuple[Wire, Wire]:
        later = nl.less(x[0], y[0])  # strictly: the earlier index keeps a tie
        best = (max(x[0].lo, y[0].lo), max(x[0].hi, y[0].hi))
        return nl.mux(later, y[0], x[0], best), nl.mux(later, y[1], x[1])

    def first(_: Bounds, xs: list[Wire]) -> Wire:
        return _tree(play, [(x, nl.const(i)) for i, x in enumerate(xs)])[1]

    return along(v, [v.op.axis], first, a)


@rule(ops.Compare)
def _compare(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    kinds = {
        "lt": nl.less,
        "le": lambda x, y: nl.at_least(y, x),
        "eq": nl.equal,
        "ne": lambda x, y: nl.equal(x, y, different=True),
    }
    return each(v, lambda _, x, y: kinds[v.op.kind](x, y), a, b)


@rule(ops.Select)
def _select(nl: Netlist, v: Any, c: Wires, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, k, x, y: nl.mux(k, x, y), c, a, b)


# ---- bits ---------------------------------------------------------------------------------------------


@rule(ops.And)
def _and(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: nl.logic("and", x, y, bounds), a, b)


@rule(ops.Or)
def _or(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: _joined(nl, x, y) or nl.logic("or", x, y, bounds), a, b)


def _joined(nl: Netlist, x: Wire, y: Wire) -> Wire | None:
    """x | y as fields side by side, where every bit of one lies above all of the other; else None."""
    low, high = sorted((x, y), key=lambda w: w.zeros)
    if low.is_constant or high.is_constant or low.lo < 0 or low.hi >> high.zeros:
        return None
    fields = [(Wire(low.net), high.zeros - low.zeros), (Wire(high.net), high.net.width)]
    return Wire(nl.cat(fields, high.net.signed).net, low.zeros)


@rule(ops.Xor)
def _xor(nl: Netlist, v: Any, a: Wires, b: Wires) -> Wires:
    return each(v, lambda bounds, x, y: nl.logic("xor", x, y, bounds), a, b)


@rule(ops.Not)
def _not(nl: Netlist, v: Any, a: Wires) -> Wires:
    return each(v, lambda _, x: nl.invert(x), a)


# ---- lookups ------------------------------------------------------------------------------------------


def _rows(params: np.ndarray, axis: int | None, shape: tuple[int, ...]) -> np.ndarray:
    """Per element, the row of `params` that its channel uses."""
    if axis is None:
        return np.zeros(shape, np.int64)
    index = np.arange(params.shape[0]).reshape((-1,) + (1,) * (len(shape) - 1 - axis % len(shape)))
    return np.broadcast_to(index, shape)


@rule(ops.Table)
def _table(nl: Netlist, v: Any, a: Wires) -> Wires:
    entries = to_object(v.op.entries.array).reshape(-1, v.op.entries.shape[-1])
    rows = _rows(v.op.entries.array, v.op.axis, v.type.shape)
    ends = [to_object(e) for e in (v.args[0].type.lo, v.args[0].type.hi)]

    def entry(bounds: Bounds, x: Wire, row: int, lo: int, hi: int) -> Wire:
        return lookup.by_code(nl, x, lambda c: entries[row, c - v.op.base], bounds, (lo, hi))

    return each(v, entry, a, rows, *ends)


@rule(ops.Threshold)
def _threshold(nl: Netlist, v: Any, a: Wires) -> Wires:
    levels, falling = v.op.levels.array, v.op.falling.array
    steps = []
    for row, fall in zip(levels.tolist(), falling.tolist(), strict=True):
        ascending = sorted(set(row))
        counts = [0, *(sum(level <= s for level in row) for s in ascending)]
        # falling: x <= T is the contrary of x >= T + 1
        steps.append(
            ([s + 1 for s in ascending], [len(row) - c for c in counts]) if fall else (ascending, counts)
        )
    rows = _rows(levels, v.op.axis, v.type.shape)
    return each(v, lambda bounds, x, r: lookup.search(nl, x, *steps[r], bounds), a, rows)


@rule(ops.LeadingOne)
def _leading_one(nl: Netlist, v: Any, a: Wires) -> Wires:
    return each(v, lambda bounds, x: lookup.significant_bits(nl, x, bounds), a)


# ---- the lossy ops ------------------------------------------------------------------------------------


@rule(ops.Cast)
def _cast(nl: Netlist, v: Any, a: Wires) -> Wires:
    return casts.cast(nl, v.op, a, v.args[0].type.frac, v.type.lo, v.type.hi)


@rule(ops.Accumulate)
def _accumulate(nl: Netlist, v: Any, a: Wires) -> Wires:
    frac = v.args[0].type.frac
    step, sum_frac = v.op.step(frac)
    terms = np.moveaxis(a, v.op.axis, 0)
    acc = np.empty(v.type.shape, object)
    acc[...] = nl.const(0)
    for x in terms:
        total = np.empty(acc.shape, object)
        x = np.asarray(x, object)
        for i in np.ndindex(acc.shape):
            total[i] = nl.add(nl.shift(acc[i], sum_frac - v.op.format.frac), nl.shift(x[i], sum_frac - frac))
        r = cast_range(step, _range(total), sum_frac)
        acc = casts.cast(nl, step, total, sum_frac, r.lo, r.hi)
    return acc


def _range(wires: Wires) -> Range:
    lo, hi, zeros = (np.empty(wires.shape, object) for _ in range(3))
    for i in np.ndindex(wires.shape):
        lo[i], hi[i], zeros[i] = wires[i].lo, wires[i].hi, wires[i].zeros
    return ranges.make(lo, hi, zeros)


# ---- wiring -------------------------------------------------------------------------------------------


@rule(ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)
def _place(nl: Netlist, v: Any, a: Wires) -> Wires:
    return np.asarray(v.op.place(a, v.args[0].type.ndim, nl.const(v.op.padding())), object)


@rule(ops.Concat)
def _concat(nl: Netlist, v: Any, *parts: Wires) -> Wires:
    return np.concatenate(parts, axis=v.op.axis)
