"""SOFTMAX as the reference kernel computes it: a table of exp, three Newton steps, one product per class."""

from __future__ import annotations

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array, IntArray
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.gemmlowp import (
    INT32_MAX,
    divide_by_power,
    exp_negative,
    high_multiply,
    quantize_multiplier,
)
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.symbols import CODES, Codes, Quant
from fxsim.trace import Tensor

INPUT_BITS, SUM_BITS = 5, 12  # integer bits of exp's operand and of the sum of exps
MOST_CLASSES = (1 << SUM_BITS) - 1
FIRST, SLOPE = 1515870810, -1010580540  # 48/17 and -32/17 in Q2.29, Newton's start for 1 / half_denominator
ONE = 1 << 29


@handles("SOFTMAX")
def softmax(loader: Loader, op: FileOp) -> Codes:
    """round(256 * exp(beta * s * (q - max)) / sum) - 128 over the last axis, in gemmlowp's fixed point.

    e_k, the exp in Q0.31, is a table of the 256 distances to the maximum, and so is its share in Q12.19 of
    the sum. The sum is normalised to 1 + a, 0 <= a < 1; 2 / (1 + a) comes from Newton's iteration on Q2.29;
    the product with e_k is rounded to 31 bits, then to the code. Every cast rounds as the runtime does.
    """
    x, q = loader.operand(op, 0)
    out = loader.result(op)
    if out.zero != CODES[0] or abs(out.real * 256 - 1) > 0.001:
        raise loader.error(
            op, f"has output scale {out.real:.6g}, zero point {out.zero}", "they must be 1/256 and -128"
        )
    t = x.tensor
    if not t.ndim or not 1 <= t.shape[-1] <= MOST_CLASSES:
        raise loader.error(op, f"has classes {t.shape[-1:]}", f"give it 1 to {MOST_CLASSES}")
    exps = exp_table(loader, op, q)
    with loader.builder.block("tflite_softmax", loader.block_name(op.short), [t]) as outputs:
        outputs.append(_codes(t, exps))
    return Codes(outputs[0], x.lead)


def exp_table(loader: Loader, op: FileOp, q: Quant) -> Array:
    """exp of minus the distances 0..255 in Q0.31; 0 for those that the runtime skips."""
    beta = float(np.float32(op.options["Beta"]))
    real = min(beta * q.real * (1 << (31 - INPUT_BITS)), float(INT32_MAX))
    if not real > 1:
        raise loader.error(op, f"has beta * scale = {beta * q.real:.6g}", "it must be above 2**-26")
    m, e = quantize_multiplier(real)
    radius = ((1 << INPUT_BITS) - 1) * (1 << (31 - INPUT_BITS)) // (1 << e)
    diff = -np.arange(CODES[1] - CODES[0] + 1, dtype=np.int64)
    kept = diff >= -radius
    return np.where(kept, exp_negative(high_multiply(np.where(kept, diff, 0) << e, m), INPUT_BITS), 0)


def _codes(t: Tensor, exps: Array) -> Tensor:
    builder = t.builder
    # Eight bits hold the distance to the maximum, so that the cast only tells the type.
    distance = (t.max(axis=-1).reshape(*t.shape[:-1], 1) - t).cast(_unsigned(8))
    small = ops.Table(IntArray(divide_by_power(exps, SUM_BITS)), function="exp Q12.19")
    terms = builder.apply(small, distance)
    total = terms.sum(axis=-1).reshape(*t.shape[:-1], 1)
    # The greatest term is 1 in Q12.19, so that the sum is never below it, which the type cannot know.
    total = total.cast(Format(32, 32, False))
    bits = builder.apply(ops.LeadingOne(), total)
    # (sum << leading zeros) - 2**31: the sum without its leading one, 31 bits.
    a = (total << (32 - bits)).cast(_unsigned(31))
    scale = _reciprocal(a)
    powers = builder.apply(ops.Table(IntArray(exps), function="exp Q0.31"), distance)
    share = _high(scale, powers, _unsigned(31))
    # Divided by 2**(bits + 3): shifted to one point, then rounded; what is positive has its ties up.
    most = total.type.bounds[1].bit_length()
    y = (share << (most - bits)) >> (most + 3)
    y = y.cast(Format(10, 10, True, Rounding.RND, Overflow.SAT))
    return (y + CODES[0]).cast(Format(8, 8, True, overflow=Overflow.SAT))


def _unsigned(width: int) -> Format:
    return Format(width, width, False)


def _high(a: Tensor, b: Tensor | int, fmt: Format) -> Tensor:
    """round(a * b / 2**31), ties up, in a format that holds it."""
    return ((a * b) >> 31).cast(fmt.replace(rounding=Rounding.RND))


def _reciprocal(a: Tensor) -> Tensor:
    """2 / (1 + a) - 1 ulp at most in Q0.31, for a in Q0.31, saturated: 1 becomes 2**31 - 1.

    The formats hold every value: Newton's x is at most 2 and a few ulp from its first step on, at least
    16/17, and |1 - x * d| at most 1/17.
    """
    d = ((a + (1 << 31)) >> 1).cast(_unsigned(31))
    x = (FIRST + _high(d, SLOPE, Format(32, 32))).cast(_unsigned(31))
    for _ in range(3):
        rest = (ONE - _high(d, x, Format(32, 32))).cast(Format(27, 27))
        x = (x + _high(x, rest, Format(29, 29)) * 4).cast(_unsigned(31))
    return (x * 2).cast(Format(31, 31, False, overflow=Overflow.SAT))
