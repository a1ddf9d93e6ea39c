"""Cores as a whole: latency, alignment, pauses, reset, figures, deterministic and clean Verilog."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.sim import Simulator

import fxsim
import rtl
from fxsim import ops
from fxsim.formats import Format
from fxsim.types import TensorType
from rtl.bench import tools
from rtl.emit import EXPRESSION
from rtl.lower.netlist import Net
from rtl.pysim import simulate
from rtl.timing import FAMILIES, GENERIC
from rtl.verify import vectors

DEPTHS = [1, 2, 4, None]


def network(x):
    """Two dense layers with biases, a product of variables, a table, thresholds, and an argmax."""
    rng = np.random.default_rng(7)
    hidden = (x @ rng.integers(-7, 8, size=(6, 5)) + rng.integers(-20, 21, size=5)).named("hidden")
    code = fxsim.maximum(hidden, 0).cast(Format.parse("ap_ufixed<4,8,AP_RND_CONV,AP_SAT>")).named("code")
    logits = (code @ rng.integers(-7, 8, size=(5, 4)) + 3).named("logits")
    levels = rng.integers(-300, 300, size=(4, 15))
    return (
        logits,
        logits.argmax(),
        (code[0] * code[1] * x[2]).named("product"),
        code._apply(ops.Table(np.arange(16) ** 2)),
        logits._apply(ops.Threshold(np.sort(levels, axis=1), 0, np.array([0, 1, 0, 1]))),
        hidden.accumulate(Format.parse("ap_fixed<8,8,AP_TRN,AP_SAT>")),
        x[0] + 1,
    )


def graph(name: str = "network") -> fxsim.Graph:
    return fxsim.trace(network, fxsim.SQ(4, 0), shape=(6,), name=name)


def stimulus(rng: np.random.Generator, count: int = 60) -> np.ndarray:
    return rng.integers(-8, 8, size=(count, 6))


@pytest.mark.parametrize("stalls", [(0, 0), (0.4, 0), (0, 0.4), (0.3, 0.6)], ids=str)
@pytest.mark.parametrize("depth", DEPTHS)
def test_streams_with_pauses(depth, stalls, rng):
    core = rtl.build(graph(), max_depth_per_stage=depth)
    idle, backpressure = stalls
    found = rtl.verify(
        core, stimulus(rng), raw=True, simulator="amaranth", idle=idle, backpressure=backpressure, seed=3
    )
    assert (found.mismatches, found.vectors, found.latency) == (0, 60, core.latency)
    if stalls == (0, 0):
        assert found.cycles == 60 + core.latency  # one sample per clock


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_path_is_longer_than_a_stage_and_all_operands_meet(depth):
    plan = rtl.build(graph(), max_depth_per_stage=depth).plan
    arrival: dict[Net, float] = {}
    for net in plan.nets:
        s = plan.stage[net]
        args = [a for a in net.args if not a.is_constant]
        assert all(plan.stage[a] <= s <= max(plan.until[a], plan.stage[a]) or net.kind == "shr" for a in args)
        arrival[net] = GENERIC.delay(net) + max((arrival[a] for a in args if plan.stage[a] == s), default=0)
        assert depth is None or arrival[net] <= depth
    assert plan.stages == (1 if depth is None else max(plan.stage.values()) + 1)


def test_latency_falls_with_the_depth_of_a_stage():
    latencies = [rtl.build(graph(), max_depth_per_stage=d).latency for d in DEPTHS]
    assert latencies == sorted(latencies, reverse=True)
    assert latencies[-1] == 2


def test_a_shorter_path_is_delayed_by_shared_registers():
    def late(x):
        return x[0], x[0] + x[1], x.sum() * x.sum(), x[0]

    core = rtl.build(fxsim.trace(late, fxsim.SQ(4, 0), shape=(8,)), max_depth_per_stage=1)
    lane = next(n for n in core.plan.nets if n.name == "x_0")
    assert core.plan.until[lane] == core.plan.stages
    assert core.verilog().count("x_0_s1 <=") == 1


def test_reset_empties_the_pipeline():
    core = rtl.build(graph())
    m = Module()
    m.submodules.core = core
    reset = Signal()
    m.domains.sync = domain = ClockDomain()
    m.d.comb += domain.rst.eq(reset)
    seen = []

    async def testbench(ctx):
        ctx.set(core.o.ready, 1)
        ctx.set(core.i.valid, 1)
        for _ in range(core.latency - 1):
            await ctx.tick()
        ctx.set(core.i.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for _ in range(2 * core.latency):
            seen.append(ctx.get(core.o.valid))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert not any(seen)


def test_constant_and_empty_outputs(rng):
    def outputs(x):
        return x._lift(np.array([3, -2])), x[:0], x + 1, x._lift(0)

    g = fxsim.trace(outputs, fxsim.SQ(4, 0), shape=(3,))
    found = rtl.verify(g, rng.integers(-8, 8, size=(20, 3)), raw=True, simulator="amaranth")
    assert (found.mismatches, found.vectors) == (0, 20)
    only = rtl.build(fxsim.trace(lambda x: x._lift(np.array([3, -2])), fxsim.SQ(4, 0), shape=(3,)))
    assert (only.adders, only.depth, only.latency, only.registers) == (0, 0, 2, 2)
    assert simulate(only, [np.zeros((4, 3), int)]).outputs[0].tolist() == [[3, -2]] * 4
    with pytest.raises(ValueError, match="outputs of the graph must have at least one element"):
        rtl.build(fxsim.trace(lambda x: x[:0], fxsim.SQ(4, 0), shape=(3,)))


def test_several_inputs_of_different_ranges(rng):
    narrow = TensorType((2,), 0, np.array([-8, 3]), np.array([4, 3]), np.array([2, 0]))
    g = fxsim.trace(lambda a, b: (a.sum() + b.sum(), a[0] * b), narrow, fxsim.UQ(3, 1), shape=(2,))
    a = np.stack([rng.choice([-8, -4, 0, 4], 30), np.full(30, 3)], axis=1)
    assert rtl.verify(g, a, rng.integers(0, 8, size=(30, 2)), raw=True, simulator="amaranth").mismatches == 0


def test_figures_and_report():
    core = rtl.build(graph())
    rows = core.report()
    assert sum(r["adders"] for r in rows) == core.adders > 0
    assert {r["name"] for r in rows} >= {"hidden", "code", "logits", "product"}
    assert max(r["last_stage"] for r in rows) == core.plan.stages - 1
    json.dumps(rows)
    assert register_bits(core.verilog()) <= core.registers
    dense = rtl.build(
        fxsim.trace(lambda x: x @ np.array([[7, 7], [0, 7]]), fxsim.SQ(4, 0), shape=(2,)), "unrolled", 1
    )
    assert dense.adders == 3
    assert register_bits(dense.verilog()) == dense.registers


def register_bits(source: str) -> int:
    """Bits of all registers declared in the top module."""
    widths = re.findall(r"^  reg (?:\[(\d+):0\] )?\w+;", source.split("endmodule")[0], re.MULTILINE)
    return sum(int(w or 0) + 1 for w in widths)


def test_products_of_variables_use_no_multiplier():
    source = rtl.build(graph()).verilog()
    code = "\n".join(line.split("//")[0] for line in source.split("\n"))
    assert "*" not in code.replace("/*", "").replace("*/", "").replace("always @*", "")


def test_every_primitive_has_a_delay_and_an_expression():
    for family in FAMILIES.values():
        assert set(family.delays) == set(EXPRESSION) | {"input", "const"}


def test_verilog_is_the_same_for_every_hash_seed():
    tests, root = str(Path(__file__).parent), str(Path(__file__).parents[2])
    script = (
        f"import sys; sys.path[:0] = [{tests!r}, {root!r}]; import test_core, hashlib, rtl;"
        "print(hashlib.sha256(rtl.build(test_core.graph()).verilog().encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], env=dict(os.environ, PYTHONHASHSEED=seed), capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(digests) == 1


def test_verilog_is_lint_clean_and_free_of_paths(tmp_path):
    core = rtl.build(graph("clean"))
    source = core.verilog()
    (tmp_path / "clean.v").write_text(source)
    verilator = tools.verilator()
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", "clean", str(tmp_path / "clean.v")),
        env=verilator.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "Warning" in done.stdout + done.stderr) == (0, False), done.stderr
    assert str(Path(__file__).parents[2]) not in source and "/usr" not in source
    for line in ("// clean: written by fxsim", "Add hidden:", f"latency {core.latency} clock edges"):
        assert line in source


def test_names_are_legal_and_follow_the_graph():
    builder = fxsim.trace(
        lambda output: ((output + 1).named("a/b:0"), (output * 3).named("wire")), fxsim.SQ(3, 0)
    )
    core = rtl.build(builder, name="0 module")
    assert core.top == "m0_module"
    assert [p.name for p in core.in_layout.ports] == ["output_"]
    source = core.verilog()
    assert "a_b_0" in source and "wire_" in source and "\\" not in source.split("module", 1)[1]


def test_project_files(tmp_path, rng):
    core = rtl.build(graph())
    x = stimulus(rng, 9)
    paths = rtl.write_project(core, tmp_path / "new" / "folder", x)
    assert sorted(p.name for p in paths) == sorted(p.name for p in (tmp_path / "new" / "folder").iterdir())
    by_name = {p.name: p.read_text() for p in paths}
    assert by_name["network.v"] == core.verilog()
    layout = json.loads(by_name["network.layout.json"])
    assert (layout["latency"], layout["adders"]) == (core.latency, core.adders)
    lines = by_name["stimulus.csv"].split()
    assert lines[0] == "x_0,x_1,x_2,x_3,x_4,x_5"
    assert [[int(v) for v in line.split(",")] for line in lines[1:]] == x.tolist()
    expected = np.concatenate([np.asarray(y).reshape(9, -1) for y in core.graph.run_raw(x)], axis=1)
    assert [
        [int(v) for v in line.split(",")] for line in by_name["expected.csv"].split()[1:]
    ] == expected.tolist()
    words = core.out_layout.pack(vectors(core, x, raw=True)[1])
    assert by_name["expected.hex"].split() == core.out_layout.hex_lines(words)


def test_project_without_vectors_and_into_a_file(tmp_path):
    core = rtl.build(graph())
    assert [p.name for p in rtl.write_project(core, tmp_path)] == [
        "network.v",
        "network.layout.json",
        "README.md",
    ]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        rtl.write_project(core, tmp_path / "file")


def test_a_wrong_core_is_seen(rng, monkeypatch):
    core = rtl.build(fxsim.trace(lambda x: x + 1, fxsim.SQ(4, 0)))
    monkeypatch.setitem(EXPRESSION, "add", lambda w, net, a, b: a)
    found = rtl.verify(core, np.arange(-8, 8), raw=True, simulator="amaranth")
    assert not found
    assert (found.mismatches, found.vectors) == (16, 16)
    assert "y" in str(found.first_difference)


@pytest.mark.parametrize("simulator", ["native", "cocotb"])
def test_verilog_in_verilator(simulator, rng):
    core = rtl.build(graph(), max_depth_per_stage=2)
    found = rtl.verify(core, stimulus(rng, 300), raw=True, simulator=simulator, idle=0.3, backpressure=0.3)
    assert (found.mismatches, found.vectors, found.latency) == (0, 300, core.latency)


BAD = [
    (
        lambda: rtl.build(graph(), schedule="folded"),
        ValueError,
        r"schedule folded must name its processing elements, as in folded\(4\), not 'folded'",
    ),
    (
        lambda: rtl.build(graph(), max_depth_per_stage=0.5),
        ValueError,
        "max_depth_per_stage must be None or at least 1",
    ),
    (
        lambda: rtl.build("model.onnx"),
        TypeError,
        "graph must be a fxsim.Graph or fxsim.Machine, not 'model.onnx'",
    ),
    (
        lambda: rtl.verify(graph(), np.zeros((2, 6)), simulator="icarus"),
        ValueError,
        "simulator must be one of",
    ),
    (
        lambda: rtl.verify(graph(), np.zeros((2, 6)), simulator="native", waves="a.vcd"),
        ValueError,
        "waves must be None",
    ),
    (lambda: rtl.verify(graph()), TypeError, r"missing inputs \['x'\]"),
    (lambda: rtl.verify(graph(), np.zeros((2, 5))), ValueError, r"input 'x' must have shape .* not \(2, 5\)"),
    (
        lambda: rtl.verify(graph(), np.full((1, 6), 8), raw=True),
        ValueError,
        "input 'x' must lie in raw -8..7, not 8",
    ),
    (lambda: rtl.verify(rtl.build(graph()), np.zeros((1, 6)), name="a"), TypeError, "build options"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD, ids=[b[2][:30] for b in BAD])
def test_bad_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()
