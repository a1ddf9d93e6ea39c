"""Real functions of dyadic numbers in proven enclosures: no table entry and no error rests on floats."""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import isqrt

# An enclosure (a, b) says a * 2**-PRECISION <= f(x) <= b * 2**-PRECISION; a == b only where f(x) is just
# that.
PRECISION = 128
UNIT = 1 << PRECISION
Enclosure = tuple[int, int]

# Decimal's exp, ln, sqrt and quotient are correctly rounded: each step errs by 10**-69 of its result. The
# steps below are at most 8 (for the normal distribution also a sum of at most 4000 positive terms), results
# stay below 2**64 and nothing cancels that is not compared with 1: the error is far below 2**-PRECISION.
_DECIMAL = Context(prec=70, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
_LN2 = _DECIMAL.ln(Decimal(2))
_ONE = Decimal(1)
_TAIL = Decimal(10) ** 58
_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986")


def _decimal(x: Fraction) -> Decimal:
    return _DECIMAL.divide(Decimal(x.numerator), Decimal(x.denominator))


def _around(value: Decimal) -> Enclosure:
    scaled = _DECIMAL.multiply(value, Decimal(UNIT)).to_integral_value(ROUND_FLOOR)
    return int(scaled) - 1, int(scaled) + 2


def _exactly(x: Fraction) -> Enclosure:
    n, d = x.numerator * UNIT, x.denominator
    return n // d, -(-n // d)


def exp(x: Fraction) -> Enclosure:
    """e**x, irrational but for x = 0."""
    return _exactly(Fraction(1)) if not x else _around(_DECIMAL.exp(_decimal(x)))


def exp2(x: Fraction) -> Enclosure:
    """2**x, rational where x is an integer only."""
    if x.denominator == 1:
        return _exactly(Fraction(2) ** int(x))
    if x < 0:  # 2**-k of an octave's value, whose fractions recur: shifting rounds outward, and keeps a < b
        k = -(x.numerator // x.denominator)
        low, high = _octave(x + k)
        return low >> k, -(-high >> k)
    return _octave(x)


@lru_cache(maxsize=1 << 15)
def _octave(x: Fraction) -> Enclosure:
    return _around(_DECIMAL.exp(_DECIMAL.multiply(_decimal(x), _LN2)))


def log2(x: Fraction) -> Enclosure:
    """log2 x for x > 0, rational at powers of two only (x dyadic)."""
    if x <= 0:
        raise ValueError(f"log2 needs a positive number, not {x}")
    if x.numerator & (x.numerator - 1) == 0 and x.denominator & (x.denominator - 1) == 0:
        return _exactly(Fraction(x.numerator.bit_length() - x.denominator.bit_length()))
    return _around(_DECIMAL.divide(_DECIMAL.ln(_decimal(x)), _LN2))


def reciprocal(x: Fraction) -> Enclosure:
    """1 / x for x != 0."""
    if not x:
        raise ValueError("reciprocal needs a number other than 0, not 0")
    return _exactly(1 / x)


def rsqrt(x: Fraction) -> Enclosure:
    """1 / sqrt x for x > 0: the floor and the ceiling of an integer square root."""
    if x <= 0:
        raise ValueError(f"rsqrt needs a positive number, not {x}")
    n, d = x.denominator * UNIT * UNIT, x.numerator
    root = isqrt(n // d)
    return root, root + (root * root * d != n)


def sigmoid(x: Fraction) -> Enclosure:
    """1 / (1 + e**-x)."""
    if not x:
        return _exactly(Fraction(1, 2))
    return _around(_DECIMAL.divide(_ONE, _DECIMAL.add(_ONE, _DECIMAL.exp(_decimal(-x)))))


def tanh(x: Fraction) -> Enclosure:
    """2 sigmoid(2 x) - 1."""
    if not x:
        return 0, 0
    low, high = sigmoid(2 * x)
    return 2 * low - UNIT, 2 * high - UNIT


def gelu(x: Fraction) -> Enclosure:
    """x * Phi(x) with Phi(x) = 1/2 + phi(x) * sum_n x**(2n+1) / (2n+1)!!, all terms of one sign."""
    if not x:
        return 0, 0
    if abs(x) >= 26:  # |x| (1 - Phi(|x|)) < 2**-PRECISION
        return (x * UNIT // 1 - 1, -(-x * UNIT // 1)) if x > 0 else (-1, 0)
    d, c = _decimal(abs(x)), _DECIMAL
    square, term, total, n = (
        c.multiply(d, d),
        d,
        d,
        1,
    )  # from n > 2 square on the tail is below its first term
    while c.multiply(term, _TAIL) > total or 2 * square > n:
        n += 2
        term = c.divide(c.multiply(term, square), Decimal(n))
        total = c.add(total, term)
    density = c.divide(c.exp(c.divide(c.minus(square), Decimal(2))), c.sqrt(c.multiply(Decimal(2), _PI)))
    upper = c.multiply(d, c.add(Decimal("0.5"), c.multiply(density, total)))
    return _around(upper if x > 0 else c.subtract(upper, d))


def exp_negative(x: Fraction) -> Enclosure:
    """e**-x."""
    return exp(-x)


def exp2_negative(x: Fraction) -> Enclosure:
    """2**-x."""
    return exp2(-x)


def log2_mantissa(x: Fraction) -> Enclosure:
    """log2(1 + x): what a leading one leaves of log2."""
    return log2(1 + x)


def reciprocal_mantissa(x: Fraction) -> Enclosure:
    """1 / (1 + x)."""
    return reciprocal(1 + x)


def rsqrt_mantissa(x: Fraction) -> Enclosure:
    """1 / sqrt(1 + x) for x < 1, and from 1 on the next octave, 1 / sqrt(2 x)."""
    return rsqrt(1 + x if x < 1 else 2 * x)


FUNCTIONS: dict[str, Callable[[Fraction], Enclosure]] = {
    f.__name__: f
    for f in (
        exp, exp2, log2, reciprocal, rsqrt, sigmoid, tanh, gelu, exp_negative, exp2_negative,
        log2_mantissa, reciprocal_mantissa, rsqrt_mantissa,
    )
}  # fmt: skip


@lru_cache(maxsize=64)
def enclosures(function: str, lo: int, hi: int, frac: int) -> tuple[Enclosure, ...]:
    """The enclosures of function(code * 2**-frac) for codes lo..hi."""
    if function not in FUNCTIONS:
        raise ValueError(f"function must be one of {', '.join(FUNCTIONS)}, not {function!r}")
    unit = Fraction(2) ** -frac
    return tuple(FUNCTIONS[function](code * unit) for code in range(lo, hi + 1))


def rounded(bounds: Enclosure, frac: int) -> int:
    """The value at `frac` fraction bits, ties to even; ArithmeticError where the enclosure holds a tie."""
    a, b = (round(Fraction(v, 1 << (PRECISION - frac))) for v in bounds)
    if a != b:
        raise ArithmeticError(f"{PRECISION} bits must tell the side of a tie at frac {frac}, and do not")
    return a
