"""Per-element value sets: all multiples of 2**stride in lo..hi, the abstract domain of every typing rule."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fxsim.integers import Array, exact, multiply, shift_left, trailing_zeros

# log2 stride of the constant 0, which is a multiple of every power of two. Larger than any real stride.
ZERO_STRIDE = 1 << 16


class Range(NamedTuple):
    """Arrays of one shape: per element the set {v : lo <= v <= hi, 2**stride divides v} of raw integers."""

    lo: Array
    hi: Array
    stride: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lo.shape

    def reshape(self, *shape: int) -> Range:
        return Range(*(a.reshape(*shape) for a in self))

    def at(self, *index: Any) -> Range:
        """Index the three arrays alike."""
        return Range(*(np.asarray(a[index]) for a in (self.lo, self.hi, self.stride)))

    def broadcast(self, shape: tuple[int, ...]) -> Range:
        return Range(*(np.broadcast_to(a, shape) for a in (self.lo, self.hi, self.stride)))


def constant(raw: Array) -> Range:
    """The single value `raw` per element."""
    raw = exact(raw)
    return Range(raw, raw, trailing_zeros(raw, ZERO_STRIDE))


def make(lo: Array, hi: Array, stride: Array | int = 0) -> Range:
    """A Range in normal form: ends are multiples of 2**stride, one-point sets carry their own trailing zeros.

    Raises ValueError where an element's set is empty or a stride negative.
    """
    lo, hi = exact(lo), exact(hi)
    lo, hi, stride = np.broadcast_arrays(lo, hi, exact(stride))
    if stride.size and stride.min() < 0:
        raise ValueError(f"stride must not be negative, not {int(stride.min())}")
    if np.any(lo > hi):
        where = tuple(int(i) for i in np.argwhere(lo > hi)[0])
        raise ValueError(f"lo must not exceed hi, but element {where} has {lo[where]} > {hi[where]}")
    point = lo == hi
    step = np.where(point, 0, stride)
    if np.any(step):
        up = -shift_left(_floor_shift(-lo, step), step)
        down = shift_left(_floor_shift(hi, step), step)
        if np.any(up > down):
            where = tuple(int(i) for i in np.argwhere(up > down)[0])
            raise ValueError(
                f"element {where} holds no multiple of 2**{int(step[where])} in {lo[where]}..{hi[where]}"
            )
        lo, hi = exact(up), exact(down)
        point = lo == hi
    else:
        lo, hi = exact(lo), exact(hi)
    stride = np.where(point, trailing_zeros(np.where(point, lo, 0), ZERO_STRIDE), stride).astype(np.int64)
    return Range(lo, hi, stride)


def _floor_shift(a: Array, k: Array) -> Array:
    a, k = exact(a), exact(k)  # -a of a 0-d object array is a Python int
    if a.dtype != object:
        k = np.minimum(k, 63)
    return exact(np.right_shift(a, k.astype(object) if a.dtype == object else k))


def union(a: Range, b: Range, use_a: Array | bool = True, use_b: Array | bool = True) -> Range:
    """The tightest Range over both sets; `use_a`, `use_b` say per element whether that set takes part (one
    must)."""
    shape = np.broadcast_shapes(a.shape, b.shape, np.shape(use_a), np.shape(use_b))
    a, b = a.broadcast(shape), b.broadcast(shape)
    lo = np.where(use_a, np.where(use_b, least(a.lo, b.lo), a.lo), b.lo)
    hi = np.where(use_a, np.where(use_b, greatest(a.hi, b.hi), a.hi), b.hi)
    stride = np.where(use_a, np.where(use_b, np.minimum(a.stride, b.stride), a.stride), b.stride)
    return make(lo, hi, stride)


def clip(r: Range, lo: Array, hi: Array) -> tuple[Range, Array]:
    """The part of each set inside lo..hi (arrays), and a mask of the elements where that part is not empty.

    Elements with an empty part carry the original set (to be masked out by the caller).
    """
    lo, hi = np.broadcast_to(exact(lo), r.shape), np.broadcast_to(exact(hi), r.shape)
    step = np.where(r.lo == r.hi, 0, r.stride)
    low = greatest(r.lo, exact(-shift_left(_floor_shift(-lo, step), step)))
    high = least(r.hi, shift_left(_floor_shift(hi, step), step))
    some = np.asarray(low <= high)
    return make(np.where(some, low, r.lo), np.where(some, high, r.hi), r.stride), some


def least(a: Array, b: Array) -> Array:
    """np.minimum that stays an array: of 0-d object arrays it is a Python int, which int64 operands then
    refuse."""
    return exact(np.minimum(a, b))


def greatest(a: Array, b: Array) -> Array:
    """np.maximum that stays an array; see `least`."""
    return exact(np.maximum(a, b))


def product(a: Range, b: Range) -> Range:
    """{x * y}: the four corners bound it; strides add."""
    corners = [multiply(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    lo, hi = corners[0], corners[0]
    for c in corners[1:]:
        lo, hi = least(lo, c), greatest(hi, c)
    return make(lo, hi, np.minimum(a.stride + b.stride, ZERO_STRIDE))


def count(r: Range) -> Array:
    """How many values each set holds (Python integers in an object array)."""
    step = np.where(r.lo == r.hi, 0, r.stride).astype(object)
    return np.asarray(((r.hi - r.lo).astype(object) >> step) + 1, dtype=object)
