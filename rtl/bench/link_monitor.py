"""The links inside a network, watched from cocotb through the ports of its probes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtl.bench.recording import Recording
from rtl.layout import Layout, Port


class LinkMonitor:
    """Records every transfer of every link, and whole cycles of a window; start `watch` with the stream."""

    def __init__(self, dut: Any, job: dict[str, Any]) -> None:
        bits, beats = tuple(job["bits"]), tuple(job["beats"])
        self.recording = Recording(bits, beats, window=tuple(job["window"]))
        self.path = Path(job["path"])
        self.valid, self.ready = dut.probe__valid, dut.probe__ready
        self.payload = [getattr(dut, f"probe__{k}__payload") for k in range(len(bits))]
        self.edge = dut.clk.rising_edge
        self.counts = [0] * len(bits)
        self.cycles: list[list[int]] = [[] for _ in bits]
        self.texts: list[list[str]] = [[] for _ in bits]
        self.rows: list[list[str]] = []

    async def watch(self) -> None:
        """For ever, from cycle 0; cancel the task to stop."""
        beats, (start, stop) = self.recording.beats, self.recording.window
        every, cycle = (1 << len(beats)) - 1, 0
        while True:
            await self.edge
            valid, ready = int(self.valid.value), int(self.ready.value)
            if start <= cycle < stop:
                flags = (format(v, f"0{len(beats)}b") for v in (valid, ready))
                self.rows.append([*flags, *(str(p.value) for p in self.payload)])
            moved = valid & ready & every
            while moved:
                low = moved & -moved
                k = low.bit_length() - 1
                if self.counts[k] < beats[k]:
                    self.cycles[k].append(cycle)
                    self.texts[k].append(str(self.payload[k].value))
                self.counts[k] += 1
                moved ^= low
            cycle += 1

    def save(self) -> None:
        """Writes what `Recording.load` reads."""
        r = self.recording
        r.counts, r.cycles = self.counts, [np.array(c, np.int64) for c in self.cycles]
        r.words = [_words(b, texts) for b, texts in zip(r.bits, self.texts, strict=True)]
        widths = [len(r.bits)] * 2 + list(r.bits)
        columns = [
            _words(b, list(texts)) for b, texts in zip(widths, zip(*self.rows, strict=True), strict=False)
        ]
        r.save(self.path, np.concatenate(columns, axis=1) if columns else np.zeros((0, 0), np.uint32))


def _words(bits: int, texts: list[str]) -> np.ndarray:
    """Packed words (n, words) of strings of binary digits."""
    return Layout((Port("beat", (), bits, False),)).from_bit_strings(texts)
