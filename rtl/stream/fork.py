"""One stream to several: each takes a beat when it likes, the next comes when all have it."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.emit import Writer
from rtl.stream import control
from rtl.stream.checks import counts
from rtl.stream.part import Part, Stream


@dataclass(frozen=True)
class Fork(Part):
    """Every beat of i goes to all of o0, o1, ... (`ways` >= 2), each of `bits`; no register but done bits.

    Output k is offered while i.valid and not done for this beat; i.ready when each is done or ready.
    TypeError or ValueError for parameters out of range.
    """

    name: str
    bits: int
    ways: int

    def __post_init__(self) -> None:
        counts(self, "bits")
        counts(self, "ways", least=2)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return tuple(Stream(f"o{k}", self.bits) for k in range(self.ways))

    @property
    def title(self) -> str:
        return f"{self.bits} bits to {self.ways} streams"

    def control(self) -> control.Fork:
        return control.Fork(self.ways)

    def write(self, w: Writer) -> None:
        data, offered = w.pin("i__payload", self.bits), w.pin("i__valid", 1)
        done = w.flop("done", self.ways)
        over = []
        for k in range(self.ways):
            had = w.cut(done, k, k + 1)
            w.drive(f"o{k}__payload", data)
            w.drive(f"o{k}__valid", w.bitwise("and", offered, w.invert(had)))
            over.append(w.bitwise("or", had, w.pin(f"o{k}__ready", 1)))
        given = w.wire("given", w.join(*over))
        ready = w.drive("i__ready", w.all(given))
        # Done bits are 0 without an offer: an offer stays until it is taken, which clears them.
        stays = w.wire("stays", w.bitwise("and", offered, w.invert(ready)))
        w.load("done", w.bitwise("and", given, w.repeat(stays, self.ways)), reset=True)
