"""Handlers of Resize and Upsample: nearest elements as wiring, linear interpolation as a constant product."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Activation, Constant, Line, Symbol, as_fractions
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import FileNode
from fxsim.load.nodes.reorder import chosen
from fxsim.load.nodes.wiring import folded

HALF = Fraction(1, 2)
COORDINATES = ("asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners")
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
POLICIES = ("stretch", "not_larger", "not_smaller")
SNAP = Fraction(1, 1 << 20)  # a float32 scale this close to out / in means it


@handles("Resize", "Upsample")
def resize(loader: Loader, node: FileNode, operands: list[Symbol | None]) -> Symbol:
    """Modes nearest (wiring) and linear (an exact product with rational weights) on the axes but the batch.

    Coordinates are exact rationals of the scales that are meant (out / in where a float32 scale stands for
    it). Nearest elements are refused where float32, in which runtimes compute, would choose another one.
    """
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x, *operands[1:])
    mode = str(node.get("mode", "nearest"))
    if mode not in ("nearest", "linear"):
        raise loader.error(node, f"has the mode {mode!r}", "use nearest or linear")
    assert x is not None
    old = (loader.batch, *x.shape)
    sizes, scales = targets(loader, node, operands, old)
    if sizes[0] != old[0]:
        raise loader.error(node, "resizes the batch axis", "resize the other axes only")
    early = node.op == "Upsample" or loader.model.opset < 11
    how = "asymmetric" if early else str(node.get("coordinate_transformation_mode", "half_pixel"))
    if how not in COORDINATES or node.get("antialias", 0):
        what = "antialias = 1" if node.get("antialias", 0) else f"coordinate_transformation_mode {how!r}"
        raise loader.error(node, f"has {what}", f"use one of {', '.join(COORDINATES)} without antialias")
    nearest = "floor" if early else str(node.get("nearest_mode", "round_prefer_floor"))
    if nearest not in NEAREST:
        raise loader.error(node, f"has nearest_mode {nearest!r}", f"use one of {', '.join(NEAREST)}")
    out: Symbol = x
    for axis in range(1, len(old)):
        if sizes[axis] == old[axis] and scales[axis] == 1:
            continue
        at = coordinates(how, old[axis], sizes[axis], scales[axis])
        if mode == "linear":
            out = blended(loader, node, out, axis - 1, at)
            continue
        index = [picked(nearest, v, old[axis]) for v in at]
        if index != [
            picked(nearest, v, old[axis]) for v in in_floats(how, old[axis], sizes[axis], scales[axis])
        ]:
            raise loader.error(
                node,
                f"resizes {old[axis]} to {sizes[axis]}, where float32 chooses other elements than reals do",
                "use an integer factor, or coordinate_transformation_mode 'asymmetric'",
            )  # fmt: skip
        out = chosen(loader, node, out, axis - 1, np.array(index))
    return out


def targets(
    loader: Loader, node: FileNode, operands: list[Any], old: tuple[int, ...]
) -> tuple[list[int], list[Fraction]]:
    """(size, scale) of each axis, from the scales or sizes of the node, as constants."""
    place = 1 if node.op == "Upsample" or len(operands) == 2 else 2
    axes = [a % len(old) for a in node.get("axes", range(len(old)))]
    sizes, scales = list(old), [Fraction(1)] * len(old)
    known = [operands[i] if len(operands) > i else None for i in (place, place + 1)]
    values = [
        None if o is None else loader.constant(node, o, "list of scales or sizes").values for o in known
    ]
    given = node.get("scales") if values[0] is None or not values[0].size else values[0]
    if given is not None:
        factors = as_fractions(np.asarray(given, np.float32)).tolist()
        if len(factors) == len(axes) and min(factors) > 0:
            for a, f in zip(axes, factors, strict=True):
                # A float32 such as 1/3 stands for the quotient of two sizes, of which it is the nearest.
                near = Fraction(round(old[a] * f), old[a])
                sizes[a], scales[a] = int(old[a] * f), f
                if near and abs(near - f) <= SNAP * f:
                    sizes[a], scales[a] = int(near * old[a]), near
            if min(sizes) > 0:
                return sizes, scales
    elif values[1] is not None and values[1].size:
        wanted = static(values[1])
        if len(wanted) == len(axes) and min(wanted) > 0:
            own = [Fraction(n, old[a]) for a, n in zip(axes, wanted, strict=True)]
            policy = str(node.get("keep_aspect_ratio_policy", "stretch"))
            if policy not in POLICIES:
                raise loader.error(
                    node, f"has keep_aspect_ratio_policy {policy!r}", f"use one of {', '.join(POLICIES)}"
                )
            if policy != "stretch":
                own = [min(own) if policy == "not_larger" else max(own)] * len(own)
            for a, f in zip(axes, own, strict=True):
                sizes[a], scales[a] = int(f * old[a] + HALF), f
            return sizes, scales
    raise loader.error(
        node, f"has no scales or sizes for a tensor {old}", f"give {len(axes)} positive numbers, as constants"
    )


def coordinates(how: str, n: int, made: int, scale: Any) -> list[Any]:
    """Where each output element lies among the n inputs; the numbers' type is that of `scale`."""
    one = scale / scale
    half = one / 2
    out = []
    for i in range(made):
        if how == "align_corners":
            out.append(0 * one if made == 1 else i * one * (n - 1) / (made - 1))
        elif how == "asymmetric":
            out.append(i * one / scale)
        elif how == "pytorch_half_pixel" and made == 1:
            out.append(0 * one)
        else:
            shift = 0 * one
            if how == "half_pixel_symmetric":
                shift = n * half * (1 - made * one / (scale * n))
            out.append(shift + (i + half) / scale - half)
    return out


def in_floats(how: str, n: int, made: int, scale: Fraction) -> list[Fraction]:
    """The same in float32."""
    return [Fraction(float(v)) for v in coordinates(how, n, made, np.float32(scale))]


def picked(nearest: str, at: Fraction, n: int) -> int:
    """The element nearest to a coordinate, inside the tensor."""
    if nearest == "floor":
        index = at.__floor__()
    elif nearest == "ceil":
        index = at.__ceil__()
    elif nearest == "round_prefer_floor":
        index = (at - HALF).__ceil__()
    else:
        index = (at + HALF).__floor__()
    return min(max(index, 0), n - 1)


def blended(loader: Loader, node: FileNode, symbol: Symbol, axis: int, at: Sequence[Fraction]) -> Symbol:
    """Linear interpolation along an axis: integer weights, their common denominator in the scale."""
    x = loader.materialised(node, loader.activation(node, symbol))
    if x.axis == axis:
        raise loader.error(node, "blends codes of unequal scales", "use one scale per tensor before it")
    n = x.shape[axis]
    inside = [min(max(v, Fraction(0)), Fraction(n - 1)) for v in at]
    whole = lcm(*(v.denominator for v in inside))
    weights: Array = np.zeros((n, len(at)), np.int64)
    for i, v in enumerate(inside):
        low = min(int(v), n - 1)
        part = int((v - low) * whole)
        weights[low, i] += whole - part
        if part:
            weights[low + 1, i] += part
    order = [*(a for a in range(len(x.shape)) if a != axis), axis]
    back = np.argsort(order).tolist()
    with loader.builder.block("resize", loader.block_name(node), [x.tensor]) as outputs:
        y = x.tensor.transpose(*order) @ loader.builder.apply(ops.Const(IntArray(weights)))
        lines = tuple(Line(li.scale / whole, li.offset) for li in x.lines)
        result = Activation(y.transpose(*back), lines, x.axis).settled()
        outputs.append(result.tensor)
    return result
