"""Comparison and choice: min, max, argmax, compare, select."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fxsim import ranges
from fxsim.graph import Op
from fxsim.integers import Array, exact, shift_left, trailing_zeros
from fxsim.ops.common import broadcast, check_axis, integer, same_frac
from fxsim.ranges import ZERO_STRIDE, Range
from fxsim.types import TensorType


def max_range(a: Range, b: Range) -> Range:
    """{max(x, y)}: the parts of both sets that are not below the other's least value."""
    high_a, some_a = ranges.clip(a, b.lo, a.hi)
    high_b, some_b = ranges.clip(b, a.lo, b.hi)
    return ranges.union(high_a, high_b, some_a, some_b)


def min_range(a: Range, b: Range) -> Range:
    """{min(x, y)}: the parts of both sets that are not above the other's greatest value."""
    low_a, some_a = ranges.clip(a, a.lo, b.hi)
    low_b, some_b = ranges.clip(b, b.lo, a.hi)
    return ranges.union(low_a, low_b, some_a, some_b)


@dataclass(frozen=True)
class Min(Op):
    """raw = the lesser of a and b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        frac, shape = same_frac(self, a, b), broadcast(self, a, b)
        return TensorType.from_range(min_range(a.range.broadcast(shape), b.range.broadcast(shape)), frac)


@dataclass(frozen=True)
class Max(Op):
    """raw = the greater of a and b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        frac, shape = same_frac(self, a, b), broadcast(self, a, b)
        return TensorType.from_range(max_range(a.range.broadcast(shape), b.range.broadcast(shape)), frac)


@dataclass(frozen=True)
class ReduceMin(Op):
    """raw = the least of a over `axis` (dropped)."""

    axis: int

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        return TensorType.from_range(_reduce(self, a, self.axis, min_range), a.frac)


@dataclass(frozen=True)
class ReduceMax(Op):
    """raw = the greatest of a over `axis` (dropped)."""

    axis: int

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        return TensorType.from_range(_reduce(self, a, self.axis, max_range), a.frac)


def _reduce(op: Op, a: TensorType, axis: int, pair: object) -> Range:
    axis = check_axis(op, axis, a.ndim)
    if not a.shape[axis]:
        raise TypeError(f"{type(op).__name__} needs at least one element on axis {axis}")
    parts = [
        Range(*(exact(np.take(x, i, axis)) for x in (a.lo, a.hi, a.stride))) for i in range(a.shape[axis])
    ]
    out = parts[0]
    for p in parts[1:]:
        out = pair(out, p)  # type: ignore[operator]
    return out


@dataclass(frozen=True)
class ArgMax(Op):
    """The first index of the greatest element over `axis` (dropped); frac 0."""

    axis: int

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        axis = check_axis(self, self.axis, a.ndim)
        n = a.shape[axis]
        if not n:
            raise TypeError(f"ArgMax needs at least one element on axis {axis}")
        lo, hi = np.moveaxis(a.lo, axis, 0), np.moveaxis(a.hi, axis, 0)
        possible = np.ones(lo.shape, bool)
        before, after = np.maximum.accumulate(lo), np.maximum.accumulate(lo[::-1])[::-1]
        possible[1:] &= hi[1:] > before[:-1]  # an earlier index wins a tie, so a later one must beat it
        possible[:-1] &= hi[:-1] >= after[1:]
        index = np.arange(n).reshape((-1,) + (1,) * (a.ndim - 1))
        first = np.where(possible, index, n).min(axis=0)
        last = np.where(possible, index, -1).max(axis=0)
        stride = np.where(possible, trailing_zeros(index, ZERO_STRIDE), ZERO_STRIDE).min(axis=0)
        return TensorType(first.shape, 0, first, last, stride)


@dataclass(frozen=True)
class Compare(Op):
    """1 where `a kind b` holds, else 0 (frac 0); kind is lt, le, eq or ne; operands of one frac.

    a > b is lt with the operands swapped, a >= b is le with them swapped.
    """

    kind: str
    KINDS: ClassVar[tuple[str, ...]] = ("lt", "le", "eq", "ne")

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise ValueError(f"kind of Compare must be one of {self.KINDS}, not {self.kind!r}")

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        same_frac(self, a, b)
        shape = broadcast(self, a, b)
        ra, rb = a.range.broadcast(shape), b.range.broadcast(shape)
        if self.kind == "lt":
            can, must = ra.lo < rb.hi, ra.hi < rb.lo
        elif self.kind == "le":
            can, must = ra.lo <= rb.hi, ra.hi <= rb.lo
        else:
            meet = _meet(ra, rb)
            same = (ra.lo == ra.hi) & (rb.lo == rb.hi) & (ra.lo == rb.lo)
            can, must = (meet, same) if self.kind == "eq" else (~same, ~meet)
        return TensorType(shape, 0, np.asarray(must, np.int64), np.asarray(can, np.int64))


def _meet(a: Range, b: Range) -> Array:
    """Per element: do the two sets share a value? (They do where a multiple of the coarser stride lies in
    both.)"""
    if a.shape == ():  # arithmetic on 0-d object arrays gives Python ints
        return np.asarray(_meet(a.reshape(1), b.reshape(1))[0])
    lo, hi = np.maximum(a.lo, b.lo), np.minimum(a.hi, b.hi)
    step = np.maximum(np.where(a.lo == a.hi, 0, a.stride), np.where(b.lo == b.hi, 0, b.stride))
    one = shift_left(np.ones(lo.shape, np.int64), step)
    first = -(-lo // one) * one
    inside = np.asarray(first <= hi, bool)
    # One-point sets are not multiples of their own step above, so test them in the other set directly.
    for p, q in ((a, b), (b, a)):
        unit = shift_left(np.ones(lo.shape, np.int64), np.where(q.lo == q.hi, 0, q.stride))
        member = (q.lo <= p.lo) & (p.lo <= q.hi) & (p.lo % unit == 0)
        inside = np.where(p.lo == p.hi, member, inside)
    return np.asarray(inside, bool)


@dataclass(frozen=True)
class Select(Op):
    """raw = a where condition is 1, b where it is 0; condition has frac 0 and raw in 0..1; a, b of one
    frac."""

    def infer(self, *args: TensorType) -> TensorType:
        c, a, b = args
        integer(self, "a condition", c)
        if c.bounds[0] < 0 or c.bounds[1] > 1:
            raise TypeError(f"Select needs a condition proven in 0..1, not {c.bounds[0]}..{c.bounds[1]}")
        frac, shape = same_frac(self, a, b), broadcast(self, c, a, b)
        use_a = np.broadcast_to(c.hi == 1, shape)
        use_b = np.broadcast_to(c.lo == 0, shape)
        r = ranges.union(a.range.broadcast(shape), b.range.broadcast(shape), use_a, use_b)
        return TensorType.from_range(r, frac)
