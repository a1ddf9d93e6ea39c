"""Weights of at most K powers of two: a product is K shifts and K - 1 additions."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, fractions, register
from fxsim.quantizers.digits import Digits, greedy, nearest, truncated
from fxsim.quantizers.fields import Fields

READINGS = ("truncated", "nearest", "signed")
BITS = 16


@register("K-hot")
@dataclass(frozen=True)
class KHot(Codec):
    """value = scale * raw * 2**-frac, |raw| a sum of at most K powers of two, the sign apart (QFX,
    arXiv 2401.17544).

    The magnitude m = round(|v| * 2**frac / scale), ties up, saturates at 2**N - 1. The paper leaves open what
    becomes of it; all three readings are here:

    signed     (default) K times the power of two nearest to what is left, with its sign, ties up: a nearest
               value of K signed digits. It may be 2**N, one bit more than m
    nearest    the value nearest to m of at most K ones within N bits, ties up
    truncated  the K most significant ones of m

    For N = 8 and K = 2 the root mean square errors are 5.29, 19.0 and 20.8 LSB: signed digits of K = 2 beat
    unsigned ones of K = 3.

    terms    K
    N        bits of a magnitude, at most 16
    frac     of raw, at least 0

    A code has K fields {zero, sign, shift}. Products are exact and N + 1 bits longer than the operand.
    Raises ValueError for K = 0, N outside 1..16, a negative frac, a scale of 0 or less, another reading.
    """

    terms: int
    N: int = 8
    frac: int = 7
    reading: str = "signed"
    scale: Fraction = Fraction(1)
    form: Fields = field(init=False, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_int("terms", self.terms, 1)
        check_int("frac", self.frac, 0)
        if not 1 <= check_int("N", self.N) <= BITS:
            raise ValueError(f"N must lie in 1..{BITS}, not {self.N!r}")
        if self.reading not in READINGS:
            raise ValueError(f"reading must be one of {', '.join(READINGS)}, not {self.reading!r}")
        object.__setattr__(self, "scale", Fraction(self.scale))
        if self.scale <= 0:
            raise ValueError(f"scale must be above 0, not {self.scale}")
        signed = self.reading == "signed"
        top = self.N if signed else self.N - 1
        bound = 1 << self.N if signed else truncated((1 << self.N) - 1, self.terms)
        object.__setattr__(self, "form", Fields(self.terms, top, bound))
        object.__setattr__(self, "bits", self.form.bits)

    @classmethod
    def fit(cls, values: Any, terms: int, N: int = 8, reading: str = "signed") -> KHot:
        """The finest point at which the greatest |value| does not saturate.

        Where that is above the units' place, frac is 0 and scale a power of two. Raises ValueError for values
        without a number other than 0.
        """
        greatest = max((abs(v) for v in fractions(values).ravel()), default=Fraction(0))
        if not greatest:
            raise ValueError("values must hold a number other than 0 to fit to, not none")
        frac = N - greatest.numerator.bit_length() + greatest.denominator.bit_length() + 1
        while _half_up(greatest * Fraction(2) ** frac) >= 1 << N:
            frac -= 1
        return cls(terms, N, max(frac, 0), reading, Fraction(2) ** max(-frac, 0))

    def encode(self, values: Any) -> Array:
        """Codes of K fields, the first the most significant."""
        values = fractions(values)
        raw = np.zeros(values.shape, np.int64)
        most = (1 << self.N) - 1
        for i, v in np.ndenumerate(values):
            m = min(_half_up(abs(v) / self.scale * 2**self.frac), most)
            raw[i] = m if v > 0 else -m
        return self.form.of(raw, self.digits)

    def digits(self, m: int) -> Digits:
        """The signed powers of two that an integer becomes."""
        if self.reading == "signed":
            return greedy(m, self.terms)
        kept = (
            truncated(abs(m), self.terms)
            if self.reading == "truncated"
            else nearest(abs(m), self.terms, self.N)
        )
        sign = 1 if m > 0 else -1
        return tuple((sign, shift) for shift in reversed(range(self.N)) if kept >> shift & 1)

    def raw(self, codes: Any) -> Array:
        """Sums of the fields."""
        return self.form.raw(codes)


def _half_up(v: Fraction) -> int:
    """round(v) of v >= 0, ties up."""
    return (2 * v.numerator + v.denominator) // (2 * v.denominator)
