"""Handlers of pooling: the greatest value of a window, or its exact sum with 1 / elements in the scale."""

from __future__ import annotations

import numpy as np

from fxsim.load.affine import Line
from fxsim.load.keras.layers.conv import channels_back, channels_last, windows
from fxsim.load.keras.layers.dense import entered, left, shaped
from fxsim.load.keras.loader import Arguments, Loader, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.symbols import Activation, Symbol
from fxsim.load.nodes.windows import Windows
from fxsim.trace import Tensor

RANKS = ("1D", "2D", "3D")


def pools(kind: str) -> tuple[str, ...]:
    """The classes of a kind of pooling, of Keras and of HGQ2."""
    return tuple(f"{q}{kind}{r}" for q in ("", "Q") for r in RANKS)


@handles(*pools("MaxPooling"), *pools("GlobalMaxPooling"))
def max_pool(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """The maximum of the values, which commutes with a positive scale; padding never wins."""
    x, window, n = _windowed(loader, layer, arguments)
    if any(line.scale <= 0 for line in x.lines):
        raise loader.error(
            layer, "takes the maximum of values with negative scales (after a BatchNormalization)",
            "give it an input quantizer, or put a Quantizer layer before it",
        )  # fmt: skip
    with loader.builder.block("max_pool", loader.block_name(layer.name), [x.tensor]) as outputs:
        y = loader.builder.apply(window.op(x.tensor.type.bounds[0]), x.tensor)
        outputs.append(y.reshape(*y.shape[:n], -1, y.shape[-1]).max(axis=n))
    return _finished(loader, layer, Activation(outputs[0], x.lines, x.axis), n)


@handles(*pools("AveragePooling"), *pools("GlobalAveragePooling"))
def average_pool(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """The exact sum; 1 / elements goes into the scale, which the next quantizer takes in.

    Padding counts for nothing, and each window is divided by the elements it has.
    """
    x, window, n = _windowed(loader, layer, arguments)
    if x.clamped:
        raise loader.error(layer, "averages clamped values", "put a Quantizer layer before it")
    if window.padded and window.before != window.after:
        raise loader.error(
            layer, f"pads {window.before} before and {window.after} after, where Keras' back ends differ "
            "(torch repeats the edge, JAX and TensorFlow leave padding out)",
            "use padding='valid', or sizes that pad evenly",
        )  # fmt: skip
    counts = window.counts()
    elements = int(np.lcm.reduce(counts.ravel()))
    with loader.builder.block("average_pool", loader.block_name(layer.name), [x.tensor]) as outputs:
        y = loader.builder.apply(window.op(), x.tensor).sum(axis=tuple(range(n, 2 * n)))
        if np.any(counts != elements):
            y = y * (elements // counts)[..., None]
        out = averaged(Activation(y, x.lines, x.axis), elements)
        outputs.append(out.tensor)
    return _finished(loader, layer, out, n)


def averaged(sums: Activation, elements: int) -> Activation:
    """real = sum / elements, per line."""
    lines = tuple(Line(li.scale / elements, li.offset) for li in sums.lines)
    return Activation(sums.tensor, lines, sums.axis).settled()


def _windowed(loader: Loader, layer: Layer, arguments: Arguments) -> tuple[Activation, Windows, int]:
    """(the operand with its channels last, its windows, the number of spatial axes)."""
    n = int(layer.kind[-2])
    found = channels_last(loader, layer, entered(loader, layer, arguments.one()), n)
    x = loader.activation(layer, found).settled()
    if x.axis not in (None, n) or (len({line.offset for line in x.lines}) > 1 and x.axis is None):
        raise loader.error(
            layer, "pools values whose scales vary over space", "put a Quantizer layer before it"
        )
    space = x.shape[:n]
    if "Global" in layer.kind:
        return x, Windows(space, space, (1,) * n, (1,) * n, (0,) * n, (0,) * n), n
    config = dict(layer.config)
    config.setdefault("strides", None)
    if config["strides"] is None:
        config["strides"] = config["pool_size"]
    config.pop("dilation_rate", None)
    return x, windows(layer, config, space, shaped(config, "pool_size", n)), n


def _finished(loader: Loader, layer: Layer, x: Activation, n: int) -> Symbol:
    """The layer's own axis order, without a global pool's axes of size 1, behind its output quantizer."""
    out: Symbol = channels_back(loader, layer, x, n)
    if "Global" in layer.kind and not layer.config.get("keepdims", False):
        assert isinstance(out, Activation)
        t: Tensor = out.tensor.reshape(x.tensor.shape[-1])
        out = Activation(t, out.lines, None if out.axis is None else 0)
    return left(loader, layer, out)


__all__ = ["average_pool", "averaged", "max_pool"]
