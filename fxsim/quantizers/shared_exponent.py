"""Dynamic fixed point: the integers of a tensor share one exponent."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array, exact, shift_left, to_object
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, code_array, fractions, register


@register("shared exponent")
@dataclass(frozen=True)
class SharedExponent(Codec):
    """value = code * 2**exponent, codes signed and symmetric: |code| <= 2**(bits - 1) - 1.

    exponent   of the code's last bit, one for the tensor. `fit` takes E_max - (bits - 2), E_max being
               floor(log2 max|x|), so that the greatest magnitude uses all bits (DFP16: E_max - 14)
    bits       2..32; 16 in the paper

    encode rounds to nearest, ties to even, and saturates symmetrically (RND_CONV, SAT_SYM): the code
    -2**(bits - 1) never comes, whose square twice would leave 2 * bits bits. The reference library libxsmm
    adds the half of its rounding after the sign, so that negatives fall one code towards zero, and wraps
    1.99999 to -32768; neither is done here. raw has frac = max(-exponent, 0).
    Source: arXiv 1802.00930; scf = 14 - add_shift - E_max of libxsmm.
    """

    exponent: int
    bits: int = 16
    frac: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_bits(self.bits)
        object.__setattr__(self, "exponent", check_int("exponent", self.exponent))
        object.__setattr__(self, "frac", max(-self.exponent, 0))

    @classmethod
    def fit(cls, values: Any, bits: int = 16, headroom: int = 0) -> SharedExponent:
        """The exponent of these values; `headroom` bits of every code stay free (libxsmm's add_shift).

        Raises ValueError where all values are 0, or there are none: no exponent follows from them.
        """
        check_bits(bits)
        if not 0 <= check_int("headroom", headroom) <= bits - 2:
            raise ValueError(f"headroom must be in 0..{bits - 2}, not {headroom}")
        largest = largest_magnitude(values)
        power = largest.numerator.bit_length() - largest.denominator.bit_length()
        power -= largest < 2**power if power >= 0 else largest * 2**-power < 1
        return cls(power - (bits - 2) + headroom, bits)

    @property
    def largest(self) -> int:
        """The greatest code, 2**(bits - 1) - 1."""
        return (1 << (self.bits - 1)) - 1

    def encode(self, values: Any) -> Array:
        a = np.asarray(values)
        if a.dtype in (np.float32, np.float64) and np.all(np.isfinite(a)) and abs(self.exponent) < 900:
            # A power of two changes no bit of a float64 but in the range of its subnormals, which are 0 here.
            with np.errstate(over="ignore", under="ignore"):  # infinity saturates
                scaled = np.rint(np.ldexp(a.astype(np.float64), -self.exponent))
            return np.asarray(np.clip(scaled, -self.largest, self.largest), np.int64)
        up, down = 2 ** max(-self.exponent, 0), 2 ** max(self.exponent, 0)
        exact_values = fractions(values)
        out = [min(max(round(v * up / down), -self.largest), self.largest) for v in exact_values.ravel()]
        return exact(to_object(np.array(out, object)).reshape(exact_values.shape))

    def raw(self, codes: Any) -> Array:
        return shift_left(code_array(codes, -self.largest, self.largest), max(self.exponent, 0))


def largest_magnitude(values: Any) -> Fraction:
    """max|x|, exact. Raises ValueError where that is 0, or nothing at all."""
    a = np.asarray(values)
    if a.dtype.kind == "f" and a.dtype.itemsize <= 8 and np.all(np.isfinite(a)):
        largest = Fraction(float(np.max(np.abs(a), initial=0)))
    else:
        largest = max((abs(v) for v in fractions(values).ravel()), default=Fraction(0))
    if not largest:
        raise ValueError("values must hold one that is not 0, not a zero block: it has no greatest magnitude")
    return largest


def check_bits(bits: int) -> int:
    """bits, if 2..32."""
    if not 2 <= check_int("bits", bits) <= 32:
        raise ValueError(f"bits must be in 2..32, not {bits}")
    return bits
