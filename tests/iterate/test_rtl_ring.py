"""The ring of slots: equal to the emulator in states, steps and status, whatever idles, waits or cancels."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import hardware_units
import numpy as np
import pytest
from hardware_units import UNITS

import fxsim.iterate as it
import rtl
from fxsim.iterate.bare import bare
from fxsim.iterate.stops import ABORTED
from rtl.bench import native, tools
from rtl.pysim import simulate
from rtl.solving import problems


@pytest.mark.parametrize("depth", [None, 3])
@pytest.mark.parametrize("name", UNITS)
def test_every_unit_in_amaranth(name: str, depth: int | None) -> None:
    unit, parameters, start = UNITS[name]()
    found = rtl.verify(
        unit, parameters, start=start, raw=True, simulator="amaranth", idle=0.3, backpressure=0.3,
        max_depth_per_stage=depth,
    )  # fmt: skip
    assert found, found.first_difference
    assert found.vectors == 100
    assert (found.core.slots == 1) == (depth is None)


def test_the_problems_are_of_every_kind() -> None:
    seen = set()
    for make in UNITS.values():
        unit, parameters, start = make()
        seen |= set(np.unique(unit.solve_raw(start, certified=False, **parameters).status))
    assert seen == {"fixed", "tolerance", "cap", "cycle", "count"}


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_slots_in_verilator(slots: int) -> None:
    unit, parameters, start = hardware_units.affine(3, count=300)
    cores = (rtl.build(unit, max_depth_per_stage=depth) for depth in (None, 6, 5, 4, 3, 2, 1))
    core = next(c for c in cores if c.slots == slots)
    for idle, backpressure in ((0, 0), (0.5, 0), (0, 0.9), (0.2, 0.2), (0.9, 0.95)):
        found = rtl.verify(
            core, parameters, start=start, raw=True, simulator="native", idle=idle, backpressure=backpressure
        )
        assert found, found.first_difference
        assert found.vectors == 300


def test_in_cocotb_with_pauses_and_results_out_of_order() -> None:
    unit, parameters, start = hardware_units.turning(stop=[it.unchanged(), it.cycle()], cap=20)
    found = rtl.verify(
        unit, parameters, start=start, raw=True, idle=0.3, backpressure=0.3, max_depth_per_stage=2, tag=7
    )
    assert found, found.first_difference
    assert found.core.slots > 1
    assert found.core.in_layout.ports[-1].width == 7


def test_full_slots_take_a_problem_per_its_sweeps() -> None:
    unit, parameters, start = hardware_units.affine(3)
    steps = unit.solve_raw(start, certified=False, **parameters).steps
    core = rtl.build(unit, max_depth_per_stage=None, tag=0)
    inputs, expected, _ = problems(core, parameters, start)
    found = simulate(core, inputs, max_cycles=10_000)
    assert all(np.array_equal(a, b) for a, b in zip(found.outputs, expected, strict=True))
    assert found.latency == core.solve_clocks(int(steps[0])) == steps[0] + 1
    # One clock into the ring, one out of the result register, and not one lost between the problems.
    assert found.cycles == steps.sum() + 2
    ring = rtl.build(unit, max_depth_per_stage=4)
    inputs, _, _ = problems(ring, parameters, start)
    assert simulate(ring, inputs, max_cycles=10_000).cycles < 1.1 * steps.sum() + 3 * steps.max()


def test_start_of_the_unit_and_real_values() -> None:
    unit, parameters, _ = hardware_units.affine(3, start=[5, -7, 100])
    core = rtl.build(unit, start=False, max_depth_per_stage=None)
    assert [p.name for p in core.in_layout.ports] == ["b"]
    assert rtl.verify(core, parameters, raw=True, simulator="amaranth")
    real = {"b": parameters["b"][:5] / 64}
    assert rtl.verify(core, real, simulator="amaranth")
    with pytest.raises(ValueError, match="start must be None for a core"):
        rtl.verify(core, parameters, start=[1, 2, 3], raw=True)


def test_without_any_input_a_tick_starts_a_solve() -> None:
    unit, _, _ = hardware_units.pair(start={"p": [100, -100, 7], "q": 3})
    core = rtl.build(unit, start=False, max_depth_per_stage=None)
    assert [p.name for p in core.in_layout.ports] == ["tick"]
    assert rtl.verify(core, simulator="amaranth", raw=True)


@pytest.mark.parametrize(
    ("depth", "schedule"), [(None, it.parallel()), (4, it.parallel()), (None, it.folded(1))]
)
def test_cancel_ends_what_is_inside(depth: int | None, schedule: it.Schedule) -> None:
    """A module around the Verilog cancels again and again: each problem leaves once, with a state it had."""
    unit, parameters, start = hardware_units.affine(3, count=200, update=it.relax(0.125), schedule=schedule)
    core = rtl.build(unit, max_depth_per_stage=depth, tag=8)
    ports = ["i__payload", "i__valid", "i__ready", "o__payload", "o__valid", "o__ready"]
    ranges = {"i__payload": f"[{core.in_layout.bits - 1}:0]", "o__payload": f"[{core.out_layout.bits - 1}:0]"}
    inward = ("i__payload", "i__valid", "o__ready")
    wired = ", ".join(f".{p}({p})" for p in ports)
    declared = [f"{'input' if p in inward else 'output'} {ranges.get(p, '')} {p}" for p in ports]
    around = f"""
module cancelling(input clk, input rst, {", ".join(declared)});
  reg [9:0] count;
  wire busy;
  always @(posedge clk) count <= rst | count == {54 * core.slots * core.clocks - 1} ? 0 : count + 1;
  {core.top} inner(.clk(clk), .rst(rst), .cancel(count == 0), .busy(busy), {wired});
endmodule
"""
    inputs, _, _ = problems(core, parameters, start)
    run = native.build(core.verilog() + around, "cancelling", core.in_layout, core.out_layout)
    found = run.run(inputs, idle=0.2, backpressure=0.3, reset_check=False)
    x, steps, status, tag = found.outputs
    assert sorted(tag.tolist()) == list(range(200))
    history = unit.solve_raw(start, certified=False, history=True, **parameters)
    assert np.array_equal(x, history.history[steps, tag])
    natural = status != ABORTED
    assert np.array_equal(status[natural], history.codes[tag][natural])
    assert np.array_equal(steps[natural], history.steps[tag][natural])
    assert np.all(steps <= history.steps[tag])
    assert 50 < natural.sum() < 190


def test_cancel_without_stall_leaves_after_one_pass() -> None:
    unit, parameters, start = hardware_units.affine(3, count=1, update=it.relax(0.125))
    core = rtl.build(unit, max_depth_per_stage=None)
    seen = _drive(core, problems(core, parameters, start)[0], cancel_at=6)
    history = unit.solve_raw(start, certified=False, history=True, **parameters)
    # Taken at edge 0: sweep k ends at edge k; marked at edge 6, out at edge 7.
    (cycle, payload) = seen["result"]
    x, steps, status = core.out_layout.unpack(_words(core.out_layout, payload))
    assert (cycle, int(steps[0]), int(status[0])) == (8, 7, ABORTED)
    assert np.array_equal(x[0], history.history[7, 0])
    assert seen["busy"] == [0, *[1] * 8, 0]


def _words(layout: Any, payload: int) -> np.ndarray:
    return np.frombuffer(payload.to_bytes(4 * layout.words, "little"), "<u4").astype(np.uint32)[None]


def _drive(core: Any, inputs: Any, cancel_at: int) -> dict[str, Any]:
    """One problem into a core whose sink is ready, with cancel in one cycle."""
    from amaranth.sim import Simulator

    seen: dict[str, Any] = {"busy": []}

    async def bench(ctx: Any) -> None:
        ctx.set(core.o.ready, 1)
        for cycle in range(cancel_at + 4):
            ctx.set(core.i.valid, cycle == 0)
            ctx.set(core.i.payload, core.in_layout.integers(core.in_layout.pack(inputs))[0])
            ctx.set(core.cancel, cycle == cancel_at)
            seen["busy"].append(ctx.get(core.busy))
            if ctx.get(core.o.valid):
                seen["result"] = cycle, ctx.get(core.o.payload)
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def test_verilog_is_deterministic_and_clean(tmp_path: Any) -> None:
    texts = []
    for _ in range(2):
        unit, _, _ = hardware_units.turning(stop=it.cycle(), cap=300)
        texts.append(rtl.build(unit, max_depth_per_stage=2, name="clean").verilog())
    assert texts[0] == texts[1]
    (tmp_path / "clean.v").write_text(texts[0])
    verilator = tools.verilator()
    command = verilator.command("--lint-only", "-Wall", "--top-module", "clean", str(tmp_path / "clean.v"))
    done = subprocess.run(command, env=verilator.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "status: 1 fixed, 2 tolerance, 3 cap, 4 cycle, 5 count, 6 aborted" in texts[0]


def test_a_wrong_core_is_found() -> None:
    unit, parameters, start = hardware_units.affine(3)
    core = rtl.build(unit, max_depth_per_stage=4)
    right = core.verilog()
    broken = right.replace("result__steps <= ", "result__steps <= 10'd1 + ")
    assert broken != right
    core.verilog = lambda: broken
    found = rtl.verify(core, parameters, start=start, raw=True, simulator="native")
    assert not found
    assert (found.mismatches, found.first_difference.port) == (100, "steps")


def test_stages_for_a_clock() -> None:
    unit, parameters, start = hardware_units.affine(3)
    core = rtl.build(unit, family="ecp5", clock_mhz=150)
    assert core.slots > 1
    assert core.predicted_fmax() >= 150
    assert "for 150 MHz by the delays of ecp5" in core.verilog()
    assert rtl.verify(core, parameters, start=start, raw=True, simulator="amaranth")


def test_project_files(tmp_path: Any) -> None:
    unit, parameters, start = hardware_units.affine(3, count=7)
    core = rtl.build(unit, max_depth_per_stage=4, tag=3)
    rtl.write_project(core, tmp_path, {"start": start, **parameters})
    described = json.loads((tmp_path / "affine3.layout.json").read_text())
    assert (described["slots"], described["clocks"]) == (core.slots, 1)
    page = (tmp_path / "README.md").read_text()
    assert f"k * {core.slots} + 1 edges" in page
    assert "| `cancel` | 1 | in |" in page
    header, first = (tmp_path / "expected.csv").read_text().splitlines()[:2]
    assert header == "x_0,x_1,x_2,steps,status,tag"
    found = unit.solve_raw(start[0], b=parameters["b"][0])
    assert first == ",".join(map(str, [*found.raw, found.steps, found.codes, 0]))
    assert len((tmp_path / "stimulus.hex").read_text().splitlines()) == 7


def test_bare_datapath_is_the_sweep() -> None:
    unit, parameters, _ = hardware_units.affine(3)
    machine = bare(unit)
    held = np.repeat(parameters["b"][:20, None], 40, axis=1)
    (same,), (x,) = machine.run_raw(held)
    solved = unit.solve_raw(certified=False, b=parameters["b"][:20])
    assert np.array_equal(x, solved.raw)
    assert np.array_equal(np.argmax(same, axis=1) + 1, solved.steps)
    with pytest.raises(ValueError, match="update must read the state only"):
        bare(UNITS["anchored"]()[0])


def test_errors_name_the_argument() -> None:
    unit, parameters, _ = hardware_units.affine(3)
    with pytest.raises(ValueError, match="tag must be None or a number of bits"):
        rtl.build(unit, tag=-1)
    with pytest.raises(TypeError, match=r"build options \['tag'\] need a unit"):
        rtl.build(unit.map, tag=1)
    with pytest.raises(TypeError, match="unit must be"):
        rtl.iterate.build(unit.map)
    with pytest.raises(TypeError, match=r"build options \['tag'\] need a unit, not a core"):
        rtl.verify(rtl.build(unit), parameters, raw=True, tag=3)


def test_cells_of_each_part() -> None:
    core = rtl.build(hardware_units.affine(3)[0], max_depth_per_stage=4)
    found = rtl.synth.report(core, "ecp5")
    assert found.synthesis.dsp == 0
    assert found.layers[-1].name == "(control)"
    assert found.layers[-1].registers == found.layers[-1].utilization.ff == core.ring.control
    assert sum(layer.utilization.ff for layer in found.layers) == core.registers == found.synthesis.ff
