"""Trained models and graphs of several branches as projects of every back end, all samples."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fxsim
import hls
from fxsim import SQ, UQ, Graph, concat, trace
from fxsim.data import DIGITS, digits_model, digits_qdq, digits_samples
from fxsim.integers import Array
from fxsim.layers.softmax import Softmax
from fxsim.trace import Tensor

CNN = [
    "hls4ml Reshape", "hls4ml Conv2D", "hls4ml Activation (relu)", "hls4ml Conv2D",
    "hls4ml Activation (relu)", "hls4ml MaxPooling2D", "hls4ml Reshape", "hls4ml Dense",
]  # fmt: skip


@cache
def loaded(path: Path) -> tuple[Graph, Array, Array]:
    """(graph, images, the emulator's outputs)."""
    graph, (images, _) = fxsim.load(path).with_name("digits"), digits_samples()
    return graph, images, graph.run(images)


@pytest.mark.parametrize(
    ("backend", "io_type"),
    [("Vitis", "io_stream"), ("Vivado", "io_stream"), ("Quartus", "io_stream"), ("Catapult", "io_parallel")],
)
def test_cnn_is_all_hls4ml_layers(backend: str, io_type: str, tmp_path: Path) -> None:
    graph, images, want = loaded(digits_qdq())
    project = hls.export(graph, tmp_path / "p", backend, io_type=io_type)
    assert [r["layer"] for r in project.layers()] == CNN
    np.testing.assert_array_equal(project.predict(images), want)


@pytest.mark.parametrize(
    ("model", "backend", "io_type"),
    [(DIGITS[1], "Quartus", "io_parallel"), (DIGITS[1], "Catapult", "io_stream")],
)
def test_mlp_with_real_scales(model: str, backend: str, io_type: str, tmp_path: Path) -> None:
    graph, images, want = loaded(digits_model(model))
    project = hls.export(graph, tmp_path / "p", backend, io_type=io_type)
    assert [r["layer"] for r in project.layers()].count("hls4ml Dense") == 3
    np.testing.assert_array_equal(project.predict(images), want)


def test_example(capsys: pytest.CaptureFixture[str]) -> None:
    program = Path(__file__).parents[2] / "examples" / "qdq_cnn_to_hls4ml.py"
    assert runpy.run_path(str(program))["main"]()
    table = capsys.readouterr().out.splitlines()
    assert [row.split()[-2:] for row in table[1:4]] == [["5000", "0"]] * 3


def test_the_qonnx_file_gives_the_same_layers(tmp_path: Path) -> None:
    projects = [
        hls.export(loaded(path)[0], tmp_path / path.name) for path in (digits_qdq(), digits_model(DIGITS[2]))
    ]
    types = [[(r["layer"], r["inputs"], r["outputs"]) for r in p.layers()] for p in projects]
    assert types[0] == types[1]


def branches() -> Graph:
    """Channels first as ONNX has them: a residual, a concatenation, and a softmax over classes."""
    rng = np.random.default_rng(4)
    activation = UQ(2, 2, rounding="RND_CONV", overflow="SAT")

    def conv(x: Tensor, filters: int, name: str) -> Tensor:
        op = fxsim.ops.Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
        with x.builder.block("conv2d", name, [x]) as out:
            rows = x.transpose(1, 2, 0)._apply(op).reshape(*x.shape[1:], -1)
            y = rows @ (rng.integers(-4, 5, (rows.shape[-1], filters)) / 8) + rng.integers(-9, 9, filters) / 8
            out.append(y.transpose(2, 0, 1))
        return out[0]

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        a = conv(x, 3, "first").relu().cast(activation)
        b = conv(a, 3, "second").cast(SQ(3, 1, rounding="RND", overflow="SAT"))
        c = (a + b).relu().cast(activation)
        joined = concat([a, c], axis=0)
        op = fxsim.ops.Window((4, 4), (4, 4), (1, 1), (0, 0), (0, 0))
        pooled = joined.transpose(1, 2, 0)._apply(op).sum((2, 3))._apply(fxsim.ops.Scale(-4))
        scores = pooled.reshape(-1) @ (rng.integers(-7, 8, (6, 5)) / 4)
        scores = scores.cast(SQ(5, 2, rounding="RND", overflow="SAT"))
        return scores, Softmax(SQ(5, 2), 5, UQ(0, 8))(scores)

    return trace(network, UQ(1, 3), shape=(2, 4, 4), name="branches", output_names=["scores", "chances"])


@pytest.mark.parametrize(
    ("backend", "io_type"), [("Vitis", "io_parallel"), ("Vitis", "io_stream"), ("Quartus", "io_stream")]
)
def test_residual_concat_and_softmax(
    backend: str, io_type: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    graph = branches()
    project = hls.export(graph, tmp_path / "p", backend, io_type=io_type)
    kinds = [r["layer"] for r in project.layers()]
    assert kinds.count("hls4ml Conv2D") == 2
    assert {"hls4ml Merge (add)", "hls4ml Concatenate", "hls4ml Dense"} <= set(kinds)
    assert kinds.count("generated") <= 4  # of the softmax, one
    raw = rng.integers(0, 16, (200, 2, 4, 4))
    for got, want in zip(project.predict_raw(raw), graph.run_raw(raw), strict=True):
        np.testing.assert_array_equal(got, want)
