"""Slopes of the ops that lose bits or look values up: casts, ordered sums, tables, thresholds."""

from __future__ import annotations

import numpy as np

from fxsim import ops, ranges
from fxsim.casting import round_shift
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Value
from fxsim.integers import Array, exact, shift_left, subtract
from fxsim.iterate.slopes.reading import Context, Slopes, chain, projection, slope_rules
from fxsim.iterate.slopes.scaled import Scaled, greater, lesser, where
from fxsim.ops.lookup import _channels
from fxsim.ops.lossy import _shifted, _sum, cast_range
from fxsim.ranges import ZERO_STRIDE, Range

TRUNCATIONS = (Rounding.TRN, Rounding.TRN_ZERO)


def rounding_loss(op: ops.Cast, r: Range, src_frac: int) -> Scaled:
    """Per element the largest |round(x) - x| over the set: half an LSB for the nearest modes, an LSB less
    the operand's own step for the truncating ones, 0 where no bit is dropped."""
    frac, _, _ = op.parameters(r.shape)
    scale = max(src_frac, int(frac.max(initial=src_frac)) + 1)
    stride = np.minimum(r.stride, 1 << 12)
    drops = frac + stride < src_frac
    step = shift_left(np.ones(r.shape, np.int64), np.where(drops, scale - frac, 0))
    if op.rounding in TRUNCATIONS:
        own = shift_left(np.ones(r.shape, np.int64), np.where(drops, scale - src_frac + stride, 0))
        lost = subtract(step, own)
    else:
        lost = exact(step >> 1)
    return Scaled(exact(np.where(drops, lost, 0)), scale)


def overflows(op: ops.Cast, r: Range, src_frac: int) -> Array:
    """Per element: may the rounded code leave the format?"""
    frac, width, signed = op.parameters(r.shape)
    one = np.ones(r.shape, np.int64)
    top = np.where(width == 0, 0, shift_left(one, np.maximum(width - signed, 0)) - 1)
    bottom = np.where((signed == 1) & (width > 0), -top - 1, 0)
    if op.overflow is Overflow.SAT_SYM:
        bottom = np.where((signed == 1) & (width > 1), -top, bottom)
    lo, hi = (round_shift(v, src_frac - frac, op.rounding) for v in (r.lo, r.hi))
    return np.asarray((lo < bottom) | (hi > top), bool)


def cast_slopes(context: Context, op: ops.Cast, r: Range, src_frac: int, x: Slopes) -> Slopes:
    """The slopes of a cast of codes r at src_frac: the identity where it fits, a clip where it saturates."""
    if r.shape == ():
        flat = cast_slopes(context, op, r.reshape(1), src_frac, _reshaped(x, (1,)))
        return _reshaped(flat, ())
    moving = np.any(x.lo.raw != 0, axis=0) | np.any(x.hi.raw != 0, axis=0) | np.asarray(x.error.raw != 0)
    beyond = overflows(op, r, src_frac) & moving
    if np.any(beyond) and op.overflow not in (Overflow.SAT, Overflow.SAT_SYM):
        where_ = tuple(int(i) for i in np.argwhere(beyond)[0])
        raise ValueError(
            f"a cast of the map must fit or saturate, but element {where_} of a state-dependent value may "
            f"{'become 0' if op.overflow is Overflow.SAT_ZERO else 'wrap'} ({op.overflow}): use SAT, or more "
            "integer bits"
        )
    loss = where(moving, rounding_loss(op, r, src_frac), Scaled.zeros(r.shape))
    return projection(context, x, beyond, loss)


def _reshaped(x: Slopes, shape: tuple[int, ...]) -> Slopes:
    def whole(s: Scaled, lead: int) -> Scaled:
        return Scaled(s.raw.reshape((*s.raw.shape[:lead], *shape)), s.scale)

    return Slopes(whole(x.lo, 1), whole(x.hi, 1), whole(x.error, 0), whole(x.gain, 0), x.two)


@slope_rules.rule(ops.Cast)
def _cast(context: Context, v: Value, x: Slopes) -> Slopes:
    assert isinstance(v.op, ops.Cast)
    t = v.args[0].type
    return cast_slopes(context, v.op, t.range, t.frac, x)


@slope_rules.rule(ops.Accumulate)
def _accumulate(context: Context, v: Value, x: Slopes) -> Slopes:
    """A cast after every term, as the op does."""
    op, t = v.op, v.args[0].type
    assert isinstance(op, ops.Accumulate)
    axis = op.axis % t.ndim
    cast, frac = op.step(t.frac)
    codes, acc = ranges.constant(np.zeros(v.type.shape, np.int64)), context.still(v.type.shape)
    for i in range(t.shape[axis]):
        term = Range(*(np.asarray(np.take(e, i, axis)) for e in t.range))
        lo, hi, error, gain = (
            s.each(lambda a, d=d, i=i: np.take(a, i, axis + d))  # type: ignore[misc]
            for s, d in ((x.lo, 1), (x.hi, 1), (x.error, 0), (x.gain, 0))
        )
        total = context.make(acc.lo + lo, acc.hi + hi, acc.error + error, acc.gain + gain)
        exact_sum = _sum(_shifted(codes, frac - op.format.frac), _shifted(term, frac - t.frac))
        acc = cast_slopes(context, cast, exact_sum, frac, total)
        codes = cast_range(cast, exact_sum, frac)
    return acc


@slope_rules.rule(ops.Table)
def _table(context: Context, v: Value, x: Slopes) -> Slopes:
    """The polygon through the entries of the operand's codes, constant beyond them: no error of its own."""
    op, t = v.op, v.args[0].type
    assert isinstance(op, ops.Table)
    rows = op.entries.array.reshape(-1, op.entries.shape[-1])
    seen: dict[tuple[int, int, int, int], tuple[int, int]] = {}

    def steps(channel: int, lo: int, hi: int, stride: int) -> tuple[int, int]:
        key = channel, lo, hi, stride
        if key not in seen:
            part = rows[channel, lo - op.base : hi - op.base + 1 : 1 << stride]
            d = [int(b) - int(a) for a, b in zip(part[:-1].tolist(), part[1:].tolist(), strict=True)]
            seen[key] = min(d, default=0), max(d, default=0)
        return seen[key]

    return _polygon(context, v, x, _channels(op, t, op.axis, op.entries), steps)


@slope_rules.rule(ops.Threshold)
def _threshold(context: Context, v: Value, x: Slopes) -> Slopes:
    """The polygon through the counts of the operand's codes, as a table of them."""
    op, t = v.op, v.args[0].type
    assert isinstance(op, ops.Threshold) and op.falling is not None
    falling = op.falling.array
    seen: dict[tuple[int, int, int, int], tuple[int, int]] = {}

    def steps(channel: int, lo: int, hi: int, stride: int) -> tuple[int, int]:
        key = channel, lo, hi, stride
        if key not in seen:
            down = bool(falling[channel])
            met: dict[int, int] = {}
            for level in op.levels.array[channel].tolist():
                # The step from code (k - 1) << stride to k << stride crosses it.
                k = (level >> stride) + 1 if down else -(-level >> stride)
                if lo < k << stride <= hi:
                    met[k] = met.get(k, 0) + 1
            most = max(met.values(), default=0)
            least = min(met.values(), default=0) if len(met) == (hi - lo) >> stride else 0
            seen[key] = (-most, -least) if down else (least, most)
        return seen[key]

    return _polygon(context, v, x, _channels(op, t, op.axis, op.levels), steps)


def _polygon(context: Context, v: Value, x: Slopes, channel: Array, steps) -> Slopes:  # type: ignore[no-untyped-def]
    t = v.args[0].type
    stride = np.where(t.is_constant | (t.stride == ZERO_STRIDE), 0, t.stride)
    deepest = int(stride.max(initial=0))
    lo, hi = np.zeros(t.shape, object), np.zeros(t.shape, object)
    for i in np.ndindex(t.shape):
        if not t.is_constant[i]:
            s = int(stride[i])
            a, b = steps(int(channel[i]), int(t.lo[i]), int(t.hi[i]), s)
            lo[i], hi[i] = a << (deepest - s), b << (deepest - s)
    scale = v.type.frac - t.frac + deepest
    low, high = Scaled(exact(lo), scale), Scaled(exact(hi), scale)
    off, zero = np.asarray(x.error.raw != 0), Scaled.zeros(t.shape)
    low, high = where(off, lesser(low, zero), low), where(off, greater(high, zero), high)
    return chain(context, x, low, high, zero)
