"""Random Brevitas architectures, trained for a moment on the shipped digits: none of them tuned."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    Int16Bias,
)
from brevitas_models import differences, scales
from torch import nn

import fxsim
from fxsim.compare.torch import run
from fxsim.data import digits_samples


class Net(nn.Module):
    """Convolutions with batch norm, perhaps a residual and a pool, and a linear end."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)

        def pick(*choices: Any) -> Any:
            return choices[int(rng.integers(len(choices)))]

        power, channels = pick(True, False), pick(3, 4, 6)
        weight = {
            "weight_quant": pick(Int8WeightPerTensorFloat, Int8WeightPerChannelFloat),
            "weight_bit_width": pick(2, 3, 4, 6),
        } | scales(power, "weight_")
        act = {"bit_width": pick(2, 3, 4, 6), "return_quant_tensor": True} | scales(power)
        bias = pick({"bias": False}, {"bias": True}, {"bias": True, "bias_quant": Int16Bias})
        self.start = qnn.QuantIdentity(bit_width=4, return_quant_tensor=True, **scales(power))
        self.first = qnn.QuantConv2d(1, channels, 3, padding=1, **weight, **bias)
        self.norm = pick(nn.Identity, lambda: nn.BatchNorm2d(channels))()
        self.act = qnn.QuantReLU(**act)
        groups = pick(1, channels)
        self.second = qnn.QuantConv2d(channels, channels, 3, padding=1, groups=groups, **weight, **bias)
        self.branch = qnn.QuantIdentity(**act)
        self.residual = pick(True, False)
        self.joined = qnn.QuantReLU(**act)
        self.pool = pick(
            lambda: nn.MaxPool2d(2),
            lambda: qnn.TruncAvgPool2d(2, bit_width=4),
            lambda: nn.Sequential(nn.AvgPool2d(2), qnn.QuantIdentity(**act)),
        )()
        self.end = qnn.QuantLinear(
            channels * 16, 10, output_quant=Int8ActPerTensorFloat, **weight, **bias
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.first(self.start(x))))
        y = self.branch(self.second(x))
        x = self.joined(y + self.branch(x) if self.residual else y)
        return self.end(self.pool(x).flatten(1))


def trained(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    x, y = (torch.from_numpy(a[:300]) for a in digits_samples())
    module = Net(seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for rows in (*torch.arange(300).split(50), *torch.randperm(300).split(50)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
        optimizer.step()
    return module.eval()


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 50])
def test_every_quantizer(seed: int) -> None:
    """Any difference is at an accumulator on record as a near tie (seed 50 has one on the author's machine:
    75.4999967, which torch's floats make 76), and there is at most one in 200 samples."""
    module, x = trained(seed), digits_samples()[0][300:]
    graph = fxsim.load(module, example=x[:1])
    theirs = run(module, graph, x)
    assert len(theirs) >= 5
    assert len(differences(graph, x, theirs)) <= 1
