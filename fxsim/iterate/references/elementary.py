"""cos, sin, cosh, sinh, atan and atanh of rationals to 2**-120, in integers: references for iterations."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

BITS = 160  # of the fixed-point sums; fewer than 2**8 terms lose an LSB or two each


def rotated(z: Fraction, m: int) -> tuple[Fraction, Fraction]:
    """(cos z, sin z) for m = 1, (cosh z, sinh z) for m = -1, to 2**-128, for |z| <= 4: the power series."""
    step, term, sums, n = int(z * (1 << BITS)), 1 << BITS, [0, 0], 0
    while term and n < 200:
        sums[n % 2] += -term if m == 1 and n % 4 > 1 else term
        n += 1
        term = (term * step >> BITS) // n if term * step >= 0 else -((-term * step >> BITS) // n)
    return Fraction(sums[0], 1 << BITS), Fraction(sums[1], 1 << BITS)


def arctangent(t: Fraction) -> Fraction:
    """atan t to 2**-128: three halvings atan t = 2 atan(t / (1 + sqrt(1 + t**2))), then the power series."""
    one = 1 << BITS
    u = int(t * one)
    for _ in range(3):
        u = (u << BITS) // (one + isqrt(one * one + u * u))
    return Fraction(8 * _series(u, -1), one)


def artanh(t: Fraction) -> Fraction:
    """atanh t to 2**-120 for |t| <= 0.9: the power series."""
    return Fraction(_series(int(t * (1 << BITS)), 1), 1 << BITS)


def _series(u: int, sign: int) -> int:
    """The sum of sign**n u**(2 n + 1) / (2 n + 1)."""
    square, term, total, n = u * u >> BITS, u, 0, 0
    while abs(term) > 1:
        total += term // (2 * n + 1)
        term, n = sign * (term * square >> BITS), n + 1
    return total
