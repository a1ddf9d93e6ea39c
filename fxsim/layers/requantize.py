"""Requantization of an accumulator, clip(zero + round(acc * m * 2**-e)): one rounding, or gemmlowp's two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray, to_object
from fxsim.layers.dyadic import Dyadic, check_mode
from fxsim.trace import Tensor


def requantize(
    acc: Tensor,
    factor: Dyadic | Sequence[Dyadic],
    zero: int = 0,
    bits: int = 8,
    signed: bool = True,
    axis: int | None = None,
    mode: str = "single",
    name: str = "requantize",
) -> Tensor:
    """Codes (frac 0) of acc's raw integers, in acc's shape.

    single (default)  clip(zero + ((acc * m + 2**(e-1)) >> e)): one rounding, ties toward plus infinity
    gemmlowp          clip(zero + RoundingDivideByPOT(SRDHM(acc, m), e - 31)): acc * m * 2**-31 is rounded
                      (ties up), then the rest of the shift is rounded again (ties away from zero), as TFLite
                      does; e <= 31 leaves one rounding; m must have 31 bits, and acc << max(31 - e, 0) fit 32

    `factor` is one for all or one per index of `axis` (per-channel scales); `Dyadic.of(real, bits)` makes it,
    `certify` counts where it equals the real one, `differ` where the two modes differ. The double rounding
    is the more frequent the larger the factor: 0.12 % of int8 codes for factors in 2**-12..2**-8, 2.2 % up
    to 2**-4, 19 % in 1/16..1/2. The shift-add product costs adders by the digits of m: a power of two (one
    bit) needs none, and 16 bits differ from 31 in 0.04 % of int8 codes.

    Lost: what is below one code, and codes beyond `bits`, which saturate. Raises ValueError for a zero point
    that is no code or a factor that a mode does not take. Source: Jacob et al., arXiv 1712.05877; gemmlowp.
    """
    fmt = Format(bits, bits, signed, Rounding.RND, Overflow.SAT)
    if isinstance(zero, bool) or not isinstance(zero, int) or not fmt.lo <= zero <= fmt.hi:
        raise ValueError(f"zero must be a code, {fmt.lo}..{fmt.hi}, not {zero!r}")
    factors = _factors(factor, axis, acc)
    if check_mode(mode) == "gemmlowp":
        _check_gemmlowp(factors, acc)
    params = {
        "multiplier": IntArray(np.array([f.multiplier for f in factors], object)),
        "shift": IntArray([f.shift for f in factors]),
        "zero": zero, "bits": bits, "signed": signed, "axis": axis, "mode": mode,
    }  # fmt: skip
    with acc.builder.block("requantize", name, [acc], params) as outputs:
        raw = acc << acc.frac if acc.frac else acc
        frac = max(f.shift for f in factors)
        y = raw * _constant(raw, [f.multiplier << (frac - f.shift) for f in factors], axis, frac)
        if mode == "gemmlowp":
            y = _twice(y, [max(f.shift - 31, 0) for f in factors], axis)
        outputs.append((y + zero if zero else y).cast(fmt))
    return outputs[0]


def _twice(y: Tensor, shifts: Sequence[int], axis: int | None) -> Tensor:
    """y * 2**-shift rounded to an integer, ties up (SRDHM), which is then divided, ties away (POT)."""
    lo, hi = y.type.bounds
    width = max(lo.bit_length(), hi.bit_length()) + 2  # of every step: nothing overflows
    first = ops.Cast(
        IntArray(_along(y, shifts, axis)), IntArray(width), IntArray(1), Rounding.RND, Overflow.WRAP
    )
    return y.cast(first).cast(Format(width, width, True, Rounding.RND_INF))


def _check_gemmlowp(factors: Sequence[Dyadic], acc: Tensor) -> None:
    lo, hi = acc.type.bounds
    for f in factors:
        if f.multiplier.bit_length() != 31:
            raise ValueError(
                f"multiplier of mode gemmlowp must have 31 bits, not {f.multiplier.bit_length()} "
                f"({f.multiplier})"
            )
        left = max(31 - f.shift, 0)
        if (lo << left) < -(1 << 31) or (hi << left) >= 1 << 31:
            raise ValueError(f"the accumulator of mode gemmlowp must fit {32 - left} bits, not {lo}..{hi}")


def _factors(factor: Dyadic | Sequence[Dyadic], axis: int | None, acc: Tensor) -> tuple[Dyadic, ...]:
    factors = tuple(factor) if isinstance(factor, (tuple, list)) else (factor,)
    if not factors or not all(isinstance(f, Dyadic) for f in factors):
        raise TypeError(f"factor must be a Dyadic or one per channel, not {factor!r}")
    if axis is None:
        if len(factors) > 1:
            raise ValueError(f"axis must name the channels of {len(factors)} factors, not None")
    elif not -acc.ndim <= axis < acc.ndim or acc.shape[axis] != len(factors):
        raise ValueError(f"factor must be one per index of axis {axis} of {acc.shape}, not {len(factors)}")
    return factors


def _along(x: Tensor, values: Sequence[int], axis: int | None) -> Any:
    column = to_object(np.array(list(values), object))
    if axis is None:
        return column.reshape(())
    return column.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def _constant(x: Tensor, values: Sequence[int], axis: int | None, frac: int) -> Tensor:
    return x.builder.apply(ops.Const(IntArray(_along(x, values, axis)), frac))
