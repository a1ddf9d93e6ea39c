"""A constant that changes along the stream, beside every beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.emit import Writer
from rtl.stream.checks import counts, tupled
from rtl.stream.control import Steps
from rtl.stream.part import Part, Stream
from rtl.stream.steps import flow
from rtl.stream.turn import turn

LOGIC = 15
"""Most words that are a table in logic."""


@dataclass(frozen=True)
class Rom(Part):
    """Beat t of i (`in_bits`) leaves with words[t // inner % len(words)] (`bits`) above it, one a clock.

    Words are raw codes in 0..2**bits - 1; from `LOGIC` + 1 of them on they lie in a memory. Beats are counted
    from reset on: len(words) * inner must divide the beats of a frame. TypeError or ValueError for parameters
    out of range.
    """

    name: str
    in_bits: int
    bits: int
    words: tuple[int, ...]
    inner: int = 1

    def __post_init__(self) -> None:
        counts(self, "in_bits", "bits", "inner")
        words = tupled(self, "words")
        if not words or min(words) < 0 or max(words) >> self.bits:
            raise ValueError(f"words of {self.name} must be codes of {self.bits} bits, not {words}")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.in_bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.in_bits + self.bits),)

    @property
    def title(self) -> str:
        return f"{self.in_bits} bits and one of {len(self.words)} constants of {self.bits} bits"

    @property
    def memory(self) -> int:
        return self.bits * len(self.words) if len(self.words) > LOGIC else 0

    def control(self) -> Steps:
        """Every beat is one step."""
        always = np.ones(1, bool)
        return Steps(always, always, always, 1)

    def write(self, w: Writer) -> None:
        data = w.pin("i__payload", self.in_bits)
        fire = flow(w, 1).fire
        inner = turn(w, "inner", self.inner)
        place = turn(w, "place", len(self.words))
        inner.move(w, fire)
        place.move(w, w.wire("moves", w.bitwise("and", fire, inner.last)))
        held = w.flop("held", self.in_bits)
        w.load("held", data, fire)
        w.drive("o__payload", w.join(held, self._word(w, place.value, fire)))

    def _word(self, w: Writer, place: Any, fire: Any) -> Any:
        """The register that takes the word at `place` where `fire`: the memory's own where there is one."""
        if len(self.words) == 1:
            return w.constant(self.words[0], self.bits)
        if self.memory:
            word = w.memory("words", self.bits, len(self.words), self.words)
            w.access("words", place, fire)
            return word
        word = w.flop("word", self.bits)
        columns = (sum((v >> k & 1) << at for at, v in enumerate(self.words)) for k in range(self.bits))
        w.load("word", w.join(*(w.entry(column, place) for column in columns)), fire)
        return word
