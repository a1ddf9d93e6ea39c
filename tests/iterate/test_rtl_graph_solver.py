"""The graph solver of 8 nodes: 7 clocks a solve, and fewer LUTs than the prototype's 946, without a DSP."""

from __future__ import annotations

import sys
from pathlib import Path

import rtl

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from iterate_hardware import B, cgs8, slices

import fxsim.iterate as it
from fxsim.iterate.bare import bare


def test_seven_steps_and_fewer_slices_than_the_prototype() -> None:
    unit = cgs8(it.assign("RND"))
    found = unit.solve_raw(certified=False, b=B)
    assert (int(found.steps), found.status) == (7, "fixed")
    assert found.raw.tolist() == [890, 576, -330, 784, -75, -825, 189, 766]
    cells = slices(rtl.build(bare(unit)))
    assert (cells.dsp, cells.other) == (0, 0)
    assert cells.lut <= 946


def test_truncated_increments_in_the_whole_core() -> None:
    unit = cgs8(it.increment_trunc())
    core = rtl.build(unit, start=False, max_depth_per_stage=None)
    assert core.solve_clocks(7) == 8
    assert rtl.verify(core, {"b": [B, B[::-1]]}, raw=True, simulator="amaranth")
