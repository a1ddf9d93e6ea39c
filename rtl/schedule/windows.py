"""The line buffers of a window, or of padding, in the terms of the part."""

from __future__ import annotations

from typing import Any

from fxsim import ops
from fxsim.types import TensorType
from rtl.schedule.forms import Form
from rtl.stream.window import Lines


def lines_of(name: str, value: Any, form: Form, before: TensorType, after: TensorType) -> Lines:
    """`form` and `before` are of the operand's beats, `after` is the type of the result's."""
    op = value.op
    sizes = form.sizes
    height, width = sizes if len(sizes) == 2 else (sizes[0], 1)
    if isinstance(op, ops.Window):
        pairs = {k: getattr(op, k) for k in ("kernel", "stride", "dilation", "before", "after")}
    else:
        pairs = {k: tuple(getattr(op, k)[a] for a in form.axes) for k in ("before", "after")}
        pairs |= {k: (1,) * len(sizes) for k in ("kernel", "stride", "dilation")}
    if len(sizes) == 1:
        pairs = {k: (v[0], 0 if k in ("before", "after") else 1) for k, v in pairs.items()}
    # Without padding, a fill that no element has need not fit their bits.
    fill = op.padding() if any(pairs["before"]) or any(pairs["after"]) else 0
    return Lines(
        name, height, width, before.size // form.lanes, before.max_width, form.lanes, **pairs,
        fill=fill, out_bits=after.max_width, signed=before.bounds[0] < 0,
    )  # fmt: skip
