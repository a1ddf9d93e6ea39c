"""Power-law codes: levels (k/n)**(1/a), which the products of values keep and their sums do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxsim.integers import Array, exact, to_object
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, code_array, fractions, register
from fxsim.quantizers.shared_exponent import largest_magnitude

DENOMINATOR = 100
"""Greatest denominator of an exponent: thresholds and levels are roots of that order, taken exactly."""


@register("power exponent")
@dataclass(frozen=True)
class PowerExponent(Codec):
    """value = maximum * sgn(q) * (|q| / n)**(1/a), n = 2**(bits - 1) - 1, codes q in -n..n.

    bits       2..16
    exponent   a in 0 < a <= 1, a fraction with a denominator up to 100 (a float is read as the decimal number
               that it prints as: 0.62 is 31/50); 1 is the uniform grid
    maximum    of the magnitudes, > 0; larger ones saturate
    frac       fraction bits of the decoding table. The default is none at all where 1/a is an integer r: then
               raw = sgn(q) * |q|**r is exact (`is_exact`) and scale = maximum / n**r. Otherwise 2 * bits:
               raw = round((|q| / n)**(1/a) * 2**frac), ties to even, and scale = maximum.

    encode is q = sgn(x) * #{k : |x| >= t_k} with t_k = maximum * ((k - 1/2) / n)**(1/a): the formula
    round(n * (|x| / maximum)**a) with ties away from zero, decided exactly, by comparisons and without a
    power. Codes that training has moved elsewhere on the grid (NUPES) are decoded just so.
    Source: PowerQuant, arXiv 2301.09858; NUPES, arXiv 2308.05600.
    """

    bits: int
    exponent: Fraction
    maximum: Fraction = Fraction(1)
    frac: int = None  # type: ignore[assignment]  # filled in below
    is_exact: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 2 <= check_int("bits", self.bits) <= 16:
            raise ValueError(f"bits must be in 2..16, not {self.bits}")
        a, maximum = _fraction("exponent", self.exponent), fractions(self.maximum)
        if not 0 < a <= 1 or a.denominator > DENOMINATOR:
            raise ValueError(
                f"exponent must be a fraction in 0 < a <= 1 with a denominator up to {DENOMINATOR}, "
                f"not {self.exponent!r}"
            )
        if maximum.shape or maximum[()] <= 0:
            raise ValueError(f"maximum must be one number above 0, not {self.maximum!r}")
        given: int | None = self.frac
        whole = given is None and a.numerator == 1
        frac = 0 if whole else 2 * self.bits if given is None else check_int("frac", given, 0)
        for name, value in (
            ("exponent", a), ("maximum", maximum[()]), ("frac", frac),
            ("is_exact", whole), ("scale", maximum[()] / (self.n**a.denominator if whole else 1)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @classmethod
    def fit(cls, values: Any, bits: int = 8, exponent: Any = None, frac: int | None = None) -> PowerExponent:
        """The maximum of the values and, unless given, the exponent in 0.30, 0.31 .. 1.00 of least error.

        The error is the sum of (x - x')**2 in float64, with levels before the rounding of the table.
        Raises ValueError where all values are 0 or there are none.
        """
        maximum = largest_magnitude(values)
        if exponent is None:
            if not 2 <= check_int("bits", bits) <= 16:
                raise ValueError(f"bits must be in 2..16, not {bits}")
            n = (1 << (bits - 1)) - 1
            share = np.abs(np.asarray(values, np.float64).ravel() / float(maximum))
            grid = [Fraction(k, 100) for k in range(30, 101)]
            losses = [_loss(share, n, float(a)) for a in grid]
            exponent = grid[int(np.argmin(losses))]
        return cls(bits, exponent, maximum, frac)  # type: ignore[arg-type]

    @property
    def n(self) -> int:
        """The greatest code."""
        return int((1 << (self.bits - 1)) - 1)

    def encode(self, values: Any) -> Array:
        a = np.asarray(values)
        if a.dtype.kind == "f" and a.dtype.itemsize <= 8 and np.all(np.isfinite(a)):
            size = np.searchsorted(self._doubles, np.abs(a.astype(np.float64)), side="right")
            return np.asarray(np.where(a < 0, -size, size), np.int64)
        exact_values = fractions(values)
        codes = [self._code(v) for v in exact_values.ravel()]
        return np.array(codes, np.int64).reshape(exact_values.shape)

    def _code(self, x: Fraction) -> int:
        """By bisection over the thresholds, in rationals."""
        p, r = self.exponent.numerator, self.exponent.denominator
        share = (abs(x) / self.maximum) ** p
        low, high = 0, self.n
        while low < high:
            k = (low + high + 1) // 2
            low, high = (k, high) if share >= Fraction(2 * k - 1, 2 * self.n) ** r else (low, k - 1)
        return -low if x < 0 else low

    def thresholds(self, frac: int) -> Array:
        """The n integers ceil(t_k * 2**frac): |x| >= t_k just where the raw |x| at `frac` reaches one."""
        check_int("frac", frac)
        return exact(to_object(np.array([self._threshold(k, frac) for k in range(1, self.n + 1)], object)))

    def _threshold(self, k: int, frac: int) -> int:
        p, r = self.exponent.numerator, self.exponent.denominator
        # t_k**p = maximum**p * ((2k - 1) / 2n)**r
        power = (self.maximum * Fraction(2) ** frac) ** p * Fraction(2 * k - 1, 2 * self.n) ** r
        return root_ceiling(power, p)

    @cached_property
    def _doubles(self) -> NDArray[np.float64]:
        """The least float64 at or above every threshold: it has 53 bits, the first of them as t_k's."""
        out = []
        for k in range(1, self.n + 1):
            guess = float(self.maximum) * ((k - 0.5) / self.n) ** float(1 / self.exponent)
            frac = 52 - int(np.frexp(guess)[1])
            integer = self._threshold(k, frac)
            spare = integer.bit_length() - 53  # the guess may miss a power of two
            if spare:
                frac -= spare
                integer = self._threshold(k, frac)
            out.append(np.ldexp(float(integer), -frac))
        return np.array(out)

    @cached_property
    def levels(self) -> Array:
        """raw of the codes 0..n."""
        if self.is_exact:
            r = self.exponent.denominator
            return exact(to_object(np.array([k**r for k in range(self.n + 1)], object)))
        entries = [self.level(Fraction(k, self.n)) for k in range(self.n + 1)]
        return exact(to_object(np.array(entries, object)))

    def level(self, share: Fraction) -> int:
        """round(share**(1/a) * 2**frac), ties to even, decided exactly."""
        p, r = self.exponent.numerator, self.exponent.denominator
        twice = share**r * Fraction(2) ** (
            (self.frac + 1) * p
        )  # of 2**(frac + 1) * share**(1/a), its p-th power
        up = root_ceiling(twice, p)
        if up % 2 == 0 or up**p != twice:
            return up // 2
        return (up // 2) + (up // 2) % 2

    def raw(self, codes: Any) -> Array:
        codes = code_array(codes, -self.n, self.n)
        size = self.levels[np.abs(codes)]
        return exact(np.where(codes < 0, exact(-size), size))

    def slope(self, values: Any, codes: Any) -> NDArray[np.float64]:
        """d value / d a of NUPES' training, in float64: the codes' distance from n * |x|**a is kept fixed.

        For x over maximum and q = codes: x' * ((v * ln|x| / |q|) / a - ln(|q| / n) / a**2) with
        v = n * |x|**a and x' the level of q; 0 where q or x is 0.
        """
        x = np.abs(np.asarray(values, np.float64)) / float(self.maximum)
        codes = code_array(codes, -self.n, self.n)
        a, used = float(self.exponent), (codes != 0) & (x > 0)
        q, x = np.where(used, np.abs(codes), 1), np.where(used, x, 1.0)
        level = np.sign(codes) * (q / self.n) ** (1 / a) * float(self.maximum)
        found = level * (self.n * x**a * np.log(x) / q / a - np.log(q / self.n) / a**2)
        return np.where(used, found, 0.0)


def root_ceiling(x: Fraction, p: int) -> int:
    """The least integer r >= 0 with r**p >= x."""
    if x <= 0:
        return 0
    whole = -(-x.numerator // x.denominator)
    if p == 1 or whole == 1:
        return whole
    r = 1 << -(-whole.bit_length() // p)  # at or above the root, from where Newton's steps fall
    while (step := ((p - 1) * r + whole // r ** (p - 1)) // p) < r:
        r = step
    return r if r**p >= whole else r + 1


def _loss(share: NDArray[np.float64], n: int, a: float) -> float:
    level = (np.floor(n * share**a + 0.5) / n) ** (1 / a)
    return float(np.sum((share - level) ** 2))


def _fraction(what: str, value: Any) -> Fraction:
    try:
        return Fraction(repr(float(value)) if isinstance(value, (float, np.floating)) else value)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be a fraction, not {value!r}") from None
