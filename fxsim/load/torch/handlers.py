"""Handlers of the quantizers as PyTorch rounds them: with bounds of their own, to three values, of a sum."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.load.affine import Activation, Line, RealInput, Symbol, as_fractions, log2
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.qdq import Linear, quantized
from fxsim.load.nodes.quant import Quantizer, codes, host_codes

DOMAIN = "fxsim.torch"

# How far float32 may be off where an accumulator's scale is compared with that of its QuantTensor.
SNAP = Fraction(1, 1 << 18)


@handles("Quant", domain=DOMAIN)
def quant(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """clip(round(x / scale + zero point), low, high): a Brevitas integer quantizer."""
    x, scale, zero = operands
    low, high = np.asarray(node.get("low")), np.asarray(node.get("high"))
    q = Quantizer(scale.values, zero.values, low, high, str(node.get("rounding")))
    if isinstance(x, RealInput):
        return host_codes(loader, node, x, q)
    return codes(loader, node, loader.real(node, x), q)


@handles("Round", domain=DOMAIN)
def rounded(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """clip(rint(x) + zero point, low, high); the zero point is added behind the rounding."""
    x, zero = operands
    if not isinstance(x, RealInput):
        x = loader.real(node, x)
    p = Linear(np.ones((), np.float32), zero.values, None)
    return quantized(loader, node, x, p, int(node.get("low")), int(node.get("high")))


@handles("Ternary", domain=DOMAIN)
def ternary(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """sign(x) where |x| > threshold, else 0: the codes of x / (2 * threshold), ties toward zero."""
    x, scale, threshold = operands
    if isinstance(x, RealInput):
        raise loader.error(
            node, "is a ternary input quantizer", "pass input=Format, so that it becomes hardware"
        )
    s, t = (as_fractions(v.values).ravel() for v in (scale, threshold))
    if len(s) != 1 or len(t) != 1 or t[0] <= 0:
        raise loader.error(node, "has several scales or no positive threshold", "use one scale per tensor")
    wide = loader.activation(node, x).map(lambda line: line.then(s[0] / (2 * t[0]), Fraction(0)))
    ends = np.array(-1), np.array(1)
    return codes(loader, node, wide, Quantizer(scale.values, np.zeros((), np.float32), *ends, "HALF_DOWN"))


@handles("Trunc", domain=DOMAIN)
def trunc(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """clip(round(n / t), low, high) of an accumulator's codes n = x / scale + zero point; t = out / scale.

    The float32 scale of a mean (scale / elements) is rounded in the QuantTensor, but n is a whole number by
    construction, which Brevitas restores by rounding: so it is exact here.
    """
    x = loader.materialised(node, loader.activation(node, operands[0]))
    if any(o.values.size != 1 for o in operands[1:]):
        raise loader.error(node, "truncates with scales per channel", "use one scale per tensor before it")
    scale, out, zero, out_zero = (Fraction(float(o.values.reshape(()))) for o in operands[1:])
    factor = out / scale
    if log2(factor) is None:
        raise loader.error(node, f"divides by {float(factor):g}", "divide by a power of two")
    unit = Fraction(2) ** -x.tensor.frac
    lines = []
    for line in x.lines:
        step = whole(loader, node, line.scale * unit / scale)
        start = whole(loader, node, line.offset / scale + zero)
        lines.append(Line(step * out / factor / unit, start * out / factor))
    low, high = np.asarray(node.get("low")), np.asarray(node.get("high"))
    q = Quantizer(
        operands[2].values.reshape(()), np.zeros((), np.float32), low, high, str(node.get("rounding"))
    )
    y = codes(loader, node, Activation(x.tensor, tuple(lines), x.axis).settled(), q)
    return y.map(lambda line: line.then(Fraction(1), -out_zero * out)) if out_zero else y


def whole(loader: Loader, node: FileNode, value: Fraction) -> Fraction:
    """The whole number that a quotient of float32 scales stands for."""
    near = Fraction(round(value))
    if abs(value - near) > SNAP * max(Fraction(1), abs(value)):
        raise loader.error(
            node, f"truncates an accumulator whose codes are {float(value):g} of its scale's",
            "put the pool right behind a quantizer",
        )  # fmt: skip
    return near
