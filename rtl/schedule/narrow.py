"""Values of a beat held to what is proven of the whole: a beat has the union of all places' sets, from which
ops conclude less."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.types import TensorType


def narrowing(have: TensorType, proven: TensorType) -> ops.Cast | None:
    """The cast that drops the bits which no element of `proven` has, a matter of wires; None where there are
    none."""
    need = have.width + (proven.signed & ~have.signed)
    if np.all(need <= proven.width) and not np.any(have.signed & ~proven.signed):
        return None
    width, signed = (_even(np.asarray(a, np.int64)) for a in (proven.width, proven.signed))
    return ops.Cast(IntArray(np.int64(proven.frac)), width, signed, Rounding.TRN, Overflow.WRAP)


def _even(a: np.ndarray) -> IntArray:
    same = a.size and bool(np.all(a == a.ravel()[0]))
    return IntArray(a.ravel()[0]) if same else IntArray(a)


def total(op: Any, operand: TensorType) -> Any:
    """The op with entries, or bits, for codes that no place has but the type of a beat allows."""
    lo, hi = operand.bounds
    if isinstance(op, ops.Table):
        below, above = max(0, op.base - lo), max(0, hi - (op.base + op.entries.shape[-1] - 1))
        if below or above:
            ahead = [(0, 0)] * (op.entries.array.ndim - 1)
            entries = np.pad(op.entries.array, [*ahead, (below, above)], mode="edge")
            return ops.Table(IntArray(entries), op.base - below, op.frac, op.axis)
    if isinstance(op, ops.Shift) and op.bits < 0 and int(operand.stride.min()) < -op.bits:
        width, signed = max(operand.max_width + op.bits, 1), int(lo < 0)
        fields = (np.int64(operand.frac + op.bits), np.int64(width + signed), np.int64(signed))
        return ops.Cast(*map(IntArray, fields), Rounding.TRN, Overflow.WRAP)
    return op
