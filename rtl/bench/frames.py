"""Frames as beats: what goes into a streamed core, what must come out, and where a beat's element belongs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.graph import Node
from rtl.bench.patterns import Pattern
from rtl.bench.protocol import FILL
from rtl.bench.scoreboard import Difference
from rtl.layout import Layout
from rtl.schedule.forms import Form

_MOST_FILL = 1 << 14  # clock cycles before the reset in mid-stream
_CHEAP = 1 << 25  # clock cycles of parts that the cycle model runs unasked


def is_streamed(core: Any) -> bool:
    """Whether a core takes a frame in beats, by the forms of its inputs and outputs."""
    return getattr(core, "input_forms", None) is not None


def stimulus(core: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Raw frames (n, *shape) of every input -> beats (n * core.beats_in, *lanes) of every port of the input.

    Surplus lanes hold the code nearest to 0 that the beat's type has.
    """
    parts = []
    for a, form, node in zip(arrays, core.input_forms, core.graph.inputs, strict=True):
        beats = form.split(np.asarray(a))
        if form.ragged:
            t = form.joined(node.type)
            beats = np.where(np.tile(surplus(form), _times(form, len(a))), _nearest_zero(t), beats)
        parts.append(beats)
    return _ports(core.in_layout, parts, core.graph.inputs)


def merged(core: Any, beats: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The inverse of `stimulus`: one array (n, *shape) per input of the graph."""
    n, given, out = len(beats[0]) // core.beats_in, iter(beats), []
    for form, node in zip(core.input_forms, core.graph.inputs, strict=True):
        if node.type.size:
            a = next(given)
            out.append(form.merge(a.reshape(len(a), *form.beat_shape)))
        else:
            out.append(np.zeros((n, *node.type.shape), np.int64))
    return out


def expected(core: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Raw frames of every output -> beats (n * core.beats_out, *lanes) per port; surplus lanes hold 0."""
    parts = [form.split(np.asarray(a)) for a, form in zip(arrays, core.output_forms, strict=True)]
    return _ports(core.out_layout, parts, core.graph.outputs)


def in_frame(core: Any, found: Difference) -> Difference:
    """A difference between beats, by frame and by the element of the graph's output; its beat of the frame.

    The index of a surplus lane lies beyond the tensor's end along the last streamed axis.
    """
    kept = [f for f, n in zip(core.output_forms, core.graph.outputs, strict=True) if n.type.size]
    form = next(f for p, f in zip(core.out_layout.ports, kept, strict=True) if p.name == found.port)
    frame, beat = divmod(found.sample, form.beats)
    port = next(p for p in core.out_layout.ports if p.name == found.port)
    lane = int(np.ravel_multi_index(found.index, port.shape)) if port.shape else 0
    return dataclasses.replace(found, sample=frame, index=place(form, beat, lane), beat=beat)


def place(form: Form, beat: int, lane: int) -> tuple[int, ...]:
    """The index in the tensor of lane `lane` (C order) of beat `beat` of a frame; of a surplus lane, beyond
    the end of the last streamed axis."""
    inside = [int(k) for k in np.unravel_index(lane, form.beat_shape)] if form.shape else []
    if not form.axes:
        return tuple(inside)
    *slow, last = form.axes
    *places, step = np.unravel_index(beat, (*form.sizes[:-1], form.per_row))
    for axis, k in zip(slow, places, strict=True):
        inside[axis] = int(k)
    inside[last] += int(step) * form.lanes
    return tuple(inside)


def run_options(core: Any, frames: int) -> dict[str, int]:
    """For the benches in Verilator: clock cycles before the reset in mid-stream, which comes when the core is
    full or half of the stream is through, and the standstill that is allowed beyond that of every core."""
    interval = math.ceil(core.interval)
    half = (frames * interval + core.latency) // 2
    fill = min(max(half, 1), core.latency + FILL, _MOST_FILL)
    return {"fill": fill, "patience": interval + core.latency}


def no_pauses(sides: tuple[Pattern, Pattern]) -> bool:
    return all(side.never for side in sides)


def asked(core: Any, frames: int, sides: tuple[Pattern, Pattern], check_cycles: bool | None) -> bool:
    """Whether to run the cycle model: as told, else where nothing pauses and it takes seconds at most."""
    if check_cycles is not None:
        return check_cycles
    cheap = (frames * core.interval + core.latency) * len(core.network.parts) <= _CHEAP
    return core.model is not None and no_pauses(sides) and cheap


def predicted_cycles(core: Any, frames: int, sides: tuple[Pattern, Pattern]) -> int:
    """Clock cycles of a stream of frames by the core's cycle model."""
    return int(core.model.run(frames, *sides).cycles)


def surplus(form: Form) -> np.ndarray:
    """Per lane of every beat of a frame: whether it stands for no element."""
    return form.split(np.ones((1, *form.shape), np.int8)) == 0


def _times(form: Form, frames: int) -> tuple[int, ...]:
    return (frames, *(1 for _ in form.shape))


def _nearest_zero(t: Any) -> np.ndarray:
    return np.minimum(np.maximum(t.lo, 0), t.hi)


def _ports(layout: Layout, parts: Sequence[np.ndarray], nodes: Sequence[Node]) -> list[np.ndarray]:
    """Beats in the shapes of the ports; a node without elements has none."""
    kept = [p for p, n in zip(parts, nodes, strict=True) if n.type.size]
    return [p.reshape(len(p), *port.shape) for p, port in zip(kept, layout.ports, strict=True)]
