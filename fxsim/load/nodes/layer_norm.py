"""Handler of LayerNormalization: exact sums and squares, a root and a quotient of stated precision."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.layers.layer_norm import integer_sqrt
from fxsim.load.affine import Activation, Channels, Line, Symbol, channels
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.grid import ordered
from fxsim.load.nodes.product import square
from fxsim.load.nodes.reorder import own_axis

OUT_FRAC = 16  # fraction bits of the quotient
ROOT_BITS = 256  # of sqrt(size), which is irrational for most sizes


@handles("LayerNormalization")
def layer_normalization(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis, its outputs Mean and InvStdDev
    unused.

    A "layer_norm" block of integers v (x = s v + o; the offset cancels), K of them:

        d_k = K v_k - sum v                                 exact
        r   = floor(sqrt((sum d**2 + c) * 4**t))            c = epsilon K**3 / s**2, rounded to 4**-t;
                                                            t = 17 - log2 K, at least 1
        q_k = trunc(d_k * 2**(16 + t) / r)

    and y_k = sqrt(K) q_k 2**-16. With d not 0, sum d**2 >= K (K - 1): so the root is off by less than
    2 * 2**-t / (K - 1) of itself, and the quotient by one LSB more. Both, for |q| <= 2**16, are the param
    `max_error`, in LSB of q. Scale and bias per element become the result's line.
    ValueError for another axis than the last, or a scale that is not constant.
    """
    x = ordered(loader, node, loader.activation(node, operands[0]))
    rank = len(x.shape) + 1
    axis = own_axis(loader, node, rank, int(node.get("axis", -1)))
    if axis != len(x.shape) - 1:
        raise loader.error(node, f"normalizes the axes from {axis + 1} on", "use the last axis alone")
    if any(name and any(name in n.inputs for n in loader.model.nodes) for name in node.outputs[1:]):
        raise loader.error(node, "has a mean or deviation that is read", "use its first output only")
    gain = channels(loader.constant(node, operands[1], "scale").fractions(), x.shape)
    shift = Channels((Fraction(0),))
    if len(operands) > 2 and operands[2] is not None:
        shift = channels(loader.constant(node, operands[2], "bias").fractions(), x.shape)
    epsilon = Fraction(float(np.float32(node.get("epsilon", 1e-5))))
    y = normalized(loader, node, x, epsilon)
    return y.map(lambda line, g, b: line.then(g, b), gain, shift)


def normalized(loader: Loader, node: FileNode, x: Activation, epsilon: Fraction) -> Activation:
    """(x - mean) / sqrt(variance + epsilon) over the last axis."""
    size = x.shape[-1]
    if size < 2:
        raise loader.error(node, f"normalizes {size} element", "leave it out")
    step = x.lines[0].scale * Fraction(2) ** -x.tensor.frac
    t = max(OUT_FRAC + 1 - size.bit_length(), 1)
    constant = round(epsilon * size**3 / step**2 * (1 << 2 * t))
    root = Fraction(isqrt(size << 2 * ROOT_BITS), 1 << ROOT_BITS)
    # q is at most sqrt(K) 2**16, of which sqrt(K - 1) / sqrt(K) is reached; the error of the root scales it.
    error = Fraction(2 << OUT_FRAC, (1 << t) * (size - 1)) + 1
    params = {"size": size, "epsilon": epsilon, "out_frac": OUT_FRAC, "root_frac": t, "max_error": error}
    keep = (*x.shape[:-1], 1)
    with loader.builder.block("layer_norm", loader.block_name(node), [x.tensor], params) as outputs:
        raw = x.tensor << x.tensor.frac if x.tensor.frac else x.tensor
        d = raw * size - raw.sum(-1).reshape(*keep)
        radicand = square(d).sum(-1) * (1 << 2 * t) + constant
        r = integer_sqrt(radicand, f"{loader.block_name(node)}_sqrt").reshape(*keep)
        one = loader.builder.apply(ops.Const(IntArray(np.array(1 << OUT_FRAC + t))))
        q = loader.builder.apply(ops.Div(), d * one, r)
        outputs.append(q)
    return Activation(outputs[0], (Line(root / (1 << OUT_FRAC)),))
