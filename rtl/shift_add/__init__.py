"""Constant matrix product without multipliers: an integer matrix becomes shared adders over shifted wires."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from .problem import Problem, intervals_of, make_problem
from .result import Adder, AdderGraph, Output
from .search import best_graph

__all__ = ["Adder", "AdderGraph", "Output", "Problem", "solve"]


def solve(
    W: Any,
    in_types: Any = None,
    out_types: Any = None,
    max_depth: int | str | None = None,
    effort: float = 1.0,
    objective: str = "adders",
    seed: int = 0,
) -> AdderGraph:
    """Adder graph of y = x @ W, exact and checked; equal arguments give an equal graph.

    W          (n_in, n_out): integers of any size, or dyadic floats or Fractions = integers * 2**-frac.
    in_types   raw interval of the inputs, which sets widths: (lo, hi), a Format, a TensorType, or one
               for each row; None is signed 8 bit.
    out_types  intervals (raw LSB of the product) that the outputs must fit, in the same forms; None: any.
    max_depth  adders between input and output: None any, "min" the least for this matrix, or an integer.
    effort     int(effort) greedy passes with different ties, at least one; the cheapest wins.
    objective  "adders", or "bits" (full-adder bits, which depend on in_types).

    Raises ValueError for an empty, NaN or not dyadic W, a depth below the least, or an output that
    can leave out_types; TypeError for a W or types that hold no numbers.
    """
    if not (isinstance(effort, (int, float)) and math.isfinite(effort) and effort > 0):
        raise ValueError(f"effort must be a positive number, not {effort!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an integer, not {seed!r}")
    graph = _solve(make_problem(W, in_types, max_depth, objective), max(1, int(effort)), seed)
    if out_types is not None:
        _check_outputs(graph, intervals_of(out_types, graph.n_out, "out_types"))
    return graph


@lru_cache(maxsize=256)
def _solve(problem: Problem, effort: int, seed: int) -> AdderGraph:
    return best_graph(problem, effort, seed).check()


def _check_outputs(graph: AdderGraph, types: tuple[tuple[int, int], ...]) -> None:
    for c, ((lo, hi), out) in enumerate(zip(types, graph.outputs, strict=True)):
        low, high = (0, 0) if out.wire is None else graph.intervals()[out.wire]
        ends = sorted((out.sign * (low << out.shift), out.sign * (high << out.shift)))
        if ends[0] < lo or ends[1] > hi:
            raise ValueError(f"out_types must hold {ends[0]}..{ends[1]} of column {c}, not ({lo}, {hi})")
