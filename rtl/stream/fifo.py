"""A first-in-first-out buffer: registers while it is short, a memory beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtl.emit import Writer
from rtl.stream import control
from rtl.stream.checks import counts
from rtl.stream.part import Part, Stream

REGISTERS = 4
"""Most beats that are held in registers: from five on a memory takes fewer cells, in every family."""


@dataclass(frozen=True)
class Fifo(Part):
    """Holds up to `depth` beats of `bits`, in order; a beat taken at an edge is offered in the cycle after.

    i.ready and o.valid come from registers alone, so that it cuts the paths of both handshakes: depth 2 is a
    skid buffer at full rate, depth 1 takes a beat every other cycle. Beyond `REGISTERS` beats the payloads
    lie in a memory with synchronous read. TypeError or ValueError for bits or depth below 1.
    """

    name: str
    bits: int
    depth: int

    def __post_init__(self) -> None:
        counts(self, "bits", "depth")

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.bits),)

    @property
    def title(self) -> str:
        where = "in a memory" if self.memory else "in registers"
        return f"FIFO of {self.depth} x {self.bits} bits {where}"

    @property
    def memory(self) -> int:
        return self.bits * self.depth if self.depth > REGISTERS else 0

    def control(self) -> control.Fifo:
        return control.Fifo(self.depth)

    def write(self, w: Writer) -> None:
        (self._memory if self.memory else self._registers)(w)

    def _registers(self, w: Writer) -> None:
        """A chain whose register 0 is the output; bit k of `valid` says that register k holds a beat.

        A register moves where a beat leaves, or where it is empty: then it takes whatever the input shows.
        """
        depth, data = self.depth, w.pin("i__payload", self.bits)
        offered, ready = w.pin("i__valid", 1), w.pin("o__ready", 1)
        valid = w.flop("valid", depth)
        chain = [w.flop(f"data_{k}", self.bits) for k in range(depth)]
        bit = [w.cut(valid, k, k + 1) for k in range(depth)]
        w.drive("o__payload", chain[0])
        w.drive("o__valid", bit[0])
        room = w.drive("i__ready", w.invert(bit[-1]))
        push = w.wire("push", w.bitwise("and", offered, room))
        pop = w.wire("pop", w.bitwise("and", bit[0], ready))
        more = w.join(w.constant(1, 1), w.cut(valid, 0, depth - 1))
        fewer = w.join(w.cut(valid, 1, depth), w.constant(0, 1))
        changes = w.wire("changes", w.bitwise("xor", push, pop))
        w.load("valid", w.pick(push, more, fewer), changes, True)
        for k in range(depth):
            take = w.wire(f"take_{k}", w.bitwise("or", pop, w.invert(bit[k])))
            later = w.pick(bit[k + 1], chain[k + 1], data) if k + 1 < depth else data
            w.load(f"data_{k}", later, take)

    def _memory(self, w: Writer) -> None:
        """The memory is read at every edge where the beat lies that is first after it; a beat that is only
        written there at this edge is offered from the register `bypass`."""
        data, offered, ready = w.pin("i__payload", self.bits), w.pin("i__valid", 1), w.pin("o__ready", 1)
        place = (self.depth - 1).bit_length()
        some, full, fresh = (w.flop(name, 1) for name in ("some", "full", "fresh"))
        read, write, bypass = w.flop("read", place), w.flop("write", place), w.flop("bypass", self.bits)
        w.drive("o__valid", some)
        room = w.drive("i__ready", w.invert(full))
        push = w.wire("push", w.bitwise("and", offered, room))
        pop = w.wire("pop", w.bitwise("and", some, ready))
        first = w.wire("first", w.pick(pop, self._after(w, read), read))
        after = w.wire("after", self._after(w, write))
        w.load("read", first, reset=True)
        w.load("write", after, push, True)
        # Equal places mean that nothing is left, unless it is full and stays so. The comparison shows tools
        # that the memory never reads what it writes, for which many would need logic around it.
        level = w.wire("level", w.equal(first, write))
        stays = w.wire("stays", w.bitwise("and", full, w.invert(ready)))
        fills = w.wire("fills", w.bitwise("and", push, w.equal(first, after)))
        kept = w.wire("kept", w.bitwise("or", full, w.invert(level)))
        skip = w.wire("skip", w.bitwise("and", push, level))
        w.load("some", w.bitwise("or", push, kept), reset=True)
        w.load("full", w.bitwise("or", stays, fills), reset=True)
        w.load("fresh", skip)
        w.load("bypass", data)
        word = w.memory("store", self.bits, self.depth)
        w.access("store", first, w.invert(skip), (write, data, push))
        w.drive("o__payload", w.pick(fresh, bypass, word))

    def _after(self, w: Writer, place: Any) -> Any:
        """The next place round the memory."""
        width = w.width(place)
        after = w.add(place, w.constant(1, width))
        if self.depth == 1 << width:
            return after
        last = w.equal(place, w.constant(self.depth - 1, width))
        return w.pick(last, w.constant(0, width), after)
