"""Runs the tools on the same matrices, checks and counts every answer, takes medians of processor time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graphs import Cost, Graph, cost
from .matrices import Array, Case
from .tools import Solver, neutral

SHORT = 1.0  # CPU seconds under which a call is repeated


@dataclass
class Row:
    """One case under one mode: per contestant the cost of every matrix and its median CPU seconds."""

    case: Case
    mode: str
    least: list[int]
    graphs: dict[str, Graph] = field(default_factory=dict)  # of the first matrix
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def mean(self, name: str, what: str = "adders") -> float:
        return statistics.fmean(getattr(c, what) for c in self.costs[name])

    def better(self, peers: Sequence[str], what: str = "adders") -> float:
        return min(self.mean(p, what) for p in peers if p in self.costs)

    def gain(self, name: str, peers: Sequence[str], what: str = "adders") -> float:
        """Per cent fewer than the better peer's mean."""
        return 100 * (1 - self.mean(name, what) / (self.better(peers, what) or 1))

    def strict_gain(self, name: str, peers: Sequence[str]) -> float:
        """Per cent fewer than the mean over the better peer of each matrix."""
        best = [min(c.adders for c in row) for row in zip(*(self.costs[p] for p in peers), strict=True)]
        return 100 * (1 - self.mean(name) / (statistics.fmean(best) or 1))

    def too_deep(self, name: str) -> int:
        """Answers deeper than the least depth of their matrix."""
        return sum(c.depth > d for c, d in zip(self.costs[name], self.least, strict=True))


def least_depth(weights: Array) -> int:
    """ceil(log2(signed digits)) of the worst column, which has one digit more where all are negative."""
    worst = 0
    for column in weights.T.tolist():
        positive, negative = (sum(parts) for parts in zip(*(_digits(v) for v in column), strict=True))
        count = positive + negative + (negative > 0 == positive)
        worst = max(worst, (count - 1).bit_length() if count else 0)
    return worst


def _digits(value: int) -> tuple[int, int]:
    """Positive and negative canonical signed digits: the bits set in 3 v alone and in v alone, halved."""
    return (3 * value & ~value).bit_count(), (value & ~(3 * value)).bit_count()


def run(case: Case, mode: str, solvers: dict[str, Solver], repeats: int, budgets: dict[str, float]) -> Row:
    """All solvers in turn on every matrix; calls shorter than a second are repeated and the median taken.

    budgets  CPU seconds of the solvers that search; those are called once.
    """
    row = Row(case, mode, [least_depth(w) for w in case.matrices])
    for weights in case.matrices:
        seconds: dict[str, list[float]] = {name: [] for name in solvers}
        for turn in range(repeats):
            for name, solve in solvers.items():
                if turn and (name in budgets or seconds[name][0] > SHORT):
                    continue
                start = time.process_time()
                answer = solve(weights, mode)
                seconds[name].append(time.process_time() - start)
                if not turn:
                    graph = neutral(answer, len(weights))
                    row.graphs.setdefault(name, graph)
                    row.costs.setdefault(name, []).append(cost(graph, weights.tolist()))
        for name, times in seconds.items():
            row.seconds.setdefault(name, []).append(statistics.median(times))
    return row


def as_data(row: Row) -> dict[str, Any]:
    """The row as JSON-like data."""
    return {
        "family": row.case.family,
        "shape": list(row.case.shape),
        "bits": row.case.bits,
        "seeds": list(row.case.seeds),
        "mode": row.mode,
        "least_depth": float(np.mean(row.least)),
        "results": {
            name: {
                "adders": row.mean(name),
                "bits": row.mean(name, "bits"),
                "depth": row.mean(name, "depth"),
                "cpu_seconds": statistics.fmean(row.seconds[name]),
                "deeper_than_least": row.too_deep(name),
                "each": [c.adders for c in row.costs[name]],
            }
            for name in row.costs
        },
    }
