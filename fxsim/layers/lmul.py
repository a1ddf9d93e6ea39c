"""L-Mul: products of small floats by one integer addition, and their exact sums."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from fxsim.formats import UQ
from fxsim.layers.small_float import bits, check_codes, fixed, shifted
from fxsim.ops.common import check_int
from fxsim.quantizers.small_float import SmallFloat
from fxsim.trace import Tensor, maximum, minimum, select


def paper_l(m: int) -> int:
    """l(m) of the paper: m up to 3, then 3 for m = 4 and 4 beyond."""
    return min(m, 3) if m <= 4 else 4


@dataclass(frozen=True)
class LMul:
    """Parameters of L-Mul: magnitude codes X, Y of two floats give X + Y - offset, signs are xored.

    offset = (bias << m) - 2**(m - l): for two exponents and the sum s = M_x/2**m + M_y/2**m + 2**-l that is
    (1 + s) * 2**(Ex + Ey - 2 bias) while s < 1, and the carry into the exponent field makes it
    2 s * 2**(..) for 1 <= s < 2 and 4 (s - 1) * 2**(..) for s >= 2. This adder form (Eq. 2 of the paper) is
    the definition; Eq. 1 of the paper, (1 + s) for every s, differs where s > 1: for 38 % (m = 2) to 55 %
    (m = 7) of all pairs of mantissas.

    format   of both operands and of the product
    l        0..m, or None for no 2**-l at all (Mitchell's product). By default the paper's `paper_l(m)`,
             which was tuned on Eq. 1: rms relative error over all mantissas 15.3 % (m = 2), 6.0 % (3),
             5.9 % (4), 3.1 % (5 and more, worst 7.3 %). Better for the adder: None for m = 2 (5.2 %) and
             m = 3 (4.9 %), l = 4 for m = 4 (3.2 %). l > m is an error: the paper has no such bit.
    least    smallest exponent field of a product, 1 by default. A larger one makes the fixed-point form of
             products narrower, at no cost in logic; together with `format.largest` it is the window of an
             accumulator.

    Zero and overflow, of which the paper says nothing: an operand with exponent field 0 is zero, and so is a
    product whose field is below `least` or whose sum is below 0; above `format.largest` it is that. Zero has
    the sign of the product. x * 1 is not x unless l is None. Source: arXiv 2410.00907.
    """

    format: SmallFloat
    l: int | str | None = "paper"
    least: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.format, SmallFloat):
            raise TypeError(f"format must be a SmallFloat, not {self.format!r}")
        m = self.format.mantissa_bits
        if self.l == "paper":
            object.__setattr__(self, "l", paper_l(m))
        if self.l is not None:
            if not 0 <= check_int("l", self.l) <= m:
                raise ValueError(
                    f"l must be in 0..{m}, the mantissa bits, or None for no offset, not {self.l}"
                )
            object.__setattr__(self, "l", int(self.l))
        most = self.format.largest >> m
        if not 1 <= check_int("least", self.least) <= most:
            raise ValueError(f"least must be an exponent field in 1..{most}, not {self.least}")

    @property
    def bonus(self) -> int:
        """2**(m - l), or 0 where l is None: what stands for the product of the mantissas."""
        return 0 if self.l is None else 1 << (self.format.mantissa_bits - int(self.l))

    @property
    def offset(self) -> int:
        """What is taken from the sum of two magnitude codes."""
        return self.format.one - self.bonus

    @property
    def frac(self) -> int:
        """Fraction bits of a product in fixed point."""
        return self.format.bias + self.format.mantissa_bits - self.least


def lmul_code(x: Tensor, y: Tensor, unit: LMul, *, name: str = "lmul") -> Tensor:
    """The product code of every pair of codes, broadcast; frac 0, `format.bits` bits.

    x, y   codes of `unit.format`: frac 0, unsigned. Raises TypeError for codes that may leave its range.
    """
    with _block("lmul", name, x, y, unit) as outputs:
        sign, kept, magnitude = _product(x, y, unit, 0)
        outputs.append(shifted(sign, unit.format.magnitude_bits) | select(kept, magnitude, 0))
    return outputs[0]


def lmul_adder(x: Tensor, y: Tensor, unit: LMul, *, name: str = "lmul_adder") -> Tensor:
    """The bare adder of the paper's Eq. 2: (X + Y - offset) modulo 2**(e + m), signs xored.

    No zero, no underflow, no saturation: right only where none of them can come. `unit.least` and
    `unit.format.largest` have no part in it.
    """
    with _block("lmul_adder", name, x, y, unit) as outputs:
        e_m = unit.format.magnitude_bits
        total = bits(x, 0, e_m) + bits(y, 0, e_m) - unit.offset
        outputs.append(shifted(_sign(x, y, unit), e_m) | total.cast(UQ(e_m, 0)))
    return outputs[0]


def lmul_product(x: Tensor, y: Tensor, unit: LMul, *, name: str = "lmul_product") -> Tensor:
    """The product's exact value in fixed point, at frac = `unit.frac`: (2**m + M) << (E - least), signed."""
    with _block("lmul_product", name, x, y, unit) as outputs:
        m = unit.format.mantissa_bits
        outputs.append(fixed(*_product(x, y, unit, unit.least << m), m) >> unit.frac)
    return outputs[0]


def lmul_dot(x: Tensor, y: Tensor, unit: LMul, *, name: str = "lmul_dot") -> Tensor:
    """The sum of the products of two vectors of codes (K,), exact and thus independent of the order.

    Raises TypeError unless both are vectors of one length.
    """
    if x.ndim != 1 or x.shape != y.shape:
        raise TypeError(f"lmul_dot needs two vectors of one length, not {x.shape} and {y.shape}")
    with _block("lmul_dot", name, x, y, unit) as outputs:
        outputs.append(lmul_product(x, y, unit).sum(-1))
    return outputs[0]


def lmul_matmul(x: Tensor, w: Tensor, unit: LMul, *, name: str = "lmul_matmul") -> Tensor:
    """x (..., K) by w (K, N) codes: (..., N) sums of L-Mul products, in fixed point at frac = `unit.frac`.

    Nothing is lost after a product's own zero and saturation: codes become integers by a shift, and integers
    are summed. The width is m + 1 + (greatest E - least) + ceil(log2 K) bits and a sign: raise
    `unit.least` or lower `format.largest` where that is too wide. `lmul_matmul_raw` is the same in NumPy, at
    the speed of matrix products where that is exact.

    Raises TypeError unless w is a matrix whose first size is x's last.
    """
    if not x.ndim or w.ndim != 2 or x.shape[-1] != w.shape[0]:
        raise TypeError(f"lmul_matmul needs (..., K) and (K, N), not {x.shape} and {w.shape}")
    with _block("lmul_matmul", name, x, w, unit) as outputs:
        outputs.append(lmul_product(x.reshape(*x.shape, 1), w, unit).sum(-2))
    return outputs[0]


def _block(kind: str, name: str, x: Tensor, y: Tensor, unit: LMul) -> AbstractContextManager[list[Tensor]]:
    if not isinstance(unit, LMul):
        raise TypeError(f"unit must be a LMul, not {unit!r}")
    check_codes(x, unit.format)
    check_codes(y, unit.format)
    f = unit.format
    params = {
        "exponent_bits": f.exponent_bits, "mantissa_bits": f.mantissa_bits, "largest": f.largest,
        "l": unit.l, "least": unit.least,
    }  # fmt: skip
    return x.builder.block(kind, name, [x, y], params)


def _sign(x: Tensor, y: Tensor, unit: LMul) -> Tensor:
    at = unit.format.magnitude_bits
    return bits(x, at, 1) ^ bits(y, at, 1)


def _product(x: Tensor, y: Tensor, unit: LMul, origin: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sign; whether the product is not zero; its magnitude code above `origin` where it is not."""
    f, m = unit.format, unit.format.mantissa_bits
    a, b = bits(x, 0, f.magnitude_bits), bits(y, 0, f.magnitude_bits)
    total = a + b - (unit.offset + origin)
    kept = (bits(a, m, f.exponent_bits) != 0) & (bits(b, m, f.exponent_bits) != 0)
    kept = kept & (total >= (unit.least << m) - origin)
    return _sign(x, y, unit), kept, minimum(maximum(total, 0), f.largest - origin)
