"""Updates: the map that is iterated, made of the user's T, and how its value is rounded to a new state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.ops import Table
from fxsim.trace import Tensor, maximum, select

Tensors = list[Tensor]
Evaluate = Callable[[Tensors], Tensors]
"""The components of T that are being updated, at the states that are given."""


@dataclass(frozen=True)
class At:
    """Where an update stands: what it may read beside the map.

    own      per state tensor, of any states the components that are being updated
    formats  of the state tensors
    anchors  the components of the state before the first step
    steps    sweeps done so far, an unsigned scalar
    """

    own: Callable[[Tensors], Tensors]
    formats: Sequence[Format]
    anchors: Tensors
    steps: Tensor
    cap: int


@dataclass(frozen=True)
class Update:
    """`target` gives the exact value that the new state is to have, `round` the new state itself."""

    anchored: ClassVar[bool] = False

    def target(self, x: Tensors, evaluate: Evaluate, at: At) -> Tensors:
        return evaluate(x)

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no rounding")

    def part(self, state: int) -> Update:
        """The update that rounds state tensor number `state`."""
        return self


@dataclass(frozen=True)
class Assign(Update):
    """x' = Q(T(x)): the target is rounded and saturated to the state's format.

    rounding  of the cast; None: that of the format. Lost: the bits below the state's LSB.
    up        round up to the next LSB, which no format does: floor of the target and all but its last bit
    """

    rounding: Rounding | None = None
    up: bool = False

    def __str__(self) -> str:
        return f"assign({'CEIL' if self.up else '' if self.rounding is None else self.rounding})"

    def __post_init__(self) -> None:
        if self.rounding is not None:
            object.__setattr__(self, "rounding", Rounding(self.rounding))

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        if self.up and target.frac > fmt.frac:
            target = target + (fmt.lsb - Fraction(2) ** -target.frac)
        return target.cast(fmt.replace(rounding=self.rounding_of(fmt)))

    def rounding_of(self, fmt: Format) -> Rounding:
        """The rounding of the state."""
        return fmt.rounding if self.rounding is None else self.rounding


@dataclass(frozen=True)
class IncrementTrunc(Update):
    """x' = x + sign(r) * floor(max(|r| - eps, 0) / u) * u with r = T(x) - x and u the LSB of the state.

    The increment is truncated toward zero, so that no component passes T(x): a contraction in a weighted
    max-norm then comes to rest, whatever the order (theorem T4). eps > 0 (T4') is for a map that is evaluated
    with an error of up to eps. Lost: increments below one LSB; the result saturates.

    eps  in value units, dyadic, not negative; a number for all components
    """

    eps: Fraction = Fraction(0)

    def __str__(self) -> str:
        return f"increment_trunc({self.eps or ''})"

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        if self.eps:
            step = target - old
            size = maximum(abs(step) - self.eps, 0)
            whole = _floor(size, fmt.frac)
            new = old + select(step < 0, -whole, whole)
        elif target.frac <= fmt.frac:
            new = target
        else:
            # x + trunc(T - x) is floor(T) for T >= x and ceil(T) below, as x is on the grid: an adder and a
            # comparator instead of two adders and a rounding.
            carry = fmt.lsb - Fraction(2) ** -target.frac
            new = _floor(target + select(_floor(target, fmt.frac) < old, carry, 0), fmt.frac)
        lo, hi = target.type.lo, target.type.hi
        # Between the state and the target: where the target never leaves the format, neither does the result.
        scale = Fraction(2) ** (fmt.frac - target.frac)
        inside = min(lo.ravel(), default=0) * scale >= fmt.lo and max(hi.ravel(), default=0) * scale <= fmt.hi
        overflow = Overflow.WRAP if inside and fmt.overflow is not Overflow.SAT_SYM else fmt.overflow
        return new.cast(fmt.replace(overflow=overflow))


@dataclass(frozen=True)
class Relax(Update):
    """T'(x) = x + omega * (T(x) - x), then as `then` does; omega dyadic, one number or one per component.

    Over-relaxation for omega > 1, damping for omega < 1.
    """

    omega: IntArray
    frac: int
    then: Update

    def __str__(self) -> str:
        omega = self.factors
        return f"relax({omega.flat[0] if omega.size == 1 else f'{omega.size} numbers'}, {self.then})"

    @property
    def anchored(self) -> bool:  # type: ignore[override]
        return self.then.anchored

    @property
    def factors(self) -> np.ndarray[Any, Any]:
        """omega as Fractions."""
        unit = Fraction(1, 1 << self.frac)
        found: np.ndarray[Any, Any] = np.vectorize(lambda v: int(v) * unit, otypes=[object])(self.omega.array)
        return found

    def target(self, x: Tensors, evaluate: Evaluate, at: At) -> Tensors:
        targets, own = self.then.target(x, evaluate, at), at.own(x)
        if self.omega.array.ndim and len(targets) > 1:
            raise ValueError("omega must be one number for several state tensors, not an array")
        found = []
        for t, old in zip(targets, own, strict=True):
            scaled = at.own([old.builder.constant(self._full(x[0].shape)) >> self.frac])[0]
            moved = old + (t - old) * scaled
            found.append(_between(moved, old, t) if self._damping else moved)
        return found

    def _full(self, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return np.broadcast_to(self.omega.array, shape)

    @property
    def _damping(self) -> bool:
        return bool(np.all(self.omega.array >= 0) and np.all(self.omega.array <= 1 << self.frac))

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        return self.then.round(old, target, fmt)


@dataclass(frozen=True)
class Anchor(Update):
    """Halpern: T'(x) = lambda_k x_0 + (1 - lambda_k) T(x) in step k = 0, 1, ..., then as `then` does.

    lambdas  raw, at `frac` bits: one per step, the last one for all later steps
    """

    lambdas: IntArray
    frac: int
    then: Update
    anchored: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"anchor({self.lambdas.shape[0]} numbers, {self.then})"

    def target(self, x: Tensors, evaluate: Evaluate, at: At) -> Tensors:
        targets = self.then.target(x, evaluate, at)
        values = self.lambdas.array
        index = np.minimum(np.arange(int(at.steps.type.bounds[1]) + 1), len(values) - 1)
        weight = at.steps._apply(Table(IntArray(values[index]), 0, self.frac, function="lambda"))
        found = []
        for t, first in zip(targets, at.anchors, strict=True):
            found.append(_between(t + (first - t) * weight, t, first))
        return found

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        return self.then.round(old, target, fmt)


@dataclass(frozen=True)
class TwoStep(Update):
    """Extragradient: y = Q(T(x)), T'(x) = x + T(y) - y for T(x) = x - eta F(x), then as `then` does."""

    then: Update

    def __str__(self) -> str:
        return f"two_step({self.then})"

    def target(self, x: Tensors, evaluate: Evaluate, at: At) -> Tensors:
        first = [self.then.round(old, t, fmt) for old, t, fmt in zip(x, evaluate(x), at.formats, strict=True)]
        return [old + (t - y) for old, t, y in zip(x, evaluate(first), first, strict=True)]

    def round(self, old: Tensor, target: Tensor, fmt: Format) -> Tensor:
        return self.then.round(old, target, fmt)


@dataclass(frozen=True)
class Each(Update):
    """One assignment per state tensor, each with a rounding of its own."""

    parts: tuple[Assign, ...]

    def __str__(self) -> str:
        return f"each({', '.join(map(str, self.parts))})"

    def target(self, x: Tensors, evaluate: Evaluate, at: At) -> Tensors:
        if len(at.formats) != len(self.parts):
            raise ValueError(
                f"each must have {len(at.formats)} updates, one per state, not {len(self.parts)}"
            )
        return evaluate(x)

    def part(self, state: int) -> Update:
        return self.parts[state]


def each(*parts: Assign) -> Each:
    """Assignments, one per state tensor, as `assign` makes them."""
    for p in parts:
        if not isinstance(p, Assign):
            raise TypeError(f"parts of each must be assignments, not {p!r}")
    return Each(parts)


def assign(rounding: Rounding | str | None = None) -> Assign:
    """x' = Q(T(x)) in the format's rounding, or in `rounding`: "RND", "TRN", "RND_CONV" ..., or "CEIL"."""
    if rounding == "CEIL":
        return Assign(Rounding.TRN, up=True)
    return Assign(None if rounding is None else Rounding(rounding))


def increment_trunc(eps: Any = 0) -> IncrementTrunc:
    """x' = x + trunc(T(x) - x) toward zero, |T(x) - x| first made less by eps (value units, dyadic)."""
    raw, frac = to_raw(eps, "eps")
    if raw.ndim or raw < 0:
        raise ValueError(f"eps must be one number that is not negative, not {eps!r}")
    return IncrementTrunc(Fraction(int(raw)) / (1 << frac))


def relax(omega: Any, then: Update | None = None) -> Relax:
    """T'(x) = x + omega (T(x) - x), omega dyadic and positive; then increments truncated."""
    raw, frac = to_raw(omega, "omega")
    if np.any(raw <= 0):
        raise ValueError(f"omega must be positive, not {omega!r}")
    return Relax(IntArray(raw), frac, _update(then))


def damped(s: int, then: Update | None = None) -> Relax:
    """T'(x) = x + 2**-s (T(x) - x); then increments truncated."""
    if isinstance(s, bool) or not isinstance(s, (int, np.integer)) or s < 0:
        raise ValueError(f"s of damped must be an integer of at least 0, not {s!r}")
    return relax(Fraction(1, 1 << int(s)), then)


def anchor(lambdas: Any, then: Update | None = None) -> Anchor:
    """T'(x) = lambda_k x_0 + (1 - lambda_k) T(x), lambdas dyadic in 0..1, the last one for ever."""
    raw, frac = to_raw(lambdas, "lambdas")
    if raw.ndim != 1 or not raw.size or np.any(raw < 0) or np.any(raw > 1 << frac):
        raise ValueError(f"lambdas must be a list of dyadic numbers in 0..1, not {lambdas!r}")
    return Anchor(IntArray(raw), frac, assign("RND") if then is None else _update(then))


def two_step(then: Update | None = None) -> TwoStep:
    """Extragradient on T(x) = x - eta F(x); both half steps rounded as `then` does."""
    return TwoStep(assign("RND") if then is None else _update(then))


def _update(then: Update | None) -> Update:
    if then is None:
        return IncrementTrunc()
    if not isinstance(then, Update) or isinstance(then, Each):
        raise TypeError(f"then must be an update such as assign() or increment_trunc(), not {then!r}")
    return then


def _format(lo: int, hi: int, frac: int, rounding: Rounding) -> Format:
    """The least format of raw lo..hi at `frac`."""
    width = max(hi.bit_length() + 1, (-1 - lo).bit_length() + 1 if lo < 0 else 1)
    return Format(width, width - frac, True, rounding)


def _bounds(t: Tensor) -> tuple[int, int]:
    lo, hi = t.type.bounds
    return int(lo), int(hi)


def _rounded(t: Tensor, frac: int, rounding: Rounding) -> Tensor:
    if t.frac <= frac:
        return t
    lo, hi = _bounds(t)
    shift = t.frac - frac
    return t.cast(_format((lo >> shift) - 1, (hi >> shift) + 1, frac, rounding))


def _floor(t: Tensor, frac: int) -> Tensor:
    return _rounded(t, frac, Rounding.TRN)


def _between(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """t, which lies between a and b element by element: its interval alone does not know that.

    The cast drops leading bits that are copies of the sign.
    """
    ends = [(v << (t.frac - s.frac)) for s in (a, b) for v in _bounds(s)]
    return t.cast(_format(min(ends), max(ends), t.frac, Rounding.TRN))
