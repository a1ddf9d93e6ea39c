"""A counter of a frame's steps that is read before the logic that moves it is written."""

from __future__ import annotations

from typing import Any, NamedTuple

from rtl.emit import Writer


class Turn(NamedTuple):
    """A register that counts 0..count-1 in turn: its value; `last`, one bit, where it is count - 1.

    A turn of one value has no register: value is the constant 0 of one bit, last is 1.
    """

    name: str
    count: int
    value: Any
    last: Any

    def move(self, w: Writer, enable: Any) -> None:
        """The register goes on at each edge where `enable`."""
        if self.count > 1:
            width = w.width(self.value)
            after: Any = w.add(self.value, w.constant(1, width))
            if self.count != 1 << width:  # a power of two comes round by itself
                after = w.pick(self.last, w.constant(0, width), after)
            w.load(self.name, after, enable, True)


def turn(w: Writer, name: str, count: int) -> Turn:
    """The register, not moved yet: `Turn.move` is to be called once."""
    if count == 1:
        return Turn(name, 1, w.constant(0, 1), w.constant(1, 1))
    width = (count - 1).bit_length()
    value = w.flop(name, width)
    last = w.wire(f"{name}_last", w.equal(value, w.constant(count - 1, width)))
    return Turn(name, count, value, last)
