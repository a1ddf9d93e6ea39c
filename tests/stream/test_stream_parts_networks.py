"""Forks, FIFOs and joins together: beats and cycles under stalls, in both kinds of hardware."""

from __future__ import annotations

import numpy as np
import pytest

from rtl.bench import native, patterns
from rtl.layout import Layout, Port
from rtl.stream import Network
from rtl.stream.fifo import Fifo
from rtl.stream.fork import Fork
from rtl.stream.gather import Gather
from rtl.stream.join import Join
from rtl.stream.part import Part
from rtl.stream.repeat import Repeat
from rtl.stream.spread import Spread
from tests.stream.parts_bench import predicted, simulated

BITS = 6
STALLS = {
    "none": (patterns.never(), patterns.never()),
    "slow source": (patterns.bursts(1, 3), patterns.never()),
    "slow sink": (patterns.never(), patterns.bursts(1, 3)),
    "turns": (patterns.Cycle((True, False)), patterns.Cycle((False, True))),
    "long": (patterns.bursts(23, 31), patterns.bursts(29, 41)),
    "random": (patterns.random(5, 0.5), patterns.random(6, 0.4)),
}


def diamond(*ways: tuple[Part, ...], top: str = "diamond") -> Network:
    """i to a fork, from there through each way's parts in turn, all to a join."""
    net = Network(top)
    fork = net.add(Fork("forks", BITS, len(ways)))
    net.connect(None, "i", fork, "i")
    ends: list[tuple[Part, str]] = []
    for k, way in enumerate(ways):
        source, port = fork, f"o{k}"
        for part in way:
            net.add(part)
            net.connect(source, port, part, "i")
            source, port = part, "o"
        ends.append((source, port))
    widths = tuple(next(s.bits for s in part.outputs if s.name == port) for part, port in ends)
    join = net.add(Join("joins", widths))
    for k, (part, port) in enumerate(ends):
        net.connect(part, port, join, f"i{k}")
    net.connect(join, "o", None, "o")
    net.check()
    return net


DIAMONDS = {
    "wires": ((), ()),
    "three wires": ((), (), ()),
    "uneven": ((Fifo("a", BITS, 1),), (Fifo("b", BITS, 2), Fifo("c", BITS, 5))),
    "one way straight": ((), (Fifo("b", BITS, 2), Fifo("c", BITS, 9))),
    "there and back": (
        (Fifo("a", BITS, 12),),
        (Gather("b", BITS, 4), Fifo("c", 4 * BITS, 2), Spread("d", BITS, 4)),
        (Repeat("e", BITS, 3), Fifo("f", BITS, 16), Gather("g", BITS, 3)),
    ),
}


def expected(name: str, beats: list[int]) -> list[int]:
    """Every way carries the beat, the last way of "there and back" three of it."""
    copies = 5 if name == "there and back" else len(DIAMONDS[name])
    return [sum(v << BITS * k for k in range(copies)) for v in beats]


@pytest.mark.parametrize("name", DIAMONDS)
def test_beats_and_cycles(name: str, rng: np.random.Generator) -> None:
    net, beats = diamond(*DIAMONDS[name]), [0, 63, *rng.integers(64, size=62).tolist()]
    for stalls, (idle, backpressure) in STALLS.items():
        found, cycles = simulated(net, beats, len(beats), idle, backpressure, reset=27)
        assert found == expected(name, beats), stalls
        assert cycles == predicted(net, len(beats), len(beats), idle, backpressure)[0], stalls


@pytest.mark.parametrize("places", [2, 3])
def test_a_way_too_short_stands_still(places: int, rng: np.random.Generator) -> None:
    """Beside a gather of four beats there must be room for three, as the fork gives it the fourth alone."""
    net = diamond((Fifo("a", BITS, places),), (Gather("b", BITS, 4), Spread("c", BITS, 4)))
    never, beats = patterns.never(), rng.integers(64, size=8).tolist()
    if places == 3:
        cycles = predicted(net, 8, 8, never, never)[0]
        assert simulated(net, beats, 8, never, never) == ([v * 65 for v in beats], cycles)
        return
    with pytest.raises(TimeoutError):
        predicted(net, 8, 8, never, never)
    with pytest.raises(TimeoutError):
        simulated(net, beats, 8, never, never)


@pytest.mark.parametrize("name", ["wires", "there and back"])
def test_verilog(name: str, rng: np.random.Generator) -> None:
    net = diamond(*DIAMONDS[name])
    ends = Layout((Port("x", (), BITS, False),)), Layout((Port("y", (net.last.bits // BITS,), BITS, False),))
    core = native.build(net.verilog(), net.top, *ends)
    beats = rng.integers(64, size=1000)
    for idle, backpressure in STALLS.values():
        done = core.run(beats, idle=idle, backpressure=backpressure)
        assert (done.output == beats[:, None]).all()
        assert (done.cycles, done.latency) == predicted(net, 1000, 1000, idle, backpressure)


@pytest.mark.parametrize(("held", "interval"), [(False, 9), (True, 5)])
def test_a_register_lets_the_gather_go_on(held: bool, interval: int, rng: np.random.Generator) -> None:
    """Five beats in, five out: one after the other, or at the same time."""
    net, gather, spread = Network("pair"), Gather("a", BITS, 5), Spread("b", BITS, 5, held=held)
    net.parts += [gather, spread]
    for source, port, target in ((None, "i", gather), (gather, "o", spread), (spread, "o", None)):
        net.connect(source, port, target, "i" if target else "o")
    beats, never = rng.integers(64, size=100).tolist(), patterns.never()
    assert simulated(net, beats, 100, never, never) == (beats, 6 + 19 * interval + 5)
    assert predicted(net, 100, 100, never, never)[0] == 6 + 19 * interval + 5
