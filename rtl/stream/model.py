"""The cycle model of a stream network: when every beat moves, exactly as in hardware, without payloads."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from rtl.bench.patterns import Cycle, Pattern, never, pair
from rtl.bench.protocol import bounds, latency
from rtl.stream.model_tables import Tables
from rtl.stream.network import Network

ENDLESS = 1 << 60
"""Beats of a source that never runs dry, of an unlimited FIFO."""

_CHUNK = 1 << 16  # cycles of a random pattern computed at once


@dataclass(frozen=True)
class Activity:
    """What a part did: every cycle is of one kind.

    fired    a step done; of a FIFO or join a beat given, of a fork a beat that all ways have
    blocked  something to do or to give, but the output does not take it
    starved  nothing to do, for lack of input
    mark     the least capacity, of a FIFO or a memory, with which all would have been the same; 0 for others
    """

    name: str
    fired: int
    blocked: int
    starved: int
    mark: int


@dataclass(frozen=True)
class Run:
    """A run from reset; `cycles` and `latency` are those of `rtl.bench.native.NativeResult`.

    cycles       clock edges from the first cycle after reset to the last output beat taken, both included
    latency      clock cycles from the first beat taken to the first offered
    completions  clock edges until the last beat of each frame is taken
    interval     cycles per frame, exactly, once the state at ends of frames repeats; None where it did not
                 yet while the source had beats left, or a pattern is random
    """

    cycles: int
    latency: int
    completions: tuple[int, ...]
    interval: Fraction | None
    parts: tuple[Activity, ...]


@dataclass(frozen=True)
class Steady:
    """What repeats for ever under a source that never runs dry.

    interval  cycles per frame
    frames    in which the state comes back, `frames * interval` cycles later
    parts     what they do in so many cycles; `mark` is since reset
    """

    interval: Fraction
    frames: int
    parts: tuple[Activity, ...]


class Model:
    """The timing of a network that takes `beats_in` beats a frame and gives `beats_out`.

    Raises TypeError or ValueError that names the part whose `control()` is not sound, or whose beats per
    frame do not fit those of its neighbours.
    """

    def __init__(self, network: Network | Tables, beats_in: int = 0, beats_out: int = 0) -> None:
        self.tables = network if isinstance(network, Tables) else Tables(network, beats_in, beats_out)

    def run(
        self, frames: int, idle: float | Pattern = 0.0, backpressure: float | Pattern = 0.0, seed: int = 0,
        max_cycles: int | None = None,
    ) -> Run:  # fmt: skip
        """So many frames, offered and taken as the benches of `rtl.bench` do with these patterns.

        Raises RuntimeError where the network gets stuck, which says who waits for whom, and TimeoutError at
        max_cycles, by default those of the benches.
        """
        if isinstance(frames, bool) or not isinstance(frames, (int, np.integer)) or frames < 1:
            raise ValueError(f"frames must be a positive integer, not {frames!r}")
        t, sides = self.tables, pair(idle, backpressure, seed)
        limit, _ = bounds(frames * t.beats_in, frames * t.beats_out, sides, max_cycles)
        sim = Simulation(t, frames * t.beats_in, sides)
        search, completions, interval = Repeat(), [], None
        for frame in range(1, frames + 1):
            sim.until(frame * t.beats_out, limit)
            completions.append(sim.cycle)
            if interval is None and sim.periodic and not sim.dry:
                interval = search.interval(sim)
        return Run(sim.cycle, sim.latency, tuple(completions), interval, sim.activity())

    def steady(
        self, idle: Pattern | None = None, backpressure: Pattern | None = None,
        max_cycles: int = 100_000_000, max_frames: int = 100_000, pace: Fraction | int = 0,
    ) -> Steady:  # fmt: skip
        """What repeats for ever; exact, since the state at an end of a frame is found a second time.

        pace    if not 0, beat n is not offered before cycle n * pace / beats_in: so many cycles a frame, of
                which the network must not need more
        Raises RuntimeError where the network gets stuck, TimeoutError where nothing repeats in max_cycles or
        max_frames, and TypeError for a random pattern.
        """
        t, sides = self.tables, (idle or never(), backpressure or never())
        sim = Simulation(t, ENDLESS, sides, Fraction(pace))
        if not sim.periodic:
            raise TypeError("patterns of a steady state must be of type Cycle")
        search, frame = Repeat(), 0
        while frame < max_frames:
            frame += 1
            sim.until(frame * t.beats_out, max_cycles)
            interval = search.interval(sim)
            if interval is not None:
                return Steady(interval, search.frames, search.activity(sim))
        raise TimeoutError(f"{t.name} did not come back to a state in {max_frames} frames")


class Simulation:
    """The state of a network between two cycles."""

    def __init__(
        self,
        tables: Tables,
        supply: int,
        sides: tuple[Pattern, Pattern] = (never(), never()),
        pace: Fraction = Fraction(0),
    ) -> None:
        k, t = _kernel(), tables
        self.tables, self.sides = t, sides
        parts = len(t.parts)
        self.state = np.zeros((parts, 6), np.int64)
        self.stages = np.zeros(t.stages + 1, np.int64)
        self.stats = np.zeros((parts, 4), np.int64)
        self.valid, self.ready = np.zeros((2, len(t.links)), np.int64)
        self.ends = np.zeros(15, np.int64)
        self.ends[[k.FIRST_IN, k.FIRST_OUT]] = -1
        self.ends[k.SUPPLY] = supply
        self.ends[[k.SLOTS, k.BATCH]] = pace.numerator, pace.denominator * t.beats_in
        self.ends[[k.FIRST, k.LAST]] = t.first, t.last
        self.periodic = all(isinstance(side, Cycle) or side.never for side in sides)
        # Where every register of a part's pipeline stands once its ring is turned to the last one.
        depth = t.table[:, k.DEPTH]
        self._owner = np.repeat(np.arange(parts), depth)
        start = np.repeat(t.table[:, k.STAGES], depth)
        self._turn, self._depth = np.arange(len(start)) - start, depth[self._owner]
        self._start = start

    @property
    def cycle(self) -> int:
        return int(self.ends[_kernel().CYCLE])

    @property
    def sent(self) -> int:
        return int(self.ends[_kernel().SENT])

    @property
    def received(self) -> int:
        return int(self.ends[_kernel().RECEIVED])

    @property
    def dry(self) -> bool:
        """Whether the source would have offered more than it had."""
        return bool(self.ends[_kernel().DRY])

    @property
    def latency(self) -> int:
        return latency(*(int(self.ends[n]) for n in (_kernel().FIRST_IN, _kernel().FIRST_OUT)))

    def until(self, received: int, limit: int) -> None:
        """Runs until so many beats are received in all. RuntimeError where it gets stuck, TimeoutError at
        cycle `limit`."""
        if not self.reach(received, limit):
            from rtl.stream.deadlock import explain

            raise RuntimeError(explain(self))
        if self.received < received:
            raise TimeoutError(
                f"{self.tables.name} gave {self.received} of {received} beats in {self.cycle} clock cycles, "
                f"having taken {self.sent}: the bound is {limit} cycles"
            )

    def reach(self, received: int, limit: int) -> bool:
        """Runs until so many beats are received in all, or to cycle `limit`; False if it gets stuck."""
        k = _kernel()
        self.ends[k.TARGET], self.ends[k.QUIET] = received, 0
        while self.received < received and self.cycle < limit and not self.ends[k.QUIET]:
            start = 0 if self.periodic else self.cycle
            budget = limit - self.cycle if self.periodic else min(_CHUNK, limit - self.cycle)
            self._go([_pauses(side, start, budget) for side in self.sides], start, budget)
        return not self.ends[k.QUIET]

    def supply(self, beats: int) -> None:
        """From here on the source has so many beats in all."""
        self.ends[_kernel().SUPPLY] = beats

    def settle(self) -> None:
        """Runs with a sink that takes nothing until nothing moves."""
        k = _kernel()
        self.ends[k.TARGET], self.ends[k.SETTLE], self.ends[k.QUIET] = ENDLESS, 1, 0
        self._go([np.zeros(1, np.uint8), np.ones(1, np.uint8)], 0, ENDLESS)
        self.ends[k.SETTLE] = self.ends[k.QUIET] = 0

    def _go(self, pauses: list[np.ndarray], start: int, budget: int) -> None:
        t = self.tables
        _kernel().run(
            t.table, t.ports, t.flags, t.reads, t.frees, self.state, self.stages, self.stats, self.ends,
            *pauses, start, budget, self.valid, self.ready,
        )  # fmt: skip

    def registers(self) -> np.ndarray:
        """All that decides what the parts do from here on."""
        k = _kernel()
        state = np.delete(self.state, k.HEAD, axis=1)
        places = self._start + (self.state[self._owner, k.HEAD] + self._turn) % self._depth
        return np.concatenate([state.ravel(), self.stages[places]])

    def snapshot(self) -> bytes:
        """All that decides what happens from here on, with a source that never runs dry."""
        k = _kernel()
        late = self.cycle * int(self.ends[k.BATCH]) - self.sent * int(self.ends[k.SLOTS])
        phases = [self.cycle % len(s.pauses) if isinstance(s, Cycle) else 0 for s in self.sides]
        extra = [int(self.ends[k.OFFERING]), late if self.ends[k.SLOTS] else 0, *phases]
        return np.concatenate([self.registers(), np.array(extra, np.int64)]).tobytes()

    def activity(self, since: np.ndarray | None = None) -> tuple[Activity, ...]:
        """Of every part, since reset, or since its counts were `since`."""
        counts = self.stats.copy()
        if since is not None:
            counts[:, :3] -= since[:, :3]
        return tuple(
            Activity(part.name, *(int(n) for n in row))
            for part, row in zip(self.tables.parts, counts, strict=True)
        )


class Repeat:
    """Finds the state a second time, by Brent's method: one state is kept, the next one at twice its age."""

    def __init__(self) -> None:
        self.kept, self.power, self.frames = b"", 1, 0

    def interval(self, sim: Simulation) -> Fraction | None:
        """Cycles per frame if the state at this end of a frame is the one that was kept."""
        now = sim.snapshot()
        if self.frames and now == self.kept:
            return Fraction(sim.cycle - self.cycle, self.frames)
        if not self.kept or self.frames == self.power:
            self.kept, self.cycle, self.stats = now, sim.cycle, sim.stats.copy()
            self.power, self.frames = max(1, 2 * self.frames), 0
        self.frames += 1
        return None

    def activity(self, sim: Simulation) -> tuple[Activity, ...]:
        """Of every part between the two."""
        return sim.activity(self.stats)


def _pauses(side: Pattern, start: int, count: int) -> np.ndarray:
    if side.never:
        return np.zeros(1, np.uint8)
    if isinstance(side, Cycle):
        # The kernel counts from cycle `start`, and repeats.
        return _kernel().bits(np.roll(side.pauses, -(start % len(side.pauses))))
    return _kernel().bits(side.bits(start, count))


@cache
def _kernel() -> Any:
    # Numba is slow to import, and reads its cache at the first call.
    from rtl.stream import model_kernel

    return model_kernel
