"""The NumPy reading: one exact rule per op on integer arrays with the batch axis first."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Interpreter, Node, Value
from fxsim.integers import Array, bit_length, exact, shift_left, to_object
from fxsim.ops.arithmetic import truncated_quotient
from fxsim.ops.lookup import count_levels
from fxsim.types import TensorType

# Every array has exactly one batch axis before the tensor's own; constants have a batch of one and broadcast.
numpy_rules: Interpreter[Array] = Interpreter("numpy_rules")


def is_wide(t: TensorType) -> bool:
    """Does the tensor hold codes beyond 62 bits, which int64 arithmetic could overflow?"""
    return t.lo.dtype == object or t.hi.dtype == object


def apply(node: Value, *operands: Array) -> Array:
    """One node's rule on exact operands (int64, or object where it or an operand is wide)."""
    return np.asarray(numpy_rules.lookup(type(node.op))(None, node, *prepare(node, *operands)))


def prepare(node: Node, *operands: Array) -> tuple[Array, ...]:
    """Operands as Python integers where the result could pass int64."""
    if is_wide(node.type) or any(o.dtype == object for o in operands):
        return tuple(to_object(o) for o in operands)
    return operands


def _spread(node: Value, *operands: Array) -> list[Array]:
    """Insert axes after the batch so that operands of different ranks broadcast aligned at the right."""
    ndim = node.type.ndim
    return [o.reshape(o.shape[:1] + (1,) * (ndim + 1 - o.ndim) + o.shape[1:]) for o in operands]


def _axis(node: Value, axis: int) -> int:
    """The operand's axis, counted from the right so that the batch axis does not matter."""
    return axis if axis < 0 else axis - node.args[0].type.ndim


@numpy_rules.rule(ops.Const)
def _const(_: Any, v: Value) -> Array:
    return v.op.raw.array[None]  # type: ignore[attr-defined, no-any-return]


@numpy_rules.rule(ops.Add)
def _add(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.add(*_spread(v, a, b))


@numpy_rules.rule(ops.Sub)
def _sub(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.subtract(*_spread(v, a, b))


@numpy_rules.rule(ops.Neg)
def _neg(_: Any, v: Value, a: Array) -> Array:
    return np.negative(a)


@numpy_rules.rule(ops.Shift)
def _shift(_: Any, v: Value, a: Array) -> Array:
    k = v.op.bits  # type: ignore[attr-defined]
    return np.asarray(a << k if k >= 0 else a >> -k)


@numpy_rules.rule(ops.Scale)
def _scale(_: Any, v: Value, a: Array) -> Array:
    return a


@numpy_rules.rule(ops.Mul)
def _mul(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.multiply(*_spread(v, a, b))


@numpy_rules.rule(ops.MatMul)
def _matmul(_: Any, v: Value, a: Array, b: Array) -> Array:
    # Partial sums may wrap in int64, but the sum itself fits, so it comes out right.
    x, y = (t.type.ndim for t in v.args)
    left = a[:, None, :] if x == 1 else a
    right = b[:, :, None] if y == 1 else b
    ndim = max(left.ndim, right.ndim)
    left, right = (m.reshape(m.shape[:1] + (1,) * (ndim - m.ndim) + m.shape[1:]) for m in (left, right))
    out = left @ right
    if x == 1:
        out = out[..., 0, :]
    if y == 1:
        out = out[..., 0]
    return np.asarray(out)


@numpy_rules.rule(ops.Sum)
def _sum(_: Any, v: Value, a: Array) -> Array:
    axes = tuple(_axis(v, i) for i in v.op.axes)  # type: ignore[attr-defined]
    return np.asarray(a.sum(axis=axes)) if axes else a


@numpy_rules.rule(ops.ShiftLeft)
def _shift_left(_: Any, v: Value, a: Array, n: Array) -> Array:
    return shift_left(*_spread(v, a, n))


@numpy_rules.rule(ops.Div)
def _div(_: Any, v: Value, a: Array, b: Array) -> Array:
    return truncated_quotient(*_spread(v, a, b))


@numpy_rules.rule(ops.Min)
def _min(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.minimum(*_spread(v, a, b))


@numpy_rules.rule(ops.Max)
def _max(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.maximum(*_spread(v, a, b))


@numpy_rules.rule(ops.ReduceMin)
def _reduce_min(_: Any, v: Value, a: Array) -> Array:
    return np.asarray(a.min(axis=_axis(v, v.op.axis)))  # type: ignore[attr-defined]


@numpy_rules.rule(ops.ReduceMax)
def _reduce_max(_: Any, v: Value, a: Array) -> Array:
    return np.asarray(a.max(axis=_axis(v, v.op.axis)))  # type: ignore[attr-defined]


@numpy_rules.rule(ops.ArgMax)
def _argmax(_: Any, v: Value, a: Array) -> Array:
    return np.asarray(a.argmax(axis=_axis(v, v.op.axis)), np.int64)  # type: ignore[attr-defined]


_COMPARE = {"lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal}


@numpy_rules.rule(ops.Compare)
def _compare(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.asarray(_COMPARE[v.op.kind](*_spread(v, a, b))).astype(np.int64)  # type: ignore[attr-defined]


@numpy_rules.rule(ops.Select)
def _select(_: Any, v: Value, c: Array, a: Array, b: Array) -> Array:
    c, a, b = _spread(v, c, a, b)
    return np.where(c != 0, a, b)


@numpy_rules.rule(ops.Table)
def _table(_: Any, v: Value, a: Array) -> Array:
    op: Any = v.op
    index = (a - op.base).astype(np.int64)
    if op.axis is None:
        return np.asarray(op.entries.array[index])
    return np.asarray(op.entries.array[_channel(v, op.axis), index])


@numpy_rules.rule(ops.Threshold)
def _threshold(_: Any, v: Value, a: Array) -> Array:
    op: Any = v.op
    channel = np.zeros((), np.int64) if op.axis is None else _channel(v, op.axis)
    return count_levels(a, np.broadcast_to(channel, a.shape), op)


def _channel(v: Value, axis: int) -> Array:
    ndim = v.args[0].type.ndim
    axis %= ndim
    n = v.args[0].type.shape[axis]
    return np.arange(n).reshape((-1,) + (1,) * (ndim - 1 - axis))


@numpy_rules.rule(ops.LeadingOne)
def _leading_one(_: Any, v: Value, a: Array) -> Array:
    return bit_length(a)


@numpy_rules.rule(ops.And)
def _and(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.bitwise_and(*_spread(v, a, b))


@numpy_rules.rule(ops.Or)
def _or(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.bitwise_or(*_spread(v, a, b))


@numpy_rules.rule(ops.Xor)
def _xor(_: Any, v: Value, a: Array, b: Array) -> Array:
    return np.bitwise_xor(*_spread(v, a, b))


@numpy_rules.rule(ops.Not)
def _not(_: Any, v: Value, a: Array) -> Array:
    return np.subtract(-1, a)


@numpy_rules.rule(ops.Cast)
def _cast(_: Any, v: Value, a: Array) -> Array:
    return v.op.apply(a, v.args[0].type.frac)  # type: ignore[attr-defined, no-any-return]


@numpy_rules.rule(ops.Accumulate)
def _accumulate(_: Any, v: Value, a: Array) -> Array:
    op: Any = v.op
    cast, sum_frac = op.step(v.args[0].type.frac)
    terms = np.moveaxis(shift_left(a, sum_frac - v.args[0].type.frac), _axis(v, op.axis), 0)
    acc: Array = np.zeros(terms.shape[1:], np.int64)
    for x in terms:
        total = (
            exact(to_object(shift_left(acc, sum_frac - op.format.frac)) + x)
            if x.dtype == object
            else (shift_left(acc, sum_frac - op.format.frac) + x)
        )
        acc = cast.apply(exact(total), sum_frac)
    return acc


@numpy_rules.rule(ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)
def _place(_: Any, v: Value, a: Array) -> Array:
    op: Any = v.op
    return np.asarray(op.place(a, v.args[0].type.ndim, op.padding()))


@numpy_rules.rule(ops.Concat)
def _concat(_: Any, v: Value, *parts: Array) -> Array:
    batch = max(p.shape[0] for p in parts)
    full = [np.broadcast_to(p, (batch, *p.shape[1:])) for p in parts]
    return np.concatenate(full, axis=_axis(v, v.op.axis))  # type: ignore[attr-defined]
