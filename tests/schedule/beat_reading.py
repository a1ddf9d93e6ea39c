"""Networks read beat by beat in NumPy: what every part does to payloads, and nothing of when.

Beats of a stream are a matrix of bits (beats, bits), bit 0 first. Between beats in and out stand a part's
parameters, so that a network gives what its hardware must, in milliseconds.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from fxsim.emulate import evaluate
from fxsim.integers import Array
from fxsim.ops import Window
from rtl.bench import frames
from rtl.layout import Layout
from rtl.schedule.forms import Carried
from rtl.stream.accumulate import Accumulate
from rtl.stream.fifo import Fifo
from rtl.stream.folded_feeder import Feeder
from rtl.stream.fork import Fork
from rtl.stream.gather import Gather
from rtl.stream.join import Join
from rtl.stream.pipe import Pipe
from rtl.stream.repeat import Repeat
from rtl.stream.rom import Rom
from rtl.stream.spread import Spread
from rtl.stream.take import Take
from rtl.stream.trim import Trim
from rtl.stream.window import Lines

Bits = np.ndarray


def codes(bits: Bits, width: int, signed: bool) -> Array:
    """(beats, elements * width) -> integers (beats, elements)."""
    parts = bits.reshape(len(bits), -1, width)
    dtype: Any = np.int64 if width <= 62 else object
    weights = np.array([1 << k for k in range(width)], dtype)
    if signed:
        weights[-1] = -weights[-1]
    return (parts.astype(dtype) * weights).sum(axis=2)


def bits_of(values: Array, width: int) -> Bits:
    """Integers (beats, ...) -> bits, the lowest `width` of each."""
    flat = np.asarray(values).reshape(len(values), -1, 1)
    places = np.arange(width) if flat.dtype != object else np.array(range(width), object)
    return ((flat >> places) & 1).astype(np.uint8).reshape(len(values), -1)


def of_layout(layout: Layout, arrays: list[Array]) -> Bits:
    pairs = zip(layout.ports, arrays, strict=True)
    return np.concatenate([bits_of(a.reshape(len(a), -1), p.width) for p, a in pairs], axis=1)


def by_layout(layout: Layout, bits: Bits) -> list[Array]:
    out = []
    for port, at in zip(layout.ports, layout.offsets, strict=True):
        found = codes(bits[:, at : at + port.bits], port.width, port.signed)
        out.append(found.reshape(len(bits), *port.shape))
    return out


class Reading:
    """A streamed core on frames: `outputs` per output of the graph, `links` the beats of every stream.

    Asserts on the way that every element lies in the type of its beat, and that every stream that carries one
    value of the graph has that value's codes. Surplus lanes hold random codes.
    """

    def __init__(self, core: Any, raw: list[Array], seed: int = 0) -> None:
        self.core, self.rng = core, np.random.default_rng(seed)
        self.env = evaluate(core.graph, raw)
        self.frames = len(raw[0])
        self.ragged = any(k.form.ragged for s in core.plan.stages for k in (*s.needs, *s.gives))
        given = of_layout(core.in_layout, frames.stimulus(core, raw))
        self.links: dict[Any, Bits] = {}
        for link in core.network.links:
            if link.source is None:
                self.links[link] = given
        for part in core.network.parts:
            into = [self._into(part, s.name) for s in part.inputs]
            for s, bits in zip(part.outputs, part_reading(part, self, into), strict=True):
                assert bits.shape[1] == s.bits, (part.name, bits.shape, s.bits)
                (link,) = (k for k in core.network.links if k.source is part and k.port == s.name)
                self.links[link] = bits
        for link, bits in self.links.items():
            if isinstance(link.carries, Carried):
                self._check(link, link.carries, bits)
        last = self.links[core.network.last]
        assert len(last) == self.frames * core.beats_out, (len(last), self.frames, core.beats_out)
        self.beats = by_layout(core.out_layout, last)

    def _into(self, part: Any, name: str) -> Bits:
        (link,) = (k for k in self.core.network.links if k.target is part and k.target_port == name)
        return self.links[link]

    def _check(self, link: Any, carried: Carried, bits: Bits) -> None:
        t, form = carried.type, carried.form
        assert bits.shape[1] == carried.bits, f"{link}: {bits.shape[1]} bits, not {carried.bits}"
        assert len(bits) == self.frames * form.beats, f"{link}: {len(bits)} beats of {self.frames} frames"
        found = codes(bits, t.max_width, t.bounds[0] < 0).reshape(len(bits), *t.shape)
        inside = t.contains(found).reshape(len(bits), *form.beat_shape)
        inside = inside | np.tile(frames.surplus(form), (self.frames, *(1 for _ in form.shape)))
        assert inside.all(), f"{link}: a beat leaves its type {t!r} at {np.argwhere(~inside)[0]}"
        want = np.broadcast_to(self.env[carried.node], (self.frames, *form.shape))
        have = form.merge(found.reshape(len(bits), *form.beat_shape))
        bad = np.argwhere(np.asarray(want != have, bool))
        assert not len(bad), f"{link}: {have[tuple(bad[0])]}, not {want[tuple(bad[0])]}, at {bad[0]}"

    def wrong(self) -> str:
        """The first difference of the outputs from the emulator's codes, in words, or nothing."""
        want = [np.broadcast_to(self.env[o], (self.frames, *o.type.shape)) for o in self.core.graph.outputs]
        for name, a, b in zip(
            self.core.graph.output_names, frames.expected(self.core, want), self.beats, strict=True
        ):
            bad = np.argwhere(np.asarray(a != b, bool))
            if len(bad):
                return f"output {name}: {b[tuple(bad[0])]}, not {a[tuple(bad[0])]}, at {bad[0]}"
        return ""


@singledispatch
def part_reading(part: Any, reading: Reading, into: list[Bits]) -> list[Bits]:
    raise NotImplementedError(f"{type(part).__name__} has no reading")


rule = part_reading.register


@rule
def _pipe(part: Pipe, reading: Reading, into: list[Bits]) -> list[Bits]:
    graph = part.core.graph
    arrays = by_layout(part.core.in_layout, into[0])
    for k, (node, a) in enumerate(zip(graph.inputs, arrays, strict=True)):
        inside = node.type.contains(a)
        if reading.ragged:  # surplus lanes may hold anything
            arrays[k] = np.where(inside, a, node.type.lo)
        else:
            assert inside.all(), f"input {node.name} of {part.name} leaves its type {node.type!r}"
    out = graph.run_raw(*arrays)
    return [of_layout(part.core.out_layout, list(out) if isinstance(out, tuple) else [out])]


@rule
def _fork(part: Fork, reading: Reading, into: list[Bits]) -> list[Bits]:
    return into * part.ways


@rule
def _fifo(part: Fifo, reading: Reading, into: list[Bits]) -> list[Bits]:
    return into


@rule
def _join(part: Join, reading: Reading, into: list[Bits]) -> list[Bits]:
    assert len({len(b) for b in into}) == 1, f"{part.name}: {[len(b) for b in into]} beats"
    return [np.concatenate(into, axis=1)]


@rule
def _take(part: Take, reading: Reading, into: list[Bits]) -> list[Bits]:
    return [np.concatenate([into[0][:, a:b] for a, b in part.parts], axis=1)]


@rule
def _gather(part: Gather, reading: Reading, into: list[Bits]) -> list[Bits]:
    whole = into[0].reshape(-1, part.count * part.elements, part.bits // part.elements)
    order = slice(None) if part.order is None else list(part.order)
    return [whole[:, order].reshape(len(whole), -1)]


@rule
def _spread(part: Spread, reading: Reading, into: list[Bits]) -> list[Bits]:
    size, n = part.bits // part.elements, len(into[0])
    total = part.count * part.elements
    beats = np.tile(bits_of(np.array([[part.fill]]), size), (n, total)).reshape(n, total, size)
    order = range(total) if part.order is None else list(part.order)
    beats[:, list(order)] = into[0].reshape(n, -1, size)
    return [beats.reshape(-1, part.bits)]


@rule
def _repeat(part: Repeat, reading: Reading, into: list[Bits]) -> list[Bits]:
    return [np.repeat(into[0], part.count, axis=0)]


@rule
def _rom(part: Rom, reading: Reading, into: list[Bits]) -> list[Bits]:
    n = len(into[0])
    # The words begin again with every frame.
    assert n % reading.frames == 0 and (n // reading.frames) % (len(part.words) * part.inner) == 0, part.name
    words = bits_of(np.array(part.words, object)[:, None], part.bits)
    place = np.arange(n) // part.inner % len(part.words)
    return [np.concatenate([into[0], words[place]], axis=1)]


@rule
def _trim(part: Trim, reading: Reading, into: list[Bits]) -> list[Bits]:
    out = into[0].copy()
    shape = (-1, part.outer, part.lanes, part.inner * part.bits)
    image = out[part.per_row - 1 :: part.per_row, part.below : part.below + part.image].reshape(shape)
    image[:, :, part.lanes - part.surplus :] = 0
    out[part.per_row - 1 :: part.per_row, part.below : part.below + part.image] = image.reshape(
        len(image), -1
    )
    return [out]


@rule
def _accumulate(part: Accumulate, reading: Reading, into: list[Bits]) -> list[Bits]:
    v = codes(into[0], part.bits, part.signed).reshape(-1, part.count, part.elements)
    if part.out_bits > 62:
        v = v.astype(object)
    found = {"sum": np.sum, "max": np.max, "min": np.min}[part.kind](v, axis=1)
    return [bits_of(found, part.out_bits)]


@rule
def _lines(part: Lines, reading: Reading, into: list[Bits]) -> list[Bits]:
    pixels = codes(into[0], part.bits, part.signed)
    row = -(-part.width // part.lanes) * part.lanes
    image = pixels.reshape(-1, part.height, row, part.elements)[:, :, : part.width]
    op = Window(part.kernel, part.stride, part.dilation, part.before, part.after, part.fill)
    w = op.place(image, 3, part.fill)  # (n, rows, columns, kh, kw, elements)
    assert w.shape[1:3] == (part.out_height, part.out_width)
    surplus = -part.out_width % part.out_lanes
    if surplus:
        flat = image.reshape(-1, part.elements)
        shape = (len(w), w.shape[1], surplus, *part.kernel)
        w = np.concatenate([w, flat[reading.rng.integers(0, len(flat), shape)]], axis=2)
    return [bits_of(w.reshape(len(w) * part.beats_out, -1), part.out_bits)]


@rule
def _feeder(part: Feeder, reading: Reading, into: list[Bits]) -> list[Bits]:
    n = part.nest
    words = codes(into[0], part.bits, part.signed).reshape(-1, n.height, n.width, n.words, part.elements)
    (kh, kw), (oh, ow) = n.kernel, n.out
    r = np.arange(oh)[:, None] * n.stride[0] + np.arange(kh) * n.dilation[0] - n.before[0]
    c = np.arange(ow)[:, None] * n.stride[1] + np.arange(kw) * n.dilation[1] - n.before[1]
    inside = ((r >= 0) & (r < n.height))[:, None, :, None] & ((c >= 0) & (c < n.width))[None, :, None, :]
    r, c = r.clip(0, n.height - 1)[:, None, :, None], c.clip(0, n.width - 1)[None, :, None, :]
    taps = np.where(
        inside[..., None, None], words[:, r, c], part.fill
    )  # (f, oh, ow, kh, kw, words, elements)
    taps = taps.reshape(*taps.shape[:6], n.slices, part.pi)
    if n.depthwise:
        ticks = taps.transpose(0, 1, 2, 5, 6, 3, 4, 7)
    else:
        ticks = np.broadcast_to(taps[:, :, :, None], (*taps.shape[:3], n.groups, *taps.shape[3:]))
    ticks = ticks.reshape(-1, part.pi)
    x = bits_of(ticks, part.x_bits)
    if not part.w_bits:
        return [x]
    rom = bits_of(np.array(list(part.rom), object)[:, None], part.w_bits)
    return [np.concatenate([x, np.tile(rom, (len(x) // len(rom), 1))], axis=1)]
