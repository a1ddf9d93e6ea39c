"""Function units and requantizers, as graphs: tables, tables with interpolation, integer-only forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

import fxsim
from fxsim.layers import Dyadic, IntExp, IntGelu, Softmax, integer_sqrt, requantize
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.functions import STANDARD

ACCUMULATOR = fxsim.SQ(32, 0)


def _requantizer(name: str, factor: Dyadic, mode: str = "single") -> Callable[[], fxsim.Graph]:
    """32-bit accumulator to 8-bit code."""
    return lambda: fxsim.trace(lambda x: requantize(x, factor, mode=mode), ACCUMULATOR, name=name)


def _standard(label: str) -> Callable[[], fxsim.Graph]:
    """A unit of the table in fxsim.layers.functions."""

    def build() -> fxsim.Graph:
        unit = STANDARD[label]()
        if isinstance(unit, FunctionUnit):
            width = (unit.hi - unit.lo).bit_length()
            source = fxsim.Format(width, width - unit.frac, unit.lo < 0)
        else:
            source = unit.source
        return fxsim.trace(unit, source, name=label.replace(" ", "_").replace(",", ""))

    return build


def softmax() -> fxsim.Graph:
    """Four 8-bit logits to 8-bit probabilities."""
    unit = Softmax(fxsim.SQ(4, 4), 4, fxsim.UQ(0, 8))
    return fxsim.trace(unit, unit.source, shape=(4,), name="softmax_4")


def int_exp() -> fxsim.Graph:
    """I-BERT's exp of 8-bit distances at scale 1/16, 8 halvings."""
    unit = IntExp(Fraction(1, 16), cap=8)
    return fxsim.trace(lambda x: unit(-x), fxsim.UQ(8, 0), name="int_exp")


def int_gelu() -> fxsim.Graph:
    """I-BERT's GELU of 8-bit codes at scale 1/16."""
    return fxsim.trace(IntGelu(Fraction(1, 16), drop=6), fxsim.SQ(8, 0), name="int_gelu")


def square_root() -> fxsim.Graph:
    """floor(sqrt x) of 16 bits."""
    return fxsim.trace(integer_sqrt, fxsim.UQ(16, 0), name="integer_sqrt")


CELLS: dict[str, Callable[[], fxsim.Graph]] = {
    "requantize 32 -> 8 bit, power of two": _requantizer("requantize_pot", Dyadic(1, 8)),
    "requantize 32 -> 8 bit, 8-bit multiplier": _requantizer("requantize_8", Dyadic.of(0.0037, 8)),
    "requantize 32 -> 8 bit, 16-bit multiplier": _requantizer("requantize_16", Dyadic.of(0.0037, 16)),
    **{label: _standard(label) for label in STANDARD},
    "softmax 4 x 8 bit": softmax,
    "integer exp 8 bit": int_exp,
    "integer GELU 8 bit": int_gelu,
    "integer square root 16 bit": square_root,
}
"""Name of a row of the LUT table -> function that builds the graph of the cell."""

BARS = {"requantize 32 -> 8 bit, power of two": 19}
"""Most LUTs that a cell may take."""


def _gelu(x: np.ndarray) -> np.ndarray:
    return np.array([v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in x])


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "gelu": _gelu, "exp2": np.exp2,
}  # fmt: skip

REAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    label: _FUNCTIONS[label.split()[0]] for label in STANDARD if label.split()[0] in _FUNCTIONS
}
"""Name of a row -> the real function of the operands' values that the cell computes."""
