"""What is to be built: an integer matrix, the intervals of its inputs, and the adder depth allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from fxsim.integers import IntArray

Interval = tuple[int, int]

# Floats with a fraction must lie on one power-of-two grid of at most this many bits. Every finite double is
# dyadic, but a matrix that needs more was never quantized (one float32 alone has 24 bits): building 0.1 in 56
# bits would be a trap.
FLOAT_BITS = 23
DEFAULT_INTERVAL = (-128, 127)
OBJECTIVES = ("adders", "bits")


@dataclass(frozen=True)
class Problem:
    """y = x @ weights * 2**-frac, x raw integers of shape (..., n_in), weights integers (n_in, n_out).

    in_intervals[i] = (lo, hi) are the raw values input i can take; they decide widths, and adders only under
    the objective "bits". max_depth is the adder depth allowed from input to output, None for any.
    Raises ValueError for an empty matrix, a bad interval, or a depth below `least_depth`.
    """

    weights: IntArray
    frac: int
    in_intervals: tuple[Interval, ...]
    max_depth: int | None = None
    objective: str = "adders"

    def __post_init__(self) -> None:
        _check_matrix(self.weights.shape)
        if len(self.in_intervals) != self.n_in:
            raise ValueError(f"in_types must have {self.n_in} entries, not {len(self.in_intervals)}")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}")
        if self.max_depth is not None and self.max_depth < self.least_depth:
            raise ValueError(
                f"max_depth must be at least {self.least_depth} for this matrix, not {self.max_depth!r}"
                " (ceil(log2(signed digits of the worst column)))"
            )

    @property
    def n_in(self) -> int:
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        return int(self.weights.shape[1])

    @cached_property
    def digits(self) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        """Per column, the (row, shift, sign) of every nonzero canonical signed digit of its weights."""
        rows = self.weights.array.tolist()
        forms = {w: signed_digits(w) for w in {w for row in rows for w in row}}
        return tuple(
            tuple((i, shift, sign) for i, row in enumerate(rows) for shift, sign in forms[row[c]])
            for c in range(self.n_out)
        )

    @cached_property
    def loads(self) -> tuple[int, ...]:
        """Per column, the Kraft sum of its digits: depth D can be met exactly if loads[c] <= 2**D.

        A column of negative digits only has one term more, the 0 of "0 - t": no adder negates both operands.
        """
        return tuple(
            len(column) + (len(column) > 0 and all(sign < 0 for *_, sign in column)) for column in self.digits
        )

    @cached_property
    def least_depth(self) -> int:
        """ceil(log2(load)) of the worst column: no graph of two-input adders is shallower."""
        return max((load - 1).bit_length() if load else 0 for load in self.loads)


def signed_digits(value: int) -> tuple[tuple[int, int], ...]:
    """Canonical signed digits of an integer: (shift, sign) by rising shift, no two adjacent, the fewest."""
    digits = []
    shift = 0
    while value:
        zeros = (value & -value).bit_length() - 1
        value >>= zeros
        shift += zeros
        sign = 2 - (value & 3)
        digits.append((shift, sign))
        value -= sign
    return tuple(digits)


def make_problem(
    W: Any, in_types: Any = None, max_depth: int | str | None = None, objective: str = "adders"
) -> Problem:
    """Checks what a user brings and puts it in one form; see `rtl.shift_add.solve` for the arguments."""
    weights, frac = integer_weights(W)
    if max_depth is not None and max_depth != "min":
        if isinstance(max_depth, (bool, str)) or not isinstance(max_depth, (int, np.integer)):
            raise ValueError(f"max_depth must be None, 'min' or an integer, not {max_depth!r}")
        max_depth = int(max_depth)
    limit = max_depth if not isinstance(max_depth, str) else None
    problem = Problem(weights, frac, intervals_of(in_types, weights.shape[0], "in_types"), limit, objective)
    if max_depth == "min":
        problem = Problem(weights, frac, problem.in_intervals, problem.least_depth, objective)
    return problem


def integer_weights(W: Any) -> tuple[IntArray, int]:
    """W as integers and the least frac >= 0 with W = integers * 2**-frac.

    Integers of any size are taken as they are (frac 0). Floats and Fractions must be exact multiples of one
    power of two, floats on a grid of at most 23 bits (53 where all are integers).
    Raises ValueError (NaN, infinity, not dyadic, not a matrix, empty) and TypeError (not numbers).
    """
    # Lists go through Python objects: NumPy would turn [2**63, -1] into floats without a word.
    array = W if isinstance(W, np.ndarray) else np.array(W, dtype=object)
    _check_matrix(array.shape)
    if array.dtype.kind in "biu":
        return IntArray(array), 0
    if array.dtype.kind not in "fO":
        raise TypeError(f"W must hold integers or dyadic numbers, not {array.dtype}")
    flat = array.ravel().tolist()
    ratios = [_ratio(v, k, array.shape) for k, v in enumerate(flat)]
    scale = max(denominator for _, denominator in ratios)
    integers = np.empty(len(flat), dtype=object)
    integers[:] = [numerator * (scale // denominator) for numerator, denominator in ratios]
    if any(isinstance(v, (float, np.floating)) for v in flat):
        widest, allowed = max(abs(v).bit_length() for v in integers), FLOAT_BITS if scale > 1 else 53
        if widest > allowed:
            raise ValueError(
                f"W must lie on a power-of-two grid of at most {allowed} bits, not {widest}:"
                " quantize it first, or pass integers"
            )
    return IntArray(integers.reshape(array.shape)), scale.bit_length() - 1


def _check_matrix(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"W must be a matrix with at least one row and one column, not of shape {shape}")


def _ratio(value: Any, k: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """value = numerator / denominator in lowest terms, the denominator a power of two; k its place in W."""
    where = tuple(int(i) for i in np.unravel_index(k, shape))
    if isinstance(value, (int, np.integer)):
        return int(value), 1
    if not isinstance(value, (float, np.floating, Fraction)):
        raise TypeError(f"W must hold integers or dyadic numbers, not {value!r} at {where}")
    if not math.isfinite(value):
        raise ValueError(f"W must be finite, not {value!r} at {where}")
    numerator, denominator = value.as_integer_ratio()
    if denominator & (denominator - 1):
        raise ValueError(f"W must be integers * 2**-frac, not {value} at {where}")
    return numerator, denominator


def intervals_of(types: Any, count: int, name: str) -> tuple[Interval, ...]:
    """Per wire (lo, hi) of raw integers, from None (signed 8 bit), one type for all, or one type for each.

    A type is a pair (lo, hi), or has `.lo` and `.hi` (a Format: integers; a TensorType: `count` elements).
    """
    if types is None:
        return (DEFAULT_INTERVAL,) * count
    if _is_pair(types) or (hasattr(types, "lo") and hasattr(types, "hi")):
        lo, hi = types if _is_pair(types) else (types.lo, types.hi)
        if np.ndim(lo) == 0:
            return (_interval(lo, hi, name),) * count
        types = list(zip(np.ravel(lo).tolist(), np.ravel(hi).tolist(), strict=True))
    if not isinstance(types, Sequence) or isinstance(types, str):
        raise TypeError(
            f"{name} must be (lo, hi), a Format, a TensorType, or a sequence of them, not {types!r}"
        )
    if len(types) != count:
        raise ValueError(f"{name} must have {count} entries, not {len(types)}")
    pairs = [t if _is_pair(t) else (t.lo, t.hi) for t in types]
    return tuple(_interval(lo, hi, name) for lo, hi in pairs)


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in value)
    )


def _interval(lo: Any, hi: Any, name: str) -> Interval:
    lo, hi = int(lo), int(hi)
    if lo > hi:
        raise ValueError(f"{name} must have lo <= hi, not ({lo}, {hi})")
    return lo, hi
