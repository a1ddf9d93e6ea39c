"""Casts and ordered accumulation on float carriers: in-place rounding and overflow, each form exact in its range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.casting import round_shift
from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call, Loc, Planner, View
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Node, Value
from fxsim.integers import Array, add, exact, shift_left
from fxsim.types import TensorType

# The ufunc itself: np.clip adds a Python layer that costs as much as clipping a thousand floats.
_clip: Any = getattr(np._core.umath, "clip", np.clip)

_BOUNDS = (ops.Max, ops.Min)


@dataclass(frozen=True, eq=False)
class Wanted:
    """How a product should leave its sum for the cast that follows: the point (per column), and half an LSB added."""

    point: Array
    half: Array
    offset: int


@dataclass(frozen=True, eq=False)
class FloatCast:
    """A cast that floats of `dtype` do exactly, as what is done to x in units of the new LSB.

    Arrays of the tensor's shape: `shift` (bits dropped), `half` (half an LSB in raw units of the source, 0 where
    nothing is dropped), `low`, `high` (bounds on the rounded integer), `width`, `bottom`, `top` (of the format).
    """

    dtype: np.dtype[Any]
    mode: Rounding
    overflow: Overflow | None  # None: every rounded and bounded integer fits
    rounds: bool
    clips: bool
    shift: Array
    half: Array
    low: Array
    high: Array
    width: Array
    bottom: Array
    top: Array

    @property
    def offset(self) -> int:
        """The half LSB that a producer may fold in: RND is floor(x + 1/2), RND_MIN_INF is ceil(x - 1/2)."""
        return {Rounding.RND: 1, Rounding.RND_MIN_INF: -1}.get(self.mode, 0) if self.rounds else 0

    @property
    def idle(self) -> bool:
        return not self.rounds and not self.clips and self.overflow is None


@dataclass(frozen=True, eq=False)
class Interval:
    """Raw integers lo..hi per element, multiples of 2**unit."""

    lo: Array
    hi: Array
    unit: Array

    @classmethod
    def of(cls, t: TensorType) -> Interval:
        return cls(t.lo, t.hi, c.unit(t))


def float_cast(op: Any, src_frac: int, base: Interval, bounds: Any = (), x: Interval | None = None) -> FloatCast | None:
    """The cast of codes in `base` at `src_frac`, after `bounds` [(np.maximum or np.minimum, constant)]; None if floats
    would not be exact. `x` is the interval after the bounds."""
    x = x or base
    shape = base.lo.shape
    frac, width, signed = (np.asarray(a, np.int64) for a in op.parameters(shape))
    shift = src_frac - frac
    if not shift.size or max(int(np.abs(shift).max()), int(width.max())) > c.MOST_POINT:
        return None
    if int((op.result_frac - frac).max()) > c.MOST_POINT:
        return None
    one = np.ones(shape, np.int64)
    top = np.where(width == 0, 0, shift_left(one, np.maximum(width - signed, 0)) - 1)
    bottom = np.where((signed == 1) & (width > 0), -top - 1, 0)
    least = np.where((signed == 1) & (width > 1), -top, bottom) if op.overflow is Overflow.SAT_SYM else bottom
    lo, hi = (round_shift(a, shift, op.rounding) for a in (x.lo, x.hi))
    fits = bool(np.all((least <= lo) & (hi <= top)))
    saturates = op.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    if not fits and (op.overflow is Overflow.WRAP_SM or (op.overflow is Overflow.WRAP and op.n)):
        return None
    base_lo, base_hi = (round_shift(a, shift, op.rounding) for a in (base.lo, base.hi))
    low, high = base_lo, base_hi
    for extreme, constant in bounds:
        k = round_shift(np.broadcast_to(constant, shape), shift, op.rounding)
        low, high = extreme(low, k), extreme(high, k)
    if not fits and saturates:
        low, high = (np.minimum(np.maximum(a, least), top) for a in (low, high))
    if any(a.dtype == object for a in (base_lo, base_hi, low, high)):
        return None
    cut_low, cut_high = low > base_lo, high < base_hi
    rounds = bool(np.any(base.unit < shift))
    half = np.where(shift > 0, shift_left(one, np.maximum(shift - 1, 0)), 0)
    units = np.minimum(base.unit, np.where(shift > 0, shift - 1, c.MOST_STRIDE)) if rounds else base.unit
    # Every form below passes through x + 1/2 or x - 1 at most, in units of the new LSB.
    most = add(np.maximum(np.abs(base.lo), np.abs(base.hi)), 2 * half if rounds else 0)
    needs = [c.least_float(most, units)]
    needs.append(c.least_float(np.maximum(np.abs(np.where(cut_low, low, 0)), np.abs(np.where(cut_high, high, 0)))))
    wraps = None if fits or saturates else op.overflow
    if wraps is not None:
        period = shift_left(one, width)
        needs.append(c.least_float(add(np.maximum(np.abs(low), np.abs(high)), period)))
    if any(d is None for d in needs):
        return None
    return FloatCast(
        c.widest(*(d for d in needs if d is not None)), _one_sided(op.rounding, bool(np.all(x.lo >= 0))), wraps, rounds,
        bool(np.any(cut_low) or np.any(cut_high)), shift, half,
        -_loosened(-low, cut_low), _loosened(high, cut_high), width, bottom, top,
    )  # fmt: skip


def _loosened(bound: Array, cuts: Array) -> Array:
    """Upper bounds with those that cut nothing raised to the others where that makes all of them equal."""
    if not cuts.any():
        return np.full(bound.shape, bound.max())
    most = bound[cuts].max()
    return np.full(bound.shape, most) if np.all(bound[cuts] == most) and np.all(bound <= most) else bound


def _one_sided(mode: Rounding, positive: bool) -> Rounding:
    """The one-sided mode that a symmetric one equals for x >= 0 (a bound of 0 or more hides the rest)."""
    swap = {Rounding.TRN_ZERO: Rounding.TRN, Rounding.RND_INF: Rounding.RND, Rounding.RND_ZERO: Rounding.RND_MIN_INF}
    return swap.get(mode, mode) if positive else mode


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
    """How floats do a cast and the deferred bounds before it (and `through`), and the value these start from."""
    x = base = v.args[0]
    bounds: list[tuple[Any, Array]] = []
    while isinstance(base, Value) and isinstance(base.op, _BOUNDS) and (base in p.deferred or base is through):
        inner = _varying(p, base)
        assert inner is not None
        constant = p.constants[base.args[1] if base.args[0] is inner else base.args[0]]
        bounds.insert(0, (np.maximum if isinstance(base.op, ops.Max) else np.minimum, constant))
        base = inner
    if any(c.is_wide(n.type) for n in (base, x, v)):
        return None, base
    return float_cast(v.op, x.type.frac, Interval.of(base.type), bounds, Interval.of(x.type)), base


def want(p: Planner, v: Node, n: int) -> Wanted | None:
    """What the one cast that reads the product v (through deferred bounds) wants, per column of n; else None."""
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


def whole(loc: Loc) -> View:
    """All rows of a value's buffer."""
    return View(loc.buffer, 0, loc.buffer.rows)


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
    view = whole(loc) if order is not None else p.flat(loc)
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
    """A plain sum where no prefix can round or leave the format; else one add and one cast per element, in order."""
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


def rounding_calls(plan: FloatCast, order: Array | None, dtype: np.dtype[Any], offset: int) -> Any:
    """steps(a, o): calls that read a (x in units of the new LSB) and leave the overflowed integer in o."""
    half = c.column(np.where(plan.half > 0, 0.5, 0.0), order, dtype)
    low, high = (c.column(b, order, dtype) for b in (plan.low, plan.high))
    period = c.column(c.power(plan.width), order, dtype)
    inverse = c.column(c.power(-plan.width), order, dtype)
    bottom = c.column(plan.bottom, order, dtype)
    top = c.column(plan.top, order, dtype)
    odd = c.column(np.where(plan.half > 0, 1.0, 0.0), order, dtype)

    def steps(a: Array, o: Array) -> list[Call]:
        calls: list[Call] = []
        x = a
        if plan.rounds:
            match plan.mode:
                case Rounding.TRN:
                    calls.append(partial(np.floor, x, out=o))
                case Rounding.TRN_ZERO:
                    calls.append(partial(np.trunc, x, out=o))
                case Rounding.RND_CONV:
                    calls.append(partial(np.rint, x, out=o))
                case Rounding.RND_CONV_ODD:  # the even neighbour of x - 1, one up, is the odd neighbour of x
                    calls += [partial(np.subtract, x, odd, out=o), partial(np.rint, o, out=o)]
                    calls.append(partial(np.add, o, odd, out=o))
                case Rounding.RND:  # x + 1/2 is exact by the headroom that was proven
                    if not offset:
                        calls.append(partial(np.add, x, half, out=o))
                    calls.append(partial(np.floor, x if offset else o, out=o))
                case Rounding.RND_MIN_INF:
                    if not offset:
                        calls.append(partial(np.subtract, x, half, out=o))
                    calls.append(partial(np.ceil, x if offset else o, out=o))
                case mode:
                    sign = np.empty_like(o)
                    calls += [partial(np.copyto, sign, x), partial(np.abs, x, out=o)]
                    if mode is Rounding.RND_INF:
                        calls += [partial(np.add, o, half, out=o), partial(np.floor, o, out=o)]
                    else:
                        calls += [partial(np.subtract, o, half, out=o), partial(np.ceil, o, out=o)]
                    calls.append(partial(np.copysign, o, sign, out=o))
            x = o
        if plan.clips:
            calls.append(partial(_clip, x, low, high, out=o))
            x = o
        if plan.overflow is Overflow.WRAP:
            turns = np.empty_like(o)
            calls += [
                partial(np.subtract, x, bottom, out=turns),
                partial(np.multiply, turns, inverse, out=turns),
                partial(np.floor, turns, out=turns),
                partial(np.multiply, turns, period, out=turns),
                partial(np.subtract, x, turns, out=o),
            ]
        elif plan.overflow is Overflow.SAT_ZERO:
            outside = np.empty(o.shape, bool)
            above = np.empty(o.shape, bool)
            if x is not o:
                calls.append(partial(np.copyto, o, x))
            calls += [
                partial(np.less, o, bottom, out=outside),
                partial(np.greater, o, top, out=above),
                partial(np.logical_or, outside, above, out=outside),
                partial(np.copyto, o, dtype.type(0), where=outside),
            ]
        return calls

    return steps
