"""Few-bit backward passes in hardware: k bits kept per activation, then a product with a level."""

from __future__ import annotations

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.quantizers.few_bit import FewBit
from fxsim.trace import Tensor, select


def slope_code(x: Tensor, table: FewBit, even: bool = False, name: str = "few_bit") -> Tensor:
    """#{j : borders[j] < x}, k bits per element (frac 0): what the forward pass keeps of x.

    even  the slope is even and the table one-sided: |x| is compared (sigmoid, tanh)

    2**k - 1 comparisons with constants; a tie is below its border. What is lost: x but for its piece.
    """
    with x.builder.block("slope_code", name, [x], {"even": even}) as out:
        y = abs(x) if even else x
        code = y._apply(ops.Threshold(IntArray(np.array([table.thresholds(x.frac)], object))))
        out.append(code)
    return code


def slope_product(gradient: Tensor, code: Tensor, table: FewBit, name: str = "few_bit") -> Tensor:
    """gradient * level[code], exact at gradient's frac + table.frac; levels as `table.raw` rounds them.

    gradient and code broadcast. Raises TypeError for codes beyond the levels.
    """
    with gradient.builder.block("slope_product", name, [gradient, code]) as out:
        y = gradient * code._apply(ops.Table(IntArray(table.entries()), frac=table.frac))
        out.append(y)
    return y


def slope_shift(gradient: Tensor, code: Tensor, table: FewBit, name: str = "few_bit") -> Tensor:
    """gradient * the power of two nearest to level[code]: one shifter and a sign in place of a multiplier.

    Exact at gradient's frac + table.frac, powers as `table.powers` gives them.
    """
    signs, exponents = zip(*table.powers(), strict=True)
    with gradient.builder.block("slope_shift", name, [gradient, code]) as out:
        count = code._apply(ops.Table(IntArray(np.array(exponents) + table.frac)))
        y = (gradient << count) >> table.frac
        if min(signs) < 0:
            y = select(code._apply(ops.Table(IntArray(np.array([s < 0 for s in signs], np.int64)))), -y, y)
        if 0 in signs:
            y = select(code._apply(ops.Table(IntArray(np.array([s != 0 for s in signs], np.int64)))), y, 0)
        out.append(y)
    return y


__all__ = ["slope_code", "slope_product", "slope_shift"]
