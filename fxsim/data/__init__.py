"""The trained models that ship with the package, their test images, and a reference's integer codes.

The models classify the 8x8 digits of scikit-learn (UCI "Optical Recognition of Handwritten Digits") with
4-bit weights and activations, trained and exported with Brevitas: two with two hidden layers of 32 units, and
one with two convolutions. The 500 images were not trained on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fxsim.integers import Array

FOLDER = Path(__file__).parent / "digits"
DIGITS = ("digits_mlp_w4a4_pow2", "digits_mlp_w4a4_floatscale_bn", "digits_cnn_w4a4_pow2")


def digits_model(name: str = DIGITS[0]) -> Path:
    """The QONNX file of a shipped model: power-of-two scales, real scales with batch normalization, or a
    convolutional one with power-of-two scales."""
    return FOLDER / f"{_known(name)}.qonnx.onnx"


def digits_qdq() -> Path:
    """The ONNX file of the convolutional model with QuantizeLinear and DequantizeLinear instead of Quant."""
    return FOLDER / "digits_cnn_w4a4_pow2.qcdq.onnx"


def digits_keras() -> Path:
    """The Keras file of a network 64-24-10 of HGQ2 layers on the same digits, a format for each element.

    Its input is an image of `digits_samples` as a row of 64.
    """
    return FOLDER / "digits_hgq2_mlp.keras"


def digits_samples() -> tuple[Array, Array]:
    """(x, y): 500 images, float32 (500, 1, 8, 8) with values k/16 in 0..1, and their digits."""
    with np.load(FOLDER / "samples.npz", allow_pickle=False) as data:
        return (data["x"].astype(np.float32) / np.float32(16)).reshape(-1, 1, 8, 8), data["y"].astype(
            np.int64
        )


def digits_reference(name: str = DIGITS[0]) -> tuple[dict[str, Array], Array]:
    """({quantizer's output: integer codes}, float32 outputs) of the qonnx package for all 500 images."""
    with np.load(FOLDER / f"{_known(name)}.reference.npz", allow_pickle=False) as data:
        codes = {k: data[k].astype(np.int64) for k in data.files if k != "out"}
        return codes, data["out"]


def _known(name: str) -> str:
    if name not in DIGITS:
        raise ValueError(f"name must be one of {', '.join(DIGITS)}, not {name!r}")
    return name
