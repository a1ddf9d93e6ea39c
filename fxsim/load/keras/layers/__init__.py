"""Handlers of Keras' and HGQ2's layers, one file a family; importing the package fills the table."""

from fxsim.load.keras.layers import (
    activation,
    attention,
    conv,
    dense,
    merge,
    norm,
    pool,
    refused,
    shape,
    softmax,
)

__all__ = ["activation", "attention", "conv", "dense", "merge", "norm", "pool", "refused", "shape", "softmax"]
