"""Every beat several times."""

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
class Repeat(Part):
    """Each beat of `bits` is emitted `count` times in a row, one a clock; the input stands until the last.

    TypeError or ValueError for bits or count below 1.
    """

    name: str
    bits: int
    count: int

    def __post_init__(self) -> None:
        counts(self, "bits", "count")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.bits),)

    @property
    def title(self) -> str:
        return f"each beat of {self.bits} bits {self.count} times"

    def control(self) -> Steps:
        """Every step needs the input and emits, the last one of `count` takes it."""
        always = np.ones(self.count, bool)
        return Steps(always, np.arange(self.count) == self.count - 1, always, 1)

    def write(self, w: Writer) -> None:
        data, beat = w.pin("i__payload", self.bits), turn(w, "beat", self.count)
        fire = flow(w, 1, takes=beat.last).fire
        beat.move(w, fire)
        out = w.flop("out", self.bits)
        w.load("out", data, fire)
        w.drive("o__payload", out)
