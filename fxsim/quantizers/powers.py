"""Weights that are signed powers of two or 0: a product is one shift. Also by DeepShift's and INQ's rules."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import Codec, fractions, register
from fxsim.quantizers.fields import Fields

ROUNDINGS = ("linear", "log")
SMALL = ("zero", "least")


def exponent(v: Fraction) -> int:
    """floor(log2 v) of v > 0, exactly."""
    e = v.numerator.bit_length() - v.denominator.bit_length()
    return e if v >= Fraction(2) ** e else e - 1


def linear(v: Fraction) -> int:
    """log2 of the power of two nearest to v > 0; 1.5 * 2**k goes to 2**(k + 1)."""
    e = exponent(v)
    return e + (v >= Fraction(3, 2) * Fraction(2) ** e)


def log(v: Fraction) -> int:
    """round(log2 v) of v > 0: the step is at sqrt(2) * 2**k, which no rational number meets."""
    e = exponent(v)
    return e + (v * v > Fraction(2) ** (2 * e + 1))


_ROUND: dict[str, Callable[[Fraction], int]] = {"linear": linear, "log": log}


class Powers(Codec, ABC):
    """What the codecs of signed powers of two share: their parameters, codes and rule.

    value = 0 or +-2**e, low <= e <= high; a code is the one field {zero, sign, shift} of `form`, shift = e -
    low.
    """

    low: int
    high: int
    rounding: str
    small: str
    form: Fields

    def _prepare(self) -> None:
        """Checks, and what follows from the parameters."""
        if self.rounding not in ROUNDINGS:
            raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, not {self.rounding!r}")
        if self.small not in SMALL:
            raise ValueError(f"small must be one of {', '.join(SMALL)}, not {self.small!r}")
        check_int("low", self.low)
        check_int("high", self.high)
        if self.low > self.high:
            raise ValueError(f"low must be at most high = {self.high!r}, not {self.low!r}")
        if self.high - self.low > 31:
            raise ValueError(f"high must be at most low + 31, not {self.high!r} for low = {self.low!r}")
        put = object.__setattr__
        put(self, "form", Fields(1, self.high - self.low))
        put(self, "frac", max(-self.low, 0))
        put(self, "scale", Fraction(2) ** max(self.low, 0))

    def encode(self, values: Any) -> Array:
        """Field codes: zero << (w + 1) | sign << w | shift, w the bits of the greatest shift."""
        values = fractions(values)
        raw = np.zeros(values.shape, np.int64)
        for i, v in np.ndenumerate(values):
            raw[i] = self._rounded(v)
        return self.form.of(raw)

    def _rounded(self, v: Fraction) -> int:
        """value * 2**-low."""
        if not v:
            return 0
        if self.small == "zero" and abs(v) < Fraction(2) ** self.low / 2:
            return 0
        e = min(max(_ROUND[self.rounding](abs(v)), self.low), self.high)
        return (1 if v > 0 else -1) << e - self.low

    def raw(self, codes: Any) -> Array:
        """0 or +-2**shift."""
        return self.form.raw(codes)


@register("power of two")
@dataclass(frozen=True)
class PowerOfTwo(Powers):
    """value = 0 or +-2**e with low <= e <= high (Miyashita et al., arXiv 1603.01025).

    rounding  "linear": the nearest power of two, 1.5 * 2**k up; "log": e = round(log2 |v|), whose step is at
              sqrt(2) * 2**k (0.72 -> 1, where linear gives 0.5)
    small     what is below half of 2**low: "zero": becomes 0; "least": +-2**low, so that only 0 becomes 0

    Between half of 2**low and 2**low a value becomes +-2**low, above 2**high +-2**high. A product is one
    shift and one negation, exact, high - low bits longer than the operand.

    Raises ValueError for low > high, for more than 32 powers, and for another name of a rule.
    """

    low: int
    high: int
    rounding: str = "linear"
    small: str = "zero"
    form: Fields = field(init=False, repr=False, compare=False)
    frac: int = field(init=False, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)
    scale: Fraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._prepare()
        object.__setattr__(self, "bits", self.form.bits)

    @classmethod
    def fit(cls, values: Any, powers: int, rounding: str = "linear", small: str = "zero") -> PowerOfTwo:
        """`powers` of them, the highest that which the greatest |value| is rounded to.

        Raises ValueError for values without a number other than 0, and for less than one power.
        """
        check_int("powers", powers, 1)
        high = _ROUND.get(rounding, linear)(_greatest(values))
        return cls(high - powers + 1, high, rounding, small)


@register("DeepShift")
@dataclass(frozen=True)
class DeepShift(Powers):
    """value = sgn(w) * 2**round(log2 |w|), with the exponents that DeepShift gives b bits (arXiv 1905.13298).

    b     of the paper: the sign and a shift of b - 1 bits. A code here has one bit more, that of zero
    kind  "Q": exponents -(2**(b-1) - 1) .. 0, |w| clamped to them, only 0 stays 0
          "PS": exponents -(2**(b-1) - 2) .. 0, trained as (shift, sign) pairs; see `from_parameters`

    The products are exact: operands are shifted left from the least exponent, and rounded once behind the
    sum. A floor of each term, as kernels with right shifts have it, is not offered: it costs a bias that
    grows with the number of terms.

    Raises ValueError for b outside 2..6 and another kind.
    """

    b: int = 5
    kind: str = "Q"
    low: int = field(init=False, repr=False, compare=False)
    high: int = field(init=False, repr=False, compare=False)
    form: Fields = field(init=False, repr=False, compare=False)
    frac: int = field(init=False, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)
    scale: Fraction = field(init=False, repr=False, compare=False)
    rounding = "log"
    small = "least"

    def __post_init__(self) -> None:
        if self.kind not in ("Q", "PS"):
            raise ValueError(f"kind must be Q or PS, not {self.kind!r}")
        if not 2 <= check_int("b", self.b) <= 6:
            raise ValueError(f"b must lie in 2..6, not {self.b!r}")
        put = object.__setattr__
        put(self, "low", -((1 << self.b - 1) - (1 if self.kind == "Q" else 2)))
        put(self, "high", 0)
        self._prepare()
        put(self, "bits", self.form.bits)

    def from_parameters(self, shift: Any, sign: Any) -> Array:
        """Codes of trained parameters: 2**round(shift) * sgn(round(sign)); ties to even, shift clamped.

        |sign| <= 1/2 is 0: the pair then has no weight.
        """
        s, t = fractions(shift), fractions(sign)
        if s.shape != t.shape:
            raise ValueError(f"shift and sign must have one shape, not {s.shape} and {t.shape}")
        raw = np.zeros(s.shape, np.int64)
        for i, (v, u) in enumerate(zip(s.ravel().tolist(), t.ravel().tolist(), strict=True)):
            turn = round(u)
            e = min(max(round(v), self.low), self.high) - self.low
            raw.flat[i] = ((turn > 0) - (turn < 0)) << e
        return self.form.of(raw)


@register("INQ")
@dataclass(frozen=True)
class INQ(Powers):
    """value = 0 or +-2**e, n2 <= e <= n1 = high, in b bits (incremental quantization, arXiv 1702.03044).

    n1 = floor(log2(4 * max|w| / 3)), n2 = n1 + 1 - 2**(b - 1) / 2. |w| < 2**n2 / 2 is 0; |w| in [1.5 *
    2**(k-1), 1.5 * 2**k) is 2**k; beyond, weights that grew while training are clamped to 2**n1.

    A code is a field {zero, sign, shift} of b bits. Raises ValueError for b outside 2..6.
    """

    high: int
    b: int = 5
    low: int = field(init=False, repr=False, compare=False)
    form: Fields = field(init=False, repr=False, compare=False)
    frac: int = field(init=False, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)
    scale: Fraction = field(init=False, repr=False, compare=False)
    rounding = "linear"
    small = "zero"

    def __post_init__(self) -> None:
        if not 2 <= check_int("b", self.b) <= 6:
            raise ValueError(f"b must lie in 2..6, not {self.b!r}")
        object.__setattr__(self, "low", self.high + 1 - (1 << self.b - 2))
        self._prepare()
        object.__setattr__(self, "bits", self.form.bits)

    @classmethod
    def fit(cls, values: Any, b: int = 5) -> INQ:
        """n1 of the greatest |value|. Raises ValueError for values without a number other than 0."""
        return cls(exponent(_greatest(values) * Fraction(4, 3)), b)


def _greatest(values: Any) -> Fraction:
    greatest: Fraction = max((abs(v) for v in fractions(values).ravel()), default=Fraction(0))
    if not greatest:
        raise ValueError("values must hold a number other than 0 to fit to, not none")
    return greatest
