"""Reductions over a window that is the whole image become reductions of beats: no line memory, no taps."""

from __future__ import annotations

import numpy as np
import pytest

import rtl
from fxsim import SQ, ops, trace
from fxsim.graph import Graph
from fxsim.layers import average_pool, max_pool
from rtl.schedule.core import StreamCore
from rtl.stream.accumulate import Accumulate
from rtl.stream.window import Lines


def wholly(x):
    """Sums and extrema over all of a 4 x 3 image, in the shapes that importers write."""
    window = ops.Window((4, 3), (4, 3), (1, 1), (0, 0), (0, 0))
    taps = x.builder.apply(window, x * 3).reshape(1, 1, 12, 2)
    return taps.sum(axis=2), max_pool(x, (4, 3)), taps.min(axis=2)


def network(fn, shape: tuple[int, ...] = (4, 3, 2)) -> Graph:
    return trace(fn, SQ(5, 0), shape=shape, name="pooled")


def parts(core: StreamCore, kind: type) -> list[str]:
    return [p.title for p in core.network.parts if isinstance(p, kind)]


def image(graph: Graph, frames: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-16, 16, (frames, *graph.inputs[0].type.shape))


def test_whole_windows_are_accumulated() -> None:
    graph = network(wholly)
    core = rtl.build(graph, schedule="streamed")
    assert len(parts(core, Accumulate)) == 3 and parts(core, Lines) == []
    assert core.interval == 12
    found = rtl.verify(
        core, image(graph, 20), raw=True, simulator="native", idle=0.3, backpressure=0.3, check_cycles=True
    )
    assert (found.vectors, found.mismatches) == (20, 0), found.first_difference


def test_a_row_of_beats_and_words_of_channels() -> None:
    """Behind a folded product whose channels come two by two, the channels of a pixel are gathered."""
    weights = np.arange(-4, 4).reshape(2, 4)
    graph = network(lambda x: average_pool((x @ weights).named("mixed"), (4, 4)), (4, 4, 2))
    core = rtl.build(graph, schedule="folded(4)")
    assert len(parts(core, Lines)) == 0
    found = rtl.verify(core, image(graph, 20), raw=True, simulator="amaranth", check_cycles=True)
    assert found.vectors == 20 and found


@pytest.mark.parametrize(
    "window",
    [
        ops.Window((4, 3), (1, 1), (1, 1), (1, 0), (0, 0)),  # two positions, one in the padding
        ops.Window((3, 3), (3, 3), (1, 1), (0, 0), (0, 0)),  # a row is left out
        ops.Window((2, 3), (4, 3), (3, 1), (0, 0), (0, 0)),  # the first and the last row
        ops.Window((5, 3), (5, 3), (1, 1), (1, 0), (0, 0), 1),  # padding is summed too
    ],
)
def test_other_windows_keep_their_lines(window: ops.Window) -> None:
    graph = network(lambda x: x.builder.apply(window, x).sum(axis=(2, 3)))
    core = rtl.build(graph, schedule="streamed")
    assert len(parts(core, Lines)) == 1
    x = image(graph, 3)
    found = rtl.verify(core, x, raw=True, simulator="amaranth", check_cycles=True)
    assert found.vectors == 3 and found


def test_a_sum_over_other_axes_keeps_its_lines() -> None:
    window = ops.Window((4, 3), (4, 3), (1, 1), (0, 0), (0, 0))
    graph = network(lambda x: x.builder.apply(window, x).sum(axis=2))
    assert len(parts(rtl.build(graph, schedule="streamed"), Lines)) == 1
