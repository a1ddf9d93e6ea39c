"""A function of one fixed-point number: a table, or tables of offsets and slopes and one small product."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Self

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray, to_object
from fxsim.layers.facts import Facts, measure
from fxsim.layers.references import FUNCTIONS, PRECISION, enclosures, rounded
from fxsim.trace import Tensor

MAX_BITS = 24  # of the input: every code is enumerated
FITS = ("best", "interpolate")


@dataclass(frozen=True)
class FunctionUnit:
    """y = function(x) for codes x in lo..hi at `frac`, in the format `out` (nearest, saturating).

    With low_bits = 0 it is one table of correctly rounded values. Else the code splits into the segment
    s = x >> low_bits and t = x mod 2**low_bits, and

        y = sat(round(offset[s] + slope[s] * t)),    offset and slope at out.frac + guard fraction bits,

    whose product is low_bits gated copies of the slope: no multiplier. The more bits of t, the smaller the
    tables and the larger the error.

    function  a name of `fxsim.layers.references.FUNCTIONS`
    guard     by default low_bits + 2, so that the rounding of a slope costs 1/8 LSB at most
    fit       "best": per segment the offset and slope of least error, with steps between segments;
              "interpolate": lines through the function's values at the ends, continuous, hence monotone
              where the function is; its error is up to twice as large

    `facts` holds the exact worst error in LSB, the monotonicity and the Lipschitz constant over all codes.
    Lost: the error in `facts`, and values beyond `out`, which saturate. Raises ValueError for an unknown
    function or fit, for inputs wider than 24 bits and low_bits that leave no segment.
    """

    function: str
    lo: int
    hi: int
    frac: int
    out: Format
    low_bits: int = 0
    guard: int | None = None
    fit: str = "best"

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ValueError(f"function must be one of {', '.join(FUNCTIONS)}, not {self.function!r}")
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, not {self.fit!r}")
        for name in ("lo", "hi", "frac", "low_bits"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} of FunctionUnit must be an integer, not {value!r}")
        if self.lo > self.hi:
            raise ValueError(f"codes of FunctionUnit must not be empty, not {self.lo}..{self.hi}")
        bits = (self.hi - self.lo).bit_length()
        if bits > MAX_BITS:
            raise ValueError(f"input of FunctionUnit must have at most {MAX_BITS} bits, not {bits}")
        if not isinstance(self.out, Format):
            raise TypeError(f"out of FunctionUnit must be a fxsim.Format, not {self.out!r}")
        saturating = self.out.replace(rounding=Rounding.RND, overflow=Overflow.SAT, saturation_bits=0)
        object.__setattr__(self, "out", saturating)
        if not 0 <= self.low_bits <= max(bits, 0):
            raise ValueError(f"low_bits must lie in 0..{bits} for inputs of {bits} bits, not {self.low_bits}")
        if self.guard is None:
            object.__setattr__(self, "guard", self.low_bits + 2)
        elif isinstance(self.guard, bool) or not isinstance(self.guard, int) or self.guard < 0:
            raise ValueError(f"guard must be an integer of at least 0, not {self.guard!r}")
        if self.fit == "interpolate" and self.low_bits > self.guard_bits:
            raise ValueError(f"guard of fit interpolate must be at least {self.low_bits}, not {self.guard}")

    @classmethod
    def of(cls, function: str, source: Format, out: Format, low_bits: int = 0, fit: str = "best") -> Self:
        """The unit over all codes of a format."""
        return cls(function, source.lo, source.hi, source.frac, out, low_bits, None, fit)

    @classmethod
    def smallest(
        cls, function: str, source: Format, out: Format, max_error: Fraction | float = 1, fit: str = "best"
    ) -> Self:
        """The unit with the most low_bits whose error is at most `max_error` LSB (at least 1/2)."""
        for low_bits in range(source.width - 1, 0, -1):
            found = cls.of(function, source, out, low_bits, fit)
            if found.facts.max_error <= max_error:
                return found
        found = cls.of(function, source, out)
        if found.facts.max_error > max_error:
            raise ValueError(f"max_error must be at least 1/2 LSB, which rounding takes, not {max_error!r}")
        return found

    @property
    def guard_bits(self) -> int:
        """Fraction bits of offsets and slopes beyond those of the result."""
        assert self.guard is not None
        return self.guard

    @cached_property
    def facts(self) -> Facts:
        """Error, monotonicity and Lipschitz constant over all codes."""
        return _facts(self)

    @property
    def table_bits(self) -> int:
        """Bits in all tables."""
        return sum(len(t) * _width(t) for t in _tables(self))

    def __call__(self, x: Tensor, name: str = "") -> Tensor:
        """function(x) for every element of x, whose codes must be proven in lo..hi at this unit's frac."""
        if x.frac != self.frac or x.type.bounds[0] < self.lo or x.type.bounds[1] > self.hi:
            raise ValueError(
                f"operand of {self.function} must have codes {self.lo}..{self.hi} at frac "
                f"{self.frac}, not {x.type}"
            )
        params = {
            "function": self.function, "lo": self.lo, "hi": self.hi, "frac": self.frac, "out": str(self.out),
            "low_bits": self.low_bits, "guard": self.guard_bits, "fit": self.fit,
        }  # fmt: skip
        with x.builder.block("function", name or self.function, [x], params) as outputs:
            outputs.append(self._linear(x) if self.low_bits else self._table(x))
        return outputs[0]

    def _table(self, x: Tensor) -> Tensor:
        (entries,) = _tables(self)
        table = ops.Table(_entries(entries), self.lo, self.out.frac, None, self.function)
        return x.builder.apply(table, x)

    def _linear(self, x: Tensor) -> Tensor:
        """The split of the code is wiring; the sum is rounded once."""
        k, frac = self.low_bits, self.out.frac + self.guard_bits
        width = max(self.lo.bit_length(), self.hi.bit_length()) + 1
        segment = x.cast(ops.Cast(IntArray(x.frac - k), IntArray(width), IntArray(1)))
        low = x.cast(Format(k, k - x.frac, signed=False)) << x.frac
        offset, slope = (
            x.builder.apply(ops.Table(_entries(t), self.lo >> k, frac), segment) for t in _tables(self)
        )
        return (slope * low + offset).cast(self.out)


@lru_cache(maxsize=256)
def _facts(unit: FunctionUnit) -> Facts:
    reference = enclosures(unit.function, unit.lo, unit.hi, unit.frac)
    return measure(unit, unit.lo, unit.hi, unit.frac, unit.out, reference)


@lru_cache(maxsize=256)
def _tables(unit: FunctionUnit) -> tuple[tuple[int, ...], ...]:
    """(values,) of a plain table, or (offsets, slopes), one per segment from lo >> low_bits on."""
    if not unit.low_bits:
        values = enclosures(unit.function, unit.lo, unit.hi, unit.frac)
        clip = (min(max(rounded(v, unit.out.frac), unit.out.lo), unit.out.hi) for v in values)
        return (tuple(clip),)
    segments = range(unit.lo >> unit.low_bits, (unit.hi >> unit.low_bits) + 1)
    fit = _best(unit) if unit.fit == "best" else _interpolated(unit)
    return tuple(fit[s][0] for s in segments), tuple(fit[s][1] for s in segments)


def _best(unit: FunctionUnit) -> dict[int, tuple[int, int]]:
    """Offset and slope per segment: the secant's slope rounded both ways, each with the offset midway between
    the greatest and the least residual over the segment's own codes."""
    k, frac = unit.low_bits, unit.out.frac + unit.guard_bits
    fine = 1 << (PRECISION - frac)
    values = enclosures(unit.function, unit.lo, unit.hi, unit.frac)
    lines = {}
    for s in range(unit.lo >> k, (unit.hi >> k) + 1):
        first, last = max(s << k, unit.lo), min((s + 1 << k) - 1, unit.hi)
        points = [(x & ((1 << k) - 1), sum(values[x - unit.lo]) >> 1) for x in range(first, last + 1)]
        secant = Fraction(points[-1][1] - points[0][1], max(last - first, 1) * fine)
        found = []
        for slope in {secant.__floor__(), secant.__ceil__()}:
            rest = [y - slope * t * fine for t, y in points]
            offset = round(Fraction(max(rest) + min(rest), 2 * fine))
            found.append((max(abs(r - offset * fine) for r in rest), offset, slope))
        lines[s] = min(found)[1:]
    return lines


def _interpolated(unit: FunctionUnit) -> dict[int, tuple[int, int]]:
    """Lines between the function's values at the segments' ends, rounded so that slopes are integers."""
    k = unit.low_bits
    start, stop = unit.lo >> k, (unit.hi >> k) + 1
    knots = [FUNCTIONS[unit.function]((s << k) * Fraction(2) ** -unit.frac) for s in range(start, stop + 1)]
    ends = [rounded(v, unit.out.frac + unit.guard_bits - k) for v in knots]
    return {start + i: (a << k, b - a) for i, (a, b) in enumerate(pairwise(ends))}


def _entries(values: tuple[int, ...]) -> IntArray:
    return IntArray(to_object(np.array(values, object)))


def _width(values: tuple[int, ...]) -> int:
    lo, hi = min(values), max(values)
    return max(hi.bit_length(), (-1 - lo).bit_length() if lo < 0 else 0) + (lo < 0)
