"""Handlers of products: by constants a change of scale or dense, of two activations exact in their codes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.load.affine import Activation, Channels, Constant, Line, Symbol, channels
from fxsim.load.functions import Apply
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import combined, curve_of, mapped
from fxsim.load.nodes.dense import dense, scaled, weights
from fxsim.load.nodes.elements import per_element
from fxsim.load.nodes.grid import GRID_BITS, along
from fxsim.load.nodes.join import lifted
from fxsim.load.terms import scaled as times
from fxsim.trace import Tensor


@handles("Mul", "Div")
def multiply(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """A change of scale; a product of two activations; a function of one code, where both are of the same."""
    a, b = operands
    kind = node.op.lower()
    curve = combined(loader, node, kind, a, b)
    if curve is not None:
        return curve
    if kind == "mul":
        a, b = per_element(loader, node, a, b), per_element(loader, node, b, a)
        if isinstance(a, Constant):
            a, b = b, a
    if isinstance(b, Constant):
        x = loader.activation(node, a)
        factor = channels(b.fractions(), x.shape)
        if kind == "div":
            if any(v == 0 for v in factor.values):
                raise loader.error(node, "divides by 0", "correct the constant")
            factor = Channels(tuple(1 / v for v in factor.values), factor.axis)
        return scaled(x, factor)
    if kind == "mul":
        return product(loader, node, loader.activation(node, a), loader.activation(node, b))
    if isinstance(a, Constant):
        inverse = mapped(curve_of(loader.real(node, b)), lambda term: Apply("reciprocal", term))
        return mapped(inverse, times, channels(a.fractions(), inverse.shape))
    raise loader.error(
        node, "divides by an activation", "put a Reciprocal and a quantizer on the divisor, then multiply"
    )


@handles("MatMul")
def matmul(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """activation @ weights, weights @ activation (as the transposed product), or of two activations."""
    a, b = operands
    if isinstance(a, Constant):
        x = loader.activation(node, b, "its second operand")
        codes, scale = weights(loader, node, a)
        if len(x.shape) < 2:
            raise loader.error(
                node, f"multiplies weights by {x.shape}, which mixes the batch", "put the weights second"
            )
        y = dense(loader, node, turned(x), (codes.T, scale.T), None)
        return turned(y)
    if isinstance(b, Constant):
        return dense(loader, node, a, weights(loader, node, b), None)
    return contraction(loader, node, loader.activation(node, a), loader.activation(node, b))


def turned(x: Activation) -> Activation:
    """The last two axes exchanged."""
    n = len(x.shape)
    order = (*range(n - 2), n - 1, n - 2)
    return Activation(x.tensor.transpose(*order), x.lines, None if x.axis is None else order.index(x.axis))


def contraction(loader: Loader, node: FileNode, a: Activation, b: Activation) -> Activation:
    """The product of two activations' matrices, s t (v @ w), with zero points taken off first."""
    x, y = (centred(loader, node, loader.materialised(node, v)) for v in (a, b))
    fits = len(x.shape) > 1 and len(y.shape) > 1 and x.shape[-1] == y.shape[-2]
    if not fits:
        raise loader.error(
            node, f"multiplies {x.shape} by {y.shape} beside the batch", "give both two axes that fit"
        )
    if x.axis is not None or y.axis is not None:
        raise loader.error(node, "multiplies activations of unequal scales", "use one scale per tensor")
    with loader.builder.block("matmul", loader.block_name(node), [x.tensor, y.tensor]) as outputs:
        line = Line(x.lines[0].scale * y.lines[0].scale)
        result = Activation(x.tensor @ y.tensor, (line,)).settled()
        outputs.append(result.tensor)
    return result


@handles("Neg")
def negated(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """-x: a line of the other sign."""
    x = loader.real(node, operands[0])
    minus = Channels((Fraction(-1),))
    return scaled(x, minus) if isinstance(x, Activation) else mapped(x, times, minus)


def product(loader: Loader, node: FileNode, a: Activation, b: Activation) -> Activation:
    """(s v) (t w) = s t (v w) as a "multiply" block, exactly; shapes broadcast.

    Zero points are taken off the codes first, v + o / s. ValueError where o / s has a denominator of more
    than 32 bits, or where scales vary along different axes.
    """
    same = a.tensor.node is b.tensor.node and (a.lines, a.axis) == (b.lines, b.axis)
    x = centred(loader, node, loader.materialised(node, a))
    y = x if same else centred(loader, node, loader.materialised(node, b))
    rank = max(len(x.shape), len(y.shape))
    x, y = lifted(x, rank), lifted(y, rank)
    axes = {v.axis for v in (x, y)} - {None}
    shape = np.broadcast_shapes(x.shape, y.shape)
    axis = axes.pop() if axes else None
    if axes or any(v.axis is not None and v.shape[v.axis] != shape[v.axis] for v in (x, y)):
        raise loader.error(
            node, "multiplies activations whose scales vary along other axes", "use one scale per tensor"
        )
    with loader.builder.block("multiply", loader.block_name(node), [x.tensor, y.tensor]) as outputs:
        n = max(len(x.lines), len(y.lines))
        rows = zip(x.lines * (n // len(x.lines)), y.lines * (n // len(y.lines)), strict=True)
        lines = tuple(Line(p.scale * q.scale) for p, q in rows)
        z = square(x.tensor) if same else x.tensor * y.tensor
        result = Activation(z, lines, axis).settled()
        outputs.append(result.tensor)
    return result


def square(x: Tensor) -> Tensor:
    """x * x. The type of a product does not know that it is a square: the sign is dropped, as none can be."""
    y = x * x
    width = max((max(map(abs, x.type.bounds)) ** 2).bit_length(), 1)
    return y.cast(Format(width, width - y.frac, signed=False))


def centred(loader: Loader, node: FileNode, x: Activation) -> Activation:
    """The same reals with no offset: s v + o = s / d * (d v + n) where o / s = n / d."""
    if all(li.offset == 0 for li in x.lines):
        return x
    if any(li.scale == 0 for li in x.lines):
        raise loader.error(node, "multiplies a channel of scale 0", "put a quantizer right before it")
    unit = Fraction(2) ** -x.tensor.frac
    parts = [li.offset / (li.scale * unit) for li in x.lines]
    if max(max(abs(v.numerator).bit_length(), v.denominator.bit_length()) for v in parts) > GRID_BITS:
        raise loader.error(
            node, "multiplies an activation whose zero point is no code", "put a quantizer right before it"
        )
    raw = x.tensor << x.tensor.frac if x.tensor.frac else x.tensor
    if any(v.denominator != 1 for v in parts):
        raw = raw * along(raw, [v.denominator for v in parts], x.axis)
    lines = tuple(Line(li.scale * unit / v.denominator) for li, v in zip(x.lines, parts, strict=True))
    return Activation(raw + along(raw, [v.numerator for v in parts], x.axis), lines, x.axis).settled()
