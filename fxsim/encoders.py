"""Encoders with a format for each element, in the float32 arithmetic of the model file's own quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxsim.boundary import CodeEncoder
from fxsim.formats import Overflow, Rounding
from fxsim.integers import Array, IntArray, shift_left

_OVERFLOWS = (Overflow.WRAP, Overflow.SAT, Overflow.SAT_SYM)


@dataclass(frozen=True)
class ElementEncoder(CodeEncoder):
    """raw = overflow(round(x * 2**frac)) << (max(frac) - frac) per element, each step rounded to float32.

    `frac`, `width`, `signed` have the input's shape (or broadcast to it); width 0 gives 0. WRAP wraps, as
    the file's quantizer does; SAT clips before it rounds. Lost: all bits below the LSB and those that
    overflow.
    """

    frac: IntArray
    width: IntArray
    signed: IntArray
    rounding: Rounding = Rounding.RND
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        object.__setattr__(self, "rounding", Rounding(self.rounding))
        object.__setattr__(self, "overflow", Overflow(self.overflow))
        if self.overflow not in _OVERFLOWS:
            raise ValueError(f"overflow must be WRAP, SAT or SAT_SYM, not {self.overflow}")
        if np.any(self.width.array < 0):
            raise ValueError(f"width must not be negative, not {int(self.width.array.min())}")

    @property
    def result_frac(self) -> int:
        """The frac of the codes: the finest of all elements."""
        return int(self.frac.array.max())

    def span(self, ndim: int) -> tuple[Array, Array]:
        frac, width, signed = (a.array.astype(np.float64) for a in (self.frac, self.width, self.signed))
        top = np.exp2(width - signed)
        low, high = (np.where(width > 0, end, 0) * np.exp2(-frac) for end in (-top * signed, top - 1))
        return low, high

    def bounds(self) -> tuple[Array, Array]:
        width, signed = self.width.array, self.signed.array
        top = shift_left(np.ones_like(width), np.maximum(width - signed, 0))
        lost = self.result_frac - self.frac.array
        least = np.where(width > 0, -top * signed + (self.overflow is Overflow.SAT_SYM) * signed, 0)
        return shift_left(least, lost), shift_left(np.where(width > 0, top - 1, 0), lost)

    def has_code(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            scaled = np.ldexp(x, self.frac.array.astype(np.int32)) if self.overflow is Overflow.WRAP else x
        return np.isfinite(scaled)

    def codes(self, x: Array) -> Array:
        raw = float32_codes(
            x, self.frac.array, self.width.array, self.signed.array, self.rounding, self.overflow
        )
        return shift_left(raw, self.result_frac - self.frac.array)


def float32_codes(
    x: Array, frac: Array, width: Array, signed: Array, rounding: Rounding, overflow: Overflow | None
) -> Array:
    """Integer codes (at each element's own frac) of float32 numbers, every step rounded to float32.

    SAT and SAT_SYM clip, then round; WRAP rounds, then wraps; None only rounds. A NaN or infinity has no
    code: the caller excludes them.
    """
    x = np.asarray(x, np.float32)
    frac, width, signed = (np.asarray(a, np.int64) for a in (frac, width, signed))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        unit = np.ldexp(np.float32(1), frac.astype(np.int32)).astype(np.float32)
        limit = np.ldexp(np.float32(1), (width - signed - frac).astype(np.int32)).astype(np.float32)
        if overflow in (Overflow.SAT, Overflow.SAT_SYM):
            high = limit - np.float32(1) / unit
            low = -(high if overflow is Overflow.SAT_SYM else limit) * signed.astype(np.float32)
            x = np.where(x > high, high, np.where(x < low, low, x))
        q = round_float(x * unit, rounding) / unit
        if overflow is Overflow.WRAP:
            bias = signed.astype(np.float32) * limit
            q = np.remainder(q + bias, limit + bias) - bias
        codes = np.rint(q.astype(np.float64) * np.ldexp(1.0, frac.astype(np.int32)))
    if overflow is None:
        return codes.astype(np.int64)
    return np.where(width > 0, np.where(np.isfinite(codes), codes, 0), 0).astype(np.int64)


def round_float(x: Array, rounding: Rounding) -> Array:
    """x rounded to whole numbers in its own precision, as `floor(x + 0.5)` and its kin do there."""
    half = x.dtype.type(0.5)
    match rounding:
        case Rounding.TRN:
            out = np.floor(x)
        case Rounding.TRN_ZERO:
            out = np.trunc(x)
        case Rounding.RND:
            out = np.floor(x + half)
        case Rounding.RND_CONV:
            out = np.rint(x)
        case Rounding.RND_MIN_INF:
            out = -np.floor(half - x)
        case Rounding.RND_ZERO:
            out = -np.floor(half - np.abs(x)) * np.sign(x)
        case Rounding.RND_INF:
            out = np.floor(np.abs(x) + half) * np.sign(x)
        case _:
            raise ValueError(f"rounding must be a mode of ap_fixed, not {rounding}")
    return np.asarray(out)


__all__ = ["ElementEncoder", "float32_codes", "round_float"]
