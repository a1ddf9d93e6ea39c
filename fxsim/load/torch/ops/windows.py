"""Translators of pooling and of resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.load.torch.ops.products import spread
from fxsim.load.torch.program import Program, translates


@translates(
    "aten::max_pool1d", "aten::max_pool2d", "aten::max_pool3d", "aten::max_pool2d_with_indices",
    "aten::max_pool3d_with_indices",
)  # fmt: skip
def max_pool(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """The greatest code of a window."""
    n = axes(p, node)
    kernel = spread(a["kernel_size"], n)
    y = p.emit(
        "MaxPool", [a["self"]], p.name(node), kernel_shape=kernel,
        strides=spread(a["stride"], n) if a["stride"] else kernel, pads=spread(a["padding"], n) * 2,
        dilations=spread(a["dilation"], n), ceil_mode=int(a["ceil_mode"]),
    )  # fmt: skip
    return (y, None) if "indices" in p.op(node) else y


@translates("aten::avg_pool1d", "aten::avg_pool2d", "aten::avg_pool3d")
def avg_pool(p: Program, node: Any, a: dict[str, Any]) -> str:
    """The mean of a window. Without padding, torch counts what lies inside even with ceil_mode."""
    n = axes(p, node)
    kernel, pads = spread(a["kernel_size"], n), spread(a["padding"], n)
    divisor = a.get("divisor_override")
    if divisor is not None and divisor != int(np.prod(kernel)):
        raise p.error(
            node, f"has divisor_override = {divisor}", "leave it out, and scale the result by a quantizer"
        )
    return p.emit(
        "AveragePool", [a["self"]], p.name(node), kernel_shape=kernel,
        strides=spread(a["stride"], n) if a["stride"] else kernel, pads=pads * 2,
        ceil_mode=int(a["ceil_mode"]), count_include_pad=int(any(pads) and a["count_include_pad"]),
    )  # fmt: skip


@translates(
    "aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool2d", "aten::adaptive_avg_pool3d",
    "aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d",
)  # fmt: skip
def adaptive_avg_pool(p: Program, node: Any, a: dict[str, Any]) -> str:
    """The mean of equal windows."""
    kernel = adaptive(p, node, a)
    if kernel is None:
        return p.emit("GlobalAveragePool", [a["self"]], p.name(node))
    return p.emit("AveragePool", [a["self"]], p.name(node), kernel_shape=kernel, strides=kernel)


@translates("aten::adaptive_max_pool1d", "aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d")
def adaptive_max_pool(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """The greatest code of equal windows."""
    kernel = adaptive(p, node, a)
    if kernel is None:
        return p.emit("GlobalMaxPool", [a["self"]], p.name(node)), None
    return p.emit("MaxPool", [a["self"]], p.name(node), kernel_shape=kernel, strides=kernel), None


def axes(p: Program, node: Any) -> int:
    """The number of spatial axes; ValueError without a batch."""
    rank = len(p.sizes(node.args[0]))
    n = int(next(c for c in p.op(node) if c.isdigit()))
    if rank != n + 2:
        raise p.error(
            node, f"has an input of {rank} axes", f"give it a batch and a channel axis: {n + 2} axes"
        )
    return n


def adaptive(p: Program, node: Any, a: dict[str, Any]) -> tuple[int, ...] | None:
    """The window of an adaptive pool whose windows are equal; None for one over all."""
    n = axes(p, node)
    space = p.sizes(node.args[0])[2:]
    size = tuple(
        s if o is None else int(o) for s, o in zip(space, spread_open(a["output_size"], n), strict=True)
    )
    if all(o == 1 for o in size):
        return None
    if any(s % o for s, o in zip(space, size, strict=True)):
        raise p.error(
            node, f"pools {space} to {size}, with windows of different sizes",
            "give output_size a divisor of its input, or use a pool with a fixed window",
        )  # fmt: skip
    return tuple(s // o for s, o in zip(space, size, strict=True))


def spread_open(value: Any, n: int) -> tuple[Any, ...]:
    """One number or None per axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * n if len(values) == 1 else values


@translates("aten::upsample_nearest1d", "aten::upsample_nearest2d", "aten::upsample_nearest3d")
def upsample(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Nearest neighbours: the source of pixel i is floor(i * old / new), for whole factors only."""
    x = a["self"] if "self" in a else a["input"]
    old, new = p.sizes(node.args[0]), p.sizes(node)
    if any(b % s for s, b in zip(old[2:], new[2:], strict=True)):
        raise p.error(node, f"resizes {old[2:]} to {new[2:]}", "use a whole factor")
    scales = np.array([1, 1, *(b / s for s, b in zip(old[2:], new[2:], strict=True))], np.float32)
    return p.emit(
        "Resize", [x, None, scales], p.name(node), mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip


@translates("aten::pixel_shuffle")
def pixel_shuffle(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Channels to pixels."""
    return p.emit("DepthToSpace", [a["self"]], p.name(node), blocksize=int(a["upscale_factor"]), mode="CRD")


@translates("aten::pixel_unshuffle")
def pixel_unshuffle(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Pixels to channels: channel-major, which is a reshape and a transposition."""
    b, c, h, w = p.sizes(node.args[0])
    r = int(a["downscale_factor"])
    split = p.emit("Reshape", [a["self"], np.array([b, c, h // r, r, w // r, r])], p.name(node, "split"))
    moved = p.emit("Transpose", [split], p.name(node, "moved"), perm=(0, 1, 3, 5, 2, 4))
    return p.emit("Reshape", [moved, np.array([b, c * r * r, h // r, w // r])], p.name(node))
