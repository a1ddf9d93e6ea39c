"""Integer products of ONNX: every output against the formula in fractions, and against onnxruntime."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import ort_oracle
import pytest
from onnx import TensorProto
from small_models import node, write
from test_load_qdq import file_codes

from fxsim.load import load

F32 = np.float32


def requantized(acc: np.ndarray, factors: list[Fraction], zero: int, lo: int, hi: int) -> np.ndarray:
    """clip(half_even(acc * factor) + zero), the factor along axis 1."""
    out = np.empty(acc.shape, np.int64)
    for where in np.ndindex(acc.shape):
        factor = factors[where[1] if len(factors) > 1 else 0]
        out[where] = min(max(round(int(acc[where]) * factor) + zero, lo), hi)
    return out


@pytest.mark.parametrize("unit", [0.25, 0.013])
def test_qlinear_matmul(tmp_path: Path, rng: np.random.Generator, unit: float) -> None:
    w = rng.integers(-50, 50, (6, 4)).astype(np.int8)
    scales = (F32(unit) * np.array([1, 2, 1, 4], F32)).astype(F32)
    constants = {
        "sx": F32(0.5), "zx": np.array(7, np.uint8), "w": w, "sw": scales, "zw": np.zeros(4, np.int8),
        "sy": F32(5), "zy": np.array(101, np.uint8),
    }  # fmt: skip
    nodes = [node("QLinearMatMul", "x sx zx w sw zw sy zy", "y")]
    path = write(tmp_path, nodes, constants, ("N", 6), opset=21, dtype=TensorProto.UINT8)
    x = rng.integers(0, 256, (60, 6)).astype(np.uint8)
    found = file_codes(load(path), x)["y"]
    factors = [Fraction(float(s)) * Fraction(1, 2) / 5 for s in scales]
    want = requantized((x.astype(np.int64) - 7) @ w.astype(np.int64), factors, 101, 0, 255)
    assert np.array_equal(found, want)
    assert np.any((want > 0) & (want < 255))


@pytest.mark.parametrize("unit", [0.25, 0.013])
def test_qlinear_conv(tmp_path: Path, rng: np.random.Generator, unit: float) -> None:
    """Zero points of input, weights and output; the padding is the input's zero point; an int32 bias."""
    w, bias = rng.integers(-50, 50, (3, 2, 2, 2)).astype(np.int8), rng.integers(-999, 999, 3).astype(np.int32)
    scales = (F32(unit) * np.array([1, 2, 4], F32)).astype(F32)
    constants = {
        "sx": F32(0.5), "zx": np.array(-7, np.int8), "w": w, "sw": scales, "zw": np.zeros(3, np.int8),
        "sy": F32(6), "zy": np.array(-3, np.int8), "b": bias,
    }  # fmt: skip
    nodes = [node("QLinearConv", "x sx zx w sw zw sy zy b", "y", pads=[1, 0, 0, 1], strides=[2, 1])]
    path = write(tmp_path, nodes, constants, ("N", 2, 5, 4), opset=21, dtype=TensorProto.INT8)
    x = rng.integers(-128, 128, (20, 2, 5, 4)).astype(np.int8)
    padded = np.pad(x.astype(np.int64) + 7, ((0, 0), (0, 0), (1, 0), (0, 1)))
    acc = np.zeros((20, 3, 3, 4), np.int64)
    for i in range(2):
        for j in range(2):
            part = padded[:, :, i : i + 5 : 2, j : j + 4]
            acc += np.einsum("nchw,oc->nohw", part, w[:, :, i, j].astype(np.int64))
    acc += bias.reshape(1, 3, 1, 1)
    factors = [Fraction(float(s)) * Fraction(1, 2) / 6 for s in scales]
    assert np.array_equal(file_codes(load(path), x)["y"], requantized(acc, factors, -3, -128, 127))


def test_integer_products_against_onnxruntime(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (50, 2, 4, 4)).astype(np.uint8)
    constants = {
        "w": rng.integers(0, 256, (3, 2, 3, 3)).astype(np.uint8), "zx": np.array(9, np.uint8),
        "zw": np.array(130, np.uint8),
    }  # fmt: skip
    nodes = [node("ConvInteger", "x w zx zw", "y", pads=[1, 1, 1, 1])]
    path = write(tmp_path, nodes, constants, ("N", 2, 4, 4), opset=21, dtype=TensorProto.UINT8)
    assert np.array_equal(load(path).run(x), ort_oracle.tensors(path, x)["y"])
    x = rng.integers(0, 256, (50, 6)).astype(np.uint8)
    constants |= {"w": rng.integers(-128, 128, (6, 5)).astype(np.int8)}
    nodes = [node("MatMulInteger", "x w zx", "y")]
    path = write(tmp_path, nodes, constants, ("N", 6), opset=21, dtype=TensorProto.UINT8)
    assert np.array_equal(load(path).run(x), ort_oracle.tensors(path, x)["y"])


def test_a_chain_of_integer_products(tmp_path: Path, rng: np.random.Generator) -> None:
    """QLinearConv, its codes dequantized, MatMulInteger scaled by a constant, then quantized again."""
    constants = {
        "s": F32(0.25), "z": np.array(3, np.uint8), "w": rng.integers(-9, 9, (2, 2, 2, 2)).astype(np.int8),
        "zw": np.array(0, np.int8), "sy": F32(2), "v": rng.integers(-9, 9, (18, 3)).astype(np.int8),
        "k": F32(0.125), "shape": np.array([0, -1]),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearConv", "q s z w s zw sy z", "c"),
        node("Reshape", "c shape", "f"),
        node("MatMulInteger", "f v z", "m"),
        node("Cast", "m", "n", to=TensorProto.FLOAT),
        node("Mul", "n k", "o"),
        node("QuantizeLinear", "o s z", "y"),
    ]
    path = write(tmp_path, nodes, constants, ("N", 2, 4, 4), opset=21)
    x = (rng.integers(-64, 600, (50, 2, 4, 4)) / 16).astype(F32)
    found, want = file_codes(load(path), x), ort_oracle.tensors(path, x)
    for name in ("q", "c", "m", "o", "y"):
        assert np.array_equal(found[name], want[name]), name


def test_a_clip_behind_a_product_narrows_it(tmp_path: Path, rng: np.random.Generator) -> None:
    constants = {
        "s": F32(0.5), "z": np.array(7, np.uint8), "w": rng.integers(-9, 9, (4, 3)).astype(np.int8),
        "zw": np.array(1, np.int8), "l": np.array(3, np.uint8), "h": np.array(90, np.uint8),
    }  # fmt: skip
    nodes = [node("QLinearMatMul", "x s z w s zw s z", "m"), node("Clip", "m l h", "y")]
    path = write(tmp_path, nodes, constants, ("N", 4), opset=21, dtype=TensorProto.UINT8)
    x = rng.integers(0, 40, (50, 4)).astype(np.uint8)
    graph = load(path)
    assert graph.names["m"].reason == "the Clip after it is built into the quantizer"
    acc = (x.astype(np.int64) - 7) @ (constants["w"].astype(np.int64) - 1)
    want = np.clip(requantized(acc, [Fraction(1, 2)], 7, 0, 255), 3, 90)
    assert np.array_equal(file_codes(graph, x)["y"], want)
