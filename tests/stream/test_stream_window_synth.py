"""Line memories become memory cells, whatever their size; control stays small and has no multiplier."""

from __future__ import annotations

import pytest

from rtl import synth
from rtl.stream.window import Lines
from tests.stream.window_cases import network

pytestmark = pytest.mark.usefixtures("build_cache")


def mapped(width: int, lanes: int) -> tuple[Lines, synth.Synthesis]:
    part = Lines("w", 96, width, 1, 8, lanes, (5, 5), before=(2, 2), after=(2, 2))
    return part, synth.synthesize(network(part).verilog([]), "lines_test", "ecp5")


def test_block_ram() -> None:
    part, found = mapped(256, 1)
    assert part.memory == 4 * 256 * 8
    assert (found.bram, found.lutram, found.dsp, found.other) == (1, 0, 0, 0)
    assert found.lut < 120 and found.ff < 25 * 8 + 20 * 8 + 40  # taps, the columns behind them, control


def test_lut_ram() -> None:
    part, found = mapped(32, 2)
    assert part.memory == 4 * 16 * 16
    assert (found.bram, found.dsp, found.other) == (0, 0, 0) and found.lutram == 2 * part.memory // 64 * 3
    assert found.ff < part.memory


def test_a_row_per_beat_needs_no_memory() -> None:
    part, found = mapped(4, 4)
    assert part.memory == 0
    assert (found.bram, found.lutram, found.dsp, found.other) == (0, 0, 0, 0)
