"""Layers that move elements, or only cast or look them up: reshapes, padding, resizing, quantizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Overflow, Rounding
from fxsim.integers import IntArray, exact
from fxsim.trace import Tensor, concat, minimum, select
from hls.plugin.translate import Translation, rule
from hls.plugin.types import is_integer

SIDES = {"height": ("top", "bottom"), "width": ("left", "right")}


@rule("Reshape", "Flatten")
def reshape(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Row-major, channels last; the codes stay as they are."""
    return xs[0].reshape(*t.shape(layer))


@rule("Repack", "Broadcast")
def repack(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """The same elements, or those repeated to a greater shape, in result_t."""
    (x,), shape = xs, t.shape(layer)
    if x.type.size != int(np.prod(shape)):
        index = np.broadcast_to(np.arange(x.type.size).reshape(x.shape), shape)
        x = x.reshape(x.type.size).take(index.ravel())
    return x.reshape(*shape).cast(t.result(layer))


@rule("Clone")
def clone(t: Translation, layer: Any, xs: list[Tensor]) -> list[Tensor]:
    """As many copies as the layer has outputs, each in its type."""
    return [xs[0].cast(t.result(layer, name)) for name in layer.outputs]


@rule("Transpose")
def transpose(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Axes in the order `perm`, without the batch."""
    perm = [int(p) for p in layer.get_attr("perm")]
    if t.io_type == "io_stream" and xs[0].ndim == 2 and perm != [1, 0]:
        raise t.refuse(layer, "perm", perm, "use [1, 0], all that hls4ml does in two axes with io_stream")
    return xs[0].transpose(*perm).cast(t.result(layer))


@rule("ZeroPadding1D", "ZeroPadding2D")
def zero_padding(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Zeros around the positions."""
    before, after = _sides(t, layer, xs[0], "pad")
    return xs[0].builder.apply(ops.Pad((*before, 0), (*after, 0)), xs[0]).cast(t.result(layer))


@rule("Cropping1D", "Cropping2D")
def cropping(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """The positions without their border."""
    before, after = _sides(t, layer, xs[0], "crop")
    keep = tuple(slice(b, n - a) for b, a, n in zip(before, after, xs[0].shape, strict=False))
    return xs[0][keep].cast(t.result(layer))


def _sides(t: Translation, layer: Any, x: Tensor, what: str) -> list[tuple[int, ...]]:
    if layer.get_attr("data_format", "channels_last") != "channels_last":
        raise t.refuse(layer, "data_format", layer.get_attr("data_format"), "use channels_last")
    axes = ("height", "width")[2 - (x.ndim - 1) :]
    return [tuple(int(layer.get_attr(f"{what}_{SIDES[a][i]}", 0)) for a in axes) for i in (0, 1)]


@rule("Resize")
def resize(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Nearest neighbour, by hls4ml's own 16-bit ratios: position i reads (i * (n << 16) / new + 1) >> 16."""
    (x,) = xs
    if layer.get_attr("algorithm") != "nearest":
        raise t.refuse(layer, "algorithm", layer.get_attr("algorithm"), "use nearest")
    if layer.get_attr("data_format", "channels_last") != "channels_last":
        raise t.refuse(layer, "data_format", layer.get_attr("data_format"), "use channels_last")
    for axis, (n, new) in enumerate(zip(x.shape, t.shape(layer), strict=True)):
        if axis == x.ndim - 1 or n == new:
            continue
        if t.io_type == "io_stream":
            if new % n:
                raise t.refuse(layer, "output size", new, f"use a multiple of {n} with io_stream")
            index = np.repeat(np.arange(n), new // n)
        else:
            index = (np.arange(new) * ((n << 16) // new + 1)) >> 16
        x = x.take(index, axis)
    return x.cast(t.result(layer))


@rule("FixedPointQuantizer")
def fixed_point_quantizer(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """HGQ: each element in its own type (sign k, b bits, i of them before the point), then in result_t."""
    (x,) = xs
    k, b, i = (np.broadcast_to(np.asarray(v)[0], x.shape).astype(np.int64) for v in layer.mask_kbi)
    frac = np.where(b > 0, b - i, (b - i)[b > 0].min() if np.any(b > 0) else 0)
    cast = ops.Cast(
        IntArray(exact(frac)), IntArray(exact(b)), IntArray(exact(k)),
        Rounding(layer.RND), Overflow(layer.SAT),
    )  # fmt: skip
    return x.cast(cast).cast(t.result(layer))


@rule("Embedding")
def embedding(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Row x of the table, in result_t; past the last row, where C++ reads other memory, the last row."""
    (x,) = xs
    raw, form = t.weight(layer, "embeddings")
    if not is_integer(layer.get_input_variable(layer.inputs[0]).type):
        raise t.refuse(
            layer, "input type", t.operand(layer), "give the input an integer type such as uint<8>"
        )
    rows, width = int(layer.get_attr("vocab_size")), int(layer.get_attr("n_out"))
    index = minimum(select(x < 0, 0, x), rows - 1)
    columns = [
        index.builder.apply(ops.Table(IntArray(exact(raw.reshape(rows, width)[:, j])), 0, form.frac), index)
        for j in range(width)
    ]
    return concat([c.reshape(*x.shape, 1) for c in columns], x.ndim).cast(t.result(layer))
