"""Carriers: the dtypes that hold raw integers exactly, and the proofs that a range fits one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array, exact, trailing_zeros
from fxsim.types import TensorType

F32, F64, I64, OBJ = (np.dtype(t) for t in (np.float32, np.float64, np.int64, np.object_))
FLOATS = (F32, F64)

# A float holds every multiple of 2**u up to 2**(BITS + u); a sum whose absolute terms stay within that
# bound is exact in any order, with or without fused multiply-add.
BITS = {F32: 24, F64: 53}

# Strides beyond this buy nothing, and points beyond it could meet the exponent limits of float32.
MOST_STRIDE, MOST_POINT = 40, 60


def magnitude(t: TensorType) -> Array:
    """Per element, the largest |raw|."""
    return np.asarray(np.maximum(np.abs(t.lo), np.abs(t.hi)))


def unit(t: TensorType) -> Array:
    """Per element, log2 of a number that divides every raw code (clamped)."""
    return np.asarray(np.minimum(t.stride, MOST_STRIDE))


def holds(dtype: np.dtype[Any], most: Array | int, units: Array | int = 0) -> bool:
    """Does `dtype` (a float) hold all multiples of 2**units up to `most` in magnitude?"""
    return bool(np.all(np.right_shift(exact(most), exact(units)) <= 1 << BITS[dtype]))


def least_float(most: Array | int, units: Array | int = 0) -> np.dtype[Any] | None:
    """float32 or float64, whichever is narrower and holds the numbers; None if neither does."""
    return next((d for d in FLOATS if holds(d, most, units)), None)


def is_wide(t: TensorType) -> bool:
    """Does the tensor hold codes beyond 62 bits, which only Python integers carry?"""
    return t.lo.dtype == object or t.hi.dtype == object


def carrier(t: TensorType) -> np.dtype[Any]:
    """The narrowest carrier of a tensor's codes: float32, float64, int64, Python integers."""
    if is_wide(t):
        return OBJ
    return least_float(magnitude(t), unit(t)) or I64


def widest(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """The carrier that comes last in the order float32, float64, int64, Python integers."""
    order = (F32, F64, I64, OBJ)
    return max(dtypes, key=order.index)


def constant_unit(raw: Array) -> int:
    """log2 of a number that divides every entry (clamped)."""
    return int(np.minimum(trailing_zeros(raw, MOST_STRIDE), MOST_STRIDE).min()) if raw.size else 0


def power(exponent: Array | int) -> Array:
    """2.0**exponent in float64, exactly."""
    return np.asarray(np.ldexp(1.0, np.asarray(exponent, np.int64)))


def simplify(point: Array | int) -> Array | int:
    """A uniform array of points as one int."""
    p = np.asarray(point)
    if p.size == 0:
        return 0
    first = int(p.flat[0])
    return first if p.ndim == 0 or np.all(p == first) else p


def column(values: Array | int, order: Array | None, dtype: np.dtype[Any]) -> Any:
    """Per-element numbers as what broadcasts against (rows, lanes): a scalar if uniform, else a column.

    `order` lists, per physical row, the flat logical element (None: the same order).
    """
    v = np.asarray(values)
    if v.size and (v.ndim == 0 or bool(np.all(v == v.flat[0]))):
        return dtype.type(v.flat[0])
    flat = v.reshape(-1)
    return (flat if order is None else flat[order]).astype(dtype)[:, None]


__all__ = [
    "F32", "F64", "I64", "OBJ", "FLOATS", "BITS", "MOST_POINT", "MOST_STRIDE", "carrier", "column",
    "constant_unit", "holds", "is_wide", "least_float", "magnitude", "power", "simplify", "unit", "widest",
]  # fmt: skip
