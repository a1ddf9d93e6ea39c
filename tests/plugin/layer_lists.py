"""hls4ml models from lists of layers, and Vitis' C simulation of them, kept in the build cache."""

from __future__ import annotations

import copy
import ctypes
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.model.graph import ModelGraph

from hls.builds import built


class Layers:
    """Activation layers that all read inputs of their own types; every layer is an output of the model."""

    def __init__(self, io: str = "io_parallel") -> None:
        self.io = io
        self.layers: list[dict[str, Any]] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.names: dict[str, Any] = {}

    def input(self, precision: str, shape: tuple[int, ...]) -> str:
        """A new input of this type."""
        name = f"x{len(self.inputs)}"
        self.layers.append({"class_name": "InputLayer", "name": name, "input_shape": list(shape)})
        self.names[name] = {"Precision": {"result": precision}}
        self.inputs.append(name)
        return name

    def add(
        self, class_name: str, source: str, result: str, attributes: dict[str, Any], **config: Any
    ) -> str:
        """A new layer that reads `source`; config as under LayerName."""
        name = f"y{len(self.outputs)}"
        self.layers.append({"class_name": class_name, "name": name, "inputs": [source], **attributes})
        self.names[name] = {"Precision": {"result": result}, **config}
        self.outputs.append(name)
        return name

    def model(self, backend: str, folder: Path | str = "unused") -> ModelGraph:
        """The ModelGraph for a backend."""
        config = get_backend("Vitis").create_initial_config(clock_period=5, io_type=self.io)
        config.update(OutputDir=str(folder), ProjectName="myproject", Backend=backend)
        config["HLSConfig"] = {
            "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": copy.deepcopy(self.names),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return ModelGraph.from_layer_list(
                config, copy.deepcopy(self.layers), inputs=list(self.inputs), outputs=list(self.outputs)
            )


def simulated(model: ModelGraph) -> ModelGraph:
    """The model of the backend Vitis, whose OutputDir is empty, with its C simulation loaded."""
    model.write()
    library = built(Path(model.config.get_output_dir()), model.config.get_project_name())
    model._top_function_lib = ctypes.cdll.LoadLibrary(str(library))
    return model


def mismatches(layers: Layers, x: list[np.ndarray]) -> dict[str, int]:
    """{layer: outputs in which the fxsim backend differs from Vitis' C simulation}, where any does."""
    with tempfile.TemporaryDirectory() as folder:
        expected = simulated(layers.model("Vitis", folder)).predict(x if len(x) > 1 else x[0])
    found = layers.model("fxsim").predict(x if len(x) > 1 else x[0])
    if len(layers.outputs) == 1:
        expected, found = [expected], [found]
    wrong = {
        name: int(np.count_nonzero(np.asarray(a) != np.asarray(b)))
        for name, a, b in zip(layers.outputs, expected, found, strict=True)
    }
    return {name: n for name, n in wrong.items() if n}
