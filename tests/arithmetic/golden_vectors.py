"""Outcomes of the vendors' open headers (ap_types, ac_types) beside what fxsim computes for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fxsim import casting, growth
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import add, exact, multiply, shift_left, subtract, to_object

Array = np.ndarray[Any, Any]
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Outcomes:
    """One configuration of the headers: `op` of left and right into result (MAC: rows of K taps)."""

    op: str
    left: Format
    right: Format
    result: Format
    a: Array
    b: Array
    x: Array
    y: Array


def read(path: Path, op: str | None = None) -> Iterator[Outcomes]:
    """All configurations of a golden file, or those of one op."""
    with np.load(path) as data:
        arrays = dict(data)
    for row in arrays["config"].tolist():
        c = dict(zip(arrays["config_fields"].tolist(), row, strict=True))
        name = str(arrays["op_names"][c["op"]])
        if op is not None and name != op:
            continue
        left, right = Format(c["W1"], c["I1"], bool(c["S1"])), Format(c["W2"], c["I2"], bool(c["S2"]))
        mode = str(arrays["Q_names"][c["Q"]]), str(arrays["O_names"][c["O"]])
        result = Format(c["W"], c["I"], bool(c["S"]), Rounding(mode[0]), Overflow(mode[1]), c["N"])
        taps = c["K"] if name == "MAC" else 1
        rows = slice(c["start"], c["start"] + c["n"] * taps)
        a, b, y = (_raws(arrays[key][rows], fmt) for key, fmt in (("a", left), ("b", right), ("y", result)))
        if name == "MAC":
            a, b, y = a.reshape(-1, taps), b.reshape(-1, taps), y.reshape(-1, taps)[:, 0]
        yield Outcomes(name, left, right, result, a, b, arrays["x"][rows], y)


def _raws(stored: Array, fmt: Format) -> Array:
    # An unsigned 64-bit raw is stored as the same 64 bits.
    return exact(stored.view(np.uint64) if not fmt.signed and fmt.width >= 63 else stored)


def compute(v: Outcomes, dst: Format) -> Array:
    """The outcomes by fxsim's casts and growth rules, into `dst` (v.result, or another to compare with)."""
    left, right = v.left, v.right
    match v.op:
        case "CAST":
            return casting.cast(v.a, left, dst)
        case "FROM_DOUBLE":
            return casting.from_double(v.x, dst)
        case "MUL":
            return casting.cast(multiply(v.a, v.b), growth.mul_format(left, right), dst)
        case "ADD" | "SUB":
            grown = (growth.add_format if v.op == "ADD" else growth.sub_format)(left, right)
            a, b = shift_left(v.a, grown.frac - left.frac), shift_left(v.b, grown.frac - right.frac)
            return casting.cast((add if v.op == "ADD" else subtract)(a, b), grown, dst)
        case "NEG":
            return casting.cast(subtract(0, v.a), growth.neg_format(left), dst)
        case "DIV":
            a, b = to_object(shift_left(v.a, max(right.frac, 0))), to_object(v.b)
            quotient = abs(a) // abs(b) * np.where((a < 0) != (b < 0), -1, 1)
            width = growth.div_operand_width(left, right)
            wrapped = casting.overflow(quotient, width, left.signed or right.signed, Overflow.WRAP)
            return casting.cast(wrapped, growth.div_format(left, right), dst)
        case "SHL" | "SHR":
            # ap_fixed shifts inside the left type: bits fall off at both ends, whatever the modes say.
            shifted = casting.round_shift(v.a, v.b if v.op == "SHR" else -v.b, Rounding.TRN)
            return casting.overflow(shifted, left.width, left.signed, Overflow.WRAP)
        case "MAC":
            total = np.zeros(len(v.a), np.int64)
            for a, b in zip(v.a.T, v.b.T, strict=True):
                product = casting.cast(multiply(a, b), growth.mul_format(left, right), dst)
                total = casting.cast(add(total, product), growth.add_format(dst, dst), dst)
            return total
    raise AssertionError(v.op)
