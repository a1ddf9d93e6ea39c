"""A plan: the graph as NumPy calls on preallocated, batch-last buffers, each value in a carrier proven exact.

Buffers have shape (elements, lanes): one row per element of a tensor, one lane per sample of a chunk. So
every elementwise call runs over long contiguous rows, wiring is a choice of rows, and a constant matrix
product is one BLAS call per chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim.graph import Input, Node
from fxsim.integers import Array

Call = Callable[[], Any]


Bind = Callable[..., list[Call]]


# A chunk's buffers together should stay in a second-level cache.
CACHE_BYTES = 1 << 19


LEAST_LANES, MOST_LANES = 16, 4096

# Below so many lanes calls cost more than what they compute: rather than that, a chunk may be this large.
FEW_LANES, SPILL_BYTES = 128, 1 << 21


@dataclass(eq=False)
class Buffer:
    """`rows` of numbers and `ones` further rows that always hold 1 (a product reads its bias there)."""

    rows: int
    dtype: np.dtype[Any]
    ones: int = 0
    readers: int = 0  # reads still to come, while planning
    first: int = 1 << 60  # first and last call that touches it
    last: int = -1


@dataclass(frozen=True, eq=False)
class View:
    """Rows start:stop of a buffer, and `ones` rows of 1 after them."""

    buffer: Buffer
    start: int
    stop: int
    ones: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.buffer.dtype


@dataclass(frozen=True, eq=False)
class Loc:
    """Where a value lives: element i is row `rows[i]` of the buffer, as (raw + offset * half) * 2**-point.

    `point` is one int or one per element. `offset` is 1 or -1 where half an LSB of the following cast was
    already added or taken away, else 0.
    """

    buffer: Buffer
    rows: Array
    point: Array | int = 0
    offset: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.buffer.dtype

    @property
    def span(self) -> View | None:
        """The rows as one contiguous view in logical order, if they are one."""
        r, n = self.rows, len(self.rows)
        if n and r[-1] - r[0] == n - 1 and (n < 3 or bool(np.all(r[1:] - r[:-1] == 1))):
            return View(self.buffer, int(r[0]), int(r[0]) + n)
        return None

    @property
    def whole(self) -> View:
        """All rows of the buffer."""
        return View(self.buffer, 0, self.buffer.rows)

    @property
    def order(self) -> Array | None:
        """Per row of the whole buffer, the element it holds, if rows and elements are one to one."""
        if len(self.rows) != self.buffer.rows:
            return None
        out = np.full(len(self.rows), -1, np.int64)
        out[self.rows] = np.arange(len(self.rows))
        return None if (out < 0).any() else out


@dataclass(frozen=True, eq=False)
class Step:
    """Calls on views, made for a frame by `bind(*arrays)`."""

    bind: Bind
    views: tuple[View, ...]


@dataclass
class Plan:
    """Steps from the inputs' buffers to the targets' views; `frame(lanes)` makes them callable."""

    inputs: list[tuple[Input, View | None]]
    steps: list[Step]
    targets: dict[Node, Loc | Array]  # a view in logical order, or a constant
    lanes: int
    buffers: dict[Buffer, int] = field(default_factory=dict)
    shapes: list[Buffer] = field(default_factory=list)
    frames: dict[int, list[Frame]] = field(default_factory=dict)

    def frame(self, lanes: int) -> Frame:
        """An idle frame of that many lanes; give it back with `release`. Threads get frames of their own."""
        try:
            return self.frames.setdefault(lanes, []).pop()
        except IndexError:
            return Frame(self, lanes)

    def release(self, frame: Frame) -> None:
        idle = self.frames.setdefault(frame.lanes, [])
        if len(idle) < 2:
            idle.append(frame)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of all buffers per lane."""
        return sum((b.rows + b.ones) * b.dtype.itemsize for b in self.shapes)


class Frame:
    """A plan's buffers at one number of lanes, and its calls bound to them."""

    def __init__(self, plan: Plan, lanes: int) -> None:
        self.lanes = lanes
        self.arrays = []
        for b in plan.shapes:
            a = np.zeros((b.rows + b.ones, lanes), b.dtype)
            a[b.rows :] = 1
            self.arrays.append(a)
        self.place = plan.buffers
        for node, view in plan.inputs:
            if view is not None:  # lanes beyond the batch must hold legal codes too
                self[view][:] = node.type.lo.reshape(-1, 1)
        self.calls = [call for s in plan.steps for call in s.bind(*(self[v] for v in s.views))]

    def __getitem__(self, view: View) -> Array:
        a: Array = self.arrays[self.place[view.buffer]]
        return a[view.start : view.stop + view.ones]
