"""Elementwise ops on float carriers, and the free moves of the binary point."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call, Loc
from fxsim.emulate.planner import Planner, Rule
from fxsim.graph import Node, Value
from fxsim.integers import Array


def elementwise(ufunc: Any, product: bool = False, flag: bool = False) -> Rule:
    """raw = ufunc(operands), all at one point (a product adds points; a flag is 0 or 1 at any point)."""

    def rule(p: Planner, v: Value) -> bool:
        varying = [a for a in v.args if a not in p.constants]
        dtype = common(p, v)
        if dtype not in c.FLOATS:
            return False
        lead = p.locs[varying[0]]
        same = all(  # the first rows of a larger buffer are no match for a whole one
            a.type.shape == v.type.shape
            and p.locs[a].buffer.rows == lead.buffer.rows
            and np.array_equal(p.locs[a].rows, lead.rows)
            for a in varying
        )
        order = lead.order if same and all(p.locs[a].dtype == dtype for a in varying) else None
        if order is not None and not all(np.array_equal(p.locs[a].point, lead.point) for a in varying):
            order = None
        if order is None or np.ndim(lead.point) or (product and abs(2 * int(lead.point)) > c.MOST_POINT):
            return _in_order(p, v, varying, dtype, ufunc, product, flag)
        # One row per element everywhere: work on the buffers as they lie.
        point: Any = lead.point
        whole = [p.locs[a].whole for a in varying]
        operands = _operands(p, v, None if product else point, order, dtype)
        p.done(*varying)
        out = (
            whole[0]
            if not flag and p.dying(varying[0]) and not lead.offset
            else p.buffer(lead.buffer.rows, dtype)
        )
        p.emit(_bind(ufunc, operands), *whole, out)
        total = sum(int(p.locs[a].point) for a in varying) if product else point
        p.put(v, Loc(out.buffer, lead.rows, 0 if flag else total))
        return True

    return rule


def _in_order(
    p: Planner, v: Value, varying: list[Node], dtype: np.dtype[Any], ufunc: Any, product: bool, flag: bool
) -> bool:
    points = [p.locs[a].point for a in varying]
    one: Any = points[0] if all(np.ndim(q) == 0 and q == points[0] for q in points) else 0
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
            out.append(
                flat
                if np.ndim(flat) == 0
                else raw.astype(dtype).reshape(_right(raw.shape, v.type.ndim) + (1,))
            )
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


def common(p: Planner, v: Value) -> np.dtype[Any]:
    """The narrowest carrier of the result that holds every operand too."""
    return c.widest(
        *(p.locs[a].dtype if a in p.locs else c.carrier(a.type) for a in v.args), c.carrier(v.type)
    )


_COMPARE = {"lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal}


def compare(p: Planner, v: Value) -> bool:
    return elementwise(_COMPARE[v.op.kind], flag=True)(p, v)  # type: ignore[attr-defined]


def choose(condition: Array, a: Array, b: Array, out: Array) -> None:
    """out = a where condition is 1, else b."""
    np.copyto(out, b)
    np.copyto(out, a, where=condition != 0)


def select(p: Planner, v: Value) -> bool:
    # The condition's point does not matter for != 0, but the others' must agree: read all three at point 0.
    dtype = common(p, v)
    if dtype not in c.FLOATS:
        return False
    varying = [a for a in v.args if a not in p.constants]
    views = [p.read(a, dtype) for a in varying]
    operands = _operands(p, v, 0, None, dtype)
    p.done(*varying)
    out = p.buffer(v.type.size, dtype)
    p.emit(_bind(choose, operands, [a.type.shape for a in varying], v.type.shape), *views, out)
    p.store(v, out)
    return True


def repoint(p: Planner, v: Value) -> bool:
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
