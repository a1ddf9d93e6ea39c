"""The runtime's fixed-point arithmetic on the host: 31-bit multipliers, rounded products, exp and 1/(1+x)."""

from __future__ import annotations

from math import floor, frexp

import numpy as np

from fxsim.integers import Array

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1

# gemmlowp's exp(x) on (-1/4, 0] is a polynomial around -1/8, then a product with exp(-2**k) for each set bit.
EXP_EIGHTH, ONE_THIRD = 1895147668, 715827883
EXP_STEPS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-2**k), k = -2..4


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(m, e) with real = m * 2**(e - 31), m of 31 bits rounded half up; (0, 0) for 0 and below 2**-32."""
    mantissa, exponent = frexp(real)
    m = floor(mantissa * (1 << 31) + 0.5)
    if m == 1 << 31:
        m, exponent = m >> 1, exponent + 1
    return (m, exponent) if m and exponent >= -31 else (0, 0)


def high_multiply(a: Array | int, b: Array | int) -> Array:
    """SaturatingRoundingDoublingHighMul of int32: round(a * b / 2**31), ties toward plus infinity."""
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return np.asarray(np.minimum((a * b + (1 << 30)) >> 31, INT32_MAX))


def divide_by_power(a: Array | int, bits: int) -> Array:
    """RoundingDivideByPOT: round(a / 2**bits), ties away from zero."""
    a = np.asarray(a, np.int64)
    half = (1 << bits) >> 1
    return np.where(a >= 0, (a + half) >> bits, -((half - a) >> bits))


def multiply(a: Array | int, m: int, e: int) -> Array:
    """MultiplyByQuantizedMultiplier in the build with two roundings: a * m * 2**(e - 31).

    ValueError where a * 2**e leaves int32, in which the runtime's result is undefined.
    """
    a = np.asarray(a, np.int64) << max(e, 0)
    if a.size and (a.min() < INT32_MIN or a.max() > INT32_MAX):
        raise ValueError(
            f"a factor of {m * 2.0 ** (e - 31):.6g} shifts {int(np.abs(a).max() >> max(e, 0))} left by {e} "
            "bits, beyond int32; calibrate the scales again"
        )
    return divide_by_power(high_multiply(a, m), max(-e, 0))


def exp_negative(a: Array, integer_bits: int = 5) -> Array:
    """exp of Q(integer_bits) fixed-point numbers a <= 0 as int32 in Q0.31, as gemmlowp approximates it."""
    a = np.asarray(a, np.int64)
    frac = 31 - integer_bits
    quarter = 1 << (frac - 2)
    rest = (a & (quarter - 1)) - quarter
    result = _exp_quarter(rest << integer_bits)
    remainder = rest - a
    for k, factor in enumerate(EXP_STEPS):
        if integer_bits > k - 2:
            bit = remainder & (1 << (frac + k - 2))
            result = np.where(bit != 0, high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_quarter(a: Array) -> Array:
    """exp on [-1/4, 0) in Q0.31: exp(-1/8) * (1 + x + x**2/2 + x**3/6 + x**4/24) with x = a + 1/8."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3, x4 = high_multiply(x2, x), high_multiply(x2, x2)
    rest = divide_by_power(high_multiply(divide_by_power(x4, 2) + x3, ONE_THIRD) + x2, 1)
    return EXP_EIGHTH + high_multiply(EXP_EIGHTH, x + rest)
