"""How float carriers round and overflow exactly: the proof that they may, and the in-place calls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fxsim.casting import round_shift
from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call
from fxsim.formats import Overflow, Rounding
from fxsim.integers import Array, add, shift_left
from fxsim.types import TensorType

# The ufunc itself: np.clip adds a Python layer that costs as much as clipping a thousand floats.
_clip: Any = getattr(getattr(getattr(np, "_core", None), "umath", None), "clip", np.clip)


@dataclass(frozen=True, eq=False)
class FloatCast:
    """A cast that floats of `dtype` do exactly, as what is done to x in units of the new LSB.

    Arrays of the tensor's shape: `shift` (bits dropped), `half` (half an LSB in raw units of the source,
    0 where nothing is dropped), `low`, `high` (bounds on the rounded integer), `width`, `bottom`, `top` (of
    the format).
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


def float_cast(
    op: Any, src_frac: int, base: Interval, bounds: Any = (), x: Interval | None = None
) -> FloatCast | None:
    """The cast of codes in `base` at `src_frac` after `bounds`; None if floats would not be exact.

    `bounds` lists (np.maximum or np.minimum, constant), `x` is the interval after them.
    """
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
    # The one-sided mode may send to -1 what the symmetric one sends to 0: the bounds are judged by what is
    # done.
    mode = _one_sided(op.rounding, bool(np.all(x.lo >= 0)))
    base_lo, base_hi = (round_shift(a, shift, mode) for a in (base.lo, base.hi))
    low, high = base_lo, base_hi
    for extreme, constant in bounds:
        k = round_shift(np.broadcast_to(constant, shape), shift, mode)
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
    needs.append(
        c.least_float(np.maximum(np.abs(np.where(cut_low, low, 0)), np.abs(np.where(cut_high, high, 0))))
    )
    wraps = None if fits or saturates else op.overflow
    if wraps is not None:
        period = shift_left(one, width)
        needs.append(c.least_float(add(np.maximum(np.abs(low), np.abs(high)), period)))
    if any(d is None for d in needs):
        return None
    return FloatCast(
        c.widest(*(d for d in needs if d is not None)),
        mode, wraps, rounds,
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
    swap = {
        Rounding.TRN_ZERO: Rounding.TRN,
        Rounding.RND_INF: Rounding.RND,
        Rounding.RND_ZERO: Rounding.RND_MIN_INF,
    }
    return swap.get(mode, mode) if positive else mode


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
