"""What is to be built: an integer matrix, the intervals of its inputs, and the adder depth allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from fxsim.integers import Array, IntArray, exact, magnitude_bits, to_object

Interval = tuple[int, int]

# Floats with a fraction must lie on one power-of-two grid of at most this many bits. Every finite double is
# dyadic, but a matrix that needs more was never quantized (one float32 alone has 24 bits): building 0.1 in 56
# bits would be a trap.
FLOAT_BITS = 23
DEFAULT_INTERVAL = (-128, 127)
OBJECTIVES = ("adders", "bits")


@dataclass(frozen=True)
class Problem:
    """y = (x @ weights + offsets) * 2**-frac; x raw integers (..., n_in), weights integers (n_in, n_out).

    in_intervals[i] = (lo, hi)  raw values that input i can take; they decide widths, and adders only under
    the
                                objective "bits"
    offsets[c]                  integer that column c adds
    wraps[c]                    None, or the two's complement (or unsigned) range that column c is wrapped
    into: only
                                its low bits are needed
    max_depth                   adders allowed from input to output, None for any
    shallowest                  True: max_depth is the least that there is

    Raises ValueError for an empty matrix, a bad interval, or a depth below `least_depth`.
    """

    weights: IntArray
    frac: int
    in_intervals: tuple[Interval, ...]
    max_depth: int | None = None
    objective: str = "adders"
    offsets: tuple[int, ...] = ()
    wraps: tuple[Interval | None, ...] = ()
    shallowest: InitVar[bool] = False

    def __post_init__(self, shallowest: bool) -> None:
        _check_matrix(self.weights.shape)
        for name, blank in (("offsets", 0), ("wraps", None)):
            if not getattr(self, name):
                object.__setattr__(self, name, (blank,) * self.n_out)
            if len(getattr(self, name)) != self.n_out:
                raise ValueError(f"{name} must have {self.n_out} entries, not {len(getattr(self, name))}")
        if len(self.in_intervals) != self.n_in:
            raise ValueError(f"in_types must have {self.n_in} entries, not {len(self.in_intervals)}")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}")
        if shallowest:
            object.__setattr__(self, "max_depth", self.least_depth)
        elif self.max_depth is not None and self.max_depth < self.least_depth:
            raise ValueError(
                f"max_depth must be at least {self.least_depth} for this matrix, not {self.max_depth!r}"
                " (ceil(log2(signed digits of the worst column, an offset counted as one)))"
            )

    @property
    def n_in(self) -> int:
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        return int(self.weights.shape[1])

    @cached_property
    def moduli(self) -> tuple[int | None, ...]:
        """Per column, the low bits that are needed; None: all."""
        return tuple(None if w is None else (w[1] - w[0]).bit_length() for w in self.wraps)

    @cached_property
    def constants(self) -> tuple[int, ...]:
        """The constant wires: odd numbers whose shifts and negations are the offsets, as they first come."""
        return tuple(dict.fromkeys(odd for _, odd, _, _ in self._offset_terms))

    @cached_property
    def _offset_terms(self) -> tuple[tuple[int, int, int, int], ...]:
        """(column, odd part, shift, sign) of every offset that is not 0, modulo what the column needs."""
        terms = []
        for c, (value, bits) in enumerate(zip(self.offsets, self.moduli, strict=True)):
            if bits is not None:
                value = (value + (1 << bits >> 1)) % (1 << bits) - (1 << bits >> 1)
            if value:
                shift = (value & -value).bit_length() - 1
                terms.append((c, abs(value) >> shift, shift, 1 if value > 0 else -1))
        return tuple(terms)

    @cached_property
    def digits(self) -> Array:
        """Rows (column, wire, shift, sign): the canonical signed digits of the weights, then the offsets.

        Wire i < n_in is input i, wire n_in + k is constants[k]. Digits that a column wraps away are left out.
        """
        from .compiled import entry

        drop = np.array([1 << 30 if bits is None else bits for bits in self.moduli], np.int64)
        if self.narrow:
            rows = entry.matrix_digits(self.weights.array.astype(np.int64), drop)
        else:
            weights, limits = self.weights.array.tolist(), drop.tolist()
            forms = {w: signed_digits(w) for w in {w for row in weights for w in row}}
            listed = [
                (c, i, shift, 1 if shift == limits[c] - 1 else sign)
                for c in range(self.n_out)
                for i, row in enumerate(weights)
                for shift, sign in forms[row[c]]
                if shift < limits[c]
            ]
            rows = np.array(listed, np.int64).reshape(-1, 4)
        if not self._offset_terms:
            return rows
        place = {odd: self.n_in + k for k, odd in enumerate(self.constants)}
        offsets = [(c, place[odd], shift, sign) for c, odd, shift, sign in self._offset_terms]
        return np.concatenate([rows, np.array(offsets, np.int64)])

    @cached_property
    def narrow(self) -> bool:
        """Whether the weights, and differences of shifted columns, fit comfortably in 64 bits."""
        return self.weights.array.dtype != object and magnitude_bits(self.weights.array) <= 56

    @cached_property
    def loads(self) -> tuple[int, ...]:
        """Per column, the Kraft sum of its digits: depth D can be met exactly if loads[c] <= 2**D.

        An offset counts as a digit. A column of negative digits only has one term more, the 0 of "0 - t": no
        adder negates both operands.
        """
        from .compiled import entry

        return tuple(entry.loads(self.digits, self.n_out).tolist())

    @cached_property
    def least_depth(self) -> int:
        """ceil(log2(load)) of the worst column: no graph of two-input adders over these digits is
        shallower."""
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
    W: Any,
    in_types: Any = None,
    max_depth: int | str | None = None,
    objective: str = "adders",
    offsets: Any = None,
    out_types: Any = None,
) -> Problem:
    """Checks what a user brings and puts it in one form; see `rtl.shift_add.solve` for the arguments."""
    weights, frac = integer_weights(W)
    if max_depth is not None and max_depth != "min":
        if isinstance(max_depth, (bool, str)) or not isinstance(max_depth, (int, np.integer)):
            raise ValueError(f"max_depth must be None, 'min' or an integer, not {max_depth!r}")
        max_depth = int(max_depth)
    n_in, n_out = weights.shape
    intervals = intervals_of(in_types, n_in, "in_types")
    constants: tuple[int, ...] = (0,) * n_out
    if offsets is not None:
        added = np.asarray(offsets, object if not isinstance(offsets, np.ndarray) else None)
        if added.shape != (n_out,):
            raise ValueError(f"offsets must have shape ({n_out},), not {added.shape}")
        values, offset_frac = integer_weights(added[None, :], "offsets")
        scale = max(frac, offset_frac)
        constants = tuple(v << scale - offset_frac for v in values.array[0].tolist())
        if scale > frac:
            weights = IntArray(exact(to_object(weights.array) << scale - frac))
            frac = scale
    wraps: tuple[Interval | None, ...] = (None,) * n_out
    if out_types is not None:
        ends = intervals_of(out_types, n_out, "out_types")
        wraps = tuple(_wrap(weights, intervals, constants, c, *e) for c, e in enumerate(ends))
    depth = None if isinstance(max_depth, str) else max_depth
    return Problem(weights, frac, intervals, depth, objective, constants, wraps, max_depth == "min")


def _wrap(
    weights: IntArray, intervals: tuple[Interval, ...], offsets: tuple[int, ...], c: int, lo: int, hi: int
) -> Interval | None:
    """The range that column c wraps into: that of the code of lo..hi; None where the product stays within."""
    low = high = offsets[c]
    for w, (a, b) in zip(weights.array[:, c].tolist(), intervals, strict=True):
        low, high = low + min(w * a, w * b), high + max(w * a, w * b)
    if lo <= low and high <= hi:
        return None
    if lo < 0:
        half = 1 << max((-1 - lo).bit_length(), hi.bit_length() if hi > 0 else 0)
        lo, hi = -half, half - 1
    else:
        lo, hi = 0, (1 << max(hi.bit_length(), 1)) - 1
    return None if lo <= low and high <= hi else (lo, hi)


def integer_weights(W: Any, name: str = "W") -> tuple[IntArray, int]:
    """W (called `name` in errors) as integers and the least frac >= 0 with W = integers * 2**-frac.

    Integers of any size are taken as they are (frac 0). Floats and Fractions must be exact multiples of one
    power of two, floats on a grid of at most 23 bits (53 where all are integers).
    Raises ValueError (NaN, infinity, not dyadic, not a matrix, empty) and TypeError (not numbers).
    """
    if isinstance(W, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill it first")
    # Lists go through Python objects: NumPy would turn [2**63, -1] into floats without a word.
    array = W if isinstance(W, np.ndarray) else np.array(W, dtype=object)
    _check_matrix(array.shape)
    if array.dtype.kind in "biu":
        return IntArray(array), 0
    if array.dtype.kind not in "fO":
        raise TypeError(f"{name} must hold integers or dyadic numbers, not {array.dtype}")
    flat = array.ravel().tolist()
    ratios = [_ratio(v, k, array.shape, name) for k, v in enumerate(flat)]
    scale = max(denominator for _, denominator in ratios)
    integers = np.empty(len(flat), dtype=object)
    integers[:] = [numerator * (scale // denominator) for numerator, denominator in ratios]
    if any(isinstance(v, (float, np.floating)) for v in flat):
        widest, allowed = max(abs(v).bit_length() for v in integers), FLOAT_BITS if scale > 1 else 53
        if widest > allowed:
            raise ValueError(
                f"{name} must lie on a power-of-two grid of at most {allowed} bits, not {widest}:"
                " quantize it first, or pass integers"
            )
    return IntArray(integers.reshape(array.shape)), scale.bit_length() - 1


def _check_matrix(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"W must be a matrix with at least one row and one column, not of shape {shape}")


def _ratio(value: Any, k: int, shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """value = numerator / denominator in lowest terms, the denominator a power of two; k its place."""
    where = tuple(int(i) for i in np.unravel_index(k, shape))
    if isinstance(value, (int, np.integer)):
        return int(value), 1
    if not isinstance(value, (float, np.floating, Fraction)):
        raise TypeError(f"{name} must hold integers or dyadic numbers, not {value!r} at {where}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r} at {where}")
    numerator, denominator = value.as_integer_ratio()
    if denominator & (denominator - 1):
        raise ValueError(f"{name} must be integers * 2**-frac, not {value} at {where}")
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
