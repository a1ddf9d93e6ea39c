"""2**x of negative x is an octave's value shifted: an enclosure, with equal ends only where it is exact."""

from __future__ import annotations

import random
from decimal import Context, Decimal
from fractions import Fraction

from fxsim.layers.references import PRECISION, UNIT, exp2

PRECISE = Context(prec=120)


def test_shifted_octaves_enclose():
    numbers = random.Random(1)
    for _ in range(500):
        x = -Fraction(numbers.randrange(1, 1 << 14), 1 << numbers.randrange(1, 10))
        low, high = exp2(x)
        value = PRECISE.power(Decimal(2), PRECISE.divide(Decimal(x.numerator), Decimal(x.denominator)))
        scaled = Fraction(PRECISE.multiply(value, Decimal(UNIT)))
        if x.denominator == 1:
            assert low <= scaled <= high <= low + 1 and (low == high) == (x >= -PRECISION)
        else:
            assert low < high <= low + 3 and low - 1 < scaled < high + 1
            assert low <= scaled <= high
