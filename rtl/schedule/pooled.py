"""Reductions over a window that is the whole image: its pixels are taken beat by beat, without a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fxsim import ops
from fxsim.graph import Node, Value
from rtl.schedule.forms import Form
from rtl.schedule.placement import Placement

if TYPE_CHECKING:
    from rtl.schedule.plan import Plan

KINDS = {ops.Sum: "sum", ops.ReduceMax: "max", ops.ReduceMin: "min"}
"""Reductions that `rtl.stream.accumulate` makes of beats."""


@dataclass(frozen=True)
class Pooled:
    """The reduction `kind` of all `form.beats` beats of a frame of `source`."""

    kind: str
    source: Node
    form: Form


def pooled(plan: Plan, v: Value) -> Placement | None:
    """The placement of a reduction over all taps of a window as large as the image, without padding; None for
    all else. The window has one position, so that the reduction is that of the image's pixels, each once."""
    if type(v.op) not in KINDS or not isinstance(v.args[0], Value):
        return None
    (x,) = v.args
    window = x.args[0] if isinstance(x.op, ops.Reshape) else x
    if not isinstance(window, Value) or not isinstance(window.op, ops.Window):
        return None
    op, (source,) = window.op, window.args
    n, shape = len(op.kernel), source.type.shape
    f = None if source in plan.static else plan.form(source)
    given = v.op.axes if isinstance(v.op, ops.Sum) else (v.op.axis,)  # type: ignore[attr-defined]
    axes = tuple(sorted(a % x.type.ndim for a in given))
    if x is window:
        taps = axes == tuple(range(n, 2 * n))
    else:
        taps = axes == (n,) and x.type.shape == (*(1,) * n, math.prod(op.kernel), *shape[n:])
    if f is None or f.axes[:n] != tuple(range(n)) or (len(f.axes) == n and f.lanes > 1):
        return None
    if not taps or op.kernel != shape[:n] or math.prod(op.kernel) == 1 or op.positions(shape) != (1,) * n:
        return None
    if any(d != 1 for d in op.dilation) or any(op.before) or any(op.after):
        return None
    pixels = Form(shape, tuple(range(n)))
    return Placement("reduce", Form(v.type.shape), detail=Pooled(KINDS[type(v.op)], source, pixels))
