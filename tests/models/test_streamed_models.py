"""Trained models streamed and folded: emulator = Verilog, and the clock cycles are the model's, under stalls.

The unrolled digits CNN equals the same emulator on all 500 images (`test_digits_everywhere.py`), so that all
schedules give the same codes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import rtl
from fxsim.data import digits_samples
from fxsim.graph import Graph
from rtl.schedule.core import StreamCore
from tests.models.streamed import (
    STALLS,
    digits,
    fashion,
    frames,
    keywords,
    keywords_schedule,
    pauses,
    prove,
    rate,
    run,
)  # fmt: skip

DIGITS = {"streamed": 64, "streamed(row)": 8, "folded(1)": None, "folded(4)": None}
"""Schedules of the digits CNN, and the clock cycles per frame where the input sets them."""


@cache
def digits_core(schedule: str) -> StreamCore:
    return rtl.build(digits(), schedule=schedule)


@cache
def fashion_core() -> StreamCore:
    return rtl.build(fashion(), schedule="streamed")


@cache
def keywords_core() -> StreamCore:
    return rtl.build(keywords(), schedule=keywords_schedule())


def stalled(core: StreamCore, raw: Any, stalls: str) -> None:
    found = run(core, raw, pauses(core, stalls))
    assert (found.frames, found.mismatches) == (len(raw), 0), found.first
    assert found.cycles == found.predicted


@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize("schedule", [pytest.param(s, marks=pytest.mark.xdist_group(s)) for s in DIGITS])
def test_digits(schedule: str, stalls: str) -> None:
    raw = digits().encoders[0].encode(digits_samples()[0][:24], "x")
    stalled(digits_core(schedule), raw, stalls)


@pytest.mark.xdist_group("fashion")
@pytest.mark.parametrize("stalls", STALLS)
def test_fashion(stalls: str) -> None:
    stalled(fashion_core(), frames(fashion(), 20), stalls)


@pytest.mark.xdist_group("keywords")
def test_keywords() -> None:
    """Five million products a frame: one run, of the pauses that fill the parts most."""
    stalled(keywords_core(), frames(keywords(), 20), "slow sink")


CORES: dict[str, tuple[Callable[[], StreamCore], Callable[[], Graph], int]] = {
    **{s: (lambda s=s: digits_core(s), digits, 8) for s in DIGITS},  # type: ignore[misc]
    "fashion": (fashion_core, fashion, 8),
    "keywords": (keywords_core, keywords, 2),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in CORES])
def test_rate(name: str) -> None:
    """Without stalls a frame takes what the model says; by test_digits and the others it does so to the
    cycle under stalls too. No pattern of pauses stops a network for ever."""
    core, graph, count = CORES[name]
    assert rate(core(), frames(graph(), count)) == core().interval
    prove(core().model)


def test_a_pixel_a_clock() -> None:
    assert fashion_core().interval == fashion_core().beats_in == 784
    assert {s: digits_core(s).interval for s, n in DIGITS.items() if n} == {
        s: n for s, n in DIGITS.items() if n
    }
    assert fashion_core().memory < 28 * 28 * 8 * 4  # lines, FIFOs, weights; no frame of any layer
