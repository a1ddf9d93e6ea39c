"""Handlers of convolutions: QConv1D, 2D, 3D and exact plain ones, with groups, padding and dilation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.keras.layers.activation import activated
from fxsim.load.keras.layers.dense import biased, entered, float32_sums, left, parameters, shaped, weights
from fxsim.load.keras.loader import Arguments, Loader, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.symbols import Activation, HostInput, Symbol
from fxsim.load.nodes.conv import product
from fxsim.load.nodes.windows import Windows

PADDINGS = ("valid", "same")


@handles("QConv1D", "QConv2D", "QConv3D", "Conv1D", "Conv2D", "Conv3D")
def conv(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """activation(conv(iq(x), kq(kernel)) + bq(bias)), then oq; zeros pad, which every format holds."""
    rank, config, x = int(layer.kind[-2]), layer.config, arguments.one()
    if config.get("padding") == "causal":  # Keras pads first, and quantizes what it padded
        x = _causal(loader, layer, x)
        config = {**config, "padding": "valid"}
    t = loader.plain(layer, channels_last(loader, layer, entered(loader, layer, x), rank))
    groups, filters = int(config.get("groups", 1)), int(config["filters"])
    window = windows(layer, config, t.shape[:rank], shaped(config, "kernel_size", rank))
    if groups < 1 or t.shape[-1] % groups or filters % groups:
        raise loader.error(layer, f"has {t.shape[-1]} channels in {groups} groups", "groups must divide them")
    kernel_shape = (*window.kernel, t.shape[-1] // groups, filters)
    kernel, bias = parameters(loader, layer, kernel_shape, (filters,), config.get("use_bias", True))
    raw, frac = weights(layer, kernel)
    params: dict[str, Any] = {
        "weight": IntArray(raw), "weight_frac": frac, "bias": None, "bias_frac": 0,
        "stride": window.strides, "dilation": window.dilations, "before": window.before,
        "after": window.after, "groups": groups, "float32_exact": float32_sums(t, raw, frac, bias),
    }  # fmt: skip
    with loader.builder.block(f"conv{rank}d", loader.block_name(layer.name), [t], params) as outputs:
        y = biased(layer, product(loader.builder, t, raw, frac, window, groups, 0), bias, params)
        outputs.append(y)
    y_back = channels_back(loader, layer, activated(loader, layer, Activation(y)), rank)
    return left(loader, layer, y_back)


def _causal(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """Zeros before the first position, so that no window sees what comes after it."""
    if len(x.shape) != 2:
        raise loader.error(
            layer, f"has an input of shape {x.shape} beside the batch", "use (positions, channels)"
        )
    size, dilation = (shaped(layer.config, key, 1)[0] for key in ("kernel_size", "dilation_rate"))
    before = dilation * (size - 1)
    first = layer.config.get("data_format") == "channels_first"
    return padded(loader, layer, x, (0, before) if first else (before, 0), (0, 0))


def padded(
    loader: Loader, layer: Layer, x: Symbol, before: tuple[int, ...], after: tuple[int, ...]
) -> Symbol:
    """Real zeros around a tensor: code 0 of every fixed-point one, and of the host's."""
    if not isinstance(x, HostInput):
        x = Activation(loader.plain(layer, x))
    return loader.wired(x, ops.Pad(before, after))


def windows(
    layer: Layer,
    config: Mapping[str, Any],
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: str = "strides",
) -> Windows:
    """Kernel, strides, dilation and padding: same gives ceil(size / stride) positions, the odd pad last."""
    n = len(space)
    padding = str(config.get("padding", "valid")).lower()
    strides = shaped(config, stride, n)
    dilation = shaped(config, "dilation_rate", n)
    if padding not in PADDINGS:
        raise ValueError(f"{layer} has the padding {config.get('padding')!r}; use 'valid' or 'same'")
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    before, after = (0,) * n, (0,) * n
    if padding == "same":
        total = [
            max((-(-m // s) - 1) * s + w - m, 0) for m, w, s in zip(space, extents, strides, strict=True)
        ]
        before = tuple(v // 2 for v in total)
        after = tuple(v - v // 2 for v in total)
    if any(m + b + e < w for m, b, e, w in zip(space, before, after, extents, strict=True)):
        raise ValueError(
            f"{layer} has windows of {tuple(extents)} that do not fit {space}; use padding='same'"
        )
    return Windows(space, kernel, strides, dilation, before, after)


def channels_last(loader: Loader, layer: Layer, x: Symbol, rank: int) -> Symbol:
    """(channels, *space) as (*space, channels) where the layer says channels_first."""
    if len(x.shape) != rank + 1:
        raise loader.error(
            layer,
            f"has an input of shape {x.shape} beside the batch",
            f"give it {rank} spatial axes and channels",
        )
    if layer.config.get("data_format") != "channels_first":
        return x
    return loader.wired(x, ops.Transpose((*range(1, rank + 1), 0)))


def channels_back(loader: Loader, layer: Layer, x: Symbol, rank: int) -> Symbol:
    """The layer's own axis order again."""
    if layer.config.get("data_format") != "channels_first" or len(x.shape) != rank + 1:
        return x
    return loader.wired(x, ops.Transpose((rank, *range(rank))))
