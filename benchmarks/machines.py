"""One line per machine: state and figures on ecp5, the clock as nextpnr finds it, speed of the emulator.

The clock is that of one placement of the whole core; a machine takes one sample in each cycle. The
emulator runs 1024 streams side by side.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import rtl
from fxsim import SQ, Machine
from fxsim.layers import (
    Lfsr,
    Muvera,
    Spsa,
    descend,
    econtrol,
    error_feedback,
    stochastic_rounder,
    ternary_planes,
    weighted_squares,
)

STREAMS, TIME = 1024, 50
SAT12 = SQ(12, 0, overflow="SAT")
TOKENS = Muvera(SQ(1, 7), ternary_planes((1, 2, 4)), tokens=32)
MACHINES = {
    "stochastic_rounder, 4 x 16 to 8 bits": lambda: stochastic_rounder(
        SQ(8, 8), SQ(8, 0, overflow="SAT"), (4,), Lfsr("lfsr32", 1)
    ),
    "descend, 4 parameters of 12 bits": lambda: descend(
        Spsa(SAT12, 16, 10), weighted_squares([1, 2, 3, 4]), [256, -256, 128, 512]
    ),
    "Muvera.query, 4 elements, 4 clusters": TOKENS.query,
    "error_feedback, 4 x 16 to 8 bits": lambda: error_feedback(SQ(7, 9), SQ(8, 0, rounding="RND"), (4,)),
    "econtrol, 4 x 16 to 4 bits": lambda: econtrol(
        SQ(7, 9), SQ(7, -3, rounding="RND", overflow="SAT"), SQ(12, 9, overflow="SAT"),
        SQ(8, -3, overflow="SAT"), 2, (4,),
    ),
    "Muvera.document, the same tokens": TOKENS.document,
}  # fmt: skip


def speed(machine: Machine) -> float:
    """Steps per second of the emulator, over all streams."""
    rng = np.random.default_rng(0)
    types = [n.type for n in machine.step.inputs[machine.states :]]
    x = [rng.integers(t.bounds[0], t.bounds[1] + 1, (STREAMS, TIME, *t.shape)) for t in types]
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        machine.run_raw(*x) if x else machine.free_run(STREAMS, TIME)
        best = min(best, time.process_time() - start)
    return STREAMS * TIME / best


def main() -> None:
    print(
        "| machine | state bits | adders | LUT | FF | MHz | emulated steps/s |\n|---|---|---|---|---|---|---|"
    )
    for name, build in MACHINES.items():
        machine = build()
        core = rtl.build(machine)
        report = rtl.synth.report(core, "ecp5", layers=False, fmax=True, seeds=1)
        cells = report.synthesis
        print(
            f"| {name} | {core.state.layout.bits} | {core.adders} | {cells.lut} | {cells.ff} "
            f"| {report.fmax.mhz:.0f} | {speed(machine) / 1e6:.2f} million |",
            flush=True,
        )


if __name__ == "__main__":
    main()
