"""Ends: how far from the answer a unit ends, where its arithmetic proves more than a Lipschitz constant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fxsim.iterate.stops import Stop
from fxsim.iterate.unit import Unit


@dataclass(frozen=True)
class Ends:
    """A bound of |x - x*| behind each stop of one unit: an entry of `proofs` that brings no proof of rest.

    loop   digest of the loop that it was made for; it is refused by any other
    radii  (stop, per component of the state in LSB)
    note   which starts it holds for
    """

    loop: str
    radii: tuple[tuple[Stop, tuple[Fraction, ...]], ...]
    note: str = ""

    def verify(self, unit: Unit, slopes: Any) -> None:
        """Says nothing of why the unit comes to rest. ValueError for a unit that it was not made for."""
        if unit.loop.graph.digest() != self.loop:
            raise ValueError(f"a proof of ends must be of the unit's own loop, not given to {unit.name!r}")

    def radius(self, stop: Stop) -> tuple[Fraction, ...] | None:
        """In LSB, or None where nothing is known of the stop."""
        return dict(self.radii).get(stop)


def ends(made: Unit, radii: dict[Stop, tuple[Fraction, ...]], note: str = "") -> Unit:
    """The unit with this proof. ValueError for a radius that does not have a number per state component."""
    size = sum(i.type.size for i in made.map.inputs[: len(made.state)])
    for stop, found in radii.items():
        if stop not in made.stops or len(found) != size:
            raise ValueError(
                f"radii must map stops of {made.name!r} to {size} numbers, not {stop} to {len(found)}"
            )
    return replace(made, proofs=(*made.proofs, Ends(made.loop.graph.digest(), tuple(radii.items()), note)))
