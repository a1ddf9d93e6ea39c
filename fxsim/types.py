"""TensorType: a tensor's shape, binary point, and per element the proven set of its raw integers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from fxsim import ranges
from fxsim.formats import Format
from fxsim.integers import INT64_BITS, Array, IntArray, array_digest, bit_length, exact, to_object
from fxsim.ranges import Range

MAX_FRAC = 1 << 15


class TensorType:
    """value = raw * 2**-frac, one `frac` for the tensor; per element raw is a multiple of 2**stride in
    lo..hi.

    `lo`, `hi` (int64, or Python integers beyond 62 bits) and `stride` (log2; `ranges.ZERO_STRIDE` for the
    constant 0) are read-only arrays of `shape`. Width and sign follow from them and are never stored beside
    them. Immutable and hashable by content. The batch axis is not part of the shape.
    """

    __slots__ = ("__dict__", "digest", "frac", "hi", "lo", "shape", "stride")

    shape: tuple[int, ...]
    frac: int
    lo: Array
    hi: Array
    stride: Array
    digest: bytes

    def __init__(
        self, shape: Sequence[int], frac: int, lo: Array, hi: Array, stride: Array | int = 0
    ) -> None:
        shape = check_shape(shape)
        if isinstance(frac, bool) or not isinstance(frac, (int, np.integer)):
            raise TypeError(f"frac must be an integer, not {frac!r}")
        if abs(frac) > MAX_FRAC:
            raise ValueError(f"frac must lie in -{MAX_FRAC}..{MAX_FRAC}, not {frac}")
        bounds = [exact(a) for a in (lo, hi, stride)]
        try:
            r = ranges.make(*(np.broadcast_to(a, shape) for a in bounds))
        except ValueError:
            if all(_reaches(a.shape, shape) for a in bounds):
                raise
            raise ValueError(
                f"lo, hi and stride must broadcast to {shape}, not {[a.shape for a in bounds]}"
            ) from None
        arrays = []
        for a in r:
            a = np.array(a)
            a.setflags(write=False)
            arrays.append(a)
        put = object.__setattr__
        put(self, "shape", shape)
        put(self, "frac", int(frac))
        put(self, "lo", arrays[0])
        put(self, "hi", arrays[1])
        put(self, "stride", arrays[2])
        text = repr((shape, int(frac))).encode() + b"".join(array_digest(a) for a in arrays)
        put(self, "digest", hashlib.sha256(text).digest()[:16])

    @classmethod
    def of(cls, fmt: Format, shape: Sequence[int] = ()) -> TensorType:
        """Every element ranges over all codes of `fmt`."""
        if not isinstance(fmt, Format):
            raise TypeError(f"format must be a fxsim.Format, not {fmt!r}")
        return cls(shape, fmt.frac, exact(fmt.lo), exact(fmt.hi))

    @classmethod
    def from_range(cls, r: Range, frac: int) -> TensorType:
        return cls(r.shape, frac, r.lo, r.hi, r.stride)

    @classmethod
    def constant(cls, raw: Array, frac: int) -> TensorType:
        return cls.from_range(ranges.constant(np.asarray(raw)), frac)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("TensorType is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[object, ...]:
        return TensorType, (
            self.shape,
            self.frac,
            np.array(self.lo),
            np.array(self.hi),
            np.array(self.stride),
        )

    @property
    def range(self) -> Range:
        return Range(self.lo, self.hi, self.stride)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @cached_property
    def signed(self) -> Array:
        """Per element: lo < 0."""
        return np.asarray(self.lo < 0, dtype=bool)

    @cached_property
    def width(self) -> Array:
        """Per element: bits of the two's complement (or, if never negative, unsigned) code; at least 1."""
        bits = np.maximum(bit_length(np.maximum(self.hi, 0)), bit_length(-1 - np.minimum(self.lo, -1)))
        return np.asarray(np.maximum(bits + self.signed, 1))

    @cached_property
    def is_constant(self) -> Array:
        return np.asarray(self.lo == self.hi, dtype=bool)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """(least lo, greatest hi) over the tensor; (0, 0) if it is empty."""
        return (int(self.lo.min()), int(self.hi.max())) if self.size else (0, 0)

    @cached_property
    def max_width(self) -> int:
        """Width of one lane that holds every element."""
        lo, hi = self.bounds
        signed = lo < 0
        return (
            max(hi.bit_length() if hi > 0 else 0, (-1 - lo).bit_length() if signed else 0, 1 - signed)
            + signed
        )

    def lane(self) -> Format:
        """The narrowest Format that holds every element."""
        return Format(self.max_width, self.max_width - self.frac, self.bounds[0] < 0)

    def contains(self, raw: Array) -> Array:
        """Per element of `raw` (batch axes first): is it in the proven set?"""
        raw = exact(raw)
        low = np.where(self.lo == self.hi, 0, self.stride)
        if int(low.max(initial=0)) > INT64_BITS:
            raw, low = to_object(raw), to_object(low)
        mask = np.left_shift(np.ones_like(low), low) - 1
        return np.asarray((raw >= self.lo) & (raw <= self.hi) & ((raw & mask) == 0), dtype=bool)

    def covers(self, other: TensorType) -> bool:
        """Does every value of `other` belong here (same shape and frac)?"""
        if (self.shape, self.frac) != (other.shape, other.frac):
            return False
        inside = (
            (self.lo <= other.lo)
            & (other.hi <= self.hi)
            & ((self.stride <= other.stride) | other.is_constant)
        )
        return bool(np.all(inside)) and bool(np.all(self.contains(other.lo)))

    def __repr__(self) -> str:
        return f"TensorType({self})"

    def __str__(self) -> str:
        lo, hi = self.bounds
        kind = "s" if lo < 0 else "u"
        dims = "x".join(map(str, self.shape)) or "scalar"
        return f"{dims} {kind}{self.max_width} frac {self.frac} raw {lo}..{hi}"


def _reaches(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Does an array of shape `own` broadcast to `shape`?"""
    return len(own) <= len(shape) and all(
        n in (1, m) for n, m in zip(reversed(own), reversed(shape), strict=False)
    )


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` as a tuple of non-negative ints; TypeError or ValueError otherwise."""
    if isinstance(shape, (int, np.integer)):
        raise TypeError(f"shape must be a tuple of integers, not {shape!r}")
    out = []
    for n in shape:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise TypeError(f"shape must hold integers, not {n!r}")
        if n < 0:
            raise ValueError(f"shape must hold non-negative integers, not {tuple(shape)!r}")
        out.append(int(n))
    return tuple(out)


def int_array(values: object) -> IntArray:
    """IntArray(values), for op parameters that users may give as lists or NumPy arrays."""
    return values if isinstance(values, IntArray) else IntArray(np.asarray(values))
