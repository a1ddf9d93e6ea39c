"""The registers that walk a loop nest: counters, the word that is read, its place in the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtl.emit import Writer
from rtl.stream.folded_nest import Loop, Nest, steps
from rtl.stream.steps import counter


class Walk:
    """Where the walk is, from registers alone; `go` moves it.

    word      counted for ever from the first frame's first word, modulo 2**size
    inside    whether the tap lies in the image; None: all do
    tick      of the position
    slice     of the word; None: there is one
    begins    whether firing frees the words before this one
    end       whether this is the last tick of a frame
    rest      words from the last one read in a frame to the next frame's first, modulo 2**size
    """

    def __init__(self, w: Writer, nest: Nest, size: int) -> None:
        self.w, self.nest, self.size = w, nest, size
        loops = [*nest.inner, *nest.positions]
        start = -(nest.before[0] * nest.width + nest.before[1]) * nest.words
        self.start = start & (1 << size) - 1
        self.rest = nest.beats - start - sum((loop.count - 1) * loop.word for loop in loops)
        # Reset clears registers, so this one holds the word exclusive-or the first one.
        word = w.flop("tap", size)
        self.word = word
        if self.start:
            self.word = w.wire("word", w.bitwise("xor", word, w.constant(self.start, size)))
        self.places = [self._place(axis) for axis in (0, 1)]
        found = [v for v in map(self._within, (0, 1)) if v is not None]
        self.inside = (
            w.wire("in_image", found[0] if len(found) == 1 else w.bitwise("and", *found)) if found else None
        )
        self.slice = self.end = self.begins = self.tick = None

    def _last(self, axis: int) -> int:
        """The greatest row or column of a tap, counted from the padding's first."""
        n = self.nest
        return (n.out[axis] - 1) * n.stride[axis] + (n.kernel[axis] - 1) * n.dilation[axis]

    def _beyond(self, axis: int) -> bool:
        return self._last(axis) >= self.nest.before[axis] + (self.nest.height, self.nest.width)[axis]

    def _place(self, axis: int) -> Any:
        """The register of the tap's row (axis 0) or column, counted from the padding's first, if that can
        lie outside the image."""
        if not self.nest.before[axis] and not self._beyond(axis):
            return None
        return self.w.flop(("row", "column")[axis], self._last(axis).bit_length())

    def _within(self, axis: int) -> Any:
        place, w, out = self.places[axis], self.w, None
        if place is None:
            return None
        first = self.nest.before[axis]
        if first:
            out = w.invert(w.less(place, w.constant(first, w.width(place)), False))
        if self._beyond(axis):
            end = w.constant(first + (self.nest.height, self.nest.width)[axis], w.width(place))
            below = w.less(place, end, False)
            out = below if out is None else w.bitwise("and", out, below)
        return out

    def go(self, fire: Any) -> None:
        """Writes the counters, which take the next step where `fire`."""
        w, nest, one = self.w, self.nest, self.w.constant(1, 1)
        zero: dict[str, Any] = {}  # whether a loop is in its first turn
        lasts: list[tuple[Loop, Any]] = []
        tick, tick_last = None, one
        own = len(nest.inner) == 1 and nest.inner[0].name != "group"  # that loop counts the ticks
        if nest.ticks > 1 and not own:
            tick, tick_last = counter(w, "tick", nest.ticks, fire)
        moves = fire  # whether the loop takes a turn
        for loop in nest.inner:
            if loop.name == "group":
                again = w.flop("again", 1)
                w.load("again", w.invert(tick_last), moves, True)
                zero[loop.name], last = w.invert(again), tick_last
            else:
                value, last = counter(w, f"at_{loop.name}", loop.count, moves)
                zero[loop.name] = w.invert(w.any(value))
                self.slice = value if loop.name == "slice" else self.slice
                tick = value if own else tick
            lasts.append((loop, last))
            moves = w.wire(f"{loop.name}_ends", w.bitwise("and", moves, last))
        for axis, loop in zip((1, 0), nest.positions, strict=True):
            if loop.count == 1:
                continue
            place = self.places[axis]
            if place is not None:
                last = w.wire(
                    f"{loop.name}_last", w.equal(place, w.constant(self._last(axis), w.width(place)))
                )
            else:
                _, last = counter(w, f"at_{loop.name}", loop.count, moves)
            lasts.append((loop, last))
            moves = w.wire(f"{loop.name}_ends", w.bitwise("and", moves, last))
        self.tick = tick
        self.end = one
        for _, last in lasts:
            self.end = w.bitwise("and", self.end, last)
        self.end = w.wire("end_of_frame", self.end)
        self._begin(zero)
        self._move("tap", "word", self.word, nest.beats, lasts, fire)
        for name, place in zip(("row", "column"), self.places, strict=True):
            if place is not None:
                self._move(name, name, place, 0, lasts, fire)

    def _begin(self, zero: dict[str, Any]) -> None:
        w, nest = self.w, self.nest
        if nest.out == (1, 1):
            self.begins = w.constant(0, 1)
            return
        first = zero.pop("j", w.constant(1, 1))
        column = self.places[1]
        if nest.before[1]:
            edge = w.equal(column, w.constant(nest.before[1], w.width(column)))
            first = w.bitwise("or", first, w.wire("at_edge", edge))
        for v in (*zero.values(), *([self.inside] if self.inside is not None else [])):
            first = w.bitwise("and", first, v)
        self.begins = w.wire("begins", first)

    def _move(
        self, name: str, axis: str, now: Any, frame: int, lasts: Sequence[tuple[Loop, Any]], fire: Any
    ) -> None:
        """Adds to the register what the loops' turns move it by, modulo its width."""
        w, size = self.w, self.w.width(now)
        changes = [c & (1 << size) - 1 for c in steps([loop for loop, _ in lasts], axis, frame)]
        flags = [last for _, last in lasts]
        while flags and not changes[0]:  # the fastest loops leave it as it is
            fire = w.bitwise("and", fire, flags[0])
            changes, flags = changes[1:], flags[1:]
        value = changes[-1]
        change, known = w.constant(value, size), True
        for last, c in zip(reversed(flags), reversed(changes[:-1]), strict=True):
            if not known or c != value:
                change, known = w.pick(last, change, w.constant(c, size)), False
        after = w.add(now, w.wire(f"{name}_change", change))
        if axis == "word" and self.start:
            after = w.bitwise("xor", w.wire(f"{name}_next", after), w.constant(self.start, size))
        w.load(name, after, w.wire(f"{name}_moves", fire), True)
