"""log2, reciprocal, 1/sqrt and exp2 of wide ranges: a leading one or a shift, and one octave as a unit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import ClassVar

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.layers.facts import Facts, measure
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.references import FUNCTIONS, Enclosure
from fxsim.trace import Tensor, maximum, minimum, select


@dataclass(frozen=True)
class Reduced:
    """A function over all codes of `source`, computed from one octave, in the format `out`.

    source    of the operand; unsigned but for exp2
    out       of the result, which is rounded to nearest and saturated
    low_bits  and `octave_frac` are those of the octave's table (`FunctionUnit`): the bits that are
              interpolated, and the fraction bits that its values have (by default 2 more than the result
              has, or than its width where it is shifted left)

    `facts` holds error, monotonicity and Lipschitz constant over all codes of `source`. Lost: the error in
    `facts`, and values beyond `out`. Raises TypeError for what is no format, ValueError for a source of one
    bit, of a negative frac or with a sign where there is none, and what `FunctionUnit` refuses.
    """

    source: Format
    out: Format
    low_bits: int = 0
    octave_frac: int | None = None

    name: ClassVar[str] = ""
    signed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for label in ("source", "out"):
            if not isinstance(getattr(self, label), Format):
                raise TypeError(
                    f"{label} of {self.name} must be a fxsim.Format, not {getattr(self, label)!r}"
                )
        if self.source.signed and not self.signed:
            raise ValueError(f"source of {self.name} must be unsigned, not {self.source}")
        if self.source.width < 2 or self.source.frac < 0:
            raise ValueError(
                f"source of {self.name} must have 2 bits or more and frac >= 0, not {self.source}"
            )
        put = object.__setattr__
        put(self, "out", self.out.replace(rounding=Rounding.RND, overflow=Overflow.SAT, saturation_bits=0))
        if self.octave_frac is None:
            put(self, "octave_frac", self._default_frac())
        self.octave  # noqa: B018  (its own checks name what does not fit)

    @cached_property
    def octave(self) -> FunctionUnit:
        """The table of the reduced operand."""
        raise NotImplementedError(f"{type(self).__name__} has no octave")

    def _default_frac(self) -> int:
        return self.out.width + 2

    def _build(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no graph")

    def reference(self, x: Fraction) -> Enclosure | None:
        """f(x) enclosed, None for +inf."""
        return FUNCTIONS[self.name](x)

    @cached_property
    def facts(self) -> Facts:
        """Error, monotonicity and Lipschitz constant over all codes."""
        return _facts(self)

    def __call__(self, x: Tensor, name: str = "") -> Tensor:
        """The function of every element of x, whose codes must be proven codes of `source`."""
        lo, hi = x.type.bounds
        if x.frac != self.source.frac or lo < self.source.lo or hi > self.source.hi:
            raise ValueError(f"operand of {self.name} must lie in {self.source}, not {x.type}")
        params = {
            "source": str(self.source), "out": str(self.out), "low_bits": self.low_bits,
            "octave_frac": self.octave_frac,
        }  # fmt: skip
        with x.builder.block(self.name, name or self.name, [x], params) as outputs:
            outputs.append(self._build(x))
        return outputs[0]

    def _normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(e, t): raw x = 2**(e-1) * (1 + t * 2**-(width-1)), e = 0 and t = 0 for x = 0."""
        raw, width = x << x.frac, self.source.width
        e = x.builder.apply(ops.LeadingOne(), raw)
        shifted = raw << (width - e)
        return e, shifted.cast(Format(width - 1, width - 1, signed=False))


@lru_cache(maxsize=64)
def _facts(unit: Reduced) -> Facts:
    s = unit.source
    reference = [unit.reference(code * s.lsb) for code in range(s.lo, s.hi + 1)]
    return measure(unit, s.lo, s.hi, s.frac, unit.out, reference)


def _looked_up(index: Tensor, values: list[int], base: int = 0) -> Tensor:
    return index.builder.apply(ops.Table(IntArray(values), base), index)


class Log2(Reduced):
    """log2 x = e - 1 - frac + log2(1 + t) for the e significant bits of x; the least code for x = 0."""

    name = "log2"

    @cached_property
    def octave(self) -> FunctionUnit:
        assert self.octave_frac is not None
        out = Format(self.octave_frac + 1, 1, signed=False)
        n = self.source.width - 1
        return FunctionUnit("log2_mantissa", 0, (1 << n) - 1, n, out, self.low_bits)

    def _default_frac(self) -> int:
        return self.out.frac  # then the octave's rounding is the only one

    def reference(self, x: Fraction) -> Enclosure | None:
        return FUNCTIONS["log2"](x) if x else (-(1 << 256), -(1 << 256))

    def _build(self, x: Tensor) -> Tensor:
        e, t = self._normalised(x)
        y = self.octave(t >> (self.source.width - 1)) + (e - (1 + self.source.frac))
        return select(x == 0, Fraction(self.out.lo) * self.out.lsb, y.cast(self.out))


class Reciprocal(Reduced):
    """1 / x = 2**(frac + 1 - e) / (1 + t); the greatest code for x = 0."""

    name = "reciprocal"

    @cached_property
    def octave(self) -> FunctionUnit:
        assert self.octave_frac is not None
        out = Format(self.octave_frac + 1, 1, signed=False)
        n = self.source.width - 1
        return FunctionUnit("reciprocal_mantissa", 0, (1 << n) - 1, n, out, self.low_bits)

    def reference(self, x: Fraction) -> Enclosure | None:
        return FUNCTIONS["reciprocal"](x) if x else None

    def _build(self, x: Tensor) -> Tensor:
        e, t = self._normalised(x)
        width = self.source.width
        y = (self.octave(t >> (width - 1)) << (width - e)) << (self.source.frac + 1 - width)
        return select(x == 0, Fraction(self.out.hi) * self.out.lsb, y.cast(self.out))


class Rsqrt(Reduced):
    """1 / sqrt x = 2**-h / sqrt(2**p * (1 + t)), 2 h + p = e - 1 - frac; the greatest code for x = 0.

    The parity p is the top bit of the table's index: the octave covers two of x.
    """

    name = "rsqrt"

    @cached_property
    def octave(self) -> FunctionUnit:
        assert self.octave_frac is not None
        out = Format(self.octave_frac + 1, 1, signed=False)
        n = self.source.width
        return FunctionUnit("rsqrt_mantissa", 0, (1 << n) - 1, n - 1, out, self.low_bits)

    def reference(self, x: Fraction) -> Enclosure | None:
        return FUNCTIONS["rsqrt"](x) if x else None

    def _build(self, x: Tensor) -> Tensor:
        e, t = self._normalised(x)
        n, frac = self.source.width, self.source.frac
        exponents = [max(k, 1) - 1 - frac for k in range(n + 1)]
        most = max(k // 2 for k in exponents)
        index = t | _looked_up(e, [k % 2 << (n - 1) for k in exponents])
        shift = _looked_up(e, [most - k // 2 for k in exponents])
        y = (self.octave(index >> (n - 1)) << shift) >> most
        return select(x == 0, Fraction(self.out.hi) * self.out.lsb, y.cast(self.out))


class Exp2(Reduced):
    """2**x = 2**floor(x) * 2**t, t the fraction bits of x; signed or unsigned x."""

    name = "exp2"
    signed = True

    @cached_property
    def octave(self) -> FunctionUnit:
        assert self.octave_frac is not None
        n = max(self.source.frac, 0)
        out = Format(self.octave_frac + 2, 2, signed=False)
        return FunctionUnit("exp2", 0, (1 << n) - 1, n, out, self.low_bits)

    def _build(self, x: Tensor) -> Tensor:
        n, width = self.source.frac, self.source.width + 1
        whole = x.cast(Format(width, width))
        y = self.octave(x.cast(Format(n, 0, signed=False))) if n else x.builder.constant(1)
        # Below 2**least the result is under a quarter LSB and rounds to 0; above 2**most it saturates.
        least, most = -self.out.frac - 3, self.out.int_bits + 1
        low, high = whole.type.bounds
        whole = minimum(maximum(whole, least), most) if low < least or high > most else whole
        least = max(low, least)
        return ((y << (whole - least)) << least).cast(self.out)


__all__ = ["Exp2", "Log2", "Reciprocal", "Reduced", "Rsqrt"]
