"""Iteration units as hardware: the graph solver of 8 nodes part by part, and the library's examples.

    python benchmarks/iterate_hardware.py            both tables
    python benchmarks/iterate_hardware.py cgs        the first
    python benchmarks/iterate_hardware.py fold       a dense map on 1, 4 or all 32 processing elements
    python benchmarks/iterate_hardware.py NAME ...   the second, of these files of fxsim/iterate/zoo

LUT of Xilinx 7 by `synth_xilinx -nodsp -flatten`; LUT, FF and the clock of one placement on ecp5. Solves per
second are those of full slots at that clock, by the mean number of sweeps over the example's problems.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import fxsim.iterate as it
import rtl
from fxsim import SQ
from fxsim.iterate.bare import bare
from rtl.synth.mapping import run, target

# x <- round(A x / 2**7) + b of a graph with 8 nodes, A raw at 6 fraction bits, gamma = 1/2; b at 10.
A = [
    [0, 5, 6, 0, 0, 8, 0, 0], [0, 0, 0, 0, 3, 12, 0, 21], [0, 0, 0, 7, 14, 1, 0, 0],
    [0, 21, 8, 0, 0, 10, 0, 0], [21, 15, 0, 0, 0, 8, 0, 0], [3, 0, 8, 0, 18, 0, 0, 0],
    [0, 2, 0, 0, 19, 0, 0, 0], [0, 16, 6, 0, 0, 1, 0, 0],
]  # fmt: skip
B = [935, 529, -358, 775, -237, -815, 191, 716]
STATE = SQ(4, 10, overflow="SAT")


def cgs8(update: Any, stop: Any = None, schedule: Any = None, cap: int = 1000) -> Any:
    """The unit of A; with `assign("RND")` the product is rounded, as b lies on the grid."""

    def step(x: Any, b: Any) -> Any:
        return ((x.builder.constant(A) @ x) >> 7) + b

    return it.unit(
        step, {"x": (STATE, 8)}, {"b": (SQ(3, 10), 8)}, update=update, stop=stop, schedule=schedule, cap=cap,
        name="cgs8",
    )  # fmt: skip


def slices(core: Any) -> Any:
    """Cells of a core on Xilinx 7, without multiplier blocks."""
    family = target("xc7")
    return run(core.verilog(), core.top, family, f"{family.synth} -nodsp")


def cgs_designs() -> Iterator[tuple[str, Any, Any]]:
    """(what, its core, its unit)"""
    nearest = cgs8(it.assign("RND"))
    yield "datapath: nearest, stop where unchanged", rtl.build(bare(nearest)), nearest
    truncated = cgs8(it.increment_trunc())
    yield "datapath: increments truncated", rtl.build(bare(truncated)), truncated
    yield (
        "with streams, cap 1000, status, cancel", rtl.build(truncated, start=False, max_depth_per_stage=None),
        truncated,
    )  # fmt: skip
    yield "and the start in the stream", rtl.build(truncated, max_depth_per_stage=None), truncated
    yield "and several slots (4 adders a stage)", rtl.build(truncated), truncated


def cgs_table() -> None:
    print("| cgs8 | adders | LUT xc7 | FF | CARRY4 | DSP | slots | clocks per solve |\n" + "|---" * 8 + "|")
    for what, core, unit in cgs_designs():
        cells, slots = slices(core), getattr(core, "slots", 1)
        steps = int(unit.solve_raw(certified=False, b=B).steps)
        print(
            f"| {what} | {core.adders} | {cells.lut} | {cells.ff} | {cells.carry} | {cells.dsp} | {slots} "
            f"| {steps} |",
            flush=True,
        )


def fold_table() -> None:
    """A dense 32 x 32 map of coefficients in -3..3, a state of 8 bits."""
    m = np.random.default_rng(0).integers(-3, 4, (32, 32))

    def step(x: Any, b: Any) -> Any:
        return ((x.builder.constant(m) @ x) >> 7) + b

    print("| schedule | clocks per sweep | adders | LUT xc7 | FF | CARRY4 |\n" + "|---" * 6 + "|")
    for schedule in (it.folded(1), it.folded(4), it.parallel()):
        unit = it.unit(
            step,
            {"x": (SQ(4, 4, overflow="SAT"), 32)},
            {"b": (SQ(3, 4), 32)},
            schedule=schedule,
            name="dense",
        )
        core = rtl.build(unit, start=False, max_depth_per_stage=None)
        cells = slices(core)
        what = f"{schedule.kind}({schedule.size or ''})"
        print(
            f"| {what} | {core.clocks} | {core.adders} | {cells.lut} | {cells.ff} | {cells.carry} |",
            flush=True,
        )


def smaller(name: str) -> tuple[Any, np.ndarray]:
    """(unit, sweeps of its problems) of a module: its example, or a small one where that is slow to place."""
    from fxsim.iterate import zoo
    from fxsim.iterate.zoo.equilibrium import digits_network
    from fxsim.iterate.zoo.mirror_prox import rock_paper_scissors

    rng = np.random.default_rng(0)
    if name == "affine":
        unit, problems, start = cgs8(it.increment_trunc()), {"b": np.array([B])}, None
    elif name == "equilibrium":
        W, b, _ = digits_network(6)
        unit, problems, start = zoo.forward_backward(W, frac=8), {"b": b[:8] // 4}, None
    elif name == "mean_field":
        unit = zoo.mean_field(np.array([[0, 0.5], [0.5, 0]]), 2, shared=True, frac=6)
        problems, start = {"b": rng.integers(-32, 1, (8, 2, 2))}, None
    elif name == "mirror_prox":
        unit = zoo.mirror_prox(rock_paper_scissors(3), 0.25, frac=6)
        problems, start = {"l_ref": np.array([[0, -40, -90], [-70, 0, -10], [-5, -60, 0]])}, None
    elif name == "power":
        friends = np.eye(4, dtype=np.int64) + rng.integers(0, 2, (4, 4))
        unit = zoo.power_iteration(friends + friends.T, frac=6, coefficient_frac=6)
        problems, start = {}, rng.integers(16, 64, (8, 4))
    else:
        example = zoo.example(name)
        return example.unit, example.solve().steps
    return unit, unit.solve_raw(start, **problems).steps


def zoo_table(names: Iterable[str], **options: Any) -> None:
    """One line per module of the library."""
    print(
        "| unit | slots | adders | LUT xc7 | LUT ecp5 | FF ecp5 | MHz ecp5 | sweeps | clocks per solve "
        "| solves/s |\n" + "|---" * 10 + "|"
    )
    for name in names:
        unit, steps = smaller(name)
        core, sweeps = rtl.build(unit, **options), float(np.mean(steps))
        clocks = sweeps * core.clocks
        try:
            report = rtl.synth.report(core, "ecp5", layers=False, fmax=True, seeds=1)
            speed = f"{report.fmax.mhz:.0f}", f"{report.fmax.mhz * 1e6 / clocks:.3g}"
        except ValueError as error:
            if "must fit the device" not in str(error):
                raise
            report = rtl.synth.report(core, "ecp5", layers=False)
            speed = "does not fit", "-"
        print(
            f"| {name} | {core.slots} | {core.adders} | {slices(core).lut} | {report.synthesis.lut} "
            f"| {report.synthesis.ff} | {speed[0]} | {sweeps:.1f} | {clocks:.1f} | {speed[1]} |",
            flush=True,
        )


def main(names: list[str]) -> None:
    if not names or names == ["cgs"]:
        cgs_table()
    if names == ["fold"]:
        fold_table()
    elif names != ["cgs"]:
        import fxsim.iterate.zoo

        print()
        zoo_table(names or fxsim.iterate.zoo.names())


if __name__ == "__main__":
    main(sys.argv[1:])
