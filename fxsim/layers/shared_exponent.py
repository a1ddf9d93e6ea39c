"""Arithmetic of tensors that share an exponent: quantize, multiply, align and add, renormalise."""

from __future__ import annotations

from typing import NamedTuple

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.layers.small_float import raw_integer
from fxsim.ops.common import check_int
from fxsim.quantizers.shared_exponent import check_bits
from fxsim.trace import Tensor, maximum, select


class Shared(NamedTuple):
    """value = mantissa * 2**exponent: integers of any shape, and the one exponent (a scalar) of all of them.

    Both have frac 0. The mantissas of the functions below are symmetric (SAT_SYM) where they are rounded.
    """

    mantissa: Tensor
    exponent: Tensor


def shared_quantize(x: Tensor, bits: int = 16, *, headroom: int = 0, name: str = "quantize") -> Shared:
    """Fixed point to one block of `bits`-bit mantissas and its exponent E_max - (bits - 2) + headroom.

    x   any shape and frac, one block

    E_max = floor(log2 max|x|), from the leading one of the greatest magnitude. All elements are shifted left
    by one count until that leading one is at the top, then rounded once (RND_CONV, SAT_SYM): lost are the
    bits below the mantissas, and the last bit of a magnitude that would round up to 2**(bits - 1). A block of
    zeros has mantissas 0 and the exponent that a largest magnitude of half an LSB of x would give.
    """
    check_bits(bits)
    if not 0 <= check_int("headroom", headroom) <= bits - 2:
        raise ValueError(f"headroom must be in 0..{bits - 2}, not {headroom}")
    with x.builder.block("shared_quantize", name, [x], {"bits": bits, "headroom": headroom}) as outputs:
        length = block_length(x)
        width = int(length.type.bounds[1])
        aligned = (raw_integer(x) << (width - length)) >> (width - bits + 1 + headroom)
        outputs += [_rounded(aligned, bits), length + (1 + headroom - bits - x.frac)]
    return Shared(*outputs)


def shared_multiply(a: Shared, b: Shared, *, name: str = "multiply") -> Shared:
    """Elementwise product, exact: mantissas multiply (and broadcast), exponents add."""
    _check(a, b)
    with a.mantissa.builder.block("shared_multiply", name, [*a, *b]) as outputs:
        outputs += [a.mantissa * b.mantissa, a.exponent + b.exponent]
    return Shared(*outputs)


def chunk_length(a_bits: int, b_bits: int, accumulator: int = 32) -> int:
    """How many products of symmetric mantissas of these widths (sign included) a signed accumulator holds.

    floor((2**(accumulator - 1) - 1) / ((2**(a_bits - 1) - 1) * (2**(b_bits - 1) - 1))): for 32 bits 2 of
    16 x 16, 8 of 15 x 15, 32 of 14 x 14, 128 and 512 below. Raises ValueError where not one fits.
    """
    check_bits(a_bits)
    check_bits(b_bits)
    check_int("accumulator", accumulator, 2)
    return _chunk(((1 << (a_bits - 1)) - 1) * ((1 << (b_bits - 1)) - 1), accumulator)


def shared_matmul(a: Shared, b: Shared, *, accumulator: int = 32, name: str = "matmul") -> Shared:
    """a (..., K) by b (K, N): exact sums of products, in chunks that `accumulator` bits hold.

    The chunk's length follows from the greatest product that the operands' types allow, so that no chunk
    can overflow; the chunks' sums spill into a wider accumulator, which grows to accumulator +
    ceil(log2(chunks)) bits at most. For 16-bit mantissas and INT32 a chunk is a pair. Nothing is lost:
    `shared_renormalise` makes mantissas of the sums.

    Raises TypeError for shapes that do not fit, ValueError where `accumulator` cannot hold one product.
    """
    _check(a, b)
    x, w = a.mantissa, b.mantissa
    if not x.ndim or w.ndim != 2 or x.shape[-1] != w.shape[0]:
        raise TypeError(f"shared_matmul needs (..., K) and (K, N), not {x.shape} and {w.shape}")
    n = _chunk(_most(x) * _most(w), check_int("accumulator", accumulator, 2))
    with x.builder.block(
        "shared_matmul", name, [*a, *b], {"accumulator": accumulator, "chunk": n}
    ) as outputs:
        total: Tensor | None = None
        for start in range(0, x.shape[-1], n):
            part = x[..., start : start + n] @ w[start : start + n]
            assert part.type.max_width <= accumulator, "a chunk that passes its bound"
            total = part if total is None else total + part
        assert total is not None
        outputs += [total, a.exponent + b.exponent]
    return Shared(*outputs)


def shared_add(a: Shared, b: Shared, bits: int = 16, *, name: str = "add") -> Shared:
    """a + b with `bits`-bit mantissas: align to the greater exponent, add, and one bit more if it is needed.

    The mantissas of the smaller exponent count less by the difference of the exponents, and the sums are
    rounded once (RND_CONV, SAT_SYM), at max(Ea, Eb), or one above it where any sum of the block needs the
    bit. To do so exactly, the operand of the greater exponent goes left: the sum is as many bits wider as the
    proven range of Ea - Eb is long. It is not normalised downwards; `shared_renormalise` never does so
    either.

    Raises TypeError for shapes that do not broadcast, ValueError where mantissas have more than `bits` bits.
    """
    _check(a, b)
    check_bits(bits)
    for operand in (a, b):
        if _most(operand.mantissa) >= 1 << (bits - 1):
            raise ValueError(
                f"bits must hold both operands' mantissas, whose magnitudes reach {_most(operand.mantissa)}, "
                f"not {bits}"
            )
    with a.mantissa.builder.block("shared_add", name, [*a, *b], {"bits": bits}) as outputs:
        difference = a.exponent - b.exponent
        low, high = maximum(-difference, 0), maximum(difference, 0)  # how far each lies below the other
        span = max(int(low.type.bounds[1]), int(high.type.bounds[1]))
        above = select(difference >= 0, a.exponent, b.exponent)
        # At 2**(above - span): the operand that is `low` bits below has span - low bits to go.
        total = (a.mantissa << (span - low)) + (b.mantissa << (span - high))
        more = block_length(total) > span + bits - 1
        fit = (total << (1 - more)) >> (span + 1)
        outputs += [_rounded(fit, bits), above + more]
    return Shared(*outputs)


def shared_renormalise(a: Shared, bits: int = 16, *, name: str = "renormalise") -> Shared:
    """Wide mantissas to `bits` bits: Rs = max(0, length of max|a| - (bits - 1)) bits go, E grows by Rs.

    The length is found by leading-one detection over the whole block. Right shifts by a varying count are a
    left shift and one rounding (RND_CONV, SAT_SYM; the reference's (acc + half) >> Rs turns ties up, and
    2**31 - 1 into 32768, which does not fit). Lost: the low Rs bits.
    """
    _check(a)
    check_bits(bits)
    with a.mantissa.builder.block("shared_renormalise", name, [*a], {"bits": bits}) as outputs:
        drop = maximum(block_length(a.mantissa) - (bits - 1), 0)
        most = int(drop.type.bounds[1])
        aligned = (a.mantissa << (most - drop)) >> most
        outputs += [_rounded(aligned, bits), a.exponent + drop]
    return Shared(*outputs)


def shared_value(a: Shared, *, name: str = "value") -> Tensor:
    """The exact fixed-point values, mantissa << (E - least E), at frac = -(least E that the type allows)."""
    _check(a)
    with a.mantissa.builder.block("shared_value", name, [*a]) as outputs:
        least = int(a.exponent.type.bounds[0])
        outputs.append((a.mantissa << (a.exponent - least)) << least)
    return outputs[0]


def block_length(x: Tensor) -> Tensor:
    """The bit length of the greatest raw magnitude of all elements: 1 + floor(log2), 0 for zeros."""
    size = raw_integer(abs(x)).reshape(-1)
    return (size.max(0) if size.shape[0] > 1 else size.reshape())._apply(ops.LeadingOne())


def _rounded(x: Tensor, bits: int) -> Tensor:
    return x.cast(Format(bits, bits, True, Rounding.RND_CONV, Overflow.SAT_SYM))


def _most(x: Tensor) -> int:
    return max(abs(int(v)) for v in x.type.bounds)


def _chunk(product: int, accumulator: int) -> int:
    n = ((1 << (accumulator - 1)) - 1) // max(product, 1)
    if n < 1:
        raise ValueError(
            f"accumulator must have the bits of one product, {product.bit_length() + 1}, not {accumulator}"
        )
    return n


def _check(*operands: Shared) -> None:
    for a in operands:
        if not isinstance(a, Shared):
            raise TypeError(f"operands must be Shared (mantissa, exponent), not {a!r}")
        if a.mantissa.frac or a.exponent.frac or a.exponent.shape:
            raise TypeError(
                "operands must be mantissas of frac 0 and one scalar exponent of frac 0, not fracs "
                f"{a.mantissa.frac}, {a.exponent.frac} and an exponent of shape {a.exponent.shape}"
            )


__all__ = [
    "Shared", "block_length", "chunk_length", "shared_add", "shared_matmul", "shared_multiply",
    "shared_quantize", "shared_renormalise", "shared_value",
]  # fmt: skip
