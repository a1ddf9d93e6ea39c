"""The windows of a convolution or pooling node: kernel, strides, dilations and pads by ONNX's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fxsim import ops
from fxsim.integers import Array
from fxsim.load.affine import Activation
from fxsim.load.limits import MAX_ACTIVATIONS, check_elements
from fxsim.load.loader import Loader
from fxsim.load.model import FileNode

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial axes `space`, one entry per axis."""

    space: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def padded(self) -> bool:
        return any(self.before) or any(self.after)

    @property
    def size(self) -> int:
        """Elements of one window."""
        return int(np.prod(self.kernel))

    def counts(self) -> Array:
        """How many elements of each window do not lie in the padding; shape of the positions."""
        out = np.ones((), np.int64)
        for n, k, s, d, b, e in zip(
            self.space, self.kernel, self.strides, self.dilations, self.before, self.after, strict=True
        ):
            starts = np.arange((n + b + e - d * (k - 1) - 1) // s + 1) * s - b
            at = starts[:, None] + d * np.arange(k)
            out = out[..., None] * np.sum((at >= 0) & (at < n), axis=1)
        return np.asarray(out)

    @property
    def positions(self) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        rows = zip(
            self.space, self.kernel, self.strides, self.dilations, self.before, self.after, strict=True
        )
        return tuple((n + b + e - d * (k - 1) - 1) // s + 1 for n, k, s, d, b, e in rows)

    def op(self, fill: int = 0) -> ops.Window:
        """The wiring op on a channels-last tensor; `fill` is the raw code of the padding."""
        return ops.Window(self.kernel, self.strides, self.dilations, self.before, self.after, fill)


def windows(
    loader: Loader, node: FileNode, space: Sequence[int], kernel: Sequence[int] | None = None
) -> Windows:
    """The node's attributes over the axes `space`; the kernel is its own attribute, or that of the weights.

    ValueError for attributes of a wrong length, an unknown auto_pad, or windows that do not fit.
    """
    given = node.get("kernel_shape")
    if kernel is not None and given is not None and tuple(given) != tuple(kernel):
        raise loader.error(node, f"has kernel_shape {given} for weights {tuple(kernel)}", "make them equal")
    kernel = kernel if kernel is not None else given
    n = len(space)
    if kernel is None or len(kernel) != n:
        raise loader.error(
            node, f"has kernel_shape {kernel} for {n} spatial axes", f"give it {n} sizes, in NCHW order"
        )
    strides, dilations = (entries(loader, node, name, n) for name in ("strides", "dilations"))
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    before, after = pads(loader, node, space, extents, strides)
    if node.get("ceil_mode", 0):
        after = up(space, extents, strides, before, after)
    if any(n + b + e < w for n, b, e, w in zip(space, before, after, extents, strict=True)):
        raise loader.error(
            node, f"has windows of {tuple(extents)} that do not fit {tuple(space)} with its pads",
            "correct kernel_shape, dilations or pads",
        )  # fmt: skip
    found = Windows(tuple(space), tuple(kernel), strides, dilations, before, after)
    padded = [n + b + e for n, b, e in zip(space, before, after, strict=True)]
    check_elements(f"the padded input of {node}", padded, MAX_ACTIVATIONS)
    check_elements(f"the windows of {node}", [*found.positions, *found.kernel])
    return found


def entries(loader: Loader, node: FileNode, name: str, n: int) -> tuple[int, ...]:
    """An attribute with one positive integer per axis; default 1."""
    value = tuple(node.get(name, (1,) * n))
    if len(value) != n or any(v < 1 for v in value):
        raise loader.error(node, f"has {name} {value}", f"give {n} positive integers")
    return value


def pads(
    loader: Loader, node: FileNode, space: Sequence[int], extents: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(before, after) by pads or auto_pad; SAME gives ceil(size / stride) positions."""
    n, auto = len(space), str(node.get("auto_pad", "NOTSET"))
    if auto not in AUTO_PADS:
        raise loader.error(node, f"has auto_pad {auto!r}", f"use one of {', '.join(AUTO_PADS)}")
    if auto == "NOTSET":
        both = tuple(node.get("pads", (0,) * 2 * n))
        if len(both) != 2 * n or any(p < 0 for p in both):
            raise loader.error(node, f"has pads {both}", f"give {2 * n} integers that are not negative")
        return both[:n], both[n:]
    if auto == "VALID":
        return (0,) * n, (0,) * n
    total = [max((-(-m // s) - 1) * s + w - m, 0) for m, w, s in zip(space, extents, strides, strict=True)]
    less = tuple(t // 2 for t in total)
    more = tuple(t - t // 2 for t in total)
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def up(
    space: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
) -> tuple[int, ...]:
    """The end pads of ceil_mode: one more window for a rest, unless it begins beyond the data and its pad."""
    out = []
    for n, w, s, b, e in zip(space, extents, strides, before, after, strict=True):
        positions = -(-(n + b + e - w) // s) + 1
        if (positions - 1) * s >= n + b:
            positions -= 1
        out.append(max((positions - 1) * s + w - n - b, 0))
    return tuple(out)


def spatial(loader: Loader, node: FileNode, x: Activation, rank: int | None = None) -> tuple[int, ...]:
    """The sizes of the axes after the channels; scales must be per tensor or per channel."""
    if len(x.shape) < 2 or (rank is not None and len(x.shape) != rank + 1):
        raise loader.error(
            node, f"has an input of shape {x.shape} beside the batch",
            "give it one channel axis and the spatial axes: (batch, channels, height, width)",
        )  # fmt: skip
    if x.axis not in (None, 0):
        raise loader.error(
            node, f"has scales along axis {x.axis + 1} of its input", "use one scale per tensor or channel"
        )
    return x.shape[1:]


def channels_last(x: Activation) -> Activation:
    """(channels, *space) as (*space, channels)."""
    order = (*range(1, len(x.shape)), 0)
    return Activation(x.tensor.transpose(*order), x.lines, None if x.axis is None else order.index(x.axis))


def channels_first(x: Activation) -> Activation:
    """(*space, channels) as (channels, *space)."""
    order = (len(x.shape) - 1, *range(len(x.shape) - 1))
    return Activation(x.tensor.transpose(*order), x.lines, None if x.axis is None else order.index(x.axis))
