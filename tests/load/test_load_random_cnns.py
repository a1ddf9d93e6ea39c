"""Random convolutional networks with branches, in QONNX against qonnx and in QDQ against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import ort_oracle
import pytest
from small_models import node, quant, write
from test_load_ops import agree, inputs
from test_load_qdq import file_codes

from fxsim.load import load

F32 = np.float32


class Network:
    """Nodes and constants of one random file, in QONNX or as QDQ; all scales are powers of two."""

    def __init__(self, seed: int, qdq: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.qdq = qdq
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Any] = {"z": F32(0)}
        self.count = 0

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def add(self, op: str, sources: str, **attributes: Any) -> str:
        out = self.name("t")
        self.nodes.append(node(op, sources, out, **attributes))
        return out

    def codes(self, source: str, signed: bool = True) -> str:
        """A quantizer of 3 to 6 bits, in QDQ an int8 one with a Clip."""
        bits, power = int(self.rng.integers(3, 7)), int(self.rng.integers(1, 4))
        scale, out = self.name("s"), self.name("q")
        self.constants[scale] = F32(2.0**-power)
        if not self.qdq:
            self.constants[f"b_{scale}"] = F32(bits)
            self.nodes.append(quant(source, out, scale, "z", f"b_{scale}", signed=int(signed)))
            return out
        kind, lo = (np.int8, -(1 << (bits - 1))) if signed else (np.uint8, 0)
        self.constants |= {
            f"z_{scale}": np.array(0, kind), f"l_{scale}": np.array(lo, kind),
            f"h_{scale}": np.array(lo + (1 << bits) - 1, kind),
        }  # fmt: skip
        q = self.add("QuantizeLinear", f"{source} {scale} z_{scale}")
        c = self.add("Clip", f"{q} l_{scale} h_{scale}")
        self.nodes.append(node("DequantizeLinear", f"{c} {scale} z_{scale}", out))
        return out

    def weights(self, *shape: int) -> str:
        name = self.name("w")
        self.constants[name] = (self.rng.integers(-40, 41, shape) / 32).astype(F32)
        return self.codes(name)

    def conv(self, x: str, channels: int, size: int) -> tuple[str, int]:
        """One convolution; (tensor, its outputs). The size of the image stays."""
        kind = self.rng.choice(["full", "depthwise", "groups", "pointwise"])
        if kind == "pointwise" or size < 3:
            return self.add("Conv", f"{x} {self.weights(4, channels, 1, 1)}"), 4
        group = {"depthwise": channels, "groups": 2}.get(str(kind), 1)
        made = channels if kind == "depthwise" else 4
        w = self.weights(made, channels // group, 3, 3)
        bias = self.codes(w_bias) if (w_bias := self.bias(made)) else ""
        return self.add("Conv", f"{x} {w} {bias}".strip(), pads=[1] * 4, group=group), made

    def bias(self, n: int) -> str:
        if self.rng.random() < 0.5:
            return ""
        name = self.name("c")
        self.constants[name] = (self.rng.integers(-40, 41, n) / 32).astype(F32)
        return name


def network(seed: int, qdq: bool) -> Network:
    """Three convolutions, at random with a residual, a concatenation and pools, and a classifier."""
    net = Network(seed, qdq)
    x, channels, size = net.codes("x"), 4, 6
    for _ in range(3):
        y, made = net.conv(x, channels, size)
        y = net.add("Relu", y)
        choice = net.rng.choice(["plain", "residual", "concat", "max", "average"])
        if choice == "residual" and made == channels:
            y = net.add("Add", f"{net.codes(y)} {x}")
        elif choice == "concat":
            y, made = net.add("Concat", f"{net.codes(y)} {x}", axis=1), made + channels
        elif choice in ("max", "average") and size == 6:
            op = {"max": "MaxPool", "average": "AveragePool"}[str(choice)]
            y, size = net.add(op, y, kernel_shape=[2, 2], strides=[2, 2]), 3
        x, channels = net.codes(y, signed=bool(net.rng.random() < 0.5)), made
    x = net.add("Flatten", x)
    net.nodes.append(node("Gemm", f"{x} {net.weights(5, channels * size * size)}", "y", transB=1))
    return net


@pytest.mark.parametrize("seed", range(12))
def test_qonnx(tmp_path: Path, seed: int) -> None:
    net = network(seed, qdq=False)
    path = write(tmp_path, net.nodes, net.constants, (1, 4, 6, 6))
    agree(path, inputs(net.rng, 30, 4, 6, 6))


@pytest.mark.parametrize("seed", range(12))
def test_qdq(tmp_path: Path, seed: int) -> None:
    net = network(seed, qdq=True)
    path = write(tmp_path, net.nodes, net.constants, (1, 4, 6, 6))
    x = inputs(net.rng, 30, 4, 6, 6)
    found, want = file_codes(load(path), x), ort_oracle.tensors(path, x)
    compared = [name for name in found if name in want]
    assert len(compared) > 10
    for name in compared:
        assert np.array_equal(found[name].astype(F32), want[name].astype(F32)), name
