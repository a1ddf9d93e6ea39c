"""A cocotb bench as files: it streams the vectors through the Verilog and needs nothing but cocotb."""

from __future__ import annotations

TEST = '''"""Streams stimulus.hex through {top}, with pauses; every output must be that of expected.hex."""

import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

VECTORS = Path(__file__).resolve().parent.parent / "verilog"
PAUSE = 0.25  # probability, each cycle, of an idle source, and of a sink that is not ready


def words(name):
    return [int(line, 16) for line in (VECTORS / name).read_text().split()]


@cocotb.test()
async def every_output_is_expected(dut):
    stimulus, expected = words("stimulus.hex"), words("expected.hex")
    rng = random.Random(0)
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value, dut.i__valid.value, dut.o__ready.value = 1, 0, 0
    dut.i__payload.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    sent, got, offered, cycles = 0, [], False, 0
    while len(got) < len(expected):
        await FallingEdge(dut.clk)
        offered = sent < len(stimulus) and (offered or rng.random() >= PAUSE)
        dut.i__valid.value = int(offered)
        dut.i__payload.value = stimulus[sent] if offered else 0
        dut.o__ready.value = int(rng.random() >= PAUSE)
        await Timer(4, "ns")  # shortly before the rising edge, where both transfers take place
        if offered and int(dut.i__ready.value):
            sent, offered = sent + 1, False
        if int(dut.o__valid.value) and int(dut.o__ready.value):
            got.append(int(dut.o__payload.value))
        cycles += 1
        assert cycles < 100 + 20 * (len(expected) + {latency}), "the core stopped"
    wrong = [k for k, (a, b) in enumerate(zip(got, expected)) if a != b]
    assert not wrong, f"{{len(wrong)}} of {{len(expected)}} outputs differ, the first at sample {{wrong[0]}}"
    dut._log.info(f"{{len(got)}} outputs equal, {{cycles}} cycles")
'''

MAKEFILE = """SIM ?= verilator
TOPLEVEL_LANG = verilog
VERILOG_SOURCES = $(abspath $(dir $(lastword $(MAKEFILE_LIST))))/../verilog/{top}.v
COCOTB_TOPLEVEL = {top}
COCOTB_TEST_MODULES = test_{top}

include $(shell cocotb-config --makefiles)/Makefile.sim
"""


def files(top: str, latency: int) -> dict[str, str]:
    """{file name: text} of the bench of module `top`."""
    return {
        f"test_{top}.py": TEST.format(top=top, latency=latency),
        "Makefile": MAKEFILE.format(top=top),
    }
