"""Several consecutive beats become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtl.emit import Writer
from rtl.stream.checks import Order, counts, ordered
from rtl.stream.control import Steps
from rtl.stream.part import Part, Stream
from rtl.stream.steps import flow
from rtl.stream.turn import turn


@dataclass(frozen=True)
class Gather(Part):
    """`count` beats of `bits` make one beat, the first of them in the lowest bits.

    With `order`, element k of the output is element order[k] of the gathered ones, numbered beat by beat,
    `elements` to a beat; order may leave some out, and the output has only those. One beat a clock, without
    pause between frames. TypeError or ValueError for parameters out of range.
    """

    name: str
    bits: int
    count: int
    elements: int = 1
    order: Order = None

    def __post_init__(self) -> None:
        counts(self, "bits", "count", "elements")
        ordered(self, self.bits, self.count, self.elements, self.order)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        size = self.bits // self.elements
        return (Stream("o", self.bits * self.count if self.order is None else size * len(self.order)),)

    @property
    def title(self) -> str:
        return f"{self.count} beats of {self.bits} bits to one of {self.outputs[0].bits}"

    def control(self) -> Steps:
        """Every step takes a beat, the last one of `count` emits."""
        always = np.ones(self.count, bool)
        return Steps(always, always, np.arange(self.count) == self.count - 1, 1)

    def write(self, w: Writer) -> None:
        # The shift register is the output: nothing moves while the output is stalled, and the edge that
        # shifts in the next frame's first beat is the one at which the output is taken.
        total, data = self.bits * self.count, w.pin("i__payload", self.bits)
        beat = turn(w, "beat", self.count)
        fire = flow(w, 1, emits=beat.last).fire
        beat.move(w, fire)
        held = w.flop("held", total)
        w.load("held", w.join(w.cut(held, self.bits, total), data), fire)
        size = self.bits // self.elements
        order = range(self.count * self.elements) if self.order is None else self.order
        w.drive("o__payload", w.join(*(w.cut(held, k * size, (k + 1) * size) for k in order)))
