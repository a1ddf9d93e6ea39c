"""Handlers of Softmax: left out where only its order counts, else exponentials by table and a quotient."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.affine import Activation, Line, Symbol
from fxsim.load.functions import exp
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.functions import HOST, ends
from fxsim.load.nodes.grid import ordered
from fxsim.load.nodes.microsoft import MICROSOFT, padded, requantized
from fxsim.load.nodes.qlinear import operand
from fxsim.load.nodes.reorder import own_axis
from fxsim.trace import minimum

OUT_FRAC = 16  # fraction bits of the quotient: 1/256 of an 8-bit code
TABLE_BITS = 14


@handles("Softmax", "LogSoftmax")
def softmax(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """e**x_k / sum e**x over an axis (before opset 13, over all axes from it on).

    Where it ends the network, or only ArgMax and indices of TopK read it, it is left out: the order is that
    of its operand. Elsewhere see `quotient`.
    """
    x = loader.activation(node, operands[0])
    if ends(loader, node):
        loader.reasons[node.outputs[0]] = HOST.format(node.op)
        return x
    if order_only(loader, node):
        loader.reasons[node.outputs[0]] = f"{node.op} is left out: only its order is read"
        return x
    if node.op == "LogSoftmax":
        raise loader.error(
            node, "is read by other nodes", "end the network with it, or put Softmax and a quantizer there"
        )
    return over_axes(loader, node, x, loader.model.opset)


@handles("QLinearSoftmax", domain=MICROSOFT)
def quantized_softmax(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Softmax of dequantized codes, quantized. The inputs are X, s_x, z_x, s_y, z_y."""
    operands = padded(operands, 5)
    x, _ = operand(loader, node, operands[:3])
    y = over_axes(loader, node, x, int(node.get("opset", loader.model.opset)))
    return requantized(loader, node, y, operands[3], operands[4])


def order_only(loader: Loader, node: FileNode) -> bool:
    """Do only ArgMax and TopK read the result, and nothing the values of the latter?"""
    name = node.outputs[0]
    readers = [n for n in loader.model.nodes if name in n.inputs]
    used = {v for n in loader.model.nodes for v in n.inputs} | set(loader.model.outputs)
    plain = all(n.op == "ArgMax" or (n.op == "TopK" and n.outputs[0] not in used) for n in readers)
    return bool(readers) and plain and name not in loader.model.outputs


def over_axes(loader: Loader, node: FileNode, x: Activation, opset: int) -> Activation:
    """The quotient over the node's axis, or, by the older rule, over all axes from it on."""
    rank = len(x.shape) + 1
    axis = own_axis(loader, node, rank, int(node.get("axis", -1 if opset >= 13 else 1)))
    x = ordered(loader, node, x)
    shape = x.shape
    if opset < 13 and axis < len(shape) - 1:
        flat = x.tensor.reshape(*shape[:axis], -1)
        y = quotient(loader, node, Activation(flat, x.lines), axis)
        return Activation(y.tensor.reshape(*shape), y.lines)
    return quotient(loader, node, x, axis)


def quotient(loader: Loader, node: FileNode, x: Activation, axis: int) -> Activation:
    """p_k = e_k / sum e, a "softmax_quotient" block.

        z_k = max v - v_k                                   exact, >= 0
        e_k = round(e**(-s z_k) * 2**F)                     a table up to the first 0; F = 18 + log2(K + 1)
        p_k = floor((2 * 2**16 * e_k + S) / (2 S))          S the sum of the e_k, >= 2**F

    Every e_k is off by at most 2**-(F+1), so that e_k / S is off by (K + 1) 2**-(F+1) < 2**-18 (the proof is
    at fxsim.layers.softmax.Softmax.bound); the rounding adds 2**-17. Their sum is the param `max_error`, in
    LSB of p_k, which are 2**-16. ValueError where the table would have more than 2**14 entries.
    """
    size = x.shape[axis]
    out, frac = OUT_FRAC, OUT_FRAC + 2 + size.bit_length()
    step = x.lines[0].scale * Fraction(2) ** -x.tensor.frac
    entries: list[int] = []
    span = x.tensor.type.bounds[1] - x.tensor.type.bounds[0]
    while len(entries) <= span and (not entries or entries[-1]):
        if len(entries) > 1 << TABLE_BITS:
            raise loader.error(
                node, f"has an operand whose scale {float(step):g} is too fine for a table",
                "put a quantizer right before it",
            )  # fmt: skip
        low, high = (round(v * (1 << frac)) for v in exp(-step * len(entries)))
        if low != high:
            raise loader.error(node, "has an exponential at a tie", "change its scale")
        entries.append(low)
    error = Fraction((size + 1) << out, 1 << (frac + 1)) + Fraction(1, 2)
    params = {
        "size": size,
        "axis": axis,
        "scale": step,
        "exp_frac": frac,
        "out_frac": out,
        "max_error": error,
    }
    keep = [1 if i == axis else n for i, n in enumerate(x.shape)]
    with loader.builder.block("softmax_quotient", loader.block_name(node), [x.tensor], params) as outputs:
        raw = x.tensor << x.tensor.frac if x.tensor.frac else x.tensor
        distance = (raw.max(axis).reshape(keep) - raw).relu()
        distance = minimum(distance, len(entries) - 1)
        table = ops.Table(IntArray(np.array(entries, np.int64)), 0, 0, None, "exp_negative", Fraction(1, 2))
        e = loader.builder.apply(table, distance)
        total = e.sum(axis).reshape(keep)
        p = loader.builder.apply(ops.Div(), e * (2 << out) + total, total * 2)
        outputs.append(minimum(p, 1 << out) >> out)
    return Activation(outputs[0], (Line(),))
