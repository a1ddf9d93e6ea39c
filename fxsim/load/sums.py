"""Sums of branches of unequal real scales, quantized: one certified multiply-add-shift over all branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import lcm, prod
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.certificate import signed_digits, simplest
from fxsim.load.rescale import floored, reaches
from fxsim.load.steps import BIPOLAR, NEAR, Reach, StepFunction, boundary
from fxsim.trace import Builder, Tensor

MAX_SHIFT = 40
MAX_CASES = 1 << 18
"""Combinations of codes and steps that are enumerated at most, over all channels that differ (10 s)."""
MAX_TERMS = 3


@dataclass(frozen=True)
class Sum:
    """value = sum over i of coefficients[i][c] * value of terms[i], exact, c along `axis`."""

    terms: tuple[Tensor, ...]
    coefficients: tuple[tuple[Fraction, ...], ...]
    axis: int | None


@dataclass(frozen=True)
class Certificate:
    """clip((sum of multipliers[i] * raw_i + constant) >> shift) has the same code for all reachable raw."""

    multipliers: tuple[int, ...]
    constant: int
    shift: int


@dataclass(frozen=True)
class Cases:
    """The steps of one channel: code >= codes[k] holds at points[k] if inside[k], and else does not.

    `near` counts the points so close to their step that a float reference may differ.
    """

    codes: Array
    points: Array
    inside: Array
    near: int


def enumerated(slopes: Sequence[Fraction], steps: StepFunction, sets: Sequence[Reach]) -> Cases:
    """The cases of code(raw) = clip(round(sum of slopes[i] * raw_i + steps.b)).

    For each combination of all terms but the largest, the exact function and the certified one are monotone
    in the largest, so that the two reachable points at each step decide whether they agree everywhere.
    """
    main = max(range(len(sets)), key=lambda i: (slopes[i] != 0, _size(sets[i])))
    rest = [i for i in range(len(sets)) if i != main]
    d = 2 * lcm(steps.b.denominator, *(s.denominator for s in slopes))
    a, b = [int(s * d) for s in slopes], int(steps.b * d)
    # All terms are integers in units of 1 / d, thresholds too: beyond t means at least t + 1.
    levels = {}
    for j in range(steps.lo + 1, steps.hi + 1):
        t, inclusive = boundary(j, steps.rounding)
        levels[j] = int(t * d) + (not inclusive)
    rows = [
        (j, point, holds, slack <= NEAR * (size + abs(levels[j])))
        for others in product(*(range(r.lo, r.hi + 1, r.step) for r in (sets[i] for i in rest)))
        for j, x, holds, slack, size in _line(
            a[main], [b, *(a[i] * v for i, v in zip(rest, others, strict=True))], sets[main], steps, levels
        )
        for point in [_point(main, x, rest, others)]
    ]
    return Cases(
        to_object(np.array([r[0] for r in rows], object)),
        to_object(np.array([r[1] for r in rows], object).reshape(-1, len(sets))),
        np.array([r[2] for r in rows], bool),
        sum(r[3] for r in rows),
    )


def _point(main: int, x: int, rest: Sequence[int], others: Sequence[int]) -> list[int]:
    point = {main: x, **dict(zip(rest, others, strict=True))}
    return [point[i] for i in range(len(point))]


def _size(r: Reach) -> int:
    return (r.hi - r.lo) // r.step + 1


def _line(
    a: int, constants: Sequence[int], reach: Reach, steps: StepFunction, levels: dict[int, int]
) -> Iterator[tuple[int, int, bool, int, int]]:
    """(code, x, is it reached there?, distance from the level, size of the terms) at each step along x."""
    base, size = sum(constants), sum(abs(c) for c in constants)

    def code(x: int) -> int:
        low, high = steps.lo, steps.hi
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if a * x + base >= levels[middle] else (low, middle - 1)
        return low

    def case(j: int, x: int, holds: bool) -> tuple[int, int, bool, int, int]:
        return j, x, holds, abs(a * x + base - levels[j]), size + abs(a * x)

    first, last = (reach.hi, reach.lo) if a < 0 else (reach.lo, reach.hi)
    least, greatest = code(first), code(last)
    if least > steps.lo:
        yield case(least, first, True)
    if greatest < steps.hi:
        yield case(greatest + 1, last, False)
    for j in range(least + 1, greatest + 1):
        need = levels[j] - base  # code >= j where a * x >= need
        if a > 0:
            x = -(-need // a)
            x, out = -(-x // reach.step) * reach.step, -reach.step
        else:
            x, out = need // a // reach.step * reach.step, reach.step
        yield case(j, x, True)
        yield case(j, x + out, False)


def certify(slopes: Sequence[Fraction], cases: Cases) -> Certificate | None:
    """The certificate of the smallest shift at which rounded slopes, or their neighbours, fit every case.

    For given multipliers each case bounds the constant on one side; they fit where an interval is left.
    """
    if not len(cases.codes):  # one code only
        return Certificate((0,) * len(slopes), 0, 0)
    for shift in range(MAX_SHIFT + 1):
        scaled = [s * (1 << shift) for s in slopes]
        choices = [range(s.__ceil__() - 1, s.__floor__() + 2) for s in scaled]
        kind = np.int64 if _fits(cases, shift, choices) else object
        points, starts = cases.points.astype(kind), cases.codes.astype(kind) * (1 << shift)
        found = []
        for multipliers in product(*choices):
            rest = starts - points @ np.array(multipliers, kind)
            lows, highs = rest[cases.inside], rest[~cases.inside] - 1
            low = int(lows.max()) if len(lows) else int(highs.min())
            high = int(highs.min()) if len(highs) else low
            if low <= high:
                constant = simplest(low, high)
                adders = sum(map(signed_digits, multipliers)) + (constant != 0)
                found.append((adders, multipliers, constant))
        if found:
            _, multipliers, constant = min(found)
            return Certificate(multipliers, constant, shift)
    return None


def _fits(cases: Cases, shift: int, choices: Sequence[range]) -> bool:
    """Do all numbers of this shift fit 62 bits?"""
    largest = sum(max(abs(c[0]), abs(c[-1])) for c in choices) * int(np.abs(cases.points).max(initial=1))
    return bool(max(largest, int(np.abs(cases.codes).max(initial=1)) << shift) < 1 << 61)


def countable(sets: Sequence[Sequence[Reach]], functions: Sequence[StepFunction]) -> bool:
    """Can the cases of these channels be enumerated?"""
    total = 0
    for rows, steps in zip(sets, functions, strict=True):
        sizes = sorted(_size(r) for r in rows)
        total += prod(sizes[:-1]) * (steps.hi - steps.lo + 2)
    return len(sets[0]) <= MAX_TERMS and total <= MAX_CASES


def quantized_sum(
    builder: Builder, name: str, x: Sum, functions: Sequence[StepFunction], axis: int | None, power: int
) -> Tensor | None:
    """The codes of a sum as a "sum_rescale" block, or None where the cases are too many or nothing fits.

    functions   per channel code = clip(round(a * value + b)) of the sum's value, clamps in their ranges
    power   value of the result = code * 2**power

    The block's params are the proof: per channel the exact slopes, offset and range, multipliers, constant
    and shift, how many cases were compared, and how many of them lie so near their step that a float
    reference may differ.
    """
    if {x.axis, axis} - {None} and x.axis not in (None, axis):
        return None
    n = len(functions)
    columns = [c if len(c) == n else c * n for c in x.coefficients]
    sets = [_spread(reaches(t, None if axis is None or t.shape[axis] == 1 else axis), n) for t in x.terms]
    units = [Fraction(2) ** -t.frac for t in x.terms]
    keys = [
        (tuple(f.a * col[c] * u for col, u in zip(columns, units, strict=True)), f, tuple(s[c] for s in sets))
        for c, f in enumerate(functions)
    ]
    alike = dict.fromkeys(keys)  # channels with the same slopes have the same certificate
    if not countable([rows for _, _, rows in alike], [f for _, f, _ in alike]):
        return None
    known: dict[Any, tuple[Cases, Certificate | None]] = {}
    for key in alike:
        cases = enumerated(*key)
        known[key] = cases, certify(key[0], cases)
        if known[key][1] is None:
            return None
    found = [(key[0], *known[key]) for key in keys]
    certificates = [c for _, _, c in found if c is not None]
    params = {
        "axis": axis,
        "rounding": functions[0].rounding,
        "scale": tuple(slopes for slopes, _, _ in found),
        "offset": tuple(f.b for f in functions),
        "low": IntArray([f.lo for f in functions]),
        "high": IntArray([f.hi for f in functions]),
        "multiplier": IntArray(to_object(np.array([c.multipliers for c in certificates], object))),
        "constant": IntArray(to_object(np.array([c.constant for c in certificates], object))),
        "shift": IntArray([c.shift for c in certificates]),
        "cases": sum(len(cases.codes) for _, cases, _ in found),
        "near_count": sum(cases.near for _, cases, _ in found),
    }
    with builder.block("sum_rescale", name, x.terms, params) as outputs:
        code = floored(
            _product(builder, x.terms, certificates, axis), [(f.lo, f.hi) for f in functions], axis
        )
        if functions[0].rounding == BIPOLAR:
            code = code * 2 - 1
        outputs.append(code << power if power else code)
    return outputs[0]


def _spread(found: list[Reach], n: int) -> list[Reach]:
    return found if len(found) == n else found * n


def _product(
    builder: Builder, terms: Sequence[Tensor], found: Sequence[Certificate], axis: int | None
) -> Tensor:
    """(sum of raw_i * M_i + C) / 2**S, channels of smaller shifts brought to the greatest."""
    frac = max(c.shift for c in found)
    rank = max(t.ndim for t in terms)

    def column(values: list[int]) -> Tensor:
        a = to_object(np.array(values, object))
        shape = () if axis is None else (-1,) + (1,) * (rank - 1 - axis)
        return builder.apply(
            ops.Const(IntArray(a[:1].reshape(()) if axis is None else a.reshape(shape)), frac)
        )

    y: Tensor | None = None
    for i, t in enumerate(terms):
        raw = t << t.frac if t.frac else t
        part = raw * column([c.multipliers[i] << (frac - c.shift) for c in found])
        y = part if y is None else y + part
    assert y is not None
    return y + column([c.constant << (frac - c.shift) for c in found])
