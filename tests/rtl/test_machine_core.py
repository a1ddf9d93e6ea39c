"""Machines as hardware: state registers, one step per sample taken, reset, pauses, and figures."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from amaranth.back.verilog import convert

import fxsim
import rtl
from fxsim import SQ, UQ, Machine
from rtl.bench import tools
from rtl.bench.native import build

STATE = SQ(8, 0, overflow="SAT")


def accumulator() -> Machine:
    """Saturating running sum of two channels, a counter of state smaller than its type, a sum read late."""

    def step(s, n, x):
        total = s + x
        return total.cast(STATE), (n + 1).cast(UQ(3, 0)), s, total.named("total"), n * x[0]

    types = STATE, SQ(6, 0), SQ(4, 0)
    graph = fxsim.trace(step, *types, shape=[(2,), (), (2,)], name="accumulator")
    return Machine(([-3, 100], 5), graph)


def counter() -> Machine:
    graph = fxsim.trace(lambda s: ((s + 3).cast(UQ(4, 0)), s * s), UQ(4, 0), name="counter")
    return Machine((7,), graph)


@pytest.mark.parametrize("pauses", [(0, 0), (0.4, 0.3)], ids=str)
@pytest.mark.parametrize("simulator", ["amaranth", "native"])
def test_every_stream_begins_behind_a_reset(simulator, pauses, rng):
    x = rng.integers(-8, 8, (5, 60, 2))
    idle, backpressure = pauses
    found = rtl.verify(
        accumulator(), x, raw=True, simulator=simulator, idle=idle, backpressure=backpressure, seed=3
    )
    assert (found.vectors, found.mismatches, found.latency) == (300, 0, 2)
    if pauses == (0, 0):
        assert found.cycles == 5 * (60 + 2)  # a step per clock


def test_cocotb_and_real_values(rng):
    x = rng.integers(-8, 8, (2, 30, 2)).astype(float)
    found = rtl.verify(accumulator(), x, idle=0.2, backpressure=0.2)
    assert (found.vectors, found.mismatches) == (60, 0)


@pytest.mark.parametrize("simulator", ["amaranth", "native"])
def test_a_machine_without_inputs_steps_on_ticks(simulator):
    found = rtl.verify(counter(), np.zeros((2, 40), int), simulator=simulator, idle=0.5, backpressure=0.2)
    assert (found.vectors, found.mismatches) == (80, 0)
    assert [str(p.name) for p in found.core.in_layout.ports] == ["tick"]
    with pytest.raises(ValueError, match=r"one array \(streams, time\), not shapes"):
        rtl.verify(counter())


def test_the_verilog_of_amaranth_is_the_same_machine(rng):
    """The component itself, through Yosys and Verilator: reset puts the state back there too."""
    core = rtl.build(accumulator())
    x = rng.integers(-8, 8, (50, 2))
    (s, *rest), _ = accumulator().run_raw(x[None])
    native = build(convert(core, name="top"), "top", core.in_layout, core.out_layout)
    found = native.run([x], idle=0.3, backpressure=0.3, seed=1)
    for want, got in zip((s, *rest), found.outputs, strict=True):
        np.testing.assert_array_equal(got, want[0])


def test_figures_and_the_head_of_the_verilog():
    core = rtl.build(accumulator())
    assert core.machine == accumulator() and core.graph == accumulator().step
    assert (core.latency, core.ii, core.plan.stages) == (2, 1, 1)
    assert [(p.name, p.shape, p.width) for p in core.state.layout.ports] == [("s", (2,), 8), ("n", (), 6)]
    # x, s and n; behind them s, total and n * x; two bits of valid
    assert core.registers == 2 * 4 + 2 * 8 + 6 + 2 * 8 + 2 * 9 + 10 + 2
    text = core.verilog()
    assert "// state[15:0]: s, 2, lane 0 lowest, signed 8 bits, frac 0" in text
    assert "s_0 <= 8'd253;" in text and "n <= 6'd5;" in text
    assert text == rtl.build(accumulator()).verilog()


def test_the_loop_must_allow_the_clock():
    slow = rtl.build(accumulator(), family="ecp5")
    fmax = slow.predicted_fmax()
    rtl.build(accumulator(), family="ecp5", clock_mhz=fmax * 0.99)
    with pytest.raises(ValueError, match=r"clock_mhz must be at most .* whose step is one stage of .* ns"):
        rtl.build(accumulator(), family="ecp5", clock_mhz=fmax * 1.05)


def test_a_machine_that_shows_nothing_is_refused():
    hidden = Machine((0,), fxsim.trace(lambda s, x: (s + x).cast(UQ(4, 0)), UQ(4, 0), UQ(4, 0)))
    with pytest.raises(ValueError, match="outputs of the graph must have at least one element"):
        rtl.build(hidden)
    with pytest.raises(TypeError, match=r"must be a fxsim\.Graph or fxsim\.Machine, not 3"):
        rtl.build(3)


def test_a_difference_names_its_stream_and_waves_want_one(rng, monkeypatch):
    x = rng.integers(-8, 8, (3, 20, 2))
    core = rtl.build(accumulator())
    other = Machine(([-3, 99], 5), accumulator().step)
    monkeypatch.setattr(core, "machine", other)
    found = rtl.verify(core, x, raw=True, simulator="native")
    assert not found and found.first_difference.sample == 0 and found.first_difference.port == "y2"
    with pytest.raises(ValueError, match="waves must be None for 3 streams"):
        rtl.verify(core, x, raw=True, waves="run.vcd")


def test_files_and_lint(tmp_path, rng):
    core = rtl.build(accumulator())
    x = rng.integers(-8, 8, (20, 2))
    rtl.write_project(core, tmp_path, x)
    (s, *_), _ = accumulator().run_raw(x[None])
    lines = (tmp_path / "expected.csv").read_text().splitlines()
    assert [int(v) for v in lines[3].split(",")[:2]] == s[0, 2].tolist()
    state = json.loads((tmp_path / "accumulator.layout.json").read_text())["state"]
    assert [p["name"] for p in state["ports"]] == ["s", "n"] and state["initial"] == [[-3, 100], 5]
    verilator = tools.verilator()
    command = verilator.command("--lint-only", "-Wall", str(tmp_path / "accumulator.v"))
    done = subprocess.run(command, env=verilator.environment, capture_output=True, text=True, cwd=os.curdir)
    assert (done.returncode, done.stderr) == (0, "")


def test_synthesis_keeps_the_state():
    """Register bits of the report are flip-flops of the device: nothing of the loop is optimised away."""
    found = rtl.synth.report(counter(), "ecp5", layers=False)
    assert found.synthesis.ff == found.registers == 4 + 8 + 2
