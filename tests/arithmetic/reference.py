"""What rounding and overflow mean, by real numbers and strings of bits: one value at a time."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, trunc

from fxsim.formats import Overflow, Rounding

HALF = Fraction(1, 2)


def round_real(x: Fraction, rounding: Rounding) -> int:
    """The integer that `rounding` puts in the place of x."""
    if rounding is Rounding.TRN:
        return floor(x)
    if rounding is Rounding.TRN_ZERO:
        return trunc(x)
    if x - floor(x) != HALF:
        return floor(x + HALF)
    match rounding:
        case Rounding.RND:
            return ceil(x)
        case Rounding.RND_MIN_INF:
            return floor(x)
        case Rounding.RND_ZERO:
            return trunc(x)
        case Rounding.RND_INF:
            return ceil(x) if x > 0 else floor(x)
        case Rounding.RND_CONV:
            return floor(x) if floor(x) % 2 == 0 else ceil(x)
        case _:
            return ceil(x) if floor(x) % 2 == 0 else floor(x)


def to_text(q: int, width: int) -> str:
    """The low `width` bits of q, MSB first, in two's complement."""
    return "".join(str(q // 2**i % 2) for i in reversed(range(width)))


def from_text(bits: str, signed: bool) -> int:
    value = sum(2**i for i, bit in enumerate(reversed(bits)) if bit == "1")
    return value - 2 ** len(bits) if signed and bits[0] == "1" else value


def _invert(bits: str) -> str:
    return "".join("1" if b == "0" else "0" for b in bits)


def fit(q: int, width: int, signed: bool, mode: Overflow, n: int, source: str, position: int) -> int:
    """q in `width` bits; `source` is the un-rounded raw, whose bit `position` stands above the new MSB."""
    if width == 0:
        return 0
    lo, hi = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    if lo <= q <= hi:
        return -hi if mode is Overflow.SAT_SYM and signed and width > 1 and q == lo else q
    bits, sign = to_text(q, width), "1" if q < 0 else "0"
    other = _invert(sign)
    if mode is Overflow.SAT:
        return max(lo, min(hi, q))
    if mode is Overflow.SAT_SYM:
        return max(-hi if signed and width > 1 else lo, min(hi, q))
    if mode is Overflow.SAT_ZERO:
        return 0
    if mode is Overflow.WRAP and n == 0:
        return from_text(bits, signed)
    if mode is Overflow.WRAP:
        top = sign + other * (n - 1) if signed else "1" * n
        return from_text(top + bits[n:], signed)
    if n == 0:
        dropped = source[len(source) - 1 - position] if 0 <= position < len(source) else "0"
        return from_text(bits if bits[0] == dropped else _invert(bits), signed)
    if n == 1:
        return from_text(bits if bits[0] == sign else _invert(bits), signed)
    if bits[n - 1] == sign:
        bits = _invert(bits)
    return from_text(sign + other * (n - 1) + bits[n:], signed)
