"""Names that C++ or its headers own, as graph, inputs, blocks and outputs of an exported project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fxsim
import hls
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder
from fxsim.types import TensorType


def named_graph(name: str, inputs: list[str], blocks: list[str], outputs: list[str]) -> fxsim.Graph:
    """Per input a dense layer with ReLU; a product of both inputs; the first input itself."""
    builder, fmt = Builder(name), fxsim.SQ(4, 0)
    xs = [builder.input(n, TensorType.of(fmt, (2,)), FormatEncoder(fmt)) for n in inputs]
    made = []
    for x, block in zip(xs, blocks, strict=True):
        with builder.block("dense", block, [x]) as out:
            h = x @ np.array([[1, 2], [3, 4]]) + 1
            out.append(h)
        with builder.block("relu", block, [h]) as out:
            made.append(h.relu())
            out.append(made[-1])
    return builder.finish([*made, xs[0] * xs[1], xs[0]], outputs)


CASES = [
    ("int", ["memcpy", "trace_outputs"], ["defines", "include"], ["size_t", "float", "data", "ap_int"]),
    ("a\nb", ["class", "input"], ["a\nb", "*/ int"], ["a", "a", "result_t", "layer2_out"]),
    ("in0", ["stream", "outputs"], ["component", "nnet"], ["given", "made", "res", "ac_int"]),
    ("given", ["x", "X"], ["Same", "same"], ["y", "Y", "in", "inputs"]),
]
WRITTEN = [("Vitis", "io_parallel")] * 2 + [("Quartus", "io_stream"), ("Quartus", "io_parallel")]


@pytest.mark.parametrize(
    ("case", "written"),
    list(zip(CASES, WRITTEN, strict=True)),
    ids=["int", "line break", "the bridge's", "small letters"],
)
def test_any_name_compiles(case, written, tmp_path: Path, rng: np.random.Generator) -> None:
    graph = named_graph(*case)
    project = hls.export(graph, tmp_path / "p", written[0], io_type=written[1])
    raw = [rng.integers(-8, 8, (50, 2)) for _ in graph.inputs]
    for got, want in zip(project.predict_raw(*raw), graph.run_raw(*raw), strict=True):
        np.testing.assert_array_equal(got, want)
