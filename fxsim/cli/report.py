"""What commands print: progress on standard error, tables or JSON on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np


class Console:
    """Collects `data` for JSON; prints tables otherwise. Progress goes to standard error, so it never mixes
    in."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.data: dict[str, Any] = {}

    @contextmanager
    def stage(self, text: str) -> Iterator[dict[str, float]]:
        """Announce a stage, and print its seconds when it ends; the yielded dict then holds `seconds`."""
        live = sys.stderr.isatty()
        result: dict[str, float] = {}
        print(f"{text} ...", file=sys.stderr, end="" if live else "\n", flush=True)
        start = time.perf_counter()
        try:
            yield result
        except BaseException:
            print(" stopped" if live else f"{text}: stopped", file=sys.stderr, flush=True)
            raise
        result["seconds"] = time.perf_counter() - start
        done = f"{result['seconds']:.2f} s"
        print(f" {done}" if live else f"{text}: {done}", file=sys.stderr, flush=True)

    def line(self, text: str = "") -> None:
        if not self.json:
            print(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows under a header; columns of numbers flush right, the others flush left."""
        if self.json:
            return
        numeric = [all(v is None or isinstance(v, (int, float)) for v in c) for c in zip(*rows, strict=True)]
        cells = [[_cell(v) for v in row] for row in [list(header), *rows]]
        widths = [max(map(len, c)) for c in zip(*cells, strict=True)]
        for k, row in enumerate(cells):
            parts = [
                c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numeric, strict=True)
            ]
            print("  ".join(parts).rstrip())
            if k == 0:
                print("  ".join("-" * w for w in widths))

    def close(self) -> None:
        if self.json:
            json.dump(self.data, sys.stdout, indent=2, default=plain)
            print()
        sys.stdout.flush()


def _cell(v: Any) -> str:
    if v is None:
        return ""
    if isinstance(v, float):
        return f"{v:.2f}"
    return str(v)


def plain(v: Any) -> Any:
    """JSON for NumPy numbers and arrays, fractions, and anything that prints well."""
    if isinstance(v, np.ndarray):
        return v.tolist()
    if isinstance(v, np.generic):
        return v.item()
    if isinstance(v, Fraction):
        return f"{v.numerator}/{v.denominator}"
    return str(v)
