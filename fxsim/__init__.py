"""Fixed-point networks and iterations as one typed graph, emulated exactly and read out as hardware."""

from importlib import import_module
from typing import Any

from fxsim.array import FxArray
from fxsim.casting import cast
from fxsim.formats import SQ, UQ, Format, Overflow, Rounding, from_kif
from fxsim.graph import Graph, Interpreter
from fxsim.load import load
from fxsim.machine import Machine
from fxsim.trace import concat, constant, maximum, minimum, select, trace
from fxsim.types import TensorType

__version__ = "0.1.0"

__all__ = [
    "SQ", "UQ", "Format", "FxArray", "Graph", "Interpreter", "Machine", "Overflow", "Rounding", "TensorType",
    "cast", "concat", "constant", "from_kif", "iterate", "load", "maximum", "minimum", "select", "trace",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "iterate":  # built on the rest, and not needed by most
        return import_module("fxsim.iterate")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
