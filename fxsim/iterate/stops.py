"""Stops: when a loop ends before its cap, and the status that it then has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from fxsim.constants import to_raw
from fxsim.trace import Tensor, align, concat

STATUS = ("running", "fixed", "tolerance", "cap", "cycle", "count", "aborted")
RUNNING, FIXED, TOLERANCE, CAP, CYCLE, COUNT, ABORTED = range(len(STATUS))


@dataclass(frozen=True)
class After:
    """What a stop may read behind a sweep.

    old, new     state tensors before and after it
    checkpoints  the states at the last step whose number was a power of two
    steps        sweeps done, this one included
    residuals    of the new state
    """

    old: list[Tensor]
    new: list[Tensor]
    checkpoints: list[Tensor]
    steps: Tensor
    residuals: list[Tensor]


@dataclass(frozen=True)
class Stop:
    """`holds` gives one bit; where it is 1 the loop ends with `status`."""

    status: ClassVar[int]

    def holds(self, after: After) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no condition")


@dataclass(frozen=True)
class Unchanged(Stop):
    """A whole sweep changed nothing: the state is a fixed point of the rounded map."""

    status: ClassVar[int] = FIXED

    def __str__(self) -> str:
        return "unchanged()"

    def holds(self, after: After) -> Tensor:
        return all_of([new == old for new, old in zip(after.new, after.old, strict=True)])


@dataclass(frozen=True)
class Delta(Stop):
    """max_i |x_i' - x_i| <= m over one sweep, in raw LSB of each component (T2 bounds the error, T3 says
    which m must come)."""

    m: int
    status: ClassVar[int] = TOLERANCE

    def __str__(self) -> str:
        return f"delta({self.m})"

    def holds(self, after: After) -> Tensor:
        bits = []
        for new, old in zip(after.new, after.old, strict=True):
            change = (new - old) << new.frac
            bits += [change <= self.m, change >= -self.m]
        return all_of(bits)


@dataclass(frozen=True)
class Residual(Stop):
    """|r_i(x')| <= tolerance for every element of the unit's residual, in value units."""

    tolerance: Fraction
    status: ClassVar[int] = TOLERANCE

    def __str__(self) -> str:
        return f"residual({self.tolerance})"

    def holds(self, after: After) -> Tensor:
        bits = []
        for r in after.residuals:
            bits += [r <= self.tolerance, r >= -self.tolerance]
        return all_of(bits)


@dataclass(frozen=True)
class Count(Stop):
    """After K sweeps, whatever the state."""

    K: int
    status: ClassVar[int] = COUNT

    def __str__(self) -> str:
        return f"count({self.K})"

    def holds(self, after: After) -> Tensor:
        return after.steps >= self.K


@dataclass(frozen=True)
class Cycle(Stop):
    """The state is that of the last step whose number was a power of two: from there on it repeats (Brent).

    A period of 1 is no cycle: it has status "fixed".
    """

    status: ClassVar[int] = CYCLE

    def __str__(self) -> str:
        return "cycle()"

    def holds(self, after: After) -> Tensor:
        return all_of([new == old for new, old in zip(after.new, after.checkpoints, strict=True)])


def unchanged() -> Unchanged:
    """Stop where a sweep changes nothing."""
    return Unchanged()


def delta(m: int) -> Delta:
    """Stop where no component changes by more than m raw LSB."""
    if isinstance(m, (bool, np.bool_)) or not isinstance(m, (int, np.integer)) or m < 0:
        raise ValueError(f"m of delta must be an integer of at least 0, not {m!r}")
    return Delta(int(m))


def residual(tolerance: Any) -> Residual:
    """Stop where no element of the residual is larger than `tolerance`, in value units, dyadic."""
    raw, frac = to_raw(tolerance, "tolerance")
    if raw.ndim or raw < 0:
        raise ValueError(f"tolerance must be one number that is not negative, not {tolerance!r}")
    return Residual(Fraction(int(raw)) / (1 << frac))


def count(K: int) -> Count:
    """Stop after K sweeps."""
    if isinstance(K, (bool, np.bool_)) or not isinstance(K, (int, np.integer)) or K < 1:
        raise ValueError(f"K of count must be an integer of at least 1, not {K!r}")
    return Count(int(K))


def cycle() -> Cycle:
    """Stop where the state repeats, with status "cycle", or "fixed" for a period of 1."""
    return Cycle()


def all_of(bits: Sequence[Tensor]) -> Tensor:
    """One bit: whether every element of every tensor is 1."""
    flat = [b.reshape(-1) if b.ndim != 1 else b for b in bits]
    joined = flat[0] if len(flat) == 1 else concat(list(align(*flat)))
    return joined.min()
