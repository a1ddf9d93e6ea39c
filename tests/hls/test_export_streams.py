"""Streams: tensors with many readers, inputs that nothing reads, scalars, names of the C library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_export import codes

import hls
from fxsim import Format, Graph, trace
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder, Tensor
from fxsim.types import TensorType


def forks() -> Graph:
    """A ReLU with nine readers, a reshape with two, an output that is read too, an input without a reader."""
    rng = np.random.default_rng(6)

    def network(memcpy: Tensor, unread: Tensor, scalar: Tensor) -> tuple[Tensor, ...]:
        h = memcpy.relu()
        many = [(h @ rng.integers(-3, 4, (4, 2))).cast(Format(6, 6)) for _ in range(9)]
        image = memcpy.reshape(2, 2)
        pair = [(image @ rng.integers(-3, 4, (2, 3))) for _ in range(2)]
        return *many, *pair, h, h.sum() * scalar, memcpy

    return trace(network, Format(4, 4), Format(3, 3), Format(3, 1), shape=[(4,), (2,), ()])


def without_generated() -> Graph:
    """A Dense, and an input that nothing reads."""
    builder = Builder("dense")
    x, unread = (
        builder.input(n, TensorType.of(Format(4, 4), (3,)), FormatEncoder(Format(4, 4)))
        for n in ("index", "time")
    )
    assert unread is not x
    return builder.finish([x @ np.array([[1, 2], [-3, 4], [0, 1]])], ["y0"])


@pytest.mark.parametrize("make", [forks, without_generated])
def test_streams_are_read_once(make, tmp_path: Path, rng: np.random.Generator) -> None:
    graph = make()
    project = hls.export(graph, tmp_path / "p", "Quartus", "check", io_type="io_stream")
    raw = codes(graph, rng, 40)
    for _ in range(2):  # nothing is left in a stream
        got, want = project.predict_raw(*raw), graph.run_raw(*raw)
        pairs = [(got, want)] if isinstance(want, np.ndarray) else zip(got, want, strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)
    assert all(n.endswith("_input") for n in project.plan.inputs)
