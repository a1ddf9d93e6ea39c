"""Consecutive beats reduced to one, element by element: sums, maxima, minima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.emit import Writer
from rtl.emit.writer import extended
from rtl.stream.checks import counts
from rtl.stream.control import Steps
from rtl.stream.part import Part, Stream
from rtl.stream.steps import flow
from rtl.stream.turn import turn

KINDS = ("sum", "max", "min")


@dataclass(frozen=True)
class Accumulate(Part):
    """`count` beats of `elements` codes of `bits` make one beat of as many codes of `out_bits`.

    kind "sum": the sum modulo 2**out_bits, so exact where out_bits hold it; "max" and "min": the greatest and
    the least code, out_bits >= bits. Codes are two's complements where `signed`, and extended by that. One
    beat a clock, without pause between frames. TypeError or ValueError for parameters out of range.
    """

    name: str
    kind: str
    elements: int
    bits: int
    out_bits: int
    signed: bool
    count: int

    def __post_init__(self) -> None:
        counts(self, "elements", "bits", "out_bits", "count")
        if self.kind not in KINDS:
            raise ValueError(f"kind of {self.name} must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.kind != "sum" and self.out_bits < self.bits:
            raise ValueError(
                f"out_bits of {self.name} must be at least its {self.bits} bits, not {self.out_bits}"
            )

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.elements * self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.elements * self.out_bits),)

    @property
    def title(self) -> str:
        return f"{self.kind} of {self.count} beats of {self.elements} x {self.bits} bits"

    def control(self) -> Steps:
        """Every step takes a beat, the last one of `count` emits."""
        always = np.ones(self.count, bool)
        return Steps(always, always, np.arange(self.count) == self.count - 1, 1)

    def write(self, w: Writer) -> None:
        data = w.pin("i__payload", self.inputs[0].bits)
        beat = turn(w, "beat", self.count)
        fire = flow(w, 1, emits=beat.last).fire
        beat.move(w, fire)
        begun: Any = w.constant(0, 1)
        if self.count > 1:  # one bit for the accumulators, instead of a comparison in front of each
            begun = w.flop("begun", 1)
            w.load("begun", w.invert(beat.last), fire, True)
        lanes = []
        for k in range(self.elements):
            lane = w.cut(data, k * self.bits, (k + 1) * self.bits)
            lanes.append((self._sum if self.kind == "sum" else self._extreme)(w, k, lane, begun, fire))
        w.drive("o__payload", w.join(*lanes))

    def _sum(self, w: Writer, k: int, lane: Any, begun: Any, fire: Any) -> Any:
        """The total of an element; the first beat adds to zeros."""
        total, term = w.flop(f"total_{k}", self.out_bits), extended(w, lane, self.signed, self.out_bits)
        if self.count > 1:
            term = w.add(w.bitwise("and", total, w.repeat(begun, self.out_bits)), term)
        w.load(f"total_{k}", term, fire)
        return total

    def _extreme(self, w: Writer, k: int, lane: Any, begun: Any, fire: Any) -> Any:
        """The best code of an element so far, loaded where the beat has a better one or is the first."""
        best = w.flop(f"best_{k}", self.bits)
        pair = (best, lane) if self.kind == "max" else (lane, best)
        better = w.bitwise("or", w.less(*pair, self.signed), w.invert(begun))
        w.load(f"best_{k}", lane, w.wire(f"load_{k}", w.bitwise("and", fire, better)))
        return extended(w, best, self.signed, self.out_bits)
