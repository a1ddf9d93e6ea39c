"""The elementary functions that a network applies to single numbers: float64 bounds and proven enclosures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

import numpy as np

from fxsim.integers import Array
from fxsim.load.affine import Line
from fxsim.load.terms import NEAR, Bounds, Enclosure, Term, widened

# Decimal's exp, ln, sqrt and quotient are correctly rounded to 10**-70. No function here takes more than ten
# such steps (erf: besides a sum of positive terms), so that each errs by less than ERROR of its result, or of
# 1 where it is a difference from 1. Decimal's own operators round to the caller's context: they are not used.
DECIMAL = Context(prec=70, Emin=-999_999, Emax=999_999, traps=[])
ERROR = Fraction(1, 10**60)
HUGE = Fraction(10**400)  # stands for infinity
PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986")
ONE, TWO = Decimal(1), Decimal(2)
TAIL = Decimal(10) ** 68  # of the series of erf: where its terms are this far below their sum

# Beyond this argument an exponential is above 10**8000, its inverse between 0 and the second of TINY.
LARGE = 20_000
TINY = (Fraction(1, 10**300_000), Fraction(1, 10**8000))


@dataclass(frozen=True)
class Function:
    """A monotone function (`rising` 1 or -1) of a real number, or one that `parts` says how to take apart.

    `floats` is NumPy's in float64; `point` encloses the value at a rational, exactly where it is rational.
    """

    floats: Callable[[Array], Array]
    point: Callable[[Fraction], Enclosure]
    rising: int = 1

    def bounds(self, lo: Array, hi: Array) -> Bounds:
        ends = self.floats(lo), self.floats(hi)
        return ends if self.rising > 0 else ends[::-1]

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        if lo == hi:
            return self.point(lo)
        a, b = self.point(lo), self.point(hi)
        return (a[0], b[1]) if self.rising > 0 else (b[0], a[1])


class Reciprocal(Function):
    """1 / x, which falls on either side of 0 and has no value there."""

    def bounds(self, lo: Array, hi: Array) -> Bounds:
        across = (lo <= 0) & (hi >= 0)
        return np.where(across, -np.inf, 1 / hi), np.where(across, np.inf, 1 / lo)

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        if lo == hi == 0:
            raise ValueError("1 / 0 has no value")
        if lo <= 0 <= hi:
            return -HUGE, HUGE
        return 1 / hi, 1 / lo


@dataclass(frozen=True)
class Apply(Term):
    """function(a), one of FUNCTIONS."""

    function: str
    a: Term

    def __str__(self) -> str:
        return f"{self.function}({self.a})"

    def bounds(self, lo: Array, hi: Array, near: float = NEAR) -> Bounds:
        with np.errstate(all="ignore"):
            ends = FUNCTIONS[self.function].bounds(*self.a.bounds(lo, hi, near))
            return widened(*ends, near, 1 / 4 if self.function in BOUNDED else 0)

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        return FUNCTIONS[self.function].enclose(*self.a.enclose(lo, hi))

    def after(self, line: Line) -> Term:
        return Apply(self.function, self.a.after(line))


def decimal(x: Fraction) -> Decimal:
    return DECIMAL.divide(Decimal(x.numerator), Decimal(x.denominator))


def around(value: Decimal, least: Fraction = Fraction(0)) -> Enclosure:
    """value and its error, relative or of `least`."""
    exact = Fraction(value)
    error = ERROR * max(abs(exact), least)
    return exact - error, exact + error


def exactly(value: Fraction | int) -> Enclosure:
    return Fraction(value), Fraction(value)


@lru_cache(maxsize=1 << 14)
def exp(x: Fraction) -> Enclosure:
    """e**x, irrational but for x = 0."""
    if x > LARGE:
        raise ValueError(f"e**{float(x):g} is beyond every quantizer")
    if x < -LARGE:
        return TINY
    return exactly(1) if not x else around(DECIMAL.exp(decimal(x)))


def log(x: Fraction) -> Enclosure:
    """The natural logarithm, irrational but for x = 1."""
    if x <= 0:
        raise ValueError(f"the logarithm of {float(x):g} has no value")
    # ln of a rational near 1 is still far above its error: the rational has few digits.
    return exactly(0) if x == 1 else around(DECIMAL.ln(decimal(x)), Fraction(1))


def sqrt(x: Fraction) -> Enclosure:
    """The square root, exact where numerator and denominator are squares."""
    if x < 0:
        raise ValueError(f"the square root of {float(x):g} has no value")
    n, d = math.isqrt(x.numerator), math.isqrt(x.denominator)
    if n * n == x.numerator and d * d == x.denominator:
        return exactly(Fraction(n, d))
    return around(DECIMAL.sqrt(decimal(x)))


@lru_cache(maxsize=1 << 14)
def sigmoid(x: Fraction) -> Enclosure:
    """1 / (1 + e**-x), never 0 or 1."""
    if not x:
        return exactly(Fraction(1, 2))
    if x > 0:
        low, high = sigmoid(-x)
        return 1 - high, 1 - low
    if x < -LARGE:
        return TINY
    return around(DECIMAL.divide(ONE, DECIMAL.add(ONE, DECIMAL.exp(decimal(-x)))))


def tanh(x: Fraction) -> Enclosure:
    """2 sigmoid(2 x) - 1."""
    if not x:
        return exactly(0)
    low, high = sigmoid(2 * x)
    return 2 * low - 1, 2 * high - 1


def softplus(x: Fraction) -> Enclosure:
    """ln(1 + e**x), above 0 and above x."""
    if x > 0:
        low, high = softplus(-x)
        return x + low, x + high
    if x < -LARGE:
        return TINY
    low, high = around(DECIMAL.ln(DECIMAL.add(ONE, DECIMAL.exp(decimal(x)))), Fraction(1, 1000))
    return max(low, exp(x)[0] / 2), high


@lru_cache(maxsize=1 << 14)
def erf(x: Fraction) -> Enclosure:
    """2 / sqrt(pi) e**-x**2 sum_n 2**n x**(2 n + 1) / (2 n + 1)!!, all terms of one sign; never 1."""
    if not x:
        return exactly(0)
    if x < 0:
        low, high = erf(-x)
        return -high, -low
    if x >= 13:  # 1 - erf 13 < 10**-74
        low, high = 1 - ERROR, Fraction(1)
    else:
        low, high = _erf(decimal(x))
    return low, min(high, 1 - tail(x)) if x >= 1 else high


def tail(x: Fraction) -> Fraction:
    """A number below 1 - erf x, for x >= 1: e**-x**2 / (4 x)."""
    return exp(-x * x)[0] / (4 * x)


def _erf(d: Decimal) -> Enclosure:
    """The series, for d > 0."""
    c = DECIMAL
    square = c.multiply(d, d)
    term = total = d
    n = 1
    while c.multiply(term, TAIL) > total or 2 * square > n:
        term = c.divide(c.multiply(c.multiply(term, square), TWO), Decimal(n + 2))
        total, n = c.add(total, term), n + 2
    return around(c.multiply(c.divide(TWO, c.sqrt(PI)), c.multiply(c.exp(c.minus(square)), total)))


def normal(x: Fraction) -> Enclosure:
    """The normal distribution (1 + erf(x / sqrt 2)) / 2, never 0 or 1."""
    if not x:
        return exactly(Fraction(1, 2))
    if x < 0:
        low, high = normal(-x)
        return 1 - high, 1 - low
    if x >= 18:
        low, high = 1 - ERROR, Fraction(1)
    else:
        # x / sqrt 2 is off by 10**-69 of itself, and erf by less than that: nothing against ERROR of 1.
        low, high = ((1 + v) / 2 for v in _erf(DECIMAL.divide(decimal(x), DECIMAL.sqrt(TWO))))
    # Below 1 - erf(y) with y = x / sqrt 2 is e**-(y**2) / (4 y), and so is it with 4 x.
    return low, min(high, 1 - exp(-x * x / 2)[0] / (8 * x)) if x >= 2 else high


def positive(x: Fraction) -> Enclosure:
    """1 where x > 0, else 0."""
    return exactly(int(x > 0))


def _erf_floats(x: Array) -> Array:
    flat = [math.erf(v) for v in np.ravel(x).tolist()]
    return np.array(flat, np.float64).reshape(np.shape(x))


def _sigmoid_floats(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


FUNCTIONS: dict[str, Function] = {
    "exp": Function(np.exp, exp),
    "log": Function(lambda x: np.where(x > 0, np.log(x), np.where(x == 0, -np.inf, np.nan)), log),
    "sqrt": Function(np.sqrt, sqrt),
    "reciprocal": Reciprocal(np.reciprocal, exactly),
    "sigmoid": Function(_sigmoid_floats, sigmoid),
    "tanh": Function(np.tanh, tanh),
    "softplus": Function(lambda x: np.logaddexp(x, 0), softplus),
    "erf": Function(_erf_floats, erf),
    "normal": Function(lambda x: (1 + _erf_floats(x / math.sqrt(2))) / 2, normal),
    "floor": Function(np.floor, lambda x: exactly(x.__floor__())),
    "ceil": Function(np.ceil, lambda x: exactly(x.__ceil__())),
    "round": Function(np.rint, lambda x: exactly(round(x))),
    "sign": Function(np.sign, lambda x: exactly((x > 0) - (x < 0))),
    "positive": Function(lambda x: np.asarray(x > 0, np.float64), positive),
}
"""By name; all but reciprocal rise."""

# Evaluations of these err by a part of 1, not of their small results.
BOUNDED = frozenset({"sigmoid", "tanh", "erf", "normal", "softplus", "exp"})
