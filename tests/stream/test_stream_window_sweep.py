"""Windows of random geometry in Amaranth's simulator: every beat, and every cycle as `control` has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtl.stream.window import Lines
from tests.stream.window_cases import beats_of, check_beats, images, simulated, timed

FRAMES = 3


def geometry(rng: np.random.Generator) -> dict[str, Any]:
    """Small parameters of all kinds, not all of them legal."""

    def some(least: int, end: int) -> tuple[int, int]:
        a, b = rng.integers(least, end, 2)
        return int(a), int(b)

    height, width = some(1, 9)
    bits, wider = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    return {
        "height": height, "width": width, "elements": int(rng.integers(1, 3)), "bits": bits,
        "lanes": int(rng.choice([1, width, int(rng.integers(1, width + 1))])),
        "kernel": some(1, 5), "stride": some(1, 4), "dilation": some(1, 4),
        "before": some(0, 4), "after": some(0, 4),
        "fill": int(rng.integers(-2, 4)), "out_bits": bits + wider, "signed": bool(rng.integers(2)),
    }  # fmt: skip


def legal(rng: np.random.Generator, count: int) -> list[Lines]:
    found: list[Lines] = []
    while len(found) < count:
        try:
            found.append(Lines("w", **geometry(rng)))
        except ValueError as error:
            assert any(word in str(error) for word in ("kernel of w", "lanes of w", "fill of w"))
    return found


def check(part: Lines, rng: np.random.Generator, idle: float, backpressure: float) -> None:
    frames = images(part, rng, FRAMES)
    count = FRAMES * part.beats_out
    out, cycles = simulated(part, beats_of(part, frames, rng), count, idle, backpressure, 1)
    check_beats(part, frames, out)
    assert cycles == timed(part, count, idle, backpressure, 1)


@pytest.mark.parametrize("part", range(8))
def test_random_geometries(part: int, rng: np.random.Generator) -> None:
    for found in legal(rng, 20):
        check(found, rng, 0.0, 0.0)
        check(found, rng, 0.4, 0.3)


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": (1, 1), "stride": (3, 3), "before": (2, 2), "after": (2, 2), "height": 1, "width": 1},
        {"kernel": (7, 7), "before": (3, 3), "after": (3, 3), "height": 2, "width": 3},
        {"kernel": (2, 2), "before": (5, 5), "after": (4, 6)},
        {"kernel": (1, 3), "before": (0, 1), "after": (0, 1), "lanes": 2},
        {"kernel": (1, 3), "stride": (1, 4), "lanes": 4, "width": 12},
        {"kernel": (3, 1), "before": (4, 0), "after": (0, 0), "lanes": 3, "width": 7},
        {"kernel": (1, 1), "stride": (2, 2), "lanes": 2, "width": 7},
        {"kernel": (3, 2), "stride": (3, 3), "dilation": (2, 1), "before": (3, 0), "after": (3, 0),
            "height": 1, "width": 2},
        {"kernel": (2, 6), "height": 2, "width": 6, "lanes": 4},
    ],
)  # fmt: skip
def test_corners(change: dict[str, Any], rng: np.random.Generator) -> None:
    """Images that lie in the padding, kernels beyond the image, lanes that no window reads."""
    whole = {"height": 6, "width": 5, "elements": 1, "bits": 3, "lanes": 1, "fill": -4}
    part = Lines("w", **(whole | change))
    for idle, backpressure in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)):
        check(part, rng, idle, backpressure)
