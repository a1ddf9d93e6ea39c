"""Integers as sums of signed powers of two: the sparsest form, the greedy one, the nearest of few ones."""

from __future__ import annotations

from collections.abc import Iterable

Digits = tuple[tuple[int, int], ...]
"""(sign, shift) of each term sign * 2**shift, sign +1 or -1, the highest shift first."""


def csd(n: int) -> Digits:
    """Canonical signed digits (non-adjacent form) of n: no form has fewer terms, no two are neighbours.

    From the lowest bit: if n is odd its digit is 2 - n mod 4, taken off; then n /= 2. At most
    floor(bits / 2) + 1 terms, bits / 3 + 4 / 9 on average.
    """
    found: list[tuple[int, int]] = []
    shift = 0
    while n:
        if n & 1:
            digit = 2 - n % 4
            n -= digit
            found.append((digit, shift))
        n >>= 1
        shift += 1
    return tuple(reversed(found))


def sparse(n: int) -> Digits:
    """As few terms as `csd`, and no shift that can be avoided: 2**(t+1) - 2**(t-1) becomes 2**t + 2**(t-1).

    A pair of opposite signs is so replaced at the top only, where it would cost one shift more.
    """
    found = csd(n)
    if len(found) > 1 and found[0][0] == -found[1][0] and found[0][1] == found[1][1] + 2:
        sign, shift = found[0]
        return ((sign, shift - 1), (sign, shift - 2), *found[2:])
    return found


def nearest_power(n: int) -> int:
    """log2 of the power of two nearest to n >= 1, the higher of two equally near ones."""
    low = n.bit_length() - 1
    return low + (2 * n >= 3 << low)


def greedy(n: int, terms: int) -> Digits:
    """`terms` times the power of two nearest to what is left: a nearest integer of that many signed digits.

    Exact where n has no more digits than that. The first shift may pass the bits of n by one.
    """
    found: list[tuple[int, int]] = []
    while n and len(found) < terms:
        sign, shift = (1 if n > 0 else -1), nearest_power(abs(n))
        found.append((sign, shift))
        n -= sign << shift
    return tuple(found)


def truncated(m: int, terms: int) -> int:
    """m >= 0 with its `terms` most significant ones only."""
    out = 0
    for _ in range(min(terms, m.bit_count())):
        out |= 1 << (m ^ out).bit_length() - 1
    return out


def nearest(m: int, terms: int, bits: int) -> int:
    """The integer of 0..2**bits - 1 nearest to m with at most `terms` ones; the greater of two."""
    below = truncated(m, terms)
    if below == m:
        return m
    # A number above m first differs from it where m has a 0; the least such has only zeros behind that place.
    above = [(m >> p | 1) << p for p in range(bits) if not m >> p & 1]
    above = [a for a in above if a.bit_count() <= terms]
    return min([below, *above], key=lambda v: (abs(v - m), -v))


def value(digits: Iterable[tuple[int, int]]) -> int:
    """The integer that digits stand for."""
    return sum(sign << shift for sign, shift in digits)
