"""Reductions along axes and wiring, with the batch last: sums and extremes of rows, choices of rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fxsim.emulate import carriers as c
from fxsim.emulate.elementwise import common
from fxsim.emulate.plan import Call, Loc
from fxsim.emulate.planner import Planner, Rule
from fxsim.graph import Value
from fxsim.integers import Array
from fxsim.ops.wiring import Wiring


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


def total(p: Planner, v: Value) -> bool:
    (x,) = v.args
    axes = tuple(a % x.type.ndim for a in v.op.axes)  # type: ignore[attr-defined]
    if c.is_wide(x.type) or not axes:
        return False
    most = c.magnitude(x.type).astype(object).sum(axis=axes)
    dtype = c.least_float(most, int(c.unit(x.type).min(initial=c.MOST_STRIDE)))
    return dtype is not None and _along(p, v, axes, np.add, c.widest(dtype, p.locs[x].dtype))


def reduce(ufunc: Any) -> Rule:
    def rule(p: Planner, v: Value) -> bool:
        (x,) = v.args
        axis = v.op.axis % x.type.ndim  # type: ignore[attr-defined]
        dtype = p.locs[x].dtype
        return dtype in c.FLOATS and _along(p, v, (axis,), ufunc, dtype)

    return rule


def argmax(p: Planner, v: Value) -> bool:
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


def wiring(p: Planner, v: Value) -> bool:
    """A choice of rows, made when a reader needs them in order; padded rows are written at once."""
    (x,) = v.args
    loc, op = p.locs[x], v.op
    assert isinstance(op, Wiring)
    index = op.place(np.arange(x.type.size).reshape(x.type.shape), x.type.ndim, -1).reshape(-1)
    inside = index >= 0
    if inside.all():
        point = (
            loc.point
            if np.ndim(loc.point) == 0
            else np.asarray(loc.point).reshape(-1)[index].reshape(v.type.shape)
        )
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


def concat(p: Planner, v: Value) -> bool:
    axis = v.op.axis % v.type.ndim  # type: ignore[attr-defined]
    dtype = common(p, v)
    if dtype not in c.FLOATS:
        return False
    varying = [a for a in v.args if a not in p.constants]
    views = [p.read(a, dtype) for a in varying]
    p.done(*varying)
    out = p.buffer(v.type.size, dtype)
    fixed = [p.constants[a].astype(dtype)[..., None] if a in p.constants else None for a in v.args]

    def bind(*arrays: Array) -> list[Call]:
        o = arrays[-1].reshape(*v.type.shape, -1)
        given, at = iter(arrays[:-1]), 0
        calls: list[Call] = []
        for a, f in zip(v.args, fixed, strict=True):
            n = a.type.shape[axis]
            part = o[(slice(None),) * axis + (slice(at, at + n),)]
            at += n
            calls.append(partial(np.copyto, part, next(given).reshape(part.shape) if f is None else f))
        return calls

    p.emit(bind, *views, out)
    p.store(v, out)
    return True
