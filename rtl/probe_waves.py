"""The waveform around a difference inside a network: the links of the part that gives it and of the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtl.bench import vcd
from rtl.bench.recording import Recording
from rtl.lower.names import identifier
from rtl.probe import Probe, ProbeDifference, exposing, merged, payload
from rtl.stream.network import Link


def near(links: list[Link], link: Link) -> list[Link]:
    """The links of the part that gives `link` and of the part that takes it."""
    parts = [part for part in (link.source, link.target) if part is not None]
    return [k for k in links if k is link or k.source in parts or k.target in parts]


def write(path: Path, probe: Probe, seen: Recording, first: ProbeDifference) -> Path:
    """Writes the window of `seen`: of each link near the difference valid, ready, the elements of the payload
    (lane by lane, `e_...`), the frame and the beat that is offered, and on the link that differs what the
    emulator wants (`want_...`)."""
    assert seen.seen is not None
    links = probe.links
    wrong = next(k for k in probe.checked if str(links[k]) == first.link)
    scopes = []
    for link in near(links, links[wrong]):
        k = links.index(link)
        signals = []
        if link.carries is not None:
            numbers = _beats(seen, k)
            beats = link.carries.form.beats
            signals = [("frame", 32, numbers // beats), ("beat", 32, numbers % beats)]
            if k == wrong:
                signals += _wanted(probe, link, numbers)
        scopes.append(vcd.Scope(_scope(link), k, payload(link), signals))
    vcd.write(path, seen.seen, scopes, str(first))
    return path


def _beats(seen: Recording, k: int) -> np.ndarray:
    """Per cycle of the window the number of the beat that is, or will be, offered."""
    assert seen.seen is not None
    start, count = seen.seen.start, len(seen.seen.valid)
    return np.searchsorted(seen.cycles[k], np.arange(start, start + count))


def _wanted(probe: Probe, link: Link, numbers: np.ndarray) -> list[tuple[str, int, np.ndarray]]:
    form = link.carries.form
    frames = np.minimum(numbers // form.beats, probe.samples - 1)
    low, high = int(frames.min()), int(frames.max()) + 1
    graph = exposing(probe.core.graph, [link.carries.node])
    values = np.asarray(graph.run_raw(*(a[low:high] for a in merged(probe.core, probe.inputs))))
    beats = form.split(values).reshape((high - low) * form.beats, -1)
    rows = beats[np.clip(numbers - low * form.beats, 0, len(beats) - 1)]
    (port,) = payload(link).ports
    return [
        (f"want_{name}", port.width, rows[:, lane])
        for lane, name in enumerate(n.removeprefix("e_") for n in port.lane_names)
    ]


def _scope(link: Link) -> str:
    return identifier(f"{link.wire}_to_{'output' if link.target is None else link.target.name}")
