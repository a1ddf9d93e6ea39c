"""Networks of small parts under stalls: their timing by the words of rtl/stream/control.py, their hardware in
Amaranth's simulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from rtl.bench.patterns import Pattern
from rtl.stream import Network
from rtl.stream.control import Fifo, Fork, Join, Steps
from rtl.stream.handshake import ports
from rtl.stream.part import Part

LIMIT = 20_000  # cycles


def alone(part: Part, top: str = "dut") -> Network:
    """The network of one part between its streams i and o."""
    net = Network(top)
    net.add(part)
    net.connect(None, "i", part, "i")
    net.connect(part, "o", None, "o")
    net.check()
    return net


class Timing:
    """One part's state; `offers` from valid inputs, `readies` from ready outputs too, `edge` moves it."""

    def __init__(self, part: Part) -> None:
        self.part, self.rule = part, part.control()
        self.step, self.count = 0, 0
        self.pipe = [False] * getattr(self.rule, "depth", 0)
        self.done = [False] * len(part.outputs)

    def offers(self, valid: list[bool]) -> list[bool]:
        match self.rule:
            case Steps():
                return [self.pipe[-1]]
            case Fifo():
                return [self.count > 0]
            case Fork():
                return [valid[0] and not d for d in self.done]
            case Join():
                return [all(valid)]
        raise TypeError(self.rule)

    def readies(self, valid: list[bool], ready: list[bool]) -> list[bool]:
        match self.rule:
            case Steps():
                return [(ready[0] or not self.pipe[-1]) and bool(self.rule.takes[self.step])]
            case Fifo():
                return [self.count < self.rule.depth]
            case Fork():
                return [all(d or r for d, r in zip(self.done, ready, strict=True))]
            case Join():
                return [ready[0] and all(v for j, v in enumerate(valid) if j != k) for k in range(len(valid))]
        raise TypeError(self.rule)

    def edge(self, valid: list[bool], ready: list[bool]) -> None:
        match self.rule:
            case Steps(needs=needs, emits=emits) if ready[0] or not self.pipe[-1]:
                fires = valid[0] or not needs[self.step]
                self.pipe = [fires and bool(emits[self.step]), *self.pipe[:-1]]
                self.step = (self.step + fires) % len(needs)
            case Fifo():
                taken, given = valid[0] and self.count < self.rule.depth, self.count > 0 and ready[0]
                self.count += taken - given
            case Fork():
                over = [valid[0] and (d or r) for d, r in zip(self.done, ready, strict=True)]
                self.done = [o and not all(over) for o in over]


def predicted(
    net: Network, sent: int, expected: int, idle: Pattern, backpressure: Pattern
) -> tuple[int, int]:
    """(cycles, latency) as `rtl.bench.native` counts them, for `sent` beats in and `expected` out."""
    timings = [Timing(part) for part in net.parts]
    sides = zip(range(LIMIT), idle, backpressure, strict=False)
    offering, first_in, first_out = False, -1, -1
    for cycle, pause, stall in sides:
        offering |= sent > 0 and not pause
        valid, ready = {net.first: offering}, {net.last: not stall}
        into = {t: [next(k for k in net.links if k.target is t.part and k.target_port == s.name)
                    for s in t.part.inputs] for t in timings}  # fmt: skip
        out = {t: [next(k for k in net.links if k.source is t.part and k.port == s.name)
                   for s in t.part.outputs] for t in timings}  # fmt: skip
        for t in timings:
            valid.update(zip(out[t], t.offers([valid[k] for k in into[t]]), strict=True))
        for t in reversed(timings):
            took = t.readies([valid[k] for k in into[t]], [ready[k] for k in out[t]])
            ready.update(zip(into[t], took, strict=True))
        for t in timings:
            t.edge([valid[k] for k in into[t]], [ready[k] for k in out[t]])
        if valid[net.last]:
            first_out = cycle if first_out < 0 else first_out
            expected -= ready[net.last]
        if offering and ready[net.first]:
            first_in = cycle if first_in < 0 else first_in
            sent, offering = sent - 1, False
        if not expected:
            return cycle + 1, max(0, first_out - first_in) if first_in >= 0 else -1
    raise TimeoutError(f"{expected} beats are missing after {LIMIT} cycles")


class Bare(wiring.Component):
    """A network as a module of its own."""

    def __init__(self, net: Network) -> None:
        self.net, self.stop = net, Signal()
        super().__init__(ports(net.first.bits, net.last.bits))

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.d.comb += domain.rst.eq(self.stop)
        self.net.elaborate(m, self.i, self.o)
        return m


def simulated(
    net: Network, beats: Sequence[int], expected: int, idle: Pattern, backpressure: Pattern, reset: int = 0
) -> tuple[list[int], int]:
    """(payloads, cycles) of the network in Amaranth's simulator, after a reset that breaks into the same
    traffic behind `reset` cycles.

    Raises RuntimeError where an offer is withdrawn or changed, or a beat comes too many.
    """
    bare = Bare(net)
    found: list[int] = []
    spent = 0

    async def bench(ctx: Any) -> None:
        nonlocal spent
        for limit in (reset, LIMIT):
            found.clear()
            ctx.set(bare.stop, 1)  # over whatever the streams are at
            await ctx.tick()
            ctx.set(bare.stop, 0)
            left, offering, held = list(beats), False, None
            for cycle, pause, stall in zip(range(limit), idle, backpressure, strict=False):
                if left and not pause:
                    offering = True
                ctx.set(bare.i.payload, left[0] if offering else 0)
                ctx.set(bare.i.valid, offering)
                ctx.set(bare.o.ready, not stall)
                offer = (ctx.get(bare.o.valid), ctx.get(bare.o.payload))
                if held is not None and offer != held:
                    raise RuntimeError(f"offer {held} became {offer} in cycle {cycle}")
                held = offer if offer[0] and stall else None
                if offer[0] and not stall:
                    found.append(offer[1])
                if offering and ctx.get(bare.i.ready):
                    offering = False
                    left.pop(0)
                await ctx.tick()
                if limit == LIMIT and len(found) == expected:
                    spent = cycle + 1
                    break
        ctx.set(bare.i.valid, 0)
        ctx.set(bare.o.ready, 1)
        for _ in range(16):
            if not left and ctx.get(bare.o.valid):
                raise RuntimeError(f"a beat more than the {expected} expected")
            await ctx.tick()

    simulator = Simulator(bare)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    if len(found) != expected:
        raise TimeoutError(f"{len(found)} of {expected} beats came in {LIMIT} cycles")
    return found, spent
