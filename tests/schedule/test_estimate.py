"""Estimates of streamed cores against what is built: cycles and memory exactly, LUTs as closely as stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, UQ, layers, trace
from fxsim.graph import Graph
from fxsim.trace import Tensor
from rtl import synth
from rtl.schedule.estimate import Estimate, Sketch, luts
from rtl.schedule.options import Options
from rtl.schedule.plan import Plan

pytestmark = pytest.mark.usefixtures("build_cache")

FOLDED = {"conv": "folded(2)", "fc": "folded(4)", "*": "streamed"}


def graph(size: int, residual: bool = False) -> Graph:
    def net(x: Tensor) -> Tensor:
        rng = np.random.default_rng(9)
        kernel, matrix = rng.integers(-3, 4, (3, 3, 2, 2)), rng.integers(-3, 4, (2 * size * size, 4))
        y = layers.conv2d(x, kernel, padding="same", name="conv").cast(UQ(4, 0, overflow="SAT"))
        y = layers.dense(((y + x) if residual else y).reshape(-1), matrix, name="fc")
        return layers.relu(y)

    return trace(net, SQ(4, 0), shape=(size, size, 2), name="net")


def estimate(g: Graph, schedule: Any) -> Estimate:
    return Sketch(Plan(g, Options.of(g, schedule)), "net", {}).estimate()


@pytest.mark.parametrize(
    "schedule", ["streamed", "streamed(2)", "streamed(3)", "streamed(row)", "folded(1)", FOLDED]
)
def test_cycles_and_memory(schedule: Any) -> None:
    g = graph(6)
    found, core = estimate(g, schedule), rtl.build(g, schedule=schedule)
    assert (found.cycles, found.memory) == (core.interval, core.memory)
    assert abs(found.luts - sum(luts(p) for p in core.network.parts)) <= 0.02 * found.luts


def test_fifos_beside_other_ways_come_later() -> None:
    g = graph(6, residual=True)
    found, core = estimate(g, "streamed"), rtl.build(g, schedule="streamed")
    beside = sum(p.memory for p in core.network.parts if "_wait" in p.name)
    assert found.memory == core.memory - beside and beside > 0
    assert found.cycles <= core.interval


@pytest.mark.parametrize("schedule", ["streamed", FOLDED])
def test_luts_against_yosys(schedule: Any) -> None:
    core = rtl.build(graph(12), schedule=schedule)
    real, guess = synth.synthesize(core.verilog(), core.top, "ecp5").lut, sum(map(luts, core.network.parts))
    assert abs(guess - real) <= 0.09 * real
