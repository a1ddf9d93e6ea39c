"""When a sliding window over a raster stream takes and gives beats, and where it finds each of its taps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Tap:
    """One offset between a window's position and a pixel: position n reads pixel n * stride + offset.

    The pixel lies inside the image for first <= n < end, which are not empty.
    """

    offset: int
    first: int
    end: int


def tap(offset: int, stride: int, size: int, positions: int) -> Tap | None:
    """The tap at `offset` on an axis of `size` pixels; None where no position finds a pixel."""
    first = max(0, -(offset // stride))
    end = min(positions, -((offset - size) // stride))
    return Tap(offset, first, end) if first < end else None


def _within(taps: Iterable[Tap | None], count: int) -> list[int]:
    return sorted({c for t in taps if t for c in (t.first, t.end) if 0 < c < count})


@dataclass(frozen=True)
class Times:
    """The steps of a frame, in which time counts steps from the one that could take the frame's first beat.

    A row of the image lasts `period` steps, of which the first `taken` take a beat: a tap is always the same
    number of steps before the beat that is taken now, whatever row and frame that one belongs to. Output beat
    b of row r is emitted at time first + r * stride * period + b * step. Only where padding makes a row of
    the output longer than one of the input is `period` greater than `taken`. The frame has `lead`
    steps before time 0, where a window lies in the padding altogether: they wait for the frame's first beat,
    so that nothing is given for a frame that may never come. The frame ends with the last beat taken or
    emitted; the next one's steps come after.

    rows, columns       pixels; `across` output positions of `lanes` neighbours, `down` output rows
    row_offsets         of the kernel's rows, at output row 0
    column_offsets      of every tap of every lane, at output beat 0
    """

    rows: int
    columns: int
    lanes: int
    down: int
    across: int
    stride: int
    step: int
    row_offsets: tuple[int, ...]
    column_offsets: tuple[int, ...]

    @cached_property
    def taken(self) -> int:
        """Beats of an input row."""
        return -(-self.columns // self.lanes)

    @cached_property
    def period(self) -> int:
        """Steps from one input row to the next, no fewer than an output row lasts: emissions keep apart."""
        return max(self.taken, (self.across - 1) * self.step + 1)

    @cached_property
    def _taps(self) -> tuple[tuple[Tap | None, ...], dict[int, Tap]]:
        down = tuple(tap(offset, self.stride, self.rows, self.down) for offset in self.row_offsets)
        pitch = self.step * self.lanes
        found = {o: tap(o, pitch, self.columns, self.across) for o in sorted(set(self.column_offsets))}
        across = {o: t for o, t in found.items() if t}
        return (down, across) if any(down) and across else ((None,) * len(down), {})

    @property
    def down_taps(self) -> tuple[Tap | None, ...]:
        """Per row of the kernel; None where it lies in the padding at all positions."""
        return self._taps[0]

    @property
    def across_taps(self) -> dict[int, Tap]:
        """By offset, ascending; offsets that lie in the padding at all positions are left out."""
        return self._taps[1]

    @cached_property
    def newest_row(self) -> int:
        return max((t.offset for t in self.down_taps if t), default=0)

    @cached_property
    def newest_beat(self) -> int:
        return max((offset // self.lanes for offset in self.across_taps), default=0)

    @cached_property
    def history(self) -> int:
        """Rows before the newest one that a window reads."""
        return self.newest_row - min((t.offset for t in self.down_taps if t), default=0)

    @property
    def first(self) -> int:
        """Time of the first emission."""
        return self.newest_row * self.period + self.newest_beat

    @property
    def last(self) -> int:
        """Time of the last emission."""
        return self.first + (self.down - 1) * self.stride * self.period + (self.across - 1) * self.step

    @property
    def lead(self) -> int:
        return max(0, -self.first)

    @cached_property
    def steps(self) -> int:
        """Steps of a frame."""
        return self.lead + max(self.last + 1, (self.rows - 1) * self.period + self.taken)

    @property
    def always(self) -> bool:
        """Whether every step takes a beat."""
        return self.steps == self.rows * self.taken

    @property
    def row_gap(self) -> int:
        """Steps from a row's last emission to the next row's first one."""
        return self.stride * self.period - (self.across - 1) * self.step

    def thresholds(self) -> tuple[list[int], list[int]]:
        """Output rows, and output beats, from 1 on at which any tap enters or leaves the image."""
        return _within(self.down_taps, self.down), _within(self.across_taps.values(), self.across)

    def control(self) -> Times:
        """Times whose steps are these, repeated, with the fewest rows.

        If every step takes a beat and all output rows are alike, each of them is a frame of `stride` rows: as
        its last emission comes no later than the frame's end, the first row's comes before stride * period.
        """
        alike = self.always and self.rows == self.down * self.stride and not self.thresholds()[0]
        return replace(self, rows=self.stride, down=1) if alike else self

    def taking(self) -> np.ndarray:
        """Bool per step of a frame: whether it takes a beat."""
        time = np.arange(self.steps) - self.lead
        return (time >= 0) & (time < self.rows * self.period) & (time % self.period < self.taken)

    def waiting(self) -> np.ndarray:
        """Bool per step of a frame: whether it needs that a beat is offered, taken by it or not."""
        return self.taking() | (np.arange(self.steps) < self.lead)

    def emitting(self) -> np.ndarray:
        """Bool per step of a frame: whether it emits a beat."""
        rows = np.arange(self.down)[:, None] * (self.stride * self.period)
        found = np.zeros(self.steps, bool)
        found[self.lead + self.first + rows + np.arange(self.across) * self.step] = True
        return found
