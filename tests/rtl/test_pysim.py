"""Amaranth's own simulator takes the same pauses, bounds and errors as the benches in Verilator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, trace
from rtl.bench import patterns

GRAPH = trace(lambda x: x + 1, SQ(4, 0), shape=(2,))
RAW = np.random.default_rng(0).integers(-8, 8, (40, 2))


@pytest.mark.parametrize(
    "pauses",
    [
        {},
        {"idle": 0.5, "backpressure": 0.5},
        {"idle": patterns.every(3), "backpressure": patterns.bursts(2, 5)},
    ],
)
def test_the_same_stream_as_the_native_bench(pauses: dict[str, Any]) -> None:
    core = rtl.build(GRAPH)
    a, b = (rtl.verify(core, RAW, raw=True, simulator=s, seed=3, **pauses) for s in ("amaranth", "native"))
    assert (
        (a.vectors, a.mismatches, a.latency) == (b.vectors, b.mismatches, b.latency) == (40, 0, core.latency)
    )
    assert a.cycles == b.cycles


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\)"):
        rtl.verify(GRAPH, RAW, raw=True, simulator="amaranth", idle=1.0)
    with pytest.raises(TimeoutError, match="of 40 samples in 5 clock cycles"):
        rtl.verify(GRAPH, RAW, raw=True, simulator="amaranth", max_cycles=5)
    with pytest.raises(ValueError, match="max_cycles must be at least 1"):
        rtl.verify(GRAPH, RAW, raw=True, simulator="amaranth", max_cycles=0)


def test_vectors_of_a_list_of_lists(tmp_path: Any) -> None:
    core = rtl.build(GRAPH)
    files = rtl.write_project(core, tmp_path, RAW)
    again = rtl.write_project(core, tmp_path / "again", [RAW])
    assert [f.read_bytes() for f in files] == [f.read_bytes() for f in again]
