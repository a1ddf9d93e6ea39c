"""Errors of QONNX's and FINN's ops, and before the first quantizer: node, op, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from small_models import QONNX, node, quant, write

from fxsim import load
from fxsim.boundary import QuantEncoder
from fxsim.host import HostStep, LevelEncoder, SteppedEncoder

F32 = np.float32
BASE: dict[str, Any] = {
    "s": F32(0.25),
    "z": F32(0),
    "b": F32(4),
    "o": F32(2),
    "w": np.ones((4, 3), F32),
    "zero": F32(0),
    "t": np.array([[0, 1]], F32),
    "t3": np.zeros((3, 2), F32),
    "nan": np.array([[np.nan]], F32),
    "per": np.array([1, 2, 3, 4], F32),
    "half": F32(2.5),
    "double": np.array(0.5),
    "none": np.zeros((0, 2), F32),
    "rows": np.array([[[1], [2]]], F32),
    "mixed": np.array([1, 2, 3, 4], F32),
    "wide": np.ones((5, 4), F32),
}
INPUT = quant("x", "a")


def custom(op: str, inputs: str, domain: str = QONNX, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), ["y"], name="n_y", domain=domain, **attributes)


TRUNC = {"rounding_mode": "FLOOR"}
COL = {"kernel_size": [1, 1], "stride": [1, 1], "input_shape": ""}
POOL = {"stride": 1, "kernel": 1, "ibits": 4, "obits": 4, "signed": 1}
CASES: dict[str, tuple[list[Any], tuple[Any, ...], str]] = {
    "rows of thresholds": (
        [INPUT, custom("MultiThreshold", "a t3")],
        (1, 4),
        "has 3 rows of thresholds for axis 1",
    ),
    "no channel axis": (
        [INPUT, custom("MultiThreshold", "a t", data_layout="CN")],
        (1, 4),
        "for axis 0 of a tensor of 2 axes",
    ),
    "NaN threshold": (
        [INPUT, custom("MultiThreshold", "a nan")],
        (1, 4),
        "has a threshold that is NaN; give",
    ),
    "no thresholds": (
        [INPUT, custom("MultiThreshold", "a none")],
        (1, 4),
        r"has thresholds of shape \(0, 2\)",
    ),
    "threshold vector": (
        [INPUT, custom("MultiThreshold", "a per")],
        (1, 4),
        r"has thresholds of shape \(4,\)",
    ),
    "computed thresholds": (
        [INPUT, custom("MultiThreshold", "a a")],
        (1, 4),
        "needs a constant threshold matrix",
    ),
    "thresholds missing": (
        [INPUT, custom("MultiThreshold", "a")],
        (1, 4),
        "needs a constant threshold matrix",
    ),
    "out_scale": (
        [INPUT, custom("MultiThreshold", "a t", out_scale=np.inf)],
        (1, 4),
        "has out_scale inf; give",
    ),
    "thresholds of two axes": (
        [quant("x", "a", "rows"), custom("MultiThreshold", "a t3", data_layout="NWC")],
        (1, 2, 3),
        "must vary along one axis; use one scale",
    ),
    "Trunc inputs": ([INPUT, custom("Trunc", "a s z", **TRUNC)], (1, 4), "has 3 inputs; give x, scale"),
    "Trunc rounding": (
        [INPUT, custom("Trunc", "a s z b o", rounding_mode="ANY")],
        (1, 4),
        "has the rounding mode 'ANY'; use one",
    ),
    "Trunc of weights": (
        [INPUT, custom("Trunc", "w s z b o", **TRUNC)],
        (1, 4),
        "truncates a constant; fold it",
    ),
    "Trunc bits": ([INPUT, custom("Trunc", "a s z b per", **TRUNC)], (1, 4), r"has the bit width \[1.0, 2.0"),
    "Trunc scale": (
        [INPUT, custom("Trunc", "a zero z b o", **TRUNC)],
        (1, 4),
        "has a scale that is not positive",
    ),
    "Trunc of the input": ([custom("Trunc", "x s z b o", **TRUNC)], (1, 4), "'x' is not quantized before it"),
    "FloatQuant inputs": (
        [INPUT, custom("FloatQuant", "a s b")],
        (1, 4),
        "has 3 inputs; give x, scale, exponent",
    ),
    "Im2Col of three axes": (
        [INPUT, custom("Im2Col", "a", **COL)],
        (1, 4, 3),
        r"for a tensor \(4, 3\); give 2, 2",
    ),
    "Im2Col stride": (
        [INPUT, custom("Im2Col", "a", **COL | {"stride": [0, 1]})],
        (1, 4, 3, 2),
        r"stride \(0, 1\).*give 2, 2",
    ),
    "Im2Col scales": (
        [quant("x", "a", "rows"), custom("Im2Col", "a", **COL)],
        (1, 1, 2, 1),
        "has scales along its rows or columns",
    ),
    "Im2Col padding": (
        [
            quant("x", "a", "s", "z"),
            node("Mul", "a half", "c"),
            custom("Im2Col", "c", **COL, pad_amount=[1] * 4, pad_value=1),
        ],
        (1, 2, 2, 1),
        "pads with 1, which is no code",
    ),
    "QuantAvgPool2d": (
        [INPUT, custom("QuantAvgPool2d", "a", **POOL | {"kernel": 0})],
        (1, 2, 2, 2),
        "has kernel 0, stride 1",
    ),
    "bits 1 beside others": (
        [quant("x", "y", "s", "z", "mixed")],
        (1, 4),
        "has channels of 1 signed bit.*give them 2 bits",
    ),
    "two axes of the input": (
        [quant("x", "y", "rows", "z", "bits")],
        (1, 2, 3),
        "has parameters along different axes of the input",
    ),
    "two axes of an activation": (
        [INPUT, quant("a", "y", "rows", "z", "bits")],
        (1, 2, 3),
        "has scales and bit widths along different axes",
    ),
    "two inputs before a quantizer": ([node("Add", "x x", "y")], (1, 4), "needs a constant second operand"),
    "real and quantized": ([INPUT, node("Add", "x a", "y")], (1, 4), "needs a constant second operand"),
    "double before the quantizer": (
        [node("Mul", "x double", "h"), quant("h", "y")],
        (1, 4),
        "no finite float32 number before the first quantizer",
    ),
    "NaN before the quantizer": (
        [node("Mul", "x nan", "h"), quant("h", "y")],
        (1, 4),
        "no finite float32 number",
    ),
    "broadcast before the quantizer": (
        [node("Mul", "x wide", "h"), quant("h", "y")],
        (1, 4),
        r"broadcasts \(1, 4\) with \(5, 4\); give",
    ),
    "cast of the input": (
        [node("Cast", "x", "h", to=7), quant("h", "y")],
        (1, 4),
        "casts the real input to type 7",
    ),
    "batch norm of the input": (
        [node("BatchNormalization", "x per per per per", "h"), quant("h", "y")],
        (1, 4),
        "'x' is not quantized before",
    ),
    "in a second way": (
        [node("Mul", "x s", "h"), quant("h", "c"), INPUT, node("Add", "a c", "y")],
        (1, 4),
        "quantizes the input 'x' in a second way; pass input=Format",
    ),
    "channels last": (
        [INPUT, custom("MaxPool", "x", "qonnx.custom_op.channels_last", kernel_shape=[1, 1])],
        (1, 2, 2, 2),
        "'x' is not quantized before it",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_models(tmp_path, case) -> None:
    nodes, shape, message = CASES[case]
    path = write(tmp_path, nodes, BASE | {"bits": np.array([2, 3, 4], F32)}, shape)
    with pytest.raises(ValueError, match=rf"node '\w+' \(\w+\).*{message}"):
        load(path)


def test_steps_of_the_host() -> None:
    with pytest.raises(ValueError, match=r"op must be one of Add, .*, not 'Exp'"):
        HostStep("Exp", (1.0,))
    one = QuantEncoder((1.0,), (0.0,), -8, 7)
    encoder = SteppedEncoder((HostStep("Div", (0.0,)), HostStep("Mul", (2.0,))), one)
    assert encoder.encode(np.array([[1.0, -3.0]]), "x").tolist() == [[7, -8]]  # infinities saturate
    with pytest.raises(ValueError, match=r"input 'x' .* but 0.0 at index \(0, 1\) becomes NaN in Div, Mul"):
        encoder.encode(np.array([[1.0, 0.0]]), "x")
    with pytest.raises(ValueError, match="input 'x' must be finite, not nan"):
        encoder.encode(np.array([[1.0, np.nan]]), "x")
    levels = LevelEncoder(((0.0, 1.0), (0.0, 2.0)), 0)
    assert levels.encode(np.array([[1.0, 1.0], [-1.0, 2.0]]), "x").tolist() == [[2, 1], [0, 2]]


def test_a_reused_element_of_the_input_has_one_parameter(tmp_path) -> None:
    """Per-channel parameters behind wiring that repeats elements belong to the elements, or are refused."""
    constants = BASE | {"i": np.array([0, 0, 1, 2]), "same": np.array([2, 2, 3, 4], F32)}
    nodes = [node("Gather", "x i", "g", axis=1), node("Mul", "g same", "h"), quant("h", "y")]
    graph = load(write(tmp_path, nodes, constants))
    assert graph.run(np.array([[0.25, -0.25, 0.25, 1]])).tolist() == [[0.5, 0.5, -0.75, 1]]
    nodes[1] = node("Mul", "g per", "h")
    with pytest.raises(ValueError, match=r"\(Mul\): an element of the input that is used twice has two"):
        load(write(tmp_path, nodes, constants))
