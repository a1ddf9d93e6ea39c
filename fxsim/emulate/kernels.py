"""The planner's table: how each op runs on batch-last float carriers, or else by its exact NumPy rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import carriers as c
from fxsim.emulate import dense, lossy
from fxsim.emulate.plan import Call, Loc, Planner
from fxsim.emulate.table import apply
from fxsim.graph import Node, Value
from fxsim.integers import Array, to_object
from fxsim.ops.lookup import count_levels
from fxsim.ops.wiring import Wiring

Rule = Callable[[Planner, Value], bool]

# Fewer thresholds than this are compared one by one; up to LOOKUP codes in all, a table is faster than a search.
COMPARED, LOOKUP = 8, 1 << 20


def planned(p: Planner, v: Value) -> None:
    """Emit the steps of one value: its fast rule where the ranges prove it exact, else the table's own rule."""
    rule = RULES.get(type(v.op))
    if rule is None or not rule(p, v):
        exact_rule(p, v)


def fuse(p: Planner) -> None:
    """Defer values that their only reader computes along: a product before its bias, a clamp before its cast."""
    for v in reversed(p.values):
        if isinstance(v, Value) and v not in p.constants and (dense.joins_bias(p, v) or lossy.joins_cast(p, v)):
            p.deferred.add(v)


def exact_rule(p: Planner, v: Value) -> None:
    """The value by the exact table, on int64 or Python integers with the batch first."""
    views = [p.read(a, c.OBJ if c.is_wide(a.type) else c.I64) for a in v.args if a not in p.constants]
    fixed = {i: p.constants[a][None] for i, a in enumerate(v.args) if a in p.constants}
    out = p.buffer(v.type.size, c.carrier(v.type))
    p.done(*v.args)

    def bind(*arrays: Array) -> list[Call]:
        o = arrays[-1].reshape(*v.type.shape, -1)
        given = iter(arrays[:-1])
        operands = [
            fixed[i] if i in fixed else np.moveaxis(next(given).reshape(*a.type.shape, o.shape[-1]), -1, 0)
            for i, a in enumerate(v.args)
        ]

        def call() -> None:
            np.copyto(o, np.moveaxis(apply(v, *operands), 0, -1), casting="unsafe")

        return [call]

    p.emit(bind, *views, out)
    p.store(v, out)


# Elementwise


def elementwise(ufunc: Any, product: bool = False, flag: bool = False) -> Rule:
    """raw = ufunc(operands), all at one point (a product adds points; a flag is 0 or 1 whatever the point)."""

    def rule(p: Planner, v: Value) -> bool:
        varying = [a for a in v.args if a not in p.constants]
        dtype = _common(p, v)
        if dtype not in c.FLOATS:
            return False
        lead = p.locs[varying[0]]
        same = all(a.type.shape == v.type.shape and np.array_equal(p.locs[a].rows, lead.rows) for a in varying)
        order = lead.order if same and all(p.locs[a].dtype == dtype for a in varying) else None
        if order is not None and not all(np.array_equal(p.locs[a].point, lead.point) for a in varying):
            order = None
        if order is None or np.ndim(lead.point) or (product and abs(2 * int(lead.point)) > c.MOST_POINT):
            return _in_order(p, v, varying, dtype, ufunc, product, flag)
        # One row per element everywhere: work on the buffers as they lie.
        point = lead.point
        whole = [lossy.whole(p.locs[a]) for a in varying]
        operands = _operands(p, v, None if product else point, order, dtype)
        p.done(*varying)
        out = whole[0] if not flag and p.dying(varying[0]) and not lead.offset else p.buffer(lead.buffer.rows, dtype)
        p.emit(_bind(ufunc, operands), *whole, out)
        total = sum(int(p.locs[a].point) for a in varying) if product else point
        p.put(v, Loc(out.buffer, lead.rows, 0 if flag else total))
        return True

    return rule


def _in_order(
    p: Planner, v: Value, varying: list[Node], dtype: np.dtype[Any], ufunc: Any, product: bool, flag: bool
) -> bool:
    points = [p.locs[a].point for a in varying]
    one = points[0] if all(np.ndim(q) == 0 and q == points[0] for q in points) else 0
    if product:
        keep = all(np.ndim(q) == 0 for q in points) and abs(sum(map(int, points))) <= c.MOST_POINT
        views = [p.read(a, dtype, q if keep else 0) for a, q in zip(varying, points, strict=True)]
        total = sum(map(int, points)) if keep else 0
    else:
        views, total = [p.read(a, dtype, one) for a in varying], one
    operands = _operands(p, v, None if product else one, None, dtype)
    p.done(*varying)
    out = p.buffer(v.type.size, dtype)
    shapes = [a.type.shape for a in varying]
    p.emit(_bind(ufunc, operands, shapes, v.type.shape), *views, out)
    p.store(v, out, 0 if flag else total)
    return True


def _operands(p: Planner, v: Value, point: Any, order: Array | None, dtype: np.dtype[Any]) -> list[Any]:
    """Per operand None (a view) or the constant as an array that broadcasts against (..., lanes)."""
    out: list[Any] = []
    for a in v.args:
        if a not in p.constants:
            out.append(None)
            continue
        raw = p.constants[a].astype(np.float64)
        if point is not None:
            raw = raw * 2.0 ** -float(point)
        if order is not None:
            out.append(c.column(np.broadcast_to(raw, v.type.shape), order, dtype))
        else:
            flat = c.column(raw, None, dtype)
            out.append(flat if np.ndim(flat) == 0 else raw.astype(dtype).reshape(_right(raw.shape, v.type.ndim) + (1,)))
    return out


def _right(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(shape)) + shape


def _bind(ufunc: Any, operands: list[Any], shapes: Any = None, shape: Any = None) -> Any:
    def bind(*arrays: Array) -> list[Call]:
        out, lanes = arrays[-1], arrays[-1].shape[-1]
        given = list(arrays[:-1])
        if shape is not None:
            given = [a.reshape(*_right(s, len(shape)), lanes) for a, s in zip(given, shapes, strict=True)]
            out = out.reshape(*shape, lanes)
        views = iter(given)
        return [partial(ufunc, *(next(views) if o is None else o for o in operands), out=out)]

    return bind


def _common(p: Planner, v: Value) -> np.dtype[Any]:
    """The narrowest carrier of the result that holds every operand too."""
    return c.widest(*(p.locs[a].dtype if a in p.locs else c.carrier(a.type) for a in v.args), c.carrier(v.type))


def select(condition: Array, a: Array, b: Array, out: Array) -> None:
    """out = a where condition is 1, else b."""
    np.copyto(out, b)
    np.copyto(out, a, where=condition != 0)


def _select(p: Planner, v: Value) -> bool:
    # The condition's point does not matter for != 0, but the others' must agree: read all three at point 0.
    dtype = _common(p, v)
    if dtype not in c.FLOATS:
        return False
    varying = [a for a in v.args if a not in p.constants]
    views = [p.read(a, dtype) for a in varying]
    operands = _operands(p, v, 0, None, dtype)
    p.done(*varying)
    out = p.buffer(v.type.size, dtype)
    p.emit(_bind(select, operands, [a.type.shape for a in varying], v.type.shape), *views, out)
    p.store(v, out)
    return True


def _repoint(p: Planner, v: Value) -> bool:
    """Shift and Scale: the same numbers; a shift is a move of the carrier's point."""
    loc = p.locs[v.args[0]]
    k = v.op.bits if isinstance(v.op, ops.Shift) else 0
    point = c.simplify(np.add(loc.point, k))
    if (k and loc.dtype not in c.FLOATS) or np.any(np.abs(point) > c.MOST_POINT):
        return False
    if c.is_wide(v.type) and loc.dtype in c.FLOATS:  # wide values are always Python integers
        return False
    p.put(v, Loc(loc.buffer, loc.rows, point, loc.offset))
    p.done(v.args[0])
    return True


# Reductions along axes, with the batch last


def _along(p: Planner, v: Value, axes: tuple[int, ...], ufunc: Any, dtype: np.dtype[Any]) -> bool:
    (x,) = v.args
    point = p.locs[x].point
    point = point if np.ndim(point) == 0 else 0
    view = p.read(x, dtype, point)
    p.done(x)
    out = p.buffer(v.type.size, dtype)

    def bind(a: Array, o: Array) -> list[Call]:
        lanes = a.shape[-1]
        o = o.reshape(*v.type.shape, lanes)
        return [partial(ufunc.reduce, a.reshape(*x.type.shape, lanes), axis=axes, out=o)]

    p.emit(bind, view, out)
    p.store(v, out, point)
    return True


def _sum(p: Planner, v: Value) -> bool:
    (x,) = v.args
    axes = tuple(a % x.type.ndim for a in v.op.axes)  # type: ignore[attr-defined]
    if c.is_wide(x.type) or not axes:
        return False
    total = c.magnitude(x.type).astype(object).sum(axis=axes)
    dtype = c.least_float(total, int(c.unit(x.type).min(initial=c.MOST_STRIDE)))
    return dtype is not None and _along(p, v, axes, np.add, c.widest(dtype, p.locs[x].dtype))


def _reduce(ufunc: Any) -> Rule:
    def rule(p: Planner, v: Value) -> bool:
        (x,) = v.args
        axis = v.op.axis % x.type.ndim  # type: ignore[attr-defined]
        dtype = p.locs[x].dtype
        return dtype in c.FLOATS and _along(p, v, (axis,), ufunc, dtype)

    return rule


def _argmax(p: Planner, v: Value) -> bool:
    (x,) = v.args
    axis = v.op.axis % x.type.ndim  # type: ignore[attr-defined]
    dtype = p.locs[x].dtype
    if dtype not in c.FLOATS or c.carrier(v.type) != c.F32:
        return False
    point = p.locs[x].point
    view = p.read(x, dtype, point if np.ndim(point) == 0 else 0)
    p.done(x)
    out, best = p.buffer(v.type.size, c.F32), p.buffer(v.type.size, dtype)

    def bind(a: Array, o: Array, best: Array) -> list[Call]:
        lanes = a.shape[-1]
        rows = np.moveaxis(a.reshape(*x.type.shape, lanes), axis, 0)
        o, best = o.reshape(*v.type.shape, lanes), best.reshape(*v.type.shape, lanes)
        mask = np.empty(o.shape, bool)
        calls: list[Call] = [partial(np.copyto, best, rows[0]), partial(np.copyto, o, np.float32(0))]
        for i in range(1, len(rows)):  # an earlier index wins a tie
            calls.append(partial(np.greater, rows[i], best, out=mask))
            calls.append(partial(np.copyto, o, np.float32(i), where=mask))
            calls.append(partial(np.maximum, best, rows[i], out=best))
        return calls

    p.emit(bind, view, out, best)
    p.store(v, out)
    return True


# Lookups


def _table(p: Planner, v: Value) -> bool:
    op: Any = v.op
    (x,) = v.args
    if op.entries.array.dtype == object or c.is_wide(x.type) or c.carrier(v.type) not in c.FLOATS:
        return False
    channels = None if op.axis is None else _channel(x, op.axis)
    return _lookup(p, v, op.entries.array.reshape(-1, op.entries.shape[-1]), op.base, channels)


def _lookup(p: Planner, v: Value, rows: Array, base: int, channels: Array | None) -> bool:
    (x,) = v.args
    n = rows.shape[-1]
    dtype = c.carrier(v.type)
    view = p.read(x, c.I64)
    if view.buffer is p.locs[x].buffer:
        copy = p.buffer(view.stop - view.start, c.I64)
        p.emit(lambda a, o: [partial(np.copyto, o, a)], view, copy)
        view = copy
    start = -base if channels is None else channels * n - base
    offset = c.column(start, None, c.I64)
    # Entries that no proven code reaches need not fit the carrier; clipping keeps them finite.
    lo, hi = v.type.bounds
    entries = np.clip(rows.reshape(-1), lo, hi).astype(dtype)
    p.done(x)
    out = p.buffer(v.type.size, dtype)

    def bind(a: Array, o: Array) -> list[Call]:
        move: list[Call] = [partial(np.add, a, offset, out=a)] if np.any(offset) else []
        return [*move, partial(np.take, entries, a, out=o, mode="clip")]

    p.emit(bind, view, out)
    p.store(v, out)
    return True


def _threshold(p: Planner, v: Value) -> bool:
    op: Any = v.op
    (x,) = v.args
    levels, falling = op.levels.array, op.falling.array
    loc = p.locs[x]
    if c.is_wide(x.type) or c.carrier(v.type) != c.F32:
        return False
    channels = None if op.axis is None else _channel(x, op.axis)
    lo, hi = x.type.bounds
    codes = hi - lo + 1
    step = int(c.unit(x.type).min())
    if levels.shape[1] <= COMPARED and loc.dtype in c.FLOATS and c.holds(loc.dtype, max(-lo, hi), step):
        return _compared(p, v, levels, falling, np.zeros(x.type.shape, np.int64) if channels is None else channels)
    if codes * len(levels) > LOOKUP:
        return False
    rows = np.stack([count_levels(np.arange(lo, hi + 1), np.full(codes, k), op) for k in range(len(levels))])
    return _lookup(p, v, rows, lo, channels)


def _channel(x: Node, axis: int) -> Array:
    n, axis = x.type.shape[axis], axis % x.type.ndim
    return np.broadcast_to(np.arange(n).reshape((-1,) + (1,) * (x.type.ndim - 1 - axis)), x.type.shape)


def _compared(p: Planner, v: Value, levels: Array, falling: Array, channels: Array) -> bool:
    """Count the levels that are met, one comparison each; out-of-range levels become infinite."""
    (x,) = v.args
    view = p.read(x, p.locs[x].dtype)
    p.done(x)
    out, met = p.buffer(v.type.size, c.F32), p.buffer(v.type.size, c.F32)
    # sign * x >= sign * level counts both directions; levels beyond the range must not be rounded into it.
    sign = np.where(falling, -1, 1)[:, None]
    lo, hi = x.type.bounds
    # The operand is a multiple of 2**step, and so is the first code that meets a level: such codes fit the carrier.
    step = int(c.unit(x.type).min())
    wide = to_object(levels)
    wide = np.where(falling[:, None] != 0, (wide >> step) << step, -((-wide >> step) << step))
    real = np.where(wide > hi, np.inf, np.where(wide < lo, -np.inf, np.clip(wide, lo, hi).astype(np.float64)))
    real = np.asarray(real, np.float64)
    signs = c.column(sign[channels, 0], None, view.dtype)
    columns = [c.column((real * sign)[channels, j], None, view.dtype) for j in range(levels.shape[1])]

    def bind(a: Array, o: Array, met: Array, *scratch: Array) -> list[Call]:
        calls: list[Call] = []
        if np.any(np.asarray(signs) != 1):
            calls.append(partial(np.multiply, a, signs, out=scratch[0]))
            a = scratch[0]
        calls.append(partial(np.copyto, o, np.float32(0)))
        for t in columns:
            calls += [partial(np.greater_equal, a, t, out=met), partial(np.add, o, met, out=o)]
        return calls

    p.emit(bind, view, out, met, p.buffer(v.type.size, view.dtype))
    p.store(v, out)
    return True


# Wiring


def _wiring(p: Planner, v: Value) -> bool:
    """A choice of rows, made when a reader needs them in order; padded rows are written at once."""
    (x,) = v.args
    loc, op = p.locs[x], v.op
    assert isinstance(op, Wiring)
    index = op.place(np.arange(x.type.size).reshape(x.type.shape), x.type.ndim, -1).reshape(-1)
    inside = index >= 0
    if inside.all():
        point = loc.point if np.ndim(loc.point) == 0 else np.asarray(loc.point).reshape(-1)[index].reshape(v.type.shape)
        p.put(v, Loc(loc.buffer, loc.rows[index], c.simplify(point)))
        p.done(x)
        return True
    point = loc.point if np.ndim(loc.point) == 0 else 0
    dtype = c.widest(loc.dtype, c.carrier(v.type))
    source = p.read(x, dtype, point)
    p.done(x)
    out = p.buffer(v.type.size, dtype)
    rows = np.where(inside, index, 0).astype(np.intp)
    padded = np.flatnonzero(~inside)
    fill: Any = op.padding()
    fill = fill * 2.0 ** -float(point) if point else fill

    def bind(a: Array, o: Array) -> list[Call]:
        return [partial(np.take, a, rows, axis=0, out=o, mode="clip"), partial(o.__setitem__, padded, fill)]

    p.emit(bind, source, out)
    p.store(v, out, point)
    return True


def _concat(p: Planner, v: Value) -> bool:
    axis = v.op.axis % v.type.ndim  # type: ignore[attr-defined]
    dtype = _common(p, v)
    if dtype not in c.FLOATS:
        return False
    varying = [a for a in v.args if a not in p.constants]
    views = [p.read(a, dtype) for a in varying]
    p.done(*varying)
    out = p.buffer(v.type.size, dtype)
    fixed = [p.constants[a].astype(dtype)[..., None] if a in p.constants else None for a in v.args]

    def bind(*arrays: Array) -> list[Call]:
        o = arrays[-1].reshape(*v.type.shape, -1)
        given, at, calls = iter(arrays[:-1]), 0, []
        for a, f in zip(v.args, fixed, strict=True):
            n = a.type.shape[axis]
            part = o[(slice(None),) * axis + (slice(at, at + n),)]
            at += n
            calls.append(partial(np.copyto, part, next(given).reshape(part.shape) if f is None else f))
        return calls

    p.emit(bind, *views, out)
    p.store(v, out)
    return True


RULES: dict[type[Any], Rule] = {
    ops.Add: lambda p, v: dense.add(p, v) or elementwise(np.add)(p, v),
    ops.Sub: lambda p, v: dense.add(p, v) or elementwise(np.subtract)(p, v),
    ops.Mul: elementwise(np.multiply, product=True),
    ops.Neg: elementwise(np.negative),
    ops.Min: elementwise(np.minimum),
    ops.Max: elementwise(np.maximum),
    ops.Compare: lambda p, v: elementwise(_COMPARE[v.op.kind], flag=True)(p, v),  # type: ignore[attr-defined]
    ops.Select: _select,
    ops.Shift: _repoint,
    ops.Scale: _repoint,
    ops.MatMul: dense.matmul,
    ops.Sum: _sum,
    ops.ReduceMin: _reduce(np.minimum),
    ops.ReduceMax: _reduce(np.maximum),
    ops.ArgMax: _argmax,
    ops.Table: _table,
    ops.Threshold: _threshold,
    ops.Cast: lossy.cast,
    ops.Accumulate: lossy.accumulate,
    ops.Concat: _concat,
    **{op: _wiring for op in (ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)},
}

_COMPARE = {"lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal}
