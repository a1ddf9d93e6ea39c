"""Convolutions, channels last: windows, then the Dense function of each (nnet_conv*.h, nnet_sepconv*.h)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, exact
from fxsim.trace import Tensor
from hls.plugin.rules.linear import product, result
from hls.plugin.rules.sums import bias_codes, operands, summed
from hls.plugin.translate import Translation, rule


@rule("Conv1D", "Conv2D", "Conv2DBatchnorm", "PointwiseConv1D", "PointwiseConv2D")
def conv(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """For each window: inputs in the order (height, width, channel), summed as in a Dense layer."""
    windows, kernel, channels = patches(t, layer, xs[0])
    strategy = str(layer.get_attr("strategy", "latency")).lower()
    inputs = int(np.prod(kernel)) * channels
    reuse = int(layer.get_attr("reuse_factor", 1))
    if strategy.startswith("resource") and t.io_type == "io_parallel" and reuse > inputs:
        raise t.refuse(layer, "ReuseFactor", reuse, f"use at most {inputs}, where hls4ml's own C++ stops")
    data = np.asarray(layer.weights["weight"].data)
    return product(t, layer, windows, data.reshape(-1, data.shape[-1]))


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Each channel has its own window and weights; one output per channel."""
    windows, kernel, channels = patches(t, layer, xs[0])
    taps, strategy = int(np.prod(kernel)), str(layer.get_attr("strategy", "latency")).lower()
    if int(layer.get_attr("n_filt")) != channels:
        raise t.refuse(
            layer, "depth multiplier", layer.get_attr("n_filt") // channels, "use 1, as hls4ml does"
        )
    order = None
    if strategy == "resource":
        if t.io_type == "io_parallel":
            raise t.refuse(layer, "Strategy", "Resource", "use Latency, or io_stream, as hls4ml does")
        order = _depthwise_order(t, layer, taps, channels)
    elif strategy != "latency":
        raise t.refuse(layer, "Strategy", strategy, "use Latency")
    raw, form = t.weight(layer)
    if strategy == "resource":  # as hls4ml transposes them, filters first
        raw = np.moveaxis(raw, -1, 0)
    x, kernel_ = operands(t, layer, windows, raw.reshape(taps, channels), form)
    w = t.constant(kernel_.raw, kernel_.frac)
    terms = x.reshape(*x.shape[:-1], taps, channels) * w
    if kernel_.offset is not None:
        terms = terms + kernel_.offset
    accum = t.format(layer, "accum")
    return result(t, layer, summed(terms, bias_codes(t, layer, accum), accum, order), taps * channels)


def patches(t: Translation, layer: Any, x: Tensor) -> tuple[Tensor, tuple[int, ...], int]:
    """(windows (*positions, inputs), kernel, channels); the padding is the code 0."""
    if layer.get_attr("data_format", "channels_last") != "channels_last":
        raise t.refuse(layer, "data_format", layer.get_attr("data_format"), "use channels_last")
    axes = ("height", "width")[2 - (x.ndim - 1) :]
    for name in ("dilation", *(f"dilation_{a}" for a in axes)):
        if int(layer.get_attr(name, 1)) != 1:
            raise t.refuse(layer, name, layer.get_attr(name), "use 1; hls4ml's own C++ leaves dilations out")
    kernel = tuple(int(layer.get_attr(f"filt_{a}")) for a in axes)
    stride = tuple(int(layer.get_attr(f"stride_{a}")) for a in axes)
    sides = {"height": ("top", "bottom"), "width": ("left", "right")}
    before, after = (tuple(int(layer.get_attr(f"pad_{sides[a][i]}", 0)) for a in axes) for i in (0, 1))
    shape = t.shape(layer)
    # hls4ml gives the number of positions itself; what the last stride leaves over is not read.
    spans = [(p - 1) * s + k for p, s, k in zip(shape, stride, kernel, strict=False)]
    have = [n + b + a for n, b, a in zip(x.shape, before, after, strict=False)]
    if any(s > h or h - s >= st for s, h, st in zip(spans, have, stride, strict=True)):
        raise t.refuse(layer, "output shape", shape, f"check kernel, stride and padding of {x.shape}")
    if len(axes) == 2 and kernel[0] == 1 and kernel[1] > 1 and t.io_type == "io_stream" and stride[0] > 1:
        raise t.refuse(
            layer, "stride_height", stride[0], "use 1: hls4ml's line buffer of height 1 ignores it"
        )
    windows = x.builder.apply(ops.Window(kernel, stride, (1,) * len(axes), before, after), x)
    channels = x.shape[-1]
    return windows.reshape(*shape[:-1], int(np.prod(kernel)) * channels), kernel, channels


def _depthwise_order(t: Translation, layer: Any, taps: int, channels: int) -> Array:
    """(taps, channels): the order of taps in nnet_depthwise_product.h, for each channel."""
    inputs, reuse = taps * channels, int(layer.get_attr("reuse_factor", 1))
    reuse = min(reuse, inputs)
    if inputs % reuse:
        raise t.refuse(layer, "ReuseFactor", reuse, f"use a divisor of {inputs}")
    sequence = [i for r in range(reuse) for i in range(r, inputs, reuse)]
    found: list[list[int]] = [[] for _ in range(channels)]
    for i in sequence:
        found[i % channels].append(i // channels)
    return exact(np.array(found).T)
