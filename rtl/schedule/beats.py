"""Types and orders of beats where a stream changes its form."""

from __future__ import annotations

import math

import numpy as np

from fxsim import ops, ranges
from fxsim.ranges import Range
from fxsim.types import TensorType
from rtl.schedule.forms import Form
from rtl.schedule.plan import Key, Stage


def beat_type(stage: Stage, key: Key, t: TensorType) -> TensorType:
    """The type of a beat behind a stage that is no pipe, for beats of type t in front of it."""
    before = stage.before
    assert before is not None
    if stage.kind in ("reduce", "fold"):
        return key.form.joined(key.node.type)
    if stage.kind == "window":
        return _windowed(key, before, t)
    if stage.kind == "spread":
        return _even(t, [a for a in key.form.axes if a not in before.axes], key.form.beat_shape)
    streamed = before.axes[-1:] if before.lanes > 1 else ()
    return _even(t, streamed, key.form.beat_shape)


def _even(t: TensorType, axes: tuple[int, ...] | list[int], shape: tuple[int, ...]) -> TensorType:
    """One type along `axes`, spread over `shape`."""
    lo, hi, stride = t.lo, t.hi, t.stride
    if axes:
        along = tuple(axes)
        lo, hi = lo.min(axis=along, keepdims=True), hi.max(axis=along, keepdims=True)
        stride = stride.min(axis=along, keepdims=True)
    r = ranges.make(lo, hi, np.minimum(stride, ranges.ZERO_STRIDE)).broadcast(shape)
    return TensorType.from_range(r, t.frac)


def _windowed(key: Key, before: Form, t: TensorType) -> TensorType:
    """Each element of a window has the type of its channel, and may be padding."""
    op = key.node.op  # type: ignore[attr-defined]
    if before.lanes > 1:
        even = list(before.beat_shape)
        even[before.axes[-1]] = 1
        t = _even(t, before.axes[-1:], tuple(even))
    r = Range(*(a.reshape(t.shape) for a in t.range))
    if isinstance(op, ops.Window):
        n = len(op.kernel)
        r = r.reshape(*(1,) * (2 * n), *t.shape[n:])
    r = r.broadcast(key.form.beat_shape)
    if any(op.before) or any(op.after):
        fill = ranges.constant(np.full(r.shape, op.padding()))
        r = ranges.union(r, fill)
    return TensorType.from_range(r, t.frac)


def order_of(fine: Form, coarse: Form) -> tuple[int, tuple[int, ...] | None]:
    """(beats of `fine` in a beat of `coarse`, per element of the latter its place among theirs; None: in
    order)."""
    shape = coarse.beat_shape
    within = Form(shape, fine.axes[len(coarse.axes) :], fine.lanes)
    size = math.prod(shape)
    placed = within.split(np.arange(size).reshape(1, *shape), fill=-1).ravel()
    order = np.empty(size, np.int64)
    real = np.flatnonzero(placed >= 0)
    order[placed[real]] = real
    if len(placed) == size and np.array_equal(order, np.arange(size)):
        return within.beats, None
    return within.beats, tuple(int(v) for v in order)


def reshaped_type(t: TensorType, shape: tuple[int, ...]) -> TensorType:
    """The same elements in C order."""
    return t if t.shape == shape else TensorType.from_range(t.range.reshape(*shape), t.frac)
