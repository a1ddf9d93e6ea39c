"""Keras and TFLite files."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
from bad_input.table import case
from fxsim.data import digits_keras


def keras_file(tmp: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The Keras model that ships with changed members."""
    import zipfile

    with zipfile.ZipFile(digits_keras()) as old:
        content = {name: old.read(name) for name in old.namelist()}
    change(content)
    with zipfile.ZipFile(tmp / "m.keras", "w") as new:
        for name, data in content.items():
            new.writestr(name, data)
    return tmp / "m.keras"


def keras_class(name: str, module: str) -> Callable[[dict[str, bytes]], None]:
    """The first layer of the file as one of another class."""

    def change(content: dict[str, bytes]) -> None:
        config = json.loads(content["config.json"])
        config["config"]["layers"][1].update(class_name=name, module=module, registered_name=None)
        content["config.json"] = json.dumps(config).encode()

    return change


@case("a damaged Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "m.keras").write_bytes(digits_keras().read_bytes()[:5000])
    fxsim.load(tmp / "m.keras")


@case("a Keras file without its weights")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(keras_file(tmp, lambda content: content.pop("model.weights.h5")))


@case("an HDF5 file of Keras 2 or QKeras")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "m.h5").write_bytes(b"\x89HDF")
    fxsim.load(tmp / "m.h5")


@case("a Lambda layer in a Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(keras_file(tmp, keras_class("Lambda", "keras.layers")))


@case("a Keras layer with real weights")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = keras_file(tmp, keras_class("Dense", "keras.layers"))
    fxsim.load(path, input=fxsim.SQ(2, 6))


@case("a NaN weight in a Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    def change(content: dict[str, bytes]) -> None:
        import h5py

        buffer = io.BytesIO(content["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            file["layers/q_dense/vars/0"][3, 4] = np.nan
        content["model.weights.h5"] = buffer.getvalue()

    fxsim.load(keras_file(tmp, change))


def tflite(path: Path, op: str, dtype: Any) -> Path:
    """A file of one operator, written by the helper of the TFLite tests."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "load_tflite"))
    from tflite_writer import Writer

    w = Writer()
    x, y = (w.tensor(name, (1, 4), 0.1, 0, dtype) for name in ("x", "y"))
    w.op(op, [x], [y])
    w.ends([x], [y])
    return w.save(path)


@case("a damaged TFLite file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tflite(tmp / "m.tflite", "RELU", np.int8)
    path.write_bytes(path.read_bytes()[:200])
    fxsim.load(path)


@case("a TFLite model in float")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tflite(tmp / "m.tflite", "RELU", np.float32))


@case("a TFLite operator that is not read")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tflite(tmp / "m.tflite", "LOG_SOFTMAX", np.int8))
