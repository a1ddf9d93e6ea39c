"""Trained networks: files that ship with the package or lie in the tests, and stored codes of qonnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fxsim.data import FOLDER

DATA = Path(__file__).parent / "data"
CNNS = {"digits_cnn_w4a4_pow2": 16, "fmnist_cnn_w4a4_pow2": 256}
"""Samples are stored in integers, of which so many make 1."""


def file(name: str, kind: str = "qonnx") -> Path:
    """The file of a network in QONNX, or in QuantizeLinear and DequantizeLinear (kind "qcdq")."""
    shipped = FOLDER / f"{name}.{kind}.onnx"
    return shipped if shipped.is_file() else DATA / shipped.name


def stored(name: str) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """(samples, {quantizer's output: codes}, outputs)."""
    with np.load(DATA / f"{name}.npz") as data:
        codes = {k.removeprefix("int__"): data[k].astype(np.int64) for k in data.files if k[:3] == "int"}
        return data["x"].astype(np.float32) / np.float32(CNNS[name]), codes, data["out_qonnx"]
