"""Iterations in fixed point: units, their certificates, and a library of them."""

from importlib import import_module
from typing import Any

from fxsim.iterate.enclosure import enclosure
from fxsim.iterate.example import Example
from fxsim.iterate.loop import Loop, Memory
from fxsim.iterate.schedules import Schedule, folded, parallel, red_black, sequential, unrolled
from fxsim.iterate.solution import Solution
from fxsim.iterate.stops import STATUS, Stop, count, cycle, delta, residual, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import Update, anchor, assign, damped, each, increment_trunc, relax, two_step

__all__ = [
    "STATUS", "Example", "Loop", "Memory", "Schedule", "Solution", "Stop", "Unit", "Update", "anchor",
    "assign", "count", "cycle", "damped", "delta", "each", "enclosure", "folded", "increment_trunc", "load",
    "parallel", "red_black", "relax", "residual", "sequential", "two_step", "unchanged", "unit", "unrolled",
    "zoo",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "zoo":  # its files import this package
        return import_module("fxsim.iterate.zoo")
    if name == "load":
        return import_module("fxsim.iterate.storage").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
