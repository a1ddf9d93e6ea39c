"""Cells per layer: every register at the layer that holds it, whichever names the Verilog kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import ops
from fxsim.integers import IntArray
from rtl import synth
from rtl.synth import tools
from rtl.synth.layers import CONTROL, INPUTS, assign
from tests.rtl.synth_designs import small_core

pytestmark = pytest.mark.usefixtures("build_cache")


def test_each_layer_of_a_core() -> None:
    core = small_core()
    found = synth.layers(core, "ecp5")
    assert [layer.kind for layer in found[1:-1]] == [s.kind for s in core.sections()]
    assert [found[0].name, found[-1].name] == [INPUTS, CONTROL]
    registers = [layer.registers for layer in found]
    assert all(0.9 * n <= layer.utilization.ff <= n for layer, n in zip(found, registers, strict=True))
    assert sum(layer.registers for layer in found) == core.registers
    assert sum(layer.adders for layer in found) == core.adders
    assert all(layer.utilization.dsp == layer.utilization.other == 0 for layer in found)
    by_kind = {layer.kind: layer for layer in found}
    assert by_kind["MatMul"].utilization.carry > 0
    assert "Max" not in by_kind  # one clamp with the saturation of the cast
    assert by_kind["Cast"].utilization.carry == 0 < by_kind["Cast"].utilization.lut
    assert found[0].utilization.lut == 0  # input registers only


def test_tables_belong_to_their_layer() -> None:
    square = fxsim.trace(
        lambda x: x._apply(ops.Table(IntArray(np.arange(16) ** 2))) + x, fxsim.UQ(4, 0), name="square"
    )
    found = synth.layers(rtl.build(square), "ecp5")
    by_kind = {layer.kind: layer.utilization for layer in found}
    assert by_kind["Table"].lut > 0
    assert by_kind["Add"].carry > 0 == by_kind["Table"].carry


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    core = small_core()
    found = synth.report(core, "ecp5", fmax=True)
    whole = synth.synthesize(core.verilog(), core.top, "ecp5")
    assert found.synthesis == whole and found.layers == tuple(synth.layers(core, "ecp5"))
    assert (found.adders, found.latency, found.interval) == (core.adders, core.latency, 1)
    assert found.samples_per_second == found.fmax.mhz * 1e6
    assert found.latency_ns == core.latency * 1e3 / found.fmax.mhz
    header, rows, total = found.header(), found.rows(), found.total()
    assert {len(row) for row in (*rows, total)} == {len(header)}
    assert total[header.index("LUT")] == whole.lut
    assert rows[-1][header.index("LUT")] == sum(layer.utilization.lut for layer in found.layers)
    assert any(
        line.startswith(f"Fmax {found.fmax.mhz:.1f} MHz on ecp5 25k (seed 1)") for line in found.lines()
    )
    data = json.loads(json.dumps(found.to_json()))
    assert data["synthesis"]["lut"] == whole.lut and data["fmax"]["device"] == "25k"

    monkeypatch.setattr(tools, "run", None)  # all of it is in the cache
    bare = synth.report(core, "ecp5", layers=False)
    assert (bare.layers, bare.fmax, bare.latency_ns, bare.rows()) == ((), None, None, [])
    assert len(bare.lines()) == 1


def test_report_of_a_graph_takes_the_options_of_build() -> None:
    core = small_core()
    found = synth.report(core.graph, "ecp5", layers=False, max_depth_per_stage=2)
    assert found.registers == core.registers
    with pytest.raises(TypeError, match=r"build options \['name'\] need a graph, not a core"):
        synth.report(core, "ecp5", name="other")


def test_a_report_names_cells_of_no_class() -> None:
    core = small_core()
    found = synth.report(core, "ecp5", layers=False)
    odd = synth.Utilization.of({"ODD": 2, "LUT4": 1}, synth.TARGETS["ecp5"])
    changed = {**vars(found.synthesis), **vars(odd)}
    strange = synth.Report(**{**vars(found), "synthesis": synth.Synthesis(**changed)})
    assert "2 cells of no class, among {'LUT4': 1, 'ODD': 2}" in strange.lines()


# ---- which cell belongs where, without a tool ----


def cell(inputs: list[int], outputs: list[int | str]) -> dict[str, object]:
    return {
        "port_directions": {"A": "input", "Y": "output"}, "connections": {"A": inputs, "Y": outputs},
        "attributes": {},
    }  # fmt: skip


def test_a_cell_belongs_to_its_signal_or_to_its_readers() -> None:
    module = {
        "netnames": {
            "a": {"bits": [10, 11]}, "slice": {"bits": [11]}, "b": {"bits": [20]},
            "out": {"bits": [20, 30, "0"]}, "unknown": {"bits": [40]},
        },
        "cells": {
            "first": cell([1, 2], [10, 11]), "second": cell([5], [20]), "helper": cell([6], [5]),
            "helper2": cell([3], [6]), "shared": cell([4], [1, 3]), "lane": cell([11], [30]),
            "free": cell([7], [40]), "constant": cell([], ["x"]),
        },
    }  # fmt: skip
    parts = {"a": [0], "slice": [1], "b": [2], "out": [5, 3, 3]}
    assign(module, parts)
    got = {name: c["attributes"].get("submod") for name, c in module["cells"].items()}
    assert got == {
        "first": "part0", "second": "part2", "helper": "part2", "helper2": "part2", "shared": "part0",
        "lane": "part3", "free": None, "constant": None,
    }  # fmt: skip
