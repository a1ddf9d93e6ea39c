"""Windows over streams in Verilator: exact beats under stalls, cycles as `control` has them, clean lint."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtl.bench import native, patterns, tools
from rtl.layout import Layout, Port
from rtl.stream.window import Lines
from tests.stream.window_cases import beats_of, check_beats, images, network

pytestmark = pytest.mark.usefixtures("build_cache")

GEOMETRIES: dict[str, dict[str, Any]] = {
    "same 3x3": {"height": 6, "width": 7, "elements": 2, "bits": 5, "lanes": 1, "kernel": (3, 3),
        "before": (1, 1), "after": (1, 1)},
    "same 3x3 stride 2, 4 lanes, ragged": {"height": 7, "width": 10, "elements": 1, "bits": 6, "lanes": 4,
        "kernel": (3, 3), "stride": (2, 2), "before": (1, 1), "after": (1, 1), "fill": -3, "out_bits": 8},
    "5x3 dilation 2": {"height": 12, "width": 9, "elements": 3, "bits": 4, "lanes": 1, "kernel": (5, 3),
        "dilation": (2, 2), "before": (3, 2), "after": (2, 1), "fill": 1},
    "1x1 stride 2": {"height": 7, "width": 9, "elements": 4, "bits": 3, "lanes": 1, "kernel": (1, 1),
        "stride": (2, 2), "signed": False},
    "row per beat": {"height": 9, "width": 5, "elements": 2, "bits": 4, "lanes": 5, "kernel": (3, 2),
        "stride": (2, 3), "before": (1, 1), "after": (1, 2), "fill": -40, "out_bits": 7},
    "one axis": {"height": 20, "width": 1, "elements": 3, "bits": 5, "lanes": 1, "kernel": (4, 1),
        "stride": (3, 1), "before": (2, 0), "after": (3, 0), "signed": False, "fill": 70, "out_bits": 7},
    "wide, 20 lanes": {"height": 12, "width": 130, "elements": 1, "bits": 4, "lanes": 20, "kernel": (5, 6),
        "stride": (1, 4), "before": (2, 1), "after": (2, 1)},
    "pad": {"height": 5, "width": 6, "elements": 1, "bits": 4, "lanes": 1, "kernel": (1, 1),
        "before": (2, 1), "after": (1, 3), "fill": 7},
}  # fmt: skip
PAUSES: list[dict[str, Any]] = [
    {},
    {"idle": 0.5},
    {"backpressure": 0.5},
    {"idle": 0.3, "backpressure": 0.4},
    {"idle": patterns.every(3), "backpressure": patterns.bursts(2, 5)},
]
FRAMES = 40


def test_geometries() -> None:
    """What the tables above say is what they are."""
    parts = {key: Lines("w", **g) for key, g in GEOMETRIES.items()}
    pool = parts["1x1 stride 2"]
    assert (pool.out_height, pool.out_width, pool.out_lanes, pool.beats_in, pool.beats_out) == (
        4,
        5,
        1,
        63,
        20,
    )
    assert pool.memory == 0
    ragged = parts["same 3x3 stride 2, 4 lanes, ragged"]
    assert (ragged.out_height, ragged.out_width, ragged.out_lanes) == (4, 5, 2)
    assert (ragged.beats_in, ragged.beats_out, ragged.memory) == (21, 12, 2 * 3 * 4 * 6)
    assert parts["row per beat"].out_lanes == parts["row per beat"].out_width == 3
    assert parts["same 3x3"].memory == 2 * 7 * 2 * 5
    assert parts["5x3 dilation 2"].memory == 8 * 9 * 3 * 4
    assert len(parts["pad"].control().needs) == 8 * 10  # one position a clock cycle


@pytest.mark.parametrize("key", GEOMETRIES)
def test_exact_beats_and_cycles(key: str, rng: np.random.Generator) -> None:
    part = Lines("w", **GEOMETRIES[key])
    frames = images(part, rng, FRAMES)
    beats = beats_of(part, frames, rng)
    signed = part.signed or part.fill < 0
    one = (part.out_lanes, *part.kernel, part.elements)
    core = native.build(
        network(part).verilog([]),
        "lines_test",
        Layout((Port("x", beats.shape[1:], part.bits, part.signed),)),
        Layout((Port("y", one, part.out_bits, signed),)),
    )
    steps = part.control()
    for pauses in PAUSES:
        done = core.run([beats], samples=FRAMES * part.beats_out, seed=5, **pauses)
        check_beats(part, frames, done.output)
        if not pauses:
            last = int(np.flatnonzero(steps.emits)[-1])
            # The last output is offered `depth` edges after its step and taken at the edge behind.
            assert done.cycles == (FRAMES - 1) * len(steps.needs) + last + 1 + steps.depth


@pytest.mark.parametrize("key", GEOMETRIES)
def test_lint(key: str, tmp_path: Path) -> None:
    (tmp_path / "lines.v").write_text(network(Lines("w", **GEOMETRIES[key])).verilog(["a comment"]))
    verilator = tools.verilator()
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", "lines_test", str(tmp_path / "lines.v")),
        env=verilator.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "Warning" in done.stdout + done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("lanes", "kernel", "stride", "before", "after", "more"),
    [
        (1, (3, 3), (1, 1), (2, 2), (0, 0), 0),
        (4, (2, 2), (2, 2), (0, 0), (0, 0), 0),
        (8, (5, 5), (1, 1), (2, 2), (0, 2), 0),
        (2, (2, 2), (1, 1), (0, 0), (0, 0), 1),  # the last beat has a window less, but comes when it would
        (1, (3, 3), (1, 1), (1, 1), (1, 1), 8 + 1),
        (1, (1, 1), (1, 1), (1, 1), (1, 1), 100 - 64),
    ],
)
def test_cycles_of_a_frame(lanes: int, kernel: Any, stride: Any, before: Any, after: Any, more: int) -> None:
    part = Lines("w", 8, 8, 1, 4, lanes, kernel, stride, (1, 1), before, after)
    steps = part.control()
    assert len(steps.takes) == part.beats_in + more
    assert (int(steps.takes.sum()), int(steps.emits.sum())) == (part.beats_in, part.beats_out)
    assert not (steps.takes & ~steps.needs).any()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"height": 0}, ValueError, "height of w must be at least 1, not 0"),
        ({"bits": 1.5}, TypeError, "bits of w must be an integer, not 1.5"),
        ({"kernel": (3, 3, 3)}, ValueError, r"kernel of w must be \(rows, columns\), not \(3, 3, 3\)"),
        ({"kernel": (9, 3)}, ValueError, "kernel of w must fit the padded height: 9 taps with dilation 1"),
        ({"dilation": (1, 4)}, ValueError, "kernel of w must fit the padded width: 3 taps with dilation 4"),
        ({"stride": (0, 1)}, ValueError, "stride of w must be at least 1, not 0"),
        ({"dilation": (1, 0)}, ValueError, "dilation of w must be at least 1, not 0"),
        ({"before": (-1, 0)}, ValueError, "before of w must be at least 0, not -1"),
        ({"lanes": 9}, ValueError, r"lanes of w must lie in 1\.\.8, the width, not 9"),
        ({"lanes": 3, "stride": (1, 2)}, ValueError, "1, the width 8 or a multiple of the stride 2, not 3"),
        ({"out_bits": 3}, ValueError, "out_bits of w must be at least 4, not 3"),
        ({"fill": 8}, ValueError, r"fill of w must lie in \[-8, 7\], not 8"),
        ({"fill": -1, "signed": False}, ValueError, r"fill of w must lie in \[0, 15\], not -1"),
        ({"fill": 32, "signed": False, "out_bits": 5}, ValueError, r"fill .* \[-16, 31\], not 32"),
    ],
)
def test_errors(change: dict[str, Any], error: type[Exception], text: str) -> None:
    whole = {"height": 8, "width": 8, "elements": 2, "bits": 4, "lanes": 2, "kernel": (3, 3)}
    Lines("w", **whole)
    with pytest.raises(error, match=text):
        Lines("w", **(whole | change))
