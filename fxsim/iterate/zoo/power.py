"""Power iteration: the dominant eigenvector of a matrix, normalised by shifts alone.

y = A x, x <- y 2**-e with the e for which max_i |x_i| is in 1/2..1: a leading one instead of a root and a
division. The angle to the eigenvector falls by |l2 / l1| a sweep. The length is never divided out, so that
the state would grow or shrink for ever where l1 is no power of two; `power_iteration` therefore divides A by
the host's estimate of l1, and what remains is a slow drift, a cycle of a few LSB, or none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ
from fxsim.integers import Array, exact
from fxsim.iterate.example import Example
from fxsim.iterate.references.graphs import karate_club, neighbours
from fxsim.iterate.stops import cycle, delta
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.ops import LeadingOne
from fxsim.trace import Tensor

__all__ = ["power_iteration"]


def power_iteration(A: Any, *, frac: int = 14, coefficient_frac: int | None = 14, **options: Any) -> Unit:
    """x <- A x 2**-e, rounded to nearest, from (1/2, ..., 1/2).

    A                 (n, n) real, dyadic where coefficient_frac is None
    coefficient_frac  fraction bits of A / l1, rounded to nearest, l1 by the host in floating point; None: A
                      as it is, whose l1 had better be a power of two
    options           as of `unit`; stop=(delta(1), cycle()) by default: a change of at most 1 LSB need not
                      come, but a finite state repeats

    Changes of m LSB or less put the angle below about m sqrt(n) / (1 - |l2 / l1|) LSB over |x|. Where -l1 is
    an eigenvalue too, or l1 < 0, the state turns over for ever: status "cycle". x = 0 stays 0.
    """
    raw, a_frac = _coefficients(A, coefficient_frac)
    n = len(raw)

    def step(x: Tensor) -> Tensor:
        y = (x @ raw.T) >> a_frac
        whole = y << y.frac
        e = x.builder.apply(LeadingOne(), abs(whole).max())
        most = int(e.type.bounds[1])
        return (whole << (most - e)) >> most

    given = {"update": assign("RND"), "stop": (delta(1), cycle()), "start": 1 << (frac - 1), **options}
    given.setdefault("name", "power_iteration")
    return unit(step, {"x": (SQ(1, frac, overflow="SAT"), (n,))}, **given)


def angles(A: Any, x: Any) -> Array:
    """In radians, of every row of x to the eigenvector of the largest |eigenvalue| of symmetric A."""
    values, vectors = np.linalg.eigh(np.asarray(A, float))
    first = vectors[:, np.argmax(np.abs(values))]
    rows = np.asarray(x, float)
    along = rows @ first
    across = rows - along[:, None] * first
    found: Array = np.arctan2(np.linalg.norm(across, axis=1), np.abs(along))
    return found


def example() -> Example:
    """The eigenvector centrality of Zachary's karate club, from eight starts."""
    friends = neighbours(karate_club(), 34) + np.eye(34, dtype=np.int64)
    rng = np.random.default_rng(0)
    starts = rng.integers(1 << 8, 1 << 10, (8, 34))
    return Example(
        power_iteration(friends, frac=10, coefficient_frac=12), {}, exact(starts), None,
        "friendships of the 34 members of Zachary's karate club, each a friend of itself",
    )  # fmt: skip


def _coefficients(A: Any, coefficient_frac: int | None) -> tuple[Array, int]:
    if coefficient_frac is None:
        raw, frac = to_raw(A, "A")
    else:
        real = np.asarray(A, float)
        if not np.all(np.isfinite(real)) or real.ndim != 2 or real.shape[0] != real.shape[1]:
            raise ValueError(f"A must be a finite matrix of shape (n, n), not of shape {real.shape}")
        largest = float(np.max(np.abs(np.linalg.eigvals(real))))
        if not largest:
            raise ValueError("A must have an eigenvalue that is not 0")
        raw, frac = (
            exact(np.round(real / largest * (1 << coefficient_frac)).astype(np.int64)),
            coefficient_frac,
        )
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or not raw.size:
        raise ValueError(f"A must have shape (n, n), not {raw.shape}")
    return raw, frac
