"""Formats of a layer's steps: a Format, or a Cast with one for each channel or element, or none."""

from __future__ import annotations

from typing import Any

from fxsim import ops
from fxsim.formats import Format
from fxsim.graph import Op
from fxsim.integers import IntArray
from fxsim.quantizers.fixed_point import FixedPoint
from fxsim.trace import Builder, Tensor

Step = Format | ops.Cast | FixedPoint | None
"""What a step ends in. None: nothing, the exact result goes on."""


def fitted(x: Tensor, step: Step) -> Tensor:
    """x cast to a step's format: the only place where a layer loses bits."""
    if step is None:
        return x
    return x.cast(step.cast if isinstance(step, FixedPoint) else step)


def quantized(builder: Builder, values: Any, step: Step) -> Tensor:
    """Real constants in a step's format; exact ones, or an error, where there is none.

    Raises ValueError for NaN, infinity, and numbers that are not exact without a format.
    """
    if step is None:
        return builder.constant(values)
    codec = step if isinstance(step, FixedPoint) else None
    if codec is None:
        codec = FixedPoint.of(step) if isinstance(step, Format) else FixedPoint(step)  # type: ignore[arg-type]
    op: Op = ops.Const(IntArray(codec.quantize(values)), codec.cast.result_frac)
    return builder.apply(op)
