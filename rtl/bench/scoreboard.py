"""Exact comparison of integer codes: how many differ, and the first that does, by sample, port and element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.layout import Layout


@dataclass(frozen=True)
class Difference:
    """One differing code: element `index` of `port` in `sample` is `got`, not `want` (raw integers)."""

    sample: int
    port: str
    index: tuple[int, ...]
    got: int
    want: int

    def __str__(self) -> str:
        where = self.port + (str(list(self.index)) if self.index else "")
        return f"sample {self.sample}, {where}: got {self.got}, want {self.want}"

    def to_json(self) -> dict[str, Any]:
        return {
            "sample": self.sample,
            "port": self.port,
            "index": list(self.index),
            "got": self.got,
            "want": self.want,
        }


@dataclass(frozen=True)
class Comparison:
    """`vectors` samples compared, `mismatches` elements of them differ, `bad_vectors` samples hold one."""

    vectors: int
    mismatches: int
    bad_vectors: int
    first: Difference | None

    def __bool__(self) -> bool:
        return self.mismatches == 0

    def __str__(self) -> str:
        if not self.mismatches:
            return f"{self.vectors} vectors, 0 mismatches"
        return f"{self.vectors} vectors, {self.mismatches} mismatches in {self.bad_vectors} of them; first: {self.first}"


def compare(layout: Layout, got: Sequence[np.ndarray], want: Any) -> Comparison:
    """Compare one array (n, *shape) per port with the expected ones (as `Layout.arrays` takes them), exactly.

    Raises ValueError if the numbers of samples differ: a missing sample is not a small mismatch.
    """
    return compare_words(layout, layout.pack(list(got)), layout.pack(want))


def compare_words(layout: Layout, got: np.ndarray, want: np.ndarray) -> Comparison:
    """As `compare`, on packed words; only the samples that differ are taken apart."""
    if len(got) != len(want):
        raise ValueError(f"there must be {len(want)} samples, not {len(got)}")
    bad = np.flatnonzero((got != want).any(axis=1))
    if not len(bad):
        return Comparison(len(want), 0, 0, None)
    count, first = 0, None
    for port, ours, theirs in zip(layout.ports, layout.unpack(got[bad]), layout.unpack(want[bad]), strict=True):
        differs = ours != theirs
        count += int(differs.sum())
        if differs.any():
            at = tuple(int(i) for i in np.argwhere(differs)[0])
            found = Difference(int(bad[at[0]]), port.name, at[1:], int(ours[at]), int(theirs[at]))
            if first is None or found.sample < first.sample:
                first = found
    return Comparison(len(want), count, len(bad), first)
