"""Exact arithmetic that grows: constants, sums, products, shifts; and the truncating quotient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxsim import ranges
from fxsim.graph import Op
from fxsim.integers import Array, IntArray, add, exact, matmul, shift_left, subtract, to_object
from fxsim.ops.common import broadcast, check_axes, check_int, integer, same_frac
from fxsim.ranges import ZERO_STRIDE, Range
from fxsim.types import TensorType, int_array


@dataclass(frozen=True)
class Const(Op):
    """The tensor raw * 2**-frac."""

    raw: IntArray
    frac: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", int_array(self.raw))
        check_int("frac of Const", self.frac)

    def infer(self, *args: TensorType) -> TensorType:
        return TensorType.constant(self.raw.array, self.frac)


@dataclass(frozen=True)
class Add(Op):
    """raw = a + b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        frac, shape = same_frac(self, a, b), broadcast(self, a, b)
        stride = np.broadcast_to(np.minimum(a.stride, b.stride), shape)
        return TensorType(shape, frac, add(a.lo, b.lo), add(a.hi, b.hi), stride)


@dataclass(frozen=True)
class Sub(Op):
    """raw = a - b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        frac, shape = same_frac(self, a, b), broadcast(self, a, b)
        stride = np.broadcast_to(np.minimum(a.stride, b.stride), shape)
        return TensorType(shape, frac, subtract(a.lo, b.hi), subtract(a.hi, b.lo), stride)


@dataclass(frozen=True)
class Neg(Op):
    """raw = -a."""

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        return TensorType(a.shape, a.frac, exact(-a.hi), exact(-a.lo), a.stride)


@dataclass(frozen=True)
class Shift(Op):
    """The same value with `bits` more fraction bits: raw = a << bits, frac + bits.

    bits < 0 drops fraction bits and is legal only where the stride proves that they are zero (TypeError
    otherwise).
    """

    bits: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", check_int("bits of Shift", self.bits))

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        k = self.bits
        if k >= 0:
            return TensorType(
                a.shape, a.frac + k, shift_left(a.lo, k), shift_left(a.hi, k), _more(a.stride, k)
            )
        if np.any(a.stride < -k):
            raise TypeError(
                f"Shift by {k} would lose bits: the operand's least stride is {int(a.stride.min())}; use Cast"
            )
        lo, hi = exact(a.lo >> -k), exact(a.hi >> -k)
        return TensorType(
            a.shape, a.frac + k, lo, hi, np.where(a.stride == ZERO_STRIDE, ZERO_STRIDE, a.stride + k)
        )


@dataclass(frozen=True)
class Scale(Op):
    """value * 2**power with the same raw: only the point moves, which is free."""

    power: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", check_int("power of Scale", self.power))

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        return TensorType(a.shape, a.frac - self.power, a.lo, a.hi, a.stride)


@dataclass(frozen=True)
class Mul(Op):
    """raw = a * b, broadcast; fracs add. Two varying operands become a partial-product unit in hardware."""

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        shape = broadcast(self, a, b)
        r = ranges.product(a.range.broadcast(shape), b.range.broadcast(shape))
        return TensorType.from_range(r, a.frac + b.frac)


@dataclass(frozen=True)
class MatMul(Op):
    """raw = a @ b with NumPy's shapes ((..., K) @ (K, N), (..., M, K) @ (..., K, N), vectors); fracs add.

    A constant b is a shift-add graph in hardware.
    """

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        if not a.ndim or not b.ndim:
            raise TypeError(f"MatMul needs operands of one dimension or more, not {a.shape} @ {b.shape}")
        inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
        if a.shape[-1] != inner:
            raise TypeError(f"MatMul needs equal inner sizes, not {a.shape} @ {b.shape}")
        if not inner:
            raise TypeError("MatMul needs an inner size of at least 1, not 0")
        try:
            r = matmul_range(a.range, b.range)
        except ValueError:
            raise TypeError(f"MatMul cannot broadcast shapes {a.shape} @ {b.shape}") from None
        return TensorType.from_range(r, a.frac + b.frac)


def matmul_range(a: Range, b: Range) -> Range:
    """Bounds of sum_k a_k * b_k for independent factors: sums of the terms' bounds; stride is the least of
    them."""
    vector_a, vector_b = a.lo.ndim == 1, b.lo.ndim == 1
    if vector_a:
        a = a.reshape(1, -1)
    if vector_b:
        b = b.reshape(-1, 1)
    if np.array_equal(b.lo, b.hi):
        up, down = np.maximum(b.lo, 0), np.minimum(b.lo, 0)
        lo = add(matmul(a.lo, up), matmul(a.hi, down))
        hi = add(matmul(a.hi, up), matmul(a.lo, down))
    elif np.array_equal(a.lo, a.hi):
        up, down = np.maximum(a.lo, 0), np.minimum(a.lo, 0)
        lo = add(matmul(up, b.lo), matmul(down, b.hi))
        hi = add(matmul(up, b.hi), matmul(down, b.lo))
    else:
        lo, hi = _sum_of_products(a, b)
    stride = _least_stride(a.stride, b.stride)
    r = ranges.make(lo, hi, stride)
    if vector_b:
        r = r.at(..., 0)
    if vector_a:
        r = r.at(..., 0) if vector_b else r.at(..., 0, slice(None))
    return r


def _sum_of_products(a: Range, b: Range) -> tuple[Array, Array]:
    lo: Array | int = 0
    hi: Array | int = 0
    for k in range(a.lo.shape[-1]):
        column, row = a.at(..., slice(k, k + 1)), b.at(..., slice(k, k + 1), slice(None))
        p = ranges.product(column, row)
        lo, hi = add(lo, p.lo), add(hi, p.hi)
    return np.asarray(lo), np.asarray(hi)


def _least_stride(a: Array, b: Array) -> Array:
    out: Array | None = None
    for k in range(a.shape[-1]):
        s = a[..., :, k : k + 1] + b[..., k : k + 1, :]
        out = s if out is None else np.minimum(out, s)
    return np.asarray(np.minimum(np.asarray(out), ZERO_STRIDE))


@dataclass(frozen=True)
class Sum(Op):
    """raw = sum of a over `axes` (dropped); an empty sum is 0."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(check_int("axis of Sum", a) for a in self.axes))

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        axes = check_axes(self, self.axes, a.ndim)
        lo, hi, stride = a.lo, a.hi, a.stride
        for axis in sorted(axes, reverse=True):
            wide = lo.astype(object) if lo.dtype != object and _may_pass(lo, hi, axis) else lo
            wide_hi = hi.astype(object) if wide.dtype == object else hi
            lo, hi = exact(wide.sum(axis=axis)), exact(wide_hi.sum(axis=axis))
            stride = stride.min(axis=axis, initial=ZERO_STRIDE)
        return TensorType(np.shape(lo), a.frac, lo, hi, stride)


def _may_pass(lo: Array, hi: Array, axis: int) -> bool:
    if not lo.size:
        return False
    largest = max(abs(int(lo.min())), abs(int(hi.max())))
    return int(lo.shape[axis]) * largest >= 1 << 62


@dataclass(frozen=True)
class ShiftLeft(Op):
    """raw = a << n with a varying n >= 0 (frac 0): the value times 2**n, exactly."""

    def infer(self, *args: TensorType) -> TensorType:
        a, n = args
        integer(self, "a shift count", n)
        shape = broadcast(self, a, n)
        if n.bounds[0] < 0 or n.bounds[1] > 4096:
            raise TypeError(
                f"ShiftLeft needs a shift count proven in 0..4096, not {n.bounds[0]}..{n.bounds[1]}"
            )
        corners = [shift_left(v, k) for v in (a.lo, a.hi) for k in (n.lo, n.hi)]
        lo, hi = corners[0], corners[0]
        for c in corners[1:]:
            lo, hi = ranges.least(lo, c), ranges.greatest(hi, c)
        return TensorType(shape, a.frac, lo, hi, np.minimum(a.stride + n.lo.astype(np.int64), ZERO_STRIDE))


@dataclass(frozen=True)
class Div(Op):
    """raw = a / b truncated toward zero, and 0 where b is 0; frac = a.frac - b.frac.

    The remainder is lost: shift a left first for more fraction bits of the quotient. Total, so that every
    reading agrees on every operand; the eager FxArray raises ZeroDivisionError before it comes to that.
    """

    def infer(self, *args: TensorType) -> TensorType:
        a, b = args
        out_shape = broadcast(self, a, b)
        shape = out_shape or (1,)  # arithmetic on 0-d object arrays gives Python ints, which np.where refuses
        ra, rb = a.range.broadcast(shape), b.range.broadcast(shape)
        step = shift_left(np.ones(shape, np.int64), np.where(rb.lo == rb.hi, 0, rb.stride))
        positive = np.maximum(np.where(rb.lo == rb.hi, rb.lo, step), rb.lo)  # least positive divisor, if any
        negative = np.minimum(np.where(rb.lo == rb.hi, rb.hi, -step), rb.hi)
        lo, hi = np.full(shape, None, object), np.full(shape, None, object)
        divisors = ((rb.lo, rb.lo != 0), (rb.hi, rb.hi != 0), (positive, rb.hi > 0), (negative, rb.lo < 0))
        zero = np.zeros(shape, np.int64)
        candidates = [
            (truncated_quotient(v, np.where(u, d, 1)), u) for d, u in divisors for v in (ra.lo, ra.hi)
        ]
        candidates.append((zero, (rb.lo <= 0) & (rb.hi >= 0)))
        for q, use in candidates:
            lo = np.where(use & ((lo == None) | (q < np.where(lo == None, 0, lo))), q, lo)  # noqa: E711
            hi = np.where(use & ((hi == None) | (q > np.where(hi == None, 0, hi))), q, hi)  # noqa: E711
        ends = (exact(e).reshape(out_shape) for e in (lo, hi))
        return TensorType(out_shape, a.frac - b.frac, *ends)


def truncated_quotient(a: Array, b: Array) -> Array:
    """a / b toward zero, 0 where b is 0, exactly."""
    a, b = exact(a), exact(b)
    if a.dtype != b.dtype:
        a, b = to_object(a), to_object(b)
    safe = np.where(b == 0, 1, b)
    q = exact(np.abs(a) // np.abs(safe))
    return exact(np.where(b == 0, 0, np.where((a < 0) != (b < 0), exact(-q), q)))


def _more(stride: Array, k: int) -> Array:
    return np.where(stride == ZERO_STRIDE, ZERO_STRIDE, stride + k)
