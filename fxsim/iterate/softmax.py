"""Softmax of wide exact scores in a map: rounded to an index once, and tables that stay small."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array
from fxsim.layers.references import PRECISION, Enclosure, exp2
from fxsim.layers.softmax import Softmax
from fxsim.trace import Tensor

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit

TABLE_BITS = 15  # of the sum of the powers: every mantissa of it is an entry or a point of a segment
# log2 e to 128 bits; it is irrational.
LOG2_E = Fraction(490923683258796565746369346286093237522, 1 << 128)


def softmax_of(
    scores: Tensor, out: Format, score_frac: int, base: str = "2", exp_frac: int | None = None
) -> Tensor:
    """Softmax over the last axis of scores rounded to nearest at `score_frac`, by one Softmax block.

    exp_frac  of the powers, by default what `out` asks for, but so that the sum has at most 15 bits behind
              its leading one: with many elements the small powers lose bits to that

    Lost: half a unit of `score_frac` per score (ln b / 4 of it in a result), and the block's bound.
    """
    lo, hi = (int(v) for v in scores.type.bounds)
    if scores.frac > score_frac:
        drop = scores.frac - score_frac
        lo, hi = lo >> drop, -(-hi >> drop)
    else:
        lo, hi = lo << (score_frac - scores.frac), hi << (score_frac - scores.frac)
    width = max(hi.bit_length() + 1, (-1 - lo).bit_length() + 1 if lo < 0 else 1, score_frac + 1)
    source = Format(width, width - score_frac, True, Rounding.RND, Overflow.SAT)
    size = scores.shape[-1]
    if exp_frac is None:
        wanted = out.frac + 2 + (size - 1).bit_length()
        exp_frac = max(min(wanted, TABLE_BITS + 1 - size.bit_length()), 2)
    # All codes of an octave are enumerated: a unit is made in a second with two bits more than the result
    # has. `direct` would be a table of all distances, right for few bits only.
    layer = Softmax(source, size, out, base, exp_frac, out.frac + 2, direct=False)
    return layer(scores.cast(source))


def dyadic(value: Any, frac: int, name: str) -> Fraction:
    """The nearest multiple of 2**-frac. ValueError unless the value is one finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r}")
    whole = isinstance(value, (int, np.integer))
    exactly = value if isinstance(value, Fraction) else Fraction(int(value) if whole else float(value))
    return Fraction(round(exactly * (1 << frac)), 1 << frac)


def integers(values: Any, name: str, ndim: int) -> Array:
    """An array of integers with so many axes, none of them empty."""
    raw, frac = to_raw(values, name)
    if frac or raw.ndim != ndim or not raw.size:
        raise ValueError(f"{name} must be integers with {ndim} axes, not {np.shape(values)} of {values!r}")
    return raw


def softmax_exact(scores: list[Fraction], function: Callable[[Fraction], Enclosure] = exp2) -> list[Fraction]:
    """function(s_k) / sum_j function(s_j) of a power, `exp2` or `exp`, right to K * 2**-(PRECISION - 2).

    The powers are relative to the greatest, whose own is 1: each errs by 2**-PRECISION at most.
    """
    top = max(scores)
    powers = [Fraction(sum(function(s - top)), 2 << PRECISION) for s in scores]
    total = sum(powers)
    return [p / total for p in powers]


def evaluation_error(unit: Unit) -> Fraction:
    """A bound of |computed T - ideal T| over the whole state space, rounded up to 2**-10 LSB of the state.

    It is what increments are shrunk by (T4'), times omega where the update relaxes.
    """
    from fxsim.iterate.slopes import slopes

    worst = max(s.error.greatest() for s in slopes(unit.map, unit.state))
    fine = 1 << max(f.frac for f in unit.formats) + 10
    return Fraction(-(-worst * fine // 1), fine)
