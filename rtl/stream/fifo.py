"""A first-in-first-out buffer: registers while it is short, a memory beyond."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.emit import Writer
from rtl.stream import control
from rtl.stream.checks import counts
from rtl.stream.part import Part, Stream
from rtl.stream.turn import turn

REGISTERS = 8
"""Most beats that are held in registers."""


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
        """The memory is read at every edge where the beat lies that is first after it; a beat that is written
        there at the same edge is offered from the register `bypass`."""
        data, offered, ready = w.pin("i__payload", self.bits), w.pin("i__valid", 1), w.pin("o__ready", 1)
        width, place = self.depth.bit_length(), (self.depth - 1).bit_length()
        count = w.flop("count", width)
        read, bypass, fresh = w.flop("read", place), w.flop("bypass", self.bits), w.flop("fresh", 1)
        some = w.drive("o__valid", w.any(count))
        room = w.drive("i__ready", w.invert(w.equal(count, w.constant(self.depth, width))))
        push = w.wire("push", w.bitwise("and", offered, room))
        pop = w.wire("pop", w.bitwise("and", some, ready))
        changes = w.wire("changes", w.bitwise("xor", push, pop))
        step = w.join(w.constant(1, 1), w.repeat(pop, width - 1))  # 1, or -1 where a beat leaves
        w.load("count", w.add(count, step), changes, True)

        write = turn(w, "write", self.depth)
        write.move(w, push)
        after = w.add(read, w.constant(1, place))
        if self.depth != 1 << place:
            last = w.equal(read, w.constant(self.depth - 1, place))
            after = w.pick(last, w.constant(0, place), after)
        first = w.wire("first", w.pick(pop, after, read))
        w.load("read", first, reset=True)
        alone = w.equal(count, w.constant(1, width))
        drains = w.wire("drains", w.bitwise("and", alone, ready))
        w.load("fresh", w.bitwise("and", push, w.bitwise("or", drains, w.invert(some))), reset=True)
        w.load("bypass", data)
        word = w.memory("store", self.bits, self.depth)
        w.access("store", first, w.constant(1, 1), (write.value, data, push))
        w.drive("o__payload", w.pick(fresh, bypass, word))
