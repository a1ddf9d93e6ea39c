"""Schedules: in which order a sweep updates the components of the state, and in how many clocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Schedule:
    """A sweep visits `groups` of components one after another; inside a group all are updated at once.

    groups  flat indices into the only state tensor, every component once; () is one group of all
    fresh   later groups read what earlier groups of the same sweep wrote (Gauss-Seidel); False: all groups
            read the state before the sweep (Jacobi), whatever their order
    folded  hardware works on one group per clock, with the processing elements of one group; False: a sweep
            per clock, in space
    size    of the groups that are made for a state without `groups` of its own; 0: one group of all
    unroll  0, or the sweeps that are laid out in space, without a loop
    """

    kind: str
    groups: Groups = ()
    fresh: bool = False
    folded: bool = False
    size: int = 0
    unroll: int = 0

    def of(self, count: int) -> Groups:
        """The groups of a state of `count` components. ValueError where they are not a partition of it."""
        if self.groups:
            listed = sorted(i for g in self.groups for i in g)
            if listed != list(range(count)):
                raise ValueError(f"groups of {self.kind} must hold each of 0..{count - 1} once, not {listed}")
            return self.groups
        size = self.size or count
        return tuple(tuple(range(k, min(k + size, count))) for k in range(0, count, size))

    @property
    def whole(self) -> bool:
        """Whether every component is updated at once, so that any number of state tensors may be."""
        return not self.groups and not self.size


def parallel() -> Schedule:
    """Jacobi: every component from the state before the sweep; one sweep per clock."""
    return Schedule("parallel")


def sequential(order: Iterable[int] | None = None, *, folded: bool = False) -> Schedule:
    """Gauss-Seidel: one component after another, each from the newest values.

    order   flat indices, each once; None: 0, 1, 2, ...
    folded  one component per clock instead of the whole sweep
    """
    if order is None:
        return Schedule("sequential", size=1, fresh=True, folded=folded)
    return Schedule("sequential", tuple((i,) for i in _indices(order)), True, folded)


def red_black(colors: Sequence[Iterable[int]], *, folded: bool = False) -> Schedule:
    """Groups of components, one group after another, each from the newest values.

    colors  the groups of flat indices, best of components that do not read each other
    """
    groups = tuple(_indices(c) for c in colors)
    if not groups or not all(groups):
        raise ValueError(f"colors must be groups of at least one component each, not {groups}")
    return Schedule("red_black", groups, True, folded)


def folded(k: int) -> Schedule:
    """Jacobi on k processing elements: ceil(n / k) clocks per sweep, the new state in a second buffer."""
    return Schedule("folded", size=_positive("k of folded", k), folded=True)


def unrolled(K: int) -> Schedule:
    """K sweeps in space: a pipeline that takes a problem every clock. The stop must be `count(K)`."""
    return Schedule("unrolled", unroll=_positive("K of unrolled", K))


def _indices(values: Iterable[Any]) -> tuple[int, ...]:
    found = list(values)
    if any(isinstance(v, (bool, np.bool_)) or not isinstance(v, (int, np.integer)) for v in found):
        raise TypeError(f"components must be given by integers, not {found}")
    return tuple(int(v) for v in found)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)
