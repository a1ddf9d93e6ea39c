"""Functions of one code before a quantizer: the code of every reachable integer, by table or thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import round_real
from fxsim.formats import Format
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.rescale import reaches
from fxsim.load.steps import BIPOLAR, Reach, round_exact
from fxsim.load.terms import NEAR, TIGHT, Term
from fxsim.trace import Builder, Tensor

PIECES = 4096  # of the reachable set, to begin with
UNDECIDED = 1 << 16  # pieces that float64 leaves open are cut no further beyond so many
TABLE_BITS = 12  # of the codes that `tabulated` enumerates
GRID_BITS = 32  # of its entries


@dataclass(frozen=True)
class Rounding:
    """code = clip(round(y), lo, hi) by a QONNX rounding mode, or BIPOLAR: 1 from 0 on, else 0."""

    lo: int
    hi: int
    mode: str = "ROUND"

    def floats(self, y: Array) -> Array:
        near = np.asarray(y >= 0, np.float64) if self.mode == BIPOLAR else round_real(y, self.mode)
        return np.asarray(np.clip(near, self.lo, self.hi))

    def exact(self, y: Fraction) -> int:
        return min(max(round_exact(y, self.mode), self.lo), self.hi)


@dataclass(frozen=True)
class Runs:
    """The codes of a reachable set: `codes[i]` from raw integer `starts[i]` on, ascending.

    `near` are (code, first, last) where a float32 reference may give another code.
    """

    starts: tuple[int, ...]
    codes: tuple[int, ...]
    near: tuple[tuple[int, int, int], ...]


def runs(term: Term, frac: int, reach: Reach, rounding: Rounding) -> Runs:
    """clip(round(term)) of every reachable raw integer, decided in float64 where its bounds allow it.

    Pieces of the set are halved until the bounds of the whole piece round to one code, even with a float32
    reference's errors. What is left, the near ties, is decided by float64's own bounds, and where they leave
    two codes, by enclosures in rationals. ValueError where the function has no value,
    or where an enclosure of 10**-60 does not tell the side.
    """
    n = (reach.hi - reach.lo) // reach.step + 1
    cuts = np.unique(np.linspace(0, n, min(n, PIECES) + 1).astype(np.int64))
    first, last = cuts[:-1], cuts[1:] - 1

    def ends(first: Array, last: Array, near: float) -> tuple[Array, Array]:
        """The codes of both bounds of each piece."""
        lo, hi = (
            (float(reach.lo) + v.astype(np.float64) * float(reach.step)) * 2.0**-frac for v in (first, last)
        )
        low, high = term.bounds(lo, hi, near)
        return rounding.floats(low), rounding.floats(high)

    decided: list[tuple[Array, Array, Array]] = []
    while True:
        codes, others = ends(first, last, NEAR)
        same = codes == others
        decided.append((first[same], last[same], codes[same]))
        first, last = first[~same], last[~same]
        wide = last > first
        if not np.any(wide) or len(first) > UNDECIDED:
            break
        middle = (first[wide] + last[wide]) // 2
        first, last = (
            np.concatenate([first[~wide], first[wide], middle + 1]),
            np.concatenate([last[~wide], middle, last[wide]]),
        )
    rows = [(int(a), int(b), int(c)) for part in decided for a, b, c in zip(*part, strict=True)]
    value = _values(reach, frac)
    codes, others = ends(first, last, TIGHT)
    same = codes == others
    close = [(int(a), int(b), int(c)) for a, b, c in zip(first[same], last[same], codes[same], strict=True)]
    for a, b in _joined(first[~same], last[~same]):
        close += _settle(term, value, a, b, rounding)
    near = [(c, value.raw(a), value.raw(b)) for a, b, c in _merged(sorted(close))]
    rows = sorted(rows + close)
    starts: list[int] = []
    codes_out: list[int] = []
    for a, _, c in rows:
        if not codes_out or codes_out[-1] != c:
            starts.append(value.raw(a))
            codes_out.append(c)
    return Runs(tuple(starts), tuple(codes_out), tuple(near))


@dataclass(frozen=True)
class _Values:
    """Raw integers and exact values of the elements of a reachable set."""

    reach: Reach
    unit: Fraction

    def raw(self, i: int) -> int:
        return self.reach.lo + i * self.reach.step

    def __call__(self, i: int) -> Fraction:
        return self.raw(i) * self.unit


def _values(reach: Reach, frac: int) -> _Values:
    return _Values(reach, Fraction(2) ** -frac)


def _joined(first: Array, last: Array) -> list[tuple[int, int]]:
    """Neighbouring pieces as one."""
    out: list[tuple[int, int]] = []
    for a, b in sorted(zip(first.tolist(), last.tolist(), strict=True)):
        if out and out[-1][1] + 1 == a:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def _merged(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Neighbouring rows of one code as one."""
    out: list[tuple[int, int, int]] = []
    for a, b, c in rows:
        if out and out[-1][1] + 1 == a and out[-1][2] == c:
            out[-1] = (out[-1][0], b, c)
        else:
            out.append((a, b, c))
    return out


def _settle(
    term: Term, value: Callable[[int], Fraction], a: int, b: int, rounding: Rounding
) -> list[tuple[int, int, int]]:
    """(first, last, code) of the elements a..b by exact enclosures, halving where one code is not proven."""
    out, stack = [], [(a, b)]
    while stack:
        a, b = stack.pop()
        low, high = term.enclose(value(a), value(b))
        code = rounding.exact(low)
        if code == rounding.exact(high):
            out.append((a, b, code))
        elif a == b:
            raise ValueError(
                f"the rounding of {term} at x = {float(value(a)):g} is not told by 10**-60; change a scale"
            )
        else:
            middle = (a + b) // 2
            stack += [(middle + 1, b), (a, middle)]
    return out


def quantized(
    builder: Builder,
    name: str,
    x: Tensor,
    terms: Sequence[Term],
    axis: int | None,
    roundings: Sequence[Rounding],
    power: int,
) -> Tensor:
    """The codes clip(round(term(value of x))) as a "curve" block; the code is the result's raw integer.

    One term and rounding for all, or one per index of `axis`. `power` moves the result's point: value = code
    * 2**power. The cheaper of two forms, by LUTs: one table of all integers between the least and the
    greatest, or counts of thresholds, those at which the code rises less those at which it falls.
    No bit is lost but by the rounding. The params are the record: `function`, `method`, `low`, `high`,
    `rounding`, `axis`, `reach`, and `near_ties` as those of a rescale.
    """
    known: dict[Any, Runs] = {}
    found = []
    for key in zip(terms, reaches(x, axis), roundings, strict=True):
        if key not in known:
            term, reach, rounding = key
            known[key] = runs(term, x.frac, reach, rounding)
        found.append(known[key])
    span = reaches(x, axis)
    near = [(i, *row) for i, r in enumerate(found) for row in r.near]
    params = {
        "function": tuple(dict.fromkeys(map(str, terms))),
        "axis": axis,
        "rounding": roundings[0].mode,
        "low": IntArray([r.lo for r in roundings]),
        "high": IntArray([r.hi for r in roundings]),
        "reach": IntArray(to_object(np.array([(r.lo, r.hi, r.step) for r in span], object))),
        "near_ties": IntArray(to_object(np.array(near or np.zeros((0, 4), int), object).reshape(-1, 4))),
        "near_count": sum((last - first) // span[c].step + 1 for c, _, first, last in near),
    }  # fmt: skip
    table = table_cost(found, x) <= threshold_cost(found, x)
    params["method"] = "table" if table else "threshold"
    with builder.block("curve", name, [x], params) as outputs:
        raw = x << x.frac if x.frac else x
        code = _table(raw, found, axis) if table else _thresholds(raw, found, axis)
        if roundings[0].mode == BIPOLAR:
            code = code * 2 - 1
        outputs.append(code << power if power else code)
    return outputs[0]


def table_cost(found: Sequence[Runs], x: Tensor) -> int:
    """LUTs of a table: one for each bit of the code and 64 entries."""
    lo, hi = x.type.bounds
    return sum(_bits(r) * -(-(hi - lo + 1) // 64) for r in found)


def threshold_cost(found: Sequence[Runs], x: Tensor) -> int:
    """LUTs of thresholds, found by bisection: a comparison for each bit of the count, and a ROM of levels."""
    width, total = x.type.max_width + 1, 0
    for r in found:
        steps = np.diff(np.array(r.codes, object))
        for n in (int(np.sum(steps[steps > 0])), int(-np.sum(steps[steps < 0]))):
            total += n.bit_length() * (width + 1) // 2 + -(-n * width // 64) if n else 0
    return total


def _bits(r: Runs) -> int:
    return max(max(r.codes) - min(min(r.codes), 0), 1).bit_length()


def _table(x: Tensor, found: Sequence[Runs], axis: int | None) -> Tensor:
    lo, hi = x.type.bounds
    rows = np.empty((len(found), hi - lo + 1), np.int64)
    for row, r in zip(rows, found, strict=True):
        # Integers that are not reached take the code of the next smaller one.
        at = np.searchsorted(np.array(r.starts, np.int64), np.arange(lo, hi + 1), side="right") - 1
        row[:] = np.array(r.codes, np.int64)[np.maximum(at, 0)]
    entries = rows[0] if axis is None else rows
    return x.builder.apply(ops.Table(IntArray(entries), lo, 0, axis), x)


def _thresholds(x: Tensor, found: Sequence[Runs], axis: int | None) -> Tensor:
    """First code + levels where it rises - levels where it falls."""
    base = [r.codes[0] for r in found]
    counts = []
    for sign in (1, -1):
        levels = []
        for r in found:
            steps = np.diff(np.array(r.codes, np.int64)) * sign
            levels.append([s for s, k in zip(r.starts[1:], steps.tolist(), strict=True) for _ in range(k)])
        most = max(map(len, levels))
        if not most:
            continue
        never = x.type.bounds[1] + 1
        rows = [row + [never] * (most - len(row)) for row in levels]
        count = x.builder.apply(ops.Threshold(IntArray(to_object(np.array(rows, object))), axis), x)
        counts.append(count if sign > 0 else -count)
    if not counts:
        counts = [x.builder.apply(ops.Const(IntArray(np.zeros(x.shape, np.int64))))]
    code = counts[0] if len(counts) == 1 else counts[0] + counts[1]
    if any(base):
        column = np.array(base).reshape(() if axis is None else (-1,) + (1,) * (x.ndim - 1 - axis))
        code = code + x.builder.apply(ops.Const(IntArray(column)))
    if len(counts) > 1:
        # The type of a difference forgets that both counts have one operand; dropping its spare bits is free.
        lo, hi = min(min(r.codes) for r in found), max(max(r.codes) for r in found)
        signed = lo < 0
        width = max(hi.bit_length() if hi > 0 else 0, (-1 - lo).bit_length() if signed else 0, 1) + signed
        code = code.cast(Format(width, width, signed))
    return code


def tabulated(
    builder: Builder, name: str, x: Tensor, terms: Sequence[Term], axis: int | None
) -> tuple[Tensor, Fraction]:
    """(integers, unit) with unit * integer = term(value of x) exactly, as a table: for functions of few codes
    whose values are rationals on one grid.

    Raises ValueError for an irrational value, more than 2**12 integers, or entries of more than 32 bits.
    """
    lo, hi = x.type.bounds
    if hi - lo >= 1 << TABLE_BITS:
        raise ValueError(f"{terms[0]} has an operand of {x.type.max_width} bits")
    rows: list[list[Fraction]] = []
    for term, reach in zip(terms, reaches(x, axis), strict=True):
        row, value = [], _values(reach, x.frac)
        for raw in range(lo, hi + 1):
            place = min(max(raw - reach.lo, 0) // reach.step, (reach.hi - reach.lo) // reach.step)
            low, high = term.enclose(value(place), value(place))
            if low != high:
                raise ValueError(f"{term} is irrational")
            row.append(low)
        rows.append(row)
    values = [v for row in rows for v in row]
    common = lcm(*(v.denominator for v in values))
    whole = gcd(*(int(v * common) for v in values)) or 1
    unit = Fraction(whole, common)
    entries = [[int(v / unit) for v in row] for row in rows]
    if max(abs(e).bit_length() for row in entries for e in row) > GRID_BITS:
        raise ValueError(f"{terms[0]} has values on no common grid of {GRID_BITS} bits")
    params = {
        "function": tuple(dict.fromkeys(map(str, terms))),
        "method": "table",
        "axis": axis,
        "unit": unit,
    }
    with builder.block("curve", name, [x], params) as outputs:
        raw_entries = IntArray(np.array(entries[0] if axis is None else entries, np.int64))
        outputs.append(builder.apply(ops.Table(raw_entries, lo, 0, axis), x))
    return outputs[0], unit
