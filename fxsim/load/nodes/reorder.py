"""Handlers of the ops that choose, repeat or permute elements by constants: slices, splits, blocks, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Constant, Symbol
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import FileNode
from fxsim.load.nodes.wiring import folded
from fxsim.load.onnx_file import evaluate


def listed(loader: Loader, node: FileNode, operands: list[Any], at: int, name: str) -> tuple[int, ...] | None:
    """Constant integers, as input `at` or (in older opsets) as the attribute `name`; None if not given."""
    if len(operands) > at and operands[at] is not None:
        return static(loader.constant(node, operands[at], f"list of {name}").values)
    given = node.get(name)
    return None if given is None else static(np.asarray(given))


def own_axis(loader: Loader, node: FileNode, rank: int, axis: int) -> int:
    """An axis of the file, the batch first, as an axis of the tensor; ValueError for the batch axis."""
    if not -rank <= axis < rank:
        raise loader.error(node, f"has axis {axis} for {rank} axes", f"use one in {-rank}..{rank - 1}")
    if axis % rank == 0:
        raise loader.error(node, "works along the batch axis", "use another axis: samples are independent")
    return axis % rank - 1


def chosen(loader: Loader, node: FileNode, x: Symbol, axis: int, index: Array) -> Symbol:
    """x with the elements `index` along an axis of the tensor; the identity costs nothing."""
    n = shape_of(x)[axis]
    if index.shape == (n,) and np.array_equal(index, np.arange(n)):
        return x
    return loader.wired(node, x, ops.Gather(IntArray(index), axis))


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape without the batch, of an activation or of the real input."""
    shape: tuple[int, ...] = x.shape
    return shape


@handles("Slice")
def sliced(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """x[start:end:step] on constant axes, by NumPy's rules; ends beyond the axis are clamped to it."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x, *operands[1:])
    starts, ends = (listed(loader, node, operands, i, name) for i, name in ((1, "starts"), (2, "ends")))
    if starts is None or ends is None or len(starts) != len(ends):
        raise loader.error(node, f"has starts {starts} and ends {ends}", "give it one of each per axis")
    axes = listed(loader, node, operands, 3, "axes") or tuple(range(len(starts)))
    steps = listed(loader, node, operands, 4, "steps") or (1,) * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts) or 0 in steps:
        raise loader.error(
            node, f"has axes {axes} and steps {steps} for starts {starts}",
            "give it as many, and no step 0",
        )  # fmt: skip
    out: Symbol = x
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        rank = len(shape_of(x)) + 1
        if axis % rank == 0 and range(loader.batch)[slice(start, end, step)] == range(loader.batch):
            continue
        own = own_axis(loader, node, rank, axis)
        # An end below -n means "down to the first" for a negative step, as slice() has it.
        index = np.arange(shape_of(x)[own])[slice(start, end, step)]
        if not len(index):
            raise loader.error(node, f"leaves nothing of axis {axis}", "correct its starts and ends")
        out = chosen(loader, node, out, own, index)
    return out


@handles("Split")
def split(loader: Loader, node: FileNode, operands: list[Any]) -> tuple[Symbol, ...]:
    """Consecutive parts along an axis: of the given sizes, or equal ones (the last may be smaller)."""
    x, made = operands[0], len(node.outputs)
    if isinstance(x, Constant):
        rest = [o.values for o in operands[1:] if o is not None]
        return tuple(Constant(v) for v in evaluate(node, [x.values, *rest], loader.model.opset))
    axis = own_axis(loader, node, len(x.shape) + 1, int(node.get("axis", 0)))
    n = x.shape[axis]
    sizes = listed(loader, node, operands, 1, "split")
    if sizes is None:
        size = -(-n // made)
        sizes = tuple(min(size, n - i * size) for i in range(made))
    if len(sizes) != made or sum(sizes) != n or min(sizes) < 1:
        raise loader.error(
            node, f"splits {n} elements into {sizes} for {made} outputs",
            "give positive sizes that add up to the axis",
        )  # fmt: skip
    ends = np.cumsum((0, *sizes))
    return tuple(
        chosen(loader, node, x, axis, np.arange(ends[i], ends[i + 1])) for i in range(made)
    )  # fmt: skip


@handles("Gather")
def gather(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """np.take with a constant index, which may count from the end; the axis becomes the index's axes."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x, loader.constant(node, operands[1], "index"))
    axis = own_axis(loader, node, len(x.shape) + 1, int(node.get("axis", 0)))
    index = loader.constant(node, operands[1], "index").values.astype(np.int64)
    n = x.shape[axis]
    if index.size and (index.min() < -n or index.max() >= n):
        raise loader.error(
            node, f"takes {int(index.min())}..{int(index.max())} of {n} elements", f"use {-n}..{n - 1}"
        )
    return chosen(loader, node, x, axis, np.where(index < 0, index + n, index))


@handles("DepthToSpace", "SpaceToDepth")
def blocks(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Channels to blocks of pixels, in the order DCR (depth, column, row) or CRD, and back (DCR)."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x)
    b, mode = int(node.get("blocksize", 0)), str(node.get("mode", "DCR"))
    if len(x.shape) != 3 or b < 1 or mode not in ("DCR", "CRD"):
        raise loader.error(
            node, f"has blocksize {b} and mode {mode!r} for a tensor {x.shape}",
            "give it (batch, channels, height, width), a positive blocksize, and DCR or CRD",
        )  # fmt: skip
    c, h, w = x.shape
    if node.op == "SpaceToDepth":
        if h % b or w % b:
            raise loader.error(node, f"cuts {h}x{w} into blocks of {b}", "use a divisor of both sizes")
        shape, order, out = (c, h // b, b, w // b, b), (2, 4, 0, 1, 3), (c * b * b, h // b, w // b)
    else:
        if c % (b * b):
            raise loader.error(node, f"makes blocks of {b}x{b} from {c} channels", "use a divisor of them")
        left = c // (b * b)
        shape = (b, b, left, h, w) if mode == "DCR" else (left, b, b, h, w)
        order = (2, 3, 0, 4, 1) if mode == "DCR" else (0, 3, 1, 4, 2)
        out = (left, h * b, w * b)
    y: Symbol = x
    for op in (ops.Reshape(shape), ops.Transpose(order), ops.Reshape(out)):
        y = loader.wired(node, y, op)
    return y


@handles("Expand")
def expand(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Broadcast to a constant shape: axes of size 1 are repeated, new ones put behind the batch."""
    x, target = operands[0], loader.constant(node, operands[1], "shape")
    if isinstance(x, Constant):
        return folded(loader, node, x, target)
    old = (loader.batch, *x.shape)
    try:
        full = np.broadcast_shapes(old, static(target.values))
    except ValueError:
        full = ()
    if len(full) != len(old) or full[0] != loader.batch:
        raise loader.error(
            node, f"expands {old} to {static(target.values)}", "keep the batch axis and the number of axes"
        )
    return repeated(loader, node, x, [f // n for f, n in zip(full[1:], x.shape, strict=True)])


@handles("Tile")
def tile(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The tensor a constant number of times along each axis but the batch."""
    x, times = operands[0], loader.constant(node, operands[1], "list of repeats")
    if isinstance(x, Constant):
        return folded(loader, node, x, times)
    repeats = static(times.values)
    if len(repeats) != len(x.shape) + 1 or repeats[0] != 1 or min(repeats) < 1:
        raise loader.error(
            node, f"has repeats {repeats}", f"give {len(x.shape) + 1} positive integers, 1 for the batch"
        )
    return repeated(loader, node, x, repeats[1:])


def repeated(loader: Loader, node: FileNode, x: Symbol, times: Sequence[int]) -> Symbol:
    """x so many times along each axis."""
    for axis, n in enumerate(times):
        if n > 1:
            x = chosen(loader, node, x, axis, np.tile(np.arange(shape_of(x)[axis]), n))
    return x
