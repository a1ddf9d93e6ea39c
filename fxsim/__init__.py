"""Fixed-point networks and iterations as one typed graph, emulated exactly and read out as hardware."""

from typing import Any

from fxsim.casting import cast
from fxsim.formats import SQ, UQ, Format, Overflow, Rounding, from_kif
from fxsim.graph import Graph, Interpreter
from fxsim.machine import Machine
from fxsim.trace import concat, constant, maximum, minimum, select, trace
from fxsim.types import TensorType

__version__ = "0.1.0"


def load(path: Any, **options: Any) -> Graph:
    """The graph of a model file (QONNX `.onnx`, or the project's own `.fxs`); see fxsim.load.load for the options."""
    from fxsim.load import load as load_file

    return load_file(path, **options)


__all__ = [
    "SQ", "UQ", "Format", "Graph", "Interpreter", "Machine", "Overflow", "Rounding", "TensorType",
    "cast", "concat", "constant", "from_kif", "load", "maximum", "minimum", "select", "trace",
]  # fmt: skip
