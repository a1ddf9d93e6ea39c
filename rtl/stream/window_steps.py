"""The control of a sliding window: counters of which step takes, which emits, which taps lie inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtl.emit.writer import Writer
from rtl.stream.steps import counter, flow
from rtl.stream.window_times import Tap, Times


class Stepper:
    """Writes the handshake of `times` and its counters.

    Registers: `phase` is the step within a row and `line` the row, `gap` the number of steps until the next
    emission, `beat` and `band` the output beat and row that is emitted next. Each is there only if needed.
    One that does not begin with 0 holds its exclusive or with its first value, so that reset makes it 0.

    fire                the step is done in this cycle
    advance             the output register takes a beat, or rests
    phase, next_phase   of this step and of the next; None where a row has one step
    """

    def __init__(self, w: Writer, times: Times) -> None:
        self.w, self.times = w, times
        self.firsts: dict[str, int] = {}
        self.lines: dict[str, tuple[int, Any]] = {}
        self.reached: dict[tuple[str, int], Any] = {}
        self.within: dict[tuple[Tap, Tap], Any] = {}
        self.phase = self.next_phase = None
        t = times
        self.origin = -t.lead % t.period
        self.above = -(-t.lead // t.period)  # lines before the one of the image's first row
        last = t.steps - t.lead - 1
        self.last_phase, self.last_line = last % t.period, last // t.period + self.above
        gaps = dict(zip(("beat", "band", "frame"), t.gaps, strict=True))
        if t.across == 1:
            del gaps["beat"]
        if t.down == 1:
            del gaps["band"]
        self.gaps = gaps

        phased = t.period > 1 and (t.history > 0 or not t.always)
        if phased:
            self.phase = self._register("phase", (t.period - 1).bit_length(), self.origin)
        self.line = None
        if not t.always and self.last_line:
            self.line = self._register("line", self.last_line.bit_length())
        takes = self._takes()
        wait = max(t.first + t.lead, *(g - 1 for g in gaps.values()))
        self.gap = self._register("gap", wait.bit_length(), t.first + t.lead) if wait else None
        self.due = None if self.gap is None else w.wire("due", self._is(self.gap, 0))
        needs = takes
        if "line_begun" in self.lines:
            needs = w.wire("waits", w.bitwise("or", takes, w.invert(self.lines["line_begun"][1])))
        moves = flow(w, 1, needs, takes, self.due)
        self.fire, self.advance = moves.fire, moves.advance
        self._position()
        self._emission()

    # ---- registers that need not begin with 0 ---------------------------------------------------------

    def _register(self, name: str, width: int, first: int = 0) -> Any:
        w, self.firsts[name] = self.w, first
        held = w.flop(name, width)
        return w.wire(f"{name}_value", w.bitwise("xor", held, w.constant(first, width))) if first else held

    def _load(self, name: str, v: Any, enable: Any) -> None:
        w, first = self.w, self.firsts[name]
        if first:
            v = w.bitwise("xor", v, w.constant(first, w.width(v)))
        w.load(name, v, enable, True)

    def _is(self, v: Any, value: int) -> Any:
        return self.w.equal(v, self.w.constant(value, self.w.width(v)))

    def _and(self, *conditions: Any) -> Any:
        """All conditions that are not None; None if there are none."""
        found = None
        for c in conditions:
            if c is not None:
                found = c if found is None else self.w.bitwise("and", found, c)
        return found

    # ---- where in the input a step stands -------------------------------------------------------------

    def _takes(self) -> Any:
        w, t = self.w, self.times
        if t.always:
            return None
        conditions = []
        if t.period > t.taken:
            conditions.append(w.less(self.phase, w.constant(t.taken, w.width(self.phase)), False))
        for name, line in (("line_begun", self.above), ("line_ended", self.above + t.rows)):
            if 0 < line <= self.last_line:
                self.lines[name] = line, w.flop(name, 1)
                held = self.lines[name][1]
                conditions.append(held if name == "line_begun" else w.invert(held))
        return w.wire("takes", self._and(*conditions))

    def _position(self) -> None:
        """The next phase and line."""
        w, t = self.w, self.times
        turns = None
        if self.phase is not None:
            turns = w.wire("phase_last", self._is(self.phase, t.period - 1))
        ends = None  # the frame, where it does not end as every row does
        if not t.always:
            line = None if self.line is None else self._is(self.line, self.last_line)
            phase = None if self.phase is None else self._is(self.phase, self.last_phase)
            ends = w.wire("frame_last", self._and(line, phase))
        if self.phase is not None:
            width = w.width(self.phase)
            nxt = w.pick(turns, w.constant(0, width), w.add(self.phase, w.constant(1, width)))
            if ends is not None and (self.last_phase, self.origin) != (t.period - 1, 0):
                nxt = w.pick(ends, w.constant(self.origin, width), w.wire("phase_after", nxt))
            self.next_phase = w.wire("phase_next", nxt)
            self._load("phase", self.next_phase, self.fire)
        if t.always:
            return
        if self.line is not None:
            width = w.width(self.line)
            after = w.wire("line_after", w.add(self.line, w.constant(1, width)))
            if turns is not None:
                after = w.wire("line_turned", w.pick(turns, after, self.line))
            self._load("line", w.pick(ends, w.constant(0, width), after), self.fire)
        for name, (line, held) in self.lines.items():
            reaches = self._and(turns, self._is(self.line, line - 1))
            self._mark(name, held, reaches, ends, self.fire)

    def _mark(self, name: str, held: Any, reaches: Any, ends: Any, enable: Any) -> None:
        """A flag that is 1 from the step after `reaches` to the one of `ends`."""
        w = self.w
        v = w.bitwise("or", held, w.wire(f"{name}_next", reaches))
        w.load(name, v if ends is None else w.bitwise("and", w.invert(ends), v), enable, True)

    # ---- which output beat comes next -----------------------------------------------------------------

    def _emission(self) -> None:
        """The counters of output beats and rows, the gap to the next emission."""
        w, t, gaps = self.w, self.times, self.gaps
        bands = thresholds(t.down_taps, t.down)
        beats = thresholds(t.across_taps.values(), t.across)
        uneven = len(set(gaps.values())) > 1
        need_band = t.down > 1 and (bool(bands) or (uneven and gaps["band"] != gaps["frame"]))
        need_beat = t.across > 1 and (bool(beats) or need_band or uneven)
        emitted = self.fire
        if self.gap is not None:
            emitted = w.wire("emitted", w.bitwise("and", self.fire, self.due))
        across, last_beat = counter(w, "beat", t.across if need_beat else 1, emitted)
        turns = w.wire("band_turns", w.bitwise("and", emitted, last_beat)) if need_beat else emitted
        down, last_band = counter(w, "band", t.down if need_band else 1, turns)
        for c in beats:
            held = self.reached["beat", c] = w.flop(f"beat_from_{c}", 1)
            self._mark(f"beat_from_{c}", held, self._is(across, c - 1), last_beat, emitted)
        for c in bands:
            held = self.reached["band", c] = w.flop(f"band_from_{c}", 1)
            self._mark(f"band_from_{c}", held, self._is(down, c - 1), last_band, turns)
        if self.gap is None:
            return
        width = w.width(self.gap)
        again = w.constant(gaps["frame"] - 1, width)
        if "band" in gaps and gaps["band"] != gaps["frame"]:
            again = w.pick(last_band, again, w.constant(gaps["band"] - 1, width))
        if "beat" in gaps and uneven:
            again = w.pick(last_beat, w.wire("gap_turned", again), w.constant(gaps["beat"] - 1, width))
        again = w.wire("gap_again", again)
        less = w.wire("gap_less", w.subtract(self.gap, w.constant(1, width)))
        self._load("gap", w.pick(self.due, again, less), self.fire)

    def inside(self, down: Tap, across: Tap) -> Any:
        """Whether the pixel of two taps lies in the image at the next emission; None where it always does."""
        if (down, across) not in self.within:
            found = self._and(self._range("band", down), self._range("beat", across))
            if found is not None:
                found = self.w.wire(f"inside_{len(self.within)}", found)
            self.within[down, across] = found
        return self.within[down, across]

    def _range(self, name: str, tap: Tap) -> Any:
        began, ended = (self.reached.get((name, c)) for c in (tap.first, tap.end))
        return self._and(began, None if ended is None else self.w.invert(ended))


def thresholds(taps: Iterable[Tap | None], count: int) -> list[int]:
    """Positions of 1..count-1 at which any of the taps enters or leaves the image."""
    return sorted({c for t in taps if t for c in (t.first, t.end) if 0 < c < count})
