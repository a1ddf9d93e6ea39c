"""One beat becomes several consecutive ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.emit import Writer
from rtl.stream.checks import Order, counts, integer, ordered
from rtl.stream.control import Steps
from rtl.stream.part import Part, Stream
from rtl.stream.steps import flow
from rtl.stream.turn import Turn, turn


@dataclass(frozen=True)
class Spread(Part):
    """One beat makes `count` beats of `bits`, its lowest bits first.

    With `order`, element k of the input is element order[k] of the output's, numbered beat by beat,
    `elements` to a beat: the inverse of `Gather` with the same order. Elements that order leaves out are the
    raw code `fill`. A beat a clock, without pause between inputs. TypeError or ValueError for parameters out
    of range.

    held   False: the input stands until its last beat is made, there is no register for it. True: a shift
           register of the whole input takes it with the first beat, so that what comes before can go on
    """

    name: str
    bits: int
    count: int
    elements: int = 1
    order: Order = None
    fill: int = 0
    held: bool = False

    def __post_init__(self) -> None:
        counts(self, "bits", "count", "elements")
        ordered(self, self.bits, self.count, self.elements, self.order)
        integer(self, "fill", self.fill)
        size = self.bits // self.elements
        if not -(1 << size) <= 2 * self.fill < 2 << size:
            raise ValueError(f"fill of {self.name} must fit its elements of {size} bits, not {self.fill}")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        size = self.bits // self.elements
        return (Stream("i", self.bits * self.count if self.order is None else size * len(self.order)),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.bits),)

    @property
    def title(self) -> str:
        return f"a beat of {self.inputs[0].bits} bits to {self.count} of {self.bits}"

    def control(self) -> Steps:
        """Every step emits; every one needs the input and the last one of `count` takes it, or the first one
        does both where it is held."""
        always, place = np.ones(self.count, bool), np.arange(self.count)
        if self.held:
            return Steps(place == 0, place == 0, always, 1)
        return Steps(always, place == self.count - 1, always, 1)

    def write(self, w: Writer) -> None:
        data, size = w.pin("i__payload", self.inputs[0].bits), self.bits // self.elements
        total = self.count * self.elements
        order = range(total) if self.order is None else self.order
        lanes = [w.constant(self.fill, size)] * total
        for k, element in enumerate(order):
            lanes[element] = w.cut(data, k * size, (k + 1) * size)
        beats = [w.join(*lanes[k : k + self.elements]) for k in range(0, total, self.elements)]
        beat = turn(w, "beat", self.count)
        if self.held and self.count > 1:
            self._held(w, beat, w.join(*beats))
            return
        fire = flow(w, 1, takes=beat.last).fire
        beat.move(w, fire)
        out = w.flop("out", self.bits)
        w.load("out", chosen(w, "chosen", beats, beat.value), fire)
        w.drive("o__payload", out)

    def _held(self, w: Writer, beat: Turn, data: Any) -> None:
        """The register's lowest beat is the output; it shifts, and takes new data where all is out."""
        begun = w.flop("begun", 1)
        first = w.wire("first", w.invert(begun))
        fire = flow(w, 1, needs=first, takes=first).fire
        beat.move(w, fire)
        w.load("begun", w.invert(beat.last), fire, True)
        held, total = w.flop("held", w.width(data)), w.width(data)
        shifted = w.join(w.cut(held, self.bits, total), w.constant(0, self.bits))
        w.load("held", w.pick(first, data, shifted), fire)
        w.drive("o__payload", w.cut(held, 0, self.bits))


def chosen(w: Writer, name: str, items: Sequence[Any], index: Any) -> Any:
    """items[index], vectors of one width that can be cut: a tree of choices, one signal per bit of index."""
    bits, level = w.width(items[0]), list(items)
    for k in range((len(items) - 1).bit_length()):
        bit = w.cut(index, k, k + 1)
        pairs = [w.pick(bit, b, a) for a, b in zip(level[::2], level[1::2], strict=False)]
        # An odd one out stays as it is: indices that would choose its neighbour do not come.
        row = w.wire(f"{name}_{k}", w.join(*pairs, *level[len(level) - len(level) % 2 :]))
        level = [w.cut(row, at, at + bits) for at in range(0, w.width(row), bits)]
    return level[0]
