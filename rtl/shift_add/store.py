"""Answers of the search on disk, found by what was asked; a file that does not check is searched again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from fxsim import cache

from .compiled import HERE, content
from .problem import Problem
from .result import Adder, AdderGraph, Output

VERSION = 1  # of the file
WORTH = 0.5  # seconds of search below which an answer is not kept
_FILE = "adders.json"


def stored(problem: Problem, effort: tuple[Any, ...], search: Callable[[], AdderGraph]) -> AdderGraph:
    """The graph kept for this problem and effort, else that of `search`, which is then kept."""
    asked = (
        problem.weights.array.shape, problem.weights.array.tolist(), problem.frac, problem.in_intervals,
        problem.max_depth, problem.objective, problem.offsets, problem.wraps, effort,
    )  # fmt: skip
    key = cache.digest(VERSION, content(HERE, HERE.parent), *asked)
    with cache.entry("adders", key) as draft:
        if draft.ready:
            try:
                return _read(problem, json.loads((draft.path / _FILE).read_text()))
            except (OSError, ValueError, TypeError, KeyError, ArithmeticError):
                return search()
        begin = time.perf_counter()
        graph = search()
        if time.perf_counter() - begin < WORTH:
            return graph
        nodes = [list(node) for node in graph.nodes]
        (draft.path / _FILE).write_text(
            json.dumps({"nodes": nodes, "outputs": [list(o) for o in graph.outputs]})
        )
        draft.publish()
    return graph


def _read(problem: Problem, data: dict[str, Any]) -> AdderGraph:
    return AdderGraph(
        problem.weights, problem.frac, problem.in_intervals, tuple(Adder(*n) for n in data["nodes"]),
        tuple(Output(*o) for o in data["outputs"]), problem.constants, problem.offsets, problem.wraps,
    ).check()  # fmt: skip
