"""Multiplier cells with weights loaded at run time, as graphs: 8-bit operand, exact product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fxsim
from fxsim.layers import decode_fields, shift_accumulator, shift_product
from fxsim.quantizers import APoT, KHot
from fxsim.quantizers.fields import Fields

X = fxsim.SQ(8, 0)


def _cell(form: Fields, name: str) -> fxsim.Graph:
    return fxsim.trace(lambda x, code: shift_product(x, code, form), X, fxsim.UQ(form.bits, 0), name=name)


def power_of_two() -> fxsim.Graph:
    """x times 0 or +-2**s, s in 0..7 from a field {zero, sign, shift}: 16 bits, nothing is cut off."""
    return _cell(Fields(1, 7), "power_of_two_cell")


def two_hot() -> fxsim.Graph:
    """x times the sum of two such fields."""
    return _cell(Fields(2, 7), "two_hot_cell")


def three_hot() -> fxsim.Graph:
    """x times the sum of three such fields."""
    return _cell(Fields(3, 7), "three_hot_cell")


def signed_two_hot() -> fxsim.Graph:
    """x times a signed 2-hot weight of 7 bits and sign, whose sums never pass 2**7: 16 bits."""
    return _cell(KHot(2, 7, 0).form, "signed_two_hot_cell")


def ternary() -> fxsim.Graph:
    """x, -x or 0."""
    return _cell(Fields(1, 0), "ternary_cell")


def additive() -> fxsim.Graph:
    """x times a weight of the 4-bit APoT table and a sign; the code's fields are decoded by a table."""
    codec = APoT(4)
    return fxsim.trace(
        lambda x, code: shift_product(x, decode_fields(code, codec), codec.form),
        X, fxsim.UQ(codec.bits, 0), name="apot_cell",
    )  # fmt: skip


def mac(terms: int = 2) -> fxsim.Graph:
    """One step of a sum over time in 24 bits: accumulator, operand, code and clear in, new sum out."""
    acc = fxsim.SQ(24, 0, overflow="SAT")
    return shift_accumulator(X, Fields(terms, 7), acc, f"mac_{terms}_hot").step


CELLS = {
    "power of two, runtime": power_of_two,
    "2-hot, runtime": two_hot,
    "3-hot, runtime": three_hot,
    "signed 2-hot of 8 bits, runtime": signed_two_hot,
    "APoT 4b, runtime": additive,
    "ternary, runtime": ternary,
}
"""Name of a row of the LUT table -> function that builds the graph of the cell."""

BARS = {"power of two, runtime": 44, "2-hot, runtime": 79}
"""Most LUTs that a cell may take."""


def _field(terms: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda x, code: x * Fields(terms, 7).raw(code.astype(np.int64))


def _additive(x: np.ndarray, code: np.ndarray) -> np.ndarray:
    return x * APoT(4).raw(code.astype(np.int64))


REAL = {
    "power of two, runtime": _field(1),
    "2-hot, runtime": _field(2),
    "3-hot, runtime": _field(3),
    "APoT 4b, runtime": _additive,
    "ternary, runtime": lambda x, code: x * Fields(1, 0).raw(code.astype(np.int64)),
}
"""Name of a row -> the real function of the operands' values that the cell computes."""
