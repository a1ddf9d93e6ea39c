"""Integer-only layer norm: mean, deviation by an integer square root, and one quotient for all elements."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.layers.dyadic import least_bits
from fxsim.trace import Tensor, select


def integer_sqrt(x: Tensor, name: str = "integer_sqrt") -> Tensor:
    """floor(sqrt x) of raw integers x >= 0, two bits of x and one bit of the root at a time.

    Per step: rem = 4 rem + pair; if rem >= 4 root + 1, subtract it and set the root's bit. rem <= 2 root
    stays true, so that after step j (from 0) rem has j + 2 bits. Exact. Raises ValueError for an operand
    that is not proven at least 0.
    """
    if x.type.bounds[0] < 0:
        raise ValueError(f"operand of integer_sqrt must be proven at least 0, not {x.type}")
    with x.builder.block("integer_sqrt", name, [x]) as outputs:
        raw = x << x.frac
        root: Tensor = x.builder.apply(ops.Const(IntArray(np.zeros(x.shape, np.int64))))
        rest = root
        pairs = (max(raw.type.max_width, 1) + 1) // 2
        for step, k in enumerate(reversed(range(pairs))):
            low = raw.cast(Format(2 * k + 2, 2 * k + 2, signed=False))
            pair = (low >> 2 * k).cast(Format(2, 2, signed=False))
            rest, trial = rest * 4 + pair, root * 4 + 1
            bit = rest >= trial
            width = step + 2
            rest = select(bit, rest - trial, rest).cast(Format(width, width, signed=False))
            root = (root * 2 + bit).cast(Format(step + 1, step + 1, signed=False))
        outputs.append(root)
    return outputs[0]


@dataclass(frozen=True)
class IntLayerNorm:
    """(x - mean) / std * gain + bias over the last axis of `size` integer codes.

        m    = floor(sum x / size + 1/2)                    a certified dyadic factor, exact on all sums
        y    = x - m
        v    = sum (y >> shift)**2                          size times the variance
        s    = floor(sqrt v) << shift
        out  = (y * floor(2**factor_bits / s)) >> 1, + bias

    `out_scale` = sqrt(size) * 2**-(factor_bits - 1) is the real value of one step of `out`, before the gain,
    which is a factor per channel of the scale that follows (a requantization per channel has room for it);
    `bias` are integers at that scale, floor(beta / gamma / out_scale) in the source. An input without
    deviation gives `bias` (where the source divides by zero).

    size         K
    shift        bits that y loses before it is squared, so that v fits its accumulator (0 in most layers)
    factor_bits  31 in the source; fewer make the product of two variables narrower

    Lost: `shift` bits of the squares, and the floors of root, quotient and half. Raises ValueError for a size
    below 1, a negative shift, factor_bits below 2. Source: Kim et al., arXiv 2101.01321.
    """

    size: int
    shift: int = 0
    factor_bits: int = 31
    bias: IntArray | None = None

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("shift", 0), ("factor_bits", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name} of IntLayerNorm must be an integer of at least {least}, not {value!r}"
                )
        if self.bias is not None:
            object.__setattr__(self, "bias", IntArray(self.bias))
            if self.bias.shape not in ((), (self.size,)):
                raise ValueError(f"bias must be one integer or {self.size}, not shape {self.bias.shape}")

    @property
    def out_scale(self) -> Fraction:
        """Real value of one step, with sqrt(size) to 64 fraction bits."""
        return Fraction(isqrt(self.size << 128), 1 << (64 + self.factor_bits - 1))

    def __call__(self, x: Tensor, name: str = "layer_norm") -> Tensor:
        """Integers (frac 0) of raw codes x, in x's shape."""
        if not x.ndim or x.shape[-1] != self.size:
            raise ValueError(f"operand must have {self.size} elements last, not shape {x.shape}")
        keep = (*x.shape[:-1], 1)
        params = {"size": self.size, "shift": self.shift, "factor_bits": self.factor_bits, "bias": self.bias}
        with x.builder.block("int_layer_norm", name, [x], params) as outputs:
            raw = x << x.frac
            y = raw - self._mean(raw).reshape(*keep)
            coarse = y
            if self.shift:
                width = max(y.type.max_width - self.shift, 1)
                coarse = (y >> self.shift).cast(Format(width, width))
            # A product's type does not know that it is a square: the sign is dropped where none can be.
            bits = max((max(map(abs, coarse.type.bounds)) ** 2).bit_length(), 1)
            squares = (coarse * coarse).cast(Format(bits, bits, signed=False))
            deviation = integer_sqrt(squares.sum(-1), f"{name}_sqrt").reshape(*keep)
            one = x.builder.constant(1 << self.factor_bits)
            factor = x.builder.apply(ops.Div(), one, deviation * (1 << self.shift))
            product = (y * factor) >> 1
            width = product.type.max_width
            out = product.cast(Format(width, width))
            outputs.append(out if self.bias is None else out + self.bias.array)
        return outputs[0]

    def _mean(self, raw: Tensor) -> Tensor:
        """floor(sum / size + 1/2), a multiplication by a dyadic number that is exact on every reachable sum.

        The sum is made non-negative first: a factor a little above 1 / size rounds the ties of positive sums
        up as it should, but those of negative ones down.
        """
        total = raw.sum(-1)
        lo, hi = total.type.bounds
        base = lo // self.size
        span = hi - base * self.size
        top = (2 * span + self.size) // (2 * self.size)
        factor = least_bits(Fraction(1, self.size), 0, span, -1, top + 1, 62)
        scaled = ((total - base * self.size) * factor.multiplier) >> factor.shift
        width = top.bit_length() + 1
        return scaled.cast(Format(width, width, False, Rounding.RND, Overflow.SAT)) + base
