"""The control of a sliding window: counters of which step takes, which emits, which taps lie inside."""

from __future__ import annotations

from typing import Any

from rtl.emit.writer import Writer
from rtl.stream.steps import flow
from rtl.stream.window_times import Tap, Times


class Stepper:
    """Writes the handshake of `times` and its counters, each only if something needs it.

    Registers: `phase` is the step within a row and `line` the row; `gap` the number of steps until the next
    emission, in that part of the frame that has emissions. Flags, which reset makes 0 as all of these: where
    the image's rows begin and end, where the emissions do, and from which output row or beat on a tap is
    inside the image, or outside.

    fire                the step is done in this cycle
    advance             the output register takes a beat, or rests
    phase, ahead        of this step and, but at a frame's end, of the next; None where nobody asks
    """

    def __init__(self, w: Writer, times: Times) -> None:
        self.w, self.times = w, times
        self.inner: dict[tuple[Tap, Tap], Any] = {}
        t = times.control()
        self.control = t
        bands, beats = t.thresholds()
        gaps = {t.step} if t.across > 1 else set()
        gaps |= {t.row_gap} if t.down > 1 else set()
        sparse = int(t.emitting().sum()) < t.steps
        self.above = -(-t.lead // t.period)  # lines before the one of the image's first row
        self.origin = -t.lead % t.period  # the first step's phase
        self.phase = self.line = self.ahead = None
        if t.period > 1 and (t.history or not t.always or sparse or bands or beats):
            width = (t.period - 1).bit_length()
            self.phase = w.flop("phase", width)
            if self.origin:  # the register holds the exclusive or with it, which reset makes 0
                self.phase = w.wire("phase_now", w.bitwise("xor", self.phase, w.constant(self.origin, width)))
        self.end = t.steps - t.lead - 1
        lines = self._place(self.end)[1]
        if lines and (not t.always or sparse or bands):
            self.line = w.flop("line", lines.bit_length())
        wait = max((g - 1 for g in gaps), default=0)
        self.gap = w.flop("gap", wait.bit_length()) if wait else None
        self.flags = {name: w.flop(name, 1) for name in self._flags()}

        takes = self._takes()
        needs = takes
        if "begun" in self.flags:
            needs = w.wire("waits", w.bitwise("or", takes, w.invert(self.flags["begun"])))
        emits = self._and(self.flags.get("open"), self._not(self.flags.get("done")))
        if self.gap is not None:
            emits = self._and(emits, self._is(self.gap, 0))
        due = None if emits is None else w.wire("due", emits)
        self.advance, self.fire, _ = flow(w, 1, needs, takes, due)
        self._position()
        self._emission(due, bands, beats)

    # ---- conditions -----------------------------------------------------------------------------------

    def _is(self, v: Any, value: int) -> Any:
        """Whether a counter has the value; None without the counter."""
        return None if v is None else self.w.equal(v, self.w.constant(value, self.w.width(v)))

    def _not(self, v: Any) -> Any:
        return None if v is None else self.w.invert(v)

    def _and(self, *conditions: Any) -> Any:
        """All conditions that are not None; None if there are none."""
        found = None
        for c in conditions:
            if c is not None:
                found = c if found is None else self.w.bitwise("and", found, c)
        return found

    def _place(self, time: int) -> tuple[int, int]:
        """Phase and line at a time of the frame."""
        return time % self.control.period, time // self.control.period + self.above

    def _at(self, name: str, time: int) -> Any:
        phase, line = self._place(time)
        found = self._and(self._is(self.line, line), self._is(self.phase, phase))
        return None if found is None else self.w.wire(name, found)

    def _mark(self, name: str, held: Any, reaches: Any, ends: Any, enable: Any) -> None:
        """A flag that is 1 from the step after the one of `reaches` to that of `ends`, which wins."""
        w = self.w
        v = w.bitwise("or", held, w.wire(f"{name}_next", reaches))
        w.load(name, v if ends is None else w.bitwise("and", w.invert(ends), v), enable, True)

    # ---- where in the input a step stands -------------------------------------------------------------

    def _flags(self) -> list[str]:
        t, found = self.control, []
        if self.above:
            found.append("begun")
        if self._place(self.end)[1] >= self.above + t.rows:
            found.append("ended")
        if t.first + t.lead:
            found.append("open")
        elif t.last < self.end:
            found.append("done")
        return found

    def _takes(self) -> Any:
        w, t = self.w, self.control
        if t.always:
            return None
        short = None
        if t.period > t.taken:
            short = w.less(self.phase, w.constant(t.taken, w.width(self.phase)), False)
        return w.wire("takes", self._and(short, self.flags.get("begun"), self._not(self.flags.get("ended"))))

    def _position(self) -> None:
        """The next phase and line, and the flags of the image's rows."""
        w, t = self.w, self.control
        turns = None
        if self.phase is not None:
            turns = w.wire("phase_last", self._is(self.phase, t.period - 1))
        whole = self._place(self.end)[0] == t.period - 1 and not self.origin  # as every row
        self.last = turns if self.line is None and whole else self._at("frame_last", self.end)
        if self.phase is not None:
            width = w.width(self.phase)
            after = w.pick(turns, w.constant(0, width), w.add(self.phase, w.constant(1, width)))
            self.ahead = v = w.wire("ahead", after)
            origin = w.constant(self.origin, width)
            v = v if whole else w.pick(self.last, origin, v)
            w.load("phase", w.bitwise("xor", v, origin) if self.origin else v, self.fire, True)
        if self.line is not None:
            width = w.width(self.line)
            after = w.wire("line_after", w.add(self.line, w.constant(1, width)))
            if turns is not None:
                after = w.wire("line_turned", w.pick(turns, after, self.line))
            w.load("line", w.pick(self.last, w.constant(0, width), after), self.fire, True)
        for name, line in (("begun", self.above), ("ended", self.above + t.rows)):
            if name in self.flags:
                reaches = self._and(turns, self._is(self.line, line - 1))
                self._mark(name, self.flags[name], reaches, self.last, self.fire)

    # ---- which output beat comes next -----------------------------------------------------------------

    def _emission(self, due: Any, bands: list[int], beats: list[int]) -> None:
        """The flags and the gap of emissions, the flags of output rows and beats."""
        w, t = self.w, self.control
        emitted = self.fire if due is None else w.wire("emitted", w.bitwise("and", self.fire, due))
        row = t.first + (t.across - 1) * t.step  # time of the first row's last emission
        turn = self._is(self.phase, self._place(row)[0]) if t.across > 1 else None
        turn = None if turn is None else w.wire("row_last", turn)
        final = None
        if self.flags.keys() & {"open", "done"} or self.gap is not None or bands:
            final = self.last if t.last == self.end else self._at("emission_last", t.last)
        if "open" in self.flags:
            before = self._at("open_next_step", t.first - 1)
            self._mark("open", self.flags["open"], before, self._and(due, final), self.fire)
        if "done" in self.flags:
            self._mark("done", self.flags["done"], self._and(due, final), self.last, self.fire)
        self.reached = {}
        for c in beats:
            held = self.reached["beat", c] = w.flop(f"beat_from_{c}", 1)
            reaches = self._is(self.phase, self._place(t.first + (c - 1) * t.step)[0])
            self._mark(f"beat_from_{c}", held, reaches, turn, emitted)
        turns = emitted if turn is None else w.wire("row_emitted", w.bitwise("and", emitted, turn))
        for c in bands:
            held = self.reached["band", c] = w.flop(f"band_from_{c}", 1)
            reaches = self._is(self.line, self._place(row + (c - 1) * t.stride * t.period)[1])
            self._mark(f"band_from_{c}", held, reaches, final, turns)
        if self.gap is not None:
            self._gap(due, turn, final)

    def _gap(self, due: Any, turn: Any, final: Any) -> None:
        """Counts down to the next emission, if one comes in this frame; the first one finds 0."""
        w, t = self.w, self.control
        width = w.width(self.gap)
        again = w.constant(t.row_gap - 1, width) if t.down > 1 else w.constant(0, width)
        if t.down > 1 and t.row_gap > 1 and final is not None:
            again = w.pick(final, w.constant(0, width), again)
        if t.across > 1:
            again = w.pick(turn, w.wire("gap_turned", again), w.constant(t.step - 1, width))
        less = w.wire("gap_less", w.subtract(self.gap, w.constant(1, width)))
        v = w.pick(due, w.wire("gap_again", again), less)
        enable = self.fire
        busy = self._and(self.flags.get("open"), self._not(self.flags.get("done")))
        if busy is not None:
            enable = w.wire("gap_counts", w.bitwise("and", self.fire, busy))
        w.load("gap", v, enable, True)

    def inside(self, down: Tap, across: Tap) -> Any:
        """Whether the pixel of two taps lies in the image at the next emission; None where it always does."""
        if (down, across) not in self.inner:
            found = self._and(self._range("band", down), self._range("beat", across))
            if found is not None:
                found = self.w.wire(f"inside_{len(self.inner)}", found)
            self.inner[down, across] = found
        return self.inner[down, across]

    def _range(self, name: str, tap: Tap) -> Any:
        began, ended = (self.reached.get((name, c)) for c in (tap.first, tap.end))
        return self._and(began, self._not(ended))
