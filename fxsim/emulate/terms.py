"""Sums of products that are cast one by one: a few terms at a time, so that they stay in the first cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import carriers as c
from fxsim.emulate.plan import Call, Loc
from fxsim.emulate.planner import Planner
from fxsim.emulate.rounding import FloatCast, Interval, float_cast, rounding_calls
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Node, Value
from fxsim.integers import Array, exact

# Rows of terms that are made before they are added up.
ROWS = 512

_I32 = np.dtype(np.int32)
_MOST_I32 = (1 << 31) - 1

# Their calls keep the operand's sign beside it.
_TWO_COPIES = (Rounding.RND_INF, Rounding.RND_ZERO)


@dataclass(frozen=True, eq=False)
class Terms:
    """sum over `axis` of cast(x * w): x varies, w is constant; both broadcast to the product's shape.

    `order` lists the axes as the terms lie in memory: `axis` first, so that sums are blocks, and those along
    which w does not change last, so that one weight multiplies a long row.
    """

    cast: Value
    product: Value
    x: Node
    w: Array
    axis: int
    order: tuple[int, ...]
    how: FloatCast
    dtype: np.dtype[Any]


def defer(p: Planner, v: Value) -> None:
    """Leave the products and their casts to the sum that alone reads them."""
    found = _terms(p, v)
    if found is not None:
        p.deferred |= {found.cast, found.product}


def total(p: Planner, v: Value) -> bool:
    """Multiply, cast and add `ROWS` rows at a time: in int32 where the cast is shifts, else in floats."""
    found = _terms(p, v)
    if found is None or found.cast not in p.deferred:
        return False
    x, shape, order = found.x, found.product.type.shape, found.order
    dtype, size = found.dtype, v.type.size
    lead = (1,) * (len(shape) - x.type.ndim) + x.type.shape
    view = p.read(x, p.locs[x].dtype)
    rows = np.arange(view.start, view.stop).reshape(lead).transpose(order)
    view = p.flat(Loc(view.buffer, rows.reshape(-1)), dtype)
    p.done(x)
    count = max(1, min(shape[found.axis], ROWS // size))
    out, part = p.buffer(size, dtype), p.buffer(size * count, dtype)
    p.emit(_bind(found, rows.shape, size, count), view, out, part)
    if dtype == _I32:
        out = p.flat(Loc(out.buffer, np.arange(size)), c.carrier(v.type))
    kept = [shape[k] for k in order[1:]]
    back = np.argsort([k - (k > found.axis) for k in order[1:]])
    p.put(v, Loc(out.buffer, np.arange(out.start, out.stop).reshape(kept).transpose(back).reshape(-1)))
    return True


def _bind(found: Terms, lead: tuple[int, ...], size: int, count: int) -> Any:
    """`lead` is the operand's shape in the terms' order, `size` the number of sums."""
    shape = found.product.type.shape
    whole, dtype = found.dtype == _I32, found.dtype
    shift = int(found.how.shift.flat[0])
    # A power of two moves the product to units of the new LSB: exact, as the proof does not depend on it.
    weights = found.w if whole else found.w * 2.0**-shift
    weights = weights.reshape((1,) * (len(shape) - weights.ndim) + weights.shape)
    weights = weights.transpose(found.order).astype(dtype)[..., None]
    inner = tuple(shape[k] for k in found.order[1:])

    def cut(a: Array, part: slice) -> Array:
        return a if len(a) == 1 else a[part]

    def bind(x: Array, o: Array, t: Array) -> list[Call]:
        x = x.reshape(*lead, -1)
        calls: list[Call] = []
        for start in range(0, shape[found.axis], count):
            part = slice(start, min(start + count, shape[found.axis]))
            rows = t[: (part.stop - start) * size]
            block = rows.reshape(part.stop - start, *inner, -1)
            calls.append(partial(np.multiply, cut(x, part), cut(weights, part), out=block))
            if not whole:
                calls += rounding_calls(_part(found, part), None, dtype, 0)(rows, rows)
            else:
                calls += _shifts(found, rows)
            for k in range(part.stop - start):
                one = rows[k * size : (k + 1) * size]
                calls.append(partial(np.add, o, one, out=o) if start + k else partial(np.copyto, o, one))
        return calls

    return bind


def _shifts(found: Terms, rows: Array) -> list[Call]:
    """The low bits go by a shift to the right; those above the format by one to the left before it."""
    how, shift = found.how, int(found.how.shift.flat[0])
    above = 32 - shift - int(how.width.flat[0]) if how.overflow is not None else 0
    calls: list[Call] = []
    for ufunc, by in ((np.left_shift, above), (np.right_shift, above + shift)):
        if by:
            calls.append(partial(ufunc, rows, np.int32(by), out=rows))
    return calls


def _part(found: Terms, part: slice) -> FloatCast:
    """The cast of a stretch of the axis, in the terms' order."""
    names = ("shift", "half", "low", "high", "width", "bottom", "top")
    cut = {n: getattr(found.how, n).transpose(found.order)[part] for n in names}
    return replace(found.how, **cut)


def _terms(p: Planner, v: Value) -> Terms | None:
    """The parts of a sum of cast products, if it may be computed along; None for other values."""
    if not isinstance(v.op, ops.Sum) or len(v.op.axes) != 1 or v in p.constants or not v.type.size:
        return None
    (cast,) = v.args
    if not _alone(p, cast, ops.Cast):
        return None
    assert isinstance(cast, Value)
    (product,) = cast.args
    if not _alone(p, product, ops.Mul):
        return None
    assert isinstance(product, Value)
    constant = next((a for a in product.args if a in p.constants), None)
    if constant is None or p.constants[constant].dtype == object:
        return None
    x = product.args[0] if product.args[1] is constant else product.args[1]
    types = (x.type, product.type, cast.type, v.type)
    if any(c.is_wide(t) or c.carrier(t) not in c.FLOATS for t in types):
        return None
    op: Any = cast.op
    how = float_cast(op, product.type.frac, Interval.of(product.type))
    if how is None or (how.rounds and how.mode in _TWO_COPIES):
        return None
    if np.any(how.shift != how.shift.flat[0]) or np.any(op.frac.array != op.result_frac):
        return None
    axis = v.op.axes[0] % product.type.ndim
    dtype = _dtype(x, p.constants[constant], product, cast, axis, how)
    if dtype is None:
        return None
    w, ndim = p.constants[constant], product.type.ndim
    wide, tall = ((1,) * (ndim - a.ndim) + a.shape for a in (w, x.type))
    rest = sorted((k for k in range(ndim) if k != axis), key=lambda k: (tall[k] > 1, wide[k] == 1, k))
    return Terms(cast, product, x, w, axis, (axis, *rest), how, dtype)


def _alone(p: Planner, v: Node, op: type[Any]) -> bool:
    """Is v such an op, varying, with one reader?"""
    return (
        isinstance(v, Value)
        and isinstance(v.op, op)
        and v not in p.constants
        and p.only_reader(v) is not None
    )


def _dtype(x: Node, w: Array, product: Value, cast: Value, axis: int, how: FloatCast) -> np.dtype[Any] | None:
    """int32 where the cast is shifts, else the float that holds terms and sums; None for casts that wrap
    otherwise."""
    most = c.magnitude(cast.type).astype(object).sum(axis=axis)
    inputs = max(int(np.max(a)) for a in (most, c.magnitude(x.type), np.abs(w)))
    products, shift = int(np.max(c.magnitude(product.type))), int(how.shift.flat[0])
    shifts = (how.mode is Rounding.TRN or not how.rounds) and not how.clips and 0 <= shift < 31
    if shifts and inputs <= _MOST_I32:
        if how.overflow is None and products <= _MOST_I32:
            return _I32
        # Products modulo 2**32 have all the bits that the format keeps.
        width, bottom = int(how.width.flat[0]), how.bottom
        one = np.all(how.width == width) and np.all(bottom < 0)
        if how.overflow is Overflow.WRAP and one and shift + width <= 32:
            return _I32
    held = c.least_float(exact(most))
    if how.overflow is not None or held is None:
        return None
    return c.widest(held, how.dtype, c.carrier(x.type))


__all__ = ["ROWS", "defer", "total"]
