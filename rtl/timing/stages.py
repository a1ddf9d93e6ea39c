"""Stages of cells under limits of delay: the soonest, the latest, and the least limit that suffices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rtl.timing.logic import Logic


class Limit(NamedTuple):
    """No path within a stage may take longer than `most` ticks, `delays` being those of the cells."""

    delays: list[int]
    most: int


def soonest(logic: Logic, limits: Sequence[Limit]) -> list[int]:
    """Per cell its first possible stage: each stage is filled, paths in the order of the nets.

    No schedule that keeps the limits has any cell earlier, so that none has fewer stages.
    """
    return _filled(range(len(logic.cells)), logic.before, limits)


def latest(logic: Logic, limits: Sequence[Limit], last: int) -> list[int]:
    """Per cell its last possible stage if none is beyond `last`; the inputs are in stage 0 all the same."""
    back = _filled(range(len(logic.cells) - 1, -1, -1), logic.after, limits)
    return [0 if fixed else last - s for fixed, s in zip(logic.fixed, back, strict=True)]


def _filled(order: range, sources: list[list[int]], limits: Sequence[Limit]) -> list[int]:
    stage = [0] * len(sources)
    times = [([0] * len(sources), *limit) for limit in limits]
    for v in order:
        before, at, fits = sources[v], 0, True
        for u in before:
            if stage[u] > at:
                at = stage[u]
        for time, delays, most in times:
            ready = 0
            for u in before:
                if time[u] > ready and stage[u] == at:
                    ready = time[u]
            time[v] = ready + delays[v]
            fits = fits and time[v] <= most
        if not fits:
            at += 1
            for time, delays, _ in times:
                time[v] = delays[v]
        stage[v] = at
    return stage


def arrivals(logic: Logic, stage: Sequence[int], delays: Sequence[int]) -> list[int]:
    """Per cell, the ticks after which it is ready within its stage."""
    time = [0] * len(delays)
    for v, before in enumerate(logic.before):
        time[v] = delays[v] + max((time[u] for u in before if stage[u] == stage[v]), default=0)
    return time


def least_limit(logic: Logic, delays: list[int], last: int, others: Sequence[Limit] = ()) -> int:
    """The least `most` of a limit on `delays` by which the stages 0..last still suffice, `others` kept too.

    Raises no error where `others` alone need more stages than these: the caller has counted the stages.
    """
    step = math.gcd(*delays) or 1  # no path has a length between its multiples
    total = max(arrivals(logic, [0] * len(delays), delays), default=0) // step
    low, high = max(max(delays, default=0) // step, -(-total // (last + 1))), total
    while low < high:
        middle = (low + high) // 2
        stage = soonest(logic, [*others, Limit(delays, middle * step)])
        if max(stage, default=0) <= last:
            high = max(arrivals(logic, stage, delays), default=0) // step
        else:
            low = middle + 1
    return high * step
