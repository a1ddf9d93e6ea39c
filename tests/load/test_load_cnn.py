"""Trained convolutional networks: every quantizer's stored codes, batches through files of batch 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import qonnx_oracle
from small_models import node, quant, write
from trained import CNNS, file, stored

import rtl
from fxsim import UQ, Graph
from fxsim.load import load


@pytest.mark.parametrize("name", CNNS)
def test_stored_codes(name: str) -> None:
    x, codes, out = stored(name)
    graph = load(file(name))
    found = graph.codes(x)
    assert len(codes) == 3
    for key, want in codes.items():
        assert np.array_equal(found[key], want), key
    assert np.array_equal(graph.run(x), out.astype(np.float64))
    assert np.array_equal(graph.run(x[:1]), graph.run(x)[:1])


def test_every_tensor_of_live_qonnx() -> None:
    name = "digits_cnn_w4a4_pow2"
    x, _, _ = stored(name)
    path = file(name)
    graph, want = load(path), qonnx_oracle.tensors(path, x)
    codes = graph.codes(x)
    compared = 0
    for key, entry in graph.names.items():
        if entry.value is not None:
            real = entry.affine.apply(codes[key], entry.value.type.frac, entry.value.type.ndim)
            assert np.array_equal(real.astype(np.float32), want[key]), key
            compared += 1
    assert compared == 10


def test_input_format_builds_the_quantizer_into_the_graph() -> None:
    name = "digits_cnn_w4a4_pow2"
    x, codes, out = stored(name)
    graph = load(file(name), input=UQ(1, 4))
    assert np.array_equal(graph.run(x), out.astype(np.float64))
    assert all(np.array_equal(graph.codes(x)[k], v) for k, v in codes.items())


def blocks(graph: Graph) -> list[str]:
    return [b.kind for b in graph.blocks]


def test_blocks_of_the_graph() -> None:
    graph = load(file("digits_cnn_w4a4_pow2"))
    assert blocks(graph) == [
        "conv2d", "relu", "quantize", "conv2d", "relu", "quantize", "max_pool", "flatten", "dense",
    ]  # fmt: skip
    conv = graph.blocks[0].params
    assert conv["weight"].shape == (3, 3, 1, 8)
    assert (conv["stride"], conv["before"], conv["groups"]) == ((1, 1), (0, 0), 1)
    assert graph.inputs[0].type.shape == (1, 8, 8)


def test_saved_graph_loads_again(tmp_path: Path) -> None:
    x, _, out = stored("digits_cnn_w4a4_pow2")
    graph = load(file("digits_cnn_w4a4_pow2"))
    graph.save(tmp_path / "g.fxs")
    again = load(tmp_path / "g.fxs")
    assert again == graph
    assert np.array_equal(again.run(x), out.astype(np.float64))


def test_a_small_network_in_hardware(tmp_path: Path, rng: np.random.Generator) -> None:
    """Padded convolution, pooling, a second convolution over groups: Verilog gives the same numbers."""
    f32 = np.float32
    nodes = [
        quant("x", "a"),
        quant("w1", "v1"),
        node("Conv", "a v1", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        quant("r", "q", "s", "z", "b", signed=0),
        node("MaxPool", "q", "p", kernel_shape=[2, 2], strides=[2, 2]),
        quant("w2", "v2"),
        node("Conv", "p v2", "y", group=2),
    ]
    constants = {
        "s": f32(0.25), "z": f32(0), "b": f32(3),
        "w1": rng.normal(size=(2, 1, 3, 3)).astype(f32), "w2": rng.normal(size=(2, 1, 2, 2)).astype(f32),
    }  # fmt: skip
    graph = load(write(tmp_path, nodes, constants, shape=(1, 1, 4, 4)))
    x = (rng.integers(-16, 17, (20, 1, 4, 4)) / 16).astype(f32)
    assert rtl.verify(graph, x, simulator="amaranth").mismatches == 0
