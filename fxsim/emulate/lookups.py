"""Tables by index, and thresholds by comparison or by a table of all proven codes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call
from fxsim.emulate.planner import Planner
from fxsim.graph import Node, Value
from fxsim.integers import Array, to_object
from fxsim.ops.lookup import count_levels

# Up to COMPARED thresholds are compared one by one; up to LOOKUP codes in all, a table beats a search.
COMPARED, LOOKUP = 8, 1 << 20


def table(p: Planner, v: Value) -> bool:
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


def threshold(p: Planner, v: Value) -> bool:
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
        return _compared(
            p, v, levels, falling, np.zeros(x.type.shape, np.int64) if channels is None else channels
        )
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
    # The operand is a multiple of 2**step, and so is the first code that meets a level: it fits the carrier.
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
