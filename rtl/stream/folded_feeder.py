"""The feeder of a folded layer: a circular memory of activations, read in step with the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rtl.emit import Writer
from rtl.emit.writer import extended
from rtl.stream.control import Buffered
from rtl.stream.folded_nest import Nest
from rtl.stream.folded_walk import Walk
from rtl.stream.part import Part, Stream

DEPTHS = (2, 3)
"""Registers between a tick and its offer: the memory's, perhaps one more for the word that was read, which
makes paths after a block RAM shorter, then those of the elements and the weights."""


@dataclass(frozen=True, eq=False)
class Feeder(Part):
    """Words in, ticks out: payload {x: `pi` elements, w: weights}, x in the lower bits, one tick a cycle.

    A word is `elements` elements of `bits` bits; in a tick an element has `x_bits`, extended by its sign
    where `signed`, or cut to bits that hold it. Taps in the padding are the code `fill`. Nothing is lost.

    nest       the order of the ticks; its slices are elements / pi
    rom        a word of weights per tick of a position, w_bits each, in their order; none: w_bits 0
    writable   the weights' memory has a write port: pins w__address, w__data, w__enable, written at each edge
               where w__enable; no frame may be on its way then
    depth      of the pipeline from a tick to its offer, one of `DEPTHS`
    capacity   words of the memory, a power of two; None: the least that lets writing and reading overlap

    A word is written into the memory (address: words since reset modulo capacity) and stays till it is freed.
    Addresses count for ever, so that steps from tick to tick are a few constants.

    Raises ValueError for a capacity that is no power of two or would wait for ever, for a number of weights
    that is not that of the ticks, and for elements that do not divide.
    """

    name: str
    nest: Nest
    elements: int
    bits: int
    x_bits: int
    signed: bool
    rom: Sequence[int] = field(repr=False)
    w_bits: int
    fill: int = 0
    capacity: int | None = None
    writable: bool = False
    depth: int = 2

    def __post_init__(self) -> None:
        if self.elements % self.nest.slices:
            raise ValueError(f"pi of {self.name} must divide the {self.elements} elements of a word")
        if not -(1 << self.x_bits - 1) <= self.fill < 1 << self.x_bits:
            raise ValueError(f"fill of {self.name} must have {self.x_bits} bits, not be {self.fill!r}")
        if self.depth not in DEPTHS:
            raise ValueError(f"depth of {self.name} must be 2 or 3, not {self.depth!r}")
        words = self.nest.ticks if self.w_bits else 0
        if len(self.rom) != words:
            raise ValueError(f"rom of {self.name} must have {words} words, not {len(self.rom)}")
        if self.writable and not self.w_bits:
            raise ValueError(
                f"w_bits of {self.name} must be at least 1 where its weights are writable, not 0"
            )
        if self.capacity is not None:
            c = self.capacity
            if isinstance(c, bool) or not isinstance(c, (int, np.integer)) or c < 1 or c & (c - 1):
                raise ValueError(f"capacity of {self.name} must be a power of two, not {c!r}")
            if c < self.nest.least:
                raise ValueError(f"capacity of {self.name} must be at least {self.nest.least}, not {c!r}")

    @property
    def pi(self) -> int:
        """Elements of a tick."""
        return self.elements // self.nest.slices

    @cached_property
    def address_bits(self) -> int:
        room = self.nest.least + self.nest.room
        return (self.capacity - 1 if self.capacity is not None else room - 1).bit_length()

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.elements * self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.pi * self.x_bits + self.w_bits),)

    @property
    def title(self) -> str:
        n = self.nest
        return (
            f"{n.height}x{n.width} pixels of {n.words} words in a memory of {1 << self.address_bits}, read "
            f"at {n.out[0]}x{n.out[1]} positions in {n.ticks} ticks of {self.pi} elements"
        )

    @property
    def memory(self) -> int:
        return (self.elements * self.bits << self.address_bits) + self.nest.ticks * self.w_bits

    def control(self) -> Buffered:
        reads, frees = self.nest.program()
        return Buffered(
            self.nest.beats, reads, frees, np.ones(len(reads), bool), 1 << self.address_bits, self.depth
        )

    def ports(self) -> list[tuple[str, int, bool]]:
        if not self.writable:
            return super().ports()
        address = max(1, (self.nest.ticks - 1).bit_length())
        extra = [("w__address", address, True), ("w__data", self.w_bits, True), ("w__enable", 1, True)]
        return super().ports() + extra

    # ---- hardware -------------------------------------------------------------------------------------

    def write(self, w: Writer) -> None:
        k = self.address_bits
        # Two bits more than an address: the reader can free words of a frame, which it does not need, before
        # they are written, so that differences can be negative.
        size, depth = k + 2, self.depth
        offered, ready = w.pin("i__valid", 1), w.pin("o__ready", 1)
        valid, written, freed = (
            w.flop(n, b) for n, b in (("valid", depth), ("written", size), ("freed", size))
        )
        walk = Walk(w, self.nest, size)

        held = w.cut(valid, depth - 1, depth)
        advance = w.wire("advance", w.bitwise("or", ready, w.invert(held)))
        ahead = w.wire("ahead", w.subtract(written, walk.word))  # words from this tick's on that are there
        there = w.bitwise("and", w.any(ahead), w.invert(w.cut(ahead, size - 1, size)))
        used = w.wire("used", w.subtract(written, freed))
        able = there if walk.inside is None else w.bitwise("or", there, w.invert(walk.inside))
        if self.nest.early:  # between frames, `freed` is where the next one begins
            begun = w.flop("begun", 1)
            some = w.bitwise("and", w.any(used), w.invert(w.cut(used, size - 1, size)))
            able = w.bitwise("and", able, w.bitwise("or", begun, some))
        fire = w.wire("fire", w.bitwise("and", advance, w.wire("able", able)))
        w.load("valid", w.join(fire, w.cut(valid, 0, depth - 1)), advance, True)
        w.drive("o__valid", held)
        walk.go(fire)
        if self.nest.early:
            w.load("begun", w.invert(walk.end), fire, True)

        full = w.bitwise("and", w.cut(used, k, k + 1), w.invert(w.cut(used, k + 1, size)))
        room = w.drive("i__ready", w.invert(w.wire("full", full)))
        take = w.wire("take", w.bitwise("and", room, offered))
        w.load("written", w.add(written, w.constant(1, size)), take, True)
        # At the end of a frame the word read last is still ahead of the next frame's first by a constant.
        jump = w.pick(walk.end, w.constant(walk.rest, size), w.constant(0, size))
        frees = w.bitwise("and", fire, w.wire("frees", w.bitwise("or", walk.begins, walk.end)))
        w.load("freed", w.add(walk.word, w.wire("jump", jump)), w.wire("free", frees), True)

        data = w.memory("ring", self.elements * self.bits, 1 << k)
        payload = w.pin("i__payload", self.elements * self.bits)
        # Not while the same word is written, which no tick waits for less: a memory that cannot do both would
        # get a bypass as wide as a word.
        apart = w.bitwise("or", w.any(w.cut(ahead, 0, k)), w.invert(take))
        port = w.cut(written, 0, k), payload, take
        w.access("ring", w.cut(walk.word, 0, k), w.wire("reads", w.bitwise("and", advance, apart)), port)
        x = self._elements(w, walk, data, advance)
        w.drive("o__payload", w.join(x, self._weights(w, walk.tick, advance)) if self.w_bits else x)

    def _elements(self, w: Writer, walk: Walk, data: Any, advance: Any) -> Any:
        """The elements of the tick, out of the word that was read."""
        if self.depth == 3:
            data = registered(w, "read_word", data, advance)
        span = self.pi * self.bits
        parts = [w.cut(data, k * span, (k + 1) * span) for k in range(self.nest.slices)]
        if walk.slice is not None:
            at = self._late(w, "slice", walk.slice, advance)
            parts = [w.wire("part", choose(w, at, parts))]
        lanes = [
            extended(w, w.cut(parts[0], k * self.bits, (k + 1) * self.bits), self.signed, self.x_bits)
            for k in range(self.pi)
        ]
        x = w.join(*lanes)
        if walk.inside is not None:
            x = w.pick(
                self._late(w, "in_image", walk.inside, advance),
                x,
                w.join(*[w.constant(self.fill, self.x_bits)] * self.pi),
            )
        return registered(w, "x", x, advance)

    def _late(self, w: Writer, name: str, v: Any, advance: Any) -> Any:
        """What goes with the tick whose word was read."""
        for k in range(self.depth - 1):
            v = registered(w, f"read_{name}" if k == 0 else f"read_{name}_{k}", v, advance)
        return v

    def _weights(self, w: Writer, tick: Any, advance: Any) -> Any:
        """The weights of the tick, read one edge after the elements, whose multiplexer they wait for."""
        address = w.constant(0, 1)
        if self.nest.ticks > 1:
            address = self._late(w, "tick", tick, advance)
        data = w.memory("weights", self.w_bits, max(2, self.nest.ticks), self.rom)
        port = None
        if self.writable:
            port = tuple(w.pin(f"w__{n}", b) for n, b in (
                ("address", w.width(address)), ("data", self.w_bits), ("enable", 1)
            ))  # fmt: skip
            # Nothing is read then; without this the memory would get a bypass as wide as a word.
            advance = w.wire("reads_weights", w.bitwise("and", advance, w.invert(port[2])))
        w.access("weights", address, advance, port)
        return data


def registered(w: Writer, name: str, v: Any, advance: Any) -> Any:
    """A register of v."""
    out = w.flop(name, w.width(v))
    w.load(name, v, advance)
    return out


def choose(w: Writer, index: Any, options: Sequence[Any]) -> Any:
    """Option number `index`, a signal of as many bits as that takes."""
    if len(options) == 1:
        return options[0]
    top = (len(options) - 1).bit_length() - 1
    low, high = options[: 1 << top], options[1 << top :]
    return w.pick(w.cut(index, top, top + 1), choose(w, index, high), choose(w, index, low))
