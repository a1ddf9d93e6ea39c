"""What a bench saw on the links inside a network: every transfer with its cycle, every cycle of a window."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PROBE = re.compile(r"\bprobe__(\d+)__payload\b")
"""The port with the payload of link K of a module that has probes; `probe__valid` and `probe__ready` have bit
K."""


@dataclass(frozen=True)
class Window:
    """Cycles start .. start + n - 1: valid and ready (n, links) bool, and per link the payload (n, words)."""

    start: int
    valid: np.ndarray
    ready: np.ndarray
    payload: list[np.ndarray]


@dataclass
class Recording:
    """Asks a bench for the transfers of every link, and holds what it saw of one run.

    bits      of every link's payload
    beats     the most transfers to keep of each link; `counts` has all of them
    window    (first cycle, cycle after the last) to keep whole, beside
    settle    clock cycles more, after the last output, in which beats still inside may move
    cycles    per link the clock cycle of each transfer kept, from 0, the first cycle after reset
    words     per link the payloads (n, words) as `Layout` packs them
    """

    bits: tuple[int, ...]
    beats: tuple[int, ...]
    settle: int = 0
    window: tuple[int, int] = (0, 0)
    counts: list[int] = field(default_factory=list)
    cycles: list[np.ndarray] = field(default_factory=list)
    words: list[np.ndarray] = field(default_factory=list)
    seen: Window | None = None

    @property
    def sizes(self) -> list[int]:
        """32-bit words of a payload of each link."""
        return [-(-b // 32) for b in self.bits]

    @property
    def flags(self) -> int:
        """32-bit words of one bit per link."""
        return -(-len(self.bits) // 32)

    def take_window(self, rows: np.ndarray) -> None:
        """`seen` from rows (n, words) of uint32: valid, ready, payload after payload."""
        links, at = len(self.bits), 2 * self.flags
        bits = [
            np.unpackbits(np.ascontiguousarray(rows[:, k * self.flags : (k + 1) * self.flags]).view(np.uint8),
                          axis=1, bitorder="little", count=links).astype(bool)
            for k in range(2)
        ]  # fmt: skip
        payload = []
        for size in self.sizes:
            payload.append(rows[:, at : at + size])
            at += size
        self.seen = Window(self.window[0], bits[0], bits[1], payload)

    # ---- cocotb: through files ----

    def to_json(self, path: Path) -> dict[str, Any]:
        return {
            "bits": self.bits, "beats": self.beats, "settle": self.settle, "window": self.window,
            "path": str(path),
        }  # fmt: skip

    def save(self, path: Path, rows: np.ndarray) -> None:
        """What `load` reads; the window as rows."""
        arrays = {f"cycles{k}": c for k, c in enumerate(self.cycles)}
        arrays |= {f"words{k}": w for k, w in enumerate(self.words)}
        np.savez(path, counts=np.array(self.counts), rows=rows, **arrays)

    def load(self, path: Path) -> None:
        with np.load(path) as data:
            self.counts = data["counts"].tolist()
            self.cycles = [data[f"cycles{k}"] for k in range(len(self.bits))]
            self.words = [data[f"words{k}"] for k in range(len(self.bits))]
            rows = data["rows"]
        if len(rows):
            self.take_window(rows)


# ---- the native library: C structures, and the text that names its ports ----


class CLink(ctypes.Structure):  # struct Link of native.cpp
    _fields_ = [("words", ctypes.c_void_p), ("cycles", ctypes.c_void_p)] + [
        (name, ctypes.c_int64) for name in ("capacity", "count", "size")
    ]


class CProbes(ctypes.Structure):  # struct Probes of native.cpp
    _fields_ = [("links", ctypes.POINTER(CLink)), ("window", ctypes.c_void_p)] + [
        (name, ctypes.c_int64) for name in ("from_", "until", "row", "rows")
    ]


class Buffers:
    """Memory for a recording in the native library: `probes` is what a job points to."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        sizes = recording.sizes
        kept = list(zip(recording.beats, sizes, strict=True))
        self.words = [np.zeros((n, size), np.uint32) for n, size in kept]
        self.cycles = [np.zeros(n, np.int64) for n in recording.beats]
        self.links = (CLink * len(sizes))(
            *(CLink(w.ctypes.data, c.ctypes.data, len(c), 0, w.shape[1])
              for w, c in zip(self.words, self.cycles, strict=True))
        )  # fmt: skip
        start, stop = recording.window
        self.rows = np.zeros((max(stop - start, 0), 2 * recording.flags + sum(sizes)), np.uint32)
        self.probes = CProbes(
            ctypes.cast(self.links, ctypes.POINTER(CLink)), self.rows.ctypes.data, start, stop,
            self.rows.shape[1], 0,
        )  # fmt: skip

    def finish(self) -> None:
        """Hands what was recorded to the recording."""
        r = self.recording
        r.counts = [int(k.count) for k in self.links]
        kept = [min(n, len(c)) for n, c in zip(r.counts, self.cycles, strict=True)]
        r.cycles = [c[:n] for n, c in zip(kept, self.cycles, strict=True)]
        r.words = [w[:n] for n, w in zip(kept, self.words, strict=True)]
        if self.probes.rows:
            r.take_window(self.rows[: self.probes.rows])


def probe_ports(ports: Sequence[str]) -> list[str]:
    """Those of a module's ports that probes have, in order."""
    numbers = sorted(int(m[1]) for p in ports if (m := PROBE.fullmatch(p)))
    return [*(f"probe__{k}__payload" for k in numbers), "probe__valid", "probe__ready"] if numbers else []


def header(ports: Sequence[str]) -> str:
    """probes.h, which native.cpp includes: the ports of the probes, by their names in C++."""
    found = probe_ports(ports)
    if not found:
        return "// no probes\n"
    names = [p.replace("__", "___05F") for p in found]
    each = " ".join(f"P({k}, {name})" for k, name in enumerate(names[:-2]))
    return f"#define FX_LINKS {len(names) - 2}\n#define FX_EACH_LINK(P) {each}\n"
