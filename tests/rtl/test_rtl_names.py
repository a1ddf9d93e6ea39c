"""Names from files in Verilog: keywords, the module's own signals, duplicates, line breaks, any alphabet."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import ops
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder
from fxsim.types import TensorType
from rtl.bench import tools
from rtl.export import describe


def named_graph(
    input: str = "x", tensors: tuple[str, ...] = ("a", "b", "c"), name: str = "graph", block: str = "fc",
    outputs: tuple[str, ...] = ("y0", "y1", "y2", "y3"),
) -> fxsim.Graph:  # fmt: skip
    """A matrix product in a block, a table, a product of variables and a scalar."""
    builder = Builder(name)
    fmt = fxsim.SQ(4, 0)
    x = builder.input(input, TensorType.of(fmt, (2,)), FormatEncoder(fmt))
    with builder.block("dense", block, [x]) as out:
        out.append(x @ np.array([[3, 5], [7, 11]]))
    parts = [out[0], x._apply(ops.Table(np.arange(16) ** 2, base=-8)), x * x]
    parts = [t.named(n) for t, n in zip(parts, tensors, strict=True)]
    return builder.finish([*parts, x[0] & x[1]], outputs)


def clean(core: rtl.Core, folder: Path) -> None:
    """Verilator -Wall has nothing to say, and no name needs an escape."""
    source = core.verilog()
    (folder / "core.v").write_text(source)
    verilator = tools.verilator()
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", core.top, str(folder / "core.v")),
        env=verilator.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "Warning" in done.stdout + done.stderr) == (0, False), done.stderr
    assert "\\" not in "\n".join(line.split("//")[0] for line in source.split("\n"))


CASES = {
    "module a keyword": {"name": "assert"},
    "module as the clock": {"name": "clk"},
    "module as a register": {"name": "valid"},
    "module as an input": {"name": "x"},
    "module as an element": {"name": "x_0"},
    "module as a delayed element": {"name": "x_0_s1"},
    "module as a lane": {"name": "lane0"},
    "module as a scalar op": {"name": "and_"},
    "module in another alphabet": {"name": "日本"},
    "input as the clock": {"input": "clk"},
    "input as a port": {"input": "i__payload"},
    "input a word of Python": {"input": "lambda"},
    "input a word of both": {"input": "assert"},
    "input in another alphabet": {"input": "日本語"},
    "input of 2000 letters": {"input": "x" * 2000},
    "tensors as the module's own": {"tensors": ("rst", "valid", "advance")},
    "tensors the same when plain": {"tensors": ("a/b", "a_b", "a.b")},
    "tensors as elements": {"tensors": ("a_0", "a", "x_0_s1")},
    "tensors as keywords": {"tensors": ("casez", "endcase", "tran")},
    "tensors as comments": {"tensors": ("*/ a", "// b", "a\nb")},
    "tensors of nothing": {"tensors": ("", "_", "__")},
    "outputs words of Python": {"outputs": ("lambda", "None", "lambda", "y")},
    "outputs the same": {"outputs": ("a", "a", "a_", "a")},
    "block with a line break": {"block": "a\nb\u2028c"},
    "block with a comment's end": {"block": "*/ assign o__valid = 1; /*"},
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_name_gives_clean_verilog(case, tmp_path) -> None:
    clean(rtl.build(named_graph(**CASES[case])), tmp_path)


def test_a_scalar_named_as_the_module(tmp_path) -> None:
    """Most graphs of one function of one tensor are named as users name tensors."""
    g = fxsim.trace(lambda x: (x + 1).named("hidden"), fxsim.SQ(4, 0), name="hidden")
    core = rtl.build(g)
    assert core.top == "hidden"
    clean(core, tmp_path)


def test_awkward_names_simulate(rng) -> None:
    g = named_graph("clk", ("rst", "valid", "lane0"), "design", "a\nb", ("None", "y", "y", "o__valid"))
    found = rtl.verify(g, rng.integers(-8, 8, (100, 2)), raw=True, simulator="native", backpressure=0.3)
    assert (found.mismatches, found.vectors) == (0, 100)


@pytest.mark.parametrize("depth", [np.int64(3), np.float32(1.5), 1.5, 1, 100, 4.0], ids=repr)
def test_the_depth_of_a_stage_may_be_any_number(depth) -> None:
    core = rtl.build(named_graph(), max_depth_per_stage=depth)
    assert core.max_depth_per_stage == float(depth)
    json.dumps(describe(core))
