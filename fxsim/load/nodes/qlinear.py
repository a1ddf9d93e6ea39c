"""Handlers of ONNX's integer products: QLinearConv, QLinearMatMul, ConvInteger and MatMulInteger."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.affine import Activation, Constant, Symbol, as_fractions
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.conv import convolution
from fxsim.load.nodes.dense import coded, dense
from fxsim.load.nodes.qdq import (
    Linear,
    checked,
    clipped,
    code_range,
    dequantized,
    dequantized_constant,
    quantized,
)

ONE = np.ones((), np.float32)


@handles("QLinearConv", "QLinearMatMul")
def quantized_product(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """saturate(round half-even((sum + bias) * s_x * s_w / s_y) + zero), the factor in exact rationals.

    The inputs are x, s_x, z_x, w, s_w, z_w, s_y, z_y, and the int32 bias of scale s_x * s_w. A reference that
    computes the factor in float32 may differ at the accumulators that the rescale lists as near ties.
    """
    operands = operands + [None] * (9 - len(operands))
    x, p = operand(loader, node, operands[:3])
    w, q = weight(loader, node, operands[3:6])
    if node.op == "QLinearConv":
        bias = None
        if operands[8] is not None:
            whole = loader.constant(node, operands[8], "bias").values.astype(np.int64)
            scale = as_fractions(p.scale) * as_fractions(np.broadcast_to(q.scale.ravel(), whole.shape))
            bias = Constant(np.asarray(scale * whole, object))
        y = convolution(loader, node, x, coded(loader, node, w), bias)
    else:
        y = dense(loader, node, x, matrix(loader, node, w), None)
    out = parameters(loader, node, operands[6], operands[7], (loader.batch, *y.shape), "result", 1)
    return quantized(loader, node, y, out, *clipped(loader, node, *code_range(loader, node, out)))


@handles("ConvInteger", "MatMulInteger")
def integer_product(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Sums of (x - z_x) * (w - z_w), exact; the proven range must lie in int32, the type of the result."""
    operands = operands + [None] * (4 - len(operands))
    x, _ = operand(loader, node, [operands[0], Constant(ONE), operands[2]])
    w, _ = weight(loader, node, [operands[1], Constant(ONE), operands[3]])
    if node.op == "ConvInteger":
        y = convolution(loader, node, x, coded(loader, node, w), None)
    else:
        y = dense(loader, node, x, matrix(loader, node, w), None)
    lo, hi = y.tensor.type.bounds
    ends = [li.scale * v * 2**-y.tensor.frac + li.offset for li in y.lines for v in (lo, hi)]
    if min(ends) < -(1 << 31) or max(ends) >= 1 << 31:
        raise loader.error(node, f"may leave int32 ({min(ends)}..{max(ends)})", "use fewer inputs or bits")
    return y


def operand(loader: Loader, node: FileNode, triple: list[Any]) -> tuple[Activation, Linear]:
    """(the real activation, its parameters) of (codes, scale, zero point)."""
    x = loader.activation(node, triple[0], "its first operand")
    p = parameters(loader, node, triple[1], triple[2], (loader.batch, *x.shape), "first operand", 1)
    return dequantized(x, p), p


def weight(loader: Loader, node: FileNode, triple: list[Any]) -> tuple[Constant, Linear]:
    """(integer weights with their scale, their parameters): per output, axis 0 of Conv and 1 of MatMul."""
    w = loader.constant(node, triple[0], "weight tensor")
    axis = 0 if "Conv" in node.op else 1
    p = parameters(loader, node, triple[1], triple[2], w.values.shape, "weights", axis)
    return dequantized_constant(loader, node, w, p), p


def parameters(
    loader: Loader, node: FileNode, scale: Any, zero: Any, shape: tuple[int, ...], what: str, axis: int
) -> Linear:
    """The checked scale and zero point of one tensor of the node."""
    s = loader.constant(node, scale, f"scale of its {what}").values
    z = None if zero is None else loader.constant(node, zero, f"zero point of its {what}").values
    return checked(loader, node, s, z, shape, axis)


def matrix(loader: Loader, node: FileNode, w: Constant) -> tuple[Array, Array]:
    """(codes, scales) of weights (inputs, outputs)."""
    codes, scale = coded(loader, node, w)
    if codes.ndim != 2:
        raise loader.error(node, f"has weights of shape {codes.shape}", "use a matrix (inputs, outputs)")
    return codes, scale
