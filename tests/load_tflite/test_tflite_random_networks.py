"""Random networks of many operators: every tensor's codes equal LiteRT's, whatever follows whatever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Writer, equal


class Growing:
    """A network under construction; (tensor, shape, (scale, zero)) is what has been made last."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.w, self.made = rng, Writer(), 0
        shape = (1, int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 5)))
        self.shape, self.q = shape, (np.float32(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128)))
        self.x = self.last = self.w.tensor("x", shape, *self.q)

    def scale(self, low: float, high: float, n: int | None = None) -> Any:
        return np.exp(self.rng.uniform(np.log(low), np.log(high), n)).astype(np.float32)

    def put(self, op: str, inputs: list[int], shape: tuple[int, ...], q: Any = None, **options: Any) -> None:
        q = q or (np.float32(self.q[0] * self.rng.uniform(0.5, 3)), int(self.rng.integers(-128, 128)))
        self.made += 1
        y = self.w.tensor(f"t{self.made}", shape, *q)
        self.w.op(op, inputs, [y], **options)
        self.last, self.shape, self.q = y, shape, q

    def conv(self) -> None:
        _, h, w, c = self.shape
        depthwise, stride, padding = (
            bool(self.rng.integers(2)),
            int(self.rng.integers(1, 3)),
            int(self.rng.integers(2)),
        )
        kh, kw = int(self.rng.integers(1, min(h, 3) + 1)), int(self.rng.integers(1, min(w, 3) + 1))
        made = c * int(self.rng.integers(1, 3)) if depthwise else int(self.rng.integers(1, 7))
        shape = (1, kh, kw, made) if depthwise else (made, kh, kw, c)
        sw = self.scale(0.002, 0.02, made)
        weight = self.w.constant(f"w{self.made}", self.rng.integers(-127, 128, shape, dtype=np.int8), sw, 0,
                                 3 if depthwise else 0)  # fmt: skip
        bias = self.w.constant(
            f"b{self.made}", self.rng.integers(-3000, 3000, made, dtype=np.int32), self.q[0] * sw
        )
        sizes = [-(-n // stride) if padding == 0 else (n - k) // stride + 1 for n, k in ((h, kh), (w, kw))]
        options = {"strideH": stride, "strideW": stride, "padding": padding}
        options |= {"depthMultiplier": made // c} if depthwise else {}
        self.put(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [self.last, weight, bias], (1, *sizes, made),
            kind="DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
            fusedActivationFunction=int(self.rng.integers(4)), **options,
        )  # fmt: skip

    def pool(self) -> None:
        _, h, w, c = self.shape
        k = int(self.rng.integers(1, min(h, w, 3) + 1))
        options = {"strideH": k, "strideW": k, "filterHeight": k, "filterWidth": k, "padding": 0}
        op = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        self.put(op, [self.last], (1, -(-h // k), -(-w // k), c), self.q, kind="Pool2DOptions", **options)

    def activation(self) -> None:
        op = str(self.rng.choice(["RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "QUANTIZE"]))
        q = {"TANH": (np.float32(1 / 128), 0), "LOGISTIC": (np.float32(1 / 256), -128)}.get(op)
        options = {"kind": "LeakyReluOptions", "alpha": 0.2} if op == "LEAKY_RELU" else {}
        self.put(op, [self.last], self.shape, q, **options)

    def residual(self) -> None:
        before = self.last
        self.activation()
        op = str(self.rng.choice(["ADD", "SUB", "MUL"]))
        q = (np.float32(self.q[0] * 2 + 0.02), int(self.rng.integers(-60, 60)))
        self.put(op, [before, self.last], self.shape, q, kind=f"{op.capitalize()}Options")

    def join(self) -> None:
        _, h, w, c = self.shape
        self.put(
            "CONCATENATION",
            [self.last, self.last],
            (1, h, w, 2 * c),
            self.q,
            kind="ConcatenationOptions",
            axis=3,
        )
        pads = self.w.integers(f"p{self.made}", [[0, 0], [1, 0], [0, 2], [0, 0]])
        self.put("PAD", [self.last, pads], (1, h + 1, w + 2, 2 * c), self.q, kind="PadOptions")

    def finish(self) -> Writer:
        axes = self.w.integers("axes", [1, 2])
        self.put("MEAN", [self.last, axes], (1, self.shape[3]), kind="ReducerOptions")
        weight = self.w.constant("fc", self.rng.integers(-127, 128, (5, self.shape[1]), dtype=np.int8), 0.02)
        self.put("FULLY_CONNECTED", [self.last, weight], (1, 5), kind="FullyConnectedOptions")
        self.put("SOFTMAX", [self.last], (1, 5), (np.float32(1 / 256), -128), kind="SoftmaxOptions", beta=1.0)
        self.w.ends([self.x], [self.last])
        return self.w


@pytest.mark.parametrize("seed", range(14))
def test_random_networks(rng: np.random.Generator, tmp_path: Path, seed: int) -> None:
    net = Growing(rng)
    for name in rng.choice(["conv", "conv", "pool", "activation", "residual", "join"], 6):
        getattr(net, str(name))()
    method = str(rng.choice(["auto", "dyadic", "threshold"]))
    equal(rng, net.finish().save(tmp_path / "n.tflite"), 15, method)
