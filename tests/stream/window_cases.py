"""What a `Lines` must give: NumPy windows, the steps of its control under stalls, beats of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth import Module, Signal
from amaranth.sim import Simulator

from fxsim.ops import Window
from rtl.bench.patterns import pair
from rtl.stream import Network
from rtl.stream.window import Lines


def network(part: Lines, top: str = "lines_test") -> Network:
    made = Network(top)
    made.add(part)
    made.connect(None, "i", part, "i")
    made.connect(part, "o", None, "o")
    return made


def codes(part: Lines) -> tuple[int, int]:
    """Least code of the input, and the one after the greatest."""
    return (-(1 << part.bits - 1), 1 << part.bits - 1) if part.signed else (0, 1 << part.bits)


def images(part: Lines, rng: np.random.Generator, frames: int) -> np.ndarray:
    return rng.integers(*codes(part), (frames, part.height, part.width, part.elements))


def beats_of(part: Lines, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n * beats_in, lanes, elements); surplus lanes hold any codes."""
    n = len(frames)
    row = -(-part.width // part.lanes)
    wide = rng.integers(*codes(part), (n, part.height, row * part.lanes, part.elements))
    wide[:, :, : part.width] = frames
    return wide.reshape(n * part.beats_in, part.lanes, part.elements)


def windows(part: Lines, frames: np.ndarray) -> np.ndarray:
    """(n, out_height, out_width, kh, kw, elements) by the op of the graph."""
    op = Window(part.kernel, part.stride, part.dilation, part.before, part.after, part.fill)
    return op.place(frames, 3, part.fill)


def check_beats(part: Lines, frames: np.ndarray, out: np.ndarray) -> None:
    """`out` is (n * beats_out, out_lanes, kh, kw, elements): exact windows, legal codes in surplus lanes."""
    shape = (len(frames), part.out_height, -1, *part.kernel, part.elements)
    wide = out.reshape(shape)
    np.testing.assert_array_equal(wide[:, :, : part.out_width], windows(part, frames))
    surplus = wide[:, :, part.out_width :]
    least, end = codes(part)
    legal = ((surplus >= least) & (surplus < end)) | (surplus == part.fill)
    assert legal.all()


def timed(part: Lines, count: int, idle: Any, backpressure: Any, seed: int) -> list[tuple[int, int]]:
    """(i.ready, o.valid) per cycle as `control` has it, until `count` beats are given; the bench's pauses."""
    steps = part.control()
    assert steps.depth == 1
    sources, sinks = (iter(p) for p in pair(idle, backpressure, seed))
    at, valid, offered, given, sent = 0, False, False, 0, 0
    frames = count // int(steps.emits.sum())
    total = frames * part.beats_in
    found = []
    while given < count:
        pause = next(sources)
        offered = offered or (not pause and sent < total)
        ready = not next(sinks)
        advance = ready or not valid
        found.append((int(advance and steps.takes[at]), int(valid)))
        given += valid and ready
        fires = advance and (offered or not steps.needs[at])
        if advance:
            valid = bool(fires and steps.emits[at])
        if fires:
            if steps.takes[at]:
                offered, sent = False, sent + 1
            at = (at + 1) % len(steps.needs)
    return found


def simulated(
    part: Lines, beats: np.ndarray, count: int, idle: Any, backpressure: Any, seed: int
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Output beats (count, out_lanes, kh, kw, elements) and (i.ready, o.valid) per cycle, in Amaranth."""
    m = Module()
    made, pins = part.component()
    m.submodules.part = made
    assert all(isinstance(p, Signal) for p in pins.values())
    sources, sinks = (iter(p) for p in pair(idle, backpressure, seed))
    words = packed(beats, part.bits)
    limit = 16 * (len(words) + count * 4 + len(part.control().needs)) + 64
    received: list[int] = []
    found: list[tuple[int, int]] = []

    async def bench(ctx: Any) -> None:
        sent, offered, held = 0, False, None
        while len(received) < count:
            assert len(found) < limit
            pause = next(sources)
            if not offered and sent < len(words) and not pause:
                offered = True
                ctx.set(pins["i__payload"], words[sent])
            ctx.set(pins["i__valid"], offered)
            ready = not next(sinks)
            ctx.set(pins["o__ready"], ready)
            valid, payload, taken = (ctx.get(pins[k]) for k in ("o__valid", "o__payload", "i__ready"))
            found.append((taken, valid))
            assert held is None or (valid and payload == held)
            held = payload if valid and not ready else None
            if valid and ready:
                received.append(payload)
            if offered and taken:
                sent, offered = sent + 1, False
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    shape = (count, part.out_lanes, *part.kernel, part.elements)
    return unpacked(received, part.out_bits, part.signed or part.fill < 0, shape), found


def packed(beats: np.ndarray, bits: int) -> list[int]:
    """One integer per beat: elements in C order, the first in the lowest bits."""
    mask = (1 << bits) - 1
    return [
        sum((int(v) & mask) << k * bits for k, v in enumerate(row)) for row in beats.reshape(len(beats), -1)
    ]


def unpacked(words: list[int], bits: int, signed: bool, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape[1:]))
    mask, half = (1 << bits) - 1, 1 << bits - 1
    values = [word >> k * bits & mask for word in words for k in range(size)]
    return np.array([v - (mask + 1) if signed and v >= half else v for v in values]).reshape(shape)
