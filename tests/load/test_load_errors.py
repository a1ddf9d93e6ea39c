"""Every error of loading names the node, its op and what to do."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_models import node, quant, write

from fxsim import UQ
from fxsim.data import digits_model
from fxsim.load import load, loader
from fxsim.load.nodes import supported

F32 = np.float32
BASE = {"s": F32(0.25), "z": F32(0), "b": F32(4), "w": np.ones((4, 3), F32), "c": F32(0.3), "tiny": F32(1e-4)}
INPUT = quant("x", "a")
WEIGHTS = quant("w", "wq")

# Scales that are powers of 0.3 in float32, of 24 bits each: f7 and f11 lie on fine grids.
POWERS = [node("Mul", f"{'a' if i == 0 else f'f{i - 1}'} c", f"f{i}") for i in range(12)]

CASES: dict[str, tuple[list[Any], dict[str, Any], type[Exception], str]] = {
    "unknown op": (
        [INPUT, node("LSTM", "a w w", "y")],
        {},
        NotImplementedError,
        r"node 'n_y' \(LSTM\) of domain 'ai.onnx' has no handler; a recurrence .*Gemm.*Rewrite the model",
    ),
    "unknown op without a name": (
        [INPUT, node("Det", "a", "y", name="")],
        {},
        NotImplementedError,
        r"the node that makes 'y' \(Det\)",
    ),
    "standard op in another domain": (
        [INPUT, onnx.helper.make_node("Relu", ["a"], ["y"], name="r", domain="mine")],
        {},
        NotImplementedError,
        r"node 'r' \(Relu\) of domain 'mine' has no handler",
    ),
    "scale is computed": (
        [INPUT, node("Relu", "a", "t"), quant("a", "y", "t")],
        {},
        ValueError,
        r"node 'n_y' \(Quant\) needs a constant scale, not one computed from the input; export a constant",
    ),
    "matmul without a quantizer before it": (
        [WEIGHTS, node("MatMul", "x wq", "y")],
        {},
        ValueError,
        r"node 'n_y' \(MatMul\) has no scale for its first operand: .*'x'.*insert a Quant node",
    ),
    "weights without a quantizer": (
        [INPUT, node("MatMul", "a w", "y")],
        {"w": np.full((4, 3), 0.1, F32)},
        ValueError,
        r"node 'n_y' \(MatMul\) has no scale for its weights.*put a Quant node on the weights",
    ),
    "weights are computed": (
        [INPUT, node("MatMul", "a a", "y")],
        {},
        ValueError,
        r"\(MatMul\) multiplies \(4,\) by \(4,\) beside the batch; give both two axes that fit",
    ),
    "weights first": (
        [INPUT, WEIGHTS, node("MatMul", "wq a", "y")],
        {},
        ValueError,
        r"\(MatMul\) multiplies weights by \(4,\), which mixes the batch; put the weights second",
    ),
    "relu between products": (
        [
            INPUT,
            WEIGHTS,
            *POWERS,
            node("Add", "f7 tiny", "t"),
            node("Relu", "t", "u"),
            node("MatMul", "u wq", "y"),
        ],
        {},
        ValueError,
        r"node 'n_y' \(MatMul\) uses the result of a ReLU or Clip .*insert a Quant node after the ReLU",
    ),
    "inner sizes": (
        [INPUT, WEIGHTS, node("MatMul", "a wq", "y")],
        {"w": np.ones((5, 3), F32)},
        ValueError,
        r"\(MatMul\) multiplies \(4,\) by \(5, 3\); inner sizes must be equal",
    ),
    "scales along the inputs": (
        [INPUT, quant("w", "wq", "rows"), node("MatMul", "a wq", "y")],
        {"rows": np.array([[1], [3], [5], [7]], F32)},
        ValueError,
        r"\(MatMul\) has weight scales that vary along the inputs; use",
    ),
    "codes of unequal scales": (
        [quant("x", "a", "cols"), WEIGHTS, node("MatMul", "a wq", "y")],
        {"cols": np.array([[1, 3, 5, 7]], F32)},
        ValueError,
        r"\(MatMul\) multiplies codes of unequal scales; use one scale per tensor",
    ),
    "sum of unequal scales": (
        [INPUT, *POWERS, node("Mul", "f11 c", "e"), node("Add", "a e", "y")],
        {},
        ValueError,
        r"node 'n_y' \(Add\) adds codes of unequal scales.* finer than 2\*\*-256.*; share one quantizer",
    ),
    "transA": (
        [INPUT, WEIGHTS, node("Gemm", "a wq", "y", transA=1)],
        {},
        ValueError,
        r"\(Gemm\) has transA = 1.*export it",
    ),
    "training mode": (
        [INPUT, node("BatchNormalization", "a v v v v", "y", training_mode=1)],
        {"v": np.ones(4, F32)},
        ValueError,
        r"\(BatchNormalization\) is in training mode; export the model in evaluation mode",
    ),
    "batch norm channels": (
        [INPUT, node("BatchNormalization", "a v v v v", "y")],
        {"v": np.ones(3, F32)},
        ValueError,
        r"\(BatchNormalization\) has 3 channels for a tensor \(4,\)",
    ),
    "reshape of the batch": (
        [INPUT, node("Reshape", "a shape", "y")],
        {"shape": np.array([4])},
        ValueError,
        r"node 'n_y' \(Reshape\) turns \(1, 4\) into \(4,\), which does not keep the batch axis; reshape to",
    ),
    "transpose of the batch": (
        [INPUT, node("Transpose", "a", "y", perm=[1, 0])],
        {},
        ValueError,
        r"\(Transpose\) moves the batch axis .*keep axis 0",
    ),
    "negative scale": (
        [quant("x", "y", "minus")],
        {"minus": F32(-1)},
        ValueError,
        r"node 'n_y' \(Quant\) has a scale that is not positive",
    ),
    "fractional bit width": (
        [quant("x", "y", "s", "z", "c")],
        {},
        ValueError,
        r"\(Quant\) has the bit width 0.3.*; use a whole number",
    ),
    "fractional zero point": (
        [quant("x", "y", "s", "c")],
        {},
        ValueError,
        r"\(Quant\) has a zero point that is no integer below .*; use",
    ),
    "rounding mode": (
        [quant("x", "y", rounding_mode="SOMEHOW")],
        {},
        ValueError,
        r"\(Quant\) has the rounding mode 'SOMEHOW'; use one of ROUND",
    ),
    "missing inputs": (
        [node("Quant", "x s", "y", signed=1)],
        {},
        ValueError,
        r"node 'n_y' \(Quant\) needs 4 inputs; give its scale",
    ),
    "division by zero": ([INPUT, node("Div", "a z", "y")], {}, ValueError, r"\(Div\) divides by 0"),
    "constant along two axes": (
        [INPUT, node("Add", "a many", "y")],
        {"many": np.ones((2, 4), F32)},
        ValueError,
        r"node 'n_y' \(Add\): a constant of shape \(2, 4\) does not broadcast",
    ),
    "too many bits behind a float scale": (
        [INPUT, quant("a", "y", "c", "z", "wide")],
        {"wide": F32(24)},
        ValueError,
        r"\(Quant\) has 24 bits behind a float scale",
    ),
    "no quantizer at all": (
        [node("Flatten", "x", "y")],
        {},
        ValueError,
        r"output 'y' is real-valued.*pass input=Format",
    ),
    "constant output": ([INPUT, node("Identity", "w", "y")], {}, ValueError, r"output 'y' is a constant"),
    "relu at the end": (
        [INPUT, *POWERS, node("Add", "f7 tiny", "t"), node("Relu", "t", "y")],
        {},
        ValueError,
        r"node 'n_y' \(Relu\) uses the result of a ReLU",
    ),
    "tensor from nowhere": (
        [INPUT, node("Relu", "nowhere", "y")],
        {},
        ValueError,
        r"node 'n_y' \(Relu\) reads 'nowhere', which nothing before it makes",
    ),
    "output from nowhere": ([quant("x", "a")], {}, ValueError, r"output 'y' of m.onnx is made by no node"),
}


@pytest.mark.parametrize("case", CASES)
def test_models(tmp_path: Path, case: str) -> None:
    nodes, constants, error, message = CASES[case]
    path = write(tmp_path, nodes, BASE | constants)
    with pytest.raises(error, match=message):
        load(path)


def test_dynamic_shape(tmp_path) -> None:
    path = write(tmp_path, [quant("x", "y")], BASE, shape=(1, "width"))
    with pytest.raises(
        ValueError, match=r"input 'x' must not be dynamic, but axis 1 is open \('width'\).*fixed"
    ):
        load(path)


@pytest.mark.parametrize(
    ("opset", "message"),
    [
        (7, r"opset must lie in 9\.\.\d+, not 7"),
        (9999, r"not 9999 \(m.onnx\); convert it"),
        (None, "no version of the standard"),
    ],
)
def test_opset(tmp_path, opset, message) -> None:
    path = write(tmp_path, [quant("x", "y")], BASE, opset=opset)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_truncated_files(tmp_path) -> None:
    """Cut anywhere: protobuf notices most cuts, the checks on tensors the ones between two fields."""
    whole = digits_model().read_bytes()
    for size in [*range(0, 400, 7), *range(400, len(whole), 379), len(whole) - 1]:
        path = tmp_path / "cut.onnx"
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"truncated|no version of the standard ONNX opset|fixed shape"):
            load(path)


def test_other_files(tmp_path) -> None:
    for name, content in (
        ("noise.onnx", b"\x00\xff" * 500),
        ("text.onnx", b"hello"),
        ("saved.fxs", b"hello"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"not a readable ONNX file|not a graph file"):
            load(tmp_path / name)
    with pytest.raises(ValueError, match=re.escape("or .fxs (a saved graph), not 'm.pb'")):
        load(tmp_path / "m.pb")
    with pytest.raises(FileNotFoundError, match="no model file at"):
        load(tmp_path / "absent.onnx")


def test_external_data(tmp_path) -> None:
    proto = onnx.load(str(digits_model()))
    path = tmp_path / "big.onnx"
    onnx.save_model(proto, str(path), save_as_external_data=True, location="big.data", size_threshold=0)
    assert load(path).digest() == load(digits_model()).digest()
    (tmp_path / "big.data").write_bytes((tmp_path / "big.data").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"initializer 'Quant_\d_param\d' of big.onnx is not readable"):
        load(path)
    (tmp_path / "big.data").unlink()
    with pytest.raises(
        ValueError,
        match=r"initializer 'Quant_\d_param\d' of big.onnx lies in the file 'big.data', which is missing",
    ):
        load(path)


def test_arguments() -> None:
    with pytest.raises(TypeError, match=r"input must be a fxsim.Format, not 'UQ'"):
        load(digits_model(), input="UQ")
    with pytest.raises(ValueError, match="rescale must be one of auto, dyadic, threshold, not 'float'"):
        load(digits_model(), rescale="float")


def test_saved_graphs_take_no_input_format(tmp_path) -> None:
    load(digits_model()).save(tmp_path / "g.fxs")
    with pytest.raises(ValueError, match="input must be None for a saved graph"):
        load(tmp_path / "g.fxs", input=UQ(1, 4))


def test_without_onnx(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ImportError, match=r"reading .*\.onnx needs the onnx package: install fxsim-hdl\[onnx\]"
    ):
        load(digits_model())


def test_a_handler_can_be_added_but_not_replaced(tmp_path, monkeypatch) -> None:
    assert "MatMul" in supported()
    with pytest.raises(ValueError, match="op 'MatMul' already has a handler"):
        loader.handles("MatMul")(loader.HANDLERS["Relu"])
    monkeypatch.setitem(loader.HANDLERS, "LeakyRelu", loader.HANDLERS["Relu"])
    assert load(write(tmp_path, [INPUT, node("LeakyRelu", "a", "y")], BASE)).output_names == ("y",)
