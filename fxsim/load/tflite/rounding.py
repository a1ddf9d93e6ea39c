"""The runtime's ways from an accumulator to a code, each a monotone function of integers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from fxsim.integers import Array
from fxsim.load.tflite.gemmlowp import INT32_MAX, multiply, quantize_multiplier


class Rule(Protocol):
    """rule(acc) gives the code of integers acc, before zero point and clip; it never falls."""

    @property
    def factor(self) -> Fraction:
        """The slope, exactly."""
        ...

    def __call__(self, acc: Array) -> Array: ...


@dataclass(frozen=True)
class Multiplier:
    """acc * m * 2**(e - 31) rounded twice: by 2**31, ties up, then by 2**-e, ties away from zero."""

    m: int
    e: int

    @classmethod
    def of(cls, real: float) -> Multiplier:
        """The 31-bit multiplier nearest to a real factor; ValueError for one that the runtime takes as 0."""
        m, e = quantize_multiplier(real)
        if not m:
            raise ValueError(f"the factor {real!r} of its scales must be a number from 2**-32 on")
        if e > 30:
            raise ValueError(f"the factor {real!r} of its scales must be below 2**30")
        return cls(m, e)

    @property
    def factor(self) -> Fraction:
        return Fraction(self.m) * Fraction(2) ** (self.e - 31)

    def __call__(self, acc: Array) -> Array:
        return multiply(acc, self.m, self.e)


@dataclass(frozen=True)
class DoubleProduct:
    """round(acc * scale) in double precision, ties away from zero."""

    scale: float

    @property
    def factor(self) -> Fraction:
        return Fraction(self.scale)

    def __call__(self, acc: Array) -> Array:
        y = np.asarray(acc, np.int64).astype(np.float64) * self.scale
        whole = np.floor(np.abs(y))
        whole += np.abs(y) - whole >= 0.5
        return np.copysign(np.minimum(whole, INT32_MAX), y).astype(np.int64)


@dataclass(frozen=True)
class Average:
    """acc / count rounded to an integer, ties away from zero."""

    count: int

    @property
    def factor(self) -> Fraction:
        return Fraction(1, self.count)

    def __call__(self, acc: Array) -> Array:
        a = np.asarray(acc, np.int64)
        whole = (np.abs(a) + self.count // 2) // self.count
        return np.where(a > 0, whole, -whole)


@dataclass(frozen=True)
class Channel:
    """clip(rule(acc) + zero, lo, hi) over every acc in least..most."""

    rule: Rule
    zero: int
    lo: int
    hi: int
    least: int
    most: int

    def code(self, acc: Array) -> Array:
        """The codes of integers."""
        return np.asarray(np.clip(self.rule(np.asarray(acc, np.int64)) + self.zero, self.lo, self.hi))

    def ends(self) -> tuple[int, int]:
        """The least and the greatest code."""
        first, last = self.code(np.array([self.least, self.most]))
        return int(first), int(last)

    def levels(self) -> Array:
        """T_j, the least acc with code j or more, for every code j from the second least to the greatest."""
        first, last = self.ends()
        j = np.arange(first + 1, last + 1)
        guess = np.ceil((j - self.zero - 0.5) / float(self.rule.factor))
        at = np.clip(guess, self.least + 1, self.most).astype(np.int64)
        while np.any(low := self.code(at) < j):  # a monotone rule is at most a few acc from its line
            at = at + low
        while np.any(high := self.code(at - 1) >= j):
            at = at - high
        return np.asarray(at)
