"""The node tests that come with the onnx package: quantization with its own data, others on integers."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from fxsim import SQ
from fxsim.load import load
from fxsim.load.affine import Constant
from fxsim.load.loader import Loader
from fxsim.load.onnx_file import read

NODES = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
FLOAT8 = "must hold integers or floating-point numbers, not FLOAT"
FLOAT16 = "has a scale of type float16"
DYNAMIC = "computes its scale from each input: quantize the model statically"
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
    "dequantizelinear_e4m3fn": FLOAT8,
    "dequantizelinear_e4m3fn_float16": FLOAT8,
    "dequantizelinear_e4m3fn_zero_point": FLOAT8,
    "dequantizelinear_float4e2m1": FLOAT8,
    "quantizelinear_e5m2": "has a zero point of type float8_e5m2",
    "dynamicquantizelinear": DYNAMIC,
    "dynamicquantizelinear_max_adjusted": DYNAMIC,
    "dynamicquantizelinear_min_adjusted": DYNAMIC,
    "qlinearmatmul_2D_int8_float16": FLOAT16,
    "qlinearmatmul_2D_uint8_float16": FLOAT16,
    "qlinearmatmul_3D_int8_float16": FLOAT16,
    "qlinearmatmul_3D_uint8_float16": FLOAT16,
    "qlinearmatmul_3D_int8_float32": "has weights of shape",
    "qlinearmatmul_3D_uint8_float32": "has weights of shape",
}
# The same three written as several nodes of floating-point arithmetic.
REFUSED |= {
    f"{name}_expanded": "real input|no handler|has no scale" for name in REFUSED if name.startswith("dynamic")
}

# Wiring, extrema, sums, products, convolutions: their constants as they are, integers for the input.
MOVED = {
    "Abs",
    "Add",
    "ArgMax",
    "ArgMin",
    "Clip",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalMaxPool",
    "Identity",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "Pad",
    "ReduceMax",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Upsample",
}
WHOLE = {
    "Add",
    "Clip",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Pad",
    "Sub",
}  # of constants too
BATCH = "batch|does not broadcast|use a matrix|axis 1 is open|expands|repeats|vary along"
REASONS = {BATCH: 73, "mode 'cubic'": 11, "tf_crop_and_resize": 4, "has 2 outputs": 2, "leaves nothing": 1}


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


def test_every_quantization_node_is_listed() -> None:
    """What the package brings about quantization is either run or refused for a reason."""
    words = ("quantizelinear", "qlinear", "integer")
    names = {p.name.removeprefix("test_") for p in NODES.iterdir() if any(w in p.name for w in words)}
    assert names == {*EXACT, *REFUSED}


CONSTANT = (
    "quantizelinear_int2", "quantizelinear_int4", "quantizelinear_uint2", "quantizelinear_uint4",
    "quantizelinear", "quantizelinear_axis", "dequantizelinear", "dequantizelinear_int4",
)  # fmt: skip


@pytest.mark.parametrize("name", CONSTANT)
def test_nodes_on_constants(tmp_path: Path, name: str) -> None:
    """Weights may have their parameters along any axis: the same nodes with their input as an initializer."""
    path, _, want = prepared(tmp_path, name)
    proto = onnx.load(str(path))
    tensor = onnx.TensorProto()
    tensor.ParseFromString((NODES / f"test_{name}" / "test_data_set_0" / "input_0.pb").read_bytes())
    tensor.name = proto.graph.input[0].name
    proto.graph.initializer.append(tensor)
    result = proto.graph.output[0].name
    del proto.graph.input[:], proto.graph.output[:]
    proto.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.INT8, ["N", 2]))
    proto.graph.output.append(onnx.helper.make_tensor_value_info("same", onnx.TensorProto.INT8, ["N", 2]))
    proto.graph.node.append(onnx.helper.make_node("Identity", ["more"], ["same"]))
    path.write_bytes(proto.SerializeToString())
    loader = Loader(read(path), None, "auto")
    loader.graph()
    found = loader.symbols[result]
    assert isinstance(found, Constant)
    assert np.array_equal(found.values.astype(np.float32), want.astype(np.float32))


def test_other_nodes(tmp_path: Path) -> None:
    """Each node on random integers: equal to the package's reference evaluator, or refused for a reason."""
    rng = np.random.default_rng(7)
    found: Counter[str] = Counter()
    for folder in sorted(NODES.iterdir()):
        proto = onnx.load(str(folder / "model.onnx"))
        graph = proto.graph
        moved = len(graph.node) == 1 and graph.node[0].op_type in MOVED and len(graph.input) > 0
        if not moved or graph.input[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        if "linear" in folder.name or graph.node[0].op_type == "Concat":
            continue  # whose weights are no dyadic numbers, so that float32 has no exact result
        for i, value in enumerate(graph.input):
            tensor = onnx.TensorProto()
            tensor.ParseFromString((folder / "test_data_set_0" / f"input_{i}.pb").read_bytes())
            array = numpy_helper.to_array(tensor)
            if i == 0:
                x = rng.integers(-8, 8, array.shape).astype(np.float32)
                continue
            if array.dtype == np.float32 and graph.node[0].op_type in WHOLE:
                array = np.rint(array * 3).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(array, value.name))
        name = graph.input[0].name
        del graph.input[1:]
        path = tmp_path / "node.onnx"
        path.write_bytes(proto.SerializeToString())
        try:
            ours = load(path, input=SQ(5, 0))
        except ValueError as e:
            reasons = [r for r in REASONS if re.search(r, str(e))]
            assert len(reasons) == 1, (folder.name, str(e))
            found[reasons[0]] += 1
            continue
        want = ReferenceEvaluator(proto).run(None, {name: x})
        got = ours.run(x)
        for a, b in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
            assert a.shape == b.shape and np.array_equal(a, b), folder.name
        found["equal"] += 1
    assert found == {**REASONS, "equal": 165}
