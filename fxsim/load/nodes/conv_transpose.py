"""Handler of ConvTranspose: zeros between the elements, then a convolution with the kernel turned around."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Activation, Symbol
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.conv import convolution
from fxsim.load.nodes.dense import coded
from fxsim.load.nodes.join import with_code
from fxsim.load.nodes.windows import AUTO_PADS, Windows, entries, spatial


@handles("ConvTranspose")
def conv_transpose(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Any number of spatial axes, with strides, pads, output_padding, output_shape, dilations and groups.

    Element i goes to position stride * i; real 0, which must be a code, stands between and around. Weights
    are (channels, outputs / group, *kernel), their scales per tensor or per output.
    """
    x = loader.materialised(node, loader.activation(node, operands[0], "its first operand"))
    bias = None
    if len(operands) > 2 and operands[2] is not None:
        bias = loader.constant(node, operands[2], "bias")
    codes, scale = coded(loader, node, operands[1])
    rank = codes.ndim - 2
    groups = int(node.get("group", 1))
    if rank < 1 or groups < 1 or codes.shape[0] % groups or codes.shape[0] != x.shape[0]:
        raise loader.error(
            node, f"has weights of shape {codes.shape} in {groups} groups for a tensor {x.shape}",
            "use (channels, outputs / group, *kernel), with channels a multiple of group",
        )  # fmt: skip
    space = spatial(loader, node, x, rank)
    kernel = codes.shape[2:]
    strides, dilations = (entries(loader, node, name, rank) for name in ("strides", "dilations"))
    extents = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    before, after = cropped(loader, node, space, strides, extents)
    x, fill = with_code(loader, node, x, Fraction(0))
    for axis in range(rank):
        # Position p of the full result sees positions p - (extent - 1) .. p of the spread input.
        first = before[axis] - (extents[axis] - 1)
        last = strides[axis] * (space[axis] - 1) + 1 + extents[axis] - 1 - after[axis]
        at = np.arange(first, last)
        index = np.where((at % strides[axis] == 0) & (at >= 0), at // strides[axis], space[axis])
        x = spread(x, axis + 1, np.minimum(index, space[axis]), fill)
    if any(n < w for n, w in zip(x.shape[1:], extents, strict=True)):
        raise loader.error(node, "has pads that leave nothing", "correct its pads or output_shape")
    none = (0,) * rank
    shape = Windows(x.shape[1:], kernel, (1,) * rank, dilations, none, none)
    return convolution(loader, node, x, (turned(codes, groups), turned(scale, groups)), bias, shape)


def turned(weights: Array, groups: int) -> Array:
    """(channels, outputs / group, *kernel) as a convolution's (outputs, channels / group, *kernel)."""
    made, rest = weights.shape[1], weights.shape[2:]
    parts = weights.reshape(groups, -1, made, *rest).swapaxes(1, 2)
    whole = parts.reshape(groups * made, -1, *rest)
    return whole[(slice(None), slice(None), *(slice(None, None, -1) for _ in rest))]


def spread(x: Activation, axis: int, index: Array, fill: int) -> Activation:
    """The elements `index` along an axis; the index beyond the last is the code of 0."""
    more = tuple(int(i == axis) for i in range(len(x.shape)))
    padded = x.tensor.builder.apply(ops.Pad((0,) * len(more), more, fill), x.tensor)
    return Activation(padded.builder.apply(ops.Gather(IntArray(index), axis), padded), x.lines, x.axis)


def cropped(
    loader: Loader, node: FileNode, space: tuple[int, ...], strides: tuple[int, ...], extents: tuple[int, ...]
) -> tuple[list[int], list[int]]:
    """(before, after): elements that fall off either end of the full result (after may be negative)."""
    n = len(space)
    extra = tuple(node.get("output_padding", (0,) * n))
    if len(extra) != n or any(e < 0 for e in extra):
        raise loader.error(node, f"has output_padding {extra}", f"give {n} integers that are not negative")
    auto = str(node.get("auto_pad", "NOTSET"))
    if auto not in AUTO_PADS:
        raise loader.error(node, f"has auto_pad {auto!r}", f"use one of {', '.join(AUTO_PADS)}")
    full = [s * (m - 1) + w for s, m, w in zip(strides, space, extents, strict=True)]
    wanted = node.get("output_shape")
    if wanted is None and auto.startswith("SAME"):
        wanted = [s * m for s, m in zip(strides, space, strict=True)]
    if wanted is not None:
        if len(wanted) != n or any(v < 1 for v in wanted):
            raise loader.error(node, f"has output_shape {tuple(wanted)}", f"give {n} positive sizes")
        total = [f + e - v for f, e, v in zip(full, extra, wanted, strict=True)]
        # A shape beyond the full result is filled up with zeros at the end.
        half = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
        before = [h if t > 0 else 0 for h, t in zip(half, total, strict=True)]
        after = [t - b for t, b in zip(total, before, strict=True)]
    elif auto == "VALID":
        before, after = [0] * n, [0] * n
    else:
        both = tuple(node.get("pads", (0,) * 2 * n))
        if len(both) != 2 * n or any(p < 0 for p in both):
            raise loader.error(node, f"has pads {both}", f"give {2 * n} integers that are not negative")
        before, after = list(both[:n]), list(both[n:])
    return before, [a - e for a, e in zip(after, extra, strict=True)]
