"""When a source idles and a sink pauses, cycle by cycle: one sequence for C++, NumPy and cocotb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_BLOCK = 4096  # cycles computed at once


class Pattern:
    """One decision per clock cycle: True means pause. Iterating never ends and always starts at cycle 0.

    A source that has offered a word keeps offering it: a pause only delays the next word.
    """

    def bits(self, start: int, count: int) -> np.ndarray:
        """The decisions of cycles start .. start + count - 1, bool (count,)."""
        raise NotImplementedError

    @property
    def never(self) -> bool:
        """True if no cycle pauses."""
        return False

    @property
    def rate(self) -> float:
        """Share of the cycles that do not pause."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[bool]:
        start = 0
        while True:
            yield from self.bits(start, _BLOCK).tolist()
            start += _BLOCK

    def to_json(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Random(Pattern):
    """Pause with `probability` in [0, 1), each cycle by itself: splitmix64 of seed and cycle number."""

    probability: float
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.probability, bool) or not isinstance(self.probability, (int, float, np.number)):
            raise TypeError(f"probability must be a number, not {self.probability!r}")
        if not 0 <= self.probability < 1:
            raise ValueError(f"probability must be in [0, 1), not {self.probability!r}")
        object.__setattr__(self, "probability", float(self.probability))
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)):
            raise TypeError(f"seed must be an integer, not {self.seed!r}")
        object.__setattr__(self, "seed", int(self.seed))

    @property
    def threshold(self) -> int:
        """Pause when the upper 32 bits of the hash are below this."""
        return int(self.probability * 2**32)

    @property
    def state(self) -> int:
        """Start of the hash: the seed spread over 64 bits, so that neighbouring seeds are unrelated."""
        value = (self.seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64
        value = ((value ^ (value >> 32)) * 0xDABA0B6EB09322E3) % 2**64
        return value ^ (value >> 32)

    @property
    def never(self) -> bool:
        return self.threshold == 0

    @property
    def rate(self) -> float:
        return 1 - self.probability

    def bits(self, start: int, count: int) -> np.ndarray:
        cycle = np.arange(start + 1, start + count + 1, dtype=np.uint64)
        z = cycle * np.uint64(_GOLDEN) + np.uint64(self.state)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return (z >> np.uint64(32)) < np.uint64(self.threshold)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "random", "probability": self.probability, "seed": self.seed}


@dataclass(frozen=True)
class Cycle(Pattern):
    """Repeat `pauses` for ever; at least one of them must be False, or nothing would ever pass."""

    pauses: tuple[bool, ...]

    def __post_init__(self) -> None:
        pauses = tuple(bool(p) for p in self.pauses)
        if not pauses or all(pauses):
            raise ValueError(f"pauses must hold at least one False, not {self.pauses!r}")
        object.__setattr__(self, "pauses", pauses)

    @property
    def never(self) -> bool:
        return not any(self.pauses)

    @property
    def rate(self) -> float:
        return self.pauses.count(False) / len(self.pauses)

    def bits(self, start: int, count: int) -> np.ndarray:
        return np.array(self.pauses)[np.arange(start, start + count) % len(self.pauses)]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "cycle", "pauses": [int(p) for p in self.pauses]}


def never() -> Pattern:
    """No pause at all."""
    return Cycle((False,))


def every(n: int) -> Pattern:
    """One pause in every n cycles, n >= 2."""
    if n < 2:
        raise ValueError(f"n must be at least 2, not {n!r}")
    return Cycle((False,) * (n - 1) + (True,))


def bursts(run: int, pause: int) -> Pattern:
    """`run` cycles without pause, then `pause` cycles of pause."""
    if run < 1 or pause < 0:
        raise ValueError(f"run must be at least 1 and pause at least 0, not {run!r} and {pause!r}")
    return Cycle((False,) * run + (True,) * pause)


def random(seed: int, probability: float) -> Pattern:
    """Pause with `probability`, by `seed`."""
    return Random(probability, seed)


def as_pattern(value: float | Pattern, seed: int = 0) -> Pattern:
    """A pattern as it is; a number as the probability of a pause in each cycle."""
    if isinstance(value, Pattern):
        return value
    return Random(value, seed)


def pair(idle: float | Pattern, backpressure: float | Pattern, seed: int) -> tuple[Pattern, Pattern]:
    """The two sides of a bench from one seed, unrelated to one another."""
    return as_pattern(idle, 2 * seed), as_pattern(backpressure, 2 * seed + 1)


def from_json(data: Mapping[str, Any]) -> Pattern:
    if data.get("kind") == "random":
        return Random(data["probability"], data["seed"])
    if data.get("kind") == "cycle":
        return Cycle(tuple(data["pauses"]))
    raise ValueError(f"pattern must be of kind random or cycle, not {data!r}")
