"""hls4ml's default configurations need no ordered sums: products run as matrix products or in int32."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import hls4ml
import numpy as np
import pytest
import torch

from fxsim import ops
from fxsim.emulate import evaluate
from fxsim.emulate.runner import plan


def graph_of(granularity: str, **types: str) -> Any:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(16, 48),
        torch.nn.ReLU(),
        torch.nn.Linear(48, 24),
        torch.nn.ReLU(),
        torch.nn.Linear(24, 5),
    ).eval()
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(net, (16,), granularity=granularity, backend="Vitis")
        for layer in config.get("LayerName", {}).values():
            layer["Precision"].update({k: v for k, v in types.items() if k in layer["Precision"]})
        model = hls4ml.converters.convert_from_pytorch_model(
            net, hls_config=config, output_dir="unused", backend="fxsim", io_type="io_parallel"
        )
    return model.integer_graph


def kinds(graph: Any) -> set[type[Any]]:
    return {type(v.op) for v in graph.values[len(graph.inputs) :]}


@pytest.mark.parametrize("granularity", ["name", "model", "type"])
def test_no_ordered_sums(granularity: str, rng: np.random.Generator) -> None:
    """'auto' is one product a layer; fixed<16,6> truncates each product, which needs no order and stays in a
    few hundred rows."""
    graph = graph_of(granularity)
    found = kinds(graph)
    assert ops.Accumulate not in found
    assert (ops.MatMul in found) == (granularity != "model")
    assert plan(graph).bytes_per_sample < 1 << 14
    raw = rng.integers(-(1 << 15), 1 << 15, size=(300, 16))
    assert np.array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])


def test_saturating_sums_have_an_order(rng: np.random.Generator) -> None:
    """Only where a partial sum can saturate; one that provably cannot is a product again."""
    assert ops.Accumulate in kinds(graph_of("name", accum="fixed<9,3,RND,SAT>"))
    assert ops.Accumulate not in kinds(graph_of("name", accum="fixed<60,30,RND,SAT>", result="fixed<16,6>"))
