"""The 28 x 28 fashion CNN, one pixel a clock: what each part costs, and LUTs per product a clock.

A product a clock is one of the network's multiply-accumulates that the hardware does in a cycle. An unrolled
core has a layer's logic once per position and does all products of a frame in each cycle; a streamed one has
the logic once. LUTs of logic and LUTs used as RAM are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import rtl
from benchmarks.streaming_print import check, table
from fxsim import ops
from fxsim.graph import Value
from rtl.schedule.core import StreamCore
from rtl.schedule.fold import Fold
from rtl.synth.layers import Layer
from tests.models.streamed import fashion, frames, rate

FAMILY = "ecp5"
KEPT = {"Fifo": "FIFO", "Lines": "lines", "Feeder": "buffer and weights", "Rom": "constants"}


@dataclass(frozen=True)
class Share:
    """A layer: products in a frame, positions, products a clock when streamed, LUTs of one position's logic,
    and of all that the streamed layer has."""

    name: str
    products: int
    positions: int
    at_once: int
    logic: int
    streamed: int

    @property
    def unrolled_each(self) -> float:
        return self.logic * self.positions / self.products

    @property
    def streamed_each(self) -> float:
        return self.streamed / self.at_once


def luts(rows: list[Layer], block: str | None = None, kind: str | None = None) -> int:
    kept = (r for r in rows if block in (None, r.name) and kind in (None, r.kind))
    return sum(r.utilization.lut + r.utilization.lutram for r in kept)


def shares(core: StreamCore, rows: list[Layer]) -> list[Share]:
    """Of every layer, pools too; the dense layer's own logic from a core in which it is not folded."""
    folds = {
        core.plan.name(v): p.detail for v, p in core.plan.placements.items() if isinstance(p.detail, Fold)
    }
    whole = rtl.build(fashion(), schedule={"*": "streamed"} | dict.fromkeys(folds, "unrolled"))
    dense = [r for r in rtl.synth.layers(whole, FAMILY) if r.kind == "Pipe"][-1]
    done = {}
    for v in core.graph.values:
        if isinstance(v, Value) and isinstance(v.op, ops.MatMul):
            positions = math.prod(v.type.shape[:-1])
            done[core.plan.name(v)] = positions * v.args[1].type.size, positions
    did = core.model.run(1).parts
    beats = {core.block_of[p.name]: s.fired for p, s in zip(core.network.parts, did, strict=True)}
    out = []
    for block in dict.fromkeys(r.name for r in rows if r.kind == "Pipe"):
        total, positions = done.get(block, (0, beats[block]))
        if block in folds:
            out.append(Share(block, total, 1, folds[block].pe, luts([dense]), luts(rows, block)))
        else:
            logic = luts(rows, block, "Pipe")
            out.append(Share(block, total, positions, total // positions, logic, luts(rows, block)))
    return out


def run(fmax: bool = False) -> None:
    core = rtl.build(fashion(), schedule="streamed")
    report = rtl.synth.report(core, FAMILY, fmax=fmax)
    rows, used = list(report.layers), report.synthesis
    print("Parts of the streamed fashion CNN, ecp5")
    classes = ("lut", "ff", "lutram", "bram")
    cells = [(r.part, r.kind, *(getattr(r.utilization, c) for c in classes), r.memory) for r in rows]
    cells.append(("whole core", "", *(getattr(used, c) for c in classes), core.memory))
    print(table(("part", "kind", "LUT", "FF", "LUT as RAM", "block RAM", "memory bits"), cells))
    if report.fmax is not None:
        print(f"Fmax {report.fmax.mhz:.1f} MHz: {report.samples_per_second:.0f} frames/s of 28 x 28 pixels")
    measured = rate(core, frames(fashion(), 8))
    check(
        measured == core.interval == 784, f"a pixel a clock: {measured} clock cycles per frame in Verilator"
    )
    kinds = {r.kind for r in rows if r.memory}
    most = max(r.memory for r in rows if r.kind == "Lines")
    check(
        kinds <= set(KEPT) and most < 26 * 26 * 32,
        f"memories are of {', '.join(sorted(KEPT[k] for k in kinds))} alone; lines of {most} bits at most, "
        f"where the widest layer has {26 * 26 * 32} bits a frame",
    )
    found = shares(core, rows)
    print("\nLUTs per product a clock")
    head = ("layer", "products a frame", "positions", "LUT a position", "LUT streamed", "products a clock")
    lines = [(s.name, s.products, s.positions, s.logic, s.streamed, *_each(s)) for s in found]
    print(table((*head, "each, unrolled", "each, streamed", "ratio"), lines))
    total, whole = sum(s.products for s in found), used.lut + used.lutram
    unrolled = sum(s.logic * s.positions for s in found)
    most, mean = sum(s.at_once for s in found), float(total / measured)
    print(f"unrolled: {unrolled} LUTs for {total} products a clock, {unrolled / total:.2f} each")
    print(f"streamed: {whole} LUTs for {most} products a clock where all fire, {whole / most:.2f} each")
    print(f"on average over a frame it does {mean:.1f} products a clock, {whole / mean:.2f} LUTs each")
    ratio = whole / most / (unrolled / total)
    check(ratio <= 1, f"LUTs per product a clock, whole network, streamed over unrolled: {ratio:.3f}")
    for s in found:
        if s.products:
            ratio = s.streamed_each / s.unrolled_each
            print(f"{s.name} by itself, a position's logic, FIFO and window over that logic: {ratio:.3f}")


def _each(s: Share) -> tuple[str, ...]:
    if not s.products:
        return ("", "", "", "")
    ratio = s.streamed_each / s.unrolled_each
    return str(s.at_once), f"{s.unrolled_each:.2f}", f"{s.streamed_each:.2f}", f"{ratio:.3f}"
