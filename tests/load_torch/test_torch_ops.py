"""Each aten op between two quantizers: codes equal to torch's on random samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fxsim
from fxsim.compare.torch import run

f = nn.functional
Op = Callable[[torch.Tensor], Any]


def fake(x: torch.Tensor, scale: float = 0.125, high: int = 127) -> torch.Tensor:
    return torch.fake_quantize_per_tensor_affine(x, scale, 0, -high - 1, high)


class Many(nn.Module):
    """fake(op(fake(x))) for each op."""

    def __init__(self, ops: list[Op]) -> None:
        super().__init__()
        self.ops = ops

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = fake(x, 0.25, 7)
        out = []
        for op in self.ops:
            y = op(x)
            out += [fake(v) for v in (y if isinstance(y, (tuple, list)) else (y,))]
        return tuple(out)


def agree(ops: list[Op], *shape: int, n: int = 60) -> None:
    """Codes of all results equal to torch's."""
    module = Many(ops).eval()
    x = np.random.default_rng(3).standard_normal((n, *shape)).astype(np.float32)
    graph = fxsim.load(module, example=x[:2])
    own, theirs = graph.codes(x), run(module, graph, x)
    assert len(theirs) == 1 + len(graph.outputs) >= 1 + len(ops)
    for name, codes in theirs.items():
        np.testing.assert_array_equal(own[name], codes, err_msg=name)


WIRING: list[Op] = [
    lambda x: x.flatten(1),
    lambda x: x.reshape(len(x), -1, 2),
    lambda x: x.view(x.size(0), 4, -1),
    lambda x: x.permute(0, 2, 3, 1),
    lambda x: x.transpose(1, 2).contiguous(),
    lambda x: x.movedim(1, -1),
    lambda x: x.unsqueeze(2).squeeze(2),
    lambda x: x[:, 1:, ::2, :-1],
    lambda x: x[:, -1],
    lambda x: x[:, :, 0, 1:],
    lambda x: x.select(3, 2),
    lambda x: torch.cat([x, x.relu()], 1),
    lambda x: torch.stack([x[:, 0], x[:, 1]], 1),
    lambda x: x.chunk(2, 1),
    lambda x: x.split([1, 7], 2),
    lambda x: x.unbind(1),
    lambda x: f.pad(x, (1, 2, 0, 1)),
    lambda x: f.pad(x, (1, 1), value=0.5),
    lambda x: f.pad(x, (1, 1, 1, 1), mode="reflect"),
    lambda x: f.pad(x, (2, 0, 0, 1), mode="replicate"),
    lambda x: f.pad(x, (1, 1, 1, 1), mode="circular"),
    lambda x: f.pixel_shuffle(x, 2),
    lambda x: f.pixel_unshuffle(x, 2),
    lambda x: f.interpolate(x, scale_factor=2),
    lambda x: x.index_select(1, torch.tensor([2, 0])),
    lambda x: f.dropout(x, 0.5, training=False).clone().detach(),
    lambda x: x.expand(-1, 4, -1, -1),
    lambda x: x.unflatten(1, (2, 2)),
    lambda x: x.float(),
]

ARITHMETIC: list[Op] = [
    lambda x: x + 0.5,
    lambda x: 1.5 - x,
    lambda x: -x,
    lambda x: x * 3,
    lambda x: x / 4,
    lambda x: torch.add(x, x.relu(), alpha=2),
    lambda x: torch.sub(x, torch.ones(4, 1, 1), alpha=3),
    lambda x: x - x.transpose(2, 3),
    lambda x: x + torch.arange(4.0).view(4, 1, 1),
    lambda x: f.relu6(x * 4),
    lambda x: f.hardtanh(x, -0.5, 0.75),
    lambda x: x.clamp(-0.25, 1),
    lambda x: x.clamp_min(0.25),
    lambda x: x.clamp_max(-0.25),
    lambda x: f.relu(x, inplace=False),
    lambda x: (x + 1).relu_().add_(0.25),
    lambda x: x.mean((2, 3)),
    lambda x: x.mean(1, keepdim=True),
    lambda x: x.argmax(1).float(),
]

POOLS: list[Op] = [
    lambda x: f.max_pool2d(x, 2),
    lambda x: f.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    lambda x: f.max_pool2d(x, (2, 1), dilation=2),
    lambda x: f.avg_pool2d(x, 2),
    lambda x: f.avg_pool2d(x, 4, 2, 1),
    lambda x: f.avg_pool2d(x, 2, 2, 1, count_include_pad=False),
    lambda x: f.avg_pool2d(x, 4, 3, ceil_mode=True),
    lambda x: f.adaptive_avg_pool2d(x, 1),
    lambda x: f.adaptive_avg_pool2d(x, (2, 4)),
    lambda x: f.adaptive_max_pool2d(x, 1),
    lambda x: f.adaptive_max_pool2d(x, (4, 2)),
    lambda x: f.max_pool1d(x.flatten(2), 3),
    lambda x: f.avg_pool1d(x.flatten(2), 4, 4),
    lambda x: f.adaptive_avg_pool1d(x.flatten(2), 1),
]

W = (torch.arange(4 * 4 * 9).reshape(4, 4, 3, 3) % 15 - 7) / 8
B = torch.tensor([0.5, -0.25, 0.0, 1.0])

PRODUCTS: list[Op] = [
    lambda x: f.conv2d(x, W, B, padding=1) / 8,
    lambda x: f.conv2d(x, W, stride=2, padding="valid") / 8,
    lambda x: f.conv2d(x, W, padding="same", dilation=2) / 8,
    lambda x: f.conv2d(x, W[:, :1, :2], groups=4, padding="same") / 8,
    lambda x: f.conv2d(x, W[:, :2], groups=2, padding=(1, 0)) / 8,
    lambda x: f.conv1d(x.flatten(2), W[:, :, 0], B, padding=2) / 8,
    lambda x: f.conv_transpose2d(x, W, B, stride=2, padding=1, output_padding=1) / 8,
    lambda x: f.conv_transpose1d(x.flatten(2), W[:, :2, 0], stride=3, dilation=2, groups=2) / 8,
    lambda x: f.linear(x, W[:, 0].reshape(4, 9)[:, :8], B) / 8,
    lambda x: f.linear(x[:, 0, 0], W[:, 0].reshape(4, 9)[:, :8]) / 8,
    lambda x: x @ W[0].reshape(4, 9)[:, :8].T / 8,
    lambda x: torch.addmm(B, x[:, 0, 0], W[:, 0].reshape(4, 9)[:, :8].T, beta=2.0) / 8,
    lambda x: f.batch_norm(x, B, torch.ones(4), B + 1.5, B, eps=0.25),
    lambda x: f.batch_norm(x[:, :, 0, 0], B, torch.ones(4), eps=0.25),
]


FUNCTIONS: list[Op] = [
    torch.sigmoid,
    torch.tanh,
    f.hardsigmoid,
    f.hardswish,
    lambda x: f.leaky_relu(x, 0.1),
    lambda x: f.elu(x, 1.5),
    lambda x: f.prelu(x, torch.tensor([0.25])),
    lambda x: f.prelu(x, torch.tensor([0.25, -0.5, 2.0, 0.0])),
    f.gelu,
    lambda x: f.gelu(x, approximate="tanh"),
    f.silu,
    f.mish,
    f.softplus,
    f.softsign,
    f.selu,
    lambda x: f.celu(x, 0.5),
    torch.exp,
    torch.erf,
    torch.abs,
    torch.sign,
    lambda x: torch.maximum(x, x.transpose(2, 3)),
    lambda x: torch.minimum(x, x.transpose(2, 3)),
    lambda x: x.amax((2, 3)),
    lambda x: x.amin(1, keepdim=True),
    lambda x: x.sum(1),
    lambda x: x * x.transpose(2, 3),
    lambda x: x.square(),
    lambda x: x**3,
]


@pytest.mark.parametrize("ops", [WIRING, ARITHMETIC, POOLS, PRODUCTS, FUNCTIONS],
                         ids=["wiring", "arithmetic", "pools", "products", "functions"])  # fmt: skip
def test_ops(ops: list[Op]) -> None:
    agree(ops, 4, 8, 8)
