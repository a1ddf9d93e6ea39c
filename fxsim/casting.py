"""The one lossy operation: round to the new LSB, then decide overflow on the rounded integer.

Everything here works on exact integers: int64 where every step provably fits, Python integers beyond. The
rules are those of the vendors' ap_fixed and ac_fixed headers.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import (
    INT64_BITS,
    bit_length,
    exact,
    magnitude_bits,
    shift_left,
    to_object,
    trailing_zeros,
)

Array = NDArray[Any]

_DOUBLE_BITS = 54  # a double is a sign and 53 bits of significand, with a point of its own


def round_shift(raw: ArrayLike, shift: ArrayLike, rounding: Rounding) -> Array:
    """`raw` without its `shift` low bits, rounded; a negative shift appends zeros and loses nothing.

    `shift` broadcasts against `raw` and may exceed the width of raw. With ``half = 2**(shift - 1)``, TRN is
    ``raw >> shift`` and RND ``(raw + half) >> shift``; the other nearest modes add one less where a tie goes
    to the lower neighbour, and TRN_ZERO adds ``2**shift - 1`` to negative values.
    """
    v, s = exact(raw), np.asarray(shift, dtype=np.int64)
    shape = np.broadcast_shapes(v.shape, s.shape)
    if v.size == 0 or s.size == 0:
        return np.zeros(shape, np.int64)
    # A 0-d object array would decay to Python integers, and these to uint64.
    v, s = np.atleast_1d(v), np.atleast_1d(s)
    least, most = int(s.min()), int(s.max())
    q = v
    if most > 0:
        drop = s if least >= 0 else np.maximum(s, 0)
        # An int64 v has |v| < 2**62: dropping 63 bits or more leaves 0, or -1 of a negative by TRN, to which
        # dropping 62 bits comes as well.
        if v.dtype == object:
            q = exact(_rounded(v, to_object(drop), rounding))
        elif most <= INT64_BITS:
            q = _rounded(v, drop, rounding)
        else:
            q = _rounded(v, np.minimum(drop, INT64_BITS), rounding)
            if rounding is not Rounding.TRN:
                q = np.where(drop > INT64_BITS, 0, q)
    if least < 0:
        q = shift_left(q, np.maximum(-s, 0))
    return _shaped(q, shape)


def _rounded(v: Array, s: Array, rounding: Rounding) -> Array:
    # Needs s >= 0 and |v| + 2**s <= 2**63 in int64. Where s = 0, half is 0 and no mode may add anything.
    if rounding is Rounding.TRN:
        return np.asarray(np.right_shift(v, s))
    one = np.left_shift(np.ones_like(s), s)
    negative = (v < 0).astype(np.int64)
    if rounding is Rounding.TRN_ZERO:
        return np.asarray(np.right_shift(v + negative * (one - 1), s))
    half = np.right_shift(one, 1)
    if rounding is Rounding.RND:
        return np.asarray(np.right_shift(v + half, s))
    down: Array  # 1 where a tie goes to the lower neighbour
    match rounding:
        case Rounding.RND_MIN_INF:
            down = np.ones_like(negative)
        case Rounding.RND_ZERO:
            down = 1 - negative
        case Rounding.RND_INF:
            down = negative
        case Rounding.RND_CONV:
            down = 1 - (np.right_shift(v, s) & 1)
        case _:
            down = np.asarray(np.right_shift(v, s) & 1)
    return np.asarray(np.right_shift(v + half - down * (half != 0), s))


def overflow(
    q: ArrayLike,
    width: ArrayLike,
    signed: ArrayLike,
    mode: Overflow,
    n: int = 0,
    *,
    raw: ArrayLike | None = None,
    shift: ArrayLike | None = None,
    source_width: ArrayLike | None = None,
) -> Array:
    """The rounded integer `q` made to fit `width` bits; width 0 gives 0. The arguments broadcast.

    `n` is ap_fixed's number of saturated bits (WRAP and WRAP_SM). WRAP_SM with n = 0 reads the bit just above
    the new MSB of the un-rounded source `raw`, at position ``shift + width`` (0 at or beyond the declared
    `source_width`), so it needs these three.

    Raises ValueError for WRAP_SM on an unsigned element or without its source, and for n outside 0..width.
    """
    v, w, is_signed = exact(q), np.asarray(width, dtype=np.int64), np.asarray(signed, dtype=bool)
    shape = np.broadcast_shapes(v.shape, w.shape, is_signed.shape)
    if mode is Overflow.WRAP_SM and not is_signed.all():
        raise ValueError("signed must be True for overflow WRAP_SM, not False")
    if mode in (Overflow.WRAP, Overflow.WRAP_SM) and n and not (n > 0 and np.all((w == 0) | (w >= n))):
        raise ValueError(f"n must be in 0..width, not {n!r} (widths from {w.min()})")
    if v.size == 0 or w.size == 0 or is_signed.size == 0:
        return np.zeros(shape, np.int64)
    if int(w.min()) < 0:
        raise ValueError(f"width must not be negative, not {int(w.min())}")
    v, w = np.atleast_1d(v), np.atleast_1d(w)
    if v.dtype == object or int(w.max()) > INT64_BITS:
        v, w = to_object(v), to_object(w)
    bits = np.left_shift(np.ones_like(w), w)  # 2**width
    sign_bit = np.where(is_signed & (w > 0), np.right_shift(bits, 1), 0)
    hi = bits - 1 - sign_bit
    fitted = _wrap(v, bits, sign_bit)
    if mode is Overflow.WRAP and n == 0:
        return _shaped(fitted, shape)
    outside = fitted != v
    match mode:
        case Overflow.SAT:
            fitted = np.where(outside, np.where(v < 0, -sign_bit, hi), v)
        case Overflow.SAT_SYM:
            least = np.where(w > 1, -hi * (sign_bit != 0), -sign_bit)
            fitted = np.maximum(np.where(outside, np.where(v < 0, least, hi), v), least)
        case Overflow.SAT_ZERO:
            fitted = np.where(outside, 0, v)
        case Overflow.WRAP:
            fitted = np.where(outside, _wrap_top(v, fitted, bits, sign_bit, n), v)
        case Overflow.WRAP_SM:
            if n:
                bent = _wrap_sign_magnitude(v, fitted, bits, sign_bit, n)
            else:
                if raw is None or shift is None or source_width is None:
                    raise ValueError(
                        "raw, shift and source_width must be given for WRAP_SM with n = 0, not None"
                    )
                kept = _bit_above(raw, np.asarray(shift) + np.asarray(width), np.asarray(source_width))
                bent = np.where(kept == (fitted < 0), fitted, ~fitted)
            fitted = np.where(outside, bent, v)
    return _shaped(fitted * (w > 0), shape)


def _shaped(a: Array, shape: tuple[int, ...]) -> Array:
    a = exact(a)
    return a.reshape(shape) if a.size == prod(shape) else np.array(np.broadcast_to(a, shape))


def _wrap(v: Array, bits: Array, sign_bit: Array) -> Array:
    low = v & (bits - 1)
    return np.asarray(np.where((low & sign_bit) != 0, low - bits, low))


def _wrap_top(v: Array, fitted: Array, bits: Array, sign_bit: Array, n: int) -> Array:
    # The n top bits, ones: unsigned sets them all; signed sets the sign, and its negation in the n - 1 below.
    top = bits - np.right_shift(bits, n)
    magnitude = top - sign_bit
    code = fitted & (bits - 1)
    positive = (code & ~top) | magnitude
    negative = (code & ~top) | sign_bit
    return _wrap(np.where(sign_bit == 0, code | top, np.where(v < 0, negative, positive)), bits, sign_bit)


def _wrap_sign_magnitude(v: Array, fitted: Array, bits: Array, sign_bit: Array, n: int) -> Array:
    negative = v < 0
    if n == 1:
        flip = (fitted < 0) != negative
    else:
        flip = ((fitted & np.right_shift(bits, n)) != 0) == negative
    return _wrap_top(v, np.where(flip, ~fitted, fitted), bits, sign_bit, n)


def _bit_above(raw: ArrayLike, position: Array, source_width: Array) -> Array:
    v, position = np.atleast_1d(exact(raw)), np.atleast_1d(position)
    inside = (position >= 0) & (position < source_width)
    if v.dtype == object:
        bit = np.right_shift(v, to_object(np.maximum(position, 0))) & 1
    else:
        bit = np.right_shift(v, np.clip(position.astype(np.int64), 0, 63)) & 1
    return np.asarray(inside & (bit != 0))


def cast_raw(
    raw: ArrayLike,
    *,
    src_frac: ArrayLike,
    frac: ArrayLike,
    width: ArrayLike,
    signed: ArrayLike,
    rounding: Rounding,
    overflow: Overflow,
    n: int = 0,
    source_width: ArrayLike | None = None,
) -> Array:
    """``raw * 2**-src_frac`` rounded to a multiple of ``2**-frac`` and fitted into `width` bits.

    `src_frac`, `frac`, `width` and `signed` broadcast against raw (one entry per element or one for all).
    `source_width` is the declared width of the source, read by WRAP_SM with n = 0 only.
    """
    shift = np.asarray(src_frac, dtype=np.int64) - np.asarray(frac, dtype=np.int64)
    q = round_shift(raw, shift, rounding)
    return _overflow(q, width, signed, overflow, n, raw=raw, shift=shift, source_width=source_width)


_overflow = overflow


def cast(raw: ArrayLike, src: Format, dst: Format) -> Array:
    """Raw integers of `src` as raw integers of `dst`, by the rounding and overflow of `dst`.

    Raises TypeError where raw is not integer, ValueError (naming the first bad index) where `src` lacks it.
    """
    for name, fmt in (("src", src), ("dst", dst)):
        if not isinstance(fmt, Format):
            raise TypeError(f"{name} must be a fxsim.Format, not {fmt!r}")
    v = exact(raw)
    outside = (v < src.lo) | (v > src.hi)
    if np.any(outside):
        raise ValueError(f"raw must be in {src.lo}..{src.hi} ({src}), not {_first(v, outside)}")
    return _cast_to(v, src.frac, src.width, dst)


def _cast_to(v: Array, src_frac: ArrayLike, source_width: int, dst: Format) -> Array:
    return cast_raw(
        v,
        src_frac=src_frac,
        frac=dst.frac,
        width=dst.width,
        signed=dst.signed,
        rounding=dst.rounding,
        overflow=dst.overflow,
        n=dst.saturation_bits,
        source_width=source_width,
    )


def from_double(x: ArrayLike, dst: Format) -> Array:
    """Real values (float64 or narrower, or integers of any size) as raw integers of `dst`.

    Every double is a 54-bit signed integer with a point of its own, so the cast is exact integer arithmetic;
    -0 gives 0. Raises ValueError for NaN and infinity, naming the first bad index; TypeError for other types.
    """
    a = np.asarray(x)
    if a.dtype.kind in "iubO":
        v = exact(a)
        widest = max((int(e).bit_length() + 1 for e in v.ravel()), default=1) if v.dtype == object else 64
        return _cast_to(v, 0, max(widest, 64), dst)
    if a.dtype.kind != "f" or a.dtype.itemsize > 8:
        raise TypeError(f"x must be float64 or narrower, or integers, not {a.dtype}")
    bad = ~np.isfinite(a)
    if np.any(bad):
        raise ValueError(f"x must be finite, not {_first(a, bad)}")
    significand, exponent = np.frexp(a.astype(np.float64))
    v = np.ldexp(significand, _DOUBLE_BITS - 1).astype(np.int64)
    return _cast_to(v, (_DOUBLE_BITS - 1) - exponent.astype(np.int64), _DOUBLE_BITS, dst)


def to_double(raw: ArrayLike, frac: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """``raw * 2**-frac`` as float64, and a mask of the elements that float64 does not hold exactly.

    Not held are codes of more than 53 bits from the first to the last one, and values beyond float64's
    exponents.
    """
    v = exact(raw)
    narrow = v.dtype != object and magnitude_bits(v) <= 53
    zeros = np.zeros(v.shape, np.int64) if narrow else trailing_zeros(v, 0)
    odd = exact(np.right_shift(v, to_object(zeros) if v.dtype == object else zeros))
    lost = np.asarray(bit_length(odd) > 53)
    whole = np.asarray(np.where(lost, 0, odd)).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        values = np.asarray(np.ldexp(whole, zeros - frac))
        lost |= ~np.isfinite(values) | (np.ldexp(values, frac - zeros) != whole)
    return values, lost


def _first(a: Array, bad: Array) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{a[index]} at index {index}" if index else f"{a[()]}"
