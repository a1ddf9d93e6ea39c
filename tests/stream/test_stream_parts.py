"""Every small part of the stream networks: beats, cycles and resets under stalls, in Amaranth's simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from rtl.bench import patterns
from rtl.stream.accumulate import Accumulate
from rtl.stream.fifo import Fifo
from rtl.stream.gather import Gather
from rtl.stream.part import Part
from rtl.stream.repeat import Repeat
from rtl.stream.rom import Rom
from rtl.stream.spread import Spread
from rtl.stream.trim import Trim
from tests.stream.parts_bench import alone, predicted, simulated


class Case(NamedTuple):
    """A part, and what it makes of a list of payloads."""

    part: Part
    expected: Callable[[list[int]], list[int]]


def cut(v: int, width: int, count: int) -> list[int]:
    return [v >> k * width & (1 << width) - 1 for k in range(count)]


def packed(items: list[int], width: int) -> int:
    return sum((v & (1 << width) - 1) << k * width for k, v in enumerate(items))


def gathered(p: Gather) -> Callable[[list[int]], list[int]]:
    def expected(beats: list[int]) -> list[int]:
        out = []
        for at in range(0, len(beats) - p.count + 1, p.count):
            every = cut(packed(beats[at : at + p.count], p.bits), p.bits // p.elements, p.count * p.elements)
            out.append(packed([every[k] for k in p.order or range(len(every))], p.bits // p.elements))
        return out

    return expected


def spread(p: Spread) -> Callable[[list[int]], list[int]]:
    def expected(beats: list[int]) -> list[int]:
        size, total, out = p.bits // p.elements, p.count * p.elements, []
        for beat in beats:
            places = [p.fill] * total
            order = p.order or range(total)
            for value, place in zip(cut(beat, size, len(order)), order, strict=True):
                places[place] = value
            out += cut(packed(places, size), p.bits, p.count)
        return out

    return expected


def accumulated(p: Accumulate) -> Callable[[list[int]], list[int]]:
    def signed(v: int) -> int:
        return v - (1 << p.bits) if p.signed and v >> p.bits - 1 else v

    def expected(beats: list[int]) -> list[int]:
        reduce = {"sum": sum, "max": max, "min": min}[p.kind]
        rows = [[signed(v) for v in cut(b, p.bits, p.elements)] for b in beats]
        frames = [rows[at : at + p.count] for at in range(0, len(rows) - p.count + 1, p.count)]
        return [packed([reduce(lane) for lane in zip(*f, strict=True)], p.out_bits) for f in frames]

    return expected


def looked_up(p: Rom) -> Callable[[list[int]], list[int]]:
    return lambda beats: [
        beat | p.words[t // p.inner % len(p.words)] << p.in_bits for t, beat in enumerate(beats)
    ]


def trimmed(p: Trim) -> Callable[[list[int]], list[int]]:
    def expected(beats: list[int]) -> list[int]:
        out = []
        for t, beat in enumerate(beats):
            a = np.array(cut(beat, p.bits, p.outer * p.lanes * p.inner)).reshape(p.outer, p.lanes, p.inner)
            if t % p.per_row == p.per_row - 1:
                a[:, p.lanes - p.surplus :] = 0
            out.append(packed(a.ravel().tolist(), p.bits))
        return out

    return expected


def cases() -> Iterator[Case]:
    for depth in (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19):
        yield Case(Fifo("p", 5, depth), list)
    for p in (
        *(Gather("p", 3, count) for count in (1, 2, 3, 4, 7)), Gather("p", 6, 2, 3, (4, 1, 0, 5, 2, 3)),
        Gather("p", 4, 3, 2, (5, 0, 3, 2)), Gather("p", 4, 1, 4, (1, 0)),
        Gather("p", 70, 3, 2, (5, 4, 3, 2, 1, 0))
    ):  # fmt: skip
        yield Case(p, gathered(p))
    for p in (
        *(Spread("p", 3, count) for count in (1, 2, 3, 4, 5, 6, 7, 13)),
        Spread("p", 6, 2, 3, (4, 1, 0, 5, 2, 3)), Spread("p", 4, 3, 2, (5, 0, 3, 2), fill=-2),
        Spread("p", 4, 1, 4, (1, 0), fill=1), Spread("p", 70, 3, 2),
        *(Spread("p", 3, count, held=True) for count in (1, 2, 3, 8)),
        Spread("p", 4, 3, 2, (5, 0, 3, 2), fill=1, held=True),
    ):  # fmt: skip
        yield Case(p, spread(p))
    for count in (1, 2, 3, 5):
        yield Case(Repeat("p", 6, count), lambda beats, count=count: [b for b in beats for _ in range(count)])
    for kind in ("sum", "max", "min"):
        for is_signed in (False, True):
            for count, out_bits in ((1, 6), (2, 4), (3, 9), (5, 4)):
                p = Accumulate("p", kind, 3, 4, out_bits, is_signed, count)
                yield Case(p, accumulated(p))
    for p in (Accumulate("p", "sum", 2, 5, 3, True, 4), Accumulate("p", "max", 1, 1, 1, True, 2)):
        yield Case(p, accumulated(p))
    for count, inner in ((1, 1), (2, 1), (3, 1), (3, 4), (15, 1), (16, 1), (17, 2)):
        p = Rom("p", 4, 7, tuple(37 * k % 128 for k in range(1, count + 1)), inner)
        yield Case(p, looked_up(p))
    for p in (
        Trim("p", 3, 3, 1, 2, 2, 2), Trim("p", 3, 3, 2, 1), Trim("p", 1, 2, 1, 3),
        Trim("p", 2, 4, 3, 4, inner=3)
    ):  # fmt: skip
        yield Case(p, trimmed(p))


CASES = list(cases())
STALLS = {
    "none": (patterns.never(), patterns.never()),
    "slow source": (patterns.bursts(1, 3), patterns.never()),
    "slow sink": (patterns.never(), patterns.bursts(1, 3)),
    "turns": (patterns.Cycle((True, False)), patterns.Cycle((False, True))),
    "long": (patterns.bursts(23, 31), patterns.bursts(29, 41)),
    "random": (patterns.random(3, 0.5), patterns.random(4, 0.5)),
}


def beats_for(part: Part, rng: np.random.Generator, count: int = 48) -> list[int]:
    """Random payloads, among them zeros and ones only."""
    bits = part.inputs[0].bits
    ends = [0, (1 << bits) - 1]
    return [*ends, *(int.from_bytes(rng.bytes(bits // 8 + 1), "little") & ends[1] for _ in range(count - 2))]


@pytest.mark.parametrize("case", CASES, ids=[str(c.part).replace(" ", "") for c in CASES])
def test_beats_and_cycles(case: Case, rng: np.random.Generator) -> None:
    beats, net = beats_for(case.part, rng), alone(case.part)
    expected = case.expected(beats)
    for name, (idle, backpressure) in STALLS.items():
        found, cycles = simulated(net, beats, len(expected), idle, backpressure, reset=27)
        assert found == expected, name
        sent = len(beats)
        assert cycles == predicted(net, sent, len(expected), idle, backpressure)[0], name


FULL: dict[str, tuple[Any, int]] = {
    "fifo": (Fifo("p", 2, 9), 49),
    "skid buffer": (Fifo("p", 2, 2), 49),
    "one place": (Fifo("p", 2, 1), 96),
    "gather": (Gather("p", 2, 4), 49),
    "spread": (Spread("p", 2, 4), 193),
    "spread with a register": (Spread("p", 2, 4, held=True), 193),
    "repeat": (Repeat("p", 2, 3), 145),
    "accumulate": (Accumulate("p", "sum", 1, 4, 8, True, 6), 49),
    "rom": (Rom("p", 2, 4, tuple(range(16)), 3), 49),
    "trim": (Trim("p", 2, 2, 1, 3), 49),
}


@pytest.mark.parametrize("name", FULL)
def test_full_rate(name: str, rng: np.random.Generator) -> None:
    """48 beats without stalls: one a clock on the busier side, and one clock for the register."""
    part, cycles = FULL[name]
    out = next(c.expected for c in CASES if type(c.part) is type(part))
    rules = {Gather: gathered, Spread: spread, Accumulate: accumulated, Rom: looked_up, Trim: trimmed}
    if type(part) in rules:
        out = rules[type(part)](part)
    elif isinstance(part, Repeat):
        out = lambda beats: [b for b in beats for _ in range(part.count)]  # noqa: E731
    beats = beats_for(part, rng)
    expected = out(beats)
    never = patterns.never()
    assert simulated(alone(part), beats, len(expected), never, never) == (expected, cycles)
