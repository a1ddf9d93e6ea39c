"""Every op over every 3-bit operand through emulator, Amaranth's simulator and g++: one list, few builds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.agreement import readings
from tests.agreement.op_cases import CASTS, OTHERS, OpCase, casts, combined, combined_stimulus


def groups(name: str, cases: Sequence[OpCase], size: int) -> list[tuple[str, Sequence[OpCase]]]:
    return [(f"{name}{i // size}", cases[i : i + size]) for i in range(0, len(cases), size)]


GROUPS = dict([*groups("ops", OTHERS, 40), *groups("casts", CASTS, 36)])
# g++ takes its time over thousands of casts, so each mode has a part of the formats there.
COMPILED = dict([*groups("ops", OTHERS, 40), *groups("casts", casts(share=5), 24)])


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("reading", [readings.emulator, readings.amaranth], ids=lambda r: r.__name__)
def test_every_operand(reading: readings.Reading, name: str) -> None:
    graph, raw = combined(GROUPS[name], name), combined_stimulus(GROUPS[name])
    found = readings.disagreement(graph, readings.reference(graph, raw), reading(graph, raw))
    assert not found


@pytest.mark.parametrize("part", ["ops", "casts"])
def test_every_operand_in_cpp(part: str) -> None:
    names = [n for n in COMPILED if n.startswith(part)]
    graphs = [combined(COMPILED[n], n) for n in names]
    for name, graph, function in zip(names, graphs, readings.compiled(graphs), strict=True):
        raw = combined_stimulus(COMPILED[name])
        found = readings.disagreement(
            graph, readings.reference(graph, raw), readings.called(function, graph, raw)
        )
        assert not found
