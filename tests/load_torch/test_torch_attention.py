"""A transformer block: exact but for softmax and layer normalization, which keep to their proven bounds."""

from __future__ import annotations

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8ActPerTensorFloat
from brevitas_models import ready, samples
from torch import nn

import fxsim
from fxsim.compare.torch import run


class Attention(nn.Module):
    """One head, with a layer normalization before it."""

    def __init__(self) -> None:
        super().__init__()

        def linear(outputs: int) -> nn.Module:
            return qnn.QuantLinear(8, outputs, True, weight_bit_width=4, output_quant=Int8ActPerTensorFloat)

        self.start, self.norm, self.normed = (
            qnn.QuantIdentity(bit_width=5),
            nn.LayerNorm(8),
            qnn.QuantIdentity(),
        )
        self.query, self.key, self.value, self.end = linear(8), linear(8), linear(8), linear(4)
        self.scores, self.weights, self.mixed = (qnn.QuantIdentity(bit_width=8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.normed(self.norm(self.start(x)))
        scores = self.scores(self.query(x) @ self.key(x).transpose(1, 2) / 8**0.5)
        weights = self.weights(torch.softmax(scores, -1))
        return self.end(self.mixed(weights @ self.value(x)))


def test_attention() -> None:
    module, x = ready(Attention(), 4, 8), samples(200, 4, 8)
    graph = fxsim.load(module, example=x[:1])
    own, theirs = graph.codes(x), run(module, graph, x)
    names = ["start", "normed", "query", "key", "value", "scores", "weights", "mixed", "end"]
    assert set(theirs) == set(names)
    bounds = {b.name: b.params["max_error"] for b in graph.blocks if "max_error" in b.params}
    assert len(bounds) == 2
    equal = np.ones(len(x), bool)
    for name in names:
        apart = np.abs(own[name] - theirs[name]).reshape(len(x), -1).max(axis=1)
        if name in ("normed", "weights"):
            assert apart[equal].max() <= 1  # an error below one code moves a rounding by one
        else:
            assert not apart[equal].any(), name
        equal &= apart == 0
    assert equal.sum() > 150
