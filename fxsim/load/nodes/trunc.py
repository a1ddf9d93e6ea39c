"""Handler of Trunc (QONNX, Brevitas): fewer bits of a code by its own rounding, in both versions of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import QUANT_ROUNDINGS
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Activation, Constant, Symbol, channels, log2
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.quant import Quantizer, codes, parameter
from fxsim.load.rescale import reaches

ONE, NONE = np.ones((), np.float32), np.zeros((), np.float32)


@handles("Trunc", domain="qonnx")
def trunc(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Codes c = round half-even(x / scale + zero) without their last k bits.

    Version 1 (five inputs: x, scale, zero, bits, bits of the result): round(c / 2**k), k the difference of
    the bits; the real value is (result - zero) * scale, and no range is applied. Version 2 (six inputs, the
    result's scale the fifth): k = round(log2(result's scale / scale)); the result is clipped to its signed or
    unsigned range, and its zero point is zero / 2**k. `rounding_mode` is FLOOR unless given.
    """
    if len(operands) not in (5, 6) or any(o is None for o in operands):
        raise loader.error(
            node,
            f"has {len(operands)} inputs",
            "give x, scale, zero point, bits, (scale of the result,) bits",
        )
    rounding = str(node.get("rounding_mode", "FLOOR")).upper()
    if rounding not in QUANT_ROUNDINGS:
        raise loader.error(
            node, f"has the rounding mode {rounding!r}", f"use one of {', '.join(QUANT_ROUNDINGS)}"
        )
    if isinstance(operands[0], Constant):
        raise loader.error(node, "truncates a constant", "fold it before export")
    x = loader.activation(node, operands[0])
    scale, zero = positive(loader, node, operands[1]), parameter(loader, node, operands[2], "zero point")
    c = whole(loader, node, x, Quantizer(scale, zero, np.zeros((), int), np.zeros((), int)))
    bits = width(loader, node, operands[-1])
    if len(operands) == 5:
        shift = np.asarray(width(loader, node, operands[3]) - bits)
        made, low, high = scale, None, None
    else:
        made = positive(loader, node, operands[4])
        shift = np.round(np.log2(made / scale)).astype(np.int64)
        range_ = Quantizer.of_bits(
            made, zero, np.asarray(bits), bool(node.get("signed", 1)), bool(node.get("narrow", 0)), rounding
        )
        low, high = range_.lo, range_.hi
    powers = channels(shift, x.shape)
    halved = c.map(lambda line, k: line.then(Fraction(2) ** -int(k), Fraction(0)), powers).settled()
    back = channels(shift * 0, x.shape) if low is None else powers
    if low is None or high is None:
        low, high = ends(halved)
    y = codes(loader, node, halved, Quantizer(ONE, NONE, low, high, rounding))
    zeros, s = channels(zero, x.shape), channels(made, x.shape)
    return y.map(
        lambda line, a, z, k: line.then(a, -z * a * Fraction(2) ** -int(k)), s, zeros, back
    ).settled()


def whole(loader: Loader, node: FileNode, x: Activation, q: Quantizer) -> Activation:
    """round half-even(x / scale + zero) as a tensor of whole numbers, whatever their range; free if x is a
    code of this scale."""
    x = loader.materialised(node, x)
    y = x.map(
        lambda line, s, z: line.then(1 / s, z), channels(q.scale, x.shape), channels(q.zero, x.shape)
    ).settled()
    if whole_numbers(y):
        line, power = y.lines[0], log2(y.lines[0].scale)
        if len(y.lines) > 1 or power is None or line.offset.denominator != 1:
            return y
        # In integers, so that what follows is one cast.
        zero = loader.builder.apply(ops.Const(IntArray(np.array(int(line.offset)))))
        return Activation((y.tensor << power) + zero if line.offset else y.tensor << power)
    low, high = ends(y)
    return codes(loader, node, y, Quantizer(ONE, NONE, low, high))


def whole_numbers(y: Activation) -> bool:
    """Is every value that the types prove reachable an integer?"""
    unit = Fraction(2) ** -y.tensor.frac
    return all(
        (line.scale * unit * reach.step).denominator == 1
        and (line.scale * unit * reach.lo + line.offset).denominator == 1
        for line, reach in zip(y.lines, reaches(y.tensor, y.axis), strict=True)
    )


def ends(y: Activation) -> tuple[Array, Array]:
    """Bounds (least, greatest) of the rounded values, whatever the rounding."""
    unit = Fraction(2) ** -y.tensor.frac
    values = [
        line.scale * unit * end + line.offset
        for line, reach in zip(y.lines, reaches(y.tensor, y.axis), strict=True)
        for end in (reach.lo, reach.hi)
    ]
    return np.array(min(values).__floor__()), np.array(max(values).__ceil__())


def positive(loader: Loader, node: FileNode, symbol: Symbol | None) -> Array:
    """A positive scale."""
    a = parameter(loader, node, symbol, "scale")
    if not np.all(a > 0):
        raise loader.error(node, "has a scale that is not positive and finite", "retrain or export it again")
    return a


def width(loader: Loader, node: FileNode, symbol: Symbol | None) -> int:
    """One bit width."""
    a = parameter(loader, node, symbol, "bit width").ravel()
    if not a.size or np.any(a != a[0]) or not 1 <= a[0] <= 64 or a[0] != int(a[0]):
        raise loader.error(node, f"has the bit width {a.tolist()}", "use one whole number in 1..64")
    return int(a[0])
