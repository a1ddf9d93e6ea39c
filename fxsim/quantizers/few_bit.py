"""Few-bit derivatives: an activation's slope as one of 2**k levels, chosen by where its input lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from fxsim.integers import Array, exact, to_object
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, code_array, fractions, register

Real = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


@register("few-bit")
@dataclass(frozen=True)
class FewBit(Codec):
    """A derivative as a step function: code = #{j : borders[j] < x}, value = levels[code].

    The forward pass keeps the code (k bits for 2**k - 1 borders) in place of x; the backward pass multiplies
    the gradient by the level. ReLU is exact with one bit.

    borders  ascending reals, n of them
    levels   n + 1 reals; `raw` rounds them to `frac` fraction bits, ties to even

    Raises ValueError for borders that do not ascend, other lengths, and NaN. Source: "Few-Bit Backward"
    (arXiv 2202.00441) and its released code.
    """

    borders: tuple[float, ...]
    levels: tuple[float, ...]
    frac: int = 8

    def __post_init__(self) -> None:
        for name in ("borders", "levels"):
            object.__setattr__(self, name, tuple(float(v) for v in fractions(getattr(self, name)).ravel()))
        check_int("frac of FewBit", self.frac, 0)
        if any(a >= b for a, b in zip(self.borders, self.borders[1:], strict=False)):
            raise ValueError(f"borders must ascend, not {self.borders}")
        if len(self.levels) != len(self.borders) + 1:
            raise ValueError(
                f"levels must be {len(self.borders) + 1}, one more than borders, not {len(self.levels)}"
            )

    @property
    def bits(self) -> int:  # type: ignore[override]
        return max(len(self.borders).bit_length(), 1)

    def encode(self, values: Any) -> Array:
        x = fractions(values)
        codes = [sum(Fraction(b) < v for b in self.borders) for v in x.ravel()]
        return np.array(codes, np.int64).reshape(x.shape)

    def raw(self, codes: Any) -> Array:
        return self.entries()[code_array(codes, 0, len(self.borders))]

    def entries(self) -> Array:
        """Raw integers of all levels."""
        return exact(to_object([round(Fraction(v) * 2**self.frac) for v in self.levels]))

    def thresholds(self, frac: int) -> tuple[int, ...]:
        """Least raw integers at `frac` beyond each border."""
        return tuple(math.floor(Fraction(b) * Fraction(2) ** frac) + 1 for b in self.borders)

    def powers(self) -> tuple[tuple[int, int], ...]:
        """(sign, exponent) per level: the nearest of 0 and +-2**e with e >= -frac, ties to the greater power.

        sign is -1, 0 or 1; the exponent of 0 is -frac.
        """
        return tuple(_nearest_power(Fraction(v), self.frac) for v in self.levels)


def _nearest_power(v: Fraction, frac: int) -> tuple[int, int]:
    size = abs(v)
    least = Fraction(1, 2**frac)
    if size < least / 2:
        return 0, -frac
    e = -frac
    while size >= Fraction(3, 2) * Fraction(2) ** e:  # beyond the middle of 2**e and 2**(e + 1)
        e += 1
    return (1 if v > 0 else -1), e


GELU = {
    1: FewBit((0.0,), (0.0, 1.0)),
    2: FewBit((-0.4536, 0.0, 0.4536), (-0.00148, 0.32506, 0.67495, 1.00148)),
    3: FewBit(
        (-2.4166, -0.7100, -0.3258, 0.0, 0.3261, 0.7102, 2.4145),
        (-0.00019, -0.08828, 0.12568, 0.37231, 0.62785, 0.87445, 1.08835, 1.00020),
    ),
}
"""The published tables for GELU, by bits."""


def gelu(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """x * Phi(x), by the error function."""
    return np.asarray(x * _phi(x))


def gelu_slope(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Phi(x) + x * phi(x)."""
    return np.asarray(_phi(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _phi(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in np.ravel(x)]
    return np.array(values).reshape(np.shape(x))


def squared_error(table: FewBit, slope: Real, low: float, high: float, cells: int = 4000) -> float:
    """Integral over low..high of (slope - level)**2, each piece by Gauss-Legendre quadrature."""
    ends = [low, *(min(max(b, low), high) for b in table.borders), high]
    pieces = zip(ends, ends[1:], table.levels, strict=False)
    total = 0.0
    for a, b, level in pieces:
        if b > a:
            nodes = np.linspace(a, b, max(int(cells * (b - a) / (high - low)), 8) + 1)
            total += float(_integrals(partial(_error, slope, level), nodes).sum())
    return total


def _error(slope: Real, level: float, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray((slope(x) - level) ** 2)


def fit(
    function: Real, slope: Real, bits: int, low: float, high: float, nodes: int = 601, frac: int = 8
) -> FewBit:
    """Borders on a grid, and levels, of the least integral over low..high of (slope - level)**2.

    By dynamic programming over the grid, D[j] = min_i D[i] + C[i, j] with C the integral of slope**2 less
    level**2 * (b - a), level = (function(b) - function(a)) / (b - a); O(2**bits * nodes**2) and
    deterministic. Raises ValueError for an empty range and fewer nodes than pieces.
    """
    pieces = 1 << check_int("bits", bits, 1)
    if not low < high:
        raise ValueError(f"low must be below high, not {low!r} and {high!r}")
    if check_int("nodes", nodes) < pieces + 1:
        raise ValueError(f"nodes must be at least {pieces + 1} for {pieces} pieces, not {nodes}")
    grid = np.linspace(low, high, nodes)
    values = np.asarray(function(grid), np.float64)
    energy = np.concatenate([[0.0], np.cumsum(_integrals(lambda x: slope(x) ** 2, grid))])
    width = grid[None, :] - grid[:, None]
    rise = values[None, :] - values[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = energy[None, :] - energy[:, None] - rise**2 / width
    cost[np.tril_indices(nodes)] = np.inf
    best = cost[0]
    choices = []
    for _ in range(pieces - 1):
        sums = best[:, None] + cost
        choices.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    at = [nodes - 1]
    for choice in reversed(choices):
        at.append(int(choice[at[-1]]))
    at = [0, *reversed(at)]
    levels = [(values[b] - values[a]) / (grid[b] - grid[a]) for a, b in pairwise(at)]
    return FewBit(tuple(grid[i] for i in at[1:-1]), tuple(levels), frac)


def _integrals(f: Real, nodes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of f over each cell between nodes, by five points."""
    points, weights = np.polynomial.legendre.leggauss(5)
    half = np.diff(nodes)[:, None] / 2
    x = (nodes[:-1] + nodes[1:])[:, None] / 2 + half * points
    return np.asarray((f(x) * weights * half).sum(axis=1))


__all__ = ["GELU", "FewBit", "fit", "gelu", "gelu_slope", "squared_error"]
