"""hls4ml's precisions as formats, and its weights as the numbers that its C++ reads from text."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.casting import from_double
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array, exact


def fmt(precision: Any) -> Format:
    """The format of an hls4ml precision, of a type that wraps one (NamedType, PackedType), or of its text.

    A cast to an integer type goes toward zero, as ap_int takes an ap_fixed or a double.

    Raises ValueError for a type that was never inferred, NotImplementedError for floats and exponents.
    """
    if isinstance(precision, str):
        return Format.parse(precision)
    while not hasattr(precision, "width") and hasattr(precision, "precision"):
        precision = precision.precision
    kind = type(precision).__name__
    if kind == "FixedPrecisionType":
        return Format(
            precision.width, precision.integer, bool(precision.signed),
            Rounding(precision.rounding_mode.name), Overflow(precision.saturation_mode.name),
            precision.saturation_bits,
        )  # fmt: skip
    if kind == "IntegerPrecisionType":
        return Format(precision.width, precision.width, bool(precision.signed), Rounding.TRN_ZERO)
    if kind == "XnorPrecisionType":
        return Format(1, 1, False, Rounding.TRN_ZERO)
    if kind == "UnspecifiedPrecisionType":
        raise ValueError("precision must be a type, not auto, which hls4ml did not infer; give it one")
    raise NotImplementedError(
        f"precision must be fixed-point or integer, not {precision!s} ({kind}): it has no exact integer form"
    )


def is_binary(precision: Any) -> bool:
    """Is it the 1-bit type whose codes 0 and 1 stand for -1 and +1?"""
    while not hasattr(precision, "width") and hasattr(precision, "precision"):
        precision = precision.precision
    return type(precision).__name__ == "XnorPrecisionType"


def is_integer(precision: Any) -> bool:
    """Is the C++ type ap_int or ap_uint, not ap_fixed?"""
    while not hasattr(precision, "width") and hasattr(precision, "precision"):
        precision = precision.precision
    return type(precision).__name__ in ("IntegerPrecisionType", "XnorPrecisionType")


def text_digits(precision: Any) -> int:
    """Decimal digits with which hls4ml prints a weight of this type: its fraction bits, at least 0."""
    return max(fmt(precision).frac, 0)


def from_text(values: Any, precision: Any) -> Array:
    """Raw integers of weights as the C++ holds them: printed with `text_digits` decimals, read back as a
    double, cast to the type by its own rounding and overflow.

    So 0.749 in fixed<8,6> is 0.75, not 0.5. Lost: what the decimal digits and then the type do not hold.
    """
    digits = text_digits(precision)
    flat = np.asarray(values)
    found = [float(f"{float(v):.{digits}f}") for v in flat.ravel().tolist()]
    return from_double(np.array(found, np.float64).reshape(flat.shape), fmt(precision))


def from_real(x: Array, target: Format, integer: bool = False) -> Array:
    """Raw integers of doubles as the constructor of ap_fixed, or ap_int, makes them.

    WRAP wraps, and what is not finite counts as 2**1024 with its sign, which wraps to 0 and saturates to an
    end. ap_int makes 1 of what lies in -0.5 < x < 0; so does this.
    """
    if not integer and (near := _in_range(x, target)) is not None:
        return near
    huge = np.copysign(2.0**1000, x)
    x = np.where(np.isfinite(x), x, huge)
    return from_double(np.where((x < 0) & (x > -0.5), 1.0, x) if integer else x, target)


# float64's own rounding of x * 2**frac, which is exact, where every result fits the format.
_ROUNDINGS = {Rounding.TRN: np.floor, Rounding.TRN_ZERO: np.trunc, Rounding.RND_CONV: np.rint}


def _in_range(x: Array, target: Format) -> Array | None:
    """The same, quickly, where nothing overflows; None elsewhere."""
    round_ = _ROUNDINGS.get(target.rounding)
    if round_ is None or target.width > 53 or abs(target.frac) > 900 or not x.size:
        return None
    codes = np.asarray(x * 2.0**target.frac)
    round_(codes, out=codes)
    least = target.lo + (target.overflow is Overflow.SAT_SYM)
    if not (codes.min() >= least and codes.max() <= target.hi):  # NaN is not in range either
        return None
    return codes.astype(np.int64)


def to_real(raw: Array, frac: int, dtype: Any) -> Array:
    """raw * 2**-frac in `dtype` (float32 or float64), rounded once to nearest, ties to even."""
    raw = exact(raw)
    bits = 24 if np.dtype(dtype) == np.float32 else 53
    if raw.dtype != object and raw.size and raw.min() > -(1 << 53) and raw.max() < 1 << 53:
        if abs(frac) <= 900:  # a power of two multiplies exactly
            return (raw * 2.0**-frac).astype(dtype)
        return np.ldexp(raw.astype(np.float64), -frac).astype(dtype)
    return np.array([_nearest(int(v), frac, bits) for v in raw.ravel()], dtype).reshape(raw.shape)


def _nearest(raw: int, frac: int, bits: int) -> float:
    excess = max(abs(raw).bit_length() - bits, 0)
    if excess:
        kept, rest = raw >> excess, raw & ((1 << excess) - 1)
        half = 1 << (excess - 1)
        raw = (kept + (rest > half or (rest == half and kept & 1))) << excess
    return float(np.ldexp(float(raw >> excess), excess - frac))
