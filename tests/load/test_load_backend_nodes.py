"""The node tests that come with the onnx package: quantization ops with its own inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fxsim.load import load

NODES = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
EXACT = (
    "quantizelinear", "quantizelinear_axis", "quantizelinear_int16", "quantizelinear_uint16",
    "dequantizelinear", "dequantizelinear_axis", "dequantizelinear_int2", "dequantizelinear_int4",
    "dequantizelinear_int16", "dequantizelinear_uint2", "dequantizelinear_uint4", "dequantizelinear_uint16",
    "qlinearconv", "qlinearmatmul_2D_int8_float32", "qlinearmatmul_2D_uint8_float32", "matmulinteger",
    "convinteger_with_padding", "convinteger_without_padding",
)  # fmt: skip
REFUSED = {
    "quantizelinear_int2": "along the batch axis",
    "quantizelinear_int4": "along the batch axis",
    "quantizelinear_uint2": "along the batch axis",
    "quantizelinear_uint4": "along the batch axis",
    "quantizelinear_blocked_symmetric": "in blocks",
    "quantizelinear_blocked_asymmetric": "in blocks",
    "dequantizelinear_blocked": "in blocks",
    "quantizelinear_e4m3fn": "has a zero point of type float8_e4m3fn",
    "quantizelinear_float4e2m1": "has a zero point of type float4_e2m1fn",
    "dequantizelinear_e5m2": "must hold integers or floating-point numbers, not FLOAT8E5M2",
    "dynamicquantizelinear": "has no handler",
    "qlinearmatmul_2D_int8_float16": "has a scale of type float16",
    "qlinearmatmul_3D_int8_float32": "has weights of shape",
}


def prepared(folder: Path, name: str) -> tuple[Path, np.ndarray, np.ndarray]:
    """(file, input, output) of a node test, all inputs but the first made initializers."""
    source = NODES / f"test_{name}"
    proto = onnx.load(str(source / "model.onnx"))
    inputs = [t.name for t in proto.graph.input]
    tensors = []
    for i in range(len(inputs)):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((source / "test_data_set_0" / f"input_{i}.pb").read_bytes())
        tensors.append(tensor)
    want = onnx.TensorProto()
    want.ParseFromString((source / "test_data_set_0" / "output_0.pb").read_bytes())
    for tensor, label in list(zip(tensors, inputs, strict=True))[1:]:
        tensor.name = label
        proto.graph.initializer.append(tensor)
    del proto.graph.input[1:]
    path = folder / f"{name}.onnx"
    path.write_bytes(proto.SerializeToString())
    return path, numpy_helper.to_array(tensors[0]), numpy_helper.to_array(want)


@pytest.mark.parametrize("name", EXACT)
def test_nodes(tmp_path: Path, name: str) -> None:
    path, x, want = prepared(tmp_path, name)
    graph = load(path)
    x = x if x.dtype.kind == "f" else x.astype(np.int64)
    assert np.array_equal(graph.run(x).astype(np.float32), want.astype(np.float32))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_nodes(tmp_path: Path, name: str) -> None:
    path, _, _ = prepared(tmp_path, name)
    with pytest.raises((ValueError, NotImplementedError), match=REFUSED[name]):
        load(path)
