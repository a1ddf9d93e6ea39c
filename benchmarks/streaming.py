"""Streamed and folded cores in figures: schedules compared, a pixel a clock, image sizes, stalls.

python benchmarks/streaming.py [--schedules] [--fashion] [--sizes] [--stalls] [--fmax]; without a part, all of
them. PASS and FAIL lines compare what is printed above them; exit status 1 where one fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rtl
from benchmarks import streaming_fashion, streaming_sizes
from benchmarks.streaming_print import FAILED, check, table
from tests.models.streamed import (
    STALLS,
    digits,
    fashion,
    frames,
    keywords,
    keywords_schedule,
    pauses,
    prove,
    rate,
    run,
)  # fmt: skip

SCHEDULES = ("unrolled", "streamed", "folded(4)", "folded(1)")
PLACED = 20_000
"""LUTs of the largest core that is placed: beyond, nextpnr takes hours."""
CYCLES, FRAMES = 1_000_000, 20


def schedules(fmax: bool) -> None:
    """Cost and speed of the digits CNN in one schedule after the other."""
    raw, rows, costs, intervals = frames(digits(), 8), [], [], []
    for schedule in SCHEDULES:
        core = rtl.build(digits(), schedule=schedule)
        found = rtl.synth.report(core, "ecp5", layers=False)
        cells = found.synthesis
        costs.append(cells.lut + cells.lutram)
        placed = fmax and costs[-1] <= PLACED
        if placed:
            found = rtl.synth.report(core, "ecp5", layers=False, fmax=True)
        interval = getattr(core, "interval", 1)
        measured = rate(core, raw) if schedule != "unrolled" else unrolled_rate(core, raw)
        intervals.append(measured)
        check(measured == interval, f"{schedule}: {interval} clock cycles per frame, in Verilator {measured}")
        clock = f"{found.fmax.mhz:.0f}" if placed else "not placed"
        second = f"{found.fmax.mhz * 1e6 / float(interval):.0f}" if placed else ""
        rows.append((schedule, cells.lut, cells.ff, cells.lutram, cells.bram, clock, core.latency, interval,
                     measured, second))  # fmt: skip
    print("Digits CNN, 8 x 8 pixels, ecp5")
    print(table(("schedule", "LUT", "FF", "LUT as RAM", "block RAM", "Fmax MHz", "latency", "interval, model",
                 "interval, Verilator", "frames/s"), rows))  # fmt: skip
    check(costs == sorted(costs, reverse=True), f"LUTs fall: {costs}")
    check(intervals == sorted(intervals), f"cycles rise: {[int(i) for i in intervals]}")


def unrolled_rate(core: Any, raw: Any) -> int:
    few, many = (
        rtl.verify(core, raw[:n], raw=True, simulator="native", check_cycles=None) for n in (1, len(raw))
    )
    assert few and many
    return (many.cycles - few.cycles) // (len(raw) - 1)


def stalls() -> None:
    """Long runs under the pauses of the tests: exact codes, exact cycles."""
    models = {
        "digits CNN": (digits(), "streamed"),
        "fashion CNN": (fashion(), "streamed"),
        "keyword spotting": (keywords(), keywords_schedule()),
    }
    rows, wrong, off = [], 0, 0
    for name, (graph, schedule) in models.items():
        core = rtl.build(graph, schedule=schedule)
        start = time.perf_counter()
        prove(core.model)
        proof = time.perf_counter() - start
        for kind in STALLS:
            sides = pauses(core, kind)
            done = core.model.run(8, *sides).completions
            count = max(FRAMES, int(1.02 * CYCLES * 7 / (done[-1] - done[0])) + 1)
            found = run(core, frames(graph, count), sides)
            wrong += found.mismatches
            off += found.cycles != found.predicted
            rows.append((name, kind, found.frames, found.mismatches, found.cycles, found.predicted,
                         f"{proof:.2f} s"))  # fmt: skip
            print(".", end="", flush=True)
    print("\nA million clock cycles in Verilator under stalls")
    print(table(("model", "pauses", "frames", "mismatches", "cycles", "cycles of the model", "no deadlock"),
                rows))  # fmt: skip
    check(wrong == 0, f"{wrong} elements differ from the emulator")
    check(off == 0, f"{off} runs take other clock cycles than the model says")
    check(
        all(r[4] >= CYCLES and r[2] >= FRAMES for r in rows),
        f"every run has at least {CYCLES} cycles and {FRAMES} frames",
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("schedules", "fashion", "sizes", "stalls")
    for name in parts:
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--fmax", action="store_true", help="place cores with nextpnr, minutes each")
    given = parser.parse_args()
    chosen = [p for p in parts if getattr(given, p)] or list(parts)
    work = {
        "schedules": lambda: schedules(given.fmax), "fashion": lambda: streaming_fashion.run(given.fmax),
        "sizes": streaming_sizes.run, "stalls": stalls,
    }  # fmt: skip
    for part in chosen:
        work[part]()
        print()
    print(f"{len(FAILED)} checks failed")
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main())
