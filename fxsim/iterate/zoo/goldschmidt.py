"""Goldschmidt's division: numerator and divisor are multiplied alike until the divisor is 1.

n <- n (2 - q), q <- q (2 - q) from n = a y0, q = d y0, so that n / q stays a / d. Unlike Newton's iteration
the two products do not wait for each other, and a rounding error stays: no sweep repairs n. Guard bits are
the remedy.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.formats import UQ, Format
from fxsim.graph import Graph
from fxsim.integers import Array, IntArray, exact, multiply, shift_left
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.stops import count
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.iterate.zoo.newton import reciprocal_cells, reciprocal_operand, reciprocal_seed
from fxsim.ops import Table
from fxsim.trace import Tensor, trace
from fxsim.types import TensorType

__all__ = ["goldschmidt"]


def goldschmidt(
    width: int = 16, seed_bits: int = 6, guard: int = 4, sweeps: int | None = None, lanes: int = 1
) -> Unit:
    """(n, q) <- Q(n (2 - q), q (2 - q)), both rounded to nearest: n becomes a/d for d in [1/2, 1), a in 0..1.

    width   fraction bits of d and of the quotient that is wanted; n and q: (lanes,), of `guard` bits more
    sweeps  until the exact iteration is right to a quarter LSB of `width` where None

    It has no parameters: a and d are in the start, see `goldschmidt_start`.
    """
    if isinstance(guard, bool) or not isinstance(guard, int) or not 0 <= guard <= 64:
        raise ValueError(f"guard must be an integer in 0..64, not {guard!r}")
    cells = reciprocal_cells(width + guard, seed_bits)
    sweeps = _sweeps(cells, width) if sweeps is None else sweeps
    fmt = _state(width, guard)
    made = unit(
        _step, {"n": (fmt, (lanes,)), "q": (fmt, (lanes,))}, update=assign(), stop=count(sweeps), cap=sweeps,
        start=1 << (width + guard), name="goldschmidt",
    )  # fmt: skip
    off, gap = _bounds(width, seed_bits, guard, sweeps)
    radius = (off * (1 << guard),) * lanes + (gap * (1 << guard),) * lanes
    return ends(made, {count(sweeps): radius}, "the radius is that of starts from `goldschmidt_start`")


def goldschmidt_start(
    d: Any, width: int = 16, seed_bits: int = 6, guard: int = 4, numerator: Any = None
) -> dict[str, Array]:
    """Raw starts (n, q) = Q(a y0, d y0) for raw d and a (at `width` fraction bits, a <= 1; None: 1)."""
    d = exact(d)
    seed = reciprocal_seed(shift_left(d, guard), width + guard, seed_bits)
    a = exact(np.full_like(d, 1 << width) if numerator is None else numerator)
    return {"n": _rounded(multiply(seed, a), width), "q": _rounded(multiply(seed, d), width)}


def goldschmidt_pipeline(
    width: int = 16, seed_bits: int = 6, guard: int = 4, sweeps: int | None = None, lanes: int = 1
) -> Graph:
    """(a, d) -> a/d rounded to `width` fraction bits: table, start, sweeps and last rounding in space."""
    made, fmt = goldschmidt(width, seed_bits, guard, sweeps, lanes), _state(width, guard)
    frac = width + guard
    entries = [int(seed * (1 << frac)) for _, _, seed in reciprocal_cells(frac, seed_bits)]
    table = Table(IntArray(entries), 1 << seed_bits, frac, function="seed")

    def whole(a: Tensor, d: Tensor) -> Tensor:
        seed = d.builder.apply(table, d.cast(Format(seed_bits + 1, 0, signed=False)))
        n, q = (a * seed).cast(fmt), (d * seed).cast(fmt)
        for _ in range(made.cap):
            n, q = (t.cast(fmt) for t in _step(n, q))
        return n.cast(_state(width, 0))

    part = TensorType((lanes,), width, exact(0), exact(1 << width))
    return trace(whole, part, reciprocal_operand(width, lanes), name="goldschmidt_pipeline")


def bound(width: int, seed_bits: int, guard: int, sweeps: int) -> Fraction:
    """A bound of |quotient - a/d| in LSB of `width`, the last rounding to it included."""
    return _bounds(width, seed_bits, guard, sweeps)[0] + (Fraction(1, 2) if guard else 0)


def _bounds(width: int, seed_bits: int, guard: int, sweeps: int) -> tuple[Fraction, Fraction]:
    """Bounds of |n - a/d| and |q - 1| in LSB of `width`.

    With q' = q f + s and n' = n f + r, f = 2 - q, |r|, |s| <= h, the half LSB of the state: n - q a/d grows
    by a factor of at most |f| and by h + h a/d; 1 - q' = (1 - q)**2 - s; and |n - a/d| is at most the former
    plus |1 - q| a/d. Taken at a = 1 and at the low end of each cell of the table.
    """
    half, worst, most = Fraction(1, 2 << (width + guard)), Fraction(0), Fraction(0)
    for low, high, seed in reciprocal_cells(width + guard, seed_bits):
        apart = (1 + 1 / low) * half
        gap = max(abs(1 - low * seed), abs(1 - high * seed)) + half
        for _ in range(sweeps):
            apart = apart * (1 + gap) + (1 + 1 / low) * half
            gap = gap * gap + half
        worst, most = max(worst, apart + gap / low), max(most, gap)
    return worst * (1 << width), most * (1 << width)


def reference(d: Any, frac: int, numerator: Any = None) -> Array:
    """a/d exactly, as Fractions, for raw integers at `frac`."""
    a = 1 << frac if numerator is None else np.asarray(numerator).astype(object)
    found: Array = np.vectorize(lambda p, q: Fraction(p, q), otypes=[object])(a, np.asarray(d).astype(object))
    return found


def example() -> Example:
    """The share of the brightest row in the total brightness of digit images."""
    from fxsim.data import digits_samples

    rows = (digits_samples()[0][:64] * 16).sum(axis=(1, 3)).astype(np.int64)
    total, bright = rows.sum(axis=1), rows.max(axis=1)
    shift = np.array([16 - int(t).bit_length() for t in total])
    d, a = (total << shift)[:, None], (bright << shift)[:, None]
    return Example(
        goldschmidt(), {}, goldschmidt_start(d, numerator=a), lambda: reference(d, 16, a),
        "brightest row over sum of pixels of 64 digit images (UCI digits)",
    )  # fmt: skip


def _step(n: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    f = 2 - q
    return n * f, q * f


def _state(width: int, guard: int) -> Format:
    return UQ(2, width + guard, rounding="RND", overflow="SAT")


def _rounded(raw: Array, drop: int) -> Array:
    """raw / 2**drop to nearest, ties up."""
    return exact((raw + (1 << drop >> 1)) >> drop)


def _sweeps(cells: Any, width: int) -> int:
    gap = max(max(abs(1 - low * seed), abs(1 - high * seed)) for low, high, seed in cells)
    sweeps = 0
    while 2 * gap > Fraction(1, 4 << width):
        gap, sweeps = gap * gap, sweeps + 1
    return sweeps
