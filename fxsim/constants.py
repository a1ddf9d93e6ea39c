"""Real constants as exact raw integers with the coarsest binary point that holds them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fxsim.integers import Array, exact, to_object

# A weight that needs more bits than this was surely not meant to be exact: 0.1 is a 55-bit dyadic number.
MAX_CONSTANT_BITS = 32


def to_raw(values: object, what: str = "constant") -> tuple[Array, int]:
    """(raw, frac) with values == raw * 2**-frac exactly, frac as small as possible (never below 0 for
    integers).

    Raises ValueError for NaN, infinity, or values that need more than 32 bits, with the way out (a
    quantizer).
    """
    a = np.asarray(values)
    if a.dtype.kind in "iub" or (
        a.dtype == object and all(isinstance(v, (int, np.integer)) for v in a.ravel())
    ):
        return exact(a), 0
    if a.dtype == object and all(isinstance(v, (int, float, Fraction, np.integer)) for v in a.ravel()):
        fractions = [Fraction(v) for v in a.ravel()]
    elif a.dtype.kind == "f":
        if a.dtype.itemsize > 8:
            raise TypeError(f"{what} must be floats of at most 64 bits, not {a.dtype}")
        bad = np.argwhere(~np.isfinite(a))
        if len(bad):
            where = tuple(int(i) for i in bad[0])
            raise ValueError(f"{what} must be finite, not {a[where]} at index {where}")
        fractions = [Fraction(v) for v in a.astype(np.float64).ravel().tolist()]
    else:
        raise TypeError(f"{what} must be real numbers, not {a.dtype}")
    frac = 0
    for f in fractions:
        bits = f.denominator.bit_length() - 1
        if f.denominator != 1 << bits:
            raise ValueError(f"{what} must be dyadic (an integer times a power of two), not {f}")
        frac = max(frac, bits)
    raw = to_object(np.array([int(f * (1 << frac)) for f in fractions] or [], object).reshape(a.shape))
    widest = max((abs(v).bit_length() for v in raw.ravel()), default=0)
    if widest > MAX_CONSTANT_BITS:
        raise ValueError(
            f"{what} needs {widest} bits to be exact; quantize it first, "
            f"for example fxsim.constant(values, fxsim.SQ(1, 7, rounding='RND', overflow='SAT'))"
        )
    return exact(raw), frac
