"""Handlers that compare: Min and Max, ReduceMax, ReduceMin and ReduceSum, ArgMax, ArgMin and TopK."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.affine import Activation, Constant, Line, Symbol, channels
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import combined
from fxsim.load.nodes.dense import clamped
from fxsim.load.nodes.grid import gridded, ordered
from fxsim.load.nodes.join import lifted
from fxsim.load.nodes.pool import rising
from fxsim.load.nodes.reorder import listed, own_axis
from fxsim.load.terms import Curve
from fxsim.trace import Tensor, maximum, minimum, select


@handles("Max", "Min")
def extremum(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The greatest or least of any number of operands: constants are clamps, activations share a grid."""
    out = operands[0]
    for other in operands[1:]:
        out = pair(loader, node, out, other)
    return out if isinstance(out, Curve) else loader.activation(node, out)


def pair(loader: Loader, node: FileNode, a: Symbol | None, b: Symbol | None) -> Activation | Curve:
    """max or min of two operands."""
    kind = node.op.lower()
    curve = combined(loader, node, kind, a, b)
    if curve is not None:
        return curve
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(b, Constant):
        x = loader.activation(node, a)
        bound = channels(b.fractions(), x.shape)
        return clamped(x, bound if kind == "max" else None, bound if kind == "min" else None)
    x, y = (loader.materialised(node, loader.activation(node, v)) for v in (a, b))
    rank = max(len(x.shape), len(y.shape))
    x, y = lifted(x, rank), lifted(y, rank)
    join = maximum if kind == "max" else minimum
    alike = (x.lines, x.axis) == (y.lines, y.axis) and (x.axis is None or x.shape == y.shape)
    if alike and all(li.scale > 0 for li in x.lines):
        return Activation(join(x.tensor, y.tensor), x.lines, x.axis)
    (s, t), line = gridded(loader, node, [x, y])
    return Activation(join(s, t), (line,)).settled()


def reduced(loader: Loader, node: FileNode, operands: list[Any], rank: int) -> tuple[int, ...]:
    """The axes that the node reduces, without the batch; ValueError if it is among them."""
    axes = listed(loader, node, operands, 1, "axes")
    if not axes:
        raise loader.error(node, "reduces all axes, the batch too", "give it axes from 1 on")
    return tuple(sorted({own_axis(loader, node, rank, a) for a in axes}))


@handles("ReduceMax", "ReduceMin")
def reduce_extremum(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The greatest or least over constant axes; it commutes with rising lines and clamps."""
    x = rising(loader.activation(node, operands[0]))
    places = reduced(loader, node, operands, len(x.shape) + 1)
    if x.axis in places:
        x = ordered(loader, node, x)
    keep = bool(node.get("keepdims", 1))
    y = x.tensor
    for place in reversed(places):
        y = y.max(place) if node.op == "ReduceMax" else y.min(place)
    return placed(x, y, places, keep)


@handles("ReduceSum")
def reduce_sum(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The exact sum over constant axes."""
    x = loader.materialised(node, loader.activation(node, operands[0]))
    if node.get("noop_with_empty_axes", 0) and not listed(loader, node, operands, 1, "axes"):
        return x
    places = reduced(loader, node, operands, len(x.shape) + 1)
    if x.axis in places:
        raise loader.error(node, "sums codes of unequal scales", "use one scale per tensor")
    elements = int(np.prod([x.shape[p] for p in places]))
    lines = tuple(Line(li.scale, li.offset * elements) for li in x.lines)
    out = Activation(x.tensor, lines, x.axis)
    return placed(out, x.tensor.sum(axis=places), places, bool(node.get("keepdims", 1)))


def placed(x: Activation, y: Tensor, places: tuple[int, ...], keep: bool) -> Activation:
    """y, which is x without the axes `places`, with x's lines; the axes of size 1 are kept or dropped."""
    axis = x.axis
    if keep:
        y = y.reshape([1 if i in places else n for i, n in enumerate(x.shape)])
    elif axis is not None:
        axis -= sum(p < axis for p in places)
    return Activation(y, x.lines, axis)


@handles("ArgMax", "ArgMin")
def arg_extremum(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The first (or last) index of the greatest or least real along an axis, as an integer."""
    x = ordered(loader, node, loader.activation(node, operands[0]))
    axis = own_axis(loader, node, len(x.shape) + 1, int(node.get("axis", 0)))
    n = x.shape[axis]
    last = bool(node.get("select_last_index", 0))
    t = -x.tensor if node.op == "ArgMin" else x.tensor
    if last:
        t = t.take(np.arange(n)[::-1], axis)
    with loader.builder.block("argmax", loader.block_name(node), [x.tensor]) as outputs:
        y = t.argmax(axis)
        y = n - 1 - y if last else y
        if node.get("keepdims", 1):
            y = y.reshape([1 if i == axis else m for i, m in enumerate(x.shape)])
        outputs.append(y)
    return Activation(outputs[0])


@handles("TopK")
def top_k(loader: Loader, node: FileNode, operands: list[Any]) -> tuple[Symbol, ...]:
    """(values, indices) of the k greatest or least, in order; of equal ones the lower index comes first.

    Repeated selection: k times the first greatest, which is then put below all others.
    """
    x = ordered(loader, node, loader.activation(node, operands[0]))
    axis = own_axis(loader, node, len(x.shape) + 1, int(node.get("axis", -1)))
    n = x.shape[axis]
    if len(operands) > 1:
        (k, *_) = static(loader.constant(node, operands[1], "k").values)
    else:
        k = int(node.get("k", 0))
    if not 1 <= k <= n:
        raise loader.error(node, f"has k = {k} of {n} elements", f"use 1..{n}")
    largest = bool(node.get("largest", 1))
    keep = [1 if i == axis else m for i, m in enumerate(x.shape)]
    with loader.builder.block(
        "top_k", loader.block_name(node), [x.tensor], {"k": k, "axis": axis}
    ) as outputs:
        t = x.tensor if largest else -x.tensor
        shape = [-1 if i == axis else 1 for i in range(len(keep))]
        places = loader.builder.apply(ops.Const(IntArray(np.arange(n).reshape(shape))))
        below = loader.builder.apply(ops.Const(IntArray(np.array(t.type.bounds[0] - 1)), t.frac))
        values, indices = [], []
        for step in range(k):
            index = t.argmax(axis).reshape(keep)
            values.append(t.max(axis).reshape(keep))
            indices.append(index)
            if step < k - 1:
                t = select(places == index, below, t)
        y, i = (joined(parts, axis) for parts in (values, indices))
        y = y if largest else -y
        read = {v for n in loader.model.nodes for v in n.inputs} | set(loader.model.outputs)
        both = zip((y, i), (*node.outputs, "")[:2], strict=True)
        outputs += [t for t, name in both if name in read]  # a block is kept if all its outputs are
    return Activation(y, x.lines, x.axis), Activation(i)


def joined(parts: list[Tensor], axis: int) -> Tensor:
    """One tensor after another."""
    from fxsim.trace import concat

    return parts[0] if len(parts) == 1 else concat(parts, axis=axis)
