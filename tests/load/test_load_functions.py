"""Elementwise functions before a quantizer: all codes of all operands, against onnxruntime and the reals."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from near import agree
from small_models import node, write
from test_load_qdq import file_codes

from fxsim.load import load

F32 = np.float32
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "sigmoid": ([node("Sigmoid", "d", "f")], {}),
    "tanh": ([node("Tanh", "d", "f")], {}),
    "exp": ([node("Exp", "d", "f")], {}),
    "erf": ([node("Erf", "d", "f")], {}),
    "softplus": ([node("Softplus", "d", "f")], {}),
    "softsign": ([node("Softsign", "d", "f")], {}),
    "log": ([node("Clip", "d k", "c"), node("Log", "c", "f")], {"k": F32(0.01)}),
    "sqrt": ([node("Relu", "d", "c"), node("Sqrt", "c", "f")], {}),
    "reciprocal": ([node("Max", "d k", "c"), node("Reciprocal", "c", "f")], {"k": F32(0.25)}),
    "a constant by it": ([node("Clip", "d k", "c"), node("Div", "k c", "f")], {"k": F32(0.3)}),
    "floor": ([node("Floor", "d", "f")], {}),
    "ceil": ([node("Ceil", "d", "f")], {}),
    "round": ([node("Round", "d", "f")], {}),
    "sign": ([node("Sign", "d", "f")], {}),
    "hard swish": ([node("HardSwish", "d", "f")], {}),
    "hard sigmoid": ([node("HardSigmoid", "d", "f")], {}),
    "hard sigmoid of a function": ([node("Abs", "d", "e"), node("HardSigmoid", "e", "f", alpha=0.25)], {}),
    "elu": ([node("Elu", "d", "f", alpha=1.5)], {}),
    "selu": ([node("Selu", "d", "f")], {}),
    "celu": ([node("Celu", "d", "f", alpha=0.5)], {}),
    "mish": ([node("Mish", "d", "f")], {}),
    "thresholded relu": ([node("ThresholdedRelu", "d", "f", alpha=0.7)], {}),
    "leaky relu": ([node("LeakyRelu", "d", "f")], {}),
    "leaky relu, steep": ([node("LeakyRelu", "d", "f", alpha=1.75)], {}),
    "leaky relu, falling": ([node("LeakyRelu", "d", "f", alpha=-0.3)], {}),
    "prelu": ([node("PRelu", "d k", "f")], {"k": np.array([0.1, 2, -0.5], F32)}),
    "abs": ([node("Abs", "d", "f")], {}),
    "abs of a line": ([node("Add", "d k", "e"), node("Abs", "e", "f")], {"k": F32(0.3)}),
    "neg": ([node("Neg", "d", "f")], {}),
    "gelu": ([node("Gelu", "d", "f")], {}),
    "gelu, tanh": ([node("Gelu", "d", "f", approximate="tanh")], {}),
    "square": ([node("Pow", "d k", "f")], {"k": F32(2)}),
    "cube": ([node("Pow", "d k", "f")], {"k": F32(3)}),
    "silu": ([node("Sigmoid", "d", "e"), node("Mul", "e d", "f")], {}),
    "hard swish, taken apart": (
        [node("Add", "d three", "a"), node("Clip", "a zero six", "b"), node("Mul", "d b", "c"), node("Div", "c six", "f")],
        {"three": F32(3), "zero": F32(0), "six": F32(6)},
    ),
    "gelu, taken apart": (
        [node("Div", "d root", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"), node("Mul", "d c", "e"),
         node("Mul", "e half", "f")],
        {"root": F32(2**0.5), "one": F32(1), "half": F32(0.5)},
    ),
    "a sum of functions": (
        [node("Sigmoid", "d", "a"), node("Tanh", "d", "b"), node("Sub", "a b", "c"), node("Max", "c d", "e"),
         node("Min", "e k", "f")],
        {"k": F32(0.9)},
    ),
    "a quotient": (
        [node("Abs", "d", "a"), node("Exp", "a", "b"), node("Div", "d b", "f")], {},
    ),
    "wiring between": (
        [node("Sigmoid", "d", "a"), node("Transpose", "a", "b", perm=[0, 2, 1]), node("Flatten", "b", "f")], {},
    ),
}  # fmt: skip


def model(folder: Path, case: str, scale: Any, out: float) -> Path:
    nodes, constants = CASES[case]
    names = {"s": scale, "z": np.array(-4, np.int8), "u": F32(out), "v": np.array(3, np.uint8)} | constants
    if getattr(scale, "size", 1) > 1:
        names["z"] = np.full(3, -4, np.int8)
    if "k" in names and getattr(names["k"], "size", 1) == 3 and case == "prelu":
        names["k"] = names["k"].reshape(3, 1)
    before = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]
    return write(
        folder, [*before, *nodes, node("QuantizeLinear", "f u v", "y")], names, ("N", 3, 3), opset=22
    )


def all_codes(scale: Any) -> np.ndarray:
    """Every int8 code of each channel: (samples, channels, codes)."""
    x = np.arange(-128, 130).clip(-128, 127).reshape(86, 1, 3) + 4
    return (np.repeat(x, 3, axis=1) * np.reshape(scale, (-1, 1))).astype(F32)


@pytest.mark.parametrize("scale", [F32(0.0625), F32(0.0437), np.array([0.043, 0.021, 0.0625], F32)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_all_codes(tmp_path: Path, case: str, scale: Any) -> None:
    out = {"exp": 1.0, "square": 0.5, "cube": 4.0, "log": 0.02}.get(case, 0.0127)
    agree(model(tmp_path, case, scale, out), all_codes(scale))
