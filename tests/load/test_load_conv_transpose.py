"""ConvTranspose: all sums against onnxruntime, through quantizers of real scales, and through g++."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ort_oracle
import pytest
from near import agree
from small_models import node, write

from fxsim.load import load
from hls import compile_graphs

F32 = np.float32
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 4), (2, 3, 2, 2), {}),
    "1d": ((2, 5), (2, 3, 3), {"strides": [2]}),
    "3d": ((1, 2, 3, 2), (1, 2, 2, 2, 2), {"strides": [2, 1, 2]}),
    "strides and pads": ((2, 3, 3), (2, 3, 3, 3), {"strides": [2, 3], "pads": [1, 0, 2, 1]}),
    "output padding": (
        (2, 3, 3),
        (2, 3, 3, 3),
        {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]},
    ),
    "dilations": ((2, 4, 3), (2, 2, 2, 3), {"dilations": [2, 2], "strides": [1, 3], "pads": [1, 0, 0, 2]}),
    "groups": ((4, 3, 3), (4, 2, 2, 2), {"group": 2, "strides": [2, 2]}),
    "depthwise": ((3, 3, 3), (3, 1, 3, 3), {"group": 3, "strides": [2, 2], "pads": [1] * 4}),
    "kernel below stride": ((2, 3, 3), (2, 2, 1, 2), {"strides": [3, 3]}),
    "pads beyond the kernel": ((2, 5, 5), (2, 2, 2, 2), {"pads": [2, 2, 2, 2]}),
    "output shape": ((2, 3, 3), (2, 2, 3, 3), {"strides": [2, 2], "output_shape": [6, 5]}),
    "a larger output shape": ((2, 3, 3), (2, 2, 3, 3), {"strides": [3, 2], "output_shape": [10, 8]}),
    "same upper": ((2, 3, 3), (2, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "same lower": ((2, 3, 3), (2, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "valid": ((2, 3, 3), (2, 2, 3, 3), {"strides": [2, 2], "auto_pad": "VALID"}),
}


def model(folder: Path, rng: np.random.Generator, case: str, scales: Any, **more: Any) -> Path:
    shape, kernel, attributes = CASES[case]
    outputs = kernel[1] * attributes.get("group", 1)
    constants = {
        "s": F32(0.5), "z": np.array(-3, np.int8), "w": rng.integers(-50, 50, kernel).astype(np.int8),
        "ws": scales, "wz": np.zeros(np.shape(scales), np.int8),
        "b": rng.integers(-99, 99, outputs).astype(np.int32),
        "bs": F32(0.125), "bz": np.array(0, np.int32), "u": F32(3.7), "v": np.array(2, np.int8),
    } | more  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "wd", axis=1),
        node("DequantizeLinear", "b bs bz", "bd"),
        node("ConvTranspose", "d wd bd", "m", **attributes),
        node("QuantizeLinear", "m u v", "y"),
    ]
    return write(folder, nodes, constants, ("N", *shape))


@pytest.mark.parametrize("case", CASES)
def test_exact(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    """Scales of powers of two, so that float32 is exact; a zero point of the input and a bias."""
    shape = CASES[case][0]
    path = model(tmp_path, rng, case, F32(0.25), u=F32(4))
    x = rng.integers(-70, 70, (20, *shape)).astype(F32)
    graph, want = load(path), ort_oracle.tensors(path, x)
    assert np.array_equal(graph.run(x), want["y"])
    entry = graph.names["m"]
    real = entry.affine.apply(graph.codes(x)["m"], entry.value.type.frac, entry.value.type.ndim)
    assert real.shape == want["m"].shape and np.array_equal(real, want["m"])


@pytest.mark.parametrize("case", ["strides and pads", "dilations", "groups"])
def test_a_scale_for_each_output(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    shape, kernel, _ = CASES[case]
    path = model(tmp_path, rng, case, rng.uniform(0.01, 0.05, kernel[1]).astype(F32))
    agree(path, rng.integers(-70, 70, (60, *shape)).astype(F32), share=0.9)


def test_generated_code_equals_the_emulator(tmp_path: Path, rng: np.random.Generator) -> None:
    graphs = []
    for i, case in enumerate(("output padding", "groups")):
        (tmp_path / str(i)).mkdir()
        graphs.append(load(model(tmp_path / str(i), rng, case, F32(0.033))))
    for graph, compiled in zip(graphs, compile_graphs(graphs), strict=True):
        t = graph.inputs[0].type
        raw = rng.integers(t.lo, t.hi + 1, (32, *t.shape))
        assert np.array_equal(compiled(raw), graph.run_raw(raw))


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "pads": ({"pads": [1, 1]}, r"has pads \(1, 1\); give 4 integers"),
    "all of it": ({"pads": [9, 9, 9, 9]}, "has pads that leave nothing; correct"),
    "output padding": ({"output_padding": [1]}, r"has output_padding \(1,\); give 2 integers"),
    "output shape": ({"output_shape": [0, 4]}, r"has output_shape \(0, 4\); give 2 positive"),
    "auto_pad": ({"auto_pad": "SAME"}, "has auto_pad 'SAME'; use one of"),
    "groups": ({"group": 3}, r"has weights of shape \(2, 3, 2, 2\) in 3 groups for a tensor \(2, 3, 4\)"),
    "strides": ({"strides": [0, 1]}, r"has strides \(0, 1\); give 2 positive"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    attributes, message = ERRORS[case]
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w s", "wd"),
        node("ConvTranspose", "d wd", "y", **attributes),
    ]
    constants = {"s": F32(0.5), "z": np.array(-3, np.int8), "w": np.ones((2, 3, 2, 2), np.int8)}
    with pytest.raises(ValueError, match=message) as error:
        load(write(tmp_path, nodes, constants, ("N", 2, 3, 4)))
    assert str(error.value).startswith("node 'n_y' (ConvTranspose)")
