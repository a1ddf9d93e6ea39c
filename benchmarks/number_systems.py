"""One line per cell of a number system: LUTs; of its MAC LUTs and clock on ecp5; speed of the emulator.

A cell is a graph of `benchmarks/cells`, its LUTs those of the core without registers between input and
output, by `synth_xilinx -family xc7 -flatten -noiopad` (there are no multipliers to infer), less those of a
core that is a wire. The MAC adds the cell's output to a sum of 16 bits more.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np

import fxsim
import rtl
from fxsim.graph import Graph, Node, Value
from fxsim.trace import Builder, Tensor
from rtl import synth

MODULES = sorted(p.stem for p in (Path(__file__).parent / "cells").glob("*.py") if p.stem != "__init__")
ROWS = 100_000  # operands per timed call of the emulator
MORE = 16  # bits of a sum beyond the product


class Cell(NamedTuple):
    """graph; the most LUTs that it may take; the real function that it computes, and whether its error is
    relative."""

    graph: Graph
    bar: int | None
    real: Callable[..., np.ndarray] | None
    relative: bool


def cells() -> dict[str, Cell]:
    """In the order of the files."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"cells.{name}")
        bars, real, relative = (getattr(module, k, {}) for k in ("BARS", "REAL", "RELATIVE"))
        for cell, build in module.CELLS.items():
            found[cell] = Cell(build(), bars.get(cell), real.get(cell), cell in relative)
    return found


def luts(graph: Graph, target: str = "xc7") -> int:
    core = rtl.build(graph, max_depth_per_stage=None)
    return synth.synthesize(core.verilog(), core.top, target).lut


def mac(graph: Graph) -> Graph:
    """The cell and an adder: its inputs and a sum in, the new sum out."""
    builder = Builder(f"mac_{graph.name}")
    made: dict[Node, Tensor] = {}
    for node, encoder in zip(graph.inputs, graph.encoders, strict=True):
        made[node] = builder.input(node.name, node.type, encoder)
    out = graph.outputs[0].type
    width = out.max_width + MORE
    wide = fxsim.Format(width, width - out.frac, True)
    encoder = fxsim.trace(lambda a: a, wide).encoders[0]
    total = builder.input("sum_in", fxsim.trace(lambda a: a, wide, shape=out.shape).inputs[0].type, encoder)
    for node in graph.values:
        if isinstance(node, Value):
            made[node] = builder.apply(node.op, *(made[a] for a in node.args))
    return builder.finish([(made[graph.outputs[0]] + total).cast(wide)])


def operands(graph: Graph) -> list[np.ndarray]:
    """All of them where they are at most 2**16, else `ROWS` random ones: raw."""
    ends = [node.type.bounds for node in graph.inputs]
    count = math.prod(hi - lo + 1 for lo, hi in ends)
    if count <= 1 << 16 and all(not node.type.shape for node in graph.inputs):
        grid = np.meshgrid(*(np.arange(lo, hi + 1) for lo, hi in ends), indexing="ij")
        return [g.ravel() for g in grid]
    return _random(graph)


def _random(graph: Graph) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    ends = [(*node.type.bounds, node.type.shape) for node in graph.inputs]
    return [rng.integers(lo, hi + 1, size=(ROWS, *shape)) for lo, hi, shape in ends]


def worst(cell: Cell) -> str:
    """The largest error against the real function within the output's range, in LSB or relative; no NaN."""
    assert cell.real is not None
    raw = operands(cell.graph)
    out = cell.graph.outputs[0].type
    values = np.asarray(cell.graph.run_raw(*raw)) * 2.0**-out.frac
    inputs = [r * 2.0**-node.type.frac for r, node in zip(raw, cell.graph.inputs, strict=True)]
    lo, hi = (end * 2.0**-out.frac for end in out.bounds)
    real = np.clip(cell.real(*inputs), lo, hi)
    error = np.abs(values - real)
    if cell.relative:
        return f"{100 * np.nanmax(error / np.abs(real)):.3g} %"
    return f"{np.nanmax(error) * 2.0**out.frac:.3g} LSB"


def speed(graph: Graph) -> float:
    """Cells per second of the emulator, on `ROWS` random operands, the median of five."""
    raw = _random(graph)
    seconds = []
    for _ in range(6):
        start = time.process_time()
        graph.run_raw(*raw)
        seconds.append(time.process_time() - start)
    return ROWS / statistics.median(seconds[1:])


def measure(name: str, cell: Cell, wire: int, clock: bool) -> dict[str, Any]:
    graph = cell.graph
    row: dict[str, Any] = {"cell": name, "LUT": luts(graph) - wire, "bar": cell.bar, "cells/s": speed(graph)}
    if cell.real is not None:
        row["worst error"] = worst(cell)
    if clock:
        whole = mac(graph)
        core = rtl.build(whole, max_depth_per_stage=4)
        row["MAC LUT (ecp5)"] = synth.synthesize(core.verilog(), core.top, "ecp5").lut
        row["MAC MHz (ecp5)"] = synth.fmax(core.verilog(), core.top, "ecp5", seeds=1).mhz
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--clock", action="store_true", help="also the MAC on ecp5, placed and routed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    known = cells()
    for name in args.cells or ():
        if name not in known:
            parser.error(f"cell must be one of {', '.join(known)}, not {name!r}")
    wire = luts(fxsim.trace(lambda x: x, fxsim.SQ(8, 0), name="wire"))
    rows = []
    for name in args.cells or known:
        rows.append(measure(name, known[name], wire, args.clock))
        if not args.json:
            print("  ".join(f"{k} {_text(v)}" for k, v in rows[-1].items() if v is not None), flush=True)
    if args.json:
        print(json.dumps(rows, indent=1))
    worse = [row["cell"] for row in rows if row["bar"] is not None and row["LUT"] > row["bar"]]
    for name in worse:
        print(f"FAIL  {name} takes more LUTs than its bar", file=sys.stderr)
    return int(bool(worse))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
