"""hls4ml's `predict` with `backend="fxsim"` against its own C simulation of the backend Vitis, in one run.

Each model is built here with a fixed seed, or ships with the package, and goes through hls4ml itself.
Seconds are of the processor, one thread, except for the time until `predict` is ready, which is from the
configuration to the end of `compile` by the clock; C++ compiles in a folder of its own and is never cached.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # one thread; before NumPy loads
    os.environ[_name] = "1"
os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import hls4ml
import torch

from fxsim.data import digits_model, digits_samples

SAMPLES = 1000
FAST, ORDERED = 10.0, 3.0
"""Samples per second, at least so many times those of the C simulation."""

Convert = Callable[[str, str], Any]  # (backend, output folder) -> ModelGraph


class Case(NamedTuple):
    """A model, its inputs, and the bar for its speed."""

    convert: Convert
    x: np.ndarray
    bar: float


def torch_mlp() -> Any:
    """16-64-32-32-5 with ReLU, PyTorch's own initial weights."""
    torch.manual_seed(0)
    layers: list[Any] = []
    for n, m in ((16, 64), (64, 32), (32, 32), (32, 5)):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).eval()


def keras_cnn() -> Any:
    """Two convolutions, pooling, a dense layer and a softmax on 8x8 images, Keras' own initial weights."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([
        layers.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10), layers.Softmax(),
    ])  # fmt: skip


def hgq2_mlp() -> Any:
    """64-24-10 of HGQ2 with a bit width per weight and per activation, calibrated on the digits."""
    import hgq
    import keras

    keras.utils.set_random_seed(0)
    scope = hgq.config.QuantizerConfigScope
    with (
        scope(place="all", default_q_type="kif", overflow_mode="SAT_SYM"),
        scope(place="datalane", default_q_type="kif", overflow_mode="WRAP", i0=3, f0=4),
    ):
        model = keras.Sequential([
            keras.layers.Input((64,)),
            hgq.layers.QDense(24, activation="relu", name="dense_0"),
            hgq.layers.QDense(10, name="dense_1"),
        ])  # fmt: skip
    hgq.utils.trace_minmax(model, images())
    return model


def images() -> np.ndarray:
    """The shipped digits, repeated to (SAMPLES, 64)."""
    x, _ = digits_samples()
    return np.resize(x.reshape(len(x), -1), (SAMPLES, 64)).astype(np.float32)


def from_torch(granularity: str, change: Callable[[Any], None] | None = None) -> Case:
    net = torch_mlp()

    def convert(backend: str, folder: str) -> Any:
        config = hls4ml.utils.config_from_pytorch_model(net, (16,), granularity=granularity, backend="Vitis")
        if change is not None:
            change(config)
        return hls4ml.converters.convert_from_pytorch_model(
            net, hls_config=config, output_dir=folder, backend=backend, io_type="io_parallel"
        )

    return Case(convert, normal(16), ORDERED if change is not None else FAST)


def from_keras(
    model: Any, granularity: str, x: np.ndarray, change: Callable[[Any], None] | None = None
) -> Case:
    def convert(backend: str, folder: str) -> Any:
        config = hls4ml.utils.config_from_keras_model(model, granularity=granularity, backend="Vitis")
        if change is not None:
            change(config)
        return hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, output_dir=folder, backend=backend, io_type="io_parallel"
        )

    return Case(convert, x, ORDERED if change is not None else FAST)


def from_qonnx() -> Case:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    model = cleanup_model(ModelWrapper(str(digits_model())))
    model = cleanup_model(model.transform(GemmToMatMul()))

    def convert(backend: str, folder: str) -> Any:
        config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis")
        return hls4ml.converters.convert_from_onnx_model(
            model, hls_config=config, output_dir=folder, backend=backend, io_type="io_parallel"
        )

    return Case(convert, images().reshape(SAMPLES, 1, 8, 8), FAST)


def saturating(config: Any) -> None:
    """Accumulators that saturate on the way, so that every sum has its order."""
    for layer in config["LayerName"].values():
        types = layer.get("Precision", {})
        if "accum" in types:
            types.update(accum="fixed<9,3,RND,SAT>", result="fixed<16,6>")


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32)


CASES: dict[str, Callable[[], Case]] = {
    "torch MLP, name": lambda: from_torch("name"),
    "torch MLP, model fixed<16,6>": lambda: from_torch("model"),
    "torch MLP, saturating sums": lambda: from_torch("name", saturating),
    "Keras CNN, name": lambda: from_keras(keras_cnn(), "name", normal(8, 8, 1)),
    "Keras CNN, model fixed<16,6>": lambda: from_keras(keras_cnn(), "model", normal(8, 8, 1)),
    "Keras CNN, saturating sums": lambda: from_keras(keras_cnn(), "name", normal(8, 8, 1), saturating),
    "HGQ2 digits MLP": lambda: from_keras(hgq2_mlp(), "name", images()),
    "QONNX digits MLP": from_qonnx,
}


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Mismatches, seconds until ready, microseconds per sample of both."""
    models, ready = {}, {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for backend in ("Vitis", "fxsim"):
            start = time.perf_counter()
            models[backend] = case.convert(backend, f"{folder}/{backend}")
            models[backend].compile()
            ready[backend] = time.perf_counter() - start
        simulation, emulator = models["Vitis"], models["fxsim"]
        mismatches = int(np.count_nonzero(simulation.predict(case.x) != emulator.predict(case.x)))
        seconds: dict[str, list[float]] = {"Vitis": [], "fxsim": []}
        for _ in range(repeats):
            for backend, model in models.items():
                start = time.process_time()
                model.predict(case.x)
                seconds[backend].append(time.process_time() - start)
    each = {b: 1e6 * statistics.median(s) / len(case.x) for b, s in seconds.items()}
    return {
        "mismatches": mismatches,
        "Vitis us": each["Vitis"],
        "fxsim us": each["fxsim"],
        "ratio": each["Vitis"] / each["fxsim"],
        "bar": case.bar,
        "Vitis ready s": ready["Vitis"],
        "fxsim ready s": ready["fxsim"],
    }


def verdicts(name: str, found: dict[str, float]) -> list[tuple[bool, str]]:
    return [
        (found["mismatches"] == 0, f"{name}: {found['mismatches']} mismatches in {SAMPLES} samples"),
        (found["ratio"] >= found["bar"], f"{name}: {found['ratio']:.1f} times the samples per second"),
        (
            found["fxsim ready s"] < found["Vitis ready s"],
            f"{name}: ready in {found['fxsim ready s']:.2f} s, C++ in {found['Vitis ready s']:.1f} s",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), help="default: all")
    parser.add_argument("--repeats", type=int, default=11, help="timed rounds (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results = {}
    for name in args.cases:
        results[name] = measure(CASES[name](), args.repeats)
        if not args.json:
            print(name, {k: round(v, 2) for k, v in results[name].items()}, flush=True)
    judged = [v for name, found in results.items() for v in verdicts(name, found)]
    if args.json:
        bars = [{"passed": bool(passed), "bar": text} for passed, text in judged]
        print(json.dumps({"results": results, "bars": bars}, indent=1))
    else:
        for passed, text in judged:
            print("PASS" if passed else "FAIL", "", text)
    return int(not all(passed for passed, _ in judged))


if __name__ == "__main__":
    sys.exit(main())
