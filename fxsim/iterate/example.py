"""Example: a unit with problems that it is to solve, and what their solutions truly are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.iterate.solution import Solution
from fxsim.iterate.unit import Unit

Exact = np.ndarray[Any, Any]
"""Fractions, of the shape of a state with the rows first."""


@dataclass(frozen=True, eq=False)
class Example:
    """Problems for a unit, raw, with the rows first; at least one row.

    problems   raw parameters by name, (rows, *shape) or *shape
    start      raw starts, (rows, *shape) or by name; None: the unit's own
    reference  () -> per row and component the solution as Fractions (of the first state tensor), exact or
               right to far less than an LSB; None where there is no single solution
    about      where the data come from, one sentence
    """

    unit: Unit
    problems: Mapping[str, Array]
    start: Any = None
    reference: Callable[[], Exact] | None = field(default=None, repr=False)
    about: str = ""

    def solve(self, **options: Any) -> Solution:
        """All problems."""
        problems: dict[str, Any] = {**self.problems, **options}
        found: Solution = self.unit.solve_raw(self.start, **problems)
        return found

    def errors(self, solution: Solution) -> Exact:
        """|x - reference| of the first state, in value units, as Fractions."""
        if self.reference is None:
            raise ValueError(f"{self.unit.name} has no reference solution")
        unit = Fraction(2) ** -solution.fracs[0]
        wanted = self.reference()
        raw = solution.raws[0].reshape(wanted.shape)
        found: Exact = np.vectorize(lambda r, w: abs(int(r) * unit - w), otypes=[object])(raw, wanted)
        return found
