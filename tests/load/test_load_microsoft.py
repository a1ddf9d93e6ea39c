"""onnxruntime's own integer ops: every code against onnxruntime, or against fractions at near ties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import ort_oracle
import pytest
from small_models import MICROSOFT, node, write
from test_load_qdq import file_codes

from fxsim.load import load

F32 = np.float32
BASE = {
    "s": F32(0.5), "z": np.array(7, np.uint8), "t": F32(0.25), "y": np.array(9, np.uint8), "u": F32(1),
    "v": np.array(3, np.uint8),
}  # fmt: skip
Case = tuple[list[Any], dict[str, Any], tuple[int, ...]]

CASES: dict[str, Case] = {
    "add": (
        [node("QLinearMul", "x s z k t y u v", "m"), node("QLinearAdd", "x s z m u v u v", "o")],
        {"k": np.array([[1], [9], [40]], np.uint8)},
        (3, 4),
    ),
    "add a constant": ([node("QLinearAdd", "x s z k t y u v", "o")], {"k": np.array(50, np.uint8)}, (3, 4)),
    "add a constant first": (
        [node("QLinearAdd", "k t y x s z u v", "o")],
        {"k": np.array(50, np.uint8)},
        (3, 4),
    ),
    "multiply": (
        [node("QLinearAdd", "x s z x s z t y", "m"), node("QLinearMul", "x s z m t y w v", "o")],
        {"w": F32(16)},
        (3, 4),
    ),
    "average": (
        [node("QLinearAveragePool", "x s z u v", "o", kernel_shape=[2, 2], strides=[2, 2])],
        {},
        (2, 4, 6),
    ),
    "global average": ([node("QLinearGlobalAveragePool", "x s z u v", "o")], {}, (2, 4, 4)),
    "concat": (
        [node("QLinearAdd", "x s z x s z t y", "m"), node("QLinearConcat", "u v x s z m t y", "o", axis=1)],
        {},
        (2, 4),
    ),
    "leaky relu": ([node("QLinearLeakyRelu", "x s z u v", "o", alpha=0.25)], {}, (3, 4)),
    "sigmoid": (
        [node("QLinearSigmoid", "x t k p l", "o")],
        {"k": np.array(128, np.uint8), "p": F32(1 / 256), "l": np.array(0, np.uint8)},
        (3, 4),
    ),
    "gemm": (
        [node("QGemm", "x s z w ws wz c o1 v", "o", alpha=0.5)],
        {
            "w": "weights",
            "ws": F32(0.25),
            "wz": np.array(2, np.uint8),
            "c": np.array([9, -90, 4], np.int32),
            "o1": F32(32),
        },
        (5,),
    ),
    "gemm per channel": (
        [node("QGemm", "x s z w ws wz c o1 v", "o", transB=1)],
        {
            "w": "turned",
            "ws": np.array([0.25, 0.5, 1], F32),
            "wz": np.zeros(3, np.int8),
            "c": np.array([9, -90, 4], np.int32),
            "o1": F32(32),
        },
        (5,),
    ),
    "gemm to reals": (
        [node("QGemm", "x s z w ws wz", "o")],
        {"w": "weights", "ws": F32(0.25), "wz": np.array(2, np.uint8)},
        (5,),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_codes(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    """Scales of powers of two: float32 has no rounding, but for sigmoid, whose ties are irrational."""
    nodes, constants, shape = CASES[case]
    made = {"weights": lambda: rng.integers(0, 256, (5, 3)).astype(np.uint8),
            "turned": lambda: rng.integers(-128, 128, (3, 5)).astype(np.int8)}  # fmt: skip
    constants = {k: made[v]() if isinstance(v, str) else v for k, v in constants.items()}
    path = write(tmp_path, nodes, BASE | constants, ("N", *shape), "o", dtype=onnx.TensorProto.UINT8)
    x = rng.integers(0, 256, (60, *shape)).astype(np.uint8)
    x[0] = 0
    graph = load(path)
    found, want = file_codes(graph, x), ort_oracle.tensors(path, x)
    for name in ("m", "o"):
        if name in want:
            assert np.array_equal(found[name], want[name]), name
    assert len(np.unique(want["o"])) > 5


def test_float_scales(tmp_path: Path, rng: np.random.Generator) -> None:
    """A residual of two scales that are no powers of two: the record lists where float32 may differ."""
    constants = {
        "s": F32(0.0173), "z": np.array(120, np.uint8), "t": F32(0.0311), "y": np.array(99, np.uint8),
        "u": F32(0.0407), "v": np.array(131, np.uint8),
    }  # fmt: skip
    nodes = [
        node("QLinearLeakyRelu", "x s z t y", "m", alpha=0.1),
        node("QLinearAdd", "x s z m t y u v", "o"),
    ]
    path = write(tmp_path, nodes, constants, ("N", 40), "o", dtype=onnx.TensorProto.UINT8)
    x = rng.integers(0, 256, (200, 40)).astype(np.uint8)
    found, want = file_codes(load(path), x), ort_oracle.tensors(path, x)
    block = next(b for b in load(path).blocks if b.kind == "curve")
    ties = block.params["near_ties"].array[:, 2].tolist()
    bad = np.argwhere(found["m"] != want["m"])
    assert all(int(x[tuple(w)]) in ties for w in bad)
    same = np.all(found["m"] == want["m"], axis=1)
    real = (x.astype(float) - 120) * float(F32(0.0173)) + (want["m"] - 99.0) * float(F32(0.0311))
    exact = np.clip(np.rint(real / float(F32(0.0407))) + 131, 0, 255)
    assert np.array_equal(found["o"][same], exact[same])


ERRORS: dict[str, tuple[list[Any], str]] = {
    "layout": (
        [node("QLinearAveragePool", "x s z u v", "o", kernel_shape=[1], channels_last=1)],
        "has channels_last = 1; export it before",
    ),
    "concat of nothing": ([node("QLinearConcat", "u v x s", "o", axis=1)], "has 4 inputs; give it a scale"),
    "transA": ([node("QGemm", "x s z k t y", "o", transA=1)], "has transA = 1"),
    "computed weights": ([node("QGemm", "x s z x t y", "o")], "needs a constant weight matrix"),
    "computed scale": (
        [node("QLinearSigmoid", "x x z u v", "o")],
        "needs a constant scale of its first operand",
    ),
    "float16 scale": (
        [node("QLinearSigmoid", "x h z u v", "o")],
        "has a scale of type float16; use",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, message = ERRORS[case]
    constants = BASE | {"h": np.array(1, np.float16), "k": np.ones((4, 2), np.uint8)}
    path = write(tmp_path, nodes, constants, ("N", 3, 4), "o", dtype=onnx.TensorProto.UINT8)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith("node 'n_o'")


def test_a_dynamic_quantizer_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path, [node("DynamicQuantizeLinear", "x", "q s z"), node("Cast", "q", "o", to=1)], {}, output="o"
    )
    with pytest.raises(NotImplementedError, match=r"DynamicQuantizeLinear.*scale.*static"):
        load(path)
    float_to = onnx.helper.make_node("MatMulIntegerToFloat", ["x"] * 4, ["o"], domain=MICROSOFT)
    with pytest.raises(NotImplementedError, match=r"no handler.*static"):
        load(write(tmp_path, [float_to], {}, output="o"))
