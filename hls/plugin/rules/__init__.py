"""The rules of hls4ml's layers, one file for each kind of arithmetic; importing this fills the table."""

from hls.plugin.rules import (
    activation,
    conv,
    layernorm,
    linear,
    merge,
    norm,
    pool,
    relu,
    shape,
    softmax,
    tables,
)

__all__ = [
    "activation",
    "relu",
    "pool",
    "norm",
    "merge",
    "conv",
    "layernorm",
    "linear",
    "shape",
    "softmax",
    "tables",
]
