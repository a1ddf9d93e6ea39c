"""The real reading: the same network in float64 without rounding, ranges kept, as the yardstick of errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import numpy_rules
from fxsim.formats import Overflow
from fxsim.graph import Block, Interpreter, Value
from fxsim.integers import Array
from fxsim.load.steps import BIPOLAR

# Arrays hold raw codes as floats, with the batch axis first: value = raw * 2**-frac, no longer whole.
real_rules: Interpreter[Array] = Interpreter("real_rules")

_LINEAR = (
    ops.Add, ops.Sub, ops.Neg, ops.Scale, ops.Mul, ops.MatMul, ops.Sum, ops.Min, ops.Max, ops.ReduceMin,
    ops.ReduceMax, ops.ArgMax, ops.Compare, ops.Select, ops.Window, ops.Reshape, ops.Transpose, ops.Slice,
    ops.Gather, ops.Pad, ops.Concat,
)  # fmt: skip
for _op in _LINEAR:  # exact arithmetic and wiring mean the same on floats
    real_rules.rule(_op)(numpy_rules.lookup(_op))

# Functions of the bits of a code have no meaning between codes: they take the nearest one.
_DISCRETE = (ops.LeadingOne, ops.And, ops.Or, ops.Xor, ops.Not, ops.Threshold)


@real_rules.rule(*_DISCRETE)
def _nearest(_: Any, v: Value, *operands: Array) -> Array:
    whole = [np.rint(a).astype(np.int64) for a in operands]
    return np.asarray(numpy_rules.lookup(type(v.op))(None, v, *whole), np.float64)


@real_rules.rule(ops.Const)
def _const(_: Any, v: Value) -> Array:
    return np.asarray(v.op.raw.array[None], np.float64)  # type: ignore[attr-defined]


@real_rules.rule(ops.Shift)
def _shift(_: Any, v: Value, a: Array) -> Array:
    return np.asarray(np.ldexp(a, v.op.bits))  # type: ignore[attr-defined]


@real_rules.rule(ops.ShiftLeft)
def _shift_left(_: Any, v: Value, a: Array, n: Array) -> Array:
    return np.asarray(a * np.exp2(np.rint(n)))


@real_rules.rule(ops.Div)
def _div(_: Any, v: Value, a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(a / b)


@real_rules.rule(ops.Table)
def _table(_: Any, v: Value, a: Array) -> Array:
    """The entries joined by straight lines."""
    op: Any = v.op
    entries = np.asarray(op.entries.array, np.float64)
    at = np.clip(a - op.base, 0, entries.shape[-1] - 1)
    below = np.floor(at).astype(np.int64)
    above = np.minimum(below + 1, entries.shape[-1] - 1)
    if op.axis is None:
        low, high = entries[below], entries[above]
    else:
        ndim = v.args[0].type.ndim
        rows = np.arange(len(entries)).reshape((-1,) + (1,) * (ndim - 1 - op.axis % ndim))
        low, high = entries[rows, below], entries[rows, above]
    return np.asarray(low + (high - low) * (at - below))


@real_rules.rule(ops.Cast)
def _cast(_: Any, v: Value, a: Array) -> Array:
    """No rounding; saturation stays, wrapping does not happen."""
    op: Any = v.op
    real = np.ldexp(a, v.type.frac - v.args[0].type.frac)
    if op.overflow in (Overflow.WRAP, Overflow.WRAP_SM):
        return np.asarray(real)
    lo, hi = ends(v)
    return np.asarray(np.clip(real, lo, hi))


def ends(v: Value) -> tuple[Array, Array]:
    """The least and the greatest raw code of a Cast's format, per element, at the result's frac."""
    op: Any = v.op
    frac, width, signed = op.parameters(v.type.shape)
    lsb = np.exp2(v.type.frac - frac.astype(np.float64))
    top = np.exp2((width - signed).astype(np.float64))
    low = np.where(signed, -top + (op.overflow is Overflow.SAT_SYM), 0.0)
    return np.asarray(np.where(width, low, 0.0) * lsb), np.asarray(np.where(width, top - 1, 0.0) * lsb)


@real_rules.rule(ops.Accumulate)
def _accumulate(_: Any, v: Value, a: Array) -> Array:
    """The sum, with no cast between its terms."""
    axis = v.op.axis  # type: ignore[attr-defined]
    axis = axis if axis < 0 else axis - v.args[0].type.ndim
    return np.asarray(np.ldexp(a.sum(axis=axis), v.type.frac - v.args[0].type.frac))


@real_rules.rule("rescale")
def _rescale(_: Any, b: Block, a: Array) -> Any:
    """clip(scale * raw + offset, low, high) of the exact steps; binary codes stay binary."""
    p = b.params
    if p["rounding"] == BIPOLAR:
        return NotImplemented
    rank = b.inputs[0].type.ndim
    scale, offset, low, high = (
        column([float(v) for v in values], rank, p["axis"])
        for values in (p["scale"], p["offset"], p["low"].array, p["high"].array)
    )
    return [np.clip(scale * a + offset, low, high)]


def column(values: list[float], rank: int, axis: int | None) -> Array:
    a = np.array(values)
    return a.reshape(()) if axis is None or a.size == 1 else a.reshape((-1,) + (1,) * (rank - 1 - axis))
