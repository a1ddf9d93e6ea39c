"""Power-law codes in a graph: encoded by thresholds, decoded by tables before any sum."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, exact, to_object
from fxsim.quantizers.power_exponent import PowerExponent
from fxsim.trace import Tensor, select

UNITS = ("decode", "product", "square")
TABLE_BITS = 24


def power_encode(x: Tensor, codec: PowerExponent, *, name: str = "power_encode") -> Tensor:
    """The signed code of every fixed-point value, exactly as `codec.encode` gives it; frac 0.

    Counts of the thresholds ceil(t_k * 2**frac) that are reached, on both sides of zero (only above it for x
    >= 0): no power is taken. Lost: all of x but its code.
    """
    _check(codec)
    with x.builder.block("power_encode", name, [x], _params(codec)) as outputs:
        above = codec.thresholds(x.frac)
        if x.type.bounds[0] >= 0:
            outputs.append(_count(x, above))
        else:
            # q >= 1 - k just where x > -t_k, that is raw >= 1 - ceil(t_k * 2**frac).
            levels = np.concatenate([exact(1 - above)[::-1], above])
            outputs.append(_count(x, levels) - codec.n)
    return outputs[0]


def power_decode(codes: Tensor, codec: PowerExponent, *, name: str = "power_decode") -> Tensor:
    """`codec.raw` of signed codes -n..n by a table, at frac = `codec.frac`.

    The value is that times `codec.scale`, which joins the requantization behind the sum. Raises TypeError for
    codes that may leave -n..n.
    """
    _check(codec)
    _check_codes(codes, codec)
    with codes.builder.block("power_decode", name, [codes], _params(codec)) as outputs:
        entries = codec.raw(np.arange(-codec.n, codec.n + 1))
        outputs.append(codes._apply(ops.Table(IntArray(entries), -codec.n, codec.frac)))
    return outputs[0]


def power_matmul(
    x: Tensor, w: Tensor, x_codec: PowerExponent, w_codec: PowerExponent, *, unit: str = "decode",
    name: str = "power_matmul",
) -> Tensor:  # fmt: skip
    """Codes x (..., K) by codes w (K, N): sums of the products of their values, in fixed point.

    A power keeps products, not sums: the decoded sum of integer products is something else altogether. So
    values are decoded before they are added, by one of three units:

    decode    a table for each operand, then products and an exact sum; frac = both fracs, real scale = both
              scales. Best where w is constant: its values are shift-adds.
    product   integer product of the codes, one table of its magnitude, then an exact sum. Rounded once per
              product: frac = x_codec.frac, real scale = both maxima. Equal exponents; n * n + 1 entries.
    square    a = 1/2 with exact levels: the sum of P * |P| for P = x * w, without a table, and bit for bit
              the sum of `decode`. frac = 0, real scale = both scales.

    Raises TypeError for shapes that do not fit and codes that may leave their range, ValueError for another
    unit, one that these codecs do not allow, and a table wider than 24 bits.
    """
    _check(x_codec, w_codec)
    _check_codes(x, x_codec)
    _check_codes(w, w_codec)
    if not x.ndim or w.ndim != 2 or x.shape[-1] != w.shape[0]:
        raise TypeError(f"power_matmul needs (..., K) and (K, N), not {x.shape} and {w.shape}")
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    params = {"unit": unit, **_params(x_codec)}
    with x.builder.block("power_matmul", name, [x, w], params) as outputs:
        if unit == "decode":
            outputs.append(power_decode(x, x_codec) @ power_decode(w, w_codec))
        else:
            product = x.reshape(*x.shape, 1) * w
            grow = _squared if unit == "square" else _of_product
            outputs.append(grow(product, x_codec, w_codec).sum(-2))
    return outputs[0]


def _squared(product: Tensor, x: PowerExponent, w: PowerExponent) -> Tensor:
    for codec in (x, w):
        if not codec.is_exact or codec.exponent.denominator != 2:
            raise ValueError(
                f"unit must be 'decode' or 'product', not 'square', which needs exponents of 1/2 and the "
                f"default frac, not {codec}"
            )
    return product * abs(product)


def _of_product(product: Tensor, x: PowerExponent, w: PowerExponent) -> Tensor:
    if x.exponent != w.exponent or x.is_exact:
        raise ValueError(
            f"unit must be 'decode', not 'product', which needs equal exponents and a frac for its table, "
            f"not {x} and {w}"
        )
    most = x.n * w.n
    if most.bit_length() > TABLE_BITS:
        raise ValueError(
            f"bits must make a product of at most {TABLE_BITS} bits for a table, not {most.bit_length()}"
        )
    entries = [x.level(Fraction(k, most)) for k in range(most + 1)]
    size = abs(product)._apply(ops.Table(IntArray(exact(to_object(np.array(entries, object)))), 0, x.frac))
    return select(product < 0, -size, size)


def _count(x: Tensor, levels: Array) -> Tensor:
    return (x << x.frac)._apply(ops.Threshold(IntArray(levels[None])))


def _params(codec: PowerExponent) -> dict[str, str | int]:
    return {"bits": codec.bits, "exponent": str(codec.exponent)}


def _check(*codecs: PowerExponent) -> None:
    for codec in codecs:
        if not isinstance(codec, PowerExponent):
            raise TypeError(f"codec must be a PowerExponent, not {codec!r}")


def _check_codes(codes: Tensor, codec: PowerExponent) -> None:
    lo, hi = codes.type.bounds
    if codes.frac or lo < -codec.n or hi > codec.n:
        raise TypeError(
            f"codes must have frac 0 and raw integers proven in {-codec.n}..{codec.n}, "
            f"not frac {codes.frac} and {lo}..{hi}"
        )
