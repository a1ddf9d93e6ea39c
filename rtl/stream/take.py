"""Some bits of every beat, as a stream of their own."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.emit import Writer
from rtl.stream.checks import counts
from rtl.stream.control import Join
from rtl.stream.part import Part, Stream


@dataclass(frozen=True)
class Take(Part):
    """Bits start..stop - 1 of every beat of `bits` for each (start, stop) of `parts`, the first lowest; no
    register.

    Raises ValueError for parts that are not inside the beat.
    """

    name: str
    bits: int
    parts: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        counts(self, "bits")
        if not self.parts or not all(0 <= a < b <= self.bits for a, b in self.parts):
            raise ValueError(f"parts of {self.name} must lie in 0..{self.bits}, not {self.parts}")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", sum(b - a for a, b in self.parts)),)

    @property
    def title(self) -> str:
        return f"{self.outputs[0].bits} of {self.bits} bits"

    def control(self) -> Join:
        return Join(1)

    def write(self, w: Writer) -> None:
        data = w.pin("i__payload", self.bits)
        w.drive("o__payload", w.join(*(w.cut(data, a, b) for a, b in self.parts)))
        w.drive("o__valid", w.pin("i__valid", 1))
        w.drive("i__ready", w.pin("o__ready", 1))
