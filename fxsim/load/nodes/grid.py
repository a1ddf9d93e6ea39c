"""Tensors on one grid: integer factors and shifts that make codes of unequal scales comparable, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray, to_object
from fxsim.load.affine import Activation, Line
from fxsim.load.loader import Loader
from fxsim.load.model import FileNode
from fxsim.trace import Tensor

GRID_BITS = 32  # of the factors


def common(values: Sequence[Fraction]) -> Fraction:
    """The greatest number of which all are multiples (1 if all are 0)."""
    d = lcm(*(v.denominator for v in values))
    return Fraction(gcd(*(int(v * d) for v in values)) or 1, d)


def ordered(loader: Loader, node: FileNode, x: Activation) -> Activation:
    """x with one rising line for all channels, so that its integers order as its reals do.

    Channels of other scales, signs or zero points are multiplied and shifted by integers of at most 32 bits.
    """
    x = loader.materialised(node, x)
    (tensor,), line = gridded(loader, node, [x])
    return Activation(tensor, (line,)).settled()


def gridded(loader: Loader, node: FileNode, parts: Sequence[Activation]) -> tuple[list[Tensor], Line]:
    """The tensors of all parts as integers of one rising line, and that line.

    The parts have no clamps. With offset o of the first line and unit u, (s v + o_i - o) / u is an integer
    multiple of v's grid for every channel. ValueError where that grid is finer than 2**-32 of a part's.
    """
    lines = [(p, li) for p in parts for li in p.lines]
    first = lines[0][1]
    units = [li.scale * Fraction(2) ** -p.tensor.frac for p, li in lines]
    unit = common([*units, *(li.offset - first.offset for _, li in lines)])
    if all(li == first for _, li in lines) and first.scale > 0 and len({p.tensor.frac for p in parts}) == 1:
        return [p.tensor for p in parts], first
    out = []
    for p in parts:
        factors = [li.scale * Fraction(2) ** -p.tensor.frac / unit for li in p.lines]
        shifts = [(li.offset - first.offset) / unit for li in p.lines]
        if max(abs(int(v)).bit_length() for v in (*factors, *shifts)) > GRID_BITS:
            raise loader.error(
                node,
                f"compares codes of unequal scales, whose common grid is finer than 2**-{GRID_BITS} of them",
                "share one quantizer, or use power-of-two scales",
            )  # fmt: skip
        raw = p.tensor << p.tensor.frac if p.tensor.frac else p.tensor
        y = raw
        if any(f != 1 for f in factors):
            y = raw * along(raw, factors, p.axis)
        if any(shifts):
            y = y + along(raw, shifts, p.axis)
        out.append(y)
    return out, Line(unit, first.offset)


def along(x: Tensor, values: Sequence[Fraction | int], axis: int | None) -> Tensor:
    """A constant integer, or one per index of `axis`, that broadcasts against x."""
    a = to_object(np.array([int(v) for v in values], object))
    a = a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    return x.builder.apply(ops.Const(IntArray(a)))
