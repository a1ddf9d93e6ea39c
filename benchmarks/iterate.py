"""Every unit of the library on its example: certificate, measured error, sweeps, and time for a problem.

python benchmarks/iterate.py [--units NAME ...] [--repeats N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fxsim.iterate import zoo

COLUMNS = (
    ("unit", 18, ""), ("problems", 8, ""), ("stops by", 9, ""), ("norm", 4, ""), ("L", 7, ".4f"),
    ("certified, LSB", 14, ".2f"), ("measured, LSB", 13, ".2f"), ("sweeps", 9, ""), ("ended", 22, ""),
    ("us/problem, all", 15, ".1f"), ("us/problem, one", 15, ".1f"),
)  # fmt: skip


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median of several calls, the first one not counted."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def row(name: str, repeats: int) -> dict[str, Any]:
    """One unit: what is proven, what was measured."""
    example = zoo.example(name)
    unit = example.unit
    certificate = unit.certify()
    found = example.solve()
    lsb = Fraction(2) ** -found.fracs[0]
    radius = None if certificate.radius is None else max(Fraction(r) for r in np.ravel(certificate.radius))
    error = None if example.reference is None else max(example.errors(found).ravel())
    if radius is not None and error is not None and error > radius:
        raise ArithmeticError(
            f"{name} is {float(error)} from its solution, beyond the certified {float(radius)}"
        )
    steps, status = np.atleast_1d(found.steps), np.atleast_1d(found.status)
    ended = ", ".join(f"{int(np.sum(status == s))} {s}" for s in dict.fromkeys(status))
    n = len(steps)
    alone = single(example)
    return {
        "unit": name, "problems": n, "stops by": certificate.terminates_by, "norm": certificate.norm,
        "L": None if certificate.L is None else float(certificate.L),
        "certified, LSB": None if radius is None else float(radius / lsb),
        "measured, LSB": None if error is None else float(error / lsb),
        "sweeps": f"{steps.min()}..{steps.max()}", "ended": ended,
        "us/problem, all": 1e6 * seconds(example.solve, repeats) / n,
        "us/problem, one": 1e6 * seconds(alone, repeats),
    }  # fmt: skip


def single(example: Any) -> Callable[[], Any]:
    """A call that solves the first problem alone."""
    unit = example.unit
    ranks = {n.name: n.type.ndim for n in unit.map.inputs}

    def first(name: str, value: Any) -> Any:
        return np.asarray(value)[0] if np.ndim(value) > ranks[name] else value

    held = {k: first(k, v) for k, v in example.problems.items()}
    start = example.start
    if isinstance(start, dict):
        start = {k: first(k, v) for k, v in start.items()}
    elif start is not None:
        start = first(unit.state[0], start)
    return lambda: unit.solve_raw(start, **held)


def text(value: Any, form: str) -> str:
    if value is None:
        return "-"
    return format(value, form) if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", nargs="+", metavar="NAME", default=zoo.names(), help="default: all")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of which the median counts (5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    rows = []
    if not arguments.json:
        print("  ".join(f"{name:>{width}}" for name, width, _ in COLUMNS))
    for name in arguments.units:
        rows.append(row(name, arguments.repeats))
        if not arguments.json:
            print("  ".join(f"{text(rows[-1][c], form):>{width}}" for c, width, form in COLUMNS), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
