"""Additive powers of two: weights of a table of levels, each a sum of one power of two from each set."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np

from fxsim.integers import Array, exact
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, code_array, fractions, register
from fxsim.quantizers.fields import Fields

SETS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((0, 4, 2, 1),),
    3: ((0, 8, 4, 1), (0, 2)),
    4: ((0, 32, 8, 2), (0, 16, 4, 1)),
    5: ((0, 64, 16, 2), (0, 32, 8, 1), (0, 4)),
    6: ((0, 256, 32, 4), (0, 128, 16, 2), (0, 64, 8, 1)),
}
"""bits of the magnitude -> the sets of one term each; the magnitudes are all sums of one term of each set."""


def levels(table: int) -> Array:
    """The 2**table magnitudes of a table, ascending."""
    return exact(np.array(sorted(sum(terms) for terms in product(*SETS[table])), np.int64))


@register("APoT")
@dataclass(frozen=True)
class APoT(Codec):
    """value = scale * raw, raw = +- a level of `table` (additive powers of two, arXiv 1909.13144).

    table  bits of the magnitude, 2..6; with the sign a weight has one bit more. The levels are the sums of
           one term of each set: 2: {0, 1, 2, 4}; 3: {0, 8, 4, 1} + {0, 2}; 4: {0, 32, 8, 2} + {0, 16, 4, 1};
           5: {0, 64, 16, 2} + {0, 32, 8, 1} + {0, 4}; 6: {0, 256, 32, 4} + {0, 128, 16, 2} + {0, 64, 8, 1}
    scale  of one unit: clip / greatest level, where the clip is what the greatest level stands for
    mean   taken off the values before they are encoded: scale * raw stands for v - mean, and a layer has the
           weights without their mean, as the paper trains it

    A value becomes the level nearest to it, the greater of two equally near. A code is sign << table |
    fields: each set's index (0 is its term 0), the first set's in the highest bits. `form` and `fields` are
    the same weights for the shift-add unit: two terms for tables 3 and 4, three for 5 and 6.

    Raises ValueError for another table and a scale of 0 or less.
    """

    table: int = 4
    scale: Fraction = Fraction(1)
    mean: Fraction = Fraction(0)
    frac: int = field(init=False, default=0, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)
    form: Fields = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.table)
        put = object.__setattr__
        put(self, "scale", Fraction(self.scale))
        put(self, "mean", Fraction(self.mean))
        if self.scale <= 0:
            raise ValueError(f"scale must be above 0, not {self.scale}")
        put(self, "bits", self.table + 1)
        sets = SETS[self.table]
        top = max(max(s) for s in sets)
        put(self, "form", Fields(len(sets), top.bit_length() - 1, sum(max(s) for s in sets)))

    @classmethod
    def fit(cls, values: Any, table: int = 4, alpha: float = 3.0, center: bool = False) -> APoT:
        """scale = alpha * std / greatest level: the clip is alpha standard deviations of the values.

        The paper encodes (w - mean) / std: `center` takes the mean off, too. mean and std are float64's.
        Raises ValueError for values without a spread, and for alpha of 0 or less.
        """
        v = np.asarray(fractions(values), np.float64)
        std = float(v.std()) if v.size else 0.0
        if not std:
            raise ValueError("values must have a standard deviation above 0 to fit to")
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ValueError(f"alpha must be above 0, not {alpha!r}")
        _check(table)
        scale = Fraction(float(alpha)) * Fraction(std) / int(levels(table)[-1])
        return cls(table, scale, Fraction(float(v.mean()) if center else 0.0))

    def encode(self, values: Any) -> Array:
        """Codes sign << table | indices into the sets."""
        values = fractions(values)
        known = levels(self.table).tolist()
        middles = [Fraction(a + b, 2) for a, b in pairwise(known)]
        code_of = dict(zip(_magnitudes(self.table), range(1 << self.table), strict=True))
        out = np.empty(values.shape, np.int64)
        for i, v in np.ndenumerate(values):
            u = (v - self.mean) / self.scale
            level = known[bisect_right(middles, abs(u))]
            out[i] = code_of[level] | (u < 0 and level > 0) << self.table
        return out

    def raw(self, codes: Any) -> Array:
        """+- the sum of the terms."""
        a = code_array(codes, 0, (2 << self.table) - 1)
        magnitude = np.array(_magnitudes(self.table), np.int64)[a & (1 << self.table) - 1]
        return np.asarray((1 - 2 * (a >> self.table)) * magnitude, np.int64)

    def fields(self, codes: Any) -> Array:
        """Codes of `form` of the same weights: the field of a set is its term."""
        a = code_array(codes, 0, (2 << self.table) - 1)
        places = zip(SETS[self.table], _places(self.table), strict=True)
        index = [(terms, a >> at & len(terms) - 1) for terms, at in places]
        zero = np.stack([(i == 0).astype(np.int64) for _, i in index], axis=-1)
        shift = np.stack([np.array([max(t, 1).bit_length() - 1 for t in s])[i] for s, i in index], axis=-1)
        return self.form.pack(zero, (1 - zero) * (a >> self.table)[..., None], shift)


def _check(table: int) -> None:
    if check_int("table", table) not in SETS:
        raise ValueError(f"table must be one of {', '.join(map(str, SETS))}, not {table!r}")


def _places(table: int) -> Sequence[int]:
    """Lowest bit of each set's index in a code."""
    at = table
    places = []
    for terms in SETS[table]:
        at -= len(terms).bit_length() - 1
        places.append(at)
    return places


def _magnitudes(table: int) -> list[int]:
    """The magnitude of each code without sign."""
    return [sum(terms) for terms in product(*SETS[table])]
