"""Exact integer arrays: int64 while every value fits 62 bits, Python integers (dtype object) beyond."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

# Two bits of headroom, so that one sum or difference of two int64 operands cannot overflow before it is
# checked.
INT64_BITS = 62
_LIMIT = 1 << INT64_BITS


def exact(values: ArrayLike) -> Array:
    """Integers as int64 where all |v| < 2**62, else as an object array of Python integers.

    Raises TypeError for anything that is not an integer (floats, NaN, strings): nothing is truncated.
    """
    a = np.asarray(values)
    if a.dtype.kind == "b":
        return a.astype(np.int64)
    if a.dtype.kind == "i" and a.dtype.itemsize < 8:
        return a.astype(np.int64)
    if a.dtype.kind == "u" and a.dtype.itemsize < 8:
        return a.astype(np.int64)
    if a.dtype.kind in "iu":
        if a.size == 0 or (int(a.min()) > -_LIMIT and int(a.max()) < _LIMIT):
            return a.astype(np.int64)
        return to_object(a)
    if a.dtype.kind == "O":
        return _from_object(a)
    if a.size == 0:
        return a.astype(np.int64)
    raise TypeError(f"values must be integers, not {a.dtype}")


def _from_object(a: Array) -> Array:
    flat = a.ravel()
    for v in flat:
        if not isinstance(v, (int, np.integer)):
            raise TypeError(f"values must be integers, not {type(v).__name__} ({v!r})")
    if all(-_LIMIT < v < _LIMIT for v in flat):
        return a.astype(np.int64)
    return to_object(a)


def to_object(a: ArrayLike) -> Array:
    """The same integers as Python ints in an object array (never wraps)."""
    a = np.asarray(a)
    out = np.empty(a.shape, dtype=object)
    out[...] = a.astype(object) if a.dtype != object else a
    if out.ndim == 0:
        out[()] = int(out[()])
        return out
    out.ravel()[:] = [int(v) for v in out.ravel()]
    return out


def shift_left(a: ArrayLike, k: ArrayLike) -> Array:
    """a << k, exactly; k >= 0 broadcasts against a."""
    a, k = exact(a), exact(k)
    if a.size == 0 or k.size == 0:
        return np.zeros(np.broadcast_shapes(a.shape, k.shape), np.int64)
    if a.dtype == object or magnitude_bits(a) + int(k.max()) > INT64_BITS:
        return exact(np.left_shift(to_object(a), to_object(k)))
    return np.asarray(np.left_shift(a, k))


def add(a: ArrayLike, b: ArrayLike) -> Array:
    """a + b, exactly."""
    return exact(np.add(*_matched(a, b)))


def subtract(a: ArrayLike, b: ArrayLike) -> Array:
    """a - b, exactly."""
    return exact(np.subtract(*_matched(a, b)))


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """a * b, exactly."""
    a, b = exact(a), exact(b)
    if a.dtype == object or b.dtype == object or magnitude_bits(a) + magnitude_bits(b) > INT64_BITS:
        return exact(np.multiply(to_object(a), to_object(b)))
    return np.asarray(np.multiply(a, b))


def matmul(a: ArrayLike, b: ArrayLike) -> Array:
    """a @ b, exactly; Python integers where the largest possible sum passes 62 bits."""
    a, b = exact(a), exact(b)
    terms = max(a.shape[-1], 1)
    if (
        a.dtype == object
        or b.dtype == object
        or magnitude_bits(a) + magnitude_bits(b) + terms.bit_length() > INT64_BITS
    ):
        return exact(np.matmul(to_object(a), to_object(b)))
    return np.asarray(np.matmul(a, b))


def _matched(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    a, b = exact(a), exact(b)
    if a.dtype != b.dtype:
        return to_object(a), to_object(b)
    return a, b


def magnitude_bits(a: Array) -> int:
    """Bits of the largest |v| (0 for an empty or zero array)."""
    if a.size == 0:
        return 0
    return max(int(a.max()).bit_length(), (-int(a.min())).bit_length())


def bit_length(a: ArrayLike) -> Array:
    """Per element, int.bit_length of |v|."""
    a = exact(a)
    if a.dtype == object:
        return np.array([abs(v).bit_length() for v in a.ravel().tolist()], np.int64).reshape(a.shape)
    m = np.abs(a)
    high = m >> 31  # both halves below 2**31, where float64 and frexp are exact
    top = np.frexp(high.astype(np.float64))[1] + 31
    low = np.frexp((m & 0x7FFFFFFF).astype(np.float64))[1]
    return np.where(high > 0, top, low).astype(np.int64)


def trailing_zeros(a: ArrayLike, zero: int) -> Array:
    """Per element, the number of low zero bits; `zero` for the value 0."""
    a = exact(a)
    if a.dtype == object:
        flat = [(v & -v).bit_length() - 1 if v else zero for v in a.ravel().tolist()]
        return np.array(flat, np.int64).reshape(a.shape)
    lowest = (a & -a).astype(np.float64)  # a power of two: exact in float64
    return np.where(a == 0, zero, np.frexp(lowest)[1] - 1).astype(np.int64)


class IntArray:
    """An immutable, hashable array of exact integers, keyed by the digest of its content.

    `array` is read-only, int64 or (beyond 62 bits) object. Equality is equality of shape and integers.
    """

    __slots__ = ("array", "digest")
    array: Array
    digest: bytes

    def __init__(self, values: ArrayLike | IntArray) -> None:
        if isinstance(values, IntArray):
            array = values.array
        else:
            array = np.array(exact(values))
            array.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "digest", array_digest(array))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("IntArray is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntArray) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return IntArray, (np.array(self.array),)

    def __repr__(self) -> str:
        if self.array.size <= 8:
            return f"IntArray({self.array.tolist()})"
        return f"IntArray(shape={self.array.shape}, {self.digest.hex()[:8]})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def array_digest(a: Array) -> bytes:
    """16 bytes that identify shape and integers (int64 and object arrays of equal integers agree by
    `exact`)."""
    h = hashlib.sha256(repr(a.shape).encode())
    if a.dtype == object:
        h.update(",".join(str(int(v)) for v in a.ravel()).encode())
    else:
        h.update(b"int64")
        h.update(np.ascontiguousarray(a, dtype="<i8").tobytes())
    return h.digest()[:16]
