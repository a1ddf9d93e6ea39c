"""Classical and dense Hopfield nets: x_i <- sign of the field, in integers, with an energy that falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import data, ops
from fxsim.constants import to_raw
from fxsim.formats import SQ
from fxsim.integers import Array, IntArray, to_object
from fxsim.iterate.example import Exact, Example
from fxsim.iterate.proofs import IntegerEnergy, Proven
from fxsim.iterate.schedules import Schedule, sequential
from fxsim.iterate.stops import Stop, cycle, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import Assign, assign
from fxsim.trace import Tensor, maximum, select, trace

__all__ = ["dense_hopfield", "hopfield"]

SPIN = SQ(2, 0, overflow="SAT")


def hopfield(
    weights: Any, *, schedule: Schedule | None = None, cap: int = 100, name: str = "hopfield"
) -> Unit:
    """The unit x_i <- sgn(sum_j W_ij x_j), x_i kept where the sum is 0, for states of -1 and 1.

    weights   (n, n) integers, symmetric, with a zero diagonal: see `hebbian`
    schedule  default `sequential()`: every flip lowers the integer energy -x^T W x / 2 by |sum| at least, so
              that a sweep without a flip comes. `parallel()` flips all at once and ends at a fixed point or
              in a cycle of two states; the stop then looks for cycles.

    The state holds -2 and 0 too, which a start must not have. Nothing is lost.
    Source: Hopfield, PNAS 79 (1982) 2554.
    """
    W = _symmetric(weights)

    def step(x: Tensor, only: Sequence[int] | None = None) -> Tensor:
        rows = range(len(W)) if only is None else only
        return _sign(x.builder.constant(W[list(rows)]) @ x, x, rows)

    return _unit(step, len(W), schedule, cap, name, IntegerEnergy(IntArray(W)))


def dense_hopfield(
    patterns: Any, order: int = 4, *, schedule: Schedule | None = None, cap: int = 100,
    name: str = "dense_hopfield",
) -> Unit:  # fmt: skip
    """The unit x_i <- sgn(sum_m F(o_mi + P_mi) - F(o_mi - P_mi)), F(o) = o**order, for P patterns.

    o_mi = sum_{j != i} P_mj x_j is the overlap without component i, so that a flip of x_i alone lowers the
    integer energy -sum_m F(sum_j P_mj x_j). Order 2 is the classical net; the capacity grows as
    n**(order - 1).

    patterns  (N, n) integers in -1..1
    Nothing is lost: F is a table of the n + 1 differences.
    Source: Krotov and Hopfield, arXiv 1606.01164.
    """
    P = _patterns(patterns)
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 2:
        raise ValueError(f"order must be an integer of at least 2, not {order!r}")
    energy = DenseEnergy(IntArray(P), int(order))
    return _unit(_dense_step(P, int(order)), P.shape[1], schedule, cap, name, energy)


@dataclass(frozen=True)
class DenseEnergy:
    """The proof that a dense net comes to rest: one component at a time takes that of -1 and 1 with the lower
    energy -sum_m (P x)_m**order, and keeps its own where both have the same.

    A component leaves the codes that are no spin once at most; from then on every flip lowers the integer
    energy, which on finitely many states ends.
    """

    patterns: IntArray
    order: int

    def verify(self, unit: Unit, s: Any) -> Proven:
        """What it proves of a unit. ValueError where the unit's map is not just this net's."""
        n = self.patterns.shape[1]
        step = _dense_step(self.patterns.array, self.order)
        own = trace(step, SPIN, shape=(n,), name=unit.map.name, output_names=unit.map.output_names)
        if own != unit.map or not isinstance(unit.update, Assign):
            raise ValueError("patterns and order of DenseEnergy must be those of the unit, and are not")
        if not unit.schedule.fresh or any(len(g) > 1 for g in unit.schedule.of(n)):
            raise ValueError("DenseEnergy must be of one component at a time")
        return Proven("finite", f"the integer energy -sum (P x)**{self.order} falls with every flip")


def _dense_step(P: Array, order: int) -> Any:
    n = P.shape[1]
    # P_mi (F(o + 1) - F(o - 1)) is F(o + P_mi) - F(o - P_mi) for P_mi in -1..1.
    differences = [(o + 1) ** order - (o - 1) ** order for o in range(-n - 1, n + 2)]
    table = ops.Table(IntArray(to_object(np.array(differences, object))), -n - 1, 0, None, f"power {order}")

    def step(x: Tensor, only: Sequence[int] | None = None) -> Tensor:
        rows = list(range(n) if only is None else only)
        spins = maximum(x, -1)  # the format's -2 is no state, and would double the table
        signs = x.builder.constant(P[:, rows])
        overlap = (x.builder.constant(P) @ spins).reshape(-1, 1) - signs * spins.take(rows)
        return _sign((signs * overlap._apply(table)).sum(0), x, rows)

    return step


def hebbian(patterns: Any) -> Array:
    """W = sum_m P_m P_m^T with a zero diagonal, for patterns (N, n) in -1..1.

    With zeros among the patterns the net recalls several at once: x has the sign of the first pattern where
    that is not 0, of the second where it is, and so on (multitasking, dilution d: overlaps (1 - d) d**(k-1)).
    """
    P = _patterns(patterns)
    W = P.T @ P
    np.fill_diagonal(W, 0)
    return W


def energy(weights: Any, x: Any) -> Array:
    """-x^T W x / 2 of states (rows, n): an integer for spins and a zero diagonal."""
    W, x = _symmetric(weights), np.asarray(x)
    found: Array = -np.sum(x * (x @ W), -1) // 2
    return found


def reference(weights: Any, start: Any, sweeps: int = 1000) -> Exact:
    """The states where the sequential net comes to rest, by a plain loop over Python integers."""
    W = _symmetric(weights).tolist()
    found = []
    for row in np.atleast_2d(np.asarray(start)).tolist():
        for _ in range(sweeps):
            before = list(row)
            for i, w in enumerate(W):
                h = sum(a * b for a, b in zip(w, row, strict=True))
                row[i] = row[i] if h == 0 else 1 if h > 0 else -1
            if row == before:
                break
        found.append([Fraction(v) for v in row])
    return np.array(found, object)


def example() -> Example:
    """Three digits stored in 64 spins, each recalled from four copies with 8 pixels flipped."""
    patterns = digit_patterns()
    rng = np.random.default_rng(7)
    start = np.repeat(patterns, 4, axis=0)
    for row in start:
        row[rng.permutation(64)[:8]] *= -1
    W = hebbian(patterns)
    return Example(
        hopfield(W, schedule=sequential(folded=True)), {}, start, lambda: reference(W, start),
        "Three of the shipped digit images, black and white, stored by Hebb's rule; 8 pixels flipped.",
    )  # fmt: skip


def digit_patterns(digits: Sequence[int] = (3, 4, 6)) -> Array:
    """The first image of each digit as a vector of -1 and 1."""
    images, labels = data.digits_samples()
    first = [int(np.flatnonzero(labels == d)[0]) for d in digits]
    return np.where(images.reshape(-1, 64)[first] > 0.5, 1, -1).astype(np.int64)


def _unit(step: Any, n: int, schedule: Schedule | None, cap: int, name: str, proof: Any) -> Unit:
    schedule = sequential() if schedule is None else schedule
    alone = schedule.fresh and all(len(g) == 1 for g in schedule.of(n))
    stop: tuple[Stop, ...] = (unchanged(),) if alone else (unchanged(), cycle())
    return unit(
        step, {"x": (SPIN, (n,))}, update=assign("TRN"), stop=stop, schedule=schedule, cap=cap, start=1,
        proofs=(proof,) if alone else (), name=name,
    )  # fmt: skip


def _sign(h: Tensor, x: Tensor, rows: Sequence[int]) -> Tensor:
    return select(h > 0, 1, select(h < 0, -1, x.take(list(rows))))


def _symmetric(weights: Any) -> Array:
    W, frac = to_raw(weights, "weights")
    if frac or W.ndim != 2 or W.shape[0] != W.shape[1] or not W.size:
        raise ValueError(f"weights must be a square matrix of integers, not {np.shape(weights)}")
    if np.any(W != W.T) or np.any(np.diag(W)):
        raise ValueError("weights must be symmetric with a zero diagonal: the energy falls by that alone")
    return W


def _patterns(patterns: Any) -> Array:
    P, frac = to_raw(patterns, "patterns")
    if frac or P.ndim != 2 or not P.size or np.any(np.abs(P) > 1):
        raise ValueError(f"patterns must be rows of -1, 0 and 1, not {patterns!r}")
    return P
