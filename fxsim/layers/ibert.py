"""I-BERT's integer-only exp, GELU and softmax: second-order polynomials with floors of real constants."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import IntArray
from fxsim.layers.dyadic import Dyadic
from fxsim.layers.requantize import requantize
from fxsim.quantizers.codec import fractions
from fxsim.trace import Tensor, maximum, minimum, select

# The constants of the authors' code, as the decimals they are written as.
LN2 = Fraction("0.6931")
EXP = Fraction("0.35815147"), Fraction("0.96963238"), Fraction(1)
SQRT2 = Fraction("1.4142")
ERF = Fraction("-0.2888"), Fraction("-1.769"), Fraction(1)


@dataclass(frozen=True)
class IntExp:
    """e**(scale * q) for integer codes q <= 0, as integers at `out_scale` = a * scale**2 * 2**-cap.

        q' = max(q, cap * x0)         x0 = floor(-0.6931 / scale): -ln 2
        n  = floor(q' / x0)           halvings; r = q' - n * x0 in x0+1..0
        y  = max((r * (r + b) + c) << (cap - n), 0)

    with a = 0.35815147, b = floor(0.96963238 / a / scale), c = floor(1 / a / scale**2). The quotient n is a
    count of `cap` thresholds; the square is one product of two variables of the width of x0.

    scale  real value of one step of q, at most 0.6931
    cap    the most halvings; smaller results are those of the greatest distance (30 in the source)

    Error: the polynomial is within 2e-3 of exp on (-ln 2, 0], and the floors of b and c add about `scale`;
    below cap * x0 nothing is told apart. No bit of the integer form is lost. Raises ValueError for a scale
    that is not positive or too large. Source: Kim et al., I-BERT, arXiv 2101.01321.
    """

    scale: Fraction
    cap: int = 30

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _scale("IntExp", self.scale))
        if isinstance(self.cap, bool) or not isinstance(self.cap, int) or not 1 <= self.cap <= 62:
            raise ValueError(f"cap of IntExp must be an integer in 1..62, not {self.cap!r}")
        if self.scale > LN2:
            raise ValueError(f"scale of IntExp must be at most 0.6931, not {self.scale}")

    @property
    def ln2(self) -> int:
        """-x0, the codes of one halving."""
        return -(-LN2 / self.scale).__floor__()

    @property
    def constants(self) -> tuple[int, int]:
        """(b, c)."""
        a, b, c = EXP
        return (b / a / self.scale).__floor__(), (c / a / self.scale**2).__floor__()

    @property
    def out_scale(self) -> Fraction:
        """Real value of one step of the result."""
        return EXP[0] * self.scale**2 / (1 << self.cap)

    def __call__(self, q: Tensor, name: str = "int_exp") -> Tensor:
        """Integers (frac 0) of raw codes q, which must be proven at most 0."""
        if q.type.bounds[1] > 0:
            raise ValueError(f"operand of IntExp must be proven at most 0, not {q.type}")
        params = {"scale": self.scale, "cap": self.cap}
        with q.builder.block("int_exp", name, [q], params) as outputs:
            distance = minimum(-(q << q.frac), self.cap * self.ln2)
            levels = [self.ln2 * k for k in range(1, self.cap + 1)]
            n = q.builder.apply(ops.Threshold(IntArray([levels])), distance)
            # distance - n * ln2 lies in 0..ln2-1: computed modulo a power of two, it needs no more bits.
            bits = max((self.ln2 - 1).bit_length(), 1)
            r = (distance - n * self.ln2).cast(Format(bits, bits, signed=False))
            b, c = self.constants
            polynomial = (c - r * (b - r)).relu()
            outputs.append(polynomial << (self.cap - n))
        return outputs[0]


@dataclass(frozen=True)
class IntGelu:
    """x/2 * (1 + erf(x / sqrt 2)) of x = scale * q, as integers at `out_scale`.

        s    = scale / 1.4142, b = floor(-1.769 / s), c = floor(1 / -0.2888 / s**2)
        erf  = floor(sgn(q) * ((min(|q|, -b) + b)**2 + c) / 2**drop)     at s**2 * -0.2888 * 2**drop
        y    = -q * (erf + floor(1 / that scale))

    The scale of erf is negative; y is negated so that `out_scale` is positive. `drop` bits of the square are
    lost (14 in the source, which is for codes finer than scale 0.02; 0 loses none).

    Error: the polynomial is within 0.018 of GELU, the floors add about half a step of erf times |x|. Raises
    ValueError for a scale so coarse that 1 is no step of erf. Source: Kim et al., arXiv 2101.01321.
    """

    scale: Fraction
    drop: int = 14

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _scale("IntGelu", self.scale))
        if isinstance(self.drop, bool) or not isinstance(self.drop, int) or self.drop < 0:
            raise ValueError(f"drop of IntGelu must be an integer of at least 0, not {self.drop!r}")
        if -self._erf_scale > 1:
            raise ValueError(
                f"scale of IntGelu with drop {self.drop} must make steps of erf of at most 1, not "
                f"{float(-self._erf_scale):.4g} (scale {self.scale}); take a smaller drop"
            )

    @property
    def _erf_scale(self) -> Fraction:
        return (self.scale / SQRT2) ** 2 * ERF[0] * (1 << self.drop)

    @property
    def constants(self) -> tuple[int, int, int]:
        """(b, c, one): the two of erf, and the integer that stands for 1."""
        s = self.scale / SQRT2
        return (
            (ERF[1] / s).__floor__(),
            (ERF[2] / ERF[0] / s**2).__floor__(),
            (1 / self._erf_scale).__floor__(),
        )

    @property
    def out_scale(self) -> Fraction:
        """Real value of one step of the result."""
        return -self.scale * self._erf_scale / 2

    def __call__(self, q: Tensor, name: str = "int_gelu") -> Tensor:
        """Integers (frac 0) of raw codes q."""
        b, c, one = self.constants
        with q.builder.block("int_gelu", name, [q], {"scale": self.scale, "drop": self.drop}) as outputs:
            raw = q << q.frac
            square = minimum(abs(raw), -b) + b
            value = square * square + c
            signed = select(raw < 0, -value, select(raw == 0, 0, value))
            width = signed.type.max_width + 1
            erf = (signed >> self.drop).cast(Format(width, width))
            outputs.append(raw * -(erf + one))
        return outputs[0]


@dataclass(frozen=True)
class IntSoftmax:
    """softmax over the last axis of K codes at `scale`, as integers 0..2**bits at 2**-bits.

        e_k    = IntExp(q_k - max q), requantized to 16 bits so that 1.0 is 2**15 (saturating at 2**15 - 1)
        factor = floor(2**32 / sum_k e_k)
        p_k    = floor(e_k * factor * 2**-(32 - bits))

    In the source the 16 bits are those of a running maximum; here they are fixed. Lost: the floors, each at
    most one step, the 16 bits, and what IntExp says. Raises ValueError as IntExp does, and for bits outside
    1..16. Source: Kim et al., arXiv 2101.01321.
    """

    scale: Fraction
    bits: int = 8
    cap: int = 30

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", self.exp.scale)
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 1 <= self.bits <= 16:
            raise ValueError(f"bits of IntSoftmax must be an integer in 1..16, not {self.bits!r}")

    @cached_property
    def exp(self) -> IntExp:
        """The exponential of the distances."""
        return IntExp(self.scale, self.cap)

    @property
    def to_codes(self) -> Dyadic:
        """The factor from the exponential's integers to 16-bit codes, with a multiplier of 16 bits."""
        return Dyadic.of(self.exp.out_scale * (1 << 15), 16)

    def __call__(self, q: Tensor, name: str = "int_softmax") -> Tensor:
        """Integers (frac 0) of raw codes q."""
        if not q.ndim:
            raise ValueError("operand of IntSoftmax must have a last axis, not shape ()")
        keep = (*q.shape[:-1], 1)
        params = {"scale": self.scale, "bits": self.bits, "cap": self.cap}
        with q.builder.block("int_softmax", name, [q], params) as outputs:
            raw = q << q.frac
            distance = minimum(raw - raw.max(-1).reshape(*keep), 0)
            e = requantize(self.exp(distance, f"{name}_exp"), self.to_codes, 0, 16, name=f"{name}_codes")
            # The greatest element is its own maximum: the sum is no less than the code of exp(0), which is
            # known here and spares the divider the quotients of small sums.
            first = min(self.to_codes.code(self.exp.constants[1] << self.cap), (1 << 15) - 1)
            total = maximum(e.sum(-1).reshape(*keep), first)
            factor = q.builder.apply(ops.Div(), q.builder.constant(1 << 32), total)
            y = (e * factor) >> (32 - self.bits)
            outputs.append(y.cast(Format(self.bits + 1, self.bits + 1, signed=False)))
        return outputs[0]


def _scale(owner: str, value: Any) -> Fraction:
    real = fractions(value)
    if real.ndim or real.item() <= 0:
        raise ValueError(f"scale of {owner} must be one positive number, not {value!r}")
    return Fraction(real.item())


__all__ = ["IntExp", "IntGelu", "IntSoftmax"]
