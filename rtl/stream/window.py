"""Line buffers and a sliding window over one raster stream: the im2col of convolution and pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fxsim.ops.common import check_int
from rtl.emit.writer import Writer, extended
from rtl.stream.control import Control, Steps
from rtl.stream.part import Part, Stream
from rtl.stream.window_steps import Stepper
from rtl.stream.window_times import Times

_PAIRS = {"kernel": 1, "stride": 1, "dilation": 1, "before": 0, "after": 0}


@dataclass(frozen=True)
class Lines(Part):
    """Windows over images (height, width, elements) that come in raster order, `lanes` pixels a beat.

    Position (r, c) of the output has, for row i and column j of the kernel, the pixel at row
    r * stride[0] + i * dilation[0] - before[0] and column c * stride[1] + j * dilation[1] - before[1], or
    `fill` in every element where that lies outside of the image. Positions come in raster order, `out_lanes`
    neighbours a beat; a beat holds (1, out_lanes, *kernel, elements) in C order. A row of `width` pixels has
    ceil(width / lanes) beats; surplus lanes of the last one are never read, those of an output row hold codes
    of the input or `fill`. A signal along one axis has width 1, or height 1.

    height, width, elements   of the image; bits per element, two's complement where `signed`
    lanes       pixels per input beat: 1, a multiple of stride[1], or width (a row per beat)
    kernel, stride, dilation, before, after   (rows, columns); before and after are padding
    fill        raw code of padding
    out_bits    per output element, to which the input's are extended by their sign or zeros; fill is its
                two's complement. No bit is lost.

    Where nothing stalls, a beat comes in on every clock but for the steps at the end of a frame that bottom
    and right padding need (one at the least where windows of a last lane reach into the next beat), and those
    at its start and between rows where padding is greater than the kernel's reach (`control`). Raises
    TypeError and ValueError that name the parameter.
    """

    name: str
    height: int
    width: int
    elements: int
    bits: int
    lanes: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    fill: int = 0
    out_bits: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        def put(field: str, value: Any) -> None:
            object.__setattr__(self, field, value)

        for field in ("height", "width", "elements", "bits", "lanes"):
            put(field, check_int(f"{field} of {self.name}", getattr(self, field), 1))
        for field, least in _PAIRS.items():
            entries = tuple(getattr(self, field))
            if len(entries) != 2:
                raise ValueError(f"{field} of {self.name} must be (rows, columns), not {entries}")
            put(field, tuple(check_int(f"{field} of {self.name}", v, least) for v in entries))
        put("signed", bool(self.signed))
        put("out_bits", check_int(f"out_bits of {self.name}", self.out_bits or self.bits, self.bits))
        put("fill", check_int(f"fill of {self.name}", self.fill))
        # Below zero, the codes of an unsigned input need a sign bit above them.
        below = not self.signed and self.out_bits == self.bits
        least = 0 if below else -(1 << self.out_bits - 1)
        most = (1 << self.out_bits - self.signed) - 1
        if not least <= self.fill <= most:
            raise ValueError(f"fill of {self.name} must lie in [{least}, {most}], not {self.fill}")
        for axis, size, count in (
            ("height", self.height, self.out_height),
            ("width", self.width, self.out_width),
        ):
            if count < 1:
                k = axis == "width"
                raise ValueError(
                    f"kernel of {self.name} must fit the padded {axis}: {self.kernel[k]} taps with dilation "
                    f"{self.dilation[k]}, {axis} {size} with padding {self.before[k]}, {self.after[k]}"
                )
        if self.lanes > self.width:
            raise ValueError(f"lanes of {self.name} must lie in 1..{self.width}, the width, not {self.lanes}")
        if self.lanes not in (1, self.width) and self.lanes % self.stride[1]:
            raise ValueError(
                f"lanes of {self.name} must be 1, the width {self.width} or a multiple of the stride "
                f"{self.stride[1]}, not {self.lanes}"
            )

    def _positions(self, axis: int, size: int) -> int:
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (size + self.before[axis] + self.after[axis] - reach) // self.stride[axis] + 1

    @property
    def out_height(self) -> int:
        return self._positions(0, self.height)

    @property
    def out_width(self) -> int:
        return self._positions(1, self.width)

    @property
    def out_lanes(self) -> int:
        """Positions per output beat: never more than a row has."""
        if self.lanes == self.width:
            return self.out_width
        return min(max(self.lanes // self.stride[1], 1), self.out_width)

    @property
    def beats_in(self) -> int:
        """Beats of an input frame."""
        return self.height * -(-self.width // self.lanes)

    @property
    def beats_out(self) -> int:
        """Beats of an output frame."""
        return self.out_height * -(-self.out_width // self.out_lanes)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.lanes * self.elements * self.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        taps = self.kernel[0] * self.kernel[1]
        return (Stream("o", self.out_lanes * taps * self.elements * self.out_bits),)

    @property
    def title(self) -> str:
        kernel, stride = ("x".join(map(str, v)) for v in (self.kernel, self.stride))
        return (
            f"windows {kernel}, stride {stride} over {self.height}x{self.width} pixels of {self.elements} "
            f"elements: {self.lanes} pixels in, {self.out_lanes} windows out"
        )

    @property
    def memory(self) -> int:
        t = self.times
        return t.history * t.period * self._word if t.period > 1 else 0

    def control(self) -> Control:
        return Steps(self.times.waiting(), self.times.taking(), self.times.emitting(), 1)

    # ---- the geometry in beats ------------------------------------------------------------------------

    def offset(self, lane: int, column: int) -> int:
        """The pixel that a lane and a column of the kernel read in the first beat of a row."""
        return lane * self.stride[1] + column * self.dilation[1] - self.before[1]

    @cached_property
    def times(self) -> Times:
        whole = self.lanes == self.width
        across = -(-self.out_width // self.out_lanes)
        return Times(
            self.height, self.width, self.lanes, self.out_height, across, self.stride[0],
            1 if whole or self.lanes > 1 else self.stride[1],
            tuple(i * self.dilation[0] - self.before[0] for i in range(self.kernel[0])),
            tuple(self.offset(lane, j) for lane in range(self.out_lanes) for j in range(self.kernel[1])),
        )  # fmt: skip

    @cached_property
    def _kept(self) -> list[int]:
        """The input lanes that windows read."""
        return sorted({offset % self.lanes for offset in self.times.across_taps})

    @property
    def _pixel(self) -> int:
        return self.elements * self.bits

    @property
    def _word(self) -> int:
        """Bits of one row's share of the line memory's word."""
        return len(self._kept) * self._pixel

    @property
    def _held(self) -> tuple[int, bool]:
        """Width and sign of a window's element in its register: the least that hold a pixel's and `fill`."""
        if not any(self.before + self.after):  # fill, if anywhere, would be in surplus lanes
            return self.bits, self.signed
        signed = self.signed or self.fill < 0
        need = (self.fill if self.fill >= 0 else ~self.fill).bit_length() + signed
        return max(self.bits + (signed and not self.signed), need), signed

    # ---- hardware -------------------------------------------------------------------------------------

    def write(self, w: Writer) -> None:
        t = self.times
        payload = w.pin("i__payload", self.inputs[0].bits)
        steps = Stepper(w, t)
        n = self._pixel
        new = w.join(*(w.cut(payload, lane * n, lane * n + n) for lane in self._kept)) if self._kept else None
        rows = self._rows(w, steps, new)
        found: dict[tuple[int, int], tuple[Any, int, bool]] = {}
        for i, down in enumerate(t.down_taps):
            if down is None:
                continue
            back = t.newest_row - down.offset
            inside = {offset: steps.inside(down, across) for offset, across in t.across_taps.items()}
            beats = self._beats(w, steps, rows, back, {o for o, v in inside.items() if v is None})
            for k, (offset, within) in enumerate(inside.items()):
                age, lane = t.newest_beat - offset // self.lanes, offset % self.lanes
                if within is None:  # where it goes next it stays as long as the beat is offered
                    found[i, offset] = beats[age + 1][lane], self.bits, self.signed
                else:
                    v = self._register(w, steps, f"tap_{i}_{k}", beats[age][lane], within)
                    found[i, offset] = v, *self._held
        out = []
        for lane in range(self.out_lanes):
            for i in range(self.kernel[0]):
                for j in range(self.kernel[1]):
                    if (i, self.offset(lane, j)) in found:
                        v, width, signed = found[i, self.offset(lane, j)]
                        elements = (w.cut(v, e * width, e * width + width) for e in range(self.elements))
                        out += [extended(w, element, signed, self.out_bits) for element in elements]
                    else:
                        out += [w.constant(self.fill, self.out_bits)] * self.elements
        w.drive("o__payload", w.join(*out))

    def _rows(self, w: Writer, steps: Stepper, new: Any) -> list[Any]:
        """The kept pixels of the beat taken now, and of those one row, two rows ... before it."""
        t, n = self.times, self._word
        if not t.history:
            return [new]
        if t.period > 1:
            past = w.memory("lines", t.history * n, t.period)
        else:
            past = w.flop("lines", t.history * n)
        word = w.join(new, w.cut(past, 0, (t.history - 1) * n))
        if t.period > 1:  # at a frame's end the word read is not the next phase's, but one that nobody sees
            w.access("lines", steps.ahead, steps.fire, (steps.phase, word, steps.fire))
        else:
            w.load("lines", word, steps.fire)
        return [new, *(w.cut(past, k * n, k * n + n) for k in range(t.history))]

    def _beats(
        self, w: Writer, steps: Stepper, rows: list[Any], back: int, plain: set[int]
    ) -> list[dict[int, Any]]:
        """By age in beats, the pixels of a row that are still read then, by lane: those at the offsets in
        `plain` one beat later too."""
        t, n = self.times, self._pixel
        ages: dict[int, int] = {}
        for offset in t.across_taps:
            lane = offset % self.lanes
            age = t.newest_beat - offset // self.lanes + (offset in plain)
            ages[lane] = max(age, ages.get(lane, 0))
        beats = [{lane: w.cut(rows[back], k * n, k * n + n) for k, lane in enumerate(self._kept)}]
        for age in range(1, max(ages.values()) + 1):
            lanes = [lane for lane in self._kept if ages[lane] >= age]
            if t.period == 1 and back + 1 < len(rows):  # a beat later is a row later
                held, lanes = rows[back + 1], self._kept
            else:
                held = w.flop(f"row_{back}_age_{age}", len(lanes) * n)
                w.load(f"row_{back}_age_{age}", w.join(*(beats[-1][k] for k in lanes)), steps.fire)
            beats.append({lane: w.cut(held, k * n, k * n + n) for k, lane in enumerate(lanes)})
        return beats

    def _register(self, w: Writer, steps: Stepper, name: str, v: Any, inside: Any) -> Any:
        """The output register of one pixel of the windows, with `fill` where the pixel lies outside."""
        width, _ = self._held
        each = []
        for e in range(self.elements):
            element = w.cut(v, e * self.bits, e * self.bits + self.bits)
            each.append(extended(w, element, self.signed, width))
        fill = w.join(*[w.constant(self.fill, width)] * self.elements)
        held = w.flop(name, self.elements * width)
        w.load(name, w.pick(inside, w.join(*each), fill), steps.advance)
        return held
