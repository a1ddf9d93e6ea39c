"""Sums of unsigned codes: the arithmetic of offsets and signs, and what an adder of them costs.

The value v of a sum is kept as an unsigned code n with v = sign * ((n << zeros) - offset). A code has no sign
to extend: where only one operand of an adder has a bit, the carry chain passes it without a LUT. Constants
wander into the offset. Of codes with unequal signs n + ~m is taken, with constant bits above the lower one,
which the offset makes up for: what multipliers do instead of extending the signs of partial products.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtl.lower.net import Net, width_of

CHAIN = 0.25
"""Cost of a position of a carry chain without a LUT, in LUTs: its place holds no other logic."""

LEVEL = 3.0
"""Cost of an adder more on the way to a value, in LUTs: registers, or speed."""


@dataclass(frozen=True, slots=True)
class Code:
    """What is known of a value: v = sign * ((n << zeros) - offset) for a net n in lo..hi.

    A value that is no sum is its own code, signed where the value is; sums that read it flip its sign bit.
    """

    lo: int
    hi: int
    zeros: int = 0
    sign: int = 1
    offset: int = 0

    @property
    def is_constant(self) -> bool:
        return self.lo == self.hi

    @property
    def value(self) -> int:
        """v of a constant."""
        return self.sign * ((self.lo << self.zeros) - self.offset)

    @property
    def top(self) -> int:
        """One more than the position of the highest bit, at the value's scale."""
        return self.zeros + width_of(self.lo, self.hi)

    @property
    def bias(self) -> int:
        """What flipping the sign bit adds, at the value's scale."""
        return 1 << self.top - 1 if self.lo < 0 else 0

    def shifted(self, k: int, sign: int = 1) -> Code:
        """The code of sign * v * 2**k."""
        return Code(self.lo, self.hi, self.zeros + k, sign * self.sign, self.offset << k)

    def plus(self, constant: int) -> Code:
        return Code(self.lo, self.hi, self.zeros, self.sign, self.offset - self.sign * constant)


@dataclass(frozen=True, slots=True)
class Sum:
    """How an adder makes one code of two: its net is p +- (q << shift) + constant.

    swapped   whether p is the second operand
    constant  at the scale of p's net
    """

    code: Code
    minus: bool
    swapped: bool
    shift: int
    constant: int
    cost: float


def combine(
    a: Code, b: Code, lo: int, hi: int, bits: int | None, positive: bool,
    more: tuple[int, int] = (0, 0), carry: int = 0,
) -> Sum:  # fmt: skip
    """The code of the value of a plus that of b, which lies in lo..hi; `bits`: it is needed modulo 2**bits.

    The operand of the lower bits comes first: they pass by. `positive` asks for sign 1 where both will do.
    more   is added to a and to b: multiples of a power of two above either, which need no adder of their own
    carry  1: into the lowest bit of the chain
    """
    swapped = a.zeros > b.zeros or (a.zeros == b.zeros and positive and a.sign < b.sign)
    p, q = (b, a) if swapped else (a, b)
    more_p, more_q = more[::-1] if swapped else more
    zeros, shift = p.zeros, q.zeros - p.zeros
    minus = p.sign != q.sign
    top = max(p.top, q.top)
    if minus:
        # p + ones + ~q with ones above the lower of both: there the other's bits pass the chain unchanged.
        fill = (1 << q.top) - (1 << max(p.top, q.zeros)) if p.top < q.top else (1 << q.top) - (1 << p.top)
        constant = p.bias - q.bias + fill - (1 << q.zeros)
        constant += more_p - more_q + (carry << q.zeros)
        offset = p.offset - q.offset + constant
    else:
        constant = p.bias + q.bias + more_p + more_q + (carry << q.zeros)
        offset = p.offset + q.offset + constant
    if bits is not None:
        width = bits - zeros
        least, most = 0, (1 << max(width, 0)) - 1
        constant &= (1 << bits) - 1
    else:
        ends = (lo, hi) if p.sign > 0 else (-hi, -lo)
        least, most = -(-(ends[0] + offset) >> zeros), ends[1] + offset >> zeros
        # A multiple of 2**top more or less only changes constant bits above both operands.
        unit = 1 << top - zeros
        excess = least // unit * unit
        least, most = least - excess, most - excess
        constant, offset = constant - (excess << zeros), offset - (excess << zeros)
        width = most.bit_length()
    code = Code(least, most, zeros, p.sign, offset)
    both = max(min(p.top, q.top, zeros + width) - q.zeros, 0)
    chain = max(zeros + width - q.zeros, 0) if both or minus else 0  # side by side there is no adder
    cost = both + CHAIN * max(chain - both, 0)
    return Sum(code, minus, swapped, shift, constant >> zeros, cost)


def cost_of_value(code: Code, width: int) -> float:
    """Of the adder with a constant that turns a code into `width` bits of its value."""
    constant = -code.sign * code.offset
    if code.sign < 0:
        constant += 1 << code.zeros  # plus the inverted code, which is one short of its negative
    constant &= (1 << width) - 1
    ones = constant.bit_count() if code.sign > 0 else width - constant.bit_count()
    if code.sign > 0 and not constant & (1 << width - 1) - 1:
        return float(ones)
    chain = width - (max((constant & -constant).bit_length() - 1, 0) if code.sign > 0 else code.zeros)
    return LEVEL + ones + CHAIN * chain


def cost_of_net(net: Net, bits: int) -> float:
    """Of an adder of plain two's complements of which `bits` are needed: LUTs, inverters, chain positions."""
    if net.kind == "neg":
        return bits + CHAIN * bits
    (a, b), (j, k) = net.args, net.params
    if a.is_constant or b.is_constant:
        value, other = (a.lo << j, b) if a.is_constant else (b.lo << k, a)
        sign = -1 if a.is_constant else 1
        return cost_of_value(Code(other.lo, other.hi, 0, sign, -sign * value), bits)
    start = max(j, k) if net.kind == "add" else k
    (low, narrow), (high, _) = sorted(((a.width + j, a.signed), (b.width + k, b.signed)))
    low, high = min(low, bits), min(high, bits)
    if low <= start and not narrow and net.kind == "add":
        return 0.0
    luts = (
        max(low - start, 0) + (high - max(low, start) if narrow and high > start else 0) + (net.kind == "sub")
    )
    return luts + CHAIN * max(bits - start - luts, 0)
