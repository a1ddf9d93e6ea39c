"""A model file through every reading: emulator = Verilog (native, and cocotb with pauses) = HLS C simulation.

The suite runs it on some models, `python -m tests.models.everywhere FILE...` on any (.xz archives too).
"""

from __future__ import annotations

import lzma
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fxsim
import hls
import rtl
from fxsim.data import digits_samples
from fxsim.graph import Graph
from fxsim.integers import Array

QUANTIZERS = ("quantize", "rescale", "curve", "table", "multithreshold")
SAMPLES, COCOTB = 500, 60
PAUSES = {"idle": 0.25, "backpressure": 0.25, "seed": 1}


@dataclass(frozen=True)
class Subject:
    """A graph whose quantizers' codes are all outputs, raw inputs, and the emulator's integers for them."""

    graph: Graph
    raw: Array
    want: list[Array]


def subject(path: Path, folder: Path) -> Subject:
    """The model and its inputs: images of the digits; else k / 255, or k where the file divides itself."""
    if path.suffix == ".xz":
        unpacked = folder / path.stem
        unpacked.write_bytes(lzma.decompress(path.read_bytes()))
        path = unpacked
    graph = fxsim.load(path)
    shape = graph.inputs[0].type.shape
    if graph.inputs[0].type.size == 64:
        x = digits_samples()[0][:SAMPLES].reshape(SAMPLES, *shape)
    else:
        whole = np.random.default_rng(0).integers(0, 256, (SAMPLES, *shape))
        x = whole.astype(np.float32) / np.float32(1 if path.name.startswith("finn") else 255)
    made = [o for b in graph.blocks if b.kind in QUANTIZERS for o in b.outputs]
    inner = [k for k, n in graph.names.items() if n.value in made and n.value not in graph.outputs]
    exposed = graph.exposing(*inner).with_name("everywhere")
    raw = exposed.encoders[0].encode(x, "x")
    want = exposed.run_raw(raw)
    return Subject(exposed, raw, list(want) if isinstance(want, tuple) else [want])


def verilog(s: Subject) -> dict[str, int]:
    """{simulator: mismatches}, one build of the core for both."""
    core = rtl.build(s.graph)
    found = {}
    for simulator, vectors in (("native", SAMPLES), ("cocotb", COCOTB)):
        result = rtl.verify(core, s.raw[:vectors], raw=True, simulator=simulator, **PAUSES)
        assert result.vectors == vectors
        found[simulator] = result.mismatches
    return found


def c_simulation(s: Subject, folder: Path) -> int:
    """Mismatches of the hls4ml project's C simulation over all samples and outputs."""
    found = hls.export(s.graph, folder).predict_raw(s.raw)
    found = list(found) if isinstance(found, tuple) else [found]
    return sum(int(np.sum(np.reshape(a, b.shape) != b)) for a, b in zip(found, s.want, strict=True))


def main(paths: list[str]) -> None:
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            s = subject(Path(path), Path(folder))
            names = ", ".join(s.graph.output_names)
            print(f"{Path(path).name}: {SAMPLES} samples, codes of {names}", flush=True)
            print("  Verilog, mismatches:", verilog(s), flush=True)
            print("  C simulation, mismatches:", c_simulation(s, Path(folder) / "project"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
