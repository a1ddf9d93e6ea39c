"""Handler of Conv: exact integer convolutions of codes, scales and offsets in the result's lines."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.affine import Activation, Constant, Line, Symbol
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.dense import biased, coded, powers_of_two
from fxsim.load.nodes.join import with_code
from fxsim.load.nodes.windows import Windows, channels_first, channels_last, spatial, windows
from fxsim.trace import Builder, Tensor, concat


@handles("Conv")
def conv(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Any number of spatial axes, with strides, pads, dilations and groups; the bias is optional."""
    x = loader.activation(node, operands[0], "its first operand")
    bias = None
    if len(operands) > 2 and operands[2] is not None:
        bias = loader.constant(node, operands[2], "bias")
    return convolution(loader, node, x, coded(loader, node, operands[1]), bias)


def convolution(
    loader: Loader,
    node: FileNode,
    x: Activation,
    weight: tuple[Array, Array],
    bias: Constant | None,
    shape: Windows | None = None,
) -> Activation:
    """The exact integer convolution of codes, as a "conv2d" block (channels last inside).

    weight = (codes, exact scales), both (outputs, channels / group, *kernel). For output m with weight scale
    t_m and input scale s: real = s * t_m * (v * w)_m + t_m * sum of o_c * w_mck. The padding is real 0, which
    must be a code, so that the offset is the same at every position. `shape` is given where the node's own
    attributes do not mean these windows.
    """
    codes, scale = weight
    if codes.ndim < 3:
        raise loader.error(
            node, f"has weights of shape {codes.shape}", "use (outputs, channels / group, *kernel)"
        )
    x = loader.materialised(node, x)
    space = spatial(loader, node, x, codes.ndim - 2)
    groups, made, per = int(node.get("group", 1)), codes.shape[0], codes.shape[1]
    if groups < 1 or per * groups != x.shape[0] or made % groups:
        raise loader.error(
            node, f"has {x.shape[0]} channels in {groups} groups for weights {codes.shape}",
            "channels must be group * the weights' axis 1, and outputs a multiple of group",
        )  # fmt: skip
    columns = scale.reshape(made, -1)
    if np.any(columns != columns[:, :1]):
        raise loader.error(
            node, "has weight scales that vary within an output", "use one scale per tensor or per output"
        )
    shape = shape or windows(loader, node, space, codes.shape[2:])
    fill = 0
    if shape.padded:
        x, fill = with_code(loader, node, x, Fraction(0))
    factors, sums = through(loader, node, x, codes, columns[:, 0].tolist(), groups)
    order = (*range(2, codes.ndim), 1, 0)
    raw, frac, left = powers_of_two(codes.transpose(order), columns[:, 0].tolist())
    extra = {
        "stride": shape.strides, "dilation": shape.dilations, "before": shape.before,
        "after": shape.after, "groups": groups,
    }  # fmt: skip
    params: dict[str, Any] = {"weight": IntArray(raw), "weight_frac": frac, "bias": None, "bias_frac": 0}
    params |= extra | ({"fill": fill} if fill else {})
    last = channels_last(x).tensor
    kind = f"conv{len(space)}d"
    with loader.builder.block(kind, loader.block_name(node), [last], params) as outputs:
        y = product(loader.builder, last, raw, frac, shape, groups, fill)
        lines = tuple(Line(s * t, o) for s, t, o in zip(factors, left, sums, strict=True))
        result = Activation(y, lines, len(space) if len(lines) > 1 else None).settled()
        if bias is not None:
            result = biased(result, bias, Fraction(1), params)
        outputs.append(result.tensor)
    return channels_first(result)


def product(
    builder: Builder, x: Tensor, raw: Array, frac: int, shape: Windows, groups: int, fill: int
) -> Tensor:
    """Windows of (*space, channels) times weights (*kernel, channels / groups, outputs)."""
    found = builder.apply(shape.op(fill), x)
    n, per, made = len(shape.kernel), raw.shape[-2], raw.shape[-1] // groups
    parts = []
    for g in range(groups):
        part = found[..., g * per : (g + 1) * per] if groups > 1 else found
        rows = part.reshape(*part.shape[:n], shape.size * per)
        columns = raw[..., g * made : (g + 1) * made].reshape(-1, made)
        parts.append(rows @ builder.apply(ops.Const(IntArray(columns), frac)))
    return parts[0] if groups == 1 else concat(parts, axis=n)


def through(
    loader: Loader, node: FileNode, x: Activation, codes: Array, columns: list[Fraction], groups: int
) -> tuple[list[Fraction], list[Fraction]]:
    """(input scale, offset) of each output: scales may differ between groups, offsets between channels."""
    made, per = codes.shape[0], codes.shape[1]
    lines = x.lines if x.axis is not None else x.lines * x.shape[0]
    wide = to_object(codes.reshape(made, per, -1)).sum(axis=2)
    factors, sums = [], []
    for m in range(made):
        group = lines[m * groups // made * per :][:per]
        if any(li.scale != group[0].scale for li in group):
            raise loader.error(
                node, "sums codes of unequal scales", "use one scale per tensor, or per channel if depthwise"
            )
        factors.append(group[0].scale)
        terms = (li.offset * int(w) for li, w in zip(group, wide[m], strict=True))
        sums.append(sum(terms, Fraction(0)) * columns[m])
    return factors, sums
