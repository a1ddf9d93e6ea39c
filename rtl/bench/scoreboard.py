"""Exact comparison of integer codes: how many differ, and the first, by sample, port and element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl.layout import Layout


@dataclass(frozen=True)
class Difference:
    """One differing code: element `index` of `port` in `sample` is `got`, not `want` (raw integers).

    beat   of a streamed core, the beat of the frame that holds the element
    """

    sample: int
    port: str
    index: tuple[int, ...]
    got: int
    want: int
    beat: int | None = None

    def __str__(self) -> str:
        where = self.port + (str(list(self.index)) if self.index else "")
        beat = "" if self.beat is None else f" (beat {self.beat} of the frame)"
        return f"sample {self.sample}, {where}{beat}: got {self.got}, want {self.want}"

    def to_json(self) -> dict[str, Any]:
        return {
            "sample": self.sample,
            "port": self.port,
            "index": list(self.index),
            "got": self.got,
            "want": self.want,
            **({} if self.beat is None else {"beat": self.beat}),
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
        counts = f"{self.vectors} vectors, {self.mismatches} mismatches in {self.bad_vectors} of them"
        return f"{counts}; first: {self.first}"


def compare(layout: Layout, got: Sequence[np.ndarray], want: Any) -> Comparison:
    """Compare one array (n, *shape) per port with the expected ones (as `Layout.arrays` takes them), exactly.

    Raises ValueError if the numbers of samples differ: a missing sample is not a small mismatch.
    """
    ours, theirs = layout.arrays(list(got)), layout.arrays(want)
    vectors = len(theirs[0])
    if len(ours[0]) != vectors:
        raise ValueError(f"there must be {vectors} samples, not {len(ours[0])}")
    bad = np.zeros(vectors, bool)
    count, first = 0, None
    for port, mine, other in zip(layout.ports, ours, theirs, strict=True):
        differs = np.asarray(mine != other, bool)
        here = int(np.count_nonzero(differs))
        if not here:
            continue
        count += here
        bad |= differs.reshape(vectors, -1).any(axis=1)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(differs)), differs.shape))
        if first is None or at[0] < first.sample:
            first = Difference(at[0], port.name, at[1:], int(mine[at]), int(other[at]))
    return Comparison(vectors, count, int(np.count_nonzero(bad)), first)


def in_order(words: np.ndarray) -> np.ndarray:
    """Packed words sorted as integers, so by the last port first: for results that come in any order."""
    return words[np.lexsort(words.T)]


def compare_words(layout: Layout, got: np.ndarray, want: np.ndarray) -> Comparison:
    """As `compare`, on packed words: nothing is taken apart where all are equal."""
    if got.shape == want.shape and np.array_equal(got, want):
        return Comparison(len(want), 0, 0, None)
    return compare(layout, layout.unpack(got), layout.unpack(want))
