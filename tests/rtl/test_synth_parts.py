"""Reports on streamed cores: a row per part, memories where they belong, rates in frames."""

from __future__ import annotations

import functools
import json
from fractions import Fraction

import numpy as np
import pytest

import rtl
from fxsim import SQ, UQ, layers, trace
from fxsim.trace import Tensor
from rtl import synth

pytestmark = pytest.mark.usefixtures("build_cache")


@functools.cache
def streamed() -> rtl.StreamCore:
    """Line buffers, a FIFO beside them, and folded weights."""

    def net(x: Tensor) -> Tensor:
        rng = np.random.default_rng(3)
        kernel, matrix = rng.integers(-2, 3, (3, 3, 1, 1)), rng.integers(-2, 3, (12 * 24, 2))
        y = layers.conv2d(x, kernel, padding="same", name="conv").cast(UQ(3, 0, overflow="SAT"))
        return layers.dense((y + x.relu()).reshape(-1), matrix, name="fc")

    return rtl.build(trace(net, SQ(3, 0), shape=(12, 24, 1), name="residual"), schedule="streamed")


@pytest.mark.parametrize("target", ["ecp5", "ice40", "xc7"])
def test_each_part_of_a_core(target: str) -> None:
    core = streamed()
    found = synth.layers(core, target)
    assert [(row.part, row.memory) for row in found] == [(p.name, p.memory) for p in core.network.parts]
    assert [row.name for row in found] == [core.block_of[p.name] for p in core.network.parts]
    assert sum(row.registers for row in found) == core.registers
    assert sum(row.adders for row in found) == core.adders
    used = {row.part: row.utilization for row in found}
    assert all(u.dsp == u.other == 0 for u in used.values())
    in_memory = {name for name, u in used.items() if u.bram + u.lutram}
    assert in_memory == {p.name for p in core.network.parts if p.memory}
    kinds = {type(p).__name__ for p in core.network.parts if p.memory}
    assert kinds == {"Fifo", "Lines", "Feeder"}
    assert used["fc_pe_feed"].bram and (target == "ice40" or used["conv_lines"].lutram)
    # A memory is none of flip-flops, whatever else the part has.
    for row in found:
        assert row.utilization.ff <= row.registers + (40 if target == "ice40" else 0), row.part


def test_report() -> None:
    core = streamed()
    found = synth.report(core, "ecp5", fmax=True)
    assert found.layers == tuple(synth.layers(core, "ecp5"))
    assert (found.latency, found.interval, found.memory) == (core.latency, core.interval, core.memory)
    assert found.stages is None and found.samples_per_second == found.fmax.mhz * 1e6 / int(core.interval)
    header, rows, total = found.header(), found.rows(), found.total()
    assert {len(row) for row in (*rows, total)} == {len(header)}
    assert total[header.index("memory bits")] == core.memory == rows[-1][header.index("memory bits")]
    assert rows[-1][0] == "(sum of the parts)" and "stages" not in header
    assert f"latency {core.latency} cycles, one frame every {core.interval} cycles" in found.lines()
    assert any("frames/s" in line for line in found.lines())
    data = json.loads(json.dumps(found.to_json()))
    assert data["interval"] == core.interval and data["memory"] == core.memory
    assert [row["part"] for row in data["layers"]] == [p.name for p in core.network.parts]
    half = synth.Report(**{**vars(found), "interval": Fraction(7, 2)})
    assert "one frame every 3.5 cycles" in half.lines()[0] and half.to_json()["interval"] == 3.5


def test_report_of_a_graph_builds_a_streamed_core() -> None:
    core = streamed()
    found = synth.report(core.graph, "ecp5", layers=False, schedule="streamed")
    assert found.registers == core.registers and found.rows() == []
    with pytest.raises(TypeError, match=r"build options \['schedule'\] need a graph, not a core"):
        synth.report(core, "ecp5", schedule="streamed")


def test_logic_between_the_parts_has_a_row() -> None:
    def net(x: Tensor) -> Tensor:
        rng = np.random.default_rng(4)
        y = layers.dense(x, rng.integers(-2, 2, (6, 4)), name="a").cast(SQ(3, 0))
        return layers.dense(y, rng.integers(-2, 2, (4, 3)), name="b")

    core = rtl.build(trace(net, SQ(3, 0), shape=(6,), name="pair"), schedule="folded(1)", writable=True)
    found = synth.layers(core, "ecp5")
    assert [row.name for row in found][-1] == "(control)" and found[-1].utilization.lut > 0


def test_constants_that_vary_are_block_ram_where_they_are_many() -> None:
    def rows(size: int) -> dict[str, synth.Utilization]:
        words = np.random.default_rng(size).integers(-16, 16, (size, size))
        graph = trace(lambda x: x + words, SQ(4, 0), shape=(size, size), name=f"map{size}")
        core = rtl.build(graph, schedule="streamed", axes=(0, 1))
        return {row.kind: row.utilization for row in synth.layers(core, "ecp5")}

    many, few = rows(32), rows(4)
    assert {k for k, u in many.items() if u.bram} == {"Rom"} and many["Rom"].bram == 1
    assert few["Rom"].bram == few["Rom"].lutram == 0 < few["Rom"].lut
