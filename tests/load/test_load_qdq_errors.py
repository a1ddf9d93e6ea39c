"""QDQ and integer files that cannot be loaded: the error names the node, what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_models import node, quant, write

from fxsim.load import load

F32 = np.float32
BASE = {
    "s": F32(0.25), "zero": F32(0), "minus": F32(-1), "nan": F32(np.nan), "half": np.array(0.5, np.float16),
    "per": np.array([1, 2, 3, 4], F32), "z": np.array(0, np.int8), "zs": np.array([0, 0, 1, 0], np.int8),
    "zf": F32(0), "z32": np.array(0, np.int32), "w": np.ones((4, 3), np.int8), "v": np.ones((4, 3), F32),
    "bad": np.array([[0, np.nan]], F32), "wide": np.full((4, 3), 127, np.int8), "pairs": np.ones((2, 2), F32),
}  # fmt: skip
INPUT = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "a")]

CASES: dict[str, tuple[list[Any], str]] = {
    "scale 0": (
        [node("QuantizeLinear", "x zero z", "y")],
        r"node 'n_y' \(QuantizeLinear\) has a scale that is not positive and finite; retrain",
    ),
    "negative scale": (
        [*INPUT, node("DequantizeLinear", "q minus z", "y")],
        r"\(DequantizeLinear\) has a scale that is not positive and finite",
    ),
    "scale is NaN": (
        [node("QuantizeLinear", "x nan z", "y")],
        r"has a scale that is not positive and finite",
    ),
    "weight scale is NaN": (
        [node("DequantizeLinear", "w nan", "y")],
        r"node 'n_y' \(DequantizeLinear\) has a scale that is not positive and finite",
    ),
    "half precision": (
        [node("QuantizeLinear", "x half z", "y")],
        r"\(QuantizeLinear\) has a scale of type float16; use a float32 scale",
    ),
    "computed scale": (
        [*INPUT, node("QuantizeLinear", "a a z", "y")],
        r"\(QuantizeLinear\) needs a constant scale, not one computed",
    ),
    "float zero point": (
        [node("QuantizeLinear", "x s zf", "y")],
        r"\(QuantizeLinear\) has a zero point of type float32; use one of uint8, int8",
    ),
    "codes of 32 bits": (
        [node("QuantizeLinear", "x s z32", "y")],
        r"\(QuantizeLinear\) quantizes to int32; use one of uint8",
    ),
    "output type": (
        [node("QuantizeLinear", "x s", "y", output_dtype=17)],
        r"\(QuantizeLinear\) has the output_dtype 17; use one of uint8",
    ),
    "blocks": (
        [node("DequantizeLinear", "w pairs", "y", block_size=2, axis=0)],
        r"\(DequantizeLinear\) is quantized in blocks \(block_size\); use one scale",
    ),
    "length of the scales": (
        [node("DequantizeLinear", "w per", "y", axis=1)],
        r"\(DequantizeLinear\) has parameters of shape \(4,\) along axis 1 of \(4, 3\); use one per tensor",
    ),
    "float weights dequantized": (
        [node("DequantizeLinear", "v s", "y")],
        r"\(DequantizeLinear\) dequantizes a constant of type float32; use",
    ),
    "weights are NaN": (
        [node("QuantizeLinear", "bad s z", "y")],
        r"\(QuantizeLinear\) quantizes a constant that is NaN at \(0, 1\)",
    ),
    "real input dequantized": (
        [node("DequantizeLinear", "x s", "y")],
        r"\(DequantizeLinear\) has no scale for its input: the real input 'x'",
    ),
    "other domain": (
        [onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], name="n", domain="mine")],
        r"node 'n' \(QuantizeLinear\) of domain 'mine' has no handler",
    ),
    "cast to half": (
        [*INPUT, node("Cast", "a", "y", to=10)],
        r"\(Cast\) casts to type 10; cast to float",
    ),
    "integer weights are computed": (
        [*INPUT, node("MatMulInteger", "q q", "y")],
        r"\(MatMulInteger\) needs a constant weight tensor",
    ),
    "integer product of a real input": (
        [node("MatMulInteger", "x w", "y")],
        r"\(MatMulInteger\) has no scale for its first operand",
    ),
    "weights of a matrix product": (
        [*INPUT, node("MatMulInteger", "q zs", "y")],
        r"\(MatMulInteger\) has weights of shape \(4,\); use a matrix",
    ),
    "missing result scale": (
        [*INPUT, node("QLinearMatMul", "q s z w s z", "y")],
        r"\(QLinearMatMul\) has 6 inputs and needs at least 8: 'y_scale' is missing",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, message = CASES[case]
    with pytest.raises((ValueError, NotImplementedError), match=message):
        load(write(tmp_path, nodes, BASE, opset=25))


def test_sums_beyond_int32(tmp_path: Path) -> None:
    constants = {"w": np.full((40, 1), -128, np.int8), "z": np.array(0, np.int8)}
    nodes = [node("MatMulInteger", "x w", "y")]
    path = write(tmp_path, nodes, constants, ("N", 40), opset=21, dtype=onnx.TensorProto.INT16, name="n.onnx")
    assert load(path).outputs[0].type.bounds == (-40 * 128 * 32767, 40 * 128 * 32768)
    constants["w"] = np.full((600, 1), -128, np.int8)
    path = write(tmp_path, nodes, constants, ("N", 600), opset=21, dtype=onnx.TensorProto.INT16)
    with pytest.raises(ValueError, match=r"\(MatMulInteger\) may leave int32 \(-\d+\.\.\d+\); use fewer"):
        load(path)


def test_too_many_bits(tmp_path: Path) -> None:
    path = write(tmp_path, [quant("x", "y")], {"s": F32(1), "z": F32(0), "b": F32(65)})
    with pytest.raises(ValueError, match=r"\(Quant\) has the bit width 65.0; use a whole number in 1..64"):
        load(path)


@pytest.mark.parametrize("place", ["../w.data", "sub/../../w.data", "/etc/hostname"])
def test_external_data_outside_the_folder(tmp_path: Path, place: str) -> None:
    """Nothing beside the model's folder is read, whether it exists or not."""
    (tmp_path / "w.data").write_bytes(np.ones(12, F32).tobytes())
    folder = tmp_path / "models"
    folder.mkdir()
    path = write(folder, [*INPUT, node("MatMul", "a v", "y")], BASE)
    proto = onnx.load(str(path))
    tensor = next(t for t in proto.graph.initializer if t.name == "v")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"initializer 'v' of m.onnx must lie in the model's folder, not at"):
        load(path)


def test_a_file_of_two_gigabytes_of_zeros(tmp_path: Path) -> None:
    """Sparse, so that it takes no room; it is refused by its size, unread."""
    path = tmp_path / "zeros.onnx"
    with path.open("wb") as f:
        f.truncate(1 << 31)
    with pytest.raises(ValueError, match=r"zeros.onnx must be smaller than 2 GB.*not 2147483648 bytes"):
        load(path)


def test_cyclic_graph(tmp_path: Path) -> None:
    nodes = [*INPUT, node("Add", "a c", "b"), node("Relu", "b", "c"), node("Identity", "c", "y")]
    with pytest.raises(
        ValueError, match=r"node 'n_b' \(Add\) reads 'c', which is computed from its own result.*has a cycle"
    ):
        load(write(tmp_path, nodes, BASE))
