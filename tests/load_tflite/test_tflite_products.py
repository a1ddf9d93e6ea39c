"""Convolutions and matrix products of random small networks against LiteRT, every code of every tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Writer, equal

ACTIVATION = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


def scales(rng: np.random.Generator, n: int | None = None) -> Any:
    return np.exp(rng.uniform(np.log(2e-3), np.log(0.1), n)).astype(np.float32)


def convolution(
    rng: np.random.Generator,
    path: Path,
    op: str,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    made: int,
    per_channel: bool = True,
    groups: int = 1,
    **options: Any,
) -> Path:
    w = Writer()
    c = shape[2]
    sx, zx = scales(rng), int(rng.integers(-128, 128))
    x = w.tensor("x", (1, *shape), sx, zx)
    depthwise = op == "DEPTHWISE_CONV_2D"
    wshape = (1, *kernel, made) if depthwise else (made, *kernel, c // groups)
    sw = scales(rng, made if per_channel else None)
    weight = w.constant("w", rng.integers(-127, 128, wshape, dtype=np.int8), sw, 0, 3 if depthwise else 0)
    fan = int(np.prod(kernel)) * (1 if depthwise else c // groups)
    sy = np.float32(sx * np.mean(sw) * 70 * 70 * np.sqrt(fan) / 60)
    y = w.tensor("y", (1, 1, 1, made), sy, int(rng.integers(-128, 128)))
    bias = w.constant("b", rng.integers(-20000, 20000, made, dtype=np.int32), sx * sw)
    kind = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    extra = {"depthMultiplier": made // c} if depthwise else {}
    given = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "padding": 0} | options
    w.op(op, [x, weight, bias], [y], kind=kind, **given, **extra)
    w.ends([x], [y])
    return w.save(path)


def layer(
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    made: int,
    strides: tuple[int, int] = (1, 1),
    **options: Any,
) -> dict[str, Any]:
    """Arguments of `convolution`."""
    named = {"shape": shape, "kernel": kernel, "made": made}
    return named | {"strideH": strides[0], "strideW": strides[1]} | options


CONVOLUTIONS: list[dict[str, Any]] = [
    layer((7, 6, 3), (3, 3), 5),
    layer((7, 6, 3), (3, 2), 4, padding=1, per_channel=False),
    layer((8, 9, 2), (3, 3), 4, (2, 3), fusedActivationFunction=1),
    layer((9, 9, 2), (3, 3), 3, dilationHFactor=2, dilationWFactor=3),
    layer((6, 6, 4), (2, 2), 6, groups=2, fusedActivationFunction=3),
    layer((5, 5, 8), (1, 1), 7, fusedActivationFunction=2),
    layer((5, 7, 1), (5, 7), 2, padding=1),
    layer((6, 5, 2), (4, 4), 3, (2, 2)),
]


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("method", ["auto", "dyadic", "threshold"])
def test_convolutions(rng: np.random.Generator, tmp_path: Path, case: dict[str, Any], method: str) -> None:
    path = convolution(rng, tmp_path / "c.tflite", "CONV_2D", **case)
    equal(rng, path, 25, method)


DEPTHWISE: list[dict[str, Any]] = [
    layer((7, 6, 3), (3, 3), 3),
    layer((7, 6, 2), (3, 2), 6, padding=1),
    layer((8, 9, 4), (3, 3), 4, (2, 2), fusedActivationFunction=3),
    layer((9, 9, 2), (3, 3), 2, dilationHFactor=2, dilationWFactor=2),
    layer((9, 9, 1), (3, 3), 8, (2, 2), fusedActivationFunction=1),
    layer((1, 12, 5), (1, 5), 5, padding=1, per_channel=False),
]


@pytest.mark.parametrize("case", DEPTHWISE)
def test_depthwise_convolutions(rng: np.random.Generator, tmp_path: Path, case: dict[str, Any]) -> None:
    path = convolution(rng, tmp_path / "d.tflite", "DEPTHWISE_CONV_2D", **case)
    equal(rng, path, 25)


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions(rng: np.random.Generator, tmp_path: Path, seed: int) -> None:
    depthwise, c = bool(rng.integers(2)), int(rng.integers(1, 5))
    case = {
        "shape": (int(rng.integers(4, 10)), int(rng.integers(4, 10)), c),
        "kernel": (int(rng.integers(1, 5)), int(rng.integers(1, 5))),
        "made": c * int(rng.integers(1, 3)) if depthwise else int(rng.integers(1, 7)),
        "strideH": (s := int(rng.integers(1, 4))), "strideW": s,
        "padding": int(rng.integers(2)), "fusedActivationFunction": int(rng.integers(4)),
        "per_channel": bool(rng.integers(2)),
    }  # fmt: skip
    path = convolution(rng, tmp_path / "r.tflite", "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", **case)
    equal(rng, path, 20)


def dense(
    rng: np.random.Generator, path: Path, shape: tuple[int, ...], out: tuple[int, ...],
    per_channel: bool = False, zero: int = 0, bias: bool = True, **options: Any,
) -> Path:  # fmt: skip
    w = Writer()
    k, made = shape[-1] if len(shape) > 1 else shape[0], out[-1]
    sx, sw = scales(rng), scales(rng, made if per_channel else None)
    x = w.tensor("x", shape, sx, int(rng.integers(-128, 128)))
    weight = w.constant("w", rng.integers(-127, 128, (made, k), dtype=np.int8), sw, zero)
    inputs = [x, weight]
    inputs.append(w.constant("b", rng.integers(-20000, 20000, made, dtype=np.int32), sx * sw) if bias else -1)
    sy = np.float32(sx * np.mean(sw) * 70 * 70 * np.sqrt(k) / 60)
    y = w.tensor("y", out, sy, int(rng.integers(-128, 128)))
    w.op("FULLY_CONNECTED", inputs, [y], kind="FullyConnectedOptions", **options)
    w.ends([x], [y])
    return w.save(path)


@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 20), "out": (1, 7)},
        {"shape": (1, 20), "out": (1, 7), "per_channel": True, "fusedActivationFunction": 1},
        {"shape": (1, 33), "out": (1, 5), "zero": 3, "fusedActivationFunction": 3},
        {"shape": (1, 12), "out": (1, 5), "bias": False, "fusedActivationFunction": 2},
        {"shape": (1, 3, 8), "out": (1, 3, 5), "keepNumDims": True},
        {"shape": (1, 3, 8), "out": (3, 5)},
        {"shape": (1, 1), "out": (1, 9)},
    ],
)
@pytest.mark.parametrize("method", ["auto", "threshold"])
def test_fully_connected(rng: np.random.Generator, tmp_path: Path, case: dict[str, Any], method: str) -> None:
    equal(rng, dense(rng, tmp_path / "f.tflite", **case), 200, method)


def test_scales_whose_products_are_ties(rng: np.random.Generator, tmp_path: Path) -> None:
    # Factors of 1/2, 1/4 ...: every other accumulator is a tie, on both sides of zero.
    for exponent in range(1, 9):
        w = Writer()
        x = w.tensor("x", (1, 5), 0.5, 3)
        weight = w.constant("w", rng.integers(-3, 4, (4, 5), dtype=np.int8), 0.5)
        bias = w.constant("b", np.arange(4, dtype=np.int32), 0.25)
        y = w.tensor("y", (1, 4), 0.25 * 2**exponent, -2)
        w.op("FULLY_CONNECTED", [x, weight, bias], [y], kind="FullyConnectedOptions")
        w.ends([x], [y])
        equal(rng, w.save(tmp_path / "t.tflite"), 300)


def test_ties_of_a_convolution(rng: np.random.Generator, tmp_path: Path) -> None:
    for exponent in range(-2, 9):
        w = Writer()
        x = w.tensor("x", (1, 3, 3, 2), 0.5, 3)
        weight = w.constant("w", rng.integers(-3, 4, (4, 2, 2, 2), dtype=np.int8), 0.5)
        bias = w.constant("b", np.arange(4, dtype=np.int32), 0.25)
        y = w.tensor("y", (1, 2, 2, 4), 0.25 * 2.0**exponent, -2)
        w.op("CONV_2D", [x, weight, bias], [y], kind="Conv2DOptions", strideH=1, strideW=1, padding=1)
        w.ends([x], [y])
        equal(rng, w.save(tmp_path / "t.tflite"), 200)


def test_four_bit_weights(rng: np.random.Generator, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    w = Writer()
    codes = rng.integers(-8, 8, (5, 7), dtype=np.int8)
    x, y = w.tensor("x", (1, 7), 0.1, 4), w.tensor("y", (1, 5), 0.4, -3)
    flat = np.append(codes.ravel(), 0) & 15  # two codes a byte, the first in the low half
    weight = w.constant("w", (flat[::2] | flat[1::2] << 4).astype(np.int8), 0.3)
    w.graph.tensors[weight].shape = np.array((5, 7), np.int32)
    w.graph.tensors[weight].type = schema.TensorType.INT4
    w.op("FULLY_CONNECTED", [x, weight], [y], kind="FullyConnectedOptions")
    w.ends([x], [y])
    equal(rng, w.save(tmp_path / "i4.tflite"), 100)


def test_a_stack_of_layers(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", (1, 8, 8, 3), 0.02, -10, signature=(-1, 8, 8, 3))
    last, channels, size = x, 3, 8
    for i in range(3):
        made = 4 + 2 * i
        sw = scales(rng, made)
        weight = w.constant(f"w{i}", rng.integers(-127, 128, (made, 3, 3, channels), dtype=np.int8), sw)
        bias = w.constant(f"b{i}", rng.integers(-5000, 5000, made, dtype=np.int32))
        size = -(-size // (1 + (i == 1)))
        y = w.tensor(f"y{i}", (1, size, size, made), 0.05 * (i + 1), -128 + i)
        steps = {"strideH": 1 + (i == 1), "strideW": 1 + (i == 1)}
        w.op("CONV_2D", [last, weight, bias], [y], kind="Conv2DOptions", fusedActivationFunction=1, **steps)
        last, channels = y, made
    w.ends([x], [last])
    equal(rng, w.save(tmp_path / "s.tflite"), 30)


@pytest.mark.parametrize(
    ("space", "kernel", "steps", "padding", "out"),
    [
        ((3, 4), (3, 3), (2, 2), 0, (6, 8)),
        ((3, 4), (3, 2), (2, 3), 1, (7, 11)),
        ((4, 3), (2, 2), (2, 2), 1, (8, 6)),
        ((3, 3), (2, 2), (3, 3), 0, (9, 9)),
        ((5, 4), (4, 4), (1, 1), 0, (5, 4)),
        ((3, 4), (1, 1), (2, 2), 0, (5, 7)),
    ],
)
def test_transposed_convolutions(
    rng: np.random.Generator, tmp_path: Path, space: Any, kernel: Any, steps: Any, padding: int, out: Any
) -> None:
    for biased in (False, True):
        w = Writer()
        x = w.tensor("x", (1, *space, 3), 0.05, int(rng.integers(-128, 128)))
        sw = scales(rng, 4)
        weight = w.constant("w", rng.integers(-127, 128, (4, *kernel, 3), dtype=np.int8), sw)
        y = w.tensor("y", (1, *out, 4), np.float32(np.mean(sw) * 2), 3)
        inputs = [w.integers("shape", [1, *out, 4]), weight, x]
        if biased:
            inputs.append(w.constant("b", rng.integers(-9000, 9000, 4, dtype=np.int32), 0.05 * sw))
        w.op("TRANSPOSE_CONV", inputs, [y], kind="TransposeConvOptions", padding=padding,
             strideH=steps[0], strideW=steps[1])  # fmt: skip
        if biased:
            w.model.operatorCodes[0].version = 3
        w.ends([x], [y])
        equal(rng, w.save(tmp_path / "t.tflite"), 20)


def test_an_output_shape_that_is_computed(rng: np.random.Generator, tmp_path: Path) -> None:
    """As Keras' Conv2DTranspose is converted with an open batch."""
    w = Writer()
    x = w.tensor("x", (1, 3, 4, 2), 0.05, 3, signature=(-1, 3, 4, 2))
    shape = w.tensor("shape", (4,), dtype=np.int32)
    w.op("SHAPE", [x], [shape], kind="ShapeOptions", outType=2)
    parts = []
    for i in range(3):
        part = w.tensor(f"n{i}", (), dtype=np.int32)
        ends = [w.integers(f"n{i}_{j}", [v]) for j, v in enumerate((i, i + 1, 1))]
        w.op("STRIDED_SLICE", [shape, *ends], [part], kind="StridedSliceOptions", shrinkAxisMask=1)
        if i:
            twice = w.tensor(f"m{i}", (), dtype=np.int32)
            w.op("MUL", [part, w.integers(f"two{i}", 2)], [twice], kind="MulOptions")
            part = twice
        parts.append(part)
    target = w.tensor("target", (4,), dtype=np.int32)
    w.op("PACK", [*parts, w.integers("four", 4)], [target], kind="PackOptions", valuesCount=4)
    weight = w.constant("w", rng.integers(-127, 128, (4, 3, 3, 2), dtype=np.int8), scales(rng, 4))
    y = w.tensor("y", (1, 6, 8, 4), 0.1, 3)
    options = {"kind": "TransposeConvOptions", "strideH": 2, "strideW": 2}
    w.op("TRANSPOSE_CONV", [target, weight, x], [y], **options)
    w.ends([x], [y])
    graph = equal(rng, w.save(tmp_path / "t.tflite"), 10)
    assert graph.outputs[0].type.shape == (6, 8, 4)
