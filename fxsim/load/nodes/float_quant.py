"""Handler of FloatQuant (QONNX): small floating-point numbers by thresholds and a table of their values."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import QUANT_ROUNDINGS
from fxsim.host import FloatEncoder, float_codes
from fxsim.integers import IntArray, to_object
from fxsim.load.affine import Activation, Constant, RealInput, Symbol, channels
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.multithreshold import Row, counted
from fxsim.load.nodes.quant import parameter
from fxsim.load.nodes.trunc import positive
from fxsim.load.steps import boundary

MAX_CODES = 1 << 12
MAX_LARGEST = 1 << 62


@handles("FloatQuant", domain="qonnx")
def float_quant(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """x / scale rounded to m bits behind its leading one, times scale.

    The rounding is not finer than 2**(1 - bias - m), and clipped to the format's greatest number or max_val.

    The inputs are x, scale, bits of the exponent, bits of the mantissa m, exponent bias, max_val. As in the
    reference: signed, with subnormal numbers, whatever the attributes say. Constants and the host's input are
    rounded in float32; activations exactly, each number from its threshold on.
    """
    if len(operands) < 6 or any(o is None for o in operands[:6]):
        raise loader.error(
            node, f"has {len(operands)} inputs", "give x, scale, exponent and mantissa bits, bias, max_val"
        )
    x, scale = operands[0], positive(loader, node, operands[1])
    mantissa, frac, largest = number_format(loader, node, operands)
    rounding = str(node.get("rounding_mode", "ROUND")).upper()
    if rounding not in QUANT_ROUNDINGS or not node.get("saturation", 1):
        raise loader.error(
            node, f"has rounding_mode {rounding!r} and saturation {node.get('saturation', 1)}",
            f"use saturation 1 and one of {', '.join(QUANT_ROUNDINGS)}",
        )  # fmt: skip
    unit = Fraction(2) ** -frac
    if isinstance(x, Constant):
        values = np.asarray(x.values, np.float32)
        if not np.all(np.isfinite(values)):
            raise loader.error(node, "quantizes a constant that is not finite", "train or export it again")
        codes = float_codes((values / scale).astype(np.float32), mantissa, frac, largest, rounding)
        step = np.asarray(scale * np.float32(unit), np.float32)
        return Constant((codes * unit.__float__()).astype(np.float32) * scale, codes, step)
    if isinstance(x, RealInput):
        found = x.unwired(scale)
        scales = tuple(float(v) for v in found.values)
        encoder = FloatEncoder(scales, mantissa, frac, largest, rounding, found.axis)
        return placed(Activation(loader.encoded(node, x, encoder, None, frac)), scale)
    x = loader.activation(node, x)
    factor = channels(scale, x.shape)
    y = x.map(lambda line, s: line.then(1 / s, Fraction(0)), factor)
    entries, row = numbers(mantissa, frac, largest, rounding)
    with loader.builder.block("float_quant", loader.block_name(node), [x.tensor]) as outputs:
        count = counted(loader, y, [row], None)
        low, high = count.type.bounds
        table = ops.Table(IntArray(to_object(np.array(entries[low : high + 1], object))), low, frac)
        result = placed(Activation(loader.builder.apply(table, count)), scale)
        outputs.append(result.tensor)
    return result


def placed(x: Activation, scale: Any) -> Activation:
    """x * scale."""
    return x.map(lambda line, s: line.then(s, Fraction(0)), channels(scale, x.shape)).settled()


def number_format(loader: Loader, node: FileNode, operands: list[Any]) -> tuple[int, int, int]:
    """(mantissa bits, frac of the finest number, greatest number in its units)."""
    names = ("number of exponent bits", "number of mantissa bits", "exponent bias")
    found = [parameter(loader, node, o, n).ravel() for o, n in zip(operands[2:5], names, strict=True)]
    top = parameter(loader, node, operands[5], "max_val").ravel()
    if any(len(a) != 1 or a[0] != int(a[0]) for a in found) or len(top) != 1 or not top[0] > 0:
        raise loader.error(node, "has a format that varies or is not whole", "use one format per tensor")
    exponent, mantissa, bias = (int(a[0]) for a in found)
    if not 1 <= exponent <= 8 or not 0 <= mantissa <= 23 or abs(bias) > 255:
        raise loader.error(
            node, f"has {exponent} exponent and {mantissa} mantissa bits with the bias {bias}",
            "use 1..8, 0..23, and a bias within 255",
        )  # fmt: skip
    frac = bias + mantissa - 1
    unit = Fraction(2) ** -frac
    highest = (2 - Fraction(1, 1 << mantissa)) * Fraction(2) ** ((1 << exponent) - 1 - bias)
    largest = min(highest, Fraction(float(top[0]))) / unit
    if largest.denominator != 1 or not 1 <= largest < MAX_LARGEST:
        raise loader.error(
            node, f"has the greatest number {float(largest * unit):g}, which is no multiple of 2**{-frac}, "
            "or 2**62 times it and more", "use a smaller exponent, or Quant",
        )  # fmt: skip
    return mantissa, frac, int(largest)


def numbers(mantissa: int, frac: int, largest: int, rounding: str) -> tuple[list[int], Row]:
    """(all numbers ascending in units, the level at which each but the first begins)."""
    positive_: list[int] = list(range(1, min(largest, (2 << mantissa) - 1) + 1))
    steps = [1] * len(positive_)
    step = 2
    while positive_[-1] < largest:
        for k in range(1 << mantissa, 2 << mantissa):
            if positive_[-1] >= largest:
                break
            positive_.append(min(k * step, largest))
            steps.append(step if k > 1 << mantissa else step // 2)
        step *= 2
        if len(positive_) > MAX_CODES:
            raise ValueError(f"a format of more than {2 * MAX_CODES} numbers; use fewer bits, or Quant")
    unit = Fraction(2) ** -frac
    above: list[tuple[Fraction, bool]] = []
    below: list[tuple[Fraction, bool]] = []
    for value, size in zip(positive_, steps, strict=True):
        # The number is reached from a boundary of its rounding, in steps of the binade below it.
        j = -(-value // size)
        t, inclusive = boundary(j, rounding)
        above.append((t * size * unit, inclusive))
        t, inclusive = boundary(1 - j, rounding)  # what follows -j begins here
        below.append((t * size * unit, inclusive))
    entries = [-v for v in reversed(positive_)] + [0] + positive_
    return entries, [*reversed(below), *above]
