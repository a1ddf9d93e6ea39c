"""Small floats in a graph: their fields, and the ways from and to fixed point."""

from __future__ import annotations

from fxsim import ops
from fxsim.formats import UQ, Format, Overflow, Rounding
from fxsim.quantizers.small_float import SmallFloat
from fxsim.trace import Tensor, maximum, minimum, select


def small_float_decode(codes: Tensor, fmt: SmallFloat, *, name: str = "decode") -> Tensor:
    """The exact fixed-point value of every code: (2**m + M) << (E - 1), signed, at frac = bias + m - 1.

    codes   any shape, frac 0, raw in 0..2**bits - 1; codes above `fmt.largest` are read by the formula

    No bit is lost; the result is m + 1 + (greatest E - 1) bits and a sign, which for e = 8 are hundreds.
    Hardware: one variable left shift and one negation. Raises TypeError for codes that may leave the range.
    """
    check_codes(codes, fmt)
    m = fmt.mantissa_bits
    params = {"exponent_bits": fmt.exponent_bits, "mantissa_bits": m}
    with codes.builder.block("small_float_decode", name, [codes], params) as outputs:
        sign, magnitude = bits(codes, fmt.magnitude_bits, 1), bits(codes, 0, fmt.magnitude_bits)
        kept = magnitude >= 1 << m
        outputs.append(fixed(sign, kept, maximum(magnitude - (1 << m), 0), m) >> fmt.frac)
    return outputs[0]


def small_float_encode(
    x: Tensor, fmt: SmallFloat, *, rounding: Rounding | str = Rounding.RND_CONV, name: str = "encode"
) -> Tensor:
    """The code of every fixed-point value, as `fmt.encode` gives it.

    x   any shape and frac
    rounding   to m + 1 significant bits, of the magnitude: TRN drops bits toward zero here

    Lost: the bits below the significand; magnitudes below the least normal become zero (with the sign of
    x), those above `fmt.largest` become it. Hardware: absolute value, leading-one detector, one variable left
    shift to the top bit, one rounding, one clamp. The rounding carry runs into the exponent field by itself.
    """
    m = fmt.mantissa_bits
    with x.builder.block("small_float_encode", name, [x], {"rounding": str(Rounding(rounding))}) as outputs:
        negative = x < 0
        size = raw_integer(abs(x))
        # floor(log2 value) = length - 1 - frac; a length of 0 is the value 0.
        length = size._apply(ops.LeadingOne())
        width = int(length.type.bounds[1])
        aligned = (size << (width - length)) >> (width - 1)  # in 1..2 for any size but 0
        significand = aligned.cast(Format(m + 2, 2, False, Rounding(rounding), Overflow.SAT))
        field = length + (fmt.bias - 2 - x.frac)  # one less than E: the leading one adds it
        magnitude = shifted(field, m) + raw_integer(significand)
        lost = (magnitude < 1 << m) | (length == 0)
        magnitude = select(lost, 0, minimum(maximum(magnitude, 0), fmt.largest))
        outputs.append(shifted(negative, fmt.magnitude_bits) | magnitude)
    return outputs[0]


def check_codes(codes: Tensor, fmt: SmallFloat) -> None:
    """TypeError unless the tensor is proven to hold codes of `fmt`."""
    lo, hi = codes.type.bounds
    if codes.frac or lo < 0 or hi >> fmt.bits:
        raise TypeError(
            f"codes must have frac 0 and raw integers proven in 0..{(1 << fmt.bits) - 1}, "
            f"not frac {codes.frac} and {lo}..{hi}"
        )


def bits(x: Tensor, low: int, width: int) -> Tensor:
    """Bits low..low + width - 1 of the raw integer, as an unsigned integer of frac 0."""
    return (raw_integer(x) >> low).cast(UQ(width, 0))


def raw_integer(x: Tensor) -> Tensor:
    """The raw integer itself: the same bits with the point behind them."""
    return x << x.frac


def shifted(x: Tensor, k: int) -> Tensor:
    """raw << k at the same frac."""
    return x._apply(ops.Shift(k)) << k if k else x


def fixed(sign: Tensor, kept: Tensor, magnitude: Tensor, m: int) -> Tensor:
    """(2**m + M) << E of the fields of a magnitude code, signed; 0 where not `kept`. frac 0."""
    exponent = bits(magnitude, m, max(int(magnitude.type.bounds[1]).bit_length() - m, 1))
    significand = bits(magnitude, 0, m) | 1 << m
    # The sign is applied where the number is short: behind the shift a negation would be far wider.
    size = select(kept, significand, 0)
    return select(sign, -size, size) << exponent
