"""Handlers of channels-last nodes: qonnx's channels_last domain and MaxPoolNHWC, by the standard ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.affine import Activation, Constant, Symbol
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.windows import channels_first, channels_last
from fxsim.load.table import HANDLERS


@handles("BatchNormalization", domain="channels_last")
def batch_norm(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Lines over the same tensor, along its last axis."""
    x = loader.activation(node, operands[0])
    y = HANDLERS[node.op](loader, node, [channels_first(x), *operands[1:]])
    assert isinstance(y, Activation)
    return Activation(x.tensor, y.lines, None if y.axis is None else len(x.shape) - 1)


@handles("Conv", "MaxPool", domain="channels_last")
def standard(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The standard op with its data, and Conv's weights (outputs, *kernel, channels), in the other order."""
    return turned(loader, node, operands, node.op)


@handles("MaxPoolNHWC", domain="qonnx")
def max_pool(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """MaxPool of (batch, height, width, channels)."""
    return turned(loader, node, operands, "MaxPool")


def turned(loader: Loader, node: FileNode, operands: list[Any], op: str) -> Symbol:
    """The handler of the standard op between two transpositions, which are free."""
    x = loader.activation(node, operands[0])
    rest = list(operands[1:])
    if op == "Conv" and rest:
        rest[0] = first(loader.constant(node, rest[0], "weight tensor as second operand"))
    y = HANDLERS[op](loader, node, [channels_first(x), *rest])
    if not isinstance(y, Activation):
        raise loader.error(node, "has several results", "use the standard op")
    return channels_last(y)


def first(w: Constant) -> Constant:
    """(outputs, *kernel, channels) as (outputs, channels, *kernel), integers and scales alike."""

    def move(a: Array) -> Array:
        return np.moveaxis(np.broadcast_to(a, w.values.shape), -1, 1)

    if w.codes is None or w.scale is None:
        return Constant(move(w.values))
    return Constant(move(w.values), move(w.codes), move(w.scale))
