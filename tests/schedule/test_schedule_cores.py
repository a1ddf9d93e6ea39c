"""Whole networks: Amaranth and Verilog agree, lint finds nothing, the same graph gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, Graph, trace
from fxsim.layers import conv2d, dense
from fxsim.trace import Tensor
from rtl.bench import tools
from tests.agreement.random_graphs import stimulus
from tests.schedule import cases
from tests.schedule.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(3000, 3030)


def excited(x: Tensor) -> Tensor:
    """Convolution, squeeze and excite, a residual, a bias along the image, a dense layer."""
    y = conv2d(x, np.arange(54).reshape(3, 3, 2, 3) % 5 - 2, padding=1, name="conv").relu().cast(SQ(5, 0))
    gate = (y.sum((0, 1)) @ (np.arange(9).reshape(3, 3) - 4)).relu().cast(SQ(4, 0))
    z = (y * gate + y + np.arange(15).reshape(3, 5, 1)).cast(SQ(5, 0))
    return dense(z.reshape(-1), np.arange(90).reshape(45, 2) % 7 - 3, name="head")


def network() -> Graph:
    return trace(excited, SQ(3, 0), shape=(3, 5, 2), name="excited")


def lint(text: str, top: str, folder: Path) -> None:
    path = folder / f"{top}.v"
    path.write_text(text)
    verilator = tools.verilator()
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", top, str(path)),
        env=verilator.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("schedule", ["streamed(2)", {"conv": "folded(6)", "head": "folded(2)"}], ids=str)
def test_amaranth_is_verilog(schedule: Any, tmp_path: Path) -> None:
    """Codes, cycles and latency in both, and both as the model says."""
    g = network()
    core: Any = rtl.build(g, schedule=schedule)
    lint(core.verilog(), core.top, tmp_path)
    x = stimulus(g, 5)
    found = {}
    for simulator in ("native", "amaranth"):
        for name in ("none", "random", "long pauses of the sink"):
            idle, backpressure = cases.STALLS[name]
            v = rtl.verify(
                core, *x, raw=True, simulator=simulator, idle=idle, backpressure=backpressure, seed=3,
                check_cycles=True,
            )  # fmt: skip
            assert v, str(v)
            found[simulator, name] = v.cycles, v.latency
    for name in ("none", "random", "long pauses of the sink"):
        assert found["native", name] == found["amaranth", name]


def test_lint(tmp_path: Path) -> None:
    """Random networks, all in one module."""
    cores = [core for core in map(cases.built, map(cases.made, SEEDS)) if not isinstance(core, str)]
    assert len(cores) > len(SEEDS) // 2
    bundle = Bundle(cores, "lint_bundle", compiled=False)
    lint(bundle.verilog("lint_bundle"), "lint_bundle", tmp_path)


def digests(seeds: list[int]) -> list[str]:
    """Of the Verilog of random networks, and of their refusals."""
    out = []
    for seed in seeds:
        core = cases.built(cases.made(seed))
        text = core if isinstance(core, str) else core.verilog() + core.verilog(probe=True)
        out.append(hashlib.sha256(text.encode()).hexdigest())
    return out


def test_the_same_bytes_with_other_hashes_of_strings() -> None:
    seeds = list(SEEDS)[:15]
    code = f"from tests.schedule.test_schedule_cores import digests; print(*digests({seeds}))"
    want = digests(seeds)
    assert want == digests(seeds)
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == want


def test_no_machine_paths_and_no_products() -> None:
    text = rtl.build(network(), schedule={"conv": "folded(6)", "*": "streamed"}).verilog()
    code = "\n".join(line.split("//")[0] for line in text.splitlines() if not line.startswith("/*"))
    assert str(ROOT) not in text
    assert "*" not in code.replace("@(*)", "").replace("(* ", "").replace(" *)", "")


def test_names_that_verilog_keeps_for_itself(tmp_path: Path) -> None:
    """Blocks, tensors and inputs called as keywords, as one another, and as the module."""

    def fn(table: Tensor) -> Tensor:
        y = dense(table, np.ones((2, 2), int), name="Table").named("wire")
        y = dense(y.sum(0), np.ones((2, 2), int), name="table")
        y = dense(y.cast(SQ(4, 0)), np.ones((2, 2), int), name="table_1n")
        y = dense((y + 1).relu().cast(SQ(4, 0)), np.ones((2, 2), int), name="module")
        return dense(y.cast(SQ(4, 0)), np.ones((2, 2), int), name="head")

    for name in ("module", "table", "head", "clk"):
        g = trace(fn, SQ(4, 0), shape=(3, 2), name=name)
        core: Any = rtl.build(g, schedule="folded(2)", axes=(0,))
        lint(core.verilog(), core.top, tmp_path)
        case = cases.Case(g, "folded(2)", stimulus(g, 3), 0)
        cases.read(case, core)
        cases.simulated(case, core, "amaranth", "none")
