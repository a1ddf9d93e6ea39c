"""Lookups: a table by index, a count of thresholds reached, the position of the leading one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.graph import Op
from fxsim.integers import Array, IntArray, bit_length, exact, to_object, trailing_zeros
from fxsim.ops.common import check_axis, check_int
from fxsim.ranges import ZERO_STRIDE
from fxsim.types import TensorType, int_array


@dataclass(frozen=True)
class Table(Op):
    """raw = entries[x - base] for an integer code x proven in base..base + n - 1; result has `frac`.

    `entries` has shape (n,), or (channels, n) with `axis` naming the operand's channel axis. The operand is
    read by its raw code, whatever its frac. `function` names the reference function, `max_error` its largest
    distance from the entries over all codes, in LSB of the result (None if there is no reference).
    """

    entries: IntArray
    base: int = 0
    frac: int = 0
    axis: int | None = None
    function: str = ""
    max_error: Fraction | None = None

    def __post_init__(self) -> None:
        entries = int_array(self.entries)
        object.__setattr__(self, "entries", entries)
        if entries.array.ndim != (1 if self.axis is None else 2) or not entries.shape[-1]:
            raise ValueError(
                "entries of Table must have shape (n,), or (channels, n) with an axis, n >= 1, "
                f"not {entries.shape}"
            )
        check_int("base of Table", self.base)
        check_int("frac of Table", self.frac)

    @classmethod
    def of(
        cls, function: Callable[[Fraction], Fraction | float], codes: TensorType, frac: int, name: str = ""
    ) -> Table:
        """Entries round(function(code value) * 2**frac), ties to even, for every code of `codes`; error
        enumerated."""
        lo, hi = codes.bounds
        unit = Fraction(2) ** -codes.frac
        exact_values = [
            Fraction(function(Fraction(c) * unit)) * Fraction(2) ** frac for c in range(lo, hi + 1)
        ]
        entries = [round(v) for v in exact_values]
        error = max(abs(v - e) for v, e in zip(exact_values, entries, strict=True))
        return cls(IntArray(to_object(np.array(entries, object))), lo, frac, None, name, error)

    @property
    def monotone(self) -> int:
        """1 if no entry is below its predecessor, -1 if none is above, else 0 (a constant table gives 1)."""
        d = np.diff(self.entries.array, axis=-1)
        return 1 if np.all(d >= 0) else -1 if np.all(d <= 0) else 0

    @property
    def lipschitz(self) -> int:
        """Largest |entries[i + 1] - entries[i]|: LSB of the result per LSB of the operand."""
        d = np.abs(np.diff(self.entries.array, axis=-1))
        return int(d.max()) if d.size else 0

    def infer(self, *args: TensorType) -> TensorType:
        (x,) = args
        n = self.entries.shape[-1]
        lo, hi = x.bounds
        if x.size and (lo < self.base or hi >= self.base + n):
            raise TypeError(
                f"Table covers codes {self.base}..{self.base + n - 1}, but the operand has {lo}..{hi}"
            )
        channel = _channels(self, x, self.axis, self.entries)
        out_lo, out_hi = np.empty(x.shape, object), np.empty(x.shape, object)
        stride = np.empty(x.shape, np.int64)
        seen: dict[tuple[int, int, int, int], tuple[int, int, int]] = {}
        rows = self.entries.array.reshape(-1, n)
        for i in np.ndindex(x.shape):
            key = (int(channel[i]), int(x.lo[i]), int(x.hi[i]), int(x.stride[i]))
            if key not in seen:
                c, a, b, s = key
                part = rows[c, a - self.base : b - self.base + 1 : 1 if a == b else 1 << s]
                seen[key] = (int(part.min()), int(part.max()), int(trailing_zeros(part, ZERO_STRIDE).min()))
            out_lo[i], out_hi[i], stride[i] = seen[key]
        return TensorType(x.shape, self.frac, exact(out_lo), exact(out_hi), stride)


@dataclass(frozen=True)
class Threshold(Op):
    """code = #{j : x >= levels[c, j]}, or #{j : x <= levels[c, j]} where falling[c]; raw x, frac 0.

    `levels` has shape (channels, n), each row ascending (raw integers at the operand's frac); one row serves
    all elements when `axis` is None, else `axis` names the operand's channel axis.
    """

    levels: IntArray
    axis: int | None = None
    falling: IntArray | None = None

    def __post_init__(self) -> None:
        levels = int_array(self.levels)
        if levels.array.ndim != 2 or not levels.shape[0]:
            raise ValueError(f"levels of Threshold must have shape (channels, n), not {levels.shape}")
        if self.axis is None and levels.shape[0] != 1:
            raise ValueError(
                f"levels of Threshold must have one row when axis is None, not {levels.shape[0]}"
            )
        if np.any(levels.array[:, 1:] < levels.array[:, :-1]):
            raise ValueError("levels of Threshold must ascend in every row")
        falling = int_array(np.zeros(levels.shape[0], np.int64) if self.falling is None else self.falling)
        if falling.shape != levels.shape[:1] or np.any((falling.array != 0) & (falling.array != 1)):
            raise ValueError(f"falling of Threshold must hold 0 or 1 per channel, not {falling!r}")
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "falling", falling)

    def infer(self, *args: TensorType) -> TensorType:
        (x,) = args
        channel = _channels(self, x, self.axis, self.levels)
        at_lo = count_levels(x.lo, channel, self)
        at_hi = count_levels(x.hi, channel, self)
        lo, hi = np.minimum(at_lo, at_hi), np.maximum(at_lo, at_hi)
        return TensorType(x.shape, 0, lo, hi, self._stride(x, channel, lo, hi))

    def _stride(self, x: TensorType, channel: Array, lo: Array, hi: Array) -> Array:
        """0 unless repeated levels (or a coarse operand) skip every odd count."""
        stride = np.zeros(x.shape, np.int64)
        cache: dict[tuple[int, int, int, int], int] = {}
        for i in np.argwhere(lo != hi):
            k = tuple(i)
            key = (int(channel[k]), int(x.lo[k]), int(x.hi[k]), int(x.stride[k]))
            if key not in cache:
                cache[key] = _reached_stride(self, *key)
            stride[k] = cache[key]
        return stride


def _reached_stride(op: Threshold, channel: int, lo: int, hi: int, stride: int) -> int:
    """log2 stride of the counts at lo and just where each level is first (or last) met."""
    step = 1 << stride
    assert op.falling is not None
    falling = bool(op.falling.array[channel])
    points = {lo, hi}
    for level in op.levels.array[channel].tolist():
        on = level // step * step if falling else -(-level // step) * step
        points.update(p for p in (on, on + step if falling else on - step) if lo <= p <= hi)
    codes = count_levels(np.array(sorted(points), object), np.full(len(points), channel), op)
    return int(trailing_zeros(codes, ZERO_STRIDE).min())


def count_levels(x: Array, channel: Array, op: Threshold) -> Array:
    """Per element, the code of raw x in its channel, by binary search."""
    x = exact(x)
    out = np.empty(x.shape, np.int64)
    assert op.falling is not None
    rows = op.levels.array
    for c in np.unique(channel) if x.size else ():
        mask = channel == c
        row, values = rows[c], x[mask]
        if row.dtype != values.dtype:
            row, values = row.astype(object), values.astype(object)
        if op.falling.array[c]:
            out[mask] = len(row) - np.searchsorted(row, values, side="left")
        else:
            out[mask] = np.searchsorted(row, values, side="right")
    return out


def _channels(op: Op, x: TensorType, axis: int | None, params: IntArray) -> Array:
    """Per element of x, the row of `params` that it uses."""
    if axis is None:
        return np.zeros(x.shape, np.int64)
    axis = check_axis(op, axis, x.ndim)
    if x.shape[axis] != params.shape[0]:
        raise TypeError(
            f"{type(op).__name__} has {params.shape[0]} channels, but axis {axis} of {x.shape} has not"
        )
    index = np.arange(params.shape[0]).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    return np.broadcast_to(index, x.shape)


@dataclass(frozen=True)
class LeadingOne(Op):
    """The number of significant bits of a raw x >= 0: floor(log2 x) + 1, and 0 for x = 0; frac 0."""

    def infer(self, *args: TensorType) -> TensorType:
        (x,) = args
        least = x.bounds[0]
        if least < 0:
            raise TypeError(f"LeadingOne needs an operand proven non-negative, not from {least}")
        lo, hi = bit_length(x.lo), bit_length(x.hi)
        # From 0 the next code of a multiple of 2**s is s + 1, so {0, s + 1} may have a stride of its own.
        jump = (lo == 0) & (hi == np.where(x.is_constant, 0, x.stride) + 1)
        return TensorType(x.shape, 0, lo, hi, np.where(jump, trailing_zeros(hi, ZERO_STRIDE), 0))
