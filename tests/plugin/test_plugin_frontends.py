"""Models through hls4ml's own front ends, torch, Keras 3, HGQ2 and QONNX: bit for bit Vitis' C simulation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
import pytest
from hls4ml.model.graph import ModelGraph
from layer_lists import simulated

from fxsim.data import digits_model, digits_samples

SAMPLES = 1000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """hls4ml and the frameworks warn of their own doings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compare(convert: Callable[[str, str], ModelGraph], x: np.ndarray, folder: Path) -> ModelGraph:
    """The model of the fxsim backend, whose outputs for x are those of the compiled Vitis project."""
    ours, theirs = convert("fxsim", str(folder / "ours")), convert("Vitis", str(folder / "vitis"))
    ours.compile()
    expected = simulated(theirs).predict(x)
    found = ours.predict(x)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 100
    return ours


def test_torch(tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(16, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Linear(12, 10),
        nn.LeakyReLU(0.2),
        nn.Linear(10, 5),
    ).eval()

    def convert(backend: str, folder: str) -> ModelGraph:
        config = hls4ml.utils.config_from_pytorch_model(model, (16,), backend=backend, granularity="name")
        return hls4ml.converters.convert_from_pytorch_model(
            model, hls_config=config, backend=backend, output_dir=folder
        )

    x = rng.normal(size=(SAMPLES, 16)).astype(np.float32)
    ours = compare(convert, x, tmp_path)
    assert [layer.class_name for layer in ours.get_layers()][:2] == ["Input", "Dense"]


def test_keras(tmp_path: Path, rng: np.random.Generator) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([
        layers.Input((8, 8, 2)),
        layers.Conv2D(3, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(4),
    ])  # fmt: skip

    def convert(backend: str, folder: str) -> ModelGraph:
        config = hls4ml.utils.config_from_keras_model(
            model, granularity="name", backend=backend, default_precision="fixed<14,5>"
        )
        return hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, backend=backend, output_dir=folder
        )

    ours = compare(convert, rng.normal(size=(SAMPLES, 8, 8, 2)).astype(np.float32), tmp_path)
    ours.config.config["OutputDir"] = str(tmp_path / "again")
    (tmp_path / "again").mkdir()
    from hls.plugin.writer import configuration

    (tmp_path / "again.yml").write_text(configuration(ours.config.config, tmp_path / "again"))
    again = hls4ml.converters.convert_from_config(str(tmp_path / "again.yml"))
    assert again.integer_graph == ours.integer_graph


def test_hgq2_is_exact_to_keras_too(tmp_path: Path, rng: np.random.Generator) -> None:
    keras = pytest.importorskip("keras")
    pytest.importorskip("hgq")
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.layers import QConv2D, QDense, QMaxPooling2D
    from hgq.utils import trace_minmax

    keras.utils.set_random_seed(0)
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM", round_mode="RND"),
        LayerConfigScope(enable_ebops=True, beta0=1e-5),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP", f0=4, i0=3),
    ):
        x = inputs = keras.layers.Input((6, 6, 2))
        x = QMaxPooling2D(2)(QConv2D(3, 3, activation="relu", padding="same")(x))
        x = QDense(8, activation="relu")(keras.layers.Flatten()(x))
        model = keras.Model(inputs, QDense(4)(x))
    samples = rng.normal(size=(SAMPLES, 6, 6, 2)).astype(np.float32)
    trace_minmax(model, samples)
    reference = keras.ops.convert_to_numpy(model(samples))

    def convert(backend: str, folder: str, strategy: str = "latency") -> ModelGraph:
        config: dict[str, Any] = {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": strategy}
        return hls4ml.converters.convert_from_keras_model(
            model, hls_config={"Model": config}, backend=backend, output_dir=folder
        )

    ours = compare(convert, samples, tmp_path)
    np.testing.assert_array_equal(ours.predict(samples), reference)
    assert "FixedPointQuantizer" in [layer.class_name for layer in ours.get_layers()]
    other = convert("fxsim", str(tmp_path / "da"), "distributed_arithmetic")
    np.testing.assert_array_equal(other.predict(samples), reference)


def test_qonnx(tmp_path: Path) -> None:
    wrapper = pytest.importorskip("qonnx.core.modelwrapper")
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    file = wrapper.ModelWrapper(str(digits_model("digits_mlp_w4a4_pow2")))
    model = cleanup_model(cleanup_model(file).transform(GemmToMatMul()))

    def convert(backend: str, folder: str) -> ModelGraph:
        config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend=backend)
        return hls4ml.converters.convert_from_onnx_model(
            model, hls_config=config, backend=backend, output_dir=folder
        )

    images, labels = digits_samples()
    x = np.concatenate([images, images[::-1] * 0.7]).astype(np.float32).reshape(SAMPLES, 64)
    ours = compare(convert, x, tmp_path)
    assert (ours.predict(x[:500]).argmax(1) == labels).mean() > 0.9
