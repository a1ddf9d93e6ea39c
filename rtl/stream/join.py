"""Several streams to one: beats side by side, taken together."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from rtl.emit import Writer
from rtl.stream import control
from rtl.stream.checks import counts, tupled
from rtl.stream.part import Part, Stream


@dataclass(frozen=True)
class Join(Part):
    """A beat of each of i0, i1, ... (of `widths` bits) makes one of o, i0 in the lowest bits; no register.

    o.valid when all are valid; each is ready when o.ready and all others are valid. TypeError or ValueError
    for fewer than two inputs or a width below 1.
    """

    name: str
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        counts(self)
        widths = tupled(self, "widths")
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths of {self.name} must be two or more, each at least 1, not {widths}")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return tuple(Stream(f"i{k}", bits) for k, bits in enumerate(self.widths))

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", sum(self.widths)),)

    @property
    def title(self) -> str:
        return f"{' + '.join(map(str, self.widths))} bits side by side"

    def control(self) -> control.Join:
        return control.Join(len(self.widths))

    def write(self, w: Writer) -> None:
        offered = [w.pin(f"{s.name}__valid", 1) for s in self.inputs]
        w.drive("o__payload", w.join(*(w.pin(f"{s.name}__payload", s.bits) for s in self.inputs)))
        w.drive("o__valid", w.all(w.join(*offered)))
        ready = w.pin("o__ready", 1)
        for k, s in enumerate(self.inputs):
            others = functools.reduce(w.join, (v for j, v in enumerate(offered) if j != k))
            w.drive(f"{s.name}__ready", w.all(w.join(ready, others)))
