"""Every link inside a network against the emulator: the first block that gives a wrong code, and when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.boundary import Affine
from fxsim.graph import Graph, Input, Node
from rtl.bench.frames import merged, place, surplus
from rtl.bench.recording import Recording
from rtl.layout import Layout, Port
from rtl.lower.names import Names
from rtl.stream.network import Link

BEFORE, AFTER = 50, 20
"""Clock cycles of the waveform before the first difference, and from it on."""

_ELEMENTS = 1 << 22  # codes of the emulator that are held at once


@dataclass(frozen=True)
class ProbeDifference:
    """The first difference inside a network: of its parts in stream order the first that gives a wrong beat.

    part     name of the part that gives it; "input" is the network's own input
    link     from where to where it travels
    value    what it carries: its name in the graph, or the block or op that computes it
    sample   frame, and index in the tensor of the first element that differs, beat of the frame
    cycle    clock cycle, from the first after reset, in which the beat moved
    got      the element's raw integer; None where the beat never came, and then cycle is the link's last
    want     what the emulator says; None for a beat beyond the end of the stream
    waves    file with the cycles around it
    """

    part: str
    title: str
    link: str
    value: str
    sample: int
    index: tuple[int, ...]
    beat: int
    cycle: int
    got: int | None
    want: int | None
    waves: str | None = None

    def __str__(self) -> str:
        where = f"beat {self.beat} of sample {self.sample}"
        if self.got is None:
            text = f"{where} of {self.value} never came; the last beat came in cycle {self.cycle}"
        elif self.want is None:
            text = f"{where} of {self.value} is beyond the end of the stream, in cycle {self.cycle}"
        else:
            element = self.value + (str(list(self.index)) if self.index else "")
            text = (
                f"sample {self.sample}, {element} ({where}, cycle {self.cycle}): "
                f"got {self.got}, want {self.want}"
            )
        waves = f"; waves in {self.waves}" if self.waves else ""
        return f"{self.part} ({self.title}), {self.link}: {text}{waves}"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"index": list(self.index)}


@dataclass
class _Found:
    """The first difference on one link so far, by beat of the stream."""

    beat: int
    lane: int
    got: int
    want: int


@dataclass
class Probe:
    """What the links of a core must carry for these stimuli (as `rtl.verify.vectors` gives them).

    frames   at most so many are compared, element by element; beats are counted of all
    """

    core: Any
    inputs: Sequence[np.ndarray]
    frames: int | None = None
    links: list[Link] = field(init=False)
    checked: list[int] = field(init=False)

    def __post_init__(self) -> None:
        network = self.core.network
        self.links = network.links
        places = {part: k for k, part in enumerate(network.parts)}
        with_codes = [k for k, link in enumerate(self.links) if link.carries is not None]
        # In stream order: what a part gives stands behind what any part before it gives.
        self.checked = sorted(with_codes, key=lambda k: places.get(self.links[k].source, -1))
        for k in self.checked:
            link = self.links[k]
            if link.carries.bits != link.bits:
                raise ValueError(f"link {link} must have {link.carries.bits} bits, not {link.bits}")
        self.total = len(self.inputs[0]) // self.core.beats_in
        self.samples = self.total if self.frames is None else min(self.frames, self.total)

    def recording(self, window: tuple[int, int] = (0, 0)) -> Recording:
        """For a run: every transfer of every link that carries codes."""
        kept = [0] * len(self.links)
        for k in self.checked:
            kept[k] = self.samples * self.links[k].carries.form.beats
        settle = math.ceil(self.core.interval) + self.core.latency
        return Recording(tuple(link.bits for link in self.links), tuple(kept), settle, window)

    def compare(self, seen: Recording, ended: bool = True) -> ProbeDifference | None:
        """The first difference; surplus lanes are not compared. Missing beats are one if the run ended."""
        if not self.checked:
            return None
        found = self._codes(seen)
        for k in self.checked:
            per_frame = self.links[k].carries.form.beats
            count = self.total * per_frame
            if k in found:
                return self._difference(k, found[k], int(seen.cycles[k][found[k].beat]))
            if ended and seen.counts[k] != count:
                beat = min(seen.counts[k], count)
                missing = seen.counts[k] < count
                cycle = int(seen.cycles[k][-1]) if len(seen.cycles[k]) else -1
                return self._difference(k, _Found(beat, 0, 0, 0), cycle, missing, not missing)
        return None

    def progress(self, seen: Recording) -> str:
        """How far every link came, for a run that did not end."""
        rows = [
            f"  {self.links[k]}: {seen.counts[k]} of {self.total * self.links[k].carries.form.beats}"
            for k in self.checked
        ]
        return "\n".join(["beats that moved on each link, in stream order:", *rows])

    def _codes(self, seen: Recording) -> dict[int, _Found]:
        """Of every link with a wrong code the first, by beat."""
        forms = [self.links[k].carries.form for k in self.checked]
        graph = exposing(self.core.graph, [self.links[k].carries.node for k in self.checked])
        frames = merged(self.core, self.inputs)
        size = sum(node.type.size for node in graph.outputs)
        step = max(1, _ELEMENTS // max(size, 1))
        found: dict[int, _Found] = {}
        for start in range(0, self.samples, step):
            stop = min(start + step, self.samples)
            result = graph.run_raw(*(a[start:stop] for a in frames))
            values = result if isinstance(result, tuple) else (result,)
            for k, form, want in zip(self.checked, forms, values, strict=True):
                if k not in found:
                    first = self._first(k, seen, start * form.beats, form.split(np.asarray(want)))
                    if first is not None:
                        found[k] = first
        return found

    def _first(self, k: int, seen: Recording, start: int, want: np.ndarray) -> _Found | None:
        form, layout = self.links[k].carries.form, payload(self.links[k])
        words = seen.words[k][start : start + len(want)]
        (got,) = layout.unpack(np.ascontiguousarray(words))
        got = got.reshape(len(got), -1)
        want = want.reshape(len(want), -1)[: len(got)]
        differs = np.asarray(got != want, bool)
        if not differs.any():
            return None
        if form.ragged:
            idle = surplus(form).reshape(form.beats, -1)
            differs &= ~idle[np.arange(start, start + len(got)) % form.beats]
        at = int(np.argmax(differs))
        if not differs.flat[at]:
            return None
        beat, lane = divmod(at, differs.shape[1])
        return _Found(start + beat, lane, int(got[beat, lane]), int(want[beat, lane]))

    def _difference(
        self, k: int, found: _Found, cycle: int, missing: bool = False, beyond: bool = False
    ) -> ProbeDifference:
        link = self.links[k]
        form = link.carries.form
        frame, beat = divmod(found.beat, form.beats)
        part = link.source
        return ProbeDifference(
            "input" if part is None else part.name, "stimulus" if part is None else part.title, str(link),
            name_of(self.core.graph, link.carries.node), frame, place(form, beat, found.lane), beat, cycle,
            None if missing else found.got, None if beyond else found.want,
        )  # fmt: skip


def exposing(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """The same graph with these nodes as its outputs, one each, a node perhaps more than once."""
    names = tuple(f"probe{k}" for k in range(len(nodes)))
    return dataclasses.replace(
        graph, outputs=tuple(nodes), output_names=names, output_affines=(Affine(),) * len(nodes)
    )


def name_of(graph: Graph, node: Node) -> str:
    """A value's name in the graph, or what names it in the hardware: the block, or the op."""
    if isinstance(node, Input):
        return node.name
    for name, found in graph.names.items():
        if found.value is node:
            return name
    for name, output in zip(graph.output_names, graph.outputs, strict=True):
        if output is node:
            return name
    return Names(graph).base[node]


def payload(link: Link) -> Layout:
    """The elements of a link's beat; one number where nothing is known of it."""
    if link.carries is None:
        return Layout((Port("payload", (), link.bits, False),))
    t = link.carries.type
    return Layout((Port("e", t.shape, t.max_width, t.bounds[0] < 0, t.frac),))


def probed(
    core: Any,
    run: Callable[..., dict[str, Any]],
    inputs: Sequence[np.ndarray],
    frames: int | None,
    waves: Any = None,
) -> tuple[dict[str, Any], ProbeDifference | None, int]:
    """(what the run found, the first difference on a link, links compared); run takes a `recording`.

    Where something differs and `waves` names a file, the run is repeated for the cycles around it. An error
    of the run tells how far each link came.
    """
    probe = Probe(core, inputs, frames)
    seen = probe.recording()
    try:
        found = run(recording=seen)
    except (TimeoutError, RuntimeError) as error:
        if not seen.counts:
            raise
        early = probe.compare(seen, ended=False)
        told = "" if early is None else f"\nfirst block that differs: {early}"
        raise type(error)(f"{error}\n{probe.progress(seen)}{told}") from error
    first = probe.compare(seen)
    if first is not None and waves is not None:
        from rtl.probe_waves import write

        again = probe.recording((max(first.cycle - BEFORE, 0), max(first.cycle, 0) + AFTER))
        run(recording=again)
        first = dataclasses.replace(first, waves=str(write(Path(waves), probe, again, first)))
    return found, first, len(probe.checked)
