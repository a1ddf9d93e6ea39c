"""A core of several transfers a frame behind AXI, driven by cocotbext-axi, as Verilog and as Amaranth."""

from __future__ import annotations

import pytest
from amaranth.back.verilog import convert

from rtl import wrap
from tests.wrap import wrap_bench
from tests.wrap.wrap_cores import Pairs

TESTS = {
    "frames_with_pauses",
    "wrong_tlast_is_flagged_and_moves_no_frame",
    "every_register_is_read_and_written",
    "busy_from_the_first_transfer_to_the_last",
    "a_soft_reset_keeps_what_is_offered_and_empties_the_rest",
    "weights_are_written_whole",
    "accesses_with_pauses",
    "no_output_follows_an_input_within_a_cycle",
}


@pytest.mark.parametrize("form", ["verilog", "amaranth"])
def test_frames_and_registers(form, tmp_path):
    wrapped = wrap.axi_stream(Pairs(), registers=True, lane_bits="bytes")
    text = wrapped.verilog() if form == "verilog" else convert(wrapped, name=wrapped.top)
    found = wrap_bench.run(text, wrapped.top, "tests.wrap.axi_testbench", tmp_path, LANE_BITS="bytes")
    assert {name: said for name, said in found.items() if said} == {}
    assert set(found) == TESTS
