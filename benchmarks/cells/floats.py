"""Multiplier cells of L-Mul, of the shared exponent and of the power exponent, as graphs for synthesis."""

from __future__ import annotations

from collections.abc import Callable

import fxsim
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code
from fxsim.quantizers.small_float import SmallFloat
from fxsim.trace import Tensor


def cell(function: Callable[..., Tensor], form: str, name: str) -> Callable[[], fxsim.Graph]:
    """A function that builds the graph of one cell: two codes in, one code out."""

    def graph() -> fxsim.Graph:
        unit = LMul(SmallFloat.named(form))
        code = fxsim.UQ(unit.format.bits, 0)
        return fxsim.trace(lambda x, w: function(x, w, unit), code, code, name=name)

    return graph


CELLS = {
    "L-Mul bf16 with specials": cell(lmul_code, "bf16", "lmul_bf16"),
    "L-Mul bf16 raw adder": cell(lmul_adder, "bf16", "lmul_bf16_raw"),
    "L-Mul e4m3 with specials": cell(lmul_code, "e4m3", "lmul_e4m3"),
    "L-Mul e4m3 raw adder": cell(lmul_adder, "e4m3", "lmul_e4m3_raw"),
}
"""Name of a row of the LUT table -> function that builds the graph of the cell."""
