"""Random QDQ networks of many ops: every quantizer's codes against onnxruntime, the last ones through g++."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from near import agree
from small_models import node, write

from fxsim.load import load
from hls import compile_graphs

F32 = np.float32
SIZE = 4
SEEDS = 6


class Mixed:
    """One random file over images (channels, 4, 4); each step ends in a quantizer of int8 codes."""

    def __init__(self, seed: int, dyadic: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.dyadic = dyadic
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Any] = {}
        self.count = 0

    def name(self, prefix: str = "t") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def constant(self, value: Any) -> str:
        name = self.name("k")
        self.constants[name] = value
        return name

    def add(self, op: str, inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(node(op, inputs, " ".join(names), **attributes))
        return names[0] if outputs == 1 else names

    def scale(self, power: int) -> str:
        wobble = 1.0 if self.dyadic else self.rng.uniform(0.7, 1.3)
        return self.constant(F32(2.0**-power * wobble))

    def codes(self, x: str, power: int = 4) -> str:
        scale, zero = self.scale(power), self.constant(np.array(int(self.rng.integers(-20, 20)), np.int8))
        q = self.add("QuantizeLinear", f"{x} {scale} {zero}")
        return str(self.add("DequantizeLinear", f"{q} {scale} {zero}"))

    def weights(self, *shape: int) -> str:
        w = self.constant(self.rng.integers(-20, 21, shape).astype(np.int8))
        return str(self.add("DequantizeLinear", f"{w} {self.scale(5)}"))


def conv(net: Mixed, x: str) -> str:
    return net.add("Conv", f"{x} {net.weights(4, 4, 3, 3)}", pads=[1] * 4)


def transposed(net: Mixed, x: str) -> str:
    return net.add(
        "ConvTranspose", f"{x} {net.weights(4, 2, 2, 2)}", strides=[2, 2], group=2, pads=[2, 2, 2, 2]
    )


def resized(net: Mixed, x: str) -> str:
    k = net.constant(np.array([1, 1, 2, 2], F32))
    y = net.add("Resize", f"{x} {net.constant(np.array([], F32))} {k}", mode="nearest")
    return net.add("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0])


def blocks(net: Mixed, x: str) -> str:
    y = net.add("DepthToSpace", x, blocksize=2, mode=str(net.rng.choice(["DCR", "CRD"])))
    return net.add("SpaceToDepth", net.codes(y), blocksize=2)


def halves(net: Mixed, x: str) -> str:
    a, b = net.add("Split", x, 2, axis=1, num_outputs=2)
    return net.add("Concat", f"{net.codes(b)} {net.add('LeakyRelu', a, alpha=0.125)}", axis=1)


def mirrored(net: Mixed, x: str) -> str:
    ends = [net.constant(np.array([v])) for v in (-1, -99, int(net.rng.integers(2, 4)), -1)]
    y = net.add("Slice", f"{x} {' '.join(ends)}")
    return net.add("Max", f"{x} {y}")


def gate(net: Mixed, x: str) -> str:
    mean = net.codes(net.add("GlobalAveragePool", x))
    return net.add("Mul", f"{x} {net.codes(net.add('HardSigmoid', mean, alpha=0.25), 6)}")


def residual(net: Mixed, x: str) -> str:
    return net.add("Add", f"{x} {net.codes(net.add('Relu', conv(net, x)))}")


def spread(net: Mixed, x: str) -> str:
    least = net.add("ReduceMin", f"{x} {net.constant(np.array([2, 3]))}", keepdims=1)
    return net.add("Sub", f"{x} {least}")


def silu(net: Mixed, x: str) -> str:
    return net.add("Mul", f"{x} {net.add('Sigmoid', x)}")


def swish(net: Mixed, x: str) -> str:
    return net.add("HardSwish", x)


def bent(net: Mixed, x: str) -> str:
    slope = net.constant(np.array([0.25, 0.5, -0.125, 2], F32).reshape(4, 1, 1))
    return net.add(
        "PRelu", f"{net.add('BatchNormalization', f'{conv(net, x)} {norm(net)}', epsilon=0.0)} {slope}"
    )


def norm(net: Mixed) -> str:
    rows = [net.rng.choice([0.5, -1, 2, 1], 4), net.rng.integers(-8, 8, 4) / 8, np.zeros(4), np.full(4, 4.0)]
    return " ".join(net.constant(np.asarray(row, F32)) for row in rows)


def tanh_of_sums(net: Mixed, x: str) -> str:
    return net.add("Tanh", conv(net, x))


STEPS: tuple[Callable[[Mixed, str], str], ...] = (
    conv,
    transposed,
    resized,
    blocks,
    halves,
    mirrored,
    gate,
    residual,
    spread,
    silu,
    swish,
    bent,
    tanh_of_sums,
)


def network(folder: Path, seed: int, dyadic: bool) -> Path:
    net = Mixed(seed, dyadic)
    x = net.codes("x", 3)
    for step in net.rng.choice(len(STEPS), 5, replace=False):
        x = net.codes(STEPS[step](net, x), int(net.rng.integers(3, 6)))
    x = net.add("Flatten", x)
    x = net.codes(net.add("Gemm", f"{x} {net.weights(3, 4 * SIZE * SIZE)}", transB=1), 1)
    net.nodes.append(node("ArgMax", x, "y", axis=1))
    return write(folder, net.nodes, net.constants, (1, 4, SIZE, SIZE), opset=18)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("dyadic", [True, False], ids=["powers of two", "real scales"])
def test_codes(tmp_path: Path, seed: int, dyadic: bool) -> None:
    """All scales powers of two: float32 differs only at the irrational functions. Real ones: at near ties."""
    path = network(tmp_path, seed, dyadic)
    x = (np.random.default_rng(seed).integers(-32, 33, (25, 4, SIZE, SIZE)) / 16).astype(F32)
    agree(path, x, share=0.9 if dyadic else 0.6)


def test_every_step_is_drawn() -> None:
    drawn = {int(s) for seed in range(SEEDS) for s in _steps(seed)}
    assert drawn == set(range(len(STEPS)))


def _steps(seed: int) -> np.ndarray:
    net = Mixed(seed, True)
    net.codes("x", 3)
    return net.rng.choice(len(STEPS), 5, replace=False)


def test_generated_code(tmp_path: Path) -> None:
    graphs = []
    for seed in (3,):
        (tmp_path / str(seed)).mkdir()
        graphs.append(load(network(tmp_path / str(seed), seed, False)))
    for graph, compiled in zip(graphs, compile_graphs(graphs), strict=True):
        t = graph.inputs[0].type
        raw = np.random.default_rng(0).integers(t.lo, t.hi + 1, (16, *t.shape))
        assert np.array_equal(compiled(raw), graph.run_raw(raw))
