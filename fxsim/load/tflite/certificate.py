"""The smallest multiply-add-shift that steps exactly where the runtime's rounding does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.integers import Array
from fxsim.load.certificate import signed_digits, simplest
from fxsim.load.tflite.rounding import Channel

MAX_SHIFT = 40


@dataclass(frozen=True)
class Certificate:
    """clip((acc * multiplier + constant) >> shift) is the code of every reachable acc.

    `constant` is (that of acc < 0, that of acc >= 0): rounding ties away from zero needs two, else both are
    equal.
    """

    multiplier: int
    constant: tuple[int, int]
    shift: int

    @property
    def half(self) -> int:
        """The part of the constant that rounds to nearest, which the records leave out."""
        return (1 << self.shift) >> 1

    @property
    def bits(self) -> int:
        """Bits of the multiplier without trailing zeros."""
        m = abs(self.multiplier)
        return (m // (m & -m)).bit_length() if m else 0

    def code(self, acc: int, lo: int, hi: int) -> int:
        """What the hardware computes for one accumulator value."""
        return min(max((acc * self.multiplier + self.constant[acc >= 0]) >> self.shift, lo), hi)


@dataclass(frozen=True)
class Side:
    """What the constant of one sign must obey: acc * M + C >= j << S for `least`, < j << S for `below`."""

    least: Array
    below: Array

    def bounds(self, m: int, shift: int) -> tuple[int, int]:
        """The constants that multiplier and shift leave: (low, high), empty where low > high."""
        low = [-(1 << 62)] if not len(self.least) else (self.least[:, 0] << shift) - self.least[:, 1] * m
        high = [1 << 62] if not len(self.below) else (self.below[:, 0] << shift) - 1 - self.below[:, 1] * m
        return int(np.max(low)), int(np.min(high))


def side(channel: Channel, levels: Array, first: int, least: int, most: int) -> Side:
    """The constraints of the accumulators least..most, which are of one sign, and enough by monotony."""
    if least > most:
        return Side(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))
    ends = channel.code(np.array([least, most]))
    inner = np.flatnonzero((levels > least) & (levels <= most))
    codes, at = inner + first + 1, levels[inner]
    low, high = np.stack([codes, at], 1), np.stack([codes, at - 1], 1)
    if ends[0] > channel.lo:
        low = np.concatenate([[[ends[0], least]], low])
    if ends[1] < channel.hi:
        high = np.concatenate([high, [[ends[1] + 1, most]]])
    return Side(low, high)


def certify(channel: Channel, max_shift: int = MAX_SHIFT) -> Certificate | None:
    """The certificate with the smallest shift, or None.

    A multiplier M works at shift S exactly where both signs leave a constant. The slopes M / 2**S that work
    form one interval around the exact factor, so that only the neighbours of factor * 2**S need a look; and
    2 * M works at S + 1 where M does at S, so that the smallest shift is found by bisection.
    """
    first, last = channel.ends()
    if first == last:
        return Certificate(0, (first, first), 0)
    levels = channel.levels()
    sides = (
        side(channel, levels, first, channel.least, min(channel.most, -1)),
        side(channel, levels, first, max(channel.least, 0), channel.most),
    )
    best, low, high = None, 0, 8
    while (found := _at(channel, sides, high)) is None:
        low, high = high + 1, high + 8
        if high > max_shift:
            return None
    best = found
    while low < high:
        middle = (low + high) // 2
        found = _at(channel, sides, middle)
        if found is None:
            low = middle + 1
        else:
            best, high = found, middle
    return best


def _at(channel: Channel, sides: tuple[Side, Side], shift: int) -> Certificate | None:
    """The certificate of the fewest adders at a shift, or None."""
    scaled = channel.rule.factor * (1 << shift)
    reach = max(abs(channel.least), abs(channel.most)).bit_length()
    if max(shift + 9, reach + scaled.__ceil__().bit_length()) > 61:
        return None  # beyond int64, and beyond what anyone would build
    found = []
    for m in range(max(scaled.__ceil__() - 1, 0), scaled.__floor__() + 2):
        two = [s.bounds(m, shift) for s in sides]
        if all(low <= high for low, high in two):
            found.append(_chosen(m, two, shift, scaled))
    return min(found, key=lambda f: f[:2])[2] if found else None


def _chosen(
    m: int, two: list[tuple[int, int]], shift: int, scaled: Fraction
) -> tuple[int, Fraction, Certificate]:
    low, high = max(b[0] for b in two), min(b[1] for b in two)
    if low <= high:
        one = simplest(low, high)
        constant, adders = (one, one), int(one != 0)
    else:
        constant, adders = (simplest(*two[0]), simplest(*two[1])), 2
    return signed_digits(m) + adders, abs(scaled - m), Certificate(m, constant, shift)
