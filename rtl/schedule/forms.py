"""How a tensor travels in beats: along which axes, in which order, how many elements at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fxsim import ranges
from fxsim.graph import Node
from fxsim.integers import Array
from fxsim.types import TensorType


@dataclass(frozen=True)
class Form:
    """A tensor of `shape` as a stream along `axes`, slowest first (raster order); no axes: whole, in one
    beat.

    A beat has the other axes whole and `lanes` neighbours of the last streamed axis: its shape is `shape`
    with 1
    in place of the streamed axes and `lanes` in place of the last one. Where `lanes` does not divide that
    axis
    the last beat of a row has surplus lanes, which hold any code that the element's type has.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    lanes: int = 1

    def __post_init__(self) -> None:
        if len(set(self.axes)) != len(self.axes) or not all(0 <= a < len(self.shape) for a in self.axes):
            raise ValueError(f"axes must be different axes of {self.shape}, not {self.axes}")
        most = self.shape[self.axes[-1]] if self.axes else 1
        if not 1 <= self.lanes <= max(most, 1):
            raise ValueError(f"lanes must lie in 1..{most}, not {self.lanes}")

    @property
    def whole(self) -> bool:
        return not self.axes

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the streamed axes, slowest first."""
        return tuple(self.shape[a] for a in self.axes)

    @property
    def per_row(self) -> int:
        """Beats along the last streamed axis."""
        return -(-self.sizes[-1] // self.lanes) if self.axes else 1

    @property
    def beats(self) -> int:
        """Beats of one frame."""
        return math.prod(self.sizes[:-1]) * self.per_row

    @property
    def ragged(self) -> bool:
        """Whether the last beat of a row has surplus lanes."""
        return bool(self.axes) and self.per_row * self.lanes != self.sizes[-1]

    @property
    def beat_shape(self) -> tuple[int, ...]:
        out = list(self.shape)
        for a in self.axes:
            out[a] = 1
        if self.axes:
            out[self.axes[-1]] = self.lanes
        return tuple(out)

    def split(self, a: Array, fill: int = 0) -> Array:
        """Frames (n, *shape) -> beats (n * beats, *beat_shape); surplus lanes hold `fill`."""
        n = len(a)
        if not self.axes:
            return a
        last = 1 + self.axes[-1]
        surplus = self.per_row * self.lanes - self.sizes[-1]
        if surplus:
            widths = [(0, surplus if k == last else 0) for k in range(a.ndim)]
            a = np.pad(a, widths, constant_values=fill)
        shape = list(a.shape)
        shape[last : last + 1] = [self.per_row, self.lanes]
        a = a.reshape(shape)
        at = [1 + x + (x > self.axes[-1]) for x in self.axes]  # where the streamed axes are now
        rest = [k for k in range(1, a.ndim) if k not in at]
        return a.transpose(0, *at, *rest).reshape(n * self.beats, *self.beat_shape)

    def merge(self, beats: Array) -> Array:
        """The inverse of `split`; surplus lanes are dropped."""
        if not self.axes:
            return beats
        n = len(beats) // self.beats
        at = [1 + x + (x > self.axes[-1]) for x in self.axes]
        rest = [k for k in range(1, len(self.shape) + 2) if k not in at]
        shape = list(self.beat_shape)
        shape[self.axes[-1] : self.axes[-1] + 1] = [1, self.lanes]
        a = beats.reshape(n, *self.sizes[:-1], self.per_row, *(shape[k - 1] for k in rest))
        a = a.transpose(np.argsort([0, *at, *rest]))
        wide = list(self.shape)
        wide[self.axes[-1]] = self.per_row * self.lanes
        a = a.reshape(n, *wide)
        return a[
            tuple(slice(None) if k != self.axes[-1] else slice(self.sizes[-1]) for k in range(-1, len(wide)))
        ]

    def joined(self, t: TensorType) -> TensorType:
        """The type of a beat: per element the union over all places of the stream, the same for every
        lane."""
        if not self.axes:
            return t
        lo = t.lo.min(axis=self.axes, keepdims=True)
        hi = t.hi.max(axis=self.axes, keepdims=True)
        # Multiples of two strides are multiples of the lesser one; a constant has its trailing zeros as
        # stride.
        stride = t.stride.min(axis=self.axes, keepdims=True)
        r = ranges.make(lo, hi, np.minimum(stride, ranges.ZERO_STRIDE)).broadcast(self.beat_shape)
        return TensorType(self.beat_shape, t.frac, r.lo, r.hi, r.stride)

    def __str__(self) -> str:
        if not self.axes:
            return "whole"
        text = f"{'x'.join(map(str, self.sizes))} along axes {self.axes}"
        return f"{text}, {self.lanes} per beat" if self.lanes > 1 else text


@dataclass(frozen=True, eq=False)
class Carried:
    """What a link carries: a value of the graph, the form in which it travels, and the type of one beat.

    The payload has the elements of the beat in C order, element 0 in the lowest bits, each of
    `type.max_width`
    bits, two's complement if any element can be negative.
    """

    node: Node
    form: Form
    type: TensorType

    @property
    def bits(self) -> int:
        return self.type.size * self.type.max_width
