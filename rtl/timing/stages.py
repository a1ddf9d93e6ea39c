"""Stages of cells under limits of delay: the soonest, the latest, and the least limit that suffices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rtl.timing.logic import Delays, Logic


class Limit(NamedTuple):
    """No path within a stage may take longer than `most` ticks."""

    delays: Delays
    most: int


def soonest(logic: Logic, limits: Sequence[Limit]) -> list[int]:
    """Per cell its first possible stage: each stage is filled, paths in the order of the nets.

    No schedule that keeps the limits has any cell earlier, so that none has fewer stages.
    """
    stage = [0] * len(logic.cells)
    times = [([0] * len(stage), [0] * len(stage), *limit.delays, limit.most) for limit in limits]
    for v, before in enumerate(logic.before):
        at, fits = 0, True
        for u in before:
            if stage[u] > at:
                at = stage[u]
        for lows, highs, fixed, carry, join, most in times:
            low = high = 0
            for u in before:
                if stage[u] == at:
                    if lows[u] > low:
                        low = lows[u]
                    if highs[u] > high:
                        high = highs[u]
            low += fixed[v]
            high += fixed[v]
            if low + carry[v] > high:
                high = low + carry[v]
            lows[v], highs[v] = high if join[v] else low, high
            fits = fits and high <= most
        if not fits:
            at += 1
            for lows, highs, fixed, carry, join, _ in times:
                highs[v] = fixed[v] + carry[v]
                lows[v] = highs[v] if join[v] else fixed[v]
        stage[v] = at
    return stage


def latest(logic: Logic, limits: Sequence[Limit], last: int) -> list[int]:
    """Per cell its last possible stage if none is beyond `last`; the inputs are in stage 0 all the same."""
    stage = [last] * len(logic.cells)
    # What is left of the stage from the cell's operands on: from their low bits, and from their high bits.
    times = [([0] * len(stage), [0] * len(stage), limit) for limit in limits]
    for v in range(len(stage) - 1, -1, -1):
        at, fits = last, True
        for r in logic.after[v]:
            if stage[r] < at:
                at = stage[r]
        near = [r for r in logic.after[v] if stage[r] == at]
        for lows, highs, (delays, most) in times:
            lows[v], highs[v] = through(
                delays, v, max((lows[r] for r in near), default=0), max((highs[r] for r in near), default=0)
            )
            fits = fits and max(lows[v], highs[v]) <= most
        if not fits:
            at -= 1
            for lows, highs, (delays, _) in times:
                lows[v], highs[v] = through(delays, v, 0, 0)
        stage[v] = 0 if logic.fixed[v] else at
    return stage


def through(delays: Delays, cell: int, low: int, high: int) -> tuple[int, int]:
    """What a path takes from the low, and from the high bits of a cell's operands on, given what follows."""
    fixed, carry = delays.fixed[cell], delays.carry[cell]
    if delays.join[cell]:
        low = high = max(low, high)
    return fixed + max(low, carry + high), fixed + high


def arrivals(logic: Logic, stage: Sequence[int], delays: Delays) -> tuple[list[int], list[int]]:
    """Per cell, the ticks within its stage after which its low bits, and its high bits, are ready."""
    lows, highs = [0] * len(stage), [0] * len(stage)
    for v, (before, at, fixed, carry, join) in enumerate(zip(logic.before, stage, *delays, strict=True)):
        low = high = 0
        for u in before:
            if stage[u] == at:
                if lows[u] > low:
                    low = lows[u]
                if highs[u] > high:
                    high = highs[u]
        low += fixed
        high += fixed
        if low + carry > high:
            high = low + carry
        lows[v], highs[v] = high if join else low, high
    return lows, highs


def least_limit(logic: Logic, delays: Delays, last: int, others: Sequence[Limit] = ()) -> int:
    """The least `most` of a limit on `delays` by which the stages 0..last still suffice, `others` kept too.

    `others` alone must need no more stages than these.
    """

    def worst(stage: Sequence[int]) -> int:
        return max(arrivals(logic, stage, delays)[1], default=0)

    step = math.gcd(*delays.fixed, *delays.carry) or 1  # no path has a length between its multiples
    cells = range(len(logic.cells))
    total = worst([0] * len(cells)) // step
    # The stages of a path take at least as long as the path in one.
    low = max(max((delays.whole(v) for v in cells), default=0) // step, -(-total // (last + 1)))
    high = total
    while low < high:
        middle = (low + high) // 2
        stage = soonest(logic, [*others, Limit(delays, middle * step)])
        if max(stage, default=0) <= last:
            high = worst(stage) // step
        else:
            low = middle + 1
    return high * step
