"""Multiplier cells of L-Mul, power-law codes and shared exponents, as graphs: two codes in, a product out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fxsim
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_product
from fxsim.layers.power_exponent import power_matmul
from fxsim.quantizers.power_exponent import PowerExponent
from fxsim.quantizers.small_float import SmallFloat
from fxsim.trace import Tensor


def lmul(function: Callable[..., Tensor], form: str, name: str) -> Callable[[], fxsim.Graph]:
    """A function that builds the graph of one L-Mul cell with the paper's l."""

    def graph() -> fxsim.Graph:
        unit = LMul(SmallFloat.named(form))
        code = fxsim.UQ(unit.format.bits, 0)
        return fxsim.trace(lambda x, w: function(x, w, unit), code, code, name=name)

    return graph


def power(unit: str, name: str) -> Callable[[], fxsim.Graph]:
    """As `lmul`, for 4-bit codes with a = 1/2: the exact product of two values, in units of 1 / 49**2."""

    def graph() -> fxsim.Graph:
        codec = PowerExponent(4, 0.5)

        def product(x: Tensor, w: Tensor) -> Tensor:
            narrow = [t.reshape(1, 1) for t in (x, w)]
            return power_matmul(*narrow, codec, codec, unit=unit).reshape()

        kind = fxsim.TensorType((), 0, -codec.n, codec.n)
        return fxsim.trace(product, kind, kind, name=name)

    return graph


def shared(bits: int, name: str) -> Callable[[], fxsim.Graph]:
    """As `lmul`, for symmetric mantissas: the plain signed product; exponents are added once a block."""
    most = (1 << (bits - 1)) - 1
    kind = fxsim.TensorType((), 0, -most, most)
    return lambda: fxsim.trace(lambda x, w: x * w, kind, kind, name=name)


CELLS = {
    "L-Mul bf16 with specials": lmul(lmul_code, "bf16", "lmul_bf16"),
    "L-Mul bf16 raw adder": lmul(lmul_adder, "bf16", "lmul_bf16_raw"),
    "L-Mul e4m3 with specials": lmul(lmul_code, "e4m3", "lmul_e4m3"),
    "L-Mul e4m3 raw adder": lmul(lmul_adder, "e4m3", "lmul_e4m3_raw"),
    "L-Mul e4m3 to fixed point": lmul(lmul_product, "e4m3", "lmul_e4m3_fixed"),
    "power exponent 4 bits, decoded": power("decode", "power_decode"),
    "power exponent 4 bits, squared": power("square", "power_square"),
    "shared exponent 8 bits": shared(8, "shared_8"),
    "shared exponent 16 bits": shared(16, "shared_16"),
}
"""Name of a row of the LUT table -> function that builds the graph of the cell."""

BARS = {
    "L-Mul bf16 with specials": 54,
    "L-Mul bf16 raw adder": 30,
    "L-Mul e4m3 raw adder": 14,
    "shared exponent 8 bits": 134,
    "shared exponent 16 bits": 614,
}
"""Most LUTs that a cell may take."""


def _e4m3(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The product of two codes' values; NaN where the format has no such code, or the product underflows."""
    form = SmallFloat.named("e4m3")
    values = []
    for code in (x.astype(np.int64), w.astype(np.int64)):
        known = (code & 0x7F) <= form.largest
        values.append(np.where(known, form.decode(np.where(known, code, 0)), np.nan))
    product = values[0] * values[1]
    inside = (np.abs(product) >= 2.0**-6) & (np.abs(product) <= 448)
    return np.where(inside, product, np.nan)


def _power(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Of codes with a = 1/2, in units of 1 / 49**2."""
    return np.sign(x * w) * (x * w) ** 2


REAL = {
    "power exponent 4 bits, decoded": _power,
    "L-Mul e4m3 to fixed point": _e4m3,
    "power exponent 4 bits, squared": _power,
    "shared exponent 8 bits": lambda x, w: x * w,
}
"""Name of a row -> the real function of the operands' values that the cell computes."""

RELATIVE = {"L-Mul e4m3 to fixed point"}
"""Rows whose worst error is that of the value, not in LSB."""
