"""Models as streamed and folded hardware: what the tests and the benchmark compare, in one place."""

from __future__ import annotations

import lzma
import math
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fxsim
import rtl
from fxsim.data import digits_model
from fxsim.graph import Graph
from fxsim.integers import Array
from rtl.bench.patterns import Pattern, bursts, every, random
from rtl.schedule.core import StreamCore
from rtl.stream.deadlock import prove

DATA = Path(__file__).parents[1] / "load" / "data"
STALLS = ("random", "slow source", "slow sink")


def pauses(core: StreamCore, stalls: str) -> tuple[Pattern, Pattern]:
    """Of (source, sink): unrelated ones; a source that starves all parts; a sink that takes a beat and then
    nothing for longer than a frame's share, so that every part fills up to the input."""
    if stalls == "random":
        return random(3, 0.4), random(4, 0.4)
    if stalls == "slow source":
        return bursts(2, 5), every(2)
    return every(7), bursts(1, math.ceil(core.interval * Fraction(5, 4) / core.beats_out))


@cache
def digits() -> Graph:
    return fxsim.load(digits_model("digits_cnn_w4a4_pow2")).with_name("digits")


@cache
def fashion() -> Graph:
    return fxsim.load(DATA / "fmnist_cnn_w4a4_pow2.qonnx.onnx").with_name("fashion")


@cache
def keywords() -> Graph:
    """The keyword spotting network of MLPerf Tiny: 49 x 10 features, four depthwise separable blocks."""
    packed = DATA / "public" / "kws_ref_model.tflite.xz"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / packed.stem
        path.write_bytes(lzma.decompress(packed.read_bytes()))
        return fxsim.load(path).with_name("keywords")


def keywords_schedule() -> dict[str, str]:
    """Twice the processing elements where most of the products are: the first and the 1 x 1 convolutions."""
    convolutions = [b.name for b in keywords().blocks if b.kind == "conv2d"]
    return {"*": "folded(4)"} | dict.fromkeys([convolutions[0], *convolutions[2::2]], "folded(8)")


def frames(graph: Graph, count: int, seed: int = 11) -> Array:
    """Raw inputs: each frame noise in a range of its own within that of the input's type."""
    rng = np.random.default_rng(seed)
    (node,) = graph.inputs
    lo, hi = node.type.bounds
    shape = (count, *(1,) * node.type.ndim)
    ends = np.sort(rng.integers(lo, hi + 1, (2, *shape)), axis=0)
    return np.asarray(rng.integers(ends[0], ends[1] + 1, (count, *node.type.shape)))


@dataclass(frozen=True)
class Found:
    """A run: frames and elements that differ, clock cycles measured and predicted."""

    frames: int
    mismatches: int
    cycles: int
    predicted: int | None
    first: Any


def run(core: StreamCore, raw: Array, sides: tuple[Pattern, Pattern] | None = None) -> Found:
    """In Verilator, against the emulator; the clock cycles against the model."""
    given = {} if sides is None else {"idle": sides[0], "backpressure": sides[1]}
    r = rtl.verify(core, raw, raw=True, simulator="native", check_cycles=True, **given)
    return Found(r.vectors, r.mismatches, r.cycles, r.predicted_cycles, r.first_difference)


def rate(core: StreamCore, raw: Array) -> Fraction:
    """Clock cycles per frame of a run without stalls, without its first frame."""
    count = len(raw)
    first, all_of_them = run(core, raw[:1]), run(core, raw)
    assert first.mismatches == all_of_them.mismatches == 0
    return Fraction(all_of_them.cycles - first.cycles, count - 1)


__all__ = [
    "STALLS", "Found", "digits", "fashion", "frames", "keywords", "keywords_schedule", "pauses", "prove",
    "rate", "run",
]  # fmt: skip
