"""Convolution, pooling, joins and pads of small files: all codes and reals against live qonnx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qonnx_oracle
from small_models import node, quant, write
from test_load_ops import agree, inputs

from fxsim import Format, Overflow, Rounding
from fxsim.load import load

F32 = np.float32
BASE = {"s": F32(0.25), "z": F32(0), "b": F32(4), "s2": F32(0.5), "s3": F32(0.37), "z3": F32(3)}

CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((3, 5, 6), (4, 3, 3, 2), {}),
    "1d": ((2, 9), (3, 2, 3), {"strides": [2], "pads": [1, 2]}),
    "3d": ((2, 3, 4, 3), (2, 2, 2, 2, 2), {"pads": [0, 1, 0, 1, 0, 1]}),
    "strides and pads": ((2, 7, 6), (3, 2, 3, 3), {"strides": [2, 3], "pads": [1, 0, 2, 1]}),
    "dilations": ((2, 8, 8), (3, 2, 3, 2), {"dilations": [2, 3], "pads": [2, 1, 0, 1]}),
    "groups": ((6, 4, 4), (4, 3, 2, 2), {"group": 2}),
    "depthwise": ((4, 5, 5), (4, 1, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    "depthwise, two outputs a channel": ((3, 5, 5), (6, 1, 3, 3), {"group": 3}),
    "pointwise": ((5, 3, 3), (2, 5, 1, 1), {"kernel_shape": [1, 1]}),
    "same upper": ((2, 7, 8), (3, 2, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((2, 7, 8), (3, 2, 4, 2), {"auto_pad": "SAME_LOWER"}),
    "valid": ((2, 7, 8), (3, 2, 3, 3), {"auto_pad": "VALID"}),
}


@pytest.mark.parametrize("case", CONVS)
def test_convolutions(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    """Power-of-two weight scales per output, a quantized bias."""
    shape, kernel, attributes = CONVS[case]
    rank = len(kernel)
    constants = BASE | {
        "w": rng.normal(size=kernel).astype(F32),
        "ws": (F32(2) ** -rng.integers(1, 4, (kernel[0],) + (1,) * (rank - 1))).astype(F32),
        "c": rng.normal(size=kernel[0]).astype(F32),
        "cs": F32(2**-5),
    }
    nodes = [
        quant("x", "a"),
        quant("w", "wq", "ws"),
        quant("c", "cq", "cs"),
        node("Conv", "a wq cq", "m", **attributes),
        node("Relu", "m", "r"),
        quant("r", "y", "s2", signed=0),
    ]
    agree(write(tmp_path, nodes, constants, (1, *shape)), inputs(rng, 40, *shape))


@pytest.mark.parametrize("rescale", ["dyadic", "threshold"])
def test_float_scales_batch_norm_and_a_residual(tmp_path, rng, rescale) -> None:
    """Scales per output that are no powers of two, slopes of both signs, a branch of another scale."""
    nodes = [
        quant("x", "a", "s3"),
        quant("w", "wq", "ws"),
        node("Conv", "a wq c", "m", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "m gamma beta mean var", "n"),
        quant("n", "q", "s"),
        node("Add", "q a", "t"),
        node("Relu", "t", "r"),
        quant("r", "y", "s3", signed=0),
    ]
    constants = BASE | {
        "w": rng.normal(size=(3, 3, 3, 3)).astype(F32),
        "ws": rng.uniform(0.1, 0.3, (3, 1, 1, 1)).astype(F32),
        "c": rng.normal(size=3).astype(F32),
        "gamma": np.array([0.5, -0.4, 0.3], F32),
        "beta": rng.normal(size=3).astype(F32),
        "mean": rng.normal(size=3).astype(F32),
        "var": rng.uniform(0.5, 4, 3).astype(F32),
    }
    path = write(tmp_path, nodes, constants, (1, 3, 4, 4))
    agree(path, inputs(rng, 60, 3, 4, 4), exact_outputs=False, rescale=rescale)


@pytest.mark.parametrize("zero", [F32(3), np.array([1, -2], F32).reshape(1, 2, 1, 1)])
def test_zero_points_are_the_padding(tmp_path, rng, zero) -> None:
    """Real 0 is the code of the zero point, which may differ between channels."""
    nodes = [
        quant("x", "a", "s", "zz"),
        quant("w", "wq", "s"),
        node("Conv", "a wq", "y", pads=[1, 1, 1, 1]),
    ]
    constants = BASE | {"zz": zero, "w": rng.normal(size=(3, 2, 3, 3)).astype(F32)}
    agree(write(tmp_path, nodes, constants, (1, 2, 4, 4)), inputs(rng, 50, 2, 4, 4))


def test_depthwise_takes_a_scale_for_each_channel(tmp_path, rng) -> None:
    nodes = [quant("x", "a", "per"), quant("w", "wq", "s"), node("Conv", "a wq", "y", group=2)]
    constants = BASE | {
        "per": np.array([0.25, 0.75], F32).reshape(1, 2, 1, 1),
        "w": rng.normal(size=(2, 1, 2, 2)).astype(F32),
    }
    agree(write(tmp_path, nodes, constants, (1, 2, 4, 4)), inputs(rng, 50, 2, 4, 4))


POOLS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "max": ("MaxPool", (2, 6, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "max 1d": ("MaxPool", (2, 7), {"kernel_shape": [3]}),
    "max padded": ("MaxPool", (2, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "max dilated": ("MaxPool", (2, 7, 7), {"kernel_shape": [2, 3], "dilations": [2, 2]}),
    "max up": ("MaxPool", (2, 6, 7), {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    "max up and padded": (
        "MaxPool", (2, 5, 4),
        {"kernel_shape": [2, 2], "strides": [3, 2], "ceil_mode": 1, "pads": [0, 1, 1, 1]},
    ),
    "max same": ("MaxPool", (2, 5, 5), {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "global max": ("GlobalMaxPool", (3, 4, 4), {}),
    "average of four": ("AveragePool", (2, 6, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "average of padding too": (
        "AveragePool", (2, 4, 4), {"kernel_shape": [2, 4], "pads": [1, 1, 0, 2], "count_include_pad": 1},
    ),
    "average up": ("AveragePool", (2, 5, 4), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "global average": ("GlobalAveragePool", (3, 4, 4), {}),
    "mean": ("ReduceMean", (3, 4, 2), {"axes": [2, -1], "keepdims": 0}),
}  # fmt: skip


@pytest.mark.parametrize("zero", ["z", "z3"])
@pytest.mark.parametrize("case", POOLS)
def test_pools(tmp_path, rng, case, zero) -> None:
    """Exact reals: windows of powers of two, or maxima."""
    op, shape, attributes = POOLS[case]
    nodes = [quant("x", "a", "s", zero), node(op, "a", "p", **attributes), quant("p", "y", "s2")]
    agree(write(tmp_path, nodes, BASE, (1, *shape), opset=13), inputs(rng, 60, *shape))


@pytest.mark.parametrize("scale", ["s", "s3"])
@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("AveragePool", {"kernel_shape": [3, 3]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [2, 3], "pads": [0, 1, 1, 0], "count_include_pad": 1}),
        ("GlobalAveragePool", {}),
        ("ReduceMean", {"axes": [-1]}),
    ],
)
def test_averages_of_other_sizes(tmp_path, rng, op, attributes, scale) -> None:
    """1 / 9 is no float: the codes equal qonnx's, or the record lists the accumulator as a near tie."""
    nodes = [quant("x", "a", scale), node(op, "a", "p", **attributes), quant("p", "y", "s2", bits="b")]
    path = write(tmp_path, nodes, BASE, (1, 2, 5, 5), opset=13)
    agree_or_near(path, inputs(rng, 100, 2, 5, 5))


def agree_or_near(path: Path, x: np.ndarray) -> None:
    """Codes of y equal qonnx's but for the accumulators that the record lists."""
    graph = load(path)
    found, want = graph.codes(x), qonnx_oracle.integer_codes(path, qonnx_oracle.tensors(path, x))["y"]
    block = next(b for b in graph.blocks if b.kind == "rescale")
    rows = block.params["near_ties"].array.tolist()
    source = graph.exposing("p").run_raw(graph.encoders[0].encode(x, "x"))[1]
    for where in map(tuple, np.argwhere(found["y"] != want)):
        assert any(c == where[1] and a <= source[where] <= b for c, _, a, b in rows), where
    assert np.mean(found["y"] == want) > 0.95


def test_max_pool_of_falling_channels_and_clamps(tmp_path, rng) -> None:
    """Behind batch norm of both signs and a ReLU, without a quantizer between."""
    nodes = [
        quant("x", "a"),
        node("BatchNormalization", "a gamma beta mean var", "n", epsilon=0.0),
        node("Relu", "n", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
        quant("p", "y", "s2"),
    ]
    constants = BASE | {
        "gamma": np.array([0.5, -1.5, 0.75], F32),
        "beta": np.array([0.25, 0.5, -0.5], F32),
        "mean": np.array([0.5, 0.25, 0], F32),
        "var": np.array([1, 4, 0.25], F32),
    }
    path = write(tmp_path, nodes, constants, (1, 3, 4, 4))
    agree(path, inputs(rng, 60, 3, 4, 4), exact_outputs=False)


def test_sums_of_unequal_scales_are_exact(tmp_path, rng) -> None:
    """Powers of two, whole multiples, float32 scales, and a scale per channel against one per tensor."""
    per = np.array([0.25, 0.75, 0.125], F32).reshape(1, 3, 1, 1)
    for op in ("Add", "Sub"):
        for name, other in (("pow2", F32(0.125)), ("whole", F32(0.75)), ("channels", per)):
            nodes = [quant("x", "a"), quant("a", "c", "o", "z3"), node(op, "a c", "d"), quant("d", "y", "s2")]
            path = write(tmp_path, nodes, BASE | {"o": other}, (1, 3, 2, 2), name=f"{name}.onnx")
            agree(path, inputs(rng, 60, 3, 2, 2))
    nodes = [quant("x", "a"), quant("a", "c", "s3"), node("Add", "c a", "d"), quant("d", "y", "s2")]
    agree(write(tmp_path, nodes, BASE, (1, 3, 2, 2)), inputs(rng, 60, 3, 2, 2), exact_outputs=False)


def test_branches_of_lower_rank_broadcast(tmp_path, rng) -> None:
    nodes = [
        quant("x", "a"),
        quant("a", "c", "per"),
        node("GlobalAveragePool", "c", "g"),
        node("Add", "g a", "y"),
    ]
    per = np.array([0.25, 0.75, 0.125], F32).reshape(1, 3, 1, 1)
    path = write(tmp_path, nodes, BASE | {"per": per}, (1, 3, 2, 2))
    agree(path, inputs(rng, 40, 3, 2, 2))


def test_concat_and_pad(tmp_path, rng) -> None:
    """Scales and zero points may differ between joined tensors; padding is a code of the result."""
    nodes = [
        quant("x", "a"),
        quant("a", "c", "s2", "z3"),
        node("Concat", "a c a", "d", axis=1),
        node("Pad", "d pads", "e"),
        quant("w", "wq"),
        node("MaxPool", "e", "f", kernel_shape=[2, 2]),
        node("Pad", "f pads half", "g"),
        node("Pad", "g edges", "h", mode="edge"),
        node("Pad", "h edges", "i", mode="reflect"),
        node("Concat", "i i", "y", axis=-1),
    ]
    constants = BASE | {
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]),
        "edges": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
        "half": F32(0.5),
        "w": rng.normal(size=(2, 6, 2, 2)).astype(F32),
    }
    path = write(tmp_path, nodes, constants, (1, 2, 3, 3))
    codes = agree(path, inputs(rng, 40, 2, 3, 3))
    assert codes["y"].shape == (40, 6, 6, 24)


def test_shape_chains_of_a_file_of_batch_one(tmp_path, rng) -> None:
    """What exporters write for view(x.size(0), -1): it runs on any batch."""
    nodes = [
        quant("x", "a"),
        node("Shape", "a", "sh"),
        node("Gather", "sh zero", "n"),
        node("Unsqueeze", "n axis0", "n1"),
        node("Constant", "", "minus", value_ints=[-1]),
        node("Concat", "n1 minus", "target", axis=0),
        node("Reshape", "a target", "f"),
        node("Identity", "f", "g"),
        quant("w", "wq"),
        node("MatMul", "g wq", "y"),
    ]
    constants = BASE | {"zero": np.array(0), "axis0": np.array([0]), "w": inputs(rng, 12, 3)}
    path = write(tmp_path, nodes, constants, (1, 3, 2, 2))
    x = inputs(rng, 30, 3, 2, 2)
    want = np.concatenate([qonnx_oracle.tensors(path, v[None])["y"] for v in x])
    assert np.array_equal(load(path).run(x).astype(F32), want)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_means_before_the_axis_of_the_scales(tmp_path, rng, keepdims) -> None:
    nodes = [quant("x", "a", "per"), node("ReduceMean", "a", "y", axes=[1], keepdims=keepdims)]
    path = write(tmp_path, nodes, BASE | {"per": np.array([0.25, 0.75, 0.125], F32)}, (1, 2, 3), opset=13)
    agree(path, inputs(rng, 40, 2, 3))


def test_a_narrow_range_is_one_cast(tmp_path) -> None:
    nodes = [quant("x", "a"), quant("a", "y", "s2", narrow=1)]
    (block,) = load(write(tmp_path, nodes, BASE)).blocks
    assert block.params == {"format": Format(4, 3, True, Rounding.RND_CONV, Overflow.SAT_SYM)}
    assert block.stop - block.start == 1
