"""Solution: what a solve gave, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.iterate.stops import CAP, COUNT, CYCLE, FIXED, STATUS, TOLERANCE


@dataclass(frozen=True, eq=False)
class Solution:
    """States, sweeps and status of every row; not to converge is a status, never an exception.

    raws      raw integers per state tensor, each of shape (rows, *shape), or of `shape` for one problem
              without a batch axis
    fracs     binary points of the states: value = raw * 2**-frac
    steps     sweeps done, the last one, which found the stop, included
    codes     status codes; `status` has their names
    histories per sweep the raw states of all rows, of those that have stopped the last one; None unless asked
    """

    names: tuple[str, ...]
    raws: tuple[Array, ...]
    fracs: tuple[int, ...]
    steps: Array
    codes: Array
    histories: tuple[tuple[Array, ...], ...] | None = field(default=None, repr=False)

    @property
    def raw(self) -> Any:
        """Raw integers: an array, or by name where there are several state tensors."""
        return self._by_name(self.raws)

    @property
    def x(self) -> Any:
        """Values as float64. ValueError where float64 does not hold one exactly."""
        from fxsim.casting import to_double

        found = []
        for raw, frac, name in zip(self.raws, self.fracs, self.names, strict=True):
            reals, lost = to_double(raw, frac)
            if np.any(lost):
                raise ValueError(f"state {name!r} needs more than float64 holds; read .raw")
            found.append(reals)
        return self._by_name(tuple(found))

    @property
    def status(self) -> Any:
        """Names of the statuses: a string, or an array of them."""
        named = np.array(STATUS, object)[self.codes]
        return named if np.ndim(self.codes) else str(named)

    @property
    def history(self) -> Any:
        """Raw states of every sweep, the start first: (sweeps + 1, rows, *shape)."""
        if self.histories is None:
            return None
        return self._by_name(tuple(np.stack(h) for h in self.histories))

    @property
    def converged(self) -> Any:
        """Whether a stop held that says something of the answer: "fixed", "tolerance" or "count"."""
        return np.isin(self.codes, (FIXED, TOLERANCE, COUNT))

    def summary(self) -> str:
        """How many rows have each status, and the sweeps."""
        codes, steps = np.atleast_1d(self.codes), np.atleast_1d(self.steps)
        kinds = [f"{int(np.sum(codes == k))} {STATUS[k]}" for k in (FIXED, TOLERANCE, COUNT, CYCLE, CAP)]
        shown = ", ".join(k for k in kinds if not k.startswith("0 "))
        if not len(steps):
            return "no problems"
        return f"{shown}; {int(steps.min())} to {int(steps.max())} sweeps"

    def _by_name(self, values: tuple[Any, ...]) -> Any:
        return values[0] if len(values) == 1 else dict(zip(self.names, values, strict=True))
