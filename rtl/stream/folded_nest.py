"""The loop nest of a folded layer: which word every tick reads, what it waits for, what it frees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np


class Loop(NamedTuple):
    """A loop of `count` turns; a turn moves the word, the image row and the image column by these."""

    name: str
    count: int
    word: int = 0
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Nest:
    """Positions (oh, ow) of a kernel on an image, and the ticks of each.

    A frame is `height` * `width` pixels in raster order, a pixel `words` words; every word is read in
    `slices` parts, one a tick. Word, row and column of a tap count from the frame's first, and are negative
    or beyond the end in the padding: `before` (top, left), `after` (bottom, right). Ticks of a position,
    slowest loop first: group, kernel row, kernel column, word, slice; depthwise: word, slice, kernel row,
    kernel column.

    A position frees the words before its first tap (row r, column c, clipped to the image) when it reads the
    first tap with row r in the image that is the first of its row or stands in column 0; the last tick of a
    frame frees the rest of it. Taps in the padding wait for nothing, but no frame begins before its first
    word is there: else there would be ticks, and with wide padding results, without input.

    Raises ValueError for a number that is too small, a kernel that does not fit, and a kernel that meets the
    image nowhere.
    """

    height: int
    width: int
    words: int = 1
    slices: int = 1
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    groups: int = 1
    depthwise: bool = False

    def __post_init__(self) -> None:
        for name in ("height", "width", "words", "slices", "groups"):
            _check(name, getattr(self, name), 1)
        for name, least in (("kernel", 1), ("stride", 1), ("dilation", 1), ("before", 0), ("after", 0)):
            pair = tuple(getattr(self, name))
            if len(pair) != 2:
                raise ValueError(f"{name} must be a pair of integers, not {getattr(self, name)!r}")
            for v in pair:
                _check(name, v, least)
            object.__setattr__(self, name, tuple(int(v) for v in pair))
        if self.depthwise and self.groups != 1:
            raise ValueError(f"groups must be 1 where depthwise, not {self.groups!r}")
        if min(self.out) < 1:
            raise ValueError(
                f"kernel must fit into the padded image, not {self.kernel} with dilation {self.dilation} "
                f"into {self.height}x{self.width} with {self.before} before and {self.after} after"
            )
        if not self._taps[1].any():
            raise ValueError("kernel must meet the image, but it lies in the padding everywhere")

    @property
    def out(self) -> tuple[int, int]:
        """Positions: (rows, columns)."""
        rows, columns = (
            (n + b + a - (k - 1) * d - 1) // s + 1
            for n, b, a, k, d, s in zip(
                (self.height, self.width), self.before, self.after, self.kernel, self.dilation, self.stride,
                strict=True,
            )
        )  # fmt: skip
        return rows, columns

    @property
    def beats(self) -> int:
        """Words of a frame."""
        return self.height * self.width * self.words

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def count(self) -> int:
        """Consecutive ticks that make one result."""
        return self.taps if self.depthwise else self.taps * self.words * self.slices

    @property
    def results(self) -> int:
        """Results of a position."""
        return self.words * self.slices if self.depthwise else self.groups

    @property
    def ticks(self) -> int:
        """Ticks of a position: words of the weight memory."""
        return self.count * self.results

    @property
    def cycles(self) -> int:
        """Ticks of a frame, and so clock cycles if nothing waits."""
        return self.ticks * self.out[0] * self.out[1]

    @property
    def positions(self) -> list[Loop]:
        """The outer loops, fastest first."""
        (sh, sw), (oh, ow) = self.stride, self.out
        return [Loop("ow", ow, sw * self.words, 0, sw), Loop("oh", oh, sh * self.width * self.words, sh, 0)]

    @property
    def inner(self) -> list[Loop]:
        """The loops of a position, fastest first, without those of one turn."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        j, i = Loop("j", kw, dw * self.words, 0, dw), Loop("i", kh, dh * self.width * self.words, dh, 0)
        word, part = Loop("word", self.words, 1), Loop("slice", self.slices)
        nest = [j, i, part, word] if self.depthwise else [part, word, j, i, Loop("group", self.groups)]
        return [loop for loop in nest if loop.count > 1]

    @cached_property
    def _taps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pixel, inside, frees) of every tap, (oh, ow, kh, kw); frees: what stands before it."""
        (kh, kw), (oh, ow) = self.kernel, self.out
        row = np.arange(oh)[:, None] * self.stride[0] - self.before[0] + np.arange(kh) * self.dilation[0]
        column = np.arange(ow)[:, None] * self.stride[1] - self.before[1] + np.arange(kw) * self.dilation[1]
        row, column = row[:, None, :, None], column[None, :, None, :]
        inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
        first = (np.arange(kh)[:, None] == 0) & ((np.arange(kw) == 0) | (column == 0))
        return row * self.width + column, inside, inside & first

    @cached_property
    def _freed(self) -> np.ndarray:
        """Words that are freed after a tap is first read, (oh, ow, kh, kw)."""
        pixel, _, frees = self._taps
        return np.maximum.accumulate(np.where(frees, pixel, 0).ravel()).reshape(pixel.shape) * self.words

    @property
    def padded(self) -> bool:
        """Whether any tap lies outside the image."""
        return not self._taps[1].all()

    @property
    def early(self) -> bool:
        """Whether the first tick of a frame lies in the padding."""
        return self.before != (0, 0)

    @property
    def unread(self) -> int:
        """Words behind the last one that is read: the reader can end a frame before they are written."""
        pixel, inside, _ = self._taps
        return self.beats - (int(pixel[inside].max()) + 1) * self.words

    @cached_property
    def least(self) -> int:
        """Words that the memory must hold so that no tick waits for ever."""
        pixel, inside, _ = self._taps
        freed = self._freed
        before = np.concatenate([[0], freed.ravel()[:-1]]).reshape(freed.shape)
        first = pixel * self.words + 1 - before
        last = (pixel + 1) * self.words - freed
        return max(int(np.maximum(first, last)[inside].max()), self.unread, 2)

    @property
    def room(self) -> int:
        """Words beside `least` that are written while others are read: the rows (or pixels) by which the
        kernel moves, or the next frame where it does not."""
        if self.out[0] > 1:
            return self.stride[0] * self.width * self.words
        return self.stride[1] * self.words if self.height == 1 and self.out[1] > 1 else self.beats

    def program(self) -> tuple[np.ndarray, np.ndarray]:
        """(reads, frees) per tick of a frame, as `rtl.stream.control.Buffered` takes them."""
        pixel, inside, _ = self._taps
        pixel, inside, freed = (a[:, :, None, :, :, None, None] for a in (pixel, inside, self._freed))
        word = np.arange(self.words)[:, None]
        done = freed[:, :, :, -1:, -1:]
        if self.depthwise:  # oh, ow, word, slice, i, j
            begins = (word == 0) & (np.arange(self.slices) == 0)
            shape = (*self.out, 1, *self.kernel, self.words, self.slices)
            order = (0, 1, 5, 6, 3, 4, 2)
        else:  # oh, ow, group, i, j, word, slice
            begins = np.arange(self.groups)[:, None, None, None, None] == 0
            shape = (*self.out, self.groups, *self.kernel, self.words, self.slices)
            order = tuple(range(7))
        reads = np.where(inside, pixel * self.words + word, -1)
        frees = np.where(begins, freed, done)
        reads, frees = (np.broadcast_to(a, shape).transpose(order).ravel().copy() for a in (reads, frees))
        reads[0] = 0
        frees[-1] = self.beats
        return reads, frees


def steps(loops: Sequence[Loop], axis: str, frame: int) -> list[int]:
    """By how much the sum of turns * `axis` changes where a loop (fastest first) takes its next turn and all
    faster ones start again; last, where all of them end and the next frame begins, `frame` further."""
    out, back = [], 0
    for loop in loops:
        out.append(getattr(loop, axis) - back)
        back += (loop.count - 1) * getattr(loop, axis)
    return [*out, frame - back]


def _check(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
