"""Handlers of wiring: Flatten, Reshape, Permute, padding, cropping, nearest upsampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.load.keras.layers.conv import channels_back, channels_last, padded
from fxsim.load.keras.loader import Arguments, Loader, bounded, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.symbols import Activation, HostInput, Mapped, Symbol


@handles("Flatten")
def flatten(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """All axes as one, channels last."""
    x = arguments.one()
    if layer.config.get("data_format") == "channels_first" and len(x.shape) > 1:
        x = loader.wired(x, ops.Transpose((*range(1, len(x.shape)), 0)))
    return _blocked(loader, layer, x, ops.Reshape((int(np.prod(x.shape, dtype=np.int64)),)))


@handles("Reshape")
def reshape(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """The same elements in another shape; one size may be -1."""
    x, target = arguments.one(), [int(n) for n in layer.config["target_shape"]]
    size = int(np.prod(x.shape, dtype=np.int64))
    if target.count(-1) == 1:
        rest = -int(np.prod(target, dtype=np.int64))
        target[target.index(-1)] = size // rest if rest and size % rest == 0 else 0
    if any(n < 1 for n in target) or int(np.prod(target, dtype=np.int64)) != size:
        raise loader.error(layer, f"reshapes {x.shape} to {layer.config['target_shape']}", "keep the size")
    return _blocked(loader, layer, x, ops.Reshape(tuple(target)))


@handles("Permute")
def permute(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Axes in another order; Keras counts them from 1."""
    x, dims = arguments.one(), [int(d) for d in layer.config["dims"]]
    if sorted(dims) != list(range(1, len(x.shape) + 1)):
        raise loader.error(layer, f"permutes {x.shape} by {dims}", f"name each of 1..{len(x.shape)} once")
    return _blocked(loader, layer, x, ops.Transpose(tuple(d - 1 for d in dims)))


@handles("RepeatVector")
def repeat(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """The vector n times along a new first axis."""
    x = arguments.one()
    n = int(layer.config["n"])
    bounded(layer, (n, *x.shape))
    one = loader.wired(x, ops.Reshape((1, *x.shape)))
    return _blocked(loader, layer, one, ops.Gather(IntArray(np.zeros(n, np.int64)), 0))


@handles("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Zeros around the spatial axes."""
    rank = int(layer.kind[-2])
    x = channels_last(loader, layer, arguments.one(), rank)
    before, after = zip(*_pairs(loader, layer, "padding", rank), (0, 0), strict=True)
    bounded(layer, tuple(b + n + e for b, n, e in zip(before, x.shape, after, strict=True)))
    return channels_back(loader, layer, padded(loader, layer, x, before, after), rank)


@handles("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Borders cut off the spatial axes."""
    rank = int(layer.kind[-2])
    x = channels_last(loader, layer, arguments.one(), rank)
    pairs = _pairs(loader, layer, "cropping", rank)
    if any(b + e >= n for (b, e), n in zip(pairs, x.shape, strict=False)):
        raise loader.error(layer, f"crops {pairs} from {x.shape}", "leave one element an axis")
    stops = [n - e for (_, e), n in zip(pairs, x.shape, strict=False)]
    op = ops.Slice((*(b for b, _ in pairs), 0), (*stops, x.shape[-1]), (1,) * (rank + 1))
    return channels_back(loader, layer, _blocked(loader, layer, x, op), rank)


@handles("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Each element size times along the spatial axes."""
    rank = int(layer.kind[-2])
    if layer.config.get("interpolation", "nearest") != "nearest":
        raise loader.error(
            layer, f"interpolates by {layer.config['interpolation']!r}", "use interpolation='nearest'"
        )
    x = channels_last(loader, layer, arguments.one(), rank)
    size = layer.config.get("size", 2)
    sizes = [int(size)] * rank if isinstance(size, int) else [int(n) for n in size]
    if len(sizes) != rank or min(sizes) < 1:
        raise loader.error(layer, f"has the size {size!r}", f"give {rank} positive integers")
    bounded(layer, tuple(n * s for n, s in zip(x.shape, (*sizes, 1), strict=True)))
    for axis, n in enumerate(sizes):
        index = np.repeat(np.arange(x.shape[axis]), n)
        x = loader.wired(x, ops.Gather(IntArray(index), axis))
    return channels_back(loader, layer, x, rank)


def _blocked(loader: Loader, layer: Layer, x: Symbol, op: Any) -> Symbol:
    """A wiring op as a block of its own, where the tensor is in the graph already."""
    if isinstance(x, (HostInput, Mapped)):
        return loader.wired(x, op)
    with loader.builder.block("flatten", loader.block_name(layer.name), [x.tensor]) as outputs:
        out = loader.wired(x, op)
        assert isinstance(out, Activation)
        outputs.append(out.tensor)
    return out


def _pairs(loader: Loader, layer: Layer, key: str, rank: int) -> list[tuple[int, int]]:
    """(before, after) per spatial axis: one number, or one per axis, or a pair per axis."""
    value = layer.config.get(key, 1)
    entries = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(entries) == 2 and all(isinstance(v, int) for v in entries):
        entries = [entries]
    pairs = [(int(v), int(v)) if isinstance(v, int) else (int(v[0]), int(v[1])) for v in entries]
    if len(pairs) != rank or any(min(p) < 0 for p in pairs):
        raise loader.error(layer, f"has the {key} {value!r}", f"give {rank} pairs that are not negative")
    return pairs
