"""Operators that move codes: slices, joins, paddings, and rows and columns in another order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.shapes import constant, file_shape
from fxsim.load.tflite.symbols import Codes, Fixed, Symbol
from fxsim.trace import Tensor, concat


@handles("CONCATENATION")
def concatenation(loader: Loader, op: FileOp) -> Symbol:
    """Along an axis; constants take part. The runtime wants one scale and zero point."""
    if op.options["FusedActivationFunction"]:
        raise NotImplementedError(f"{op} has a fused activation; put it into an operator of its own")
    found = [loader.symbols[loader.tensor(op, i).index] for i in range(len(op.inputs))]
    if all(isinstance(s, Fixed) for s in found):
        return Fixed(np.concatenate([s.values for s in found if isinstance(s, Fixed)], op.options["Axis"]))
    quants = {loader.quant(i, str(op)) for i in (*op.inputs, op.outputs[0])}
    if len(quants) > 1:
        raise loader.error(op, "joins codes of unlike scales or zero points", "quantize its operands alike")
    first = next(loader.codes(op, i) for i, s in enumerate(found) if not isinstance(s, Fixed))
    axis = loader.axis(op, first, op.options["Axis"])
    parts: list[Tensor] = []
    for i, s in enumerate(found):
        if isinstance(s, Fixed):
            values = s.values[0] if first.lead and s.values.ndim == len(loader.shape(first)) else s.values
            parts.append(loader.builder.apply(ops.Const(IntArray(values.astype(np.int64)))))
            continue
        x = loader.codes(op, i)
        if x.lead != first.lead:
            raise loader.error(op, "joins tensors with and without a batch axis", "give them equal ranks")
        parts.append(x.tensor)
    loader.room(op, sum(p.type.size for p in parts))
    return Codes(concat(parts, axis), first.lead)


@handles("PACK")
def pack(loader: Loader, op: FileOp) -> Symbol:
    """Stacked along a new axis."""
    found = [loader.symbols[loader.tensor(op, i).index] for i in range(len(op.inputs))]
    fixed = [s.values for s in found if isinstance(s, Fixed)]
    at = op.options["Axis"]
    if len(fixed) == len(found):
        return Fixed(np.stack(fixed, at))
    codes = [loader.codes(op, i) for i in range(len(op.inputs))]
    rank = len(loader.shape(codes[0])) + 1
    at = at % rank - codes[0].lead
    if at < 0 or any(c.lead != codes[0].lead for c in codes):
        raise loader.error(op, "stacks along the batch axis", "use axes from 1 on")
    loader.room(op, sum(c.tensor.type.size for c in codes))
    parts = [c.tensor.reshape(*c.tensor.shape[:at], 1, *c.tensor.shape[at:]) for c in codes]
    return Codes(concat(parts, at), codes[0].lead)


@handles("UNPACK")
def unpack(loader: Loader, op: FileOp) -> tuple[Symbol, ...]:
    """One tensor per index of an axis."""
    values = constant(loader, op)
    if values is not None:
        return tuple(Fixed(v) for v in np.moveaxis(values, op.options["Axis"], 0))
    x = loader.codes(op, 0)
    axis = loader.axis(op, x, op.options["Axis"])
    return tuple(Codes(x.tensor[(slice(None),) * axis + (i,)], x.lead) for i in range(x.tensor.shape[axis]))


@handles("PAD", "PADV2")
def pad(loader: Loader, op: FileOp) -> Symbol:
    """With the zero point, or a constant code."""
    x, _ = loader.operand(op, 0)
    both = np.array(loader.whole(op, 1, "paddings")).reshape(-1, 2)
    rank = len(loader.shape(x))
    if len(both) != rank or np.any(both < 0) or (x.lead and np.any(both[0])):
        raise loader.error(
            op, f"has paddings {both.tolist()} for {rank} axes", "give two for each axis, none for the batch"
        )
    fill = loader.result(op).zero
    if op.op == "PADV2":
        fill = loader.whole(op, 2, "padding value")[0]
    before, after = (tuple(int(v) for v in both[x.lead :, i]) for i in (0, 1))
    loader.room(op, *(n + b + a for n, b, a in zip(x.tensor.shape, before, after, strict=True)))
    return Codes(loader.builder.apply(ops.Pad(before, after, fill), x.tensor), x.lead)


@handles("SLICE")
def slices(loader: Loader, op: FileOp) -> Symbol:
    """size elements from begin on, -1 for all that follow."""
    begin, size = loader.whole(op, 1, "begin"), loader.whole(op, 2, "size")
    now = file_shape(loader, op)
    if not len(begin) == len(size) == len(now):
        raise loader.error(op, f"has {len(begin)} begins for {len(now)} axes", "convert the model again")
    keys = []
    for n, b, s in zip(now, begin, size, strict=True):
        end = n if s == -1 else b + s
        if not 0 <= b < n or not b < end <= n:
            raise loader.error(op, f"takes {b}..{end} of {now}", "slices must lie inside and not be empty")
        keys.append(slice(b, end))
    return _taken(loader, op, keys)


@handles("STRIDED_SLICE")
def strided_slice(loader: Loader, op: FileOp) -> Symbol:
    """NumPy's slicing, with begin, end and shrink masks."""
    o = op.options
    if o["EllipsisMask"] or o["NewAxisMask"]:
        raise NotImplementedError(f"{op} has an ellipsis or new-axis mask; use plain slices and EXPAND_DIMS")
    begin, end, step = (loader.whole(op, i, k) for i, k in ((1, "begin"), (2, "end"), (3, "strides")))
    now = file_shape(loader, op)
    if not len(begin) == len(end) == len(step) <= len(now) or 0 in step:
        raise loader.error(
            op, f"has slices {begin}, {end}, {step} for {len(now)} axes", "convert the model again"
        )
    keys: list[Any] = []
    for i, (n, b, e, s) in enumerate(zip(now, begin, end, step, strict=False)):
        if o["ShrinkAxisMask"] >> i & 1:
            if not -n <= b < n:
                raise loader.error(op, f"takes index {b} of axis {i} of {now}", "convert the model again")
            keys.append(b % n)
            continue
        found = slice(None if o["BeginMask"] >> i & 1 else b, None if o["EndMask"] >> i & 1 else e, s)
        if not range(n)[found]:
            raise loader.error(op, f"takes nothing of axis {i} of {now}", "slices must not be empty")
        keys.append(found)
    return _taken(loader, op, keys)


def _taken(loader: Loader, op: FileOp, keys: list[Any]) -> Symbol:
    """Slices by file axis; the batch must be taken as a whole, or be 1 and dropped."""
    values = constant(loader, op)
    if values is not None:
        return Fixed(np.asarray(values[tuple(keys)]))
    x = loader.codes(op, 0)
    if not x.lead or not keys:
        return Codes(x.tensor[tuple(keys)] if keys else x.tensor, x.lead)
    first = keys[0]
    if isinstance(first, int):
        if loader.batch > 1:
            raise loader.error(op, "takes one sample of the batch", "keep samples apart")
        return Codes(x.tensor[tuple(keys[1:])] if keys[1:] else x.tensor, False)
    if len(range(loader.batch)[first]) != loader.batch or (first.step or 1) < 0:
        raise loader.error(op, "takes part of the batch", "keep samples apart")
    return Codes(x.tensor[tuple(keys[1:])] if keys[1:] else x.tensor)


@handles("SPLIT")
def split(loader: Loader, op: FileOp) -> tuple[Symbol, ...]:
    """Equal parts along an axis; the axis is the first operand."""
    x = loader.codes(op, 1)
    axis, parts = loader.axis(op, x, loader.whole(op, 0, "axis")[0]), len(op.outputs)
    n = x.tensor.shape[axis]
    if n % parts:
        raise loader.error(op, f"splits {n} into {parts} parts", "they must be equal")
    return _parts(x, axis, [n // parts] * parts)


@handles("SPLIT_V")
def split_v(loader: Loader, op: FileOp) -> tuple[Symbol, ...]:
    """Parts of given sizes along an axis, -1 for what is left."""
    x = loader.codes(op, 0)
    axis, sizes = loader.axis(op, x, loader.whole(op, 2, "axis")[0]), list(loader.whole(op, 1, "sizes"))
    n = x.tensor.shape[axis]
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = n - sum(sizes) - 1
    if any(s < 1 for s in sizes) or sum(sizes) != n:
        raise loader.error(op, f"splits {n} into {sizes}", "the sizes must be positive and add up")
    return _parts(x, axis, sizes)


def _parts(x: Codes, axis: int, sizes: list[int]) -> tuple[Symbol, ...]:
    ends = np.cumsum([0, *sizes]).tolist()
    cut = [slice(b, e) for b, e in pairwise(ends)]
    return tuple(Codes(x.tensor[(slice(None),) * axis + (c,)], x.lead) for c in cut)


@handles("GATHER")
def gather(loader: Loader, op: FileOp) -> Symbol:
    """np.take with constant indices."""
    indices = loader.fixed(op, 1, "index")
    if op.options["BatchDims"]:
        raise NotImplementedError(f"{op} has batch dimensions; use a plain gather")
    values = constant(loader, op)
    if values is not None:
        return Fixed(np.asarray(np.take(values, indices, op.options["Axis"])))
    x = loader.codes(op, 0)
    axis = loader.axis(op, x, op.options["Axis"])
    loader.room(op, x.tensor.type.size // max(x.tensor.shape[axis], 1), indices.size)
    return Codes(loader.builder.apply(ops.Gather(IntArray(indices.astype(np.int64)), axis), x.tensor), x.lead)


@handles("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def depth_to_space(loader: Loader, op: FileOp) -> Symbol:
    """Blocks of channels to blocks of pixels, and back."""
    x, _ = loader.operand(op, 0)
    b = op.options["BlockSize"]
    if not x.lead or x.tensor.ndim != 3 or b < 1:
        raise loader.error(
            op, f"has {loader.shape(x)} and blocks of {b}", "use (batch, height, width, channels)"
        )
    h, w, c = x.tensor.shape
    if op.op == "DEPTH_TO_SPACE":
        if c % (b * b):
            raise loader.error(op, f"has {c} channels in blocks of {b}", f"use a multiple of {b * b}")
        y = x.tensor.reshape(h, w, b, b, c // (b * b)).transpose(0, 2, 1, 3, 4)
        return Codes(y.reshape(h * b, w * b, c // (b * b)))
    if h % b or w % b:
        raise loader.error(op, f"has an image {h} x {w} in blocks of {b}", "use multiples")
    y = x.tensor.reshape(h // b, b, w // b, b, c).transpose(0, 2, 1, 3, 4)
    return Codes(y.reshape(h // b, w // b, b * b * c))


@handles("REVERSE_V2")
def reverse(loader: Loader, op: FileOp) -> Symbol:
    """Axes backwards."""
    x = loader.codes(op, 0)
    axes = {loader.axis(op, x, a) for a in loader.whole(op, 1, "axes")}
    return Codes(
        x.tensor[tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.tensor.ndim))], x.lead
    )
