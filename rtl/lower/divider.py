"""Division truncated toward zero by unrolled restoring steps, and the variable left shift."""

from __future__ import annotations

from rtl.lower.net import Wire, width_of
from rtl.lower.netlist import Netlist


def divide(nl: Netlist, a: Wire, b: Wire, bounds: tuple[int, int]) -> Wire:
    """a / b truncated toward zero, 0 where b is 0: one compare and one subtraction per quotient bit."""
    if b.is_constant and not b.value:
        return nl.const(0)
    below, sign_a, sign_b = nl.const(0), nl.less(a, nl.const(0)), nl.less(b, nl.const(0))
    if b.is_constant and abs(b.value) & abs(b.value) - 1 == 0:
        quotient = nl.floor(magnitude(nl, a, sign_a), abs(b.value).bit_length() - 1)
    else:
        quotient = _unsigned(nl, magnitude(nl, a, sign_a), magnitude(nl, b, sign_b))
    negative = nl.differ(sign_a, sign_b)
    signed = nl.mux(negative, nl.neg(quotient), quotient)
    return nl.fit(nl.mux(nl.equal(b, below, different=True), signed, below), *bounds)


def magnitude(nl: Netlist, a: Wire, negative: Wire) -> Wire:
    """|a|, given its sign."""
    return nl.mux(negative, nl.neg(a), a, (max(0, a.lo, -a.hi), max(abs(a.lo), abs(a.hi))))


def _unsigned(nl: Netlist, a: Wire, b: Wire) -> Wire:
    """a // b for a >= 0 and b >= 1; any value where b is 0."""
    width, most = width_of(0, a.hi), b.hi
    remainder = nl.const(0)
    bits: list[tuple[Wire, int]] = []
    for i in reversed(range(width)):
        remainder = nl.cat([(nl.bit(a, i), 1), (remainder, remainder.net.width + remainder.zeros)], False)
        remainder = nl.read(remainder, 0, min(2 * most - 1, a.hi >> i))
        bit = nl.at_least(remainder, b)
        if not bit.is_constant or bit.value:
            rest = nl.sub(remainder, b)
            # The difference is used only where it is not negative.
            rest = (
                nl.read(rest, max(0, rest.lo), min(most - 1, remainder.hi)) if rest.hi >= 0 else nl.const(0)
            )
            remainder = nl.mux(bit, rest, remainder, (0, min(most - 1, remainder.hi)))
        bits.append((bit, 1))
    return nl.cat(bits[::-1], False)


def shift_left(nl: Netlist, a: Wire, n: Wire) -> Wire:
    """a << n for a varying n >= 0: one row of multiplexers per bit of n."""
    if n.is_constant:
        return nl.shift(a, n.value)
    lo, hi, most = a.lo, a.hi, 0
    for k in range(n.net.width):
        step = 1 << (k + n.zeros)
        most = min(most + step, n.hi)  # what the bits so far can shift by
        bounds = (min(lo, lo << most), max(hi, hi << most))
        a = nl.mux(nl.bit(Wire(n.net), k), nl.shift(a, step), a, bounds)
    return a
