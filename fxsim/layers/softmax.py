"""Softmax without a divider: exp2 of the distance to the maximum, times the reciprocal of the sum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from fxsim.formats import Format, Overflow, Rounding
from fxsim.layers.facts import measure
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.leading_one import Exp2, Reciprocal
from fxsim.layers.references import enclosures
from fxsim.trace import Tensor, minimum, trace
from fxsim.types import TensorType

BASES = ("e", "2")
DIRECT_BITS = 8  # of an operand: a table of all its distances is the smallest unit
# log2 e to 64 bits, far beyond any factor that is taken from it; it is irrational.
_LOG2_E = Fraction(26613026195688644983, 1 << 64)


@dataclass(frozen=True)
class Softmax:
    """p_k = b**x_k / sum_j b**x_j over the last axis of K elements, b = e or 2, in the format `out`.

    By `exp2`, for wide operands:

        z_k = max x - x_k                            exact, >= 0
        u_k = round(z_k * log2 b) at `index_frac`    log2 e in `index_frac` + 4 bits; b = 2 needs neither
        e_k = 2**-u_k                                one Exp2 for all k, `exp_frac` fraction bits
        p_k = round(e_k * (1 / sum_j e_j))           one Reciprocal; K partial-product units

    or `direct`, for operands of 8 bits or fewer: e_k = b**-z_k is one table of all z, correctly rounded.

    source      format of the x_k
    size        K
    out         of the p_k, rounded to nearest, saturating: with no integer bit 1.0 becomes the greatest code
    exp_frac    by default out.frac + 2 + log2 K, so that the sum's error is under one LSB
    index_frac  by default out.frac + 3 + log2 K: the bits of t in the octave of Exp2
    low_bits    of the two octaves that are interpolated; by default as many as leave out.frac / 2 + 1 bits
                for the segments, whose error is then about 1/16 LSB

    `bound` is a proven bound of |p_k - softmax_k| in LSB. Lost: what `bound` says; the p_k need not add up to
    1 exactly.
    Source: the form of Stevens et al., arXiv 2103.09301.
    """

    source: Format
    size: int
    out: Format
    base: str = "e"
    exp_frac: int | None = None
    index_frac: int | None = None
    low_bits: int | None = None
    direct: bool | None = None

    def __post_init__(self) -> None:
        for name in ("source", "out"):
            if not isinstance(getattr(self, name), Format):
                raise TypeError(f"{name} of Softmax must be a fxsim.Format, not {getattr(self, name)!r}")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"size of Softmax must be an integer of at least 1, not {self.size!r}")
        if self.base not in BASES:
            raise ValueError(f"base must be one of {', '.join(BASES)}, not {self.base!r}")
        if self.out.frac < 1:
            raise ValueError(f"out of Softmax must have fraction bits, not {self.out}")
        put = object.__setattr__
        put(self, "out", self.out.replace(rounding=Rounding.RND, overflow=Overflow.SAT, saturation_bits=0))
        if self.direct is None:
            put(self, "direct", self.source.width <= DIRECT_BITS)
        if self.exp_frac is None:
            put(self, "exp_frac", self.out.frac + 2 + (self.size - 1).bit_length())
        if self.base == "2":
            put(self, "index_frac", max(self.source.frac, 0))
        elif self.index_frac is None:
            put(self, "index_frac", self.out.frac + 3 + (self.size - 1).bit_length())
        self.exp, self.reciprocal  # noqa: B018  (their own checks name what does not fit)

    @property
    def _fracs(self) -> tuple[int, int]:
        assert self.exp_frac is not None and self.index_frac is not None
        return self.exp_frac, self.index_frac

    def _low_bits(self, bits: int) -> int:
        """Interpolated bits of an octave whose table has an index of so many."""
        return max(bits - self.out.frac // 2 - 1, 0) if self.low_bits is None else min(self.low_bits, bits)

    @property
    def log2_base(self) -> Fraction:
        """The factor of z in the graph."""
        if self.base == "2":
            return Fraction(1)
        unit = 1 << (self._fracs[1] + 4)
        return Fraction(round(_LOG2_E * unit), unit)

    @property
    def _function(self) -> str:
        return "exp_negative" if self.base == "e" else "exp2_negative"

    @cached_property
    def exp(self) -> Exp2:
        """2**u for u <= 0; its `out` is that of a direct table too."""
        frac, index = self._fracs
        # Beyond 2**-(frac + 2) every power rounds to 0: larger distances saturate there.
        whole = max((frac + 2).bit_length(), 1)
        return Exp2(Format(1 + whole + index, 1 + whole), Format(1 + frac, 1, False), self._low_bits(index))

    @cached_property
    def reciprocal(self) -> Reciprocal:
        """1 / sum for sums 1..K."""
        frac = self._fracs[0]
        whole = self.size.bit_length()
        out = Format(self.out.frac + 4, 1, False)
        return Reciprocal(Format(whole + frac, whole, False), out, self._low_bits(whole + frac - 1))

    @cached_property
    def bound(self) -> Fraction:
        """Of |p_k - softmax_k| in LSB: (K + 1) d / s0 + r + 1/2, d the error of e_k, r of the reciprocal.

        With S the sum, E_k its terms and s, e_k their computed values, e_k / s - E_k / S is
        (e_k - E_k) / s + E_k (S - s) / (S s), at most (d + K d) / s, as E_k <= S and |S - s| <= K d. s0 is
        the computed term of the maximum, and the least s. A value of 1 that `out` does not hold costs another
        LSB. d and r are those of all z and all sums, by enumeration.
        """
        lo, hi = 0, self.source.hi - self.source.lo
        frac = self.source.frac
        if not self.direct:
            # Beyond 2**-(exp_frac + 3) every power is computed as 0, and its error falls with the power.
            hi = min(hi, int(-(-(self._fracs[0] + 4) * Fraction(2) ** frac // 1)))
        d = measure(
            self._power, lo, hi, frac, self.exp.out, enclosures(self._function, lo, hi, frac)
        ).max_error
        one = TensorType((), frac, np.asarray(0), np.asarray(0), 0)
        first = int(trace(self._power, one, name="unit").run_raw(np.array([0]))[0])
        unit, unit_frac = self.reciprocal, self._fracs[0]
        last = self.size << unit_frac
        reference = enclosures("reciprocal", first, last, unit_frac)
        r = measure(unit, first, last, unit_frac, unit.out, reference).max_error * unit.out.lsb
        worst = (self.size + 1) * d / first + r
        whole = Fraction(0) if self.out.hi * self.out.lsb >= 1 else Fraction(1)
        return worst / self.out.lsb + Fraction(1, 2) + whole

    def _power(self, z: Tensor) -> Tensor:
        """b**-z, at most 1, which proves the sum to be at most K."""
        if self.direct:
            most = self.source.hi - self.source.lo
            return FunctionUnit(self._function, 0, most, self.source.frac, self.exp.out)(z)
        source = self.exp.source
        u = -(z * self.log2_base)
        nearest = source.replace(rounding=Rounding.RND, overflow=Overflow.SAT)
        return minimum(self.exp(u.cast(nearest)), 1)

    def __call__(self, x: Tensor, name: str = "softmax") -> Tensor:
        """Softmax over the last axis of x, whose codes must be proven codes of `source`."""
        lo, hi = x.type.bounds
        if x.frac != self.source.frac or lo < self.source.lo or hi > self.source.hi:
            raise ValueError(f"operand of softmax must lie in {self.source}, not {x.type}")
        if not x.ndim or x.shape[-1] != self.size:
            raise ValueError(f"operand of softmax must have {self.size} elements last, not shape {x.shape}")
        params = {
            "source": str(self.source), "size": self.size, "out": str(self.out), "base": self.base,
            "exp_frac": self.exp_frac, "index_frac": self.index_frac, "low_bits": self.low_bits,
            "direct": self.direct,
        }  # fmt: skip
        keep = (*x.shape[:-1], 1)
        with x.builder.block("softmax", name, [x], params) as outputs:
            e = self._power((x.max(-1).reshape(*keep) - x).relu())
            total = e.sum(-1).reshape(*keep)
            outputs.append((e * self.reciprocal(total)).cast(self.out))
        return outputs[0]
