"""Checks and axis arithmetic that the typing rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fxsim.types import TensorType

if TYPE_CHECKING:
    from fxsim.graph import Op


def same_frac(op: Op, *args: TensorType) -> int:
    """The operands' common frac; TypeError if they differ."""
    if len({a.frac for a in args}) != 1:
        raise TypeError(
            f"{type(op).__name__} needs operands of one frac, not {[a.frac for a in args]}; "
            "align them with Shift"
        )
    return args[0].frac


def integer(op: Op, what: str, a: TensorType) -> None:
    if a.frac != 0:
        raise TypeError(f"{type(op).__name__} needs {what} with frac 0, not {a.frac}")


def broadcast(op: Op, *args: TensorType) -> tuple[int, ...]:
    """NumPy's broadcast of the operands' shapes; TypeError names the op."""
    try:
        return np.broadcast_shapes(*(a.shape for a in args))
    except ValueError:
        raise TypeError(f"{type(op).__name__} cannot broadcast shapes {[a.shape for a in args]}") from None


def check_axis(op: Op, axis: int, ndim: int) -> int:
    """axis as 0 <= axis < ndim; TypeError otherwise."""
    if not ndim:
        raise TypeError(f"{type(op).__name__} needs an operand of at least one axis, not a scalar")
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -ndim <= axis < ndim:
        raise TypeError(f"axis of {type(op).__name__} must be in {-ndim}..{ndim - 1}, not {axis!r}")
    return int(axis) % ndim


def check_axes(op: Op, axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    out = tuple(check_axis(op, a, ndim) for a in axes)
    if len(set(out)) != len(out):
        raise TypeError(f"axes of {type(op).__name__} must differ, not {axes}")
    return out


def check_int(what: str, value: object, least: int | None = None) -> int:
    """value as int; TypeError or ValueError ("what must be ...") otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{what} must be an integer, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{what} must be at least {least}, not {value}")
    return int(value)
