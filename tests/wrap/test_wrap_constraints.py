"""Constraint files: their text, as nextpnr reads it, and their errors."""

from __future__ import annotations

import json
import re

import pytest

import fxsim
import rtl
from fxsim import SQ
from rtl import wrap
from rtl.synth import tools


def tiny() -> rtl.Core:
    return rtl.build(fxsim.trace(lambda x: x + 1, SQ(2, 0), name="tiny"))


TQ144 = ["21", "1", "2", "3", "4", "7", "8", "9", "10", "11", "12", "19", "22"]
CABGA381 = ["G2", "B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3", "R1", "T1", "R18", "V1"]


def pins(sites: list[str]) -> dict[str, str | list[str]]:
    """Sites for the ports of `tiny`, bits of vectors in turn."""
    rest, out = iter(sites), {}
    for name, width in (
        ("clk", 1), ("rst", 1), ("i__payload", 2), ("i__valid", 1), ("i__ready", 1), ("o__payload", 3),
        ("o__valid", 1), ("o__ready", 1),
    ):  # fmt: skip
        out[name] = next(rest) if width == 1 else [next(rest) for _ in range(width)]
    return out


def test_text():
    core = tiny()
    assert core.in_layout.bits == 2 and core.out_layout.bits == 3
    head = "# tiny: 125 MHz; written by fxsim\n"
    assert wrap.constraints(core, "ecp5", 125) == head + 'FREQUENCY PORT "clk" 125 MHZ;\n'
    lpf = wrap.constraints(core, "ecp5", 125, pins(CABGA381), standard="LVCMOS25").splitlines()
    assert lpf[2:4] == ['LOCATE COMP "clk" SITE "G2";', 'IOBUF PORT "clk" IO_TYPE=LVCMOS25;']
    assert 'LOCATE COMP "o__payload[2]" SITE "H3";' in lpf
    pcf = wrap.constraints(core, "ice40", 12.5, pins(TQ144)).splitlines()
    assert pcf[:3] == ["# tiny: 12.5 MHz; written by fxsim", "set_frequency clk 12.5", "set_io clk 21"]
    assert "set_io i__payload[1] 3" in pcf and len(pcf) == 2 + 11
    xdc = wrap.constraints(core, "xilinx", 300)
    assert xdc.splitlines()[1:] == ["create_clock -period 3.333 -name clk [get_ports {clk}]"]
    placed = wrap.constraints(core, "xilinx", 100, pins(CABGA381)).splitlines()
    assert placed[1] == "create_clock -period 10.000 -name clk [get_ports {clk}]"
    assert placed[4] == "set_property -dict {PACKAGE_PIN C2 IOSTANDARD LVCMOS33} [get_ports {i__payload[0]}]"
    axi = wrap.axi_stream(core, registers=True)
    assert 'FREQUENCY PORT "aclk" 50 MHZ;' in wrap.constraints(axi, "ecp5", 50)
    with pytest.raises(ValueError, match=r"pins must place every port, and so aresetn, s_axis_tdata, .* too"):
        wrap.constraints(axi, "ecp5", 50, {"aclk": "G2"})


@pytest.mark.parametrize("target", ["ecp5", "ice40"])
def test_nextpnr_reads_it(target, tmp_path):
    """Every port at its site, and the clock that is asked for."""
    core = tiny()
    sites = TQ144 if target == "ice40" else CABGA381
    suffix = {"ice40": "pcf", "ecp5": "lpf"}[target]
    (tmp_path / "tiny.v").write_text(core.verilog())
    (tmp_path / f"tiny.{suffix}").write_text(wrap.constraints(core, target, 40, pins(sites)))
    script = f"read_verilog tiny.v; synth_{target} -top tiny; write_json tiny.json"
    status, log = tools.run(tools.YOSYS, ["-q", "-p", script], folder=tmp_path, timeout=300)
    assert status == 0, log
    chip = {"ice40": ["--hx1k", "--package", "tq144"], "ecp5": ["--25k", "--package", "CABGA381"]}[target]
    arguments = [*chip, "--json", "tiny.json", f"--{suffix}", f"tiny.{suffix}", "--report", "report.json"]
    nextpnr = tools.NEXTPNR[f"nextpnr-{target}"]
    status, log = tools.run(nextpnr, arguments, folder=tmp_path, timeout=300)
    assert status == 0, log
    (clock,) = json.loads((tmp_path / "report.json").read_text())["fmax"].values()
    assert clock["constraint"] == 40.0
    found = re.findall(r"'(\S+?)(?:\$tr_io)?'? constrained to|constrained '(\S+)' to bel", log)
    placed = {a or b for a, b in found}
    want = {f"{n}[{k}]" for n, v in pins(sites).items() if isinstance(v, list) for k in range(len(v))}
    assert placed == want | {n for n, v in pins(sites).items() if isinstance(v, str)}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("gowin", 10), ValueError, "target must be one of ecp5, ice40, xilinx, not 'gowin'"),
        (("ecp5", 0), ValueError, "clock_mhz must be a positive number, not 0"),
        (("ecp5", "10"), ValueError, "clock_mhz must be a positive number, not '10'"),
        (("ice40", 10), ValueError, "pins must place every port for ice40, not be empty"),
        (("ecp5", 10, {"clock": "G2"}), ValueError, "pins must be of the ports clk, .* not 'clock'"),
        (("ecp5", 10, pins(TQ144) | {"rst": 3}), TypeError, "'int' object is not iterable"),
        (("ecp5", 10, pins(TQ144) | {"rst": [3]}), TypeError, "sites of 'rst' must be text, not 3"),
        (("ecp5", 10, pins(TQ144) | {"rst": ["A1", "A2"]}), ValueError, r"'rst' must be 1 site\(s\), not 2"),
        (("ecp5", 10, pins(TQ144) | {"i__payload": "A1"}), ValueError, r"must be 2 site\(s\), not 1"),
        (("ecp5", 10, pins(TQ144) | {"rst": 'A"; X'}), ValueError, "must be words of letters and digits"),
        (("ecp5", 10, pins(TQ144) | {"rst": "21"}), ValueError, "'21' must be given once, not for clk"),
    ],
)  # fmt: skip
def test_errors(arguments, error, text):
    with pytest.raises(error, match=text):
        wrap.constraints(tiny(), *arguments)


def test_standards():
    with pytest.raises(ValueError, match="standard must be None for ice40"):
        wrap.constraints(tiny(), "ice40", 10, pins(TQ144), standard="LVCMOS33")
    with pytest.raises(ValueError, match="standard must be a word, not ''"):
        wrap.constraints(tiny(), "ecp5", 10, standard="")
