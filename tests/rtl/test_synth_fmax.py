"""Clock frequencies: the harness around all kinds of modules, devices, seeds, and designs that do not fit."""

from __future__ import annotations

import json
import statistics

import pytest

from rtl import synth
from rtl.synth import place, tools
from rtl.synth.harness import harness
from tests.rtl.synth_designs import ADDER, SHIFT, STORE, TWO_CLOCKS, small_core

pytestmark = pytest.mark.usefixtures("build_cache")

SUM = "module sum(input [7:0] a, b, output [8:0] y); assign y = a + b; endmodule"


def test_a_pipelined_module_on_ecp5(monkeypatch: pytest.MonkeyPatch) -> None:
    found = synth.fmax(ADDER, "adder", "ecp5", seeds=3)
    assert (found.device, found.seeds, found.registers) == ("25k", (1, 2, 3), 24)
    assert found.mhz == statistics.median(run.mhz for run in found.runs) > 100
    # Nothing is optimised away, neither when harness and module are joined nor by nextpnr.
    assert found.used["TRELLIS_FF"][0] == 8 + 24
    for run in found.runs:
        picoseconds = round(run.logic * 1000) + round(run.routing * 1000)  # what nextpnr counts in
        assert run.mhz == round(1e6 / picoseconds, 2)
        assert run.start.startswith("given") or run.start.startswith("core.")
    monkeypatch.setattr(tools, "run", None)  # from the cache, also for some of the seeds
    again = synth.fmax(ADDER, "adder", "ecp5", seeds=[3, 1])
    assert again.runs == (found.runs[2], found.runs[0])
    assert json.loads(json.dumps(again.to_json()))["mhz"] == again.mhz


def test_a_core_of_ours_keeps_every_cell_in_the_harness() -> None:
    core = small_core()
    alone = synth.synthesize(core.verilog(), core.top, "ecp5")
    found = synth.fmax(core.verilog(), core.top, "ecp5")
    ports = core.in_layout.bits + core.out_layout.bits + 5  # rst, and valid and ready of both streams
    assert found.registers == ports
    assert found.used["TRELLIS_FF"][0] == alone.ff + ports


def test_a_combinational_module_gets_registers_around() -> None:
    found = synth.fmax(SUM, "sum", "ice40")
    assert (found.device, found.registers) == ("hx1k", 16 + 9)
    (run,) = found.runs
    assert run.start.startswith("given")  # from an input register through the adder into an output register
    assert found.used["ICESTORM_LC"][0] >= 25


def test_too_large_for_the_device() -> None:
    message = r"must fit the device, but: ice40 hx1k: 0 LUTs, 1300 \+ 2 flip-flops .* for 1280 of each"
    with pytest.raises(ValueError, match=message):
        synth.fmax(SHIFT, "shift", "ice40", device="hx1k")


def test_nextpnr_says_what_does_not_fit_and_the_next_device_is_tried() -> None:
    with pytest.raises(ValueError, match="must fit the device, but: ice40 hx1k: 32 of 16 ICESTORM_RAM"):
        synth.fmax(STORE, "store", "ice40", device="hx1k")
    assert synth.fmax(STORE, "store", "ice40").device == "hx8k"


@pytest.mark.parametrize(
    ("verilog", "top", "options", "message"),
    [
        (ADDER, "adder", {"target": "xc7"}, "target must be one of ice40, ecp5 for a clock frequency"),
        (ADDER, "adder", {"device": "100k"}, "device must be one of 25k, 45k, 85k"),
        (ADDER, "adder", {"clock": "clock"}, "clock must be an input of 'adder', which has registers"),
        (ADDER, "adder", {"clock": "y"}, "clock must be an input of 'adder'"),
        (ADDER, "adder", {"seeds": 0}, "seeds must be a number of at least 1"),
        (ADDER, "adder", {"seeds": [1, -1]}, r"numbers of at least 0, not \[1, -1\]"),
        (ADDER, "adder", {"seeds": True}, "seeds must be a number of at least 1"),
        (TWO_CLOCKS, "two", {}, "must have one clock, not 2"),
        ("module k(input a, output y); assign y = 1; endmodule", "k", {}, "must have a path from an input"),
        (
            "module k(input clk, output reg y); always @(posedge clk) y <= ~y; endmodule",
            "k", {}, "'k' must have inputs besides the clock, and outputs, to be timed, not 0 and 1 bits",
        ),
    ],
)  # fmt: skip
def test_errors(verilog: str, top: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synth.fmax(verilog, top, **options)


def test_two_edges_of_one_clock_are_one_clock() -> None:
    text = """
module edges(input clk, input [3:0] a, output reg [3:0] y);
  reg [3:0] half;
  always @(negedge clk) half <= a + 1;
  always @(posedge clk) y <= half;
endmodule
"""
    found = synth.fmax(text, "edges", "ecp5")
    (run,) = found.runs
    # Half a cycle is what such a path has, so the frequency is at most half of what its delay alone allows.
    assert run.mhz <= 501 / (run.logic + run.routing)


# ---- without a tool ----


def test_the_text_of_a_harness() -> None:
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "a": {"direction": "input", "bits": [3, 4, 5]},
        "y": {"direction": "output", "bits": [6, "0"]},
    }
    made = harness({"ports": ports}, "m", "clk", registered=True)
    assert made.registers == 5
    assert ".\\clk (clk), .\\a (given[0 +: 3]), .\\y (result[0 +: 2])" in made.verilog
    ports["y"]["direction"] = "inout"
    with pytest.raises(ValueError, match="ports of 'm' must be inputs or outputs, not inout 'y'"):
        harness({"ports": ports}, "m", "clk", registered=True)


def test_used_cells_of_a_log() -> None:
    log = (
        "Info: Device utilisation:\nInfo: \t          TRELLIS_IO:       2/    197     1%\n"
        "Info: \t              DP16KD:       0/     56     0%\n"
        "Info: \t         ICESTORM_LC:    9000/   7680   117%\n"
    )
    assert place.utilisation(log) == {"TRELLIS_IO": (2, 197), "ICESTORM_LC": (9000, 7680)}


def test_a_failure_of_nextpnr_has_its_words_and_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tools.run

    def run(tool: tools.Tool, *arguments: object, **options: object) -> tuple[int, str]:
        if tool is tools.YOSYS:
            return real(tool, *arguments, **options)
        return 1, "Info: begin\nERROR: something odd\n"

    monkeypatch.setattr(tools, "run", run)
    with pytest.raises(RuntimeError, match=r"(?s)nextpnr-ecp5 failed: something odd\nInfo: begin"):
        synth.fmax(ADDER, "adder", "ecp5", seeds=[77])
