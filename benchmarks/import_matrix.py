"""The same model files through fxsim, hls4ml, alkaid and da4ml: what each loads, and whether it is exact.

    python benchmarks/import_matrix.py                     # every file, every tool that PyPI has
    python benchmarks/import_matrix.py --files "digits MLP" --tools fxsim hls4ml

Every file and tool is a process of its own with a time limit. The outputs for the same samples are mapped to
the nearest integer code of the file's output (a value farther than a quarter from every code is none) and
compared with the framework's own: qonnx, onnxruntime, Keras, LiteRT. "exact" means that no code differs.
The tools are used as their documentation says: hls4ml with granularity "name", the cleaning steps of qonnx
before, and its C simulation by g++; alkaid and da4ml by `trace_model`. FINN is not on PyPI and
was not run.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import fxsim  # noqa: E402
from fxsim.compare.reference import OFF_GRID, choose, decode, runner  # noqa: E402
from fxsim.graph import Name  # noqa: E402

DIGITS = ROOT / "fxsim" / "data" / "digits"
ONNX, KERAS, TFLITE = (ROOT / "tests" / f / "data" for f in ("load", "load_keras", "load_tflite"))
FILES = {
    "digits MLP, power-of-two scales (QONNX)": DIGITS / "digits_mlp_w4a4_pow2.qonnx.onnx",
    "digits MLP, real scales, batch norm (QONNX)": DIGITS / "digits_mlp_w4a4_floatscale_bn.qonnx.onnx",
    "digits CNN, power-of-two scales (QONNX)": DIGITS / "digits_cnn_w4a4_pow2.qonnx.onnx",
    "digits MLP, power-of-two scales (QDQ)": ONNX / "digits_mlp_w4a4_pow2.qcdq.onnx",
    "digits MLP, real scales, batch norm (QDQ)": ONNX / "digits_mlp_w4a4_floatscale_bn.qcdq.onnx",
    "digits CNN, power-of-two scales (QDQ)": DIGITS / "digits_cnn_w4a4_pow2.qcdq.onnx",
    "TFC, 1-bit weights and activations (QONNX)": ONNX / "public" / "TFC_1W1A.onnx.xz",
    "TFC, 2-bit weights and activations (QONNX)": ONNX / "public" / "TFC_2W2A.onnx.xz",
    "TFC of FINN, MultiThreshold (FINN-ONNX)": ONNX / "public" / "finn_tfc.onnx.xz",
    "digits MLP, a format for each element (Keras, HGQ2)": DIGITS / "digits_hgq2_mlp.keras",
    "residual CNN (Keras, HGQ2)": KERAS / "residual_cnn.keras",
    "keyword spotting, int8 (TFLite)": TFLITE / "kws_ref_model.tflite",
    "streaming wake word, int8 (TFLite)": TFLITE / "str_ww_ref_model.tflite",
}
TOOLS = ("fxsim", "hls4ml", "alkaid", "da4ml")
NOT_RUN = {"FINN": "not run: not on PyPI"}
SAMPLES = 200
LIMIT = 900  # seconds a file and tool


class NoConverter(Exception):
    """The tool has no way in for this kind of file."""


def unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or what is in an .xz archive."""
    if path.suffix != ".xz":
        return path
    target = folder / path.stem
    target.write_bytes(lzma.decompress(path.read_bytes()))
    return target


def samples(path: Path, graph: fxsim.Graph) -> list[np.ndarray]:
    """Images of the digits for their models; of k / 255 for MNIST's; else random over the input's range."""
    from fxsim.compare import random_reals
    from fxsim.data import digits_samples

    if "digits" in path.name and graph.inputs[0].type.size == 64:
        return [digits_samples()[0][:SAMPLES].reshape(-1, *graph.inputs[0].type.shape)]
    if graph.inputs[0].type.size == 784:
        image = np.random.default_rng(0).integers(0, 256, (SAMPLES, *graph.inputs[0].type.shape))
        whole = path.name.startswith("finn")  # its first node divides by 255
        return [image.astype(np.float32) / np.float32(1 if whole else 255)]
    return random_reals(graph, SAMPLES, seed=0)


def codes(graph: fxsim.Graph, values: Any) -> tuple[np.ndarray, np.ndarray]:
    """The integer codes nearest to real outputs, and which of them are codes at all; all outputs in a row.

    A tool that gives several outputs in one row gives them in this order.
    """
    parts = list(values) if isinstance(values, (tuple, list)) else [values]
    rows = np.concatenate([np.reshape(np.asarray(p, np.float64), (SAMPLES, -1)) for p in parts], axis=1)
    found, on_grid, at = [], [], 0
    for name, node, affine in zip(graph.output_names, graph.outputs, graph.output_affines, strict=True):
        part, at = rows[:, at : at + node.type.size], at + node.type.size
        nearest, off = decode(name, Name(node, affine), part, SAMPLES)
        found.append(nearest.reshape(SAMPLES, -1))
        on_grid.append(off.reshape(SAMPLES, -1) <= OFF_GRID)
    return np.concatenate(found, axis=1), np.concatenate(on_grid, axis=1)


def run_fxsim(path: Path, graph: fxsim.Graph, x: list[np.ndarray], folder: Path) -> Any:
    return fxsim.load(path).run(*x)


def run_hls4ml(path: Path, graph: fxsim.Graph, x: list[np.ndarray], folder: Path) -> Any:
    import hls4ml

    options = {"output_dir": str(folder / "project"), "backend": "Vitis", "io_type": "io_parallel"}
    values = x[0]
    if path.suffix == ".onnx":
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
        from qonnx.transformation.gemm_to_matmul import GemmToMatMul
        from qonnx.util.cleanup import cleanup_model

        model = cleanup_model(ModelWrapper(str(path)))
        if values.ndim == 4:
            model = model.transform(ConvertToChannelsLastAndClean())
            values = values.transpose(0, 2, 3, 1)
        model = cleanup_model(model.transform(GemmToMatMul()))
        config = hls4ml.utils.config_from_onnx_model(
            model, granularity="name", backend="Vitis", default_precision="fixed<32,16>"
        )
        converted = hls4ml.converters.convert_from_onnx_model(model, hls_config=config, **options)
    elif path.suffix == ".keras":
        model = keras_model(path)
        config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
        converted = hls4ml.converters.convert_from_keras_model(model, hls_config=config, **options)
    else:
        raise NoConverter
    converted.compile()
    return converted.predict(np.ascontiguousarray(values, np.float32))


def run_tracer(package: str) -> Callable[..., Any]:
    """alkaid's and da4ml's converters, of Keras (HGQ2) and torch modules."""

    def run(path: Path, graph: fxsim.Graph, x: list[np.ndarray], folder: Path) -> Any:
        import importlib

        if path.suffix != ".keras":
            raise NoConverter
        trace_model = importlib.import_module(f"{package}.converter").trace_model
        trace = getattr(
            importlib.import_module(f"{package}.trace"), "comb_trace" if package == "da4ml" else "trace"
        )
        return trace(*trace_model(keras_model(path))).predict(x[0].reshape(len(x[0]), -1).astype(np.float64))

    return run


def keras_model(path: Path) -> Any:
    import hgq  # noqa: F401  # registers its layers
    import keras

    return keras.models.load_model(path)


RUN: dict[str, Callable[..., Any]] = {
    "fxsim": run_fxsim,
    "hls4ml": run_hls4ml,
    "alkaid": run_tracer("alkaid"),
    "da4ml": run_tracer("da4ml"),
}


def one(path: Path, tool: str, folder: Path) -> dict[str, Any]:
    """Load, run and compare; what came out, as data."""
    path = unpacked(path, folder)
    graph = fxsim.load(path)
    x = samples(path, graph)
    reference = choose(path)
    outputs = runner(reference)(path, graph, x)
    found = [outputs[name] for name in graph.output_names]
    if reference == "litert" and found[0].dtype.kind in "iu":
        want = np.concatenate([f.reshape(SAMPLES, -1) for f in found], axis=1).astype(np.int64)
    else:
        want = codes(graph, found)[0]
    start = time.perf_counter()
    try:
        values = RUN[tool](path, graph, x, folder)
    except NoConverter:
        return {"loads": False, "error": "no converter"}
    except Exception as e:  # whatever a peer raises is what its user sees
        return {"loads": False, "error": f"{type(e).__name__}: {e}".splitlines()[0][:90]}
    got, on_grid = codes(graph, values)
    wrong = int(np.sum((got != want) | ~on_grid))
    return {"loads": True, "differ": wrong, "of": want.size, "seconds": round(time.perf_counter() - start, 1)}


def measured(name: str, tool: str) -> dict[str, Any]:
    """`one` in a process of its own."""
    if tool in NOT_RUN:
        return {"loads": None, "error": NOT_RUN[tool]}
    command = [sys.executable, __file__, "--one", name, tool]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"loads": False, "error": f"not done within {LIMIT} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"loads": False, "error": last[:90]}
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def cell(result: dict[str, Any]) -> str:
    if not result["loads"]:
        return str(result["error"])
    if result["differ"]:
        return f"{result['differ']} of {result['of']} differ, {result['seconds']} s"
    return f"exact, {result['seconds']} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", nargs="+", metavar="TEXT", default=[""], help="files whose name has TEXT")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory() as folder:
            print("\n" + json.dumps(one(FILES[arguments.one[0]], arguments.one[1], Path(folder))))
        return
    tools = [*arguments.tools, *NOT_RUN]
    print("| file | " + " | ".join(tools) + " |")
    print("|---|" + "---|" * len(tools), flush=True)
    results: dict[str, Any] = {}
    for name in FILES:
        if not any(text in name for text in arguments.files):
            continue
        results[name] = {tool: measured(name, tool) for tool in tools}
        print(f"| {name} | " + " | ".join(cell(r) for r in results[name].values()) + " |", flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
