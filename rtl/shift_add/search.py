"""Greedy passes from several starts, then destroy and repair under annealing, for as long as is asked for.

The compiled parts are in `rtl.shift_add.compiled`; here it is decided where to start, how long to go on, and
at what temperature: from `HEAT` adders down to none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from .compiled import entry
from .compiled.drawing import FINAL
from .compiled.state import TERM
from .compiled.table import SPAN_LIMIT, WIRE_LIMIT
from .problem import Problem
from .result import Adder, AdderGraph, Output

HEAT = 0.3  # the temperature at the beginning, in adders
FINE, FINE_HEAT = 0.4, 0.2  # under "bits", the share of the search in bits, and its temperature in terms
BEST_TRIALS = 200_000
SLICE = 0.02  # seconds between looks at the clock
STEPS = 64  # temperatures of a search of a given number of trials
DEEPEST = 50  # a larger limit binds nothing, and 2**depth must fit in 64 bits
ENOUGH = 3000  # trials per digit after which a search is over before its time
MASK = (1 << 62) - 1
FEW, MOST, FEW_BELOW = 4, 100, 2000  # a trial for every fourth digit follows a greedy pass, in small ones
TREE_WORK = 50_000_000  # coefficients that may be compared for column differences
PARENTS = 48  # columns that a column may be the child of in a spanning tree
NEAREST = 6  # columns that a column may become the child of, in a trial

Progress = Callable[[float, int], Any]


def search(
    problem: Problem, seconds: float = 0, trials: int = 0, seed: int = 0, progress: Progress | None = None
) -> AdderGraph:
    """The cheapest graph of a greedy pass, the few trials that follow it in small matrices, and then `trials`
    trials, or trials for `seconds`.

    progress(fraction done, cost so far) is called now and then; the cost is in adders, and under "bits" the
    call begins again from 0, in full-adder bits, for the last part of the search.
    """
    if problem.max_depth is None or problem.max_depth <= problem.least_depth:
        return _search(problem, seconds, trials, seed, progress)
    # A limit that is not tight: a search without one knows column differences, and may stay within.
    free = _search(replace(problem, max_depth=None), seconds / 2, trials // 2, seed, progress)
    kept = _search(problem, seconds / 2, trials - trials // 2, seed, progress)
    cost = attrgetter(problem.objective)
    return free if free.depth <= problem.max_depth and cost(free) < cost(kept) else kept


def _search(
    problem: Problem, seconds: float, trials: int, seed: int, progress: Progress | None
) -> AdderGraph:
    state, drawing, least, weights, choices = min(
        (_first(problem, start, seed, k) for k, start in enumerate(_starts(problem))),
        key=lambda made: made[2][1],
    )
    greedy = _graph(problem, drawing)
    if not (trials or seconds) or least[1] == 0:
        return greedy
    near = entry.relatives(weights, min(NEAREST, problem.n_out)) if weights.size else _NO_NEAR
    run = Annealing(entry.prepared(state), drawing, weights, near, choices, least, progress)
    # Bits differ too finely to lead a search from far: adders do, and bits take over near the end.
    both = problem.objective == "bits"
    shares = ((0, HEAT, 1 - FINE), (1, FINE_HEAT, FINE)) if both else ((0, HEAT, 1.0),)
    for bits, heat, share in shares:
        entry.reprice(run.state, drawing, bits, least)
        if trials:
            run.for_trials(round(trials * share), heat)
        else:
            run.for_seconds(seconds * share, heat)
    # The search in adders may end with more bits than it began with, and a short one in bits not mend that.
    return min(greedy, _graph(problem, drawing), key=attrgetter(problem.objective))


_NO_NEAR = np.zeros((0, 0, 4), np.int64)
_NO_WEIGHTS = np.zeros((0, 0), np.int64)


def _starts(problem: Problem) -> list[float | None]:
    """None, the columns themselves, and where depth is free column differences: what a parent costs, in
    adders."""
    return [None, 0.5, 2.0] if _free(problem) else [None]


def _few(problem: Problem) -> int:
    """Trials after a greedy pass: in a small matrix they cost no more than what comes before and after."""
    digits = len(problem.digits)
    return min(digits // FEW, MOST) if digits < FEW_BELOW else 0


def _free(problem: Problem) -> bool:
    """Whether columns may be made of other columns."""
    n, m = problem.weights.shape
    plain = not any(problem.offsets) and all(w is None for w in problem.wraps)
    return plain and problem.max_depth is None and problem.narrow and m > 1 and n * m * m <= TREE_WORK


def _first(problem: Problem, extra: float | None, seed: int, number: int) -> tuple[Any, ...]:
    """(state, drawing, [cost in the state, cost of the drawing], weights if columns may differ, codings)."""
    n, m = problem.weights.shape
    digits, parents = problem.digits, np.full(m, -1, np.int64)
    trees = _free(problem)
    weights = problem.weights.array.astype(np.int64) if trees else _NO_WEIGHTS
    rows = n + len(problem.constants)
    if extra is not None:
        near = entry.relatives(weights, min(m, PARENTS))
        digits, parents = entry.tree_digits(digits, weights, near, int(256 * extra), rows)
    span = int(digits[:, 2].max(initial=0)) + (5 if trees else 2)
    count = len(digits)
    # Recoding may take more digits than the canonical form.
    longest = int(np.bincount(digits[:, 0], minlength=m).max())
    longest += longest // 4 + 2
    if trees:
        longest = max(longest, n * ((span + 2) // 2) + 2)
        count = 2 * count + longest
    if span >= SPAN_LIMIT or rows + m + count >= WIRE_LIMIT:
        raise ValueError(
            f"W must have fewer than {WIRE_LIMIT} signed digits, at shifts below {SPAN_LIMIT}, not"
            f" {len(digits)} at shifts up to {span}: split the matrix"
        )
    lo, hi = np.zeros(rows + m), np.zeros(rows + m)
    ends = [*problem.in_intervals, *((v, v) for v in problem.constants)]
    lo[:rows], hi[:rows] = [_real(v) for v, _ in ends], [_real(v) for _, v in ends]
    for c in range(m) if trees else ():
        column, low, high = weights[:, c], lo[:n], hi[:n]
        lo[rows + c] = (np.minimum(column * low, column * high)).sum()
        hi[rows + c] = (np.maximum(column * low, column * high)).sum()
    limit = -1 if problem.max_depth is None else min(problem.max_depth, DEEPEST)
    state, drawing, least, choices = entry.first(
        lo, hi, n, m, span, count + count // 4 + 8, longest, digits, parents, limit,
        int(problem.objective == "bits"),
        2 * (seed + 7919 * number) + 1 & MASK, seed, _few(problem),
    )  # fmt: skip
    return state, drawing, least, weights, choices


def _real(value: int) -> float:
    """As a float, for widths only: beyond its range the largest."""
    return float(max(min(value, 1 << 1000), -(1 << 1000)))


class Annealing:
    """A search under way; in each run the temperature falls from `heat` terms to (almost) nothing."""

    def __init__(
        self, state: Any, drawing: Any, weights: Any, near: Any, choices: Any, least: Any, progress: Any
    ) -> None:
        self.state, self.least = state, least
        self.parts = (state, drawing, weights, near, choices)
        self.enough = ENOUGH * len(state.t)
        self.progress = progress

    def _some(self, trials: int, heat: float, done: float) -> None:
        temperature = heat * int(self.state.g[TERM]) * (1 - done)
        entry.anneal(*self.parts, trials, max(temperature, 1e-3), self.least)

    def _tell(self, done: float) -> None:
        if self.progress is not None:
            self.progress(done, int(self.least[1]))

    def for_trials(self, trials: int, heat: float) -> None:
        for k in range(STEPS):
            self._some(trials * (k + 1) // STEPS - trials * k // STEPS, heat, k / STEPS)
            self._tell((k + 1) / STEPS)

    def for_seconds(self, seconds: float, heat: float) -> None:
        self._some(0, heat, 0.0)  # compiled, the first time on a machine, before the clock starts
        begin = now = time.perf_counter()
        count, made, done = 32, 0, 0.0
        while done < 1:
            self._some(count, heat, done)
            made += count
            last, now = now, time.perf_counter()
            done = min(1.0, max((now - begin) / seconds, made / self.enough))
            # Towards slices of SLICE seconds, or a fiftieth of a short search.
            count = max(1, min(4 * count, int(count * min(SLICE, seconds / 50) / max(now - last, 1e-6))))
            self._tell(done)


def _graph(problem: Problem, drawing: Any) -> AdderGraph:
    """The best drawing as a graph."""
    nodes = tuple(map(Adder._make, drawing.final[: drawing.size[FINAL]].tolist()))
    outputs = tuple(
        Output(None, 0, 1) if wire < 0 else Output(wire, shift, 1)
        for wire, shift in drawing.final_outputs.tolist()
    )
    return AdderGraph(
        problem.weights, problem.frac, problem.in_intervals, nodes, outputs, problem.constants,
        problem.offsets, problem.wraps,
    )  # fmt: skip
