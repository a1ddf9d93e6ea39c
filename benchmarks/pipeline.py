"""Latency, registers and adders of the shipped models against the depth of a pipeline stage."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fxsim
import rtl
from fxsim.data import DIGITS, digits_model

DEPTHS = (1, 2, 4, 8, None)
COLUMNS = ("max_depth_per_stage", "stages", "latency", "register bits", "adders", "depth")


def rows(model: str) -> list[tuple[int | float | None, ...]]:
    """One row of COLUMNS per depth; depth in adders, latency in clock cycles."""
    graph = fxsim.load(digits_model(model))
    cores = [rtl.build(graph, max_depth_per_stage=d) for d in DEPTHS]
    return [
        (d, c.plan.stages, c.latency, c.registers, c.adders, c.depth)
        for d, c in zip(DEPTHS, cores, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as data")
    found = {model: rows(model) for model in DIGITS[:2]}  # the fully connected ones
    if parser.parse_args().json:
        tables = {m: [dict(zip(COLUMNS, r, strict=True)) for r in t] for m, t in found.items()}
        print(json.dumps(tables, indent=1))
        return
    for model, table in found.items():
        print(model)
        print("  ".join(COLUMNS))
        for r in table:
            cells = ["None" if v is None else f"{v:g}" for v in r]
            print("  ".join(c.rjust(len(h)) for c, h in zip(cells, COLUMNS, strict=True)))


if __name__ == "__main__":
    main()
