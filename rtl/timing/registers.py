"""Retiming to the fewest register bits that a number of stages and limits of delay allow, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtl.timing.logic import Delays, Logic
from rtl.timing.stages import Limit, arrivals, latest, soonest, through

_UNBOUNDED = 1 << 30  # capacity of an arc that no cut may pass: above all register bits of a pipeline


def least_registers(logic: Logic, limits: Sequence[Limit], last: int) -> tuple[np.ndarray, np.ndarray]:
    """(stage of each cell, last stage that each holder is kept for) with the fewest register bits.

    Over all integers stage[c] in 0..last, inputs in 0, and kept[h] up to last + 1 with

        stage[v] >= stage[u]         where v reads u
        stage[v] >= stage[u] + 1     where some path u..v takes longer than a limit, u and v included
        kept[h] >= stage[v]          where v reads the holder h
        kept[h] >= last + 1          where an output reads it
        kept[h] >= stage[its cell], and kept[h] >= kept[parent] for a slice

    it minimizes the sum over cells of width * (kept - stage), plus the sum over slices of
    width * (kept - kept[parent]).

    Differences of integers bounded from below are a linear programme with a totally unimodular matrix
    (Leiserson and Saxe, Algorithmica 6, 1991), and its function is L-natural-convex: from the least feasible
    point, raising by one the least set of variables that lowers the sum most, until none does, ends at the
    least optimum (Murota, Discrete Convex Analysis, 2003, section 10.3). Such a set is closed under the
    constraints that hold with equality, so that it is a minimum cut. Steps are at most as many as stages.
    """
    low = np.array(soonest(logic, limits), np.int64)
    high = np.array(latest(logic, limits, last), np.int64)
    cells, holders = len(low), len(logic.holders)
    parent, cell_of = np.array(logic.parent, np.int64), np.array(logic.cell_of, np.int64)
    slices = np.flatnonzero(parent >= 0)
    own = np.flatnonzero(parent < 0)
    reader, read = logic.reads[:, 1], logic.reads[:, 0]

    kept = low[cell_of]
    np.maximum.at(kept, read, low[reader])
    kept[logic.kept] = last + 1
    for h in slices:  # parents first
        kept[h] = max(kept[h], kept[parent[h]])

    width = np.array([net.width for net in logic.holders], np.int64)
    gain = np.zeros(cells + holders, np.int64)  # register bits saved by raising one variable alone
    gain[cell_of[own]] = width[own]
    gain[cells:] = -width
    np.add.at(gain, cells + parent[slices], width[slices])

    # x[head] >= x[tail] + gap for x = (stage, kept). Too long a path is found when a step would close it.
    read_cell = np.array([u for before in logic.before for u in before], np.int64)
    reader_cell = np.repeat(np.arange(cells), [len(before) for before in logic.before])
    tail = np.concatenate([read_cell, reader, cell_of[own], cells + parent[slices]])
    head = np.concatenate([reader_cell, cells + read, cells + own, cells + slices])
    gap = np.zeros(len(tail), np.int64)
    x = np.concatenate([low, kept])
    top = np.concatenate([high, np.full(holders, last + 1)])
    while (x[:cells] < high).any() or (gain[cells:] > 0).any():
        tight = x[head] - x[tail] == gap
        raised = _best_closed_set(gain, x < top, tail[tight], head[tight])
        if not raised.any():
            break
        pairs = _too_long(logic, (x + raised)[:cells].tolist(), limits)
        if pairs:
            first, end = np.array(pairs).T
            tail, head = np.concatenate([tail, first]), np.concatenate([head, end])
            gap = np.concatenate([gap, np.ones(len(pairs), np.int64)])
        else:
            x += raised
    return x[:cells], x[cells:]


def _too_long(logic: Logic, stage: list[int], limits: Sequence[Limit]) -> list[tuple[int, int]]:
    """Ends of paths that are longer than a limit within a stage: one for each cell that is the first late."""
    pairs = []
    for delays, most in limits:
        lows, highs = arrivals(logic, stage, delays)
        for v, high in enumerate(highs):
            if high > most:
                near = [u for u in logic.before[v] if stage[u] == stage[v]]
                if all(highs[u] <= most for u in near):
                    pairs.append((_start(logic, stage, delays, most, v, lows, highs), v))
    return pairs


def _start(
    logic: Logic, stage: list[int], delays: Delays, most: int, v: int, lows: list[int], highs: list[int]
) -> int:
    """Where the slowest path to the late cell v must begin, at the latest, to be longer than the limit."""
    low, high = through(delays, v, 0, 0)
    while max(low, high) <= most:
        near = [u for u in logic.before[v] if stage[u] == stage[v]]
        v = max(near, key=lambda u: max(lows[u] + low, highs[u] + high))
        low, high = through(delays, v, low, high)
    return v


def _best_closed_set(gain: np.ndarray, free: np.ndarray, tail: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The least set of free variables with the greatest sum of gains that contains head[k] with tail[k]."""
    # Imported here: building a core of one stage needs no SciPy.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n = len(gain)
    source, sink = n, n + 1
    arcs = free[tail]
    gains = np.flatnonzero(free & (gain > 0))
    costs = np.flatnonzero(~free | (gain < 0))
    rows = np.concatenate([tail[arcs], np.full(len(gains), source), costs])
    columns = np.concatenate([head[arcs], gains, np.full(len(costs), sink)])
    capacity = np.concatenate(
        [
            np.full(int(arcs.sum()), _UNBOUNDED),
            gain[gains],
            np.where(free[costs], -gain[costs], _UNBOUNDED),
        ]
    ).astype(np.int32)
    network = csr_array((capacity, (rows, columns)), shape=(n + 2, n + 2))
    rest = network - maximum_flow(network, source, sink).flow
    rest.eliminate_zeros()
    raised = np.zeros(n + 2, np.int64)
    raised[breadth_first_order(rest, source, return_predecessors=False)] = 1
    return raised[:n]
