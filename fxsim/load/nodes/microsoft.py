"""Handlers of onnxruntime's own integer ops, which its quantizer writes beside the standard ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.load.affine import Activation, Channels, Constant, Symbol, as_fractions, channels
from fxsim.load.functions import Apply
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import curve_of, mapped
from fxsim.load.nodes.dense import coded, dense, scaled
from fxsim.load.nodes.functions import leaky, real
from fxsim.load.nodes.join import concatenated_parts, summed
from fxsim.load.nodes.pool import average
from fxsim.load.nodes.product import product
from fxsim.load.nodes.qdq import clipped, code_range, dequantized_constant, quantized
from fxsim.load.nodes.qlinear import operand, parameters
from fxsim.load.nodes.quant import Quantizer, codes
from fxsim.load.terms import Curve

MICROSOFT = "com.microsoft"


# These add the result's zero point before they round, the others (and QuantizeLinear) after it: an odd zero
# point changes where ties go.
ZERO_FIRST = frozenset({"QLinearAdd", "QLinearMul", "QLinearAveragePool"})


def requantized(loader: Loader, node: FileNode, y: Activation | Curve, scale: Any, zero: Any) -> Activation:
    """The codes of the node's result, at the scale and zero point that it gives."""
    out = parameters(loader, node, scale, zero, (loader.batch, *y.shape), "result", 1)
    lo, hi = clipped(loader, node, *code_range(loader, node, out))
    if node.op not in ZERO_FIRST:
        return quantized(loader, node, y, out, lo, hi)
    q = Quantizer(out.scale, out.zero.astype(np.float32), np.array(lo), np.array(hi))
    found = codes(loader, node, y, q)
    return found.map(
        lambda line, s, z: line.then(1 / s, z), channels(out.scale, y.shape), channels(out.zero, y.shape)
    )


def padded(operands: list[Any], n: int) -> list[Any]:
    """The operands, those left out as None."""
    return operands + [None] * (n - len(operands))


@handles("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def quantized_pair(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """saturate(round half-even((a op b) / s_c + z_c)) of the reals a and b; one may be a constant.

    The inputs are A, s_a, z_a, B, s_b, z_b, s_c, z_c.
    """
    operands = padded(operands, 8)
    a, b = (real_operand(loader, node, operands[i : i + 3]) for i in (0, 3))
    if node.op == "QLinearAdd":
        y = summed(loader, node, Fraction(1), a, b)
    elif isinstance(a, Constant) or isinstance(b, Constant):
        x, c = (b, a) if isinstance(a, Constant) else (a, b)
        assert isinstance(x, Activation) and isinstance(c, Constant)
        y = scaled(x, channels(c.fractions(), x.shape))
    else:
        y = product(loader, node, a, b)
    return requantized(loader, node, y, operands[6], operands[7])


def real_operand(loader: Loader, node: FileNode, triple: list[Any]) -> Activation | Constant:
    """The real operand of (codes, scale, zero point)."""
    if isinstance(triple[0], Constant):
        p = parameters(loader, node, triple[1], triple[2], triple[0].values.shape, "operand", 0)
        return dequantized_constant(loader, node, triple[0], p)
    return operand(loader, node, triple)[0]


@handles("QLinearAveragePool", "QLinearGlobalAveragePool", domain=MICROSOFT)
def quantized_average(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The exact mean of codes, requantized; channels_last is refused."""
    operands = padded(operands, 5)
    if node.get("channels_last", 0):
        raise loader.error(
            node, "has channels_last = 1", "export it before onnxruntime's layout optimization"
        )
    x, _ = operand(loader, node, operands[:3])
    return requantized(loader, node, average(loader, node, x), operands[3], operands[4])


@handles("QLinearConcat", domain=MICROSOFT)
def quantized_concat(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Each part requantized to the result's scale, then one after another.

    The inputs are s_y, z_y, and X, s_x, z_x of each part.
    """
    if len(operands) < 5 or len(operands) % 3 != 2:
        raise loader.error(
            node, f"has {len(operands)} inputs", "give it a scale and zero point, and three inputs a part"
        )
    parts = []
    for i in range(2, len(operands), 3):
        x, _ = operand(loader, node, operands[i : i + 3])
        p = parameters(loader, node, operands[0], operands[1], (loader.batch, *x.shape), "result", 1)
        parts.append(quantized(loader, node, x, p, *code_range(loader, node, p)))
    return concatenated_parts(loader, node, parts)


@handles("QLinearLeakyRelu", "QLinearSigmoid", domain=MICROSOFT)
def quantized_function(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The result's code for every code of the operand, a table. The inputs are X, s_x, z_x, s_y, z_y."""
    operands = padded(operands, 5)
    x, _ = operand(loader, node, operands[:3])
    if node.op == "QLinearSigmoid":
        y: Any = mapped(curve_of(x), lambda term: Apply("sigmoid", term))
    else:
        y = leaky(loader, node, x, Channels((real(node, "alpha", 0.01),)))
    return requantized(loader, node, y, operands[3], operands[4])


@handles("QGemm", domain=MICROSOFT)
def quantized_gemm(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """alpha * A @ B + C, requantized if the node gives a result's scale; C is int32 of scale alpha s_a s_b.

    The inputs are A, s_a, z_a, B, s_b, z_b, C, s_y, z_y. B may be transposed, A not.
    """
    operands = padded(operands, 9)
    if node.get("transA", 0):
        raise loader.error(node, "has transA = 1, which transposes the batch axis", "export it with 0")
    x, p = operand(loader, node, operands[:3])
    w = loader.constant(node, operands[3], "weight matrix")
    transposed = bool(node.get("transB", 0))
    q = parameters(loader, node, operands[4], operands[5], w.values.shape, "weights", 0 if transposed else 1)
    whole, scale = coded(loader, node, dequantized_constant(loader, node, w, q))
    if whole.ndim != 2:
        raise loader.error(node, f"has weights of shape {whole.shape}", "use a matrix (inputs, outputs)")
    if transposed:
        whole, scale = whole.T, scale.T
    alpha = real(node, "alpha", 1.0)
    bias = None
    if operands[6] is not None:
        c = loader.constant(node, operands[6], "bias").values.astype(np.int64)
        factor = as_fractions(p.scale) * as_fractions(np.broadcast_to(q.scale.ravel(), c.shape[-1:]))
        bias = Constant(np.asarray(factor * alpha * c, object))
    y = dense(loader, node, x, (whole, np.asarray(scale * alpha)), bias)
    if operands[7] is None:
        return y
    return requantized(loader, node, y, operands[7], operands[8])
