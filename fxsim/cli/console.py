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
        self.stopped: BaseException | None = None

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
        self.check_stopped()
        result["seconds"] = round(time.perf_counter() - start, 4)
        done = f"{result['seconds']:.2f} s"
        print(f" {done}" if live else f"{text}: {done}", file=sys.stderr, flush=True)

    def check_stopped(self) -> None:
        """Raises again what a signal raised, if that was swallowed on its way."""
        if self.stopped is not None:
            raise self.stopped

    def note(self, text: str) -> None:
        """One line of progress."""
        print(text, file=sys.stderr, flush=True)

    def line(self, text: str = "") -> None:
        if not self.json:
            print(text)

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[Any]], last: Sequence[Any] | None = None
    ) -> None:
        """As the function `table`, printed."""
        self.line(table(header, rows, last))

    def close(self) -> None:
        if self.json:
            json.dump(self.data, sys.stdout, indent=2, default=plain)
            print()
        sys.stdout.flush()


MOST_NAME = 44


def short(name: str) -> str:
    """A tensor's or block's name for a table: long ones, as converters make them, lose their middle."""
    if len(name) <= MOST_NAME:
        return name
    half = (MOST_NAME - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], last: Sequence[Any] | None = None) -> str:
    """Rows under a header, and a last one under a rule; columns of numbers flush right, others left."""
    body = [*rows, *([] if last is None else [last])]
    right = [all(v is None or isinstance(v, (int, float)) for v in c) for c in zip(*body, strict=True)]
    right = right or [False] * len(header)
    columns = [[str(h), *_cells(c)] for h, c in zip(header, zip(*body, strict=True), strict=False)]
    columns = columns or [[h] for h in header]
    widths = [max(map(len, c)) for c in columns]
    rule = "  ".join("-" * w for w in widths)
    lines = [
        "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)
        ).rstrip()
        for cells in zip(*columns, strict=True)
    ]
    return "\n".join(
        [lines[0], rule, *lines[1 : 1 + len(rows)], *([] if last is None else [rule, lines[-1]])]
    )


def _cells(column: Sequence[Any]) -> list[str]:
    """Text of a column: nothing for None, two decimals for all its numbers if one float needs them."""
    whole = all(not isinstance(v, float) or v.is_integer() for v in column)

    def text(v: Any) -> str:
        if isinstance(v, float) or (isinstance(v, int) and not whole):
            return f"{v:.0f}" if whole else f"{v:.2f}"
        return "" if v is None else str(v)

    return [text(v) for v in column]


def number(v: float) -> int | float:
    """An int where the float is whole: a depth of 29 adders, not 29.0."""
    return int(v) if float(v).is_integer() else float(v)


def plain(v: Any) -> Any:
    """JSON for NumPy numbers and arrays, fractions, and anything that prints well."""
    if isinstance(v, np.ndarray):
        return v.tolist()
    if isinstance(v, np.generic):
        return v.item()
    if isinstance(v, Fraction):
        return f"{v.numerator}/{v.denominator}"
    return str(v)
