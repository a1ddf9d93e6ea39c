"""Newton's iterations for 1/d and 1/sqrt d: a small table gives the start, each sweep doubles its bits.

reciprocal  y <- y (2 - d y),        d in [1/2, 1):  1/d - y' = d (1/d - y)**2 >= 0
rsqrt       y <- y (3 - d y**2) / 2, d in [1/4, 1):  the relative error e becomes -(3 + e) e**2 / 2

Both correct themselves: a rounding error of one sweep is squared by the next, so that only the last one is
left. The start is looked up by the host (`reciprocal_seed`, `rsqrt_seed`) or inside the graphs
`reciprocal_pipeline` and `rsqrt_pipeline`, which are whole operators without a loop.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from fxsim.formats import UQ, Format
from fxsim.graph import Graph
from fxsim.integers import Array, IntArray, exact
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.stops import count
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.ops import Table
from fxsim.trace import Tensor, trace
from fxsim.types import TensorType

__all__ = ["reciprocal", "rsqrt"]

REFERENCE_BITS = 128


def reciprocal(width: int = 16, seed_bits: int = 4, sweeps: int | None = None, lanes: int = 1) -> Unit:
    """y <- Q(y (2 - d y)), rounded once to nearest: 1/d for d in [1/2, 1).

    width      fraction bits of the parameter d and of the state y: (lanes,), y in (1, 2]
    seed_bits  index bits of the table that gives the start, see `reciprocal_seed`
    sweeps     until `reciprocal_bound` is below one LSB where None
    """
    _check(width, seed_bits)
    sweeps = _sweeps(lambda k: reciprocal_bound(width, seed_bits, k), width) if sweeps is None else sweeps
    made = unit(
        _reciprocal_step, {"y": (_state(width), (lanes,))}, {"d": (_operand(width, 1, lanes), None)},
        update=assign(), stop=count(sweeps), cap=sweeps, start=_one_and_a_half(width), name="reciprocal",
    )  # fmt: skip
    bound = reciprocal_bound(width, seed_bits, sweeps)
    return ends(made, {count(sweeps): (bound,) * lanes}, "the radius is that of starts from the seed's table")


def rsqrt(
    width: int = 16, seed_bits: int = 6, sweeps: int | None = None, lanes: int = 1, guard: int | None = 2
) -> Unit:
    """y <- Q(y (3 - d y**2) / 2): 1/sqrt d for d in [1/4, 1), from a table of 3 * 2**(seed_bits - 1) entries.

    width      fraction bits of the parameter d and of the state y: (lanes,), y in (1, 2]
    guard      y**2 and d y**2 are rounded to width + guard fraction bits, which keeps the products narrow;
               None: they are exact. Lost: at most 2**-guard LSB of y, and the last rounding
    sweeps     until `rsqrt_bound` is below one LSB (3/2 with guard < 1) where None
    """
    _check(width, seed_bits)
    most = Fraction(1) if guard is None or guard > 0 else Fraction(3, 2)
    if sweeps is None:
        sweeps = _sweeps(lambda k: rsqrt_bound(width, seed_bits, k, guard) / most, width)
    made = unit(
        _rsqrt_step(width, guard), {"y": (_state(width), (lanes,))}, {"d": (_operand(width, 2, lanes), None)},
        update=assign(), stop=count(sweeps), cap=sweeps, start=_one_and_a_half(width), name="rsqrt",
    )  # fmt: skip
    bound = rsqrt_bound(width, seed_bits, sweeps, guard)
    return ends(made, {count(sweeps): (bound,) * lanes}, "the radius is that of starts from the seed's table")


def reciprocal_seed(d: Any, width: int = 16, seed_bits: int = 4) -> Array:
    """Raw starts for raw operands d: 1/m for the middle m of the cell of d, of 2**seed_bits cells."""
    return exact(_seeds(width, seed_bits, 1)[_cell(d, width, seed_bits, 1)])


def rsqrt_seed(d: Any, width: int = 16, seed_bits: int = 6) -> Array:
    """Raw starts for raw operands d: 1/sqrt m for the middle m of the cell of d, 2**-(seed_bits+1) wide."""
    return exact(_seeds(width, seed_bits, 2)[_cell(d, width, seed_bits, 2)])


def reciprocal_pipeline(
    width: int = 16, seed_bits: int = 4, sweeps: int | None = None, lanes: int = 1
) -> Graph:
    """d -> y, the table and all sweeps in space: bit for bit the unit from `reciprocal_seed`."""
    made = reciprocal(width, seed_bits, sweeps, lanes)
    return _pipeline(made, _reciprocal_step, width, seed_bits, 1, lanes)


def rsqrt_pipeline(
    width: int = 16, seed_bits: int = 6, sweeps: int | None = None, lanes: int = 1, guard: int | None = 2
) -> Graph:
    """d -> y, the table and all sweeps in space: bit for bit the unit from `rsqrt_seed`."""
    made = rsqrt(width, seed_bits, sweeps, lanes, guard)
    return _pipeline(made, _rsqrt_step(width, guard), width, seed_bits, 2, lanes)


def reciprocal_bound(width: int, seed_bits: int, sweeps: int) -> Fraction:
    """A bound of |y - 1/d| for every d, in LSB: per cell the seed's error, then e <- d e**2 + 1/2 LSB."""
    half, worst = Fraction(1, 2 << width), Fraction(0)
    for low, high, seed in _cells(width, seed_bits, 1):
        e = max(abs(1 / low - seed), abs(1 / high - seed))
        for _ in range(sweeps):
            e = high * e * e + half
        worst = max(worst, e)
    return worst * (1 << width)


def rsqrt_bound(width: int, seed_bits: int, sweeps: int, guard: int | None = 2) -> Fraction:
    """A bound of |y - 1/sqrt d| for every d, in LSB.

    With s = sqrt d and e = |y - 1/s|: |y' - 1/s| <= 3/2 s e**2 + s**2 e**3 / 2, plus the roundings of y**2
    and d y**2, which reach y' through y / 2 (and the first one through d < 1), plus the last one.
    """
    half, worst = Fraction(1, 2 << width), Fraction(0)
    inner = Fraction(0) if guard is None else Fraction(1, 2 << (width + guard))
    for low, high, seed in _cells(width, seed_bits, 2):
        e = max(abs(_rsqrt(low) - seed), abs(_rsqrt(high) - seed)) + Fraction(1, 1 << REFERENCE_BITS)
        s = high * _rsqrt(high) + Fraction(1, 1 << REFERENCE_BITS)
        for _ in range(sweeps):
            e = s * e * e * 3 / 2 + high * e**3 / 2 + (high + 1) * inner * (_rsqrt(low) + e) / 2 + half
        worst = max(worst, e)
    return worst * (1 << width)


def reference(d: Any, frac: int, root: bool = False) -> Array:
    """1/d exactly, or 1/sqrt d right to 2**-128, as Fractions, for raw integers d at `frac`."""
    unit = Fraction(1, 1 << frac)
    found: Array = np.vectorize(lambda v: _rsqrt(v * unit) if root else 1 / (v * unit), otypes=[object])(
        np.asarray(d).astype(object)
    )
    return found


def example() -> Example:
    """The reciprocals of the total brightness of digit images, which normalise them."""
    from fxsim.data import digits_samples

    totals = (digits_samples()[0][:64] * 16).sum(axis=(1, 2, 3)).astype(np.int64)
    d = np.array([int(t) << (16 - int(t).bit_length()) for t in totals])[:, None]
    return Example(
        reciprocal(), {"d": d}, reciprocal_seed(d), lambda: reference(d, 16),
        "sums of pixels of 64 digit images (UCI digits), shifted to [1/2, 1)",
    )  # fmt: skip


def rsqrt_example() -> Example:
    """The reciprocal norms of digit images."""
    from fxsim.data import digits_samples

    norms = ((digits_samples()[0][:64] * 16) ** 2).sum(axis=(1, 2, 3)).astype(np.int64)
    d = np.array([int(t) << (16 - int(t).bit_length() - int(t).bit_length() % 2) for t in norms])[:, None]
    return Example(
        rsqrt(), {"d": d}, rsqrt_seed(d), lambda: reference(d, 16, root=True),
        "squared norms of 64 digit images (UCI digits), shifted by even counts to [1/4, 1)",
    )  # fmt: skip


def _reciprocal_step(y: Tensor, d: Tensor) -> Tensor:
    return y * (2 - d * y)


def _rsqrt_step(width: int, guard: int | None) -> Any:
    def step(y: Tensor, d: Tensor) -> Tensor:
        return (y * (3 - rounded(d * rounded(y * y)))) >> 1

    def rounded(t: Tensor) -> Tensor:
        if guard is None:
            return t
        frac = width + guard
        return t.cast(UQ(t.type.max_width - t.frac + 1, frac, rounding="RND"))

    return step


def _state(width: int) -> Format:
    return UQ(2, width, rounding="RND", overflow="SAT")


def _operand(width: int, octaves: int, lanes: int) -> TensorType:
    """Raw 2**(width - octaves) .. 2**width - 1 at frac width."""
    low = np.full(lanes, 1 << (width - octaves))
    return TensorType((lanes,), width, low, np.full(lanes, (1 << width) - 1), np.zeros(lanes, np.int64))


def reciprocal_cells(width: int, seed_bits: int) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(low, high, seed) of every cell of the table of 1/d."""
    _check(width, seed_bits)
    return _cells(width, seed_bits, 1)


def reciprocal_operand(width: int, lanes: int = 1) -> TensorType:
    """Raw 2**(width - 1) .. 2**width - 1: the d in [1/2, 1)."""
    return _operand(width, 1, lanes)


def _cells(width: int, seed_bits: int, octaves: int) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(low, high, seed) of every cell; width 2**-(seed_bits + 1)."""
    first, size = 1 << (seed_bits + 1 - octaves), Fraction(1, 2 << seed_bits)
    table = _seeds(width, seed_bits, octaves)
    return [
        ((first + k) * size, (first + k + 1) * size, Fraction(int(s), 1 << width))
        for k, s in enumerate(table)
    ]


def _seeds(width: int, seed_bits: int, octaves: int) -> Array:
    """The table: 1/m or 1/sqrt m to the nearest LSB."""
    cells, first = 2 << seed_bits, 1 << (seed_bits + 1 - octaves)
    middles = [Fraction(2 * k + 1, 2 * cells) for k in range(first, cells)]
    return exact([round((1 / m if octaves == 1 else _rsqrt(m)) * (1 << width)) for m in middles])


def _cell(d: Any, width: int, seed_bits: int, octaves: int) -> Array:
    d = exact(d)
    if np.any(d < 1 << (width - octaves)) or np.any(d >= 1 << width):
        raise ValueError(
            f"d must be raw {1 << (width - octaves)}..{(1 << width) - 1}, not {d.min()}..{d.max()}"
        )
    return exact((d >> (width - 1 - seed_bits)) - (1 << (seed_bits + 1 - octaves)))


def _pipeline(made: Unit, step: Any, width: int, seed_bits: int, octaves: int, lanes: int) -> Graph:
    fmt = _state(width)
    table = Table(
        IntArray(_seeds(width, seed_bits, octaves)), 1 << (seed_bits + 1 - octaves), width, function="seed"
    )

    def whole(d: Tensor) -> Tensor:
        y = d.builder.apply(table, d.cast(Format(seed_bits + 1, 0, signed=False)))
        for _ in range(made.cap):
            y = step(y, d).cast(fmt)
        return y

    return trace(whole, _operand(width, octaves, lanes), name=f"{made.name}_pipeline")


def _rsqrt(d: Fraction) -> Fraction:
    """1/sqrt d, below it by less than 2**-128."""
    scale = 1 << (2 * REFERENCE_BITS)
    return Fraction(isqrt(scale * d.denominator // d.numerator), 1 << REFERENCE_BITS)


def _sweeps(bound: Any, width: int) -> int:
    for k in range(1, width + 2):
        if bound(k) < 1:
            return k
    raise ValueError("sweeps must be given: the table is too small for the iteration to converge")


def _one_and_a_half(width: int) -> int:
    return 3 << (width - 1)


def _check(width: int, seed_bits: int) -> None:
    for name, v, low, high in (("width", width, 2, 64), ("seed_bits", seed_bits, 1, 16)):
        if isinstance(v, bool) or not isinstance(v, int) or not low <= v <= high:
            raise ValueError(f"{name} must be an integer in {low}..{high}, not {v!r}")
    if seed_bits >= width:
        raise ValueError(f"seed_bits must be less than width, not {seed_bits} of {width}")
