"""Handlers of FINN's lowered ops: Im2Col, XnorPopcountMatMul, QuantAvgPool2d, and DebugMarker."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.load.affine import Activation, Constant, Symbol
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.dense import dense, weights
from fxsim.load.nodes.join import with_code
from fxsim.load.nodes.quant import Quantizer, codes
from fxsim.load.nodes.trunc import NONE, ONE, ends, whole_numbers
from fxsim.load.nodes.windows import channels_first, channels_last


@handles("DebugMarker", domain="qonnx")
def marker(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The operand itself."""
    out: Symbol = operands[0]
    return out


@handles("XnorPopcountMatMul", domain="qonnx")
def xnor_popcount(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The number of equal bits: ((2 x - 1) @ (2 w - 1) + K) / 2 for bits x and constant bits w (K, N)."""
    x = loader.activation(node, operands[0], "its first operand")
    w = loader.constant(node, operands[1], "weight matrix as second operand").values
    if not np.all((w == 0) | (w == 1)):
        raise loader.error(node, "has weights other than 0 and 1", "use MatMul for them")
    signs = x.map(lambda line: line.then(Fraction(2), Fraction(-1)))
    bipolar = Constant((2 * w - 1).astype(np.float32))
    y = dense(loader, node, signs, weights(loader, node, bipolar), None)
    return y.map(lambda line: line.then(Fraction(1, 2), Fraction(len(w), 2))).settled()


@handles("Im2Col", domain="qonnx")
def im2col(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """(height, width, channels) to (rows, columns, kernel * kernel * channels), padded by pad_value."""
    x = loader.materialised(node, loader.activation(node, operands[0]))
    kernel, strides = (tuple(node.get(k, ())) for k in ("kernel_size", "stride"))
    pads, dilations = tuple(node.get("pad_amount", (0,) * 4)), tuple(node.get("dilations", (1, 1)))
    fits = (len(x.shape), len(kernel), len(strides), len(dilations), len(pads)) == (3, 2, 2, 2, 4)
    if not fits or min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
        given = f"kernel_size {kernel}, stride {strides}, dilations {dilations}, pad_amount {pads}"
        raise loader.error(
            node, f"has {given} for a tensor {x.shape}",
            "give 2, 2, 2 and 4 integers, and an input (batch, height, width, channels)",
        )  # fmt: skip
    fill = 0
    if any(pads):
        x, fill = with_code(loader, node, x, Fraction(int(node.get("pad_value", 0))))
    if x.axis not in (None, 2):
        raise loader.error(node, "has scales along its rows or columns", "use one per tensor or channel")
    op = ops.Window(kernel, strides, dilations, pads[:2], pads[2:], fill)
    y = loader.builder.apply(op, x.tensor)
    y = y.reshape(*y.shape[:2], -1)
    times = 1 if x.axis is None else kernel[0] * kernel[1]
    return Activation(y, x.lines * times, x.axis)


@handles("QuantAvgPool2d", domain="qonnx")
def quant_average_pool(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The sum of each window without its last bits: ibits inputs, obits outputs, floor(sum / 2**shift).

    shift is what the bits of the greatest sum, (2**ibits - 1) * kernel**2, exceed obits by. The inputs must
    be whole numbers.
    """
    x = loader.materialised(node, loader.activation(node, operands[0]))
    kernel, stride, bits, made = (int(node.get(k, 0)) for k in ("kernel", "stride", "ibits", "obits"))
    if len(x.shape) != 3 or min(kernel, stride, bits, made) < 1:
        raise loader.error(
            node, f"has kernel {kernel}, stride {stride}, ibits {bits}, obits {made} for a tensor {x.shape}",
            "give positive integers, and an input of two spatial axes",
        )  # fmt: skip
    if not x.identity or not whole_numbers(x):
        raise loader.error(node, "pools numbers that are not whole", "move the scale behind it, as FINN does")
    last = x if node.get("data_layout") == "NHWC" else channels_last(x)
    op = ops.Window((kernel, kernel), (stride, stride), (1, 1), (0, 0), (0, 0))
    shift = max((((1 << bits) - 1) * kernel * kernel).bit_length() - made, 0)
    with loader.builder.block("average_pool", loader.block_name(node), [last.tensor]) as outputs:
        sums = loader.builder.apply(op, last.tensor).sum(axis=(2, 3))
        outputs.append(sums)
    halved = Activation(sums >> shift)
    low, high = ends(halved)
    y = codes(loader, node, halved, Quantizer(ONE, NONE, low, high, "FLOOR")) if shift else halved
    return y if last is x else channels_first(y)
