"""The proximal step of entropy and square on a simplex: a table of one number, and bisection by adds."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.trace import Tensor, align, maximum, select

# Correctly rounded: each step of `_level` errs by 10**-59, and no level is that close to a code.
_DECIMAL = Context(prec=60)


def proximal(y: Tensor, alpha: int, frac: int) -> Tensor:
    """argmin over q in the simplex of a f(q) + |q - y|^2 / 2, f = sum q log q - |q|^2 / 2, a = 2**-alpha.

    y (..., K), the simplex over the last axis. The minimum is q_i = p(y_i + v) with p the inverse of

        t(p) = a log p + (1 - a) p                (the constant a goes into v)

    and v such that the q_i add up to 1. p is a table, rounded to nearest, of t with `frac` + 1 bits; v is
    found from above, where the greatest q_i is 1, in as many halvings as there are bits, one comparison of
    the sum with 1 each.

    The result has `frac` bits, adds up to 1 at least, and is right to (3 K + 5) / 4 LSB: y_i and table err by
    3/4 LSB per element, the sum has slope 1 at least, and v the grain of half an LSB. Lost: that, and q_i
    below half an LSB.
    """
    fine, size = frac + 1, y.shape[-1]
    entries, base = _table(alpha, frac)
    top = (1 << fine) - (1 << fine - alpha)  # t(1) = 1 - a
    distance = -_rounded((y.max(-1).reshape(*y.shape[:-1], 1) - y).relu(), fine)  # 0 at most, and proven so
    table = ops.Table(IntArray(entries), base, frac, None, f"proximal {alpha}")
    least = Fraction(base, 1 << fine)

    def at(lower: Tensor | int) -> Tensor:
        return maximum(distance + Fraction(top, 1 << fine) - lower, least)._apply(table)

    # With q_i = 1 / K for the greatest the sum is 1 at most: so far v may have to go.
    reach = _level(Fraction(1), alpha) - _level(Fraction(1, size), alpha)
    power = 0
    while Fraction(2) ** power <= reach:
        power += 1
    lower = y.builder.constant(np.zeros((*y.shape[:-1], 1), np.int64))
    for k in range(power - 1, -fine - 1, -1):
        trial = lower + Fraction(2) ** k
        lower = select(at(trial).sum(-1).reshape(*trial.shape) >= 1, trial, lower)
    return at(lower)


def _rounded(t: Tensor, frac: int) -> Tensor:
    """t >= 0 at just so many fraction bits: a table reads raw codes."""
    if t.frac <= frac:
        return align(t, t.builder.constant(Fraction(1, 1 << frac)))[0]
    width = ((int(t.type.bounds[1]) >> (t.frac - frac)) + 1).bit_length()
    return t.cast(Format(width, width - frac, False, Rounding.RND, Overflow.SAT))


@lru_cache(maxsize=16)
def _table(alpha: int, frac: int) -> tuple[tuple[int, ...], int]:
    """(raw p, first code): p rounded to nearest of every code of t, from the last one that gives 0."""
    fine = frac + 1
    # Code c gives k or more once t(k - 1/2 LSB) <= c: no level but that of 1 is rational, so none is a tie.
    first = [
        -(-_level(Fraction(2 * k - 1, 2 << frac), alpha) * (1 << fine) // 1)
        for k in range(1, (1 << frac) + 1)
    ]
    base = int(first[0]) - 1
    top = (1 << fine) - (1 << fine - alpha)
    codes = np.arange(base, top + 1)
    found = np.searchsorted(np.array([int(f) for f in first]), codes, side="right")
    return tuple(found.tolist()), base


def _level(p: Fraction, alpha: int) -> Fraction:
    """t(p) = 2**-alpha log p + (1 - 2**-alpha) p."""
    log = _DECIMAL.ln(_DECIMAL.divide(Decimal(p.numerator), Decimal(p.denominator)))
    return Fraction(log) / (1 << alpha) + p - p / (1 << alpha)
