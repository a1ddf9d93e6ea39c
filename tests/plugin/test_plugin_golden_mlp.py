"""The MLP of tests/hls, whose integers were recorded from hls4ml 1.3, by way of backend="fxsim"."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import hls4ml
import numpy as np
import pytest
from hls4ml.model.graph import ModelGraph

from fxsim import Format

DATA = Path(__file__).parents[1] / "hls" / "data"
FOLDERS = [DATA, *(Path(f) for f in [os.environ.get("FXSIM_GOLDEN")] if f)]


def mlp(golden: dict[str, np.ndarray]) -> ModelGraph:
    types = json.loads(str(golden["types_json"]))
    config = hls4ml.backends.get_backend("fxsim").create_initial_config()
    config |= {"OutputDir": "unused", "ProjectName": "mlp", "Backend": "fxsim"}
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {name: {"Precision": types[name]} for name in types},
    }
    layers = [{"class_name": "InputLayer", "name": "x", "input_shape": [16]}]
    for k in range(1, 5):
        name, before = f"fc{k}", layers[-1]["name"]
        real = {
            key: np.ldexp(golden[f"{name}.{key}_int"].astype(float), -Format.parse(types[name][key]).frac)
            for key in ("weight", "bias")
        }
        n_in, n_out = real["weight"].shape
        layers.append({
            "class_name": "Dense", "name": name, "inputs": [before], "n_in": n_in, "n_out": n_out,
            "weight_data": real["weight"], "bias_data": real["bias"], "data_format": "channels_last",
        })  # fmt: skip
        if k < 4:
            layers.append({
                "class_name": "Activation", "name": f"relu{k}", "inputs": [name], "activation": "relu",
                "n_in": n_out,
            })  # fmt: skip
    return ModelGraph.from_layer_list(config, layers, inputs=["x"], outputs=["fc4"])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_output_equals_hls4ml(folder: Path) -> None:
    with np.load(folder / "hls4ml_mlp.npz") as data:
        golden = dict(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = mlp(golden)
        y = model.predict(np.asarray(golden["x"], np.float64))
    form = Format.parse(json.loads(str(golden["types_json"]))["fc4"]["result"])
    np.testing.assert_array_equal(np.ldexp(y, form.frac), golden["y_int"])
