"""Slopes of choices: max and min are hulls of what can win; a select must be continuous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fxsim import ops
from fxsim.graph import Value
from fxsim.integers import Array
from fxsim.iterate.slopes.affine_form import meet
from fxsim.iterate.slopes.reading import Context, Slopes, slope_rules, spread, spread_array, value_range
from fxsim.iterate.slopes.scaled import exceeds, greater, lesser, where


@slope_rules.rule(ops.Max, ops.Min)
def _max(context: Context, v: Value, a: Slopes, b: Slopes) -> Slopes:
    """One operand where it always wins, else the hull of both: max and min are continuous."""
    shape = v.type.shape
    ranges = [tuple(spread(r, shape) for r in value_range(n, s)) for n, s in zip(v.args, (a, b), strict=True)]
    both = [s.placed(lambda r, lead: spread_array(r, shape, lead)) for s in (a, b)]
    if isinstance(v.op, ops.Min):
        ranges = [(-hi, -lo) for lo, hi in ranges]
    only = [~exceeds(ranges[1 - k][1], ranges[k][0]) for k in range(2)]
    out = _hull(context, both, [~only[1], ~only[0] | only[1]])
    moving = [s for s in (a, b) if not s.still]
    two = moving[0].two_norm if len(moving) == 1 and moving[0].shape == shape else None
    return context.make(out.lo, out.hi, out.error, out.gain, two)


def _hull(context: Context, parts: Sequence[Slopes], masks: Sequence[Array]) -> Slopes:
    """Elementwise hull of the parts whose mask holds (one at least does)."""
    lo, hi, error, gain = parts[0].lo, parts[0].hi, parts[0].error, parts[0].gain
    known = np.asarray(masks[0])
    for p, m in zip(parts[1:], masks[1:], strict=True):
        m = np.asarray(m)
        fresh, more = m & ~known, m & known
        lo = where(fresh, p.lo, where(more, lesser(lo, p.lo), lo))
        hi = where(fresh, p.hi, where(more, greater(hi, p.hi), hi))
        error = where(fresh, p.error, where(more, greater(error, p.error), error))
        gain = where(fresh, p.gain, where(more, greater(gain, p.gain), gain))
        known = known | m
    return Slopes(lo, hi, error, gain)


@slope_rules.rule(ops.ReduceMax, ops.ReduceMin)
def _reduce(context: Context, v: Value, x: Slopes) -> Slopes:
    """The hull of the elements that can win."""
    axis = v.op.axis % len(x.shape)  # type: ignore[attr-defined]
    lo, hi = value_range(v.args[0], x)
    if isinstance(v.op, ops.ReduceMin):
        lo, hi = -hi, -lo
    bar = lo.each(lambda a: a.max(axis=axis, keepdims=True))
    can = ~exceeds(bar, hi)
    parts, masks = [], []
    for k in range(x.shape[axis]):
        at = k
        parts.append(x.placed(lambda a, lead: np.take(a, at, axis + lead)))  # noqa: B023  (called at once)
        masks.append(np.take(can, k, axis))
    out = _hull(context, parts, masks)
    return context.make(out.lo, out.hi, out.error, out.gain, x.two_norm)


@slope_rules.rule(ops.Compare)
def _compare(context: Context, v: Value, a: Slopes, b: Slopes) -> Slopes:
    """0 or 1: only a Select may read it."""
    return replace(context.still(v.type.shape), still=False, jumps="a comparison of state-dependent values")


@slope_rules.rule(ops.Select)
def _select(context: Context, v: Value, c: Slopes, a: Slopes, b: Slopes) -> Slopes:
    """By a still condition the branch, or the hull of both; by a comparison p, q of state-dependent values
    only where a - b is proven a multiple k (p - q), which makes the choice continuous.

    Branches and comparison are then affine in the same values, and so is the choice piece by piece: an error
    of these moves it by no more than one of the branches, whichever is chosen.
    """
    shape = v.type.shape
    both = [s.placed(lambda r, lead: spread_array(r, shape, lead)) for s in (a, b)]
    condition = v.args[0].type
    use = [
        np.broadcast_to((condition.hi == 1) | bool(c.jumps), shape),  # the ideal choice may be the other
        np.broadcast_to((condition.lo == 0) | bool(c.jumps), shape),
    ]
    if c.jumps and not meet(v):
        raise ValueError(
            "Select by a comparison of state-dependent values must have branches that meet where the "
            "comparison changes (a - b proportional to the compared difference), or it has no slope"
        )
    if not c.jumps and not c.still:
        raise ValueError(
            "Select needs a condition that is a comparison, or that does not depend on the state"
        )
    out = _hull(context, both, [use[0], use[1] | ~use[0]])
    return context.make(out.lo, out.hi, out.error, out.gain)
