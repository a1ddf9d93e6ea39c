"""Certify: whether a unit is proven to stop, why, and how far from the fixed point; refuse what may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim.formats import Rounding
from fxsim.integers import Array
from fxsim.iterate import theorems
from fxsim.iterate.certificate import THEOREMS, Certificate
from fxsim.iterate.corners import check_start, corner
from fxsim.iterate.ends import Ends
from fxsim.iterate.norms import block_norms, perron_weights, resolvent_above, small_gain
from fxsim.iterate.slopes.step import (
    StepSlopes,
    component_fracs,
    component_roundings,
    innermost,
    rounding_error,
    shrinking,
    step_slopes,
)
from fxsim.iterate.stops import Count, Cycle, Delta, Residual, Stop, Unchanged
from fxsim.iterate.theorems import Weights
from fxsim.iterate.updates import Anchor, Assign, IncrementTrunc, Relax, TwoStep

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit

Vector = tuple[Fraction, ...]


def ends_anyway(unit: Unit) -> bool:
    """Whether a count, or a cycle of a state that says all, ends the unit from every start."""
    return any(
        isinstance(s, Count) or (isinstance(s, Cycle) and not _moving_anchor(unit)) for s in unit.stops
    )


def require(unit: Unit) -> None:
    """Nothing for a unit that is proven to stop; ValueError for one that may not, with what makes it legal.

    One that `ends_anyway` needs no more to be known of its map.
    """
    if ends_anyway(unit):
        return
    found = certify(unit)
    if found.terminates_by is None:
        legal = "".join(f"\n  - {a}" for a in found.alternatives)
        raise ValueError(f"unit {unit.name!r} may not stop: {found.reason}. Legal would be:{legal}")


def require_start(unit: Unit, states: Sequence[Array], parameters: Sequence[Array]) -> None:
    """Nothing for raw starts that the proof holds for; ValueError naming the first row that it does not."""
    if not ends_anyway(unit) and certify(unit).needs_start:
        check_start(unit, states, parameters)


def certify(unit: Unit) -> Certificate:
    """What is proven of a unit from its integers alone; see `Certificate`.

    Raises ValueError for a proof that does not belong to the unit or does not hold.
    """
    known: Certificate | None = unit.__dict__.get("_certificate")
    if known is None:
        known = _certified(unit)
        unit.__dict__["_certificate"] = known
    return known


@dataclass
class _Facts:
    """What the certificate is made of; all vectors per component, in LSB."""

    unit: Unit
    n: int
    slopes: StepSlopes | None
    unknown: str  # why there are no slopes
    norm: str | None = None
    weights: Weights = None
    L: Fraction | None = None
    delta: Vector = ()
    shrink: Vector = ()
    notes: list[str] = field(default_factory=list)

    @property
    def error(self) -> Vector:
        assert self.slopes is not None
        return self.slopes.error

    @property
    def total(self) -> Vector:
        return tuple(a + b + c for a, b, c in zip(self.delta, self.error, self.shrink, strict=True))

    @property
    def contracts(self) -> bool:
        return self.L is not None and self.L < 1

    @property
    def in_max_norm(self) -> bool:
        return self.contracts and self.norm == "max"


@dataclass(frozen=True)
class _Rest:
    """Why the state comes to rest: theorem, sentence, radius in LSB where that proof brings one."""

    by: str
    reason: str
    needs_start: bool = False
    radius: Vector | None = None


def _certified(unit: Unit) -> Certificate:
    fracs = component_fracs(unit)
    n = len(fracs)
    try:
        made, unknown = step_slopes(unit), ""
    except (NotImplementedError, ValueError) as e:
        made, unknown = None, str(e)
    facts = _Facts(unit, n, made, unknown)
    facts.delta = rounding_error(unit, np.zeros(n, bool) if made is None else made.exact)
    facts.shrink = shrinking(unit)
    if made is not None:
        _choose_norm(facts)
        if made.note:
            facts.notes.append(made.note)
    rest, why_not = _rest(facts)
    m_star = _least_change(facts, rest)
    verdicts = [_verdict(facts, stop, rest, why_not, m_star) for stop in unit.stops]
    fired = next((v for v in verdicts if v[0] is not None), None)
    # Any of the stops may come first, so that the radius is that of the worst.
    radius = _worst([_stop_radius(facts, stop, rest) for stop in unit.stops]) if fired else None
    if _moving_anchor(unit) and radius is None:
        facts.notes.append("the anchor's weights change from step to step: no radius is proven")
    if fired is not None:
        by, reason = fired[0], fired[1]
    else:
        by, reason = None, "; ".join(dict.fromkeys(v[1] for v in verdicts))
    u = [Fraction(2) ** -f for f in fracs]

    def values(v: Vector | None) -> Vector | None:
        return None if v is None else tuple(a * b for a, b in zip(v, u, strict=True))

    # An anchor is the start, so that floor and ceil from two corners have two fixed points.
    enclosure = made is not None and made.rising and not unit.update.anchored
    width = None
    if enclosure and facts.in_max_norm:
        assert facts.L is not None
        gap = tuple(2 * (1 + e) for e in facts.error)
        width = _ball(facts, gap)
    facts.notes += [p.note for p in unit.proofs if isinstance(p, Ends) and p.note]
    if unknown:
        facts.notes.append(f"no Lipschitz bound: {unknown}")
    if facts.contracts:
        facts.notes.append(
            "coefficients are taken as stored; rounding them moves x* by at most their error in T over 1 - L"
        )
    return Certificate(
        unit.name, unit.state, tuple(i.type.size for i in unit.map.inputs[: len(unit.state)]),
        tuple(f.frac for f in unit.formats), facts.norm,
        _listed(facts.weights),
        facts.L, values(facts.delta) or (), None if made is None else values(made.error),
        values(facts.shrink) or (), values(radius), m_star, by,
        rest is not None and rest.needs_start and by == rest.by, enclosure, values(width), reason,
        () if by else _alternatives(facts, m_star), tuple(facts.notes),
    )  # fmt: skip


# -- contraction -----------------------------------------------------------------------------------------


def _choose_norm(facts: _Facts) -> None:
    """Weights of 1 if they do, else those of a Perron vector, else the 2-norm."""
    s, n = facts.slopes, facts.n
    assert s is not None
    ones = (1,) * n
    facts.norm, facts.weights, facts.L = "max", ones, max(s.gains(ones))
    if facts.L < 1:
        return
    m = s.magnitude
    w, bound = perron_weights(m.raw, m.scale)
    if w != ones:
        bound = min(bound, max(g / k for g, k in zip(s.gains(w), w, strict=True)))
        if bound < facts.L:
            facts.weights, facts.L = w, bound
    if facts.L < 1:
        return
    two = s.two()
    if two < 1:
        facts.norm, facts.weights, facts.L = "2", None, two
    sizes = _sizes(facts.unit)
    if len(sizes) > 1:
        ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
        groups = [range(e - n, e) for e, n in zip(ends, sizes, strict=True)]
        j = s.lo if s.linear else s.magnitude
        found, gain = small_gain(block_norms(j.raw, j.scale, groups))
        if gain < 1 and gain < two:
            facts.norm, facts.weights, facts.L = "block", theorems.Blocks(tuple(sizes), found), gain


def _listed(w: Weights) -> tuple[int, ...] | None:
    return w.spread if isinstance(w, theorems.Blocks) else None if w is None else tuple(w)


def _ball(facts: _Facts, total: Vector) -> Vector | None:
    """Per component: where |e| <= |J| |e| + total ends, by norm and by the resolvent of |J|, the lesser."""
    if not facts.contracts:
        return None
    assert facts.L is not None and facts.slopes is not None
    found = theorems.components(theorems.ball(facts.L, total, facts.weights), facts.weights, facts.n)
    m = facts.slopes.magnitude
    if all(t > 0 for t in total):
        direct = resolvent_above(m.raw, m.scale, total)
        if direct is not None:
            found = tuple(min(a, b) for a, b in zip(found, direct, strict=True))
    return found


# -- why the state comes to rest -------------------------------------------------------------------------


def _rest(facts: _Facts) -> tuple[_Rest | None, str]:
    """The theorem by which a sweep that changes nothing must come, or None and why there is none."""
    unit, update = facts.unit, innermost(facts.unit.update)
    for proof in unit.proofs:
        proven = proof.verify(unit, facts.slopes)
        if proven is not None:
            if proven.note:
                facts.notes.append(proven.note)
            return _Rest(proven.by, proven.reason, proven.needs_start, proven.radius), ""
    if facts.slopes is None:
        return None, f"nothing is known of its map ({facts.unknown})"
    increments = isinstance(update, IncrementTrunc)
    if increments and facts.in_max_norm:
        short = [k for k, (e, s) in enumerate(zip(facts.error, facts.shrink, strict=True)) if e > s]
        if not short:
            by = "T4'" if any(facts.error) else "T4"
            weights = "" if set(_listed(facts.weights) or (1,)) == {1} else "weighted "
            return _Rest(by, f"{THEOREMS[by]}: L = {_text(facts.L)} in the {weights}max-norm"), ""
        why = (
            f"the map is evaluated with an error of up to {_text(max(facts.error))} LSB, and increments are "
            f"shrunk by {_text(min(facts.shrink))} LSB only"
        )
    elif increments and facts.contracts:
        why = (
            f"truncated increments may orbit under a contraction of 2-norms alone (L = {_text(facts.L)}; "
            f"no weighted max-norm has L < 1)"
        )
    elif increments:
        why = f"the map is not proven to contract (L = {_text(facts.L)} in the max-norm)"
    elif facts.contracts:
        why = f"x' = Q(T(x)) may cycle although T contracts (L = {_text(facts.L)})"
    else:
        why = f"the map is not proven to contract (L = {_text(facts.L)}), and Q(T(x)) may cycle"
    if facts.slopes.rising and not _moving_anchor(unit) and not isinstance(unit.update, TwoStep):
        side = corner(unit)
        if side:
            radius = _ball(facts, facts.total)
            return _Rest("T5", f"{THEOREMS['T5']}: the start is {side} its image", True, radius), ""
        why += "; the map is order-preserving, but the start is not proven to be below or above its image"
    return None, why


def _moving_anchor(unit: Unit) -> bool:
    update: Any = unit.update
    while isinstance(update, (Relax, Anchor, TwoStep)):
        if isinstance(update, Anchor) and len(set(update.lambdas.array.tolist())) > 1:
            return True
        update = update.then
    return False


# -- stops -----------------------------------------------------------------------------------------------


def _verdict(
    facts: _Facts, stop: Stop, rest: _Rest | None, why_not: str, m_star: int | None
) -> tuple[str | None, str]:
    """(by what the stop certainly fires, or None; the reason)."""
    if isinstance(stop, Count):
        return "count", f"{stop.K} sweeps are made, whatever the state"
    if isinstance(stop, Cycle):
        if _moving_anchor(facts.unit):
            return None, "a cycle says nothing while the anchor's weights change"
        return "cycle", THEOREMS["cycle"]
    if isinstance(stop, (Unchanged, Delta)):
        m = stop.m if isinstance(stop, Delta) else 0
        if rest is not None and not rest.needs_start:
            return rest.by, rest.reason
        if m_star is not None and m >= m_star:
            return "tolerance", f"{THEOREMS['tolerance']}: {m} >= m* = {m_star}"
        if rest is not None:
            return rest.by, rest.reason
        if isinstance(stop, Unchanged):
            return None, why_not
        limit = "not known" if m_star is None else str(m_star)
        return None, f"delta({m}) is below the least m that always fires, which is {limit}"
    if isinstance(stop, Residual):
        return None, "a residual may stay above its tolerance, as the state's grid is finite"
    return None, f"nothing is known of the stop {type(stop).__name__}"


def _stop_radius(facts: _Facts, stop: Stop, rest: _Rest | None) -> Vector | None:
    """|x - x*| in LSB behind this stop; None where nothing is proven."""
    for proof in facts.unit.proofs:
        known = proof.radius(stop) if isinstance(proof, Ends) else None
        if known is not None:
            return tuple(known)
    if _moving_anchor(facts.unit):
        return None
    fixed = rest.radius if rest is not None and rest.radius is not None else None
    if facts.slopes is None or not facts.contracts:
        return fixed if isinstance(stop, Unchanged) else None
    assert facts.L is not None
    w, total = facts.weights, facts.total
    ball = _ball(facts, total)
    # The bounds of a sweep in the 2-norm are those of simultaneous updates.
    jacobi = facts.norm == "max" or not facts.unit.schedule.fresh
    if isinstance(stop, Unchanged):
        return ball if fixed is None else tuple(min(a, b) for a, b in zip(ball or fixed, fixed, strict=True))
    if isinstance(stop, Cycle):
        return ball if jacobi else None
    if isinstance(stop, Delta) and jacobi:
        change = (Fraction(stop.m),) * facts.n
        return theorems.components(theorems.after_change(facts.L, total, w, change), w, facts.n)
    if isinstance(stop, Count) and jacobi:
        box = tuple(Fraction(f.hi - f.lo) for f, k in zip(facts.unit.formats, _sizes(facts.unit), strict=True)
                    for _ in range(k))  # fmt: skip
        return theorems.components(theorems.after_count(facts.L, total, w, box, stop.K), w, facts.n)
    return None


def _sizes(unit: Unit) -> list[int]:
    return [i.type.size for i in unit.map.inputs[: len(unit.state)]]


def _worst(radii: Sequence[Vector | None]) -> Vector | None:
    if not radii or any(r is None for r in radii):
        return None
    return tuple(max(parts) for parts in zip(*(r for r in radii if r is not None), strict=True))


def _least_change(facts: _Facts, rest: _Rest | None) -> int | None:
    """Least m of delta(m) that is proven to fire."""
    if rest is not None and not rest.needs_start:
        return 0
    if not facts.contracts or _moving_anchor(facts.unit):
        return None
    assert facts.L is not None
    update, modes = innermost(facts.unit.update), component_roundings(facts.unit)
    found = []
    plain = isinstance(update, Assign)
    ones = facts.in_max_norm and set(_listed(facts.weights) or ()) == {1}
    if plain and ones:
        found.append(theorems.least_change(facts.L, max(facts.error), modes))
    if facts.in_max_norm or not facts.unit.schedule.fresh:
        # Two errors of nearest rounding, or of floors, differ by one LSB at most; those toward zero by two.
        spread = tuple(
            (Fraction(1) if plain and d and m is not Rounding.TRN_ZERO else 2 * d) + 2 * (e + s)
            for m, d, e, s in zip(modes, facts.delta, facts.error, facts.shrink, strict=True)
        )
        found.append(theorems.least_change_in(facts.L, spread, facts.weights))
    return min(found, default=None)


# -- what would be legal ---------------------------------------------------------------------------------


def _alternatives(facts: _Facts, m_star: int | None) -> tuple[str, ...]:
    found = []
    update = innermost(facts.unit.update)
    if facts.in_max_norm:
        eps = max(facts.error)
        worst = max(
            e / Fraction(2) ** f for e, f in zip(facts.error, component_fracs(facts.unit), strict=True)
        )
        if not eps:
            found.append("update=increment_trunc(): T4 holds, as the map contracts in a max-norm")
        else:
            found.append(
                f"update=increment_trunc(eps) with eps of at least {_up(worst)} in value units: T4' holds"
            )
    if facts.slopes is not None and facts.slopes.rising:
        found.append(
            "a start that is below or above its image, such as the state's least or greatest code: T5 holds"
        )
    if m_star is not None:
        found.append(f"stop=delta({m_star}) or more: it always fires (T3)")
    elif facts.contracts and isinstance(update, IncrementTrunc):
        found.append("update=assign('RND') and stop=delta(m) with the m of its certificate (T3)")
    if facts.contracts and not facts.in_max_norm:
        found.append("proofs=[...] of fxsim.iterate.proofs, where the step descends an objective")
    if not facts.contracts:
        found.append("a damped or rescaled map whose L is below 1, or proofs=[...] of fxsim.iterate.proofs")
    if not _moving_anchor(facts.unit):
        found.append("stop=cycle() beside it: a finite state repeats, and the status says so")
    found.append("stop=count(K) beside it, with K from the certificate's a_priori")
    return tuple(found)


def _up(v: Fraction) -> str:
    """A dyadic number of 8 significant bits that is not below v."""
    k = 8 - v.numerator.bit_length() + v.denominator.bit_length()
    return str(Fraction(-(-v * Fraction(2) ** k // 1)) / Fraction(2) ** k)


def _text(v: Fraction | None) -> str:
    if v is None:
        return "unknown"
    return str(v) if v.denominator < 10**4 else f"{float(v):.6g}"
