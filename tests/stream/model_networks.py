"""Networks by hand, and a plain cycle model by the words of rtl/stream/control.py: the model's oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.bench.patterns import Pattern
from rtl.stream import Network, Part, Stream
from rtl.stream import control as c
from rtl.stream.accumulate import Accumulate
from rtl.stream.fifo import Fifo
from rtl.stream.fork import Fork
from rtl.stream.gather import Gather
from rtl.stream.join import Join
from rtl.stream.spread import Spread


@dataclass(frozen=True, eq=False)
class Timed(Part):
    """A part that has a timing and no hardware."""

    name: str
    rule: Any

    @property
    def title(self) -> str:
        return type(self.rule).__name__

    @property
    def inputs(self) -> tuple[Stream, ...]:
        ways = self.rule.ways if isinstance(self.rule, c.Join) else 1
        return tuple(Stream(f"i{k}", 1) for k in range(ways))

    @property
    def outputs(self) -> tuple[Stream, ...]:
        ways = self.rule.ways if isinstance(self.rule, c.Fork) else 1
        return tuple(Stream(f"o{k}", 1) for k in range(ways))

    def control(self) -> c.Control:
        return self.rule


def chain(top: str, parts: Sequence[Part]) -> Network:
    """One part behind the other."""
    net = Network(top)
    end: tuple[Part | None, str] = (None, "i")
    for part in parts:
        net.add(part)
        net.connect(*end, part, part.inputs[0].name)
        end = (part, part.outputs[0].name)
    net.connect(*end, None, "o")
    return net


def mixed(top: str = "mixed") -> Network:
    """6 bits in, 16 beats; 8 beats out: rates go up and down between FIFOs."""
    return chain(top, [
        Spread("halves", 3, 2), Fifo("first", 3, 3), Gather("fours", 3, 4), Spread("again", 3, 4),
        Fifo("second", 3, 11), Accumulate("sums", "sum", 1, 3, 5, False, 4), Fifo("third", 5, 1),
    ])  # fmt: skip


def diamond(depth: int, top: str = "diamond") -> Network:
    """A long way by blocks of 8 beats beside a FIFO of `depth`; the third way is a short one."""
    net = Network(top)
    split = net.add(Fork("split", 4, 3))
    skip = net.add(Fifo("skip", 4, depth))
    thin = net.add(Fifo("thin", 4, 12))
    gather = net.add(Gather("gather", 4, 8))
    between = net.add(Fifo("between", 32, 2))
    spread = net.add(Spread("spread", 4, 8))
    both = net.add(Join("both", (4, 4, 4)))
    net.connect(None, "i", split, "i")
    for k, part in enumerate((gather, skip, thin)):
        net.connect(split, f"o{k}", part, "i")
    net.connect(gather, "o", between, "i")
    net.connect(between, "o", spread, "i")
    for k, part in enumerate((spread, skip, thin)):
        net.connect(part, "o", both, f"i{k}")
    net.connect(both, "o", None, "o")
    return net


class Plain:
    """One part's registers; `offers`, `readies` and `edge` follow the docstrings of `rtl.stream.control`."""

    def __init__(self, part: Part, rule: Any) -> None:
        self.name, self.rule = part.name, rule
        self.step = self.count = self.frame = self.freed = self.mark = 0
        self.pipe = [False] * (rule.depth if isinstance(rule, c.Steps | c.Buffered) else 0)
        self.done = [False] * getattr(rule, "ways", 0)
        self.counts = [0, 0, 0]

    def offers(self, valid: list[bool]) -> list[bool]:
        if isinstance(self.rule, c.Steps | c.Buffered):
            return [self.pipe[-1]]
        if isinstance(self.rule, c.Fifo):
            return [self.count > 0]
        if isinstance(self.rule, c.Fork):
            return [valid[0] and not d for d in self.done]
        return [all(valid)]

    def readies(self, valid: list[bool], ready: list[bool]) -> list[bool]:
        if isinstance(self.rule, c.Steps):
            return [(ready[0] or not self.pipe[-1]) and bool(self.rule.takes[self.step])]
        if isinstance(self.rule, c.Buffered):
            return [self.count - self.freed < self.rule.capacity]
        if isinstance(self.rule, c.Fifo):
            return [self.count < self.rule.depth]
        if isinstance(self.rule, c.Fork):
            return [all(d or r for d, r in zip(self.done, ready, strict=True))]
        return [ready[0] and all(v for j, v in enumerate(valid) if j != k) for k in range(len(valid))]

    def edge(self, valid: list[bool], ready: list[bool], taken: list[bool]) -> None:
        """`taken`: the inputs of which a beat moves."""
        rule = self.rule
        if isinstance(rule, c.Steps | c.Buffered):
            advance = ready[0] or not self.pipe[-1]
            if isinstance(rule, c.Steps):
                able = valid[0] or not rule.needs[self.step]
            else:
                ahead = self.count - self.frame * rule.beats
                able = rule.reads[self.step] == -1 or ahead > rule.reads[self.step]
                if taken[0]:
                    self.mark = max(self.mark, self.count + 1 - self.freed)
                    self.count += 1
            fires = bool(advance and able)
            if advance:
                self.pipe = [fires and bool(rule.emits[self.step]), *self.pipe[:-1]]
            if fires:
                if isinstance(rule, c.Buffered):
                    self.freed = self.frame * rule.beats + int(rule.frees[self.step])
                self.step += 1
                if self.step == len(rule.emits):
                    self.step, self.frame = 0, self.frame + 1
            self.counts[0 if fires else 2 if advance else 1] += 1
        elif isinstance(rule, c.Fifo):
            given = self.count > 0 and ready[0]
            self.counts[0 if given else 1 if self.count else 2] += 1
            if taken[0]:
                self.mark = max(self.mark, self.count + 1)
            self.count += taken[0] - given
        elif isinstance(rule, c.Fork):
            self.counts[0 if taken[0] else 1 if valid[0] else 2] += 1
            if valid[0]:
                over = [d or r for d, r in zip(self.done, ready, strict=True)]
                self.done = [o and not taken[0] for o in over]
        else:
            self.counts[0 if taken[0] else 1 if all(valid) else 2] += 1


def plain(
    net: Network, sent: int, expected: int, idle: Pattern, backpressure: Pattern
) -> tuple[int, int, list[tuple[int, ...]]] | None:
    """(cycles, latency, (fired, blocked, starved, mark) of each part); None where no beat moves and no step
    is done in 100 cycles."""
    parts = [Plain(part, part.control()) for part in net.parts]
    into = [[n for s in p.inputs for n, k in enumerate(net.links) if k.target is p and k.target_port ==
            s.name] for p in net.parts]  # fmt: skip
    out = [[n for s in p.outputs for n, k in enumerate(net.links) if k.source is p and k.port == s.name]
           for p in net.parts]  # fmt: skip
    first, last = net.links.index(net.first), net.links.index(net.last)
    valid, ready = [False] * len(net.links), [False] * len(net.links)
    offering, first_in, first_out = False, -1, -1
    last_move, before = 0, 0
    for cycle, (pause, stall) in enumerate(zip(idle, backpressure, strict=False)):
        offering = offering or (sent > 0 and not pause)
        valid[first], ready[last] = offering, not stall
        for k, part in enumerate(parts):
            for n, v in zip(out[k], part.offers([bool(valid[n]) for n in into[k]]), strict=True):
                valid[n] = v
        for k in reversed(range(len(parts))):
            found = parts[k].readies([valid[n] for n in into[k]], [ready[n] for n in out[k]])
            for n, r in zip(into[k], found, strict=True):
                ready[n] = r
        for k, part in enumerate(parts):
            moving = [valid[n] and ready[n] for n in into[k]]
            part.edge([valid[n] for n in into[k]], [ready[n] for n in out[k]], moving)
        moves = sum(p.counts[0] for p in parts) + sent
        last_move, before = (cycle if moves != before or any(map(all, zip(valid, ready, strict=True)))
                             else last_move), moves  # fmt: skip
        if cycle - last_move > 100:
            return None
        if valid[last]:
            first_out = cycle if first_out < 0 else first_out
            expected -= ready[last]
        if offering and ready[first]:
            first_in = cycle if first_in < 0 else first_in
            sent, offering = sent - 1, False
        if not expected:
            latency = max(0, first_out - first_in) if first_in >= 0 else -1
            return cycle + 1, latency, [(*p.counts, p.mark) for p in parts]
    raise AssertionError("patterns never end")


def random_network(rng: np.random.Generator, top: str = "random") -> tuple[Network, int, int]:
    """(network, beats in, beats out): a chain of random parts, with forks and joins around some of them."""
    net = Network(top)
    end: tuple[Part | None, str] = (None, "i")
    beats = beats_in = int(rng.integers(1, 13))

    def add(rule: Any) -> Part:
        return net.add(Timed(f"p{len(net.parts)}", rule))

    def put(rule: Any, end: tuple[Part | None, str]) -> tuple[Part, str]:
        part = add(rule)
        net.connect(*end, part, "i0")
        return part, "o0"

    def single(end: tuple[Part | None, str], count: int) -> tuple[tuple[Part, str], int]:
        kind = rng.integers(3)
        if kind == 0:
            return put(c.Fifo(int(rng.integers(1, 9))), end), count
        # The program runs `times` times in a frame.
        times = int(rng.choice([n for n in range(1, count + 1) if count % n == 0]))
        taken, emitted = count // times, int(rng.integers(1, 2 * count // times + 2))
        rule = steps(rng, taken, emitted) if kind == 1 else buffered(rng, taken, emitted)
        return put(rule, end), times * emitted

    for _ in range(rng.integers(1, 5)):
        if rng.random() < 0.4:
            ways = int(rng.integers(2, 4))
            split = add(c.Fork(ways))
            net.connect(*end, split, "i0")
            ends = []
            for k in range(ways):
                one: tuple[Part | None, str] = (split, f"o{k}")
                for _ in range(rng.integers(0, 3)):
                    if rng.random() < 0.5:
                        one = put(c.Fifo(int(rng.integers(1, 2 * beats + 2))), one)
                    else:
                        rule = (steps if rng.random() < 0.5 else buffered)(rng, beats, beats)
                        one = put(rule, one)
                ends.append(one)
            join = add(c.Join(ways))
            for k, one in enumerate(ends):
                net.connect(*one, join, f"i{k}")
            end = (join, "o0")
        else:
            end, beats = single(end, beats)
    net.connect(*end, None, "o")
    return net, beats_in, beats


def steps(rng: np.random.Generator, taken: int, emitted: int) -> c.Steps:
    """A program that takes and emits so many beats in any order; it needs none of the next program."""
    length = max(taken, emitted) + int(rng.integers(0, 4))
    takes, emits = np.zeros((2, length), bool)
    takes[rng.permutation(length)[:taken]] = True
    emits[rng.permutation(length)[:emitted]] = True
    left = np.cumsum(takes[::-1])[::-1] > 0
    return c.Steps(takes | (left & (rng.random(length) < 0.3)), takes, emits, int(rng.integers(1, 7)))


def buffered(rng: np.random.Generator, taken: int, emitted: int) -> c.Buffered:
    """A reader that waits for any beats and frees some; its memory is large enough for it."""
    length = emitted + int(rng.integers(0, 4))
    emits = np.zeros(length, bool)
    emits[rng.permutation(length)[:emitted]] = True
    reads = rng.integers(-1, taken, length)
    reads[rng.integers(length)] = rng.integers(taken)
    frees = np.minimum.accumulate(np.sort(rng.integers(0, taken + 1, length))[::-1])[::-1].copy()
    frees[-1] = taken
    ahead = max(int((reads + 1 - np.concatenate([[0], frees[:-1]])).max()), 1)
    capacity = ahead + int(rng.integers(0, taken + 1))
    return c.Buffered(taken, reads, frees, emits, capacity, int(rng.integers(1, 5)))
