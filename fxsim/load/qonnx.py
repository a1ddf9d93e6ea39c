"""ONNX files of quantized networks: QONNX (Quant), QDQ and QCDQ, and the integer products."""

from __future__ import annotations

from pathlib import Path

from fxsim.formats import Format
from fxsim.graph import Graph
from fxsim.load import (
    nodes_conv,
    nodes_dense,
    nodes_join,
    nodes_pool,
    nodes_qdq,
    nodes_qlinear,
    nodes_quant,
    nodes_wiring,
)
from fxsim.load.loader import HANDLERS, Loader
from fxsim.load.onnx_file import read

# Importing a module of handlers fills the table; a new op is one function in one of them.
HANDLER_MODULES = (
    nodes_conv, nodes_dense, nodes_join, nodes_pool, nodes_qdq, nodes_qlinear, nodes_quant, nodes_wiring,
)  # fmt: skip


def load_qonnx(path: Path, input: Format | None = None, rescale: str = "auto") -> Graph:
    """The graph of a QONNX file; see fxsim.load."""
    return Loader(read(path), input, rescale).graph()


def supported() -> tuple[str, ...]:
    """The ops with a handler, sorted; any standard op on constants is folded besides."""
    return tuple(sorted(HANDLERS))
