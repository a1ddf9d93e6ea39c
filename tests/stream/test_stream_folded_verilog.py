"""Folded layers in Verilator: lint, every result and every cycle under stalls on both sides."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from folded_bench import Case, predicted

from rtl.bench import native, tools
from rtl.bench.patterns import pair

CONV = {"height": 6, "width": 5, "elements": 4, "out": 4, "kernel": (3, 3)}
PADDED = CONV | {"before": (1, 1), "after": (1, 1), "fill": 3}
VERILATED = {
    "folded_conv": PADDED | {"pe": 2},
    "folded_strided": PADDED | {
        "stride": (2, 3), "dilation": (1, 2), "after": (0, 2), "pe": 4, "frames": 5, "depth": 3,
    },
    "folded_depthwise": PADDED | {"depthwise": True, "words": 2, "pe": 2, "encoding": "shifts"},
    "folded_dense": {
        "height": 3, "width": 2, "elements": 2, "out": 6, "kernel": (3, 2), "pe": 3, "frames": 40,
    },
    "folded_unread": {
        "height": 7, "width": 4, "elements": 2, "out": 2, "stride": (4, 3), "pe": 2, "frames": 40,
    },
}  # fmt: skip


@pytest.mark.parametrize("top", VERILATED)
def test_verilog(top, tmp_path):
    case = Case(3, top, **VERILATED[top])
    source = case.net.verilog([])
    (tmp_path / f"{top}.v").write_text(source)
    verilator = tools.verilator()
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", top, str(tmp_path / f"{top}.v")),
        env=verilator.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "Warning" in done.stdout + done.stderr) == (0, False), done.stderr
    core = native.build(source, top, *case.layouts)
    for idle, backpressure in ((0, 0), (0.7, 0), (0, 0.7), (0.3, 0.4)):
        sides = pair(idle, backpressure, 11)
        run = core.run(case.inputs, idle=sides[0], backpressure=sides[1], samples=len(case.outputs))
        assert np.array_equal(run.output, case.outputs)
        expected = predicted(case.net, len(case.inputs), len(case.outputs), *sides)
        assert (run.cycles, run.latency) == expected
