"""Handlers of what stands before the first quantizer: float32 arithmetic, which the host does as the file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fxsim.host import HostStep
from fxsim.integers import Array
from fxsim.load.affine import Constant, RealInput, Symbol
from fxsim.load.loader import Loader, on_host
from fxsim.load.model import FileNode


@on_host("Add", "Sub", "Mul", "Div")
def arithmetic(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The real input and a constant, per tensor or per channel, in float32 and in the file's order."""
    x, c = operands
    op = node.op
    if isinstance(x, Constant):
        x, c = c, x
        op = {"Sub": "SubFrom", "Div": "DivBy"}.get(op, op)
    return stepped(loader, node, x, op, loader.constant(node, c, "second operand").values)


@on_host("Relu")
def relu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """max(x, 0)."""
    return stepped(loader, node, operands[0], "Max", np.zeros((), np.float32))


@on_host("Clip")
def clip(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """min(max(x, low), high) with constant bounds, as attributes or inputs."""
    x: Symbol = operands[0]
    for i, (name, op) in enumerate((("min", "Max"), ("max", "Min")), 1):
        value: Any = node.get(name)
        if len(operands) > i and operands[i] is not None:
            value = loader.constant(node, operands[i], "bound").values
        if value is not None:
            x = stepped(loader, node, x, op, np.asarray(value, np.float32))
    return x


@on_host("Cast")
def cast(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """To float32, which the input is already."""
    if int(node.get("to", 0)) != 1:
        raise loader.error(
            node, f"casts the real input to type {node.get('to')}", "cast to float (1), or not at all"
        )
    x: Symbol = operands[0]
    return x


def stepped(loader: Loader, node: FileNode, x: Any, op: str, values: Array) -> RealInput:
    """x with one more step."""
    if not isinstance(x, RealInput):
        raise loader.error(
            node, "joins the real input with an activation", "quantize both, or pass input=Format"
        )
    if values.dtype == np.float64 or not np.all(np.isfinite(values)):
        raise loader.error(
            node, "has a constant that is no finite float32 number before the first quantizer",
            "store it as float32, or pass input=Format",
        )  # fmt: skip
    if np.broadcast_shapes(values.shape, (1, *x.shape)) != (1, *x.shape):
        raise loader.error(node, f"broadcasts {(1, *x.shape)} with {values.shape}", "give both one shape")
    found = x.unwired(np.asarray(values, np.float32))
    step = HostStep(op, tuple(float(v) for v in found.values), found.axis)
    return replace(x, steps=(*x.steps, step))
