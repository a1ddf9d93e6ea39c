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
from fxsim import SQ, UQ, Machine, TensorType
from rtl.bench import tools
from rtl.bench.native import build
from tests.agreement import machine_readings
from tests.agreement.random_graphs import random_graph, stimulus

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


def wiring() -> Machine:
    """States that are wires: swapped, delayed, held, cleared, unread, cut; of mixed types and strides."""
    mixed = TensorType((3,), 1, np.array([-4, 5, 0]), np.array([3, 5, 12]), np.array([0, 0, 2]))
    coarse = TensorType((), 0, np.array(-64), np.array(64), 3)

    def step(a, b, line, held, cleared, unread, odd, big, cut, x):
        new_line = fxsim.concat([x.reshape(1), line[:-1]])
        new_odd = fxsim.concat([(odd[0] + x).cast(SQ(2, 1)).reshape(1), odd[1:]])
        new_big = fxsim.minimum(fxsim.maximum((x.cast(SQ(4, 0)) << 3).cast(SQ(8, 0)), -64), 64)
        states = b, a, new_line, held, cleared * 0, x, new_odd, new_big, (cut + (x >> 2)).cast(UQ(5, 3))
        shown = a - b, line[-1], held, cleared, odd, big, big >> 3, (cut >> 2).cast(UQ(2, 0)), x
        return *states, *shown

    types = SQ(4, 0), SQ(4, 0), SQ(4, 0), UQ(3, 1), SQ(3, 0), SQ(4, 0), mixed, coarse, UQ(5, 3), SQ(4, 0)
    shapes = [(), (), (5,), (2,), (), (), (3,), (), (), ()]
    init = 3, -7, [1, 2, 3, 4, 5], [9, 15], -3, 0, [-1, 5, 8], 56, 77
    return Machine(init, fxsim.trace(step, *types, shape=shapes, name="wiring"))


@pytest.mark.parametrize("simulator", ["amaranth", "native"])
def test_states_that_are_wires(simulator, rng):
    x = rng.integers(-8, 8, (3, 40))
    (difference, late, held, cleared, *_), _ = machine_readings.check(wiring(), x, simulator=simulator)
    assert difference[0].tolist() == [10, -10] * 20 and cleared[0].tolist() == [-3] + [0] * 39
    assert late[1, 5:].tolist() == x[1, :35].tolist() and np.all(held == [9, 15])


@pytest.mark.parametrize(("first", "simulator"), [(0, "amaranth"), (5, "native")])
def test_random_steps(first, simulator):
    """Random graphs, each in a loop, side by side in one machine."""
    graphs = {f"g{seed}": random_graph(seed) for seed in range(first, first + 6)}
    machines = {k: machine_readings.looped(g) for k, g in graphs.items()}
    inputs = []
    for seed, g in enumerate(graphs.values()):
        drawn = [stimulus(g, 60, seed + 100 * k) for k in range(2)]
        inputs += [np.stack(pair) for pair in zip(*drawn, strict=True)][1:]
    machine_readings.check(machine_readings.parallel(machines), *inputs, shape=(2, 60), simulator=simulator)
