"""A window of cycles of a network's links as a waveform file, every element a signal of its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from vcd import VCDWriter

from fxsim.files import make_folder, write_text
from rtl.bench.recording import Window
from rtl.layout import Layout

CYCLE = 10
"""Units of time, ns, of a clock cycle: cycle c lasts from CYCLE * c, where the clock rises, to the next."""


@dataclass(frozen=True)
class Scope:
    """One link: the elements of its payload by `layout`, valid, ready; `signals` beside, one number a cycle.

    link      its place in the window
    signals   (name, bits, values (cycles,)): two's complement where a value is negative
    """

    name: str
    link: int
    layout: Layout
    signals: Sequence[tuple[str, int, np.ndarray]] = ()


def write(path: Path, window: Window, scopes: Sequence[Scope], comment: str = "") -> None:
    """Writes the .vcd file at once or not at all; the same window gives the same bytes."""
    out = io.StringIO()
    with VCDWriter(out, timescale="1 ns", date="", comment=comment) as writer:
        tracks = []
        count = len(window.valid)
        clock = writer.register_var("network", "clk", "wire", size=1, init=0)
        numbers = np.arange(window.start, window.start + count)
        tracks.append((writer.register_var("network", "cycle", "wire", size=64, init=0), numbers.tolist()))
        for scope in scopes:
            for name, bits, values in _signals(scope, window):
                mask = (1 << bits) - 1
                variable = writer.register_var(f"network.{scope.name}", name, "wire", size=bits, init=0)
                tracks.append((variable, [int(v) & mask for v in values]))
        for k in range(count):
            time = CYCLE * (window.start + k)
            writer.change(clock, time, 1)
            for variable, values in tracks:
                if not k or values[k] != values[k - 1]:
                    writer.change(variable, time, values[k])
            writer.change(clock, time + CYCLE // 2, 0)
        writer.close(CYCLE * (window.start + count))
    make_folder(path.parent)
    write_text(path, out.getvalue())


def _signals(scope: Scope, window: Window) -> list[tuple[str, int, np.ndarray]]:
    k = scope.link
    found = [("valid", 1, window.valid[:, k]), ("ready", 1, window.ready[:, k])]
    arrays = scope.layout.unpack(np.ascontiguousarray(window.payload[k]))
    for port, array in zip(scope.layout.ports, arrays, strict=True):
        lanes = array.reshape(len(array), port.lanes).T
        found += [(name, port.width, lane) for name, lane in zip(port.lane_names, lanes, strict=True)]
    return [*found, *scope.signals]
