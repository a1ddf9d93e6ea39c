"""Whole designs: residual networks, streamed and folded, take the cycles in Verilator that the model says."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import layers
from rtl.bench import native
from rtl.bench.patterns import Random, bursts, every, never
from rtl.stream.bottleneck import bottleneck
from rtl.stream.deadlock import prove

OUT = fxsim.Format(4, 2, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT)


def residual() -> fxsim.Graph:
    """Two convolutions beside a short way, then a pooling."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(-2, 3, (2, 3, 3, 2, 2)) / 4

    def forward(x):
        y = layers.conv2d(x, first, np.zeros(2), padding=1, out=OUT, name="first")
        y = layers.conv2d(y, second, np.zeros(2), padding=1, out=OUT, name="second")
        return layers.max_pool(x + y, 2, name="pool")

    return fxsim.trace(forward, fxsim.UQ(0, 3), shape=(8, 8, 2))


@pytest.mark.parametrize("schedule", ["streamed", "folded(2)"])
def test_a_residual_network_takes_the_cycles_of_the_model(schedule):
    graph = residual()
    core = rtl.build(graph, schedule=schedule)
    model, frames = core.model, 3
    prove(model)
    made = native.build(core.verilog(), core.top, core.in_layout, core.out_layout)
    x = np.random.default_rng(2).integers(0, 8, (frames, 8, 8, 2))
    words = core.in_layout.pack([core.input_forms[0].split(x)])
    for idle, backpressure in (
        (never(), never()), (Random(0.3, 1), Random(0.5, 2)), (bursts(7, 9), never()), (never(), every(3)),
    ):  # fmt: skip
        _, job = made.run_words(words, idle=idle, backpressure=backpressure, samples=frames * core.beats_out)
        run = model.run(frames, idle, backpressure)
        assert (run.cycles, run.latency) == (job.cycles, job.first_out - job.first_in)
    report = bottleneck(model)
    assert report.reason == "steps" and report.interval == max(r.steps for r in report.rows)
