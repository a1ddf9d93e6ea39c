"""Small Brevitas networks, calibrated on random data with a fixed seed, and the comparison with torch."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from torch import nn

import fxsim
from fxsim.compare.check import near_tie
from fxsim.compare.torch import run
from fxsim.emulate import evaluate
from fxsim.graph import Graph


def scales(power: bool, prefix: str = "") -> dict[str, Any]:
    """Arguments of a layer that restrict its scales to powers of two."""
    return {f"{prefix}restrict_scaling_type": RestrictValueType.POWER_OF_TWO} if power else {}


def ready(module: nn.Module, *shape: int, seed: int = 0, steps: int = 4) -> nn.Module:
    """The module with random weights, batch norm statistics and scales of random data, in evaluation mode."""
    torch.manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
            with torch.no_grad():
                m.weight[0] *= -1
    module.train()
    with torch.no_grad():
        for _ in range(steps):
            module(torch.randn(16, *shape))
    return module.eval()


def samples(n: int, *shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def agree(module: nn.Module, x: np.ndarray, at_least: int = 1, **options: Any) -> Graph:
    """Load with one sample as example; every quantizer's codes must be torch's on all of x. The graph."""
    graph = fxsim.load(module, example=x[:1], **options)
    theirs = run(module, graph, x)
    assert len(theirs) >= at_least, sorted(graph.names)
    assert differences(graph, x, theirs) == []
    return graph


def differences(graph: Graph, x: np.ndarray, theirs: dict[str, np.ndarray]) -> list[tuple[str, int]]:
    """(quantizer, accumulator) where codes differ from torch's in samples that were equal before."""
    own, found, equal = graph.codes(x), [], np.ones(len(x), bool)
    values = evaluate(graph, [graph.encoders[0].encode(x, "x")])
    for name in sorted(theirs, key=lambda k: graph.index[graph.names[k].value]):
        assert theirs[name].shape == own[name].shape, name
        wrong = theirs[name] != own[name]
        block = next((b for b in graph.blocks if graph.names[name].value in b.outputs), None)
        for at in np.argwhere(wrong & equal.reshape(-1, *[1] * (wrong.ndim - 1))):
            assert block is not None and block.kind == "rescale", name
            accumulator = int(values[block.inputs[0]][tuple(at)])
            assert near_tie(block, accumulator, tuple(at[1:])), (name, at, accumulator)
            found.append((name, accumulator))
        equal &= ~wrong.reshape(len(x), -1).any(axis=1)
    return found


def mlp(bits: int, power: bool, norm: bool = True, per_channel: bool = False, **weight: Any) -> nn.Module:
    """16-12-8-5, input, hidden activations and weights of `bits`."""
    quant = Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat
    settings = (
        {"weight_bit_width": bits, "weight_quant": quant, "bias": True} | scales(power, "weight_") | weight
    )
    layers: list[nn.Module] = [qnn.QuantIdentity(bit_width=max(bits, 2), **scales(power))]
    for a, b in ((16, 12), (12, 8)):
        layers.append(qnn.QuantLinear(a, b, **settings))
        layers += [nn.BatchNorm1d(b)] if norm else []
        layers.append(qnn.QuantReLU(bit_width=bits, **scales(power)))
    layers.append(qnn.QuantLinear(8, 5, output_quant=Int8ActPerTensorFloat, **settings))
    return nn.Sequential(*layers)


class Cnn(nn.Module):
    """Padding, stride, groups, depthwise, dilation, pooling and a linear end."""

    def __init__(self, power: bool, per_channel: bool) -> None:
        super().__init__()
        quant = Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat
        w = {"weight_bit_width": 4, "weight_quant": quant} | scales(power, "weight_")
        a = {"bit_width": 4} | scales(power)
        self.quant = qnn.QuantIdentity(bit_width=5, return_quant_tensor=True, **scales(power))
        self.features = nn.Sequential(
            qnn.QuantConv2d(2, 8, 3, padding=1, bias=False, **w),
            nn.BatchNorm2d(8),
            qnn.QuantReLU(**a),
            qnn.QuantConv2d(8, 8, 3, padding=1, groups=8, stride=2, bias=True, **w),
            qnn.QuantReLU(**a),
            qnn.QuantConv2d(8, 12, 3, padding=2, dilation=2, groups=4, bias=True, **w),
            nn.MaxPool2d(2),
            qnn.QuantReLU(**a),
        )
        self.head = qnn.QuantLinear(12 * 4, 5, bias=True, output_quant=Int8ActPerTensorFloat, **w)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(self.quant(x)).flatten(1))


class Residual(nn.Module):
    """Two branches, quantized by one quantizer or by one each, whose scales then differ."""

    def __init__(self, shared: bool, power: bool) -> None:
        super().__init__()
        a = {"bit_width": 4, "return_quant_tensor": shared} | scales(power)
        w = {"weight_bit_width": 4, "bias": False} | scales(power, "weight_")
        self.start = qnn.QuantIdentity(bit_width=5, **scales(power))
        self.conv = qnn.QuantConv2d(2, 4, 3, padding=1, **w)
        self.left = qnn.QuantIdentity(**a)
        self.right = self.left if shared else qnn.QuantIdentity(**a)
        self.inner = qnn.QuantConv2d(4, 4, 3, padding=1, **w)
        self.end = qnn.QuantReLU(bit_width=6, **scales(power))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.left(self.conv(self.start(x)))
        return self.end(y + self.right(self.inner(y)))
