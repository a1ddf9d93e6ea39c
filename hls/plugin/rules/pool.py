"""Pooling: maxima, and averages whose sum and quotient are in accum_t (nnet_pooling.h and its stream)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import Array, IntArray, exact
from fxsim.trace import Tensor
from hls.plugin.rules.sums import running, summed
from hls.plugin.translate import Translation, rule


@rule("Pooling1D", "Pooling2D")
def pool(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """The greatest, or the average, of each window, per channel.

    Padding: of an average 0, which counts only if count_pad; of a maximum the code 100...0, which is least in
    a signed type and the middle of an unsigned one.
    """
    (x,) = xs
    if layer.get_attr("data_format", "channels_last") != "channels_last":
        raise t.refuse(layer, "data_format", layer.get_attr("data_format"), "use channels_last")
    axes = ("height", "width")[2 - (x.ndim - 1) :]
    kernel = tuple(int(layer.get_attr(f"pool_{a}")) for a in axes)
    stride = tuple(int(layer.get_attr(f"stride_{a}")) for a in axes)
    sides = {"height": ("top", "bottom"), "width": ("left", "right")}
    before, after = (tuple(int(layer.get_attr(f"pad_{sides[a][i]}", 0)) for a in axes) for i in (0, 1))
    if t.io_type == "io_stream":
        if any(before) or any(after):
            raise t.refuse(
                layer, "padding", (before, after), "use valid padding, as hls4ml does for io_stream"
            )
        if len(axes) == 2 and kernel != stride:
            raise t.refuse(layer, "strides", stride, f"use {kernel}, as hls4ml does for io_stream")
    most = _is_max(layer)
    fill = _padding(t, layer, x) if most else 0
    windows = x.builder.apply(ops.Window(kernel, stride, (1,) * len(axes), before, after, fill), x)
    lead, size = windows.shape[: len(axes)], int(np.prod(kernel))
    taps = windows.reshape(*lead, size, x.shape[-1])
    accum = t.format(layer, "accum")
    if most:
        return _greatest(t, taps, accum).cast(t.result(layer))
    count = np.full(lead, size)
    if not layer.get_attr("count_pad", False):
        inside = np.ones(x.shape[: len(axes)], np.int64)
        op = ops.Window(kernel, stride, (1,) * len(axes), before, after)
        count = op.place(inside, len(axes)).reshape(*lead, size).sum(axis=-1)
    return _average(t, taps, accum, count[..., None]).cast(t.result(layer))


@rule("GlobalPooling1D", "GlobalPooling2D")
def global_pool(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """The same over all positions of a channel."""
    (x,) = xs
    if layer.get_attr("data_format", "channels_last") != "channels_last":
        raise t.refuse(layer, "data_format", layer.get_attr("data_format"), "use channels_last")
    taps = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
    accum = t.format(layer, "accum")
    if _is_max(layer):
        return _greatest(t, taps, accum).cast(t.result(layer))
    return _average(t, taps, accum, np.array(len(taps)), stream="in order").cast(t.result(layer))


def _is_max(layer: Any) -> bool:
    return str(layer.get_attr("pool_op")).lower() == "max"


def _padding(t: Translation, layer: Any, x: Tensor) -> int:
    """hls4ml's padding of a maximum at the tensor's own point."""
    form = t.operand(layer)
    code, shift = 1 << (form.width - 1), x.frac - form.frac
    if shift < 0:
        raise t.refuse(layer, "input", x.type, "cast it to its own type first")
    return (-code if form.signed else code) << shift


def _greatest(t: Translation, taps: Tensor, accum: Format) -> Tensor:
    """io_parallel: the maximum, then accum_t; io_stream: each element is in accum_t before."""
    axis = taps.ndim - 2
    return taps.cast(accum).max(axis) if t.io_type == "io_stream" else taps.max(axis).cast(accum)


def _average(t: Translation, taps: Tensor, accum: Format, count: Array, stream: str = "tree") -> Tensor:
    """accum_t(sum) / count toward zero: elements are added one by one, or in a tree in io_stream."""
    axis = taps.ndim - 2
    if t.io_type == "io_stream" and stream == "tree":
        total = _tree(taps.cast(accum), accum)
    elif t.io_type == "io_stream":
        total = summed(taps, exact(np.zeros(taps.shape[-1], np.int64)), accum)
    else:
        total = running(taps, accum)
    return divided(total.reshape(*taps.shape[:axis], taps.shape[-1]), count, accum)


def _tree(taps: Tensor, accum: Format) -> Tensor:
    """nnet::reduce: the greatest power of two below n on the left, each sum cast."""
    axis, n = taps.ndim - 2, taps.shape[-2]
    if n == 1:
        return taps
    left = 1 << ((n - 1).bit_length() - 1)
    before = (slice(None),) * axis
    a = _tree(taps[(*before, slice(0, left))], accum)
    b = _tree(taps[(*before, slice(left, n))], accum)
    return (a + b).cast(accum)


def divided(total: Tensor, count: Array, accum: Format) -> Tensor:
    """total / count as ap_fixed divides by an integer: toward zero, on the grid of accum_t."""
    wide = Format(total.type.max_width + 1, total.type.max_width + 1 - total.frac, rounding="TRN_ZERO")
    powers = np.asarray(count)
    if np.all(powers & (powers - 1) == 0) and np.all(powers == powers.flat[0]):
        return (total >> (int(powers.flat[0]).bit_length() - 1)).cast(wide)
    divisor = total.builder.apply(ops.Const(IntArray(exact(np.broadcast_to(powers, total.shape))), 0))
    return total.builder.apply(ops.Div(), total, divisor)
