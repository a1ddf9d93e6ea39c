"""Residual refinement (T6): the host solves to any precision with a unit of few bits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array, exact, matmul, shift_left, subtract, to_object
from fxsim.iterate import theorems
from fxsim.iterate.stops import FIXED, TOLERANCE, Delta
from fxsim.iterate.unit import Unit
from fxsim.iterate.updates import Assign, IncrementTrunc


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement gave.

    raw        (rows, n) Python integers; the solution is raw * 2**-frac
    residuals  per row max_i |r_i| as Fractions: at the start, then after each round, until the row ended
    factors    per row and round: a proven bound of the next residual over the last one; None where the unit
               is not proven to contract in a max-norm of equal weights, or may end by its cap
    steps      per row: the unit's sweeps in all rounds
    status     per row: "tolerance", "rounds", or "stalled" where a round did not make the residual less
    """

    raw: Array
    frac: int
    residuals: tuple[tuple[Fraction, ...], ...]
    factors: tuple[tuple[Fraction | None, ...], ...]
    steps: Array
    status: Array

    @property
    def x(self) -> Array:
        """The solution as Fractions."""
        found = np.empty(self.raw.shape, object)
        scale = Fraction(1, 1 << self.frac)
        for i in np.ndindex(self.raw.shape):
            found[i] = int(self.raw[i]) * scale
        return found


def refine(
    unit: Unit, b: Any, frac: int, *, rounds: int = 10, tolerance: Any = 0, certified: bool = True
) -> Refined:
    """Solves b - K x = 0 from x = 0, where b - K x is the unit's residual, by x += 2**-s unit(2**s r).

    unit       with one state, one parameter and a residual b - K x, as affine and linear units have: it finds
               K^-1 b roughly, for b on its own grid
    b          integers of any width, (rows, n) or (n,) for the n state elements, with `frac` fraction bits
    rounds     at most;  tolerance  in value units: a row ends where no |r_i| is larger

    The residual is computed in exact integers, so that it is a proof of its own: |x - x*| <= |K^-1| |r|. In
    every round s is such that the largest |r_i| just fills the parameter's format; r is rounded to nearest
    there. With L and the rounding delta of the unit the residual falls by at least

        theta = L**steps + (delta + 1/2) (1 + L) / ((1 - L) max|2**s r|),   all in LSB of the unit

    (T6; Zhu et al. 2023). Where theta is not below 1 for the format, more bits are needed: of the parameter,
    and headroom ceil(log2(1 / (1 - L))) of the state beyond it. Raises ValueError for a unit without such a
    residual.
    """
    K, K_frac = _matrix(unit)
    bound = _Bound.of(unit, K, K_frac)
    form, state = unit.map.inputs[1].type.lane(), unit.formats[0]
    given = exact(b)
    right = to_object(given.reshape(-1, given.shape[-1]) if given.ndim else given.reshape(1, 1))
    if right.shape[1] != len(K):
        raise ValueError(f"b must have {len(K)} elements per row, not {right.shape[1]}")
    limit = Fraction(tolerance)
    if limit < 0:
        raise ValueError(f"tolerance must not be negative, not {tolerance!r}")
    x, x_frac = np.zeros(right.shape, object), 0
    alive = np.ones(len(right), bool)
    status = np.full(len(right), "rounds", object)
    steps = np.zeros(len(right), np.int64)
    r, r_frac = right, frac
    sizes: list[list[Fraction]] = [[_size(row, r_frac)] for row in r]
    factors: list[list[Fraction | None]] = [[] for _ in right]
    for k in range(rounds + 1):
        for row in np.flatnonzero(alive).tolist():
            if sizes[row][-1] <= limit:
                alive[row], status[row] = False, "tolerance"
        if k == rounds or not alive.any():
            break
        rows = np.flatnonzero(alive).tolist()
        shifts = [_shift(r[i], r_frac, form.frac, form.hi) for i in rows]
        inner = np.stack([_rounded(r[i], r_frac - form.frac - s) for i, s in zip(rows, shifts, strict=True)])
        shaped: Any = inner.astype(np.int64).reshape(len(inner), *unit.map.inputs[1].type.shape)
        found = unit.solve_raw(certified=certified, **{unit.parameters[0]: shaped})
        grown = max([x_frac, *(state.frac + s for s in shifts)])
        x, x_frac = shift_left(x, grown - x_frac), grown
        moved = to_object(x)
        for i, s, e in zip(rows, shifts, found.raw, strict=True):
            moved[i] = moved[i] + to_object(e).ravel() * (1 << (grown - state.frac - s))
        new, new_frac = _residual(K, K_frac, right, frac, moved, x_frac)
        for i, count, code, v in zip(rows, found.steps, found.codes, inner, strict=True):
            steps[i] += int(count)
            size = _size(new[i], new_frac)
            top = int(np.max(np.abs(v)))
            factors[i].append(None if bound is None else bound.factor(int(code), int(count), top))
            if size >= sizes[i][-1]:
                alive[i], status[i] = False, "stalled"
                moved[i] = to_object(x)[i]
                continue
            sizes[i].append(size)
        x = moved
        r, r_frac = _residual(K, K_frac, right, frac, x, x_frac)
    shown = to_object(x).reshape(given.shape)
    return Refined(shown, x_frac, tuple(map(tuple, sizes)), tuple(map(tuple, factors)), steps, status)


def contraction(L: Any, steps: int, delta: Any, largest: Any, rounding: Any = Fraction(1, 2)) -> Fraction:
    """T6: theta = L**steps + (delta + rounding) (1 + L) / ((1 - L) largest), all in LSB of the state."""
    slope = Fraction(L)
    errors = (Fraction(delta) + Fraction(rounding)) * (1 + slope) / (1 - slope)
    return theorems.power_above(slope, steps) + errors / Fraction(largest)


def _matrix(unit: Unit) -> tuple[Array, int]:
    """K and its binary point, for a residual b - K x."""
    from fxsim.iterate.slopes import slopes

    outputs = unit.map.outputs
    if len(unit.state) != 1 or len(unit.parameters) != 1 or len(outputs) != 2:
        raise ValueError(f"unit {unit.name!r} must have one state, one parameter and a residual b - K x")
    by_state = slopes(unit.map, unit.state)[1]
    by_b = slopes(unit.map, unit.parameters)[1]
    n = unit.map.inputs[0].type.size
    one = by_b.lo.raw.reshape(by_b.lo.shape[0], -1)
    if not by_state.linear or not by_b.linear or one.shape != (n, n):
        raise ValueError(f"the residual of unit {unit.name!r} must be b - K x with a constant K")
    if not np.array_equal(one, np.eye(n, dtype=np.int64) << by_b.lo.scale):
        raise ValueError(f"the residual of unit {unit.name!r} must be b - K x, with b as it is")
    return exact(-by_state.lo.raw.reshape(n, n).T), by_state.lo.scale


def _residual(K: Array, K_frac: int, b: Array, b_frac: int, x: Array, x_frac: int) -> tuple[Array, int]:
    """b - K x and its binary point, exactly."""
    frac = max(b_frac, K_frac + x_frac)
    product = shift_left(matmul(to_object(x), K.T), frac - K_frac - x_frac)
    return to_object(subtract(shift_left(b, frac - b_frac), product)), frac


def _size(r: Array, frac: int) -> Fraction:
    return max(abs(int(v)) for v in r) * Fraction(2) ** -frac


def _shift(r: Array, r_frac: int, frac: int, largest: int) -> int:
    """s such that max|r| 2**s, rounded at `frac` bits, is at most `largest` and about half of it or more."""
    top = max(abs(int(v)) for v in r)
    s = largest.bit_length() - top.bit_length() + r_frac - frac
    while abs(int(_rounded(np.array([top], object), r_frac - frac - s)[0])) > largest:
        s -= 1
    return s


def _rounded(r: Array, drop: int) -> Array:
    """r / 2**drop to nearest; ties away from zero, so that -b gives -x."""
    if drop <= 0:
        return np.array([int(v) << -drop for v in r], object)
    half = 1 << (drop - 1)
    return np.array([(abs(int(v)) + half >> drop) * (1 if v > 0 else -1) for v in r], object)


@dataclass(frozen=True)
class _Bound:
    """Of a unit x <- Q(M x + b) whose state cannot saturate: L, delta in LSB of the state, how many of these
    an LSB of b is, and the change with which it stops."""

    L: Fraction
    delta: Fraction
    scale: Fraction
    change: int

    @classmethod
    def of(cls, unit: Unit, K: Array, K_frac: int) -> _Bound | None:
        found = unit.certify()
        if not found.contracts or found.weights is None or set(found.weights) != {1} or unit.schedule.fresh:
            return None
        if any(found.epsilon) or any(found.shrink) or np.any(unit.start[0].array):
            return None
        if not isinstance(unit.update, (Assign, IncrementTrunc)):
            return None
        from fxsim.iterate.slopes import slopes

        M, n = slopes(unit.map, unit.state)[0], len(K)
        frac = max(M.lo.scale, K_frac)
        own = M.lo.at(frac).reshape(n, n).T
        if not M.linear or np.any(own + shift_left(K, frac - K_frac) != np.eye(n, dtype=np.int64) << frac):
            return None  # the residual is not T(x) - x
        state, form = unit.formats[0], unit.map.inputs[1].type.lane()
        if (1 - found.L) * state.hi * state.lsb < form.hi * form.lsb:
            return None
        change = max((s.m for s in unit.stops if isinstance(s, Delta)), default=0)
        scale = Fraction(2) ** (state.frac - form.frac)
        return cls(found.L, max(found.delta_ulps), scale, change)

    def factor(self, code: int, steps: int, largest: int) -> Fraction:
        top, half = largest * self.scale, self.scale / 2
        if code in (FIXED, TOLERANCE):  # the residual is L times the last change, and what was rounded off
            change = self.change if code == TOLERANCE else 0
            return (self.L * change + self.delta + half) / top
        return contraction(self.L, steps, self.delta, top, half)
