"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: positions by the runtime's rules, weights of 10 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array, IntArray
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.symbols import Codes
from fxsim.trace import Tensor

UNIT = 10  # bits of the weights between two pixels


@handles("RESIZE_NEAREST_NEIGHBOR")
def nearest(loader: Loader, op: FileOp) -> Codes:
    """Rows and columns repeated or left out, at the runtime's float32 positions."""
    x, _ = loader.operand(op, 0)
    size = _size(loader, op, x)
    y = x.tensor
    for axis, wanted in enumerate(size):
        y = y.take(_positions(y.shape[axis], wanted, op.options), axis)
    return Codes(y)


def _positions(now: int, wanted: int, options: Any) -> Array:
    """Where each of `wanted` positions lies among `now`."""
    corners, half = options["AlignCorners"], options["HalfPixelCenters"]
    f32 = np.float32
    scale = f32(now - 1) / f32(wanted - 1) if corners and wanted > 1 else f32(now) / f32(wanted)
    at = (np.arange(wanted, dtype=f32) + f32(0.5 if half else 0.0)) * scale
    found = np.floor(at + f32(0.5)) if corners else np.floor(at)
    return np.asarray(np.clip(found.astype(np.int64), 0, now - 1))


def _size(loader: Loader, op: FileOp, x: Codes) -> tuple[int, ...]:
    """The wanted height and width; a ValueError for other operands than images."""
    size = loader.whole(op, 1, "size")
    if not x.lead or x.tensor.ndim != 3 or len(size) != 2 or min(size) < 1:
        raise loader.error(op, f"resizes {loader.shape(x)} to {size}", "use (batch, height, width, channels)")
    loader.room(op, *size, x.tensor.shape[2])
    return size


@handles("RESIZE_BILINEAR")
def bilinear(loader: Loader, op: FileOp) -> Codes:
    """Four neighbours by weights of 10 bits each way, the sum divided by 2**20, ties away from zero."""
    x, _ = loader.operand(op, 0)
    size = _size(loader, op, x)
    y = x.tensor
    with loader.builder.block("resize", loader.block_name(op.short), [y]) as outputs:
        for axis, wanted in enumerate(size):
            first, second, part = _between(y.shape[axis], wanted, op.options)
            y = _weighted(y, axis, first, (1 << UNIT) - part) + _weighted(y, axis, second, part)
        outputs.append((y >> 2 * UNIT).cast(Format(8, 8, True, Rounding.RND_INF, Overflow.SAT)))
    return Codes(outputs[0])


def _weighted(y: Tensor, axis: int, at: Array, weight: Array) -> Tensor:
    column = weight.reshape(-1, *[1] * (y.ndim - 1 - axis))
    return y.take(at, axis) * y.builder.apply(ops.Const(IntArray(column)))


def _between(now: int, wanted: int, options: Any) -> tuple[Array, Array, Array]:
    """(lower, upper neighbour, weight of the upper one in 2**-10) of each position."""
    corners = options["AlignCorners"] and wanted > 1
    n, m = (now - 1, wanted - 1) if corners else (now, wanted)
    scale = ((n << UNIT) + m // 2) // m
    at = np.arange(wanted, dtype=np.int64) * scale
    if options["HalfPixelCenters"]:
        at = at + scale // 2 - (1 << (UNIT - 1))
    lower = np.maximum(at, 0) >> UNIT
    upper = np.minimum(np.maximum(at + (1 << UNIT) - 1, 0) >> UNIT, now - 1)
    return np.minimum(lower, now - 1), upper, at - (lower << UNIT)
