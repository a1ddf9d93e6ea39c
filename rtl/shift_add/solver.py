"""The public calls: one matrix or many, effort in words, seconds or trials, answers kept and found again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .problem import Problem, make_problem
from .result import AdderGraph

EFFORTS = ("fast", "best")


def solve(
    W: Any,
    in_types: Any = None,
    out_types: Any = None,
    max_depth: int | str | None = None,
    effort: float | str = 1.0,
    objective: str = "adders",
    seed: int = 0,
    *,
    offsets: Any = None,
    trials: int | None = None,
    progress: Callable[[float, int], Any] | None = None,
) -> AdderGraph:
    """Adder graph of y = x @ W + offsets, exact and checked.

    W          (n_in, n_out): integers of any size, or dyadic floats or Fractions = integers * 2**-frac.
    in_types   raw interval of the inputs, which sets widths: (lo, hi), a Format, a TensorType, or one
               for each row; None is signed 8 bit.
    out_types  what the outputs are cast to by wrapping (raw LSB of the product), in the same forms: a column
    that
               can leave its type is needed modulo 2**width only. None: all bits.
    max_depth  adders between input and output: None any, "min" the least for this matrix, or an integer.
    effort     "fast": a greedy pass and, below 2000 signed digits, at most 100 trials that keep what is no
               worse; a number: so many seconds of search after that; "best": 200,000 trials.
    trials     exactly so many trials, instead of `effort`.
    objective  "adders", or "bits" (full-adder bits, which depend on in_types).
    offsets    (n_out,): constants that the columns add, in the unit of the product; they join the graph.
    progress   called with (fraction done, adders or bits so far) now and then.

    Equal arguments with "fast", "best" or `trials` give an equal graph, in every process. Answers of a timed
    search depend on the machine; answers that took half a second are kept in the cache folder and found again
    (`fxsim.cache`).

    Raises ValueError for an empty, NaN or not dyadic W, or a depth below the least; TypeError for a W or
    types that hold no numbers.
    """
    seconds, count = _budget(effort, trials)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, not {seed!r}")
    seed = int(seed)
    if not 0 <= seed < 1 << 62:
        raise ValueError(f"seed must be in 0..2**62 - 1, not {seed!r}")
    problem = make_problem(W, in_types, max_depth, objective, offsets, out_types)
    if progress is not None:
        return _searched(problem, seconds, count, seed, progress)
    return _kept(problem, seconds, count, seed)


def _budget(effort: float | str, trials: int | None) -> tuple[float, int]:
    """(seconds, trials) of search after what is fast; at most one of them is not 0."""
    from .search import BEST_TRIALS

    if trials is not None:
        if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or trials < 0:
            raise ValueError(f"trials must be an integer >= 0, not {trials!r}")
        return 0.0, int(trials)
    if isinstance(effort, str):
        if effort not in EFFORTS:
            raise ValueError(f"effort must be 'fast', 'best' or a positive number of seconds, not {effort!r}")
        return 0.0, BEST_TRIALS if effort == "best" else 0
    if isinstance(effort, bool) or not (
        isinstance(effort, (int, float)) and math.isfinite(effort) and effort > 0
    ):
        raise ValueError(f"effort must be 'fast', 'best' or a positive number of seconds, not {effort!r}")
    return float(effort), 0


@lru_cache(maxsize=256)
def _kept(problem: Problem, seconds: float, trials: int, seed: int) -> AdderGraph:
    return _searched(problem, seconds, trials, seed, None)


def _searched(
    problem: Problem, seconds: float, trials: int, seed: int, progress: Callable[[float, int], Any] | None
) -> AdderGraph:
    from .search import search

    if not (seconds or trials):
        return search(problem, seed=seed).check()
    from .store import stored

    return stored(
        problem, (seconds, trials, seed), lambda: search(problem, seconds, trials, seed, progress).check()
    )


def solve_all(
    problems: Sequence[Any],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
    **options: Any,
) -> list[AdderGraph]:
    """`solve` of many matrices, in as many processes as `workers` says (None: one a processor); in order.

    problems   matrices, or mappings of arguments of `solve` ({"W": ..., "seed": 3}), which win over
    `options`.
               The same matrix under several seeds is a search with restarts: take the least of the answers.
    progress   called with (matrices done, matrices) after each.

    Raises what `solve` raises, for the first problem that does; ValueError for workers below 1.
    """
    jobs = [{**options, **(p if isinstance(p, Mapping) else {"W": p})} for p in problems]
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers must be an integer >= 1 or None, not {workers!r}")
    done = []
    if workers == 1 or len(jobs) <= 1:
        for job in jobs:
            done.append(solve(**job))
            if progress is not None:
                progress(len(done), len(jobs))
        return done
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # A forked copy of a process that runs threads can hang; a fresh one cannot.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for graph in pool.map(_solve_job, jobs):
            done.append(graph)
            if progress is not None:
                progress(len(done), len(jobs))
    return done


def _solve_job(job: dict[str, Any]) -> AdderGraph:
    return solve(**job)
