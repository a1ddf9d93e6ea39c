"""The step function of a quantized layer, code = clip(round(a * acc + b)): where does each code begin?"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# A float32 reference may disagree this close to a threshold, relative to the size of the terms: 64 float32
# ulp.
NEAR = Fraction(1, 1 << 18)
BIPOLAR = "BIPOLAR"


@dataclass(frozen=True)
class Reach:
    """The accumulator's proven set: lo, lo + step, ..., hi, all multiples of step."""

    lo: int
    hi: int
    step: int = 1


def boundary(j: int, rounding: str) -> tuple[Fraction, bool]:
    """(t, inclusive): round(y) >= j exactly where y > t, or y == t if inclusive.

    QONNX modes: ROUND and HALF_EVEN, HALF_UP (half away from zero), HALF_DOWN (half toward zero), FLOOR,
    CEIL, UP (away from zero), DOWN (toward zero). BIPOLAR is code 1 from 0 on, else code 0.
    """
    half = Fraction(2 * j - 1, 2)
    match rounding:
        case "ROUND" | "HALF_EVEN":
            return half, j % 2 == 0
        case "HALF_UP":
            return half, j >= 1
        case "HALF_DOWN":
            return half, j <= 0
        case "FLOOR":
            return Fraction(j), True
        case "CEIL":
            return Fraction(j - 1), False
        case "UP":
            return (Fraction(j - 1), False) if j >= 1 else (Fraction(j), True)
        case "DOWN":
            return (Fraction(j), True) if j >= 1 else (Fraction(j - 1), False)
        case "BIPOLAR":
            return Fraction(j - 1), True
    raise ValueError(f"rounding must be a QONNX rounding mode, not {rounding!r}")


def round_exact(y: Fraction, rounding: str) -> int:
    """y rounded to an integer by a QONNX mode, in exact rationals."""
    j = y.__floor__() + 2
    while True:
        t, inclusive = boundary(j, rounding)
        if y > t or (inclusive and y == t):
            return j
        j -= 1


@dataclass(frozen=True)
class StepFunction:
    """code(acc) = clip(round(a * acc + b), lo, hi) of one channel, a and b exact."""

    a: Fraction
    b: Fraction
    lo: int
    hi: int
    rounding: str = "ROUND"

    def code(self, acc: int) -> int:
        """The code of one accumulator value."""
        return min(max(round_exact(self.a * acc + self.b, self.rounding), self.lo), self.hi)

    def clamped(self, low: Fraction | None, high: Fraction | None) -> StepFunction:
        """The same function of min(max(acc, low), high): by monotony only the code range shrinks."""
        ends = [
            None if v is None else self._clip(round_exact(self.a * v + self.b, self.rounding))
            for v in (low, high)
        ]
        if self.a < 0:
            ends.reverse()
        lo = self.lo if ends[0] is None else ends[0]
        hi = self.hi if ends[1] is None else ends[1]
        return StepFunction(self.a, self.b, lo, hi, self.rounding)

    def _clip(self, code: int) -> int:
        return min(max(code, self.lo), self.hi)

    def codes(self, reach: Reach) -> tuple[int, int]:
        """The least and the greatest code over the reachable set."""
        ends = self.code(reach.lo), self.code(reach.hi)
        return min(ends), max(ends)

    def level(self, j: int) -> int:
        """T_j for a != 0. a > 0: code >= j where acc >= T_j. a < 0: code >= j where acc <= T_j. Not clipped.

        With t_j = (boundary(j) - b) / a: ceil(t_j) or floor(t_j), one further where t_j is an integer that
        the rounding sends to the other side.
        """
        t, inclusive = boundary(j, self.rounding)
        n, d = self._at(t)
        if self.a > 0:
            return -(-n // d) if inclusive else n // d + 1
        return n // d if inclusive else -(-n // d) - 1

    def _at(self, t: Fraction) -> tuple[int, int]:
        """(n, d) with n / d = (t - b) / a and d > 0, not in lowest terms: a code of many bits has many
        steps."""
        a, b = self.a, self.b
        n = (t.numerator * b.denominator - b.numerator * t.denominator) * a.denominator
        d = t.denominator * b.denominator * a.numerator
        return (n, d) if d > 0 else (-n, -d)

    def edge(self, j: int, reach: Reach) -> tuple[int | None, int | None]:
        """The two neighbouring reachable values around the step to code j: (last one with code >= j, first
        without).

        None where the reachable set ends before.
        """
        level = self.level(j)
        if self.a > 0:
            inside = max(-(-level // reach.step) * reach.step, reach.lo)
            outside = inside - reach.step
        else:
            inside = min(level // reach.step * reach.step, reach.hi)
            outside = inside + reach.step
        known = [v if reach.lo <= v <= reach.hi else None for v in (inside, outside)]
        if known[0] is None:  # never reached: the nearest value without is the end of the set
            known[1] = reach.hi if self.a > 0 else reach.lo
        return known[0], known[1]

    def near(self, j: int, reach: Reach) -> tuple[int, int] | None:
        """(first, last) reachable accumulators so close to the step to j that a float reference may differ,
        or None.

        |a*acc + b - t| <= 2**-18 * (|a*acc| + |b| + |t|) at the threshold t, a superset of "within a relative
        2**-18 of the threshold" that also covers cancellation between a*acc and b.
        """
        t, _ = boundary(j, self.rounding)
        n, d = self._at(t)
        both = abs(self.b.numerator) * t.denominator + abs(t.numerator) * self.b.denominator
        window = (abs(n) + both * self.a.denominator) * NEAR.numerator
        n, d = n * NEAR.denominator, d * NEAR.denominator * reach.step
        first = max(-((window - n) // d) * reach.step, reach.lo)
        last = min((n + window) // d * reach.step, reach.hi)
        return (first, last) if first <= last else None
