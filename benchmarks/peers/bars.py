"""The bars set against da4ml 0.6 and alkaid 0.8.2, and whether a run passes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .measure import Row

PEERS = ("da4ml", "alkaid")
GREEDY, SEARCH = "ours fast", "ours search"
BUDGETS = {8: 2.0, 16: 2.0, 32: 10.0, 64: 60.0}  # CPU seconds of the search by the matrix's size
LEAST = {8: 12.0, 16: 12.0, 32: 8.0, 64: 6.0}  # per cent fewer adders at least depth
UNLIMITED = {8: 10.0, 16: 7.0, 32: 4.0, 64: 2.0}  # and at any depth
FAST = 3.0  # and by one greedy pass at least depth, in no more CPU time than da4ml
FAST_SIZES = (4, 8, 16, 24, 32, 48, 64, 96, 128)
BITS = {8: (4, 5, 6, 7, 8), 16: (4, 5, 6, 7, 8)}  # other sizes: OTHER_BITS
OTHER_BITS = (4, 6, 8)
SEEDS = {4: 20, 8: 5, 16: 5, 24: 5, 32: 3, 48: 3}  # how many; other sizes one


class Verdict(NamedTuple):
    """One line of the report; `measured` and `bar` are per cent."""

    name: str
    measured: float
    bar: float
    passed: bool
    notes: str

    def __str__(self) -> str:
        notes = f"  ({self.notes})" if self.notes else ""
        result = "PASS" if self.passed else "FAIL"
        return f"{result}  {self.name}: {self.measured:.1f} % (bar {self.bar:g} %){notes}"


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """A verdict for every square case that a bar is about, as far as it was measured.

    The measure is the mean over seeds against the better peer's mean. A bar with a time fails if any matrix
    took more CPU seconds; a bar at least depth fails if an answer of ours is deeper.
    """
    found = []
    for row in rows:
        n, square = row.case.shape[0], row.case.family == "square"
        if not square:
            continue
        if SEARCH in row.costs and n in BUDGETS:
            bar = (LEAST if row.mode == "min" else UNLIMITED)[n]
            found.append(_verdict(row, SEARCH, bar, BUDGETS[n]))
        if GREEDY in row.costs and row.mode == "min" and n <= 128:
            found.append(_verdict(row, GREEDY, FAST, None))
    return found


def _verdict(row: Row, name: str, bar: float, limit: float | None) -> Verdict:
    notes = []
    passed = row.gain(name, PEERS) >= bar
    strict = row.strict_gain(name, PEERS)
    notes.append(f"{strict:.1f} % against the better peer of each matrix")
    if limit is None:
        ours, theirs = sum(row.seconds[name]), sum(row.seconds["da4ml"])
        passed &= ours <= theirs
        notes.append(f"{ours / theirs:.2f} of da4ml's CPU time")
    else:
        slowest = max(row.seconds[name])
        passed &= slowest <= limit
        notes.append(f"at most {slowest:.2f} of {limit:g} CPU s")
    if row.mode == "min" and row.too_deep(name):
        passed = False
        notes.append(f"{row.too_deep(name)} deeper than the least depth")
    mode = "least depth" if row.mode == "min" else "unlimited depth"
    kind = "one greedy pass" if limit is None else "search"
    n, seeds = row.case.shape[0], len(row.case.seeds)
    title = f"{kind}, {mode}, n = {n}, {row.case.bits} bits, {seeds} seed{'s' * (seeds > 1)}"
    return Verdict(title, row.gain(name, PEERS), bar, passed, "; ".join(notes))
