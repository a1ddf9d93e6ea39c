"""Adders in series stay adders: Yosys must not merge them into carry-save trees, larger and slower."""

from __future__ import annotations

import fxsim
import rtl
from rtl.synth import synthesize


def core(depth: int | None) -> rtl.Core:
    """y0 = ((x0 + x1) + (x2 + x3)) + 4 * (x4 - x5), y1 = x0 + x1."""
    return rtl.build(
        fxsim.trace(
            lambda x: ((x[0] + x[1]) + (x[2] + x[3]) + (x[4] - x[5]) * 4, x[0] + x[1]),
            fxsim.SQ(8, 0),
            shape=(6,),
            name="sums",
        ),
        max_depth_per_stage=depth,
    )


def test_they_map_to_one_carry_chain_each():
    found = synthesize(core(None).verilog(), "sums", "ecp5")
    assert found.cells["CCU2C"] >= 5 * 5
    assert found.cells.get("LUT4", 0) < 10
