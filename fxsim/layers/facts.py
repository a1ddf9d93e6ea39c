"""What a unit of one input does over every code it can read: error, monotonicity, Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from fxsim.formats import Format
from fxsim.layers.references import PRECISION, Enclosure
from fxsim.trace import Tensor, trace
from fxsim.types import TensorType

_ULP = 1 << 32  # the error is rounded up to a multiple of 2**-32 LSB


@dataclass(frozen=True)
class Facts:
    """Proven by enumeration of all input codes.

    max_error   largest |result - f(x)| in LSB of the result, f(x) clipped to the result's format; an upper
                bound that is less than 2**-31 LSB above the truth
    worst       the input code where it is reached
    monotone    1 rising, -1 falling (both: not strictly), 0 neither
    lipschitz   largest step of the result between neighbouring codes: LSB of the result per LSB of the input
    """

    max_error: Fraction
    worst: int
    monotone: int
    lipschitz: int


def measure(
    build: Callable[[Tensor], Tensor], lo: int, hi: int, frac: int, out: Format,
    reference: Sequence[Enclosure | None],
) -> Facts:  # fmt: skip
    """Facts of the graph that `build` makes of one code lo..hi at `frac`, in the emulator.

    `reference` encloses f of each code; None is an infinite value, +inf, that must give the greatest code.
    """
    graph = trace(build, TensorType((), frac, np.asarray(lo), np.asarray(hi), 0), name="unit")
    results = [int(v) for v in graph.run_raw(np.arange(lo, hi + 1))]
    unit = PRECISION - out.frac
    least, most = out.lo << unit, out.hi << unit
    worst, error = lo, -1
    for code, y, bounds in zip(range(lo, hi + 1), results, reference, strict=True):
        low, high = bounds if bounds is not None else (most, most)
        at = y << unit
        distance = max(abs(at - min(max(v, least), most)) for v in (low, high))
        if distance > error:
            worst, error = code, distance
    steps = [b - a for a, b in pairwise(results)]
    monotone = 1 if all(s >= 0 for s in steps) else -1 if all(s <= 0 for s in steps) else 0
    above = Fraction(-(-error * _ULP >> unit), _ULP)
    return Facts(above, worst, monotone, max((abs(s) for s in steps), default=0))
