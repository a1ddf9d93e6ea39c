"""Surplus lanes set to zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtl.emit import Writer
from rtl.stream.checks import counts
from rtl.stream.control import Steps
from rtl.stream.part import Part, Stream
from rtl.stream.steps import flow
from rtl.stream.turn import turn


@dataclass(frozen=True)
class Trim(Part):
    """In the last of each `per_row` beats, the last `surplus` of the `lanes` become zeros; one beat a clock.

    A beat is outer x lanes x inner elements of `bits`, in C order, with so many bits `below` and `above` them
    that stay as they are. TypeError or ValueError for parameters out of range.
    """

    name: str
    bits: int
    lanes: int
    surplus: int
    per_row: int
    outer: int = 1
    inner: int = 1
    below: int = 0
    above: int = 0

    def __post_init__(self) -> None:
        counts(self, "bits", "lanes", "surplus", "per_row", "outer", "inner")
        counts(self, "below", "above", least=0)
        if self.surplus >= self.lanes:
            raise ValueError(f"surplus of {self.name} must be below {self.lanes} lanes, not {self.surplus}")

    @property
    def image(self) -> int:
        """Bits of the elements."""
        return self.outer * self.lanes * self.inner * self.bits

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.below + self.image + self.above),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.inputs[0].bits),)

    @property
    def title(self) -> str:
        return f"zeros in the last {self.surplus} of {self.lanes} lanes of every {self.per_row}th beat"

    def control(self) -> Steps:
        """Every step takes a beat and emits it."""
        always = np.ones(self.per_row, bool)
        return Steps(always, always, always, 1)

    def write(self, w: Writer) -> None:
        data = w.pin("i__payload", self.inputs[0].bits)
        beat = turn(w, "beat", self.per_row)
        fire = flow(w, 1).fire
        beat.move(w, fire)
        keep = w.wire("keep", w.invert(beat.last))
        group = self.inner * self.bits
        true, surplus = (self.lanes - self.surplus) * group, self.surplus * group
        end = self.below + self.image
        fields = [w.cut(data, 0, self.below)] if self.below else []
        for at in range(self.below, end, self.lanes * group):
            late = w.cut(data, at + true, at + true + surplus)
            fields += [w.cut(data, at, at + true), w.bitwise("and", late, w.repeat(keep, surplus))]
        if self.above:
            fields.append(w.cut(data, end, end + self.above))
        out = w.flop("out", w.width(data))
        w.load("out", w.join(*fields), fire)
        w.drive("o__payload", out)
