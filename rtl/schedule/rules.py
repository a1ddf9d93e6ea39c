"""The streaming reading: per op, pointwise on the streamed axes, a window, a reduction, or a barrier.

rule(options, value, *operands) -> Placement; an operand is its Form, or None for a constant. A barrier is an
op
that wants an axis whole that its operand streams along: the operand's beats are then gathered along that
axis and
all streamed axes inside it, and the op is pointwise on what is left. No op loses or changes a bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Interpreter, Value
from rtl.schedule.forms import Form
from rtl.schedule.placement import Need, Placement, before, pointwise, shifted
from rtl.schedule.reshaping import reshaped

stream_rules: Interpreter[Any] = Interpreter("stream_rules")
rule = stream_rules.rule


@rule(
    ops.Add, ops.Sub, ops.Mul, ops.Div, ops.ShiftLeft, ops.Min, ops.Max, ops.Compare, ops.Select,
    ops.And, ops.Or, ops.Xor,
)  # fmt: skip
def elementwise(_: Any, v: Value, *forms: Form | None) -> Placement:
    """Operands side by side; one that has an axis of length 1 where the result streams is repeated."""
    shape = v.type.shape
    live = [f for f in forms if f is not None]
    target = max((_aligned(f, shape) for f in live), key=lambda t: (len(t[0]), t[1]))
    again = True
    while again:
        again = False
        for f in live:
            keep = _agreement(f, shape, target)
            if keep < len(target[0]):
                target, again = (target[0][:keep], 1), True
    axes, lanes = target
    needs: list[Need | None] = []
    for f in forms:
        if f is None:
            needs.append(None)
            continue
        own = _aligned(f, shape)[0]
        count = sum(1 for a, b in zip(own, axes, strict=False) if a == b)
        full = count == len(axes)
        form = Form(f.shape, f.axes[:count], f.lanes if full and count == len(f.axes) else 1)
        outer = Form(shape, axes, lanes)
        needs.append(Need(form, 1 if full else outer.beats // form.beats))
    return Placement("pointwise", Form(shape, axes, lanes), tuple(needs))


def _aligned(f: Form, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The streamed axes of an operand as axes of the result, up to one along which it is itself broadcast."""
    ahead = len(shape) - len(f.shape)
    axes = []
    for a in f.axes:
        if f.shape[a] != shape[a + ahead]:
            return tuple(axes), 1
        axes.append(a + ahead)
    return tuple(axes), f.lanes if axes else 1


def _agreement(f: Form, shape: tuple[int, ...], target: tuple[tuple[int, ...], int]) -> int:
    """How many axes of the target the operand can follow."""
    axes, lanes = target
    own, own_lanes = _aligned(f, shape)
    ahead = len(shape) - len(f.shape)
    for k, axis in enumerate(axes):
        if k < len(own):
            if own[k] != axis:
                return k
            # An operand that is repeated along further axes comes one place at a time.
            if k == len(own) - 1 and own_lanes != (lanes if k == len(axes) - 1 else 1):
                return k
        else:
            rest = axes[k:]
            broadcast = all(a < ahead or f.shape[a - ahead] == 1 for a in rest)
            return len(axes) if broadcast else k
    return len(axes)


@rule(ops.Neg, ops.Not, ops.Shift, ops.Scale, ops.LeadingOne)
def _unary(_: Any, v: Value, f: Form) -> Placement:
    return pointwise(v.type.shape, f.axes, f)


@rule(ops.Table, ops.Threshold)
def _by_channel(_: Any, v: Value, f: Form) -> Placement:
    rows = v.op.entries.shape[0] if isinstance(v.op, ops.Table) else v.op.levels.shape[0]
    bad = () if v.op.axis is None or rows == 1 else (v.op.axis % len(f.shape),)
    need = before(f, bad)
    return pointwise(v.type.shape, need.axes, need)


@rule(ops.Cast)
def _cast(_: Any, v: Value, f: Form) -> Placement:
    bad = [
        a for a in f.axes if any(varies(p.array, f.shape, a) for p in (v.op.frac, v.op.width, v.op.signed))
    ]
    need = before(f, bad)
    return pointwise(v.type.shape, need.axes, need)


def varies(a: np.ndarray, shape: tuple[int, ...], axis: int) -> bool:
    """Whether an array that broadcasts to `shape` has different values along an axis of it."""
    k = axis - (len(shape) - a.ndim)
    if k < 0 or a.shape[k] == 1:
        return False
    return bool(np.any(a != np.take(a, [0], k)))


@rule(ops.MatMul)
def _matmul(_: Any, v: Value, a: Form | None, b: Form | None) -> Placement:
    shape = v.type.shape
    if a is not None and b is not None:
        return Placement("pointwise", Form(shape), (Need(Form(a.shape)), Need(Form(b.shape))))
    f = a if a is not None else b
    assert f is not None
    other = v.args[1].type if a is not None else v.args[0].type
    n = len(f.shape)
    contracted = n - 1 if a is not None or n == 1 else n - 2
    vector = other.ndim == 1  # its axis vanishes from the result
    moved: dict[int, int] = {}
    for axis in f.axes:
        if axis == contracted:
            continue
        # Counted from the right: axes in front of the matrices, then rows and columns.
        place = axis - n + (1 if vector and a is not None else 0)
        if vector and a is None and axis == n - 1:
            place = -1
        elif vector and a is None:
            place = axis - n + 1
        moved[axis] = len(shape) + place
    wide = [
        x for x in f.axes
        if x < n - 2 and other.ndim > 2 and other.ndim - (n - x) >= 0 and other.shape[x - n] > 1
    ]  # fmt: skip
    need = before(f, [contracted, *wide])
    form = shifted(need, shape, (moved[x] for x in need.axes))
    needs = (Need(need), None) if a is not None else (None, Need(need))
    return Placement("pointwise", form, needs)


@rule(ops.Sum, ops.ReduceMax, ops.ReduceMin, ops.ArgMax, ops.Accumulate)
def _reduction(_: Any, v: Value, f: Form) -> Placement:
    given = v.op.axes if isinstance(v.op, ops.Sum) else (v.op.axis,)
    axes = {a % len(f.shape) for a in given}
    first = next((k for k, a in enumerate(f.axes) if a in axes), None)
    kinds = {ops.Sum: "sum", ops.ReduceMax: "max", ops.ReduceMin: "min"}
    if first is not None and f.lanes == 1 and type(v.op) in kinds and set(f.axes[first:]) == axes:
        kept = _without(f.axes[:first], axes)
        count = math.prod(f.sizes[first:])
        return Placement("reduce", Form(v.type.shape, kept), (Need(f),), (kinds[type(v.op)], count))
    need = before(f, axes)
    return pointwise(v.type.shape, _without(need.axes, axes), need)


def _without(kept: tuple[int, ...], dropped: set[int]) -> tuple[int, ...]:
    return tuple(a - sum(d < a for d in dropped) for a in kept)


# ---- wiring -------------------------------------------------------------------------------------------


@rule(ops.Transpose)
def _transpose(_: Any, v: Value, f: Form) -> Placement:
    order = [a % len(f.shape) for a in v.op.axes]
    return pointwise(v.type.shape, (order.index(a) for a in f.axes), f)


@rule(ops.Reshape)
def _reshape(_: Any, v: Value, f: Form) -> Placement:
    need, axes = reshaped(f, v.type.shape)
    return pointwise(v.type.shape, axes, need)


@rule(ops.Slice)
def _slice(_: Any, v: Value, f: Form) -> Placement:
    bad = [
        a for a in f.axes
        if v.op.steps[a] != 1 or v.op.starts[a] not in (0, -f.shape[a]) or v.type.shape[a] != f.shape[a]
    ]  # fmt: skip
    need = before(f, bad)
    return pointwise(v.type.shape, need.axes, need)


@rule(ops.Gather)
def _gather(_: Any, v: Value, f: Form) -> Placement:
    axis = v.op.axis % len(f.shape)
    need = before(f, (axis,))
    more = len(v.op.indices.shape) - 1
    return pointwise(v.type.shape, (a + more if a > axis else a for a in need.axes), need)


@rule(ops.Concat)
def _concat(options: Any, v: Value, *forms: Form | None) -> Placement:
    axis = v.op.axis % len(v.type.shape)
    live = [before(f, (axis,)) for f in forms if f is not None]
    least = min(live, key=lambda f: len(f.axes))
    count = len(least.axes)
    while any(f.axes[:count] != least.axes[:count] for f in live):
        count -= 1
    lanes = {f.lanes for f in live if len(f.axes) == count}
    if len(lanes) > 1 or (lanes != {1} and any(len(f.axes) > count for f in live)):
        count -= 1
        lanes = {1}
    axes, p = least.axes[:count], lanes.pop() if count else 1
    needs = tuple(None if f is None else Need(Form(f.shape, axes, p)) for f in forms)
    return Placement("pointwise", Form(v.type.shape, axes, p), needs)


@rule(ops.Window)
def _window(_: Any, v: Value, f: Form) -> Placement:
    op, n = v.op, len(v.op.kernel)
    if all(_trivial(op, a) for a in f.axes if a < n):
        return pointwise(v.type.shape, (a if a < n else a + n for a in f.axes), f)
    plane = tuple(range(n))
    if n > 2 or f.axes[:n] != plane:
        need = before(f, [a for a in f.axes if a >= n or not _trivial(op, a)])
        return pointwise(v.type.shape, (a if a < n else a + n for a in need.axes), need)
    need = Form(f.shape, plane, f.lanes if f.axes == plane else 1)
    return Placement("window", Form(v.type.shape, plane, lanes_behind(op, need)), (Need(need),))


def _trivial(op: ops.Window, axis: int) -> bool:
    """Whether windows along an axis are single elements in place."""
    return op.kernel[axis] == 1 and op.stride[axis] == 1 and not op.before[axis] and not op.after[axis]


def lanes_behind(op: ops.Window, f: Form) -> int:
    """Neighbouring positions of a window in one beat, for neighbouring pixels in one beat."""
    p, stride = f.lanes, op.stride[-1] if len(op.stride) > 1 else 1
    if len(op.kernel) == 1:
        if p != 1:
            raise ValueError(f"pixels per clock must be 1 for windows along one axis, not {p}")
        return 1
    if p == f.sizes[-1]:  # a row, be it of one pixel
        return op.positions(f.shape)[1]
    if p == 1:
        return 1
    if p % stride:
        raise ValueError(
            f"pixels per clock must be 1, a whole row, or a multiple of the stride {stride} where a window "
            f"moves by {stride} columns, not {p}"
        )
    return min(p // stride, op.positions(f.shape)[1])


@rule(ops.Pad)
def _pad(_: Any, v: Value, f: Form) -> Placement:
    padded = [a for a in f.axes if v.op.before[a] or v.op.after[a]]
    if not padded:
        return pointwise(v.type.shape, f.axes, f)
    if (
        len(f.axes) <= 2
        and f.lanes == 1
        and all(not v.op.before[a] and not v.op.after[a] for a in range(len(f.shape)) if a not in f.axes)
    ):
        whole = len(f.axes) == 2 and f.sizes[-1] == 1
        lanes = v.type.shape[f.axes[-1]] if whole else 1
        return Placement("window", Form(v.type.shape, f.axes, lanes), (Need(f),))
    need = before(f, padded)
    return pointwise(v.type.shape, need.axes, need)
