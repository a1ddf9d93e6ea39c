"""Valid/ready streams for cocotb: a source that idles, a sink that pushes back, a monitor that watches.

All three use cocotb's public interface only and await one edge object per clock cycle. Values are whatever a
cocotb handle takes and gives (`LogicArray`, integers); words are converted once per run, by `rtl.layout`, not
in the loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rtl.bench.patterns import Pattern
from rtl.bench.protocol import PATIENCE, check_progress, fault_text


class _Stream:
    """The three signals `prefix__payload`, `prefix__valid`, `prefix__ready` of `dut`, and its clock."""

    def __init__(self, dut: Any, prefix: str, *, clock: str = "clk") -> None:
        self.payload = getattr(dut, f"{prefix}__payload")
        self.valid = getattr(dut, f"{prefix}__valid")
        self.ready = getattr(dut, f"{prefix}__ready")
        self.edge = getattr(dut, clock).rising_edge


class StreamSource(_Stream):
    """Drives a stream into the core.

    idle: bools, one per clock cycle, True to offer nothing new in that cycle; a word once offered stays until
    taken. `sent` counts the words taken, `first` is the cycle of the first of them, from the call of `send`;
    -1 before.
    """

    def __init__(self, dut: Any, prefix: str = "i", *, idle: Iterable[bool] = (), clock: str = "clk") -> None:
        super().__init__(dut, prefix, clock=clock)
        self.sent = 0
        self.first = -1
        self._idle = _pauses(idle)
        self.valid.value = 0

    async def send(self, values: Iterable[Any]) -> None:
        """Offer `values` one after another; returns in the cycle after the last was taken."""
        payload, valid, edge, idle = self.payload, self.valid, self.edge, self._idle
        ready = self.ready.get
        self.sent, self.first = 0, -1
        offered = 0  # what valid is at
        cycle = 0
        for value in values:
            if idle is not None:
                while next(idle):
                    if offered:
                        valid.value = offered = 0
                    await edge
                    cycle += 1
            payload.value = value
            if not offered:
                valid.value = offered = 1
            await edge
            while not ready():
                if idle is not None:
                    next(idle)
                await edge
                cycle += 1
            if not self.sent:
                self.first = cycle
            self.sent += 1
            cycle += 1
        valid.value = 0


class StreamSink(_Stream):
    """Takes a stream out of the core, and checks that the core keeps every offer until it is taken.

    backpressure: bools, one per clock cycle, True to take nothing in that cycle.
    `received` holds the values taken, `first` is the cycle of the first valid, from the call of `receive`;
    -1 before.
    """

    def __init__(
        self, dut: Any, prefix: str = "o", *, backpressure: Iterable[bool] = (), clock: str = "clk"
    ) -> None:
        super().__init__(dut, prefix, clock=clock)
        self.received: list[Any] = []
        self.first = -1
        self.cycles = 0
        self._pauses = _pauses(backpressure)
        self.ready.value = 0

    async def receive(
        self,
        count: int,
        *,
        source: StreamSource | None = None,
        limit: int | None = None,
        patience: int = PATIENCE,
    ) -> list[Any]:
        """The next `count` values. `cycles` is then the number of clock edges it took.

        Raises TimeoutError after `limit` cycles, or `patience` cycles without a word taken here or from
        `source`, and RuntimeError if valid falls, or the payload changes, before the core's offer was taken.
        """
        values: list[Any] = []
        self.received, self.first, self.cycles = values, -1, 0
        edge, ready, pauses = self.edge, self.ready, self._pauses
        valid, payload = self.valid.get, self.payload.get
        cycles, taken, last, sent = 0, 0, 0, 0
        most = patience * (count + 1) if limit is None else limit
        check = min(patience, most)  # no need to look for a standstill before
        held: Any = None
        open_ = False
        if pauses is None:
            ready.value = 1
            open_ = True
        while taken < count:
            if cycles >= check:
                if source is not None and source.sent != sent:
                    sent, last = source.sent, cycles
                self.cycles = cycles
                check_progress(cycles, sent, taken, count, last, most, patience)
                check = min(last + patience + 1, most)
            if pauses is not None and next(pauses) is open_:
                open_ = not open_
                ready.value = int(open_)
            await edge
            if valid():
                if held is not None and payload() != held:
                    raise RuntimeError(fault_text(2, cycles, taken))
                if open_:
                    values.append(payload())
                    held = None
                    taken += 1
                    last = cycles
                elif held is None:
                    held = payload()
                if self.first < 0:
                    self.first = cycles
            elif held is not None:
                raise RuntimeError(fault_text(1, cycles, taken))
            cycles += 1
        self.cycles = cycles
        ready.value = 0
        return values


class StreamMonitor(_Stream):
    """Watches a stream without driving it: start `watch` beside a test, read `values` whenever.

    The same checks of the handshake as `StreamSink`; a RuntimeError in the started task fails the test.
    """

    def __init__(self, dut: Any, prefix: str, *, clock: str = "clk") -> None:
        super().__init__(dut, prefix, clock=clock)
        self.values: list[Any] = []
        self.cycles = 0

    async def watch(self) -> None:
        """Record every word that passes, for ever; cancel the task to stop."""
        edge, valid, ready, payload = self.edge, self.valid.get, self.ready.get, self.payload.get
        held: Any = None
        while True:
            await edge
            if valid():
                now = payload()
                if held is not None and now != held:
                    raise RuntimeError(fault_text(2, self.cycles, len(self.values)))
                held = None
                if ready():
                    self.values.append(now)
                else:
                    held = now
            elif held is not None:
                raise RuntimeError(fault_text(1, self.cycles, len(self.values)))
            self.cycles += 1


def _pauses(pauses: Iterable[bool]) -> Iterator[bool] | None:
    """An endless iterator, or None where nothing ever pauses; after a finite sequence nothing pauses."""
    if isinstance(pauses, Pattern):
        return None if pauses.never else iter(pauses)
    if isinstance(pauses, Sequence) and not any(pauses):
        return None
    return itertools.chain(map(bool, pauses), itertools.repeat(False))
