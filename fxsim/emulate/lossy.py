"""Casts, with what can be folded into the product before them, and ordered accumulation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call, Loc
from fxsim.emulate.planner import Planner
from fxsim.emulate.rounding import FloatCast, Interval, float_cast, rounding_calls
from fxsim.formats import Format, Overflow
from fxsim.graph import Node, Value
from fxsim.integers import Array, exact
from fxsim.types import TensorType

_BOUNDS = (ops.Max, ops.Min)


@dataclass(frozen=True, eq=False)
class Wanted:
    """How a product should leave its sum for the cast that follows: the point per column, and half an LSB."""

    point: Array
    half: Array
    offset: int


def joins_cast(p: Planner, v: Value) -> bool:
    """Is v a max or min with a constant that only a cast (or another such bound before one) reads?"""
    if not isinstance(v.op, _BOUNDS) or _varying(p, v) is None:
        return False
    reader = p.only_reader(v)
    while reader is not None and reader in p.deferred and isinstance(reader.op, _BOUNDS):
        reader = p.only_reader(reader)
    return reader is not None and isinstance(reader.op, ops.Cast) and _analyse(p, reader, v)[0] is not None


def _varying(p: Planner, v: Value) -> Node | None:
    """The operand of v's own shape whose partner is a constant of at most 62 bits."""
    for x, k in (v.args, v.args[::-1]):
        if k in p.constants and x not in p.constants and p.constants[k].dtype != object:
            return x if x.type.shape == v.type.shape else None
    return None


def _analyse(p: Planner, v: Value, through: Node | None = None) -> tuple[FloatCast | None, Node]:
    """How floats do a cast and the deferred bounds before it (and `through`), and where they start."""
    x = base = v.args[0]
    bounds: list[tuple[Any, Array]] = []
    while (
        isinstance(base, Value) and isinstance(base.op, _BOUNDS) and (base in p.deferred or base is through)
    ):
        inner = _varying(p, base)
        assert inner is not None
        constant = p.constants[base.args[1] if base.args[0] is inner else base.args[0]]
        bounds.insert(0, (np.maximum if isinstance(base.op, ops.Max) else np.minimum, constant))
        base = inner
    if any(c.is_wide(n.type) for n in (base, x, v)):
        return None, base
    return float_cast(v.op, x.type.frac, Interval.of(base.type), bounds, Interval.of(x.type)), base


def want(p: Planner, v: Node, n: int) -> Wanted | None:
    """What the one cast that reads the product v (through deferred bounds) wants per column of n, or None."""
    reader = p.only_reader(v)
    while reader is not None and reader in p.deferred and isinstance(reader.op, _BOUNDS):
        reader = p.only_reader(reader)
    if reader is None or not isinstance(reader.op, ops.Cast):
        return None
    how, base = _analyse(p, reader)
    if how is None or base is not v:
        return None
    shift, half = (np.asarray(a, np.int64).reshape(-1, n) for a in (how.shift, how.half))
    if np.any(shift != shift[:1]):
        return None
    return Wanted(shift[0], half[0] if how.offset else np.zeros(n, np.int64), how.offset)


def cast(p: Planner, v: Value) -> bool:
    """Scale to the new LSB, round, bound, wrap: in place where the operand dies."""
    how, base = _analyse(p, v)
    if how is None:
        return False
    loc, op, shape = p.locs[base], v.op, v.type.shape
    assert isinstance(op, ops.Cast)
    if loc.dtype not in c.FLOATS:
        view = p.read(base, how.dtype)
        loc = Loc(view.buffer, np.arange(view.start, view.stop))
    spread = op.result_frac - np.asarray(op.parameters(shape)[0], np.int64)
    alias = c.simplify(loc.point - how.shift + spread)
    if how.idle and not np.any(np.abs(alias) > c.MOST_POINT):  # the same numbers, seen from another point
        p.put(v, Loc(loc.buffer, loc.rows, alias))
        p.done(base)
        return True
    dtype = c.widest(how.dtype, loc.dtype)
    order = loc.order
    view = loc.whole if order is not None else p.flat(loc)
    if view.dtype != dtype:
        view = p.flat(Loc(view.buffer, np.arange(view.start, view.stop)), dtype)
    p.done(base)
    own = view.buffer is not p.locs[base].buffer or p.dying(base)
    out = view if own else p.buffer(view.stop - view.start, dtype)
    move = c.simplify(np.subtract(loc.point, how.shift))
    factor = c.column(c.power(np.broadcast_to(move, shape)), order, dtype)
    steps = rounding_calls(how, order, dtype, loc.offset)

    def bind(a: Array, o: Array) -> list[Call]:
        if np.any(np.asarray(factor) != 1):
            return [partial(np.multiply, a, factor, out=o), *steps(o, o)]
        return steps(a, o) or [partial(np.copyto, o, a)]

    if own:
        p.emit(lambda a: bind(a, a), view)
    else:
        p.emit(bind, view, out)
    final = c.carrier(v.type)
    if final != dtype and final in c.FLOATS and c.widest(final, dtype) == dtype:
        out = p.flat(Loc(out.buffer, np.arange(out.start, out.stop)), final)
    rows = loc.rows if order is not None else np.arange(out.start, out.stop)
    p.put(v, Loc(out.buffer, rows, c.simplify(spread)))
    return True


def accumulate(p: Planner, v: Value) -> bool:
    """A plain sum where no prefix can round or leave the format, else an add and a cast per element."""
    (x,) = v.args
    op: Any = v.op
    axis = op.axis % x.type.ndim
    fmt = op.format
    loc = p.locs[x]
    if c.is_wide(x.type) or c.is_wide(v.type) or loc.dtype not in c.FLOATS or not x.type.shape[axis]:
        return False
    step, sum_frac = op.step(x.type.frac)
    up = sum_frac - x.type.frac
    unit = int(c.unit(x.type).min())
    total = c.magnitude(x.type).astype(object).sum(axis=axis)
    dtype = c.least_float(total, unit)
    if dtype is not None and sum_frac == fmt.frac and _prefixes_fit(x.type, axis, up, fmt):
        dtype, how = c.widest(dtype, loc.dtype), None
    else:
        room, least, most = sum_frac - fmt.frac, *x.type.bounds
        lo, hi = (fmt.lo << room) + (min(least, 0) << up), (fmt.hi << room) + (max(most, 0) << up)
        how = float_cast(step, sum_frac, Interval(exact(lo), exact(hi), np.asarray(min(unit + up, room))))
        if how is None or abs(x.type.frac - fmt.frac) > c.MOST_POINT:
            return False
        dtype = c.widest(how.dtype, loc.dtype)
    point = x.type.frac - fmt.frac  # so that 1.0 is an LSB of the accumulator
    view = p.read(x, dtype, point)
    p.done(x)
    out = p.buffer(v.type.size, dtype)
    steps = None if how is None else rounding_calls(how, None, dtype, 0)

    def bind(a: Array, o: Array) -> list[Call]:
        terms = np.moveaxis(a.reshape(*x.type.shape, -1), axis, 0)
        o = o.reshape(terms.shape[1:])
        if steps is None:
            return [partial(np.add.reduce, terms, axis=0, out=o)]
        calls: list[Call] = [partial(np.copyto, o, terms[0]), *steps(o, o)]
        for t in terms[1:]:
            calls += [partial(np.add, o, t, out=o), *steps(o, o)]
        return calls

    p.emit(bind, view, out)
    p.store(v, out)
    return True


def _prefixes_fit(t: TensorType, axis: int, up: int, fmt: Format) -> bool:
    """Does every partial sum stay within the format, so that no step's cast changes it?"""
    least = -fmt.hi if fmt.overflow is Overflow.SAT_SYM and fmt.signed and fmt.width > 1 else fmt.lo
    lo, hi = (np.cumsum(a.astype(object), axis=axis) for a in (t.lo, t.hi))
    return bool(np.all(lo * (1 << up) >= least) and np.all(hi * (1 << up) <= fmt.hi))
