"""Adders of constant matrix products: ours, da4ml 0.6 and alkaid 0.8.2 on the same matrices, in one thread.

Every answer is evaluated again in exact integers and counted by one code (`peers/graphs.py`); imports and
compilation are not timed. "min" is the least depth; peers are asked for it by hard_dc=0, and an answer of
theirs that is deeper counts all the same and is marked.
"""

from __future__ import annotations

# ruff: noqa: E402
import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from peers import bars, luts, tools
from peers.bars import GREEDY, PEERS, SEARCH
from peers.matrices import FAMILIES, Case, cases, layers
from peers.measure import Row, as_data, run

MODES = ("min", "unlimited")
# The search gets a little less than its budget: what comes before and after its trials counts too.
SHARE = 0.96
LAYER_SECONDS = 10.0


def main() -> int:
    args = arguments()
    solvers = {**tools.peers(), GREEDY: tools.ours("fast", args.seed)}
    searches: dict[float, tools.Solver] = {}
    rows: list[Row] = []
    missing: list[str] = []
    cells: dict[str, dict[str, luts.Cells]] = {}
    for case, modes, seconds in plan(args, missing):
        these = dict(solvers)
        if seconds:
            if seconds not in searches:
                searches[seconds] = tools.ours(SHARE * seconds, args.seed)
            these[SEARCH] = searches[seconds]
        for mode in modes:
            row = run(case, mode, these, args.repeats, {SEARCH: seconds})
            rows.append(row)
            if not args.json:
                print(HEAD + "\n" + text(row) if len(rows) == 1 else text(row), flush=True)
            if args.luts:
                cells[label(row)] = {name: luts.of_graph(graph) for name, graph in row.graphs.items()}
                if not args.json:
                    print(f"    {luts.text(cells[label(row)])}")
    verdicts = bars.verdicts(rows) if args.bars else []
    if args.json:
        figures = {
            "rows": [as_data(row) for row in rows],
            "cells": {k: {n: c._asdict() for n, c in v.items()} for k, v in cells.items()},
            "missing": missing,
            "bars": [v._asdict() for v in verdicts],
        }
        print(json.dumps(figures, indent=1))
    else:
        notes = ["* deeper than the least depth of some matrices", *(f"not measured: {m}" for m in missing)]
        print(*notes, *verdicts, sep="\n")
    return int(not all(v.passed for v in verdicts))


def plan(args: argparse.Namespace, missing: list[str]) -> Iterator[tuple[Case, tuple[str, ...], float]]:
    """(case, modes, seconds of search or 0) in the table's order; appends to missing what is left out."""
    if args.bars:
        for n in args.sizes or bars.FAST_SIZES:
            seeds = tuple(args.seeds or range(bars.SEEDS.get(n, 1)))
            for case in cases("square", n, args.bits or bars.BITS.get(n, bars.OTHER_BITS), seeds):
                searched = n in bars.BUDGETS
                yield case, tuple(args.modes) if searched else ("min",), bars.BUDGETS.get(n, 0.0)
        return
    seeds = tuple(args.seeds or [0])
    for family in args.families:
        sizes = args.sizes or {"square": (8, 16, 32), "tall": (64,), "wide": (64,)}.get(family, (16,))
        bits = args.bits or ([4, 6, 8] if family == "square" else [6])
        for n in sizes:
            for case in cases(family, n, bits, seeds):
                yield case, tuple(args.modes), args.seconds if args.seconds is not None else budget(case)
    for path in args.models:
        found, absent = layers(path)
        missing += absent
        for case in found:
            if case.matrices[0].size > args.largest:
                missing.append(f"{case.family}: {case.shape} has more elements than --largest {args.largest}")
                continue
            seconds = args.seconds if args.seconds is not None else min(budget(case), LAYER_SECONDS)
            yield case, tuple(args.modes), seconds


def budget(case: Case) -> float:
    """The bars' seconds of the smallest square with as many elements; beyond the largest, the largest's."""
    elements = case.shape[0] * case.shape[1]
    return next((s for n, s in bars.BUDGETS.items() if n * n >= elements), max(bars.BUDGETS.values()))


PEER_COLUMNS = f"{'adders':>8}{'depth':>6}{'bits':>8}{'s':>8}"
OWN_COLUMNS = f"{'adders':>8}{'gain':>7}{'depth':>6}{'bits':>8}{'s':>8}"
HEAD = (
    f"{'':48}{'da4ml':>30}{'alkaid':>30}{'one greedy pass':>37}{'search':>37}\n"
    f"{'matrix, bits, mode':48}{PEER_COLUMNS * 2}{OWN_COLUMNS * 2}"
)


def label(row: Row) -> str:
    shape = "x".join(map(str, row.case.shape))
    return f"{row.case.family} {shape}, {row.case.bits}, {row.mode}"


def text(row: Row) -> str:
    """Means over the seeds; gain is per cent fewer adders than the better peer's mean."""
    line = f"{label(row):48}"
    for name in (*PEERS, GREEDY, SEARCH):
        if name not in row.costs:
            continue
        seconds = sum(row.seconds[name]) / len(row.seconds[name])
        line += f"{row.mean(name):8.1f}"
        if name not in PEERS:
            line += f"{row.gain(name, PEERS):6.1f}%"
        mark = "*" if row.mode == "min" and row.too_deep(name) else " "
        line += f"{row.mean(name, 'depth'):6.1f}{mark}{row.mean(name, 'bits'):7.0f}{seconds:8.4f}"
    return line


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES), help="default: all")
    add("--sizes", type=int, nargs="+", help="default: 8 16 32 for square, 64 for tall and wide, else 16")
    add("--bits", type=int, nargs="+", help="of the elements (default: 4 6 8 for square, else 6)")
    add("--seeds", type=int, nargs="+", help="of the matrices (default: 0)")
    add("--modes", nargs="+", default=list(MODES), choices=MODES, help="default: both")
    add(
        "--seconds",
        type=float,
        help="of search for each matrix; 0: none (default: the bars' budget for its size)",
    )
    add("--seed", type=int, default=0, help="of the search (default: 0)")
    add(
        "--models",
        type=Path,
        nargs="*",
        default=[ROOT / "fxsim" / "data"],
        help="ONNX files or folders of them",
    )
    add(
        "--largest",
        type=int,
        default=8192,
        help="elements of a layer that is measured (default: %(default)s)",
    )
    add("--repeats", type=int, default=5, help="of calls shorter than a second (default: %(default)s)")
    add("--luts", action="store_true", help="also LUTs by yosys of each case's first matrix (minutes)")
    add(
        "--bars",
        action="store_true",
        help="only the squares that the bars are about, and PASS or FAIL of each",
    )
    add("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
