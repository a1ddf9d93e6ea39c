"""The project that `write` leaves in OutputDir: Verilog, vectors, a bench, the graph, the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.writer.writers import Writer

from fxsim.files import make_folder, write_text
from fxsim.graph import Graph
from hls.plugin.bench import files

SAMPLES = 64
"""Vectors of random codes, where the configuration names no InputData."""


class FxsimWriter(Writer):
    """OutputDir gets

    verilog/           NAME.v, NAME.layout.json, README.md on ports, stimulus and expected vectors
    bench/             test_NAME.py in cocotb, and run.py, which runs it in Verilator
    NAME.fxs           the graph, for `fxsim.load` and the command line
    hls4ml_config.yml  the configuration, as `convert_from_config` reads it
    report.json        adders, depth, latency and registers; `build` adds LUTs and clock frequency
    """

    def write_hls(self, model: Any) -> None:
        """Write all of it. Raises OSError that names the folder where it cannot be written."""
        import rtl
        from hls.plugin.model import core, emulator

        folder = make_folder(model.config.get_output_dir())
        graph, made = emulator(model), core(model)
        rtl.write_project(made, make_folder(folder / "verilog"), vectors(model, graph))
        bench = make_folder(folder / "bench")
        for name, text in files(made.top, made.latency).items():
            write_text(bench / name, text)
        graph.save(folder / f"{made.top}.fxs")
        write_text(folder / "hls4ml_config.yml", configuration(model.config.config, folder))
        write_text(folder / "report.json", json.dumps(summary(made), indent=1) + "\n")


def summary(made: Any) -> dict[str, Any]:
    """What is known of a core before synthesis."""
    return {
        "top": made.top, "adders": made.adders, "depth": made.depth, "registers": made.registers,
        "latency": made.latency, "interval": made.ii,
    }  # fmt: skip


def vectors(model: Any, graph: Graph) -> list[np.ndarray]:
    """Raw inputs of the bench: the samples of the configuration's InputData, else random codes."""
    from hls.plugin.model import encode

    path = model.config.get_config_value("InputData")
    if path:
        if Path(path).suffix == ".npy":
            samples = np.load(path, allow_pickle=False)
        else:
            samples = np.loadtxt(path, ndmin=2)
        samples = samples.reshape(len(samples), -1).astype(np.float64)
        sizes = np.cumsum([n.type.size for n in graph.inputs])
        if samples.shape[1] != sizes[-1]:
            raise ValueError(
                f"InputData must have {sizes[-1]} numbers per sample, not {samples.shape[1]} ({path})"
            )
        parts = np.split(samples, sizes[:-1], axis=1)
        return encode(model, list(parts) if len(parts) > 1 else parts[0])
    rng = np.random.default_rng(0)
    found = []
    for node in graph.inputs:
        lo, hi = (np.asarray(v) for v in (node.type.lo, node.type.hi))
        if lo.dtype == object:
            raise ValueError(f"input {node.name!r} must have at most 62 bits for random codes; set InputData")
        found.append(rng.integers(lo, hi, (SAMPLES, *node.type.shape), endpoint=True))
    return found


def configuration(config: dict[str, Any], folder: Path) -> str:
    """hls4ml's YAML of a configuration; a Keras or ONNX model is saved beside it, a torch module left out."""
    import yaml

    plain = _plain({k: v for k, v in config.items() if k not in ("KerasModel", "OnnxModel", "PytorchModel")})
    shape = config.get("InputShape")  # hls4ml takes one shape as a tuple, which YAML does not have
    if isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape):
        plain["InputShape"] = [_plain(shape)]
    lines = [yaml.safe_dump(plain, sort_keys=False)]
    if (keras := config.get("KerasModel")) is not None:
        path = folder / "keras_model.keras"
        keras.save(path)
        lines.append(f"KerasModel: !keras_model {json.dumps(str(path))}\n")
    if (onnx := config.get("OnnxModel")) is not None:
        path = folder / "onnx_model.onnx"
        if not isinstance(onnx, str):
            path.write_bytes(getattr(onnx, "model", onnx).SerializeToString())
        lines.append(f"OnnxModel: {json.dumps(onnx if isinstance(onnx, str) else str(path))}\n")
    if config.get("PytorchModel") is not None:
        lines.append("# PytorchModel: put the torch module here before convert_from_config\n")
    return "".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
