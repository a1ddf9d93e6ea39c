"""Stop by a count that reaches the limit ball: for contractions that no theorem brings to rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from fxsim.formats import Format
from fxsim.iterate import theorems
from fxsim.iterate.norms import root_above
from fxsim.iterate.stops import count, unchanged
from fxsim.iterate.unit import Unit


def counted(
    make: Callable[..., Unit], L: Fraction, formats: Sequence[Format], weights: Sequence[int] | None = None
) -> Unit:
    """make(stop=(unchanged(), count(K)), cap=K) with K from any start at most 1 LSB outside the ball of T1.

    L        proven in the 2-norm of LSBs, component i divided by weights[i]**-.5
    formats  one per component: the state may start anywhere in them

    A sweep that changes nothing stops earlier and proves as much (T2). Where the certificate knows another L
    (it prefers max-norms), K is enough for that too, so that its radius is the ball and an LSB.
    """
    K = sweeps(L, formats, weights)
    made = make(stop=(unchanged(), count(K)), cap=K)
    known: Any = made.certify()
    if known.contracts:
        box = tuple(Fraction(f.hi - f.lo) for f in formats)
        w = known.weights
        more = theorems.steps_to(known.L, theorems.size(box, w), Fraction(1, max(w) if w else 1))
        if more > K:
            made = make(stop=(unchanged(), count(more)), cap=more)
    return made


def sweeps(L: Fraction, formats: Sequence[Format], weights: Sequence[int] | None = None) -> int:
    """The least K >= 1 for which L**K times the whole range is at most 1 LSB of every component."""
    w = [1] * len(formats) if weights is None else [int(v) for v in weights]
    start = theorems.size([Fraction(f.hi - f.lo) for f in formats], None)
    # In the metric the range is at most max(w)**.5 of that, and one LSB at least min(w)**.5.
    ratio = root_above(Fraction(max(w), min(w)))
    return max(theorems.steps_to(L, start * ratio, Fraction(1)), 1)
