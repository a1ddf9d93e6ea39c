"""Graphs and grids that problems are posed on: a standard social network, grids, weights from edge logits."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array

# Zachary's karate club (1977): the friends of each of the 34 members with a greater number.
_KARATE = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31), 1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32), 3: (7, 12, 13), 4: (6, 10), 5: (6, 10, 16), 6: (16,), 8: (30, 32, 33),
    9: (33,), 13: (33,), 14: (32, 33), 15: (32, 33), 18: (32, 33), 19: (33,), 20: (32, 33), 22: (32, 33),
    23: (25, 27, 29, 32, 33), 24: (25, 27, 31), 25: (31,), 26: (29, 33), 27: (33,), 28: (31, 33),
    29: (32, 33), 30: (32, 33), 31: (32, 33), 32: (33,),
}  # fmt: skip


def karate_club() -> Array:
    """The 78 friendships of Zachary's karate club, (78, 2), members 0 (the instructor) to 33 (the head)."""
    return np.array([(a, b) for a, friends in _KARATE.items() for b in friends], np.int64)


def neighbours(edges: Any, nodes: int) -> Array:
    """The symmetric 0/1 matrix of undirected edges, (nodes, nodes)."""
    found = np.zeros((nodes, nodes), np.int64)
    for a, b in np.asarray(edges).tolist():
        found[a, b] = found[b, a] = 1
    return found


def by_degree(logits: Any, edges: Any, nodes: int, frac: int) -> Array:
    """Raw weights of the "degree" construction of Park, Choi and Park (2021), (nodes, nodes) at `frac` bits.

    a_e = clip(logit_e, 0, 1) / outdegree(source), placed at [source, target] and rounded down: no row sums to
    more than 1, exactly.

    edges  (edges, 2): (source, target)
    """
    listed = np.asarray(edges).reshape(-1, 2).tolist()
    values = np.asarray(logits, np.float64).ravel().tolist()
    if len(values) != len(listed):
        raise ValueError(f"logits must be one per edge, {len(listed)}, not {len(values)}")
    degree = np.bincount([a for a, _ in listed], minlength=nodes)
    found = np.zeros((nodes, nodes), np.int64)
    for (a, b), v in zip(listed, values, strict=True):
        if not 0 <= a < nodes or not 0 <= b < nodes:
            raise ValueError(f"edges must join nodes 0..{nodes - 1}, not {(a, b)}")
        share = Fraction(min(max(v, 0.0), 1.0)) / int(degree[a])
        found[a, b] += (share * (1 << frac)).__floor__()
    return found


def numgrid(kind: str, n: int) -> Array:
    """An n x n grid whose points inside a region are numbered 0, 1, ... column by column, the others -1.

    kind  "S" the square without its border; "L" that without its lower right quarter; "D" a disc. In the
          order of MATLAB's numgrid, which counts from 1 and has 0 outside
    """
    if n < 3:
        raise ValueError(f"n must be at least 3, not {n!r}")
    inside = np.zeros((n, n), bool)
    inside[1:-1, 1:-1] = True
    if kind == "L":
        inside[n // 2 :, n // 2 :] = False
    elif kind == "D":
        x = 2 * np.arange(n) - (n - 1)
        inside &= x[:, None] ** 2 + x[None, :] ** 2 < (n - 1) ** 2
    elif kind != "S":
        raise ValueError(f"kind must be 'S', 'L' or 'D', not {kind!r}")
    found = np.full((n, n), -1, np.int64)
    found.T[inside.T] = np.arange(int(inside.sum()))
    return found


def five_points(grid: Any) -> list[list[int]]:
    """The neighbours up, down, left and right of every numbered point of a grid, those outside left out."""
    cells = np.pad(np.asarray(grid), 1, constant_values=-1)
    found: list[list[int]] = [[] for _ in range(int(cells.max()) + 1)]
    for i, j in np.argwhere(cells >= 0).tolist():
        around = (cells[i - 1, j], cells[i + 1, j], cells[i, j - 1], cells[i, j + 1])
        found[int(cells[i, j])] = [int(v) for v in around if v >= 0]
    return found


def laplacian(grid: Any) -> Array:
    """The 5-point matrix of a grid: 4 on the diagonal, -1 for each neighbour (MATLAB's delsq)."""
    near = five_points(grid)
    found = 4 * np.eye(len(near), dtype=np.int64)
    for i, others in enumerate(near):
        found[i, others] = -1
    return found


def checkerboard(grid: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(red, black) points of a grid: no two of a color are neighbours."""
    cells = np.asarray(grid)
    i, j = np.indices(cells.shape)
    return tuple(tuple(sorted(cells[(cells >= 0) & ((i + j) % 2 == color)].tolist())) for color in (0, 1))  # type: ignore[return-value]


def colors(matrix: Any) -> list[tuple[int, ...]]:
    """Groups of a matrix's components, greedily, so that none reads another one of its group."""
    joined = np.asarray(matrix) != 0
    joined = joined | joined.T
    groups: list[list[int]] = []
    for i in range(len(joined)):
        for g in groups:
            if not joined[i, g].any():
                g.append(i)
                break
        else:
            groups.append([i])
    return [tuple(g) for g in groups]


def edges_of(targets: Iterable[Iterable[int]]) -> Array:
    """(edges, 2) of lists of targets, one list per source."""
    return np.array([(a, b) for a, listed in enumerate(targets) for b in listed], np.int64).reshape(-1, 2)
