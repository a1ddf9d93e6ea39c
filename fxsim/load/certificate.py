"""Certified dyadic rescale: the smallest multiplier that steps exactly where the real scale does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.load.steps import Reach, StepFunction

MAX_SHIFT = 48


@dataclass(frozen=True)
class Certificate:
    """clip((acc * multiplier + offset + half) >> shift) equals the step function on the whole reachable set.

    `half` is 2**(shift - 1), or 0 for shift 0. `bits` is the length of |multiplier| without trailing zeros.
    """

    multiplier: int
    offset: int
    shift: int

    @property
    def half(self) -> int:
        return 1 << (self.shift - 1) if self.shift else 0

    @property
    def bits(self) -> int:
        m = abs(self.multiplier)
        return (m // (m & -m)).bit_length() if m else 0

    def code(self, acc: int, lo: int, hi: int) -> int:
        """What the hardware computes for one accumulator value."""
        return min(max((acc * self.multiplier + self.offset + self.half) >> self.shift, lo), hi)


def constraints(steps: StepFunction, reach: Reach) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(at least, below): pairs (j, acc) with acc * M + C >= j * 2**S, resp. < j * 2**S, C the whole constant.

    They say that both functions step at the same place for every code, and are enough because both are
    monotone: between two edges nothing changes, and codes that are never left (or reached) bind at the ends
    of the set only.
    """
    least, greatest = steps.codes(reach)
    ends = (reach.lo, reach.hi) if steps.a >= 0 else (reach.hi, reach.lo)
    at_least, below = [], []
    if least > steps.lo:
        at_least.append((least, ends[0]))
    if greatest < steps.hi:
        below.append((greatest + 1, ends[1]))
    for j in range(least + 1, greatest + 1):
        inside, outside = steps.edge(j, reach)
        assert inside is not None and outside is not None
        at_least.append((j, inside))
        below.append((j, outside))
    return at_least, below


def certify(steps: StepFunction, reach: Reach, max_shift: int = MAX_SHIFT) -> Certificate | str:
    """The certificate with the smallest shift, or the reason why there is none.

    For a multiplier M and shift S the constraints leave an interval of integer constants; M works exactly
    where it is not empty. The working slopes M / 2**S are therefore the points of one interval whose closure
    holds `a` (which ties may exclude), so that for each S only a * 2**S and its two neighbours need a look.
    No multiplier works at a smaller shift, so that M has the fewest bits of all slopes within a factor of
    two.
    """
    least, greatest = steps.codes(reach)
    if least == greatest:
        return Certificate(0, least, 0)
    at_least, below = constraints(steps, reach)
    lowest, highest = _Extreme(at_least, max), _Extreme(below, min)
    for shift in range(max_shift + 1):
        exact = steps.a * (1 << shift)
        found = []
        for m in range(exact.__ceil__() - 1, exact.__floor__() + 2):
            low, high = lowest(shift, m), highest(shift, m) - 1
            if low <= high:
                constant = simplest(low, high)
                adders = signed_digits(m) + (constant != 0)
                found.append((adders, abs(exact - m), m, constant - ((1 << shift) >> 1)))
        if found:
            _, _, m, offset = min(found)
            return Certificate(m, offset, shift)
    ties = len({acc for j, acc in (*at_least, *below) if _is_tie(steps, acc)})
    why = (
        f"{ties} accumulators are exact ties that it rounds both ways" if ties else "its steps lie too close"
    )
    return f"no multiplier with a shift up to {max_shift} has the same steps: {why}"


class _Extreme:
    """(shift, m) to the greatest or the least (j << shift) - acc * m over pairs (j, acc)."""

    def __init__(self, pairs: list[tuple[int, int]], choose: Callable[..., int]) -> None:
        self.pairs, self.choose = pairs, choose
        self.most = [max(abs(p[k]) for p in pairs).bit_length() for k in (0, 1)]
        self.arrays = (
            [np.array([p[k] for p in pairs], np.int64) for k in (0, 1)] if max(self.most) < 63 else []
        )

    def __call__(self, shift: int, m: int) -> int:
        if self.arrays and max(self.most[0] + shift, self.most[1] + m.bit_length()) < 62:
            j, acc = self.arrays
            values = (j << shift) - acc * m
            return int(values.max() if self.choose is max else values.min())
        return self.choose((j << shift) - acc * m for j, acc in self.pairs)


def _is_tie(steps: StepFunction, acc: int) -> bool:
    return (steps.a * acc + steps.b - Fraction(1, 2)).denominator == 1


def simplest(low: int, high: int) -> int:
    """An integer in low..high with the most trailing zeros (0 if it is there)."""
    if low <= 0 <= high:
        return 0
    k = max(abs(low), abs(high)).bit_length()
    while True:
        v = -(-low >> k) << k if low > 0 else (high >> k) << k
        if low <= v <= high:
            return v
        k -= 1


def signed_digits(m: int) -> int:
    """Nonzero digits of m in canonical signed-digit form: m * acc takes one adder fewer."""
    m = abs(m)
    return ((m ^ (3 * m)) >> 1).bit_count()
