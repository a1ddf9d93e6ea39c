"""Small floating point: sign, exponent and mantissa fields in one unsigned code, without subnormals."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array, exact, shift_left
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, code_array, fractions, register

NAMED = {
    "fp32": (8, 23, 0x7F7FFFFF),
    "bf16": (8, 7, 0x7F7F),
    "fp16": (5, 10, 0x7BFF),
    "e4m3": (4, 3, 0x7E),
    "e5m2": (5, 2, 0x7B),
}
"""Exponent bits, mantissa bits and greatest finite magnitude code of the usual formats."""


@register("small float")
@dataclass(frozen=True)
class SmallFloat(Codec):
    """value = (-1)**sign * (1 + M / 2**m) * 2**(E - bias), bias = 2**(e-1) - 1; 0 where E = 0.

    A code is the unsigned integer sign << (e + m) | E << m | M of `bits` = 1 + e + m bits; its lower e + m
    bits are its magnitude code. There are no subnormals (E = 0 is a signed zero), no infinity and no NaN.

    exponent_bits   e, 2..8
    mantissa_bits   m, 1..23
    largest         greatest magnitude code, the one that saturation gives. The default is all ones. The
                    formats of `SmallFloat.named` stop below their infinities and NaNs: bf16 0x7f7f,
                    fp16 0x7bff, e4m3 0x7e, e5m2 0x7b, fp32 0x7f7fffff. Codes above it are refused here;
                    hardware that is given one reads it by the formula.

    encode rounds to m + 1 significant bits, ties to the even code (RND_CONV); what then lies below the least
    normal number 2**(1 - bias) is zero with the value's sign, what lies above `largest` saturates. 0 is code
    0. raw has frac = bias + m - 1, so that every code is an exact integer. Source: IEEE 754; OCP 8-bit
    formats.
    """

    exponent_bits: int
    mantissa_bits: int
    largest: int = None  # type: ignore[assignment]  # filled in below
    frac: int = field(init=False, repr=False)
    bits: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        e = check_int("exponent_bits", self.exponent_bits, 2)
        m = check_int("mantissa_bits", self.mantissa_bits, 1)
        if e > 8 or m > 23:
            raise ValueError(f"exponent_bits and mantissa_bits must be at most 8 and 23, not {e} and {m}")
        top = (1 << (e + m)) - 1
        largest = top if self.largest is None else check_int("largest", self.largest)
        if not 1 << m <= largest <= top:
            raise ValueError(f"largest must be a magnitude code in {1 << m}..{top}, not {largest}")
        for name, value in (
            ("exponent_bits", e), ("mantissa_bits", m), ("largest", largest),
            ("frac", self.bias + m - 1), ("bits", 1 + e + m),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @classmethod
    def named(cls, name: str) -> SmallFloat:
        """One of the formats fp32, bf16, fp16, e4m3, e5m2. ValueError for another name."""
        if name not in NAMED:
            raise ValueError(f"name must be one of {', '.join(NAMED)}, not {name!r}")
        return cls(*NAMED[name])

    @property
    def bias(self) -> int:
        return int((1 << (self.exponent_bits - 1)) - 1)

    @property
    def magnitude_bits(self) -> int:
        """e + m."""
        return self.exponent_bits + self.mantissa_bits

    @property
    def one(self) -> int:
        """The code of 1.0."""
        return self.bias << self.mantissa_bits

    def encode(self, values: Any) -> Array:
        a = np.asarray(values)
        if a.dtype.kind == "f" and a.dtype.itemsize <= 8 and np.all(np.isfinite(a)):
            significand, power = np.frexp(np.abs(a.astype(np.float64)))  # in 1/2..1, or 0: both exact
            rounded = np.rint(np.ldexp(significand, self.mantissa_bits + 1)).astype(np.int64)
            return self._codes(a < 0, rounded, power.astype(np.int64) - 1)
        exact_values = fractions(values)
        parts = [self._rounded(abs(v)) for v in exact_values.ravel()]
        rounded, power = (
            np.array([p[i] for p in parts], np.int64).reshape(exact_values.shape) for i in (0, 1)
        )
        return self._codes(np.asarray(exact_values < 0, bool), rounded, power)

    def _rounded(self, v: Fraction) -> tuple[int, int]:
        """The m + 1 leading bits of v, rounded, and floor(log2 v); (0, 0) for 0."""
        if not v:
            return 0, 0
        power = v.numerator.bit_length() - v.denominator.bit_length()
        power -= v < Fraction(2) ** power
        return round(v * Fraction(2) ** (self.mantissa_bits - power)), power

    def _codes(self, negative: Array, rounded: Array, power: Array) -> Array:
        # A significand that rounds up to 2**(m + 1) carries into the exponent, as it should.
        magnitude = ((power + self.bias - 1) << self.mantissa_bits) + rounded
        kept = (rounded > 0) & (magnitude >= 1 << self.mantissa_bits)
        magnitude = np.where(kept, np.minimum(magnitude, self.largest), 0)
        return np.asarray(magnitude + (np.asarray(negative, np.int64) << self.magnitude_bits), np.int64)

    def raw(self, codes: Any) -> Array:
        codes = code_array(codes, 0, (1 << self.bits) - 1)
        magnitude = codes & ((1 << self.magnitude_bits) - 1)
        if np.any(magnitude > self.largest):
            at = tuple(int(i) for i in np.argwhere(magnitude > self.largest)[0])
            raise ValueError(
                f"codes must have magnitudes up to {self.largest:#x}, not {int(magnitude[at]):#x} at {at}"
            )
        exponent = magnitude >> self.mantissa_bits
        significand = (magnitude & ((1 << self.mantissa_bits) - 1)) + (1 << self.mantissa_bits)
        significand = np.where(exponent == 0, 0, significand)
        value = shift_left(significand, np.maximum(exponent - 1, 0))
        return exact(np.where(codes >> self.magnitude_bits == 1, exact(-value), value))
