"""Certificate: what is proven of a unit, as exact rationals, as JSON and as a page to read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fxsim.iterate import theorems

THEOREMS = {
    "T4": "increments truncated toward zero, of a contraction in a max-norm",
    "T4'": "increments shrunk by the map's error and truncated, of a contraction in a max-norm",
    "T5": "an order-preserving map from a corner",
    "energy": "an energy falls with every change",
    "descent": "an objective falls with every change",
    "finite": "an integer energy falls with every change",
    "tolerance": "the stop by change is wide enough for every rounding (T3)",
    "cycle": "a finite state must repeat, and the stop sees it",
    "count": "the sweeps are counted",
}


@dataclass(frozen=True)
class Certificate:
    """Of a unit with n state components, flattened, state after state; u_i is the LSB of component i.

    unit           its name
    norm           "max" (of |x_i| / (w_i u_i)), "2" (of the x_i / u_i), "block" (max over the state tensors
                   of the 2-norm of their x_i / u_i over w), or None: no Lipschitz bound
    weights        w_i, of the max-norm; of "block" those of the tensor that the component is of
    L              bound of the map's Lipschitz constant in that norm, also where it is not below 1; or None
    delta          per component, value units: most that one sweep's rounding moves the state
    epsilon        per component, value units: error of evaluating the map (roundings inside it, tables)
    shrink         per component, value units: eps of the increments
    radius         per component, value units: |x - x*| of the state that a solve ends with, unless it ends by
                   its cap; None where nothing is proven
    m_star         least m for which `delta(m)` always fires, raw LSB; None: not known
    terminates_by  T4, T4', T5, energy, descent, finite, tolerance, cycle, count, or None: it may not stop
    needs_start    the proof holds for the unit's own start only
    enclosure      the map is order-preserving as computed: floor and ceil from the corners enclose x* (T5)
    width          per component, value units: most that these two bounds are apart; or None
    reason         why it stops, or why it may not
    alternatives   what would make it legal
    notes          what else is to be known
    """

    unit: str
    states: tuple[str, ...]
    sizes: tuple[int, ...]
    fracs: tuple[int, ...]
    norm: str | None
    weights: tuple[int, ...] | None
    L: Fraction | None
    delta: tuple[Fraction, ...]
    epsilon: tuple[Fraction, ...] | None
    shrink: tuple[Fraction, ...]
    radius: tuple[Fraction, ...] | None
    m_star: int | None
    terminates_by: str | None
    needs_start: bool
    enclosure: bool
    width: tuple[Fraction, ...] | None
    reason: str
    alternatives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lsbs(self) -> tuple[Fraction, ...]:
        """u_i per component."""
        return tuple(Fraction(2) ** -f for f, k in zip(self.fracs, self.sizes, strict=True) for _ in range(k))

    @property
    def delta_ulps(self) -> tuple[Fraction, ...]:
        """delta in LSB."""
        return self._in_lsb(self.delta)

    @property
    def radius_ulps(self) -> tuple[Fraction, ...] | None:
        """radius in LSB."""
        return None if self.radius is None else self._in_lsb(self.radius)

    @property
    def contracts(self) -> bool:
        """Is L proven to be below 1?"""
        return self.L is not None and self.L < 1

    @property
    def guard_bits(self) -> int | None:
        """Fraction bits beyond those of the answer that make its error at most one of its LSB."""
        found = self.radius_ulps
        return None if found is None else theorems.guard_bits(max(found))

    def of(self, state: str) -> tuple[Fraction, ...]:
        """The radius of one state tensor, flattened. ValueError where none is proven, or for another name."""
        if state not in self.states:
            raise ValueError(f"state must be one of {', '.join(self.states)}, not {state!r}")
        if self.radius is None:
            raise ValueError(f"the certificate of {self.unit} has no radius: {self.reason}")
        k = self.states.index(state)
        first = sum(self.sizes[:k])
        return self.radius[first : first + self.sizes[k]]

    def a_posteriori(self, change: int) -> tuple[Fraction, ...]:
        """T2: |x_i - x*_i| behind a sweep that moved no component by more than `change` raw LSB, value units.

        ValueError where the map is not proven to contract.
        """
        L, w = self._contraction()
        n = len(self.delta)
        found = theorems.after_change(L, self._total(), w, (Fraction(change),) * n)
        return self._in_values(theorems.components(found, w, n))

    def a_priori(self, start_error: Any, tolerance: Any) -> int | None:
        """T1: sweeps after which |x_i - x*_i| <= tolerance for all i, if the start errs by at most
        start_error in every component (value units, exact numbers); None where the tolerance is inside the
        limit ball."""
        L, w = self._contraction()
        n, goal = len(self.delta), Fraction(tolerance)
        start = theorems.size(self._in_lsb((Fraction(start_error),) * n), w)
        ball = theorems.components(theorems.ball(L, self._total(), w), w, n)
        one = theorems.components(Fraction(1), w, n)
        rest = [(goal / u - r) / k for u, r, k in zip(self.lsbs, ball, one, strict=True)]
        return theorems.steps_to(L, start, min(rest)) if min(rest) > 0 else None

    def coefficient_shift(self, error: Any) -> Fraction:
        """How far x* moves, in the norm of LSBs, if coefficients are stored with an error that moves T by at
        most `error` there: error / (1 - L)."""
        return Fraction(error) / (1 - self._contraction()[0])

    def json(self) -> str:
        """All fields; rationals as "p/q"."""
        fields = {
            "unit": self.unit, "terminates_by": self.terminates_by, "reason": self.reason, "norm": self.norm,
            "weights": self.weights, "L": self.L, "delta": self.delta, "epsilon": self.epsilon,
            "shrink": self.shrink, "radius": self.radius, "m_star": self.m_star,
            "guard_bits": self.guard_bits, "needs_start": self.needs_start, "enclosure": self.enclosure,
            "width": self.width, "states": self.states, "sizes": self.sizes, "fracs": self.fracs,
            "alternatives": self.alternatives, "notes": self.notes,
        }  # fmt: skip
        return json.dumps({k: _plain(v) for k, v in fields.items()}, indent=1)

    def page(self) -> str:
        """A page of Markdown."""
        stops = f"stops by {self.terminates_by}" if self.terminates_by else "**may not stop**"
        lines = [f"# Certificate of {self.unit}", "", f"The unit {stops}: {self.reason}.", ""]
        if self.terminates_by is None and self.alternatives:
            lines += ["What makes it legal:", "", *(f"- {a}" for a in self.alternatives), ""]
        lines += ["| what | value |", "|---|---|"]
        if self.L is None:
            lines.append("| Lipschitz constant | not bounded |")
        else:
            names = {"2": "2-norm of LSBs", "block": "max of 2-norms of LSBs", "max": "max-norm of LSBs"}
            kind = names[self.norm or "max"]
            if self.weights is not None and set(self.weights) != {1}:
                kind += f", weights {_range([Fraction(w, min(self.weights)) for w in self.weights])}"
            lines.append(f"| L ({kind}) | {_number(self.L)} |")
        lines.append(f"| rounding of one sweep | {_range(self.delta_ulps)} LSB |")
        if self.epsilon is not None:
            lines.append(f"| error of the map | {_range(self._in_lsb(self.epsilon))} LSB |")
        if any(self.shrink):
            lines.append(f"| increments shrunk by | {_range(self._in_lsb(self.shrink))} LSB |")
        found = self.radius_ulps
        ends = "not proven" if found is None else f"{_range(found)} LSB"
        lines.append(f"| error of the answer | {ends} |")
        if self.guard_bits is not None:
            lines.append(f"| guard bits for one output LSB | {self.guard_bits} |")
        if self.m_star is not None:
            lines.append(f"| least m of delta(m) that always fires | {self.m_star} |")
        lines.append(f"| encloses the fixed point (floor and ceil) | {'yes' if self.enclosure else 'no'} |")
        if self.width is not None:
            lines.append(f"| width of the enclosure | {_range(self._in_lsb(self.width))} LSB |")
        if self.needs_start:
            lines.append("| holds for | the unit's own start |")
        lines += ["", *(f"- {n}" for n in self.notes)]
        return "\n".join(lines).rstrip() + "\n"

    def _contraction(self) -> tuple[Fraction, theorems.Weights]:
        if self.L is None or self.L >= 1 or self.epsilon is None:
            raise ValueError(
                f"the map of {self.unit} must be proven to contract for this bound, but L is {self.L}"
            )
        if self.norm != "block" or self.weights is None:
            return self.L, self.weights
        first = [sum(self.sizes[:k]) for k in range(len(self.sizes))]
        return self.L, theorems.Blocks(self.sizes, tuple(self.weights[k] for k in first))

    def _total(self) -> tuple[Fraction, ...]:
        assert self.epsilon is not None
        sums = zip(self.delta, self.epsilon, self.shrink, strict=True)
        return self._in_lsb(tuple(sum(parts, Fraction(0)) for parts in sums))

    def _in_lsb(self, values: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        return tuple(v / u for v, u in zip(values, self.lsbs, strict=True))

    def _in_values(self, values: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        return tuple(v * u for v, u in zip(values, self.lsbs, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _number(v: Fraction) -> str:
    text = str(v) if v.denominator < 10**6 and abs(v.numerator) < 10**9 else ""
    return text if v.denominator == 1 and text else f"{text} = {float(v):.6g}" if text else f"{float(v):.6g}"


def _range(values: Any) -> str:
    lo, hi = min(values), max(values)
    return _number(hi) if lo == hi else f"{float(lo):.6g} to {_number(hi)}"
