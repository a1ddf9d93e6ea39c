"""Tables in Markdown, and lines that say PASS or FAIL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

FAILED: list[str] = []
"""What was checked and did not hold."""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(c) for c in line)} |" for line in lines)


def check(holds: bool, what: str) -> None:
    if not holds:
        FAILED.append(what)
    print(f"{'PASS' if holds else 'FAIL'}: {what}", flush=True)
