"""The slopes of what one sweep iterates: the user's map, relaxed, anchored or taken twice by the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim.formats import Rounding
from fxsim.graph import Node
from fxsim.integers import Array, exact, shift_left, to_object
from fxsim.iterate.norms import two_norm, unit
from fxsim.iterate.slopes.reading import Slopes, _interval_matmul, slopes
from fxsim.iterate.slopes.scaled import Scaled, exceeds, greater, lesser, where
from fxsim.iterate.updates import Anchor, Assign, Each, IncrementTrunc, Relax, TwoStep, Update

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit

Gains = Callable[[Sequence[int]], list[Fraction]]


@dataclass(frozen=True, eq=False)
class StepSlopes:
    """The map T' whose exact value a sweep rounds, for n state components, each in units u_i of its own LSB.

    lo, hi  interval Jacobian (n, n), a row per result, of the ideal map
    error   per component, of |computed - ideal|, in LSB
    gains   weights -> per component a bound of sum_j |dT'_i/dx_j| w_j, all in LSB
    two     a bound of the Lipschitz constant in the 2-norm of LSBs
    rising  the computed map falls nowhere
    exact   per component: every target lies on the state's grid, so that nothing is rounded
    note    what is to be known of the fixed point
    """

    lo: Scaled
    hi: Scaled
    error: tuple[Fraction, ...]
    gains: Gains
    two: Callable[[], Fraction]
    rising: bool
    exact: Array
    note: str = ""

    @property
    def magnitude(self) -> Scaled:
        return greater(abs(self.lo), abs(self.hi))

    @property
    def linear(self) -> bool:
        return not bool(np.any(exceeds(self.hi, self.lo)))


def step_slopes(unit: Unit) -> StepSlopes:
    """The slopes of a unit's sweep. NotImplementedError or ValueError where the map has none."""
    targets = state_targets(unit)
    read = slopes(unit.map, unit.state, None, targets)
    fracs = component_fracs(unit)
    matrix = _in_lsb(_rows([s.lo for s in read]), fracs), _in_lsb(_rows([s.hi for s in read]), fracs)
    errors = [e for s in read for e in s.error.fractions().ravel().tolist()]
    plain = StepSlopes(
        *matrix, tuple(e * (1 << f) if f >= 0 else e / (1 << -f) for e, f in zip(errors, fracs, strict=True)),
        _gains(unit, fracs), _two(read, fracs, matrix), all(s.rising for s in read),
        np.array([o.type.frac <= f.frac for o, f in zip(targets, unit.formats, strict=True)
                  for _ in range(o.type.size)]),
    )  # fmt: skip
    return _under(unit, unit.update, plain)


def state_targets(unit: Unit) -> tuple[Node, ...]:
    """The outputs of the unit's map that are targets of states, without the residual."""
    return unit.map.outputs[: len(unit.state)]


def component_fracs(unit: Unit) -> list[int]:
    """The fraction bits of every component of the state, flattened."""
    nodes = unit.map.inputs
    return [f.frac for f, n in zip(unit.formats, nodes, strict=False) for _ in range(n.type.size)]


def innermost(update: Update) -> Update:
    """The update that rounds: assign, increment_trunc, or each."""
    while isinstance(update, (Relax, Anchor, TwoStep)):
        update = update.then
    return update


def rounding_error(unit: Unit, exact_targets: Array) -> tuple[Fraction, ...]:
    """Per component a bound of |Q(v) - v| in LSB: a half for nearest rounding, else one; 0 where nothing is
    rounded. Shrinking by eps comes on top and is not in it: it leaves a part of an LSB to be rounded."""
    if any(shrinking(unit)):
        exact_targets = np.zeros(len(exact_targets), bool)
    found = []
    for update, mode in zip(rounders(unit), component_roundings(unit), strict=True):
        if isinstance(update, Assign) and not update.up and mode not in (Rounding.TRN, Rounding.TRN_ZERO):
            found.append(Fraction(1, 2))
        else:
            found.append(Fraction(1))
    return tuple(Fraction(0) if e else d for d, e in zip(found, exact_targets.tolist(), strict=True))


def rounders(unit: Unit) -> list[Update]:
    """Per component the update that rounds it: assign or increment_trunc."""
    inner = innermost(unit.update)
    nodes = unit.map.inputs[: len(unit.state)]
    return [inner.part(k) for k, n in enumerate(nodes) for _ in range(n.type.size)]


def shrinking(unit: Unit) -> tuple[Fraction, ...]:
    """Per component the eps of shrunk increments in LSB; 0 for assignments."""
    update = innermost(unit.update)
    eps = update.eps if isinstance(update, IncrementTrunc) else Fraction(0)
    return tuple(eps * Fraction(2) ** f for f in component_fracs(unit))


def component_roundings(unit: Unit) -> list[Rounding]:
    """The rounding mode of every component (that of an assignment; TRN_ZERO of increments)."""
    formats = [f for f, n in zip(unit.formats, unit.map.inputs, strict=False) for _ in range(n.type.size)]
    return [
        update.rounding_of(fmt) if isinstance(update, Assign) else Rounding.TRN_ZERO
        for update, fmt in zip(rounders(unit), formats, strict=True)
    ]


# -- the map of a graph in LSB ---------------------------------------------------------------------------


def _rows(parts: Sequence[Scaled]) -> Scaled:
    """(n, *shape) of every output as one matrix, a row per result."""
    scale = max(p.scale for p in parts)
    return Scaled(exact(np.concatenate([p.at(scale).reshape(p.shape[0], -1).T for p in parts])), scale)


def _in_lsb(m: Scaled, fracs: Sequence[int]) -> Scaled:
    """J_ij u_j / u_i = J_ij 2**(f_i - f_j)."""
    f = np.array(fracs, np.int64)
    spread = int(f.max() - f.min())
    if not spread:
        return m
    return Scaled(shift_left(m.raw, f[:, None] - f[None, :] + spread), m.scale + spread)


def _gains(made: Unit, fracs: Sequence[int]) -> Gains:
    most = max(fracs)

    def gains(weights: Sequence[int]) -> list[Fraction]:
        # In value units the weights are w_j u_j; over 2**-most they are integers.
        whole = [int(w) << (most - f) for w, f in zip(weights, fracs, strict=True)]
        read = slopes(made.map, made.state, whole, state_targets(made))
        flat = [g for s in read for g in s.gain.fractions().ravel().tolist()]
        return [g * unit(most - f) for g, f in zip(flat, fracs, strict=True)]

    return gains


def _two(read: Sequence[Slopes], fracs: Sequence[int], ends: tuple[Scaled, Scaled]) -> Callable[[], Fraction]:
    def two() -> Fraction:
        if len(read) == 1 and len(set(fracs)) == 1:
            return read[0].two_norm()
        m = greater(abs(ends[0]), abs(ends[1])) if np.any(exceeds(ends[1], ends[0])) else ends[0]
        return two_norm(m.raw, m.scale)

    return two


# -- what the update makes of it -------------------------------------------------------------------------


def _under(made: Unit, update: Update, s: StepSlopes) -> StepSlopes:
    if isinstance(update, Relax):
        return _relaxed(made, update, _under(made, update.then, s))
    if isinstance(update, Anchor):
        return _anchored(update, _under(made, update.then, s))
    if isinstance(update, TwoStep):
        return _twice(made, _under(made, update.then, s))
    if isinstance(update, (Assign, Each, IncrementTrunc)):
        return s
    raise NotImplementedError(f"the certificate knows no slopes of the update {type(update).__name__}")


def _relaxed(made: Unit, update: Relax, s: StepSlopes) -> StepSlopes:
    """J' = (1 - omega) I + omega J, row by row."""
    n = len(s.error)
    raw = (
        np.broadcast_to(update.omega.array, made.map.inputs[0].type.shape)
        if update.omega.array.ndim
        else update.omega.array
    )
    omega = [
        Fraction(int(v), 1 << update.frac) for v in np.broadcast_to(raw.ravel() if raw.ndim else raw, (n,))
    ]
    column = Scaled(exact(np.broadcast_to(raw.ravel() if raw.ndim else raw, (n,))).reshape(n, 1), update.frac)
    rest = Scaled(
        to_object((1 << update.frac) - column.raw) * to_object(np.eye(n, dtype=np.int64)), update.frac
    )
    rest = rest.each(exact)
    lo, hi = rest + column * s.lo, rest + column * s.hi
    out = StepSlopes(lo, hi, (), s.gains, s.two, False, s.exact)

    def gains(weights: Sequence[int]) -> list[Fraction]:
        own = _sums(out.magnitude, weights)
        inner = s.gains(weights)
        return [min(a, abs(1 - o) * w + o * g) for a, o, w, g in zip(own, omega, weights, inner, strict=True)]

    def two() -> Fraction:
        if out.linear:
            return two_norm(lo.raw, lo.scale)
        if len(set(omega)) == 1:
            return abs(1 - omega[0]) + omega[0] * s.two()
        m = out.magnitude
        return two_norm(m.raw, m.scale)

    error = tuple(o * e for o, e in zip(omega, s.error, strict=True))
    rising = (not any(error) and not np.any(lo.raw < 0)) or (s.rising and max(omega) <= 1)
    return replace(
        out, error=error, gains=gains, two=two, rising=rising, exact=np.zeros(n, bool), note=s.note
    )


def _anchored(update: Anchor, s: StepSlopes) -> StepSlopes:
    """(1 - lambda) J of the last lambda, which holds for ever."""
    last = Fraction(int(update.lambdas.array[-1]), 1 << update.frac)
    keep = Scaled(exact(np.array((1 << update.frac) - int(update.lambdas.array[-1]))), update.frac)
    note = f"x* is the fixed point of {last} x0 + {1 - last} T(x)" if last else ""
    return replace(
        s, lo=s.lo * keep, hi=s.hi * keep, error=tuple((1 - last) * e for e in s.error),
        gains=lambda w: [(1 - last) * g for g in s.gains(w)], two=lambda: (1 - last) * s.two(),
        exact=np.zeros(len(s.error), bool), note=note or s.note,
    )  # fmt: skip


def _twice(made: Unit, s: StepSlopes) -> StepSlopes:
    """T'(x) = x + T(y) - y, y = T(x) saturated: J' = I + (J(y) - I) J(x); the rounding of y is an error."""
    n = len(s.error)
    one = Scaled(np.eye(n, dtype=np.int64))
    beyond = np.array(
        [b for o, f in zip(state_targets(made), made.formats, strict=True) for b in _leaves(o.type, f)]
    )
    zero = Scaled.zeros((n, n))
    first = (
        where(beyond[:, None], lesser(s.lo, zero), s.lo),
        where(beyond[:, None], greater(s.hi, zero), s.hi),
    )
    outer = s.lo - one, s.hi - one
    product = _interval_matmul(outer, first)
    lo, hi = one + product[0], one + product[1]
    out = StepSlopes(lo, hi, (), s.gains, s.two, False, s.exact)
    top = greater(abs(outer[0]), abs(outer[1])).fractions()
    halves, shrink = rounding_error(made, s.exact), shrinking(made)
    moved = [e + h + k for e, h, k in zip(s.error, halves, shrink, strict=True)]
    error = tuple(e + sum((a * m for a, m in zip(row, moved, strict=True)), Fraction(0))
                  for e, row in zip(s.error, top, strict=True))  # fmt: skip

    def two() -> Fraction:
        m = lo if out.linear else out.magnitude
        return two_norm(m.raw, m.scale)

    return replace(
        out, error=error, gains=lambda w: _sums(out.magnitude, w), two=two,
        rising=not any(error) and not np.any(lo.raw < 0), exact=np.zeros(n, bool),
    )  # fmt: skip


def _leaves(t: Any, fmt: Any) -> list[bool]:
    """Per element: may the target leave the state's format?"""
    shift = t.frac - fmt.frac
    lo, hi = to_object(t.lo).ravel(), to_object(t.hi).ravel()
    least, most = Fraction(fmt.lo), Fraction(fmt.hi)
    return [bool(a * unit(shift) < least or b * unit(shift) > most) for a, b in zip(lo, hi, strict=True)]


def _sums(m: Scaled, weights: Sequence[int]) -> list[Fraction]:
    found = m @ Scaled(exact(np.array([int(w) for w in weights], object)).reshape(-1, 1))
    flat: list[Fraction] = found.fractions().ravel().tolist()
    return flat
