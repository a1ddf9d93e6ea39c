"""Handlers of pooling: the greatest code of a window, or its exact sum with 1 / elements in the scale."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.affine import Activation, Line, Symbol
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import FileNode
from fxsim.load.nodes.join import with_code
from fxsim.load.nodes.windows import Windows, channels_first, channels_last, spatial, windows


@handles("MaxPool", "GlobalMaxPool")
def max_pool(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The maximum commutes with every rising line and clamp, so it is taken on the codes; padding never wins.

    Channels whose scale is negative (batch norm) are negated first.
    """
    x = rising(loader.activation(node, operands[0]))
    shape = pooled(loader, node, x)
    if np.any(shape.counts() == 0):
        raise loader.error(node, "has windows that lie in the padding as a whole", "use smaller pads")
    last = channels_last(x)
    n = len(shape.kernel)
    with loader.builder.block("max_pool", loader.block_name(node), [last.tensor]) as outputs:
        y = loader.builder.apply(shape.op(last.tensor.type.bounds[0]), last.tensor)
        outputs.append(y.reshape(*y.shape[:n], -1, y.shape[-1]).max(axis=n))
    return channels_first(Activation(outputs[0], last.lines, last.axis))


@handles("AveragePool", "GlobalAveragePool")
def average_pool(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The exact sum; 1 / elements goes into the scale, which the next quantizer takes in."""
    return average(loader, node, loader.activation(node, operands[0]))


def average(loader: Loader, node: FileNode, x: Activation) -> Activation:
    """The mean of each window.

    Where windows count different elements (count_include_pad = 0), sums are brought to the least common
    multiple by small integers.
    """
    x = loader.materialised(node, x)
    shape = pooled(loader, node, x)
    fill, times = 0, None
    elements, counts = shape.size, shape.counts()
    if shape.padded and node.get("count_include_pad", 0):
        if node.get("ceil_mode", 0):
            raise loader.error(
                node, "has ceil_mode = 1 with count_include_pad = 1, on which runtimes differ",
                "set one of both to 0",
            )  # fmt: skip
        x, fill = with_code(loader, node, x, Fraction(0))
    elif np.any(counts != elements):
        if np.any(counts == 0):
            raise loader.error(node, "has windows that lie in the padding as a whole", "use smaller pads")
        elements = lcm(*set(counts.ravel().tolist()))
        times = elements // counts
    last = channels_last(x)
    n = len(shape.kernel)
    with loader.builder.block("average_pool", loader.block_name(node), [last.tensor]) as outputs:
        y = loader.builder.apply(shape.op(fill), last.tensor).sum(axis=tuple(range(n, 2 * n)))
        if times is not None:
            y = y * loader.builder.apply(ops.Const(IntArray(times[..., None])))
        result = averaged(Activation(y, last.lines, last.axis), elements)
        outputs.append(result.tensor)
    return channels_first(result)


@handles("ReduceMean")
def reduce_mean(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The exact sum over constant axes other than the batch, 1 / elements in the scale."""
    x = loader.materialised(node, loader.activation(node, operands[0]))
    rank = len(x.shape) + 1
    axes = node.get("axes")
    if len(operands) > 1 and operands[1] is not None:
        axes = static(loader.constant(node, operands[1], "list of axes").values)
    if not axes:
        raise loader.error(node, "reduces all axes, the batch too", "give it axes from 1 on")
    places = sorted({a % rank - 1 for a in axes})
    if places[0] < 0 or places[-1] >= len(x.shape):
        raise loader.error(node, f"reduces the axes {tuple(axes)}", f"give it axes in 1..{rank - 1}")
    if x.axis in places:
        raise loader.error(node, "sums codes of unequal scales", "use one scale per tensor")
    left = [n for i, n in enumerate(x.shape) if i not in places]
    kept = [1 if i in places else n for i, n in enumerate(x.shape)]
    axis = x.axis
    if axis is not None and not node.get("keepdims", 1):
        axis -= sum(p < axis for p in places)
    elements = int(np.prod(x.shape)) // int(np.prod(left))
    with loader.builder.block("average_pool", loader.block_name(node), [x.tensor]) as outputs:
        y = x.tensor.sum(axis=tuple(places))
        y = y.reshape(kept) if node.get("keepdims", 1) else y
        result = averaged(Activation(y, x.lines, axis), elements)
        outputs.append(result.tensor)
    return result


def pooled(loader: Loader, node: FileNode, x: Activation) -> Windows:
    """The node's windows; a global pool has one over all."""
    space = spatial(loader, node, x)
    if "Global" in node.op:
        n = len(space)
        return Windows(space, space, (1,) * n, (1,) * n, (0,) * n, (0,) * n)
    return windows(loader, node, space)


def averaged(sums: Activation, elements: int) -> Activation:
    """real = (sum of (s * v + o)) / n = s / n * sum + o."""
    return Activation(
        sums.tensor, tuple(Line(li.scale / elements, li.offset) for li in sums.lines), sums.axis
    ).settled()


def rising(x: Activation) -> Activation:
    """The same reals with no negative scale: such channels are negated."""
    signs = [-1 if li.scale < 0 else 1 for li in x.lines]
    if all(s > 0 for s in signs):
        return x
    lines = tuple(
        li
        if s > 0
        else Line(
            -li.scale, li.offset, None if li.high is None else -li.high, None if li.low is None else -li.low
        )
        for li, s in zip(x.lines, signs, strict=True)
    )
    if all(s < 0 for s in signs):
        return Activation(-x.tensor, lines, x.axis)
    assert x.axis is not None
    column = np.array(signs).reshape((-1,) + (1,) * (len(x.shape) - 1 - x.axis))
    factor = x.tensor.builder.apply(ops.Const(IntArray(column)))
    return Activation(x.tensor * factor, lines, x.axis)
