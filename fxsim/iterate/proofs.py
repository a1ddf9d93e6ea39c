"""Proofs of rest that a graph cannot show by itself: each is checked exactly, and to be of the unit's map.

A proof is given to `unit(..., proofs=(proof,))`. The certificate compares what it says with the map's own
Jacobian, exactly, and raises ValueError where the two differ or a condition does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.formats import Rounding
from fxsim.graph import Input, Node, Op, Value
from fxsim.integers import Array, IntArray, exact, shift_left, to_object
from fxsim.iterate.norms import inverse_above, positive_definite
from fxsim.iterate.slopes import slopes
from fxsim.iterate.slopes.scaled import Scaled
from fxsim.iterate.slopes.step import (
    StepSlopes,
    component_roundings,
    innermost,
    shrinking,
    state_targets,
)
from fxsim.iterate.updates import Anchor, Assign, IncrementTrunc, Relax, TwoStep

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit

DIRECTED = (Rounding.TRN, Rounding.TRN_ZERO)


@dataclass(frozen=True)
class Proven:
    """Why a sweep that changes nothing must come.

    by      the name of the argument, as in a certificate's `terminates_by`
    radius  per component in LSB: |x - x*| at rest, or None
    note    what it rests on
    """

    by: str
    reason: str
    radius: tuple[Fraction, ...] | None = None
    note: str = ""
    needs_start: bool = False


@dataclass(frozen=True)
class _Quadratic:
    """x_i <- x_i + theta_i c_i (b - A x)_i with 0 <= theta_i <= 1, of which truncation, shrinking and clips
    onto the grid are cases: e = x^T A x / 2 - b^T x changes by -d^T (C^-1 / theta - A / 2) d at a move d.

    Hence it falls with every move of a group S at once if 2 C_S - C_S A_S C_S is positive definite, which for
    one component is 0 < c_i a_ii < 2. The states are finitely many, so that a sweep without a move comes.

    A     (n, n) raw, symmetric
    c     (n,) raw, positive: the factors as stored, those of `relax` included
    frac  the fraction bits of c and of A together: c_i A_ij has the value raw * 2**-frac
    """

    A: IntArray
    c: IntArray
    frac: int

    definite: ClassVar[bool] = True
    by: ClassVar[str] = "energy"

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("A", "c"):
            value = getattr(self, name)
            put(self, name, value if isinstance(value, IntArray) else IntArray(np.asarray(value)))
        A, c = self.A.array, self.c.array
        if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.size:
            raise ValueError(f"A of a proof must have shape (n, n), not {A.shape}")
        if c.shape != A.shape[:1]:
            raise ValueError(f"c of a proof must have shape {A.shape[:1]}, not {c.shape}")
        if np.any(A != A.T):
            raise ValueError("A of a proof must be symmetric")
        if np.any(c <= 0):
            raise ValueError(f"c of a proof must be positive, not {int(c.min())}")

    @classmethod
    def of(cls, A: Any, c: Any) -> Any:
        """The proof for real dyadic A (n, n) and c, a number or (n,)."""
        raw, frac = to_raw(A, "A")
        factors, c_frac = to_raw(c, "c")
        return cls(IntArray(raw), IntArray(np.broadcast_to(factors, raw.shape[:1])), frac + c_frac)

    def verify(self, unit: Unit, s: StepSlopes | None) -> Proven | None:
        """What it proves of a unit. ValueError where A and c are not those of its map."""
        n, label = len(self.c.array), type(self).__name__
        if len(set(f.frac for f in unit.formats)) > 1 or _moves_more(unit):
            raise ValueError(
                f"{label} must be of one grid and of a plain or relaxed update, not {unit.update}"
            )
        matrix, error, clipped = _straight(unit, s, label)
        if matrix.shape != (n, n):
            raise ValueError(f"{label} must have {matrix.shape[0]} components as the unit has, not {n}")
        self._belongs(matrix, label)
        shrink = shrinking(unit)
        if any(e > k for e, k in zip(error, shrink, strict=True)):
            raise ValueError(
                f"{label} must be of a map whose error increment_trunc(eps) covers, but it is up to "
                f"{float(max(error)):.4g} LSB"
            )
        if self.definite and not positive_definite(self.A.array):
            raise ValueError(f"A of {label} must be positive definite")
        groups = unit.schedule.of(n) if unit.schedule.fresh else (tuple(range(n)),)
        for group in groups:
            self._falls(group, label)
        nearest = self._rounding(unit, groups, label)
        radius = None
        if not clipped and positive_definite(self.A.array):
            total = [(Fraction(1, 2) if nearest else 1 + e + k) for e, k in zip(error, shrink, strict=True)]
            product = to_object(self.c.array)[:, None] * to_object(self.A.array)
            radius = inverse_above(exact(product), self.frac, total)
        return Proven(
            self.by, self._reason(nearest, groups), radius,
            "the radius holds for a state that ends inside its format, unsaturated" if radius else "",
        )  # fmt: skip

    def _belongs(self, matrix: Scaled, label: str) -> None:
        """I - C A is the Jacobian, exactly."""
        product = Scaled(exact(to_object(self.c.array)[:, None] * to_object(self.A.array)), self.frac)
        wanted = Scaled(np.eye(len(self.c.array), dtype=np.int64)) - product
        scale = max(wanted.scale, matrix.scale)
        off = np.argwhere(np.asarray(wanted.at(scale) != matrix.at(scale), bool))
        if off.size:
            i, j = (int(v) for v in off[0])
            have, want = matrix.fractions()[i, j], wanted.fractions()[i, j]
            raise ValueError(
                f"{label} must belong to the unit's map: its dT_{i}/dx_{j} is {have}, that of I - C A {want}"
            )

    def _falls(self, group: Sequence[int], label: str) -> None:
        at = list(group)
        c, A = to_object(self.c.array[at]), to_object(self.A.array[np.ix_(at, at)])
        doubled = np.zeros((len(at), len(at)), object)
        doubled[np.arange(len(at)), np.arange(len(at))] = 2 * c * (1 << self.frac)
        if not positive_definite(exact(doubled - c[:, None] * A * c[None, :])):
            what = (
                f"c_i a_ii must lie in 0..2, both excluded, but component {at[0]} has "
                f"{Fraction(int(c[0] * A[0, 0]), 1 << self.frac)}"
                if len(at) == 1
                else f"2 C - C A C must be positive definite for the {len(at)} components that move at once"
            )
            raise ValueError(f"{label}: {what}")

    def _rounding(self, unit: Unit, groups: Sequence[Sequence[int]], label: str) -> bool:
        """Whether it is nearest rounding, legal for single components with c_i a_ii <= 1 alone: then the new
        energy is that of a point at least as near to the minimum along the component, and of two points that
        are as near each tie mode prefers one for ever."""
        update = innermost(unit.update)
        if isinstance(update, IncrementTrunc):
            return False
        omega = [Fraction(int(c * a), 1 << self.frac) for c, a in
                 zip(to_object(self.c.array), np.diag(to_object(self.A.array)), strict=True)]  # fmt: skip
        directed = isinstance(update, Assign) and (
            update.up or any(m in DIRECTED for m in component_roundings(unit))
        )
        if directed or any(len(g) > 1 for g in groups) or max(omega) > 1:
            raise ValueError(
                f"{label} must have update=increment_trunc(), or nearest rounding of one component at a time "
                f"with c_i a_ii <= 1, not {unit.update}"
            )
        return True

    def _reason(self, nearest: bool, groups: Sequence[Sequence[int]]) -> str:
        how = "nearest rounding of single components" if nearest else "truncated increments"
        kind = "positive definite" if self.definite else "symmetric"
        return f"x^T A x / 2 - b^T x falls with every move, for {kind} A and {how}"


@dataclass(frozen=True)
class SymmetricRelaxation(_Quadratic):
    """Jacobi, Gauss-Seidel, SOR, red-black or block relaxation of A x = b, A symmetric positive definite:
    x_i <- x_i + c_i (b - A x)_i, c_i a_ii being the effective omega.

    At rest |c_i (b - A x)_i| is below one LSB (half of one for nearest rounding), which is the certificate's
    radius |(C A)**-1| 1. Legal are truncated increments, single components in any order with 0 < omega < 2,
    and groups that move at once where (2 / omega) D_S - A_S is positive definite; and nearest rounding of
    single components with omega <= 1.
    """


@dataclass(frozen=True)
class Descent(_Quadratic):
    """x <- clip(x - C grad f(x)) with truncated increments, f = x^T A x / 2 - b^T x, A symmetric, of any sign
    in its eigenvalues: the state's format, or clips of the map onto grid points, bound f from below.

    Legal if 2 C - C A C is positive definite, which for C = eta I is eta < 2 / L_f with L_f the largest
    eigenvalue of A.
    """

    definite: ClassVar[bool] = False
    by: ClassVar[str] = "descent"


@dataclass(frozen=True)
class IntegerEnergy:
    """The classical Hopfield net, one component at a time: x_i <- sgn(W x + theta)_i, kept where that is 0.

    W symmetric without negative elements on its diagonal: every flip lowers the energy
    -x^T W x / 2 - theta^T x, which on finitely many states ends. Each component may start at any code; it is
    -1 or 1 from its first flip on.

    W     (n, n) raw, symmetric;  frac  its fraction bits
    """

    W: IntArray
    frac: int = 0

    def __post_init__(self) -> None:
        W = self.W if isinstance(self.W, IntArray) else IntArray(np.asarray(self.W))
        object.__setattr__(self, "W", W)
        if W.array.ndim != 2 or W.shape[0] != W.shape[1] or np.any(W.array != W.array.T):
            raise ValueError(f"W of IntegerEnergy must be symmetric, not {W!r}")
        if np.any(np.diag(W.array) < 0):
            raise ValueError("W of IntegerEnergy must have no negative element on its diagonal")

    def verify(self, unit: Unit, s: StepSlopes | None) -> Proven:
        """What it proves of a unit. ValueError where the map is not sgn(W x + theta)."""
        n = len(self.W.array)
        if len(unit.state) != 1 or not isinstance(unit.update, Assign):
            raise ValueError(f"IntegerEnergy must be of one state that is assigned, not {unit.update}")
        if not unit.schedule.fresh or any(len(g) > 1 for g in unit.schedule.of(n)):
            raise ValueError(
                "IntegerEnergy must be of one component at a time: components that flip at once may alternate"
            )
        field = _field(unit)
        (h,) = slopes(unit.map, unit.state, None, [field])
        have = Scaled(h.lo.raw.reshape(n, -1).T, h.lo.scale) if h.linear else None
        scale = None if have is None else max(have.scale, self.frac)
        if (
            have is None
            or scale is None
            or np.any(h.error.raw != 0)
            or have.shape != (n, n)
            or np.any(have.at(scale) != shift_left(self.W.array, scale - self.frac))
        ):
            raise ValueError("W of IntegerEnergy must be the matrix of the unit's field, and is not")
        return Proven("finite", "the integer energy -x^T W x / 2 falls with every flip, W being symmetric")


KINDS = (SymmetricRelaxation, Descent, IntegerEnergy)


# -- the map behind clips --------------------------------------------------------------------------------


def _moves_more(unit: Unit) -> bool:
    """Does the update read more than x and T(x)?"""
    update: Any = unit.update
    while isinstance(update, (Relax, Anchor, TwoStep)):
        if not isinstance(update, Relax):
            return True
        update = update.then
    return False


def _straight(unit: Unit, s: StepSlopes | None, label: str) -> tuple[Scaled, tuple[Fraction, ...], bool]:
    """(the Jacobian, one matrix; the map's error in LSB; whether the map clips it onto grid points).

    A state beyond the clips is inside them after its first move, as they lie on the grid: the descent is that
    of the states inside.
    """
    if s is not None and s.linear:
        return s.lo, s.error, False
    inner = [_unclipped(node, fmt.frac) for node, fmt in zip(state_targets(unit), unit.formats, strict=True)]
    if isinstance(unit.update, Relax):
        raise ValueError(f"{label} must be of a linear map where the update relaxes it")
    read = slopes(unit.map, unit.state, None, inner)
    if not all(r.linear for r in read):
        raise ValueError(
            f"{label} must be of a linear map, or of one that is clipped onto points of the grid"
        )
    scale = max(r.lo.scale for r in read)
    rows = np.concatenate([to_object(r.lo.at(scale)).reshape(r.lo.shape[0], -1).T for r in read])
    errors = tuple(
        e * Fraction(2) ** f.frac
        for r, f in zip(read, unit.formats, strict=True)
        for e in r.error.fractions().ravel()
    )
    return Scaled(exact(rows), scale), errors, True


def _unclipped(node: Node, frac: int) -> Node:
    """The value behind maxima and minima with constants on the grid, saturating casts without rounding and
    moves of the binary point."""
    while isinstance(node, Value):
        op, args = node.op, node.args
        if isinstance(op, ops.Shift):
            node = args[0]
        elif isinstance(op, (ops.Max, ops.Min)) and (found := _bounded(args, frac)) is not None:
            node = found
        elif isinstance(op, ops.Cast) and op.overflow in ("SAT", "SAT_SYM") and _keeps(op, args[0], frac):
            node = args[0]
        else:
            return node
    return node


def _bounded(args: tuple[Node, ...], frac: int) -> Node | None:
    for moving, bound in (args, args[::-1]):
        t = bound.type
        if isinstance(bound, Value) and bool(np.all(t.is_constant)) and moving.type.shape == _joined(args):
            drop = t.frac - frac
            if drop <= 0 or not np.any(exact(t.lo) & ((1 << drop) - 1)):
                return moving
    return None


def _joined(args: tuple[Node, ...]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(a.type.shape for a in args))


def _keeps(op: ops.Cast, source: Node, frac: int) -> bool:
    """No rounding, and ends on the state's grid (the greatest code of a finer grid is not on it)."""
    fracs = op.frac.array
    return bool(np.all(fracs >= source.type.frac)) and bool(np.all(fracs <= frac))


# -- the field behind signs ------------------------------------------------------------------------------


def _field(unit: Unit) -> Node:
    """The h of a map that is 1 where h > 0, -1 where h < 0, and x where h = 0."""
    (out,) = state_targets(unit)
    fields: set[Node] = set()
    leaves = [_followed(out, sign, fields) for sign in (1, -1, 0)]
    state = unit.map.inputs[0]
    fixed = all(_is_constant(leaf, value) for leaf, value in zip(leaves, (1, -1), strict=False))
    if len(fields) != 1 or not fixed or leaves[2] is not state:
        raise ValueError(
            "IntegerEnergy must be of a map select(h > 0, 1, select(h < 0, -1, x)) with one field h"
        )
    return fields.pop()


def _is_constant(node: Node, value: int) -> bool:
    return not isinstance(node, Input) and bool(
        np.all(node.type.is_constant) and np.all(node.type.lo == value << max(node.type.frac, 0))
    )


def _followed(node: Node, sign: int, fields: set[Node]) -> Node:
    """Where the selects by comparisons of a field with 0 lead for this sign of it."""
    while isinstance(node, Value):
        op, args = node.op, node.args
        if isinstance(op, ops.Select) and isinstance(args[0], Value) and isinstance(args[0].op, ops.Compare):
            sides = []
            for side in args[0].args:
                side = _unshifted(side)
                if _is_constant(side, 0):
                    sides.append(0)
                else:
                    fields.add(side)
                    sides.append(sign)
            p, q = sides
            holds = {"lt": p < q, "le": p <= q, "eq": p == q, "ne": p != q}[args[0].op.kind]
            node = args[1] if holds else args[2]
        elif args and _same_elements(op, node, args[0]):
            node = args[0]
        else:
            return node
    return node


def _same_elements(op: Op, node: Node, source: Node) -> bool:
    """Does the op only pass its operand on?"""
    if isinstance(op, (ops.Shift, ops.Reshape)):
        return node.type.shape == source.type.shape
    if not isinstance(op, ops.Gather):
        return False
    i: Array = op.indices.array
    return source.type.ndim == 1 and i.ndim == 1 and np.array_equal(i, np.arange(source.type.shape[0]))


def _unshifted(node: Node) -> Node:
    while isinstance(node, Value) and isinstance(node.op, ops.Shift):
        node = node.args[0]
    return node
