"""Handlers of batch normalization: quantized by HGQ2, or a real line that the next quantizer takes in."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Activation, Channels
from fxsim.load.keras.layers.dense import entered, left, weights
from fxsim.load.keras.loader import Arguments, Loader, handles, variables
from fxsim.load.keras.network import Layer
from fxsim.load.keras.symbols import Symbol


@handles("QBatchNormalization")
def quantized_norm(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """iq(x) * kq(gamma / sqrt(var + eps)) + bq(beta - mean * that): parameters in float32, the rest exact."""
    config = layer.config
    t = loader.plain(layer, entered(loader, layer, arguments.one()))
    axis, gamma, beta, mean, variance = _parameters(loader, layer, t.shape)
    scale = gamma / np.sqrt(variance + np.float32(config.get("epsilon", 1e-3)))
    offset = np.asarray(beta - mean * scale, np.float32)
    kq = loader.quantizer(layer, "kq", config.get("kq_conf"))
    bq = loader.quantizer(layer, "bq", config.get("bq_conf"))
    column = (-1,) + (1,) * (t.ndim - 1 - axis)
    factor, factor_frac = weights(layer, scale if kq is None else kq.reals(scale))
    term, term_frac = weights(layer, offset if bq is None else bq.reals(offset))
    params: dict[str, Any] = {
        "scale": IntArray(factor), "scale_frac": factor_frac, "bias": IntArray(term), "bias_frac": term_frac,
        "axis": axis,
    }  # fmt: skip
    with loader.builder.block("batch_norm", loader.block_name(layer.name), [t], params) as outputs:
        y = t * loader.builder.apply(ops.Const(IntArray(factor.reshape(column)), factor_frac))
        y = y + loader.builder.apply(ops.Const(IntArray(term.reshape(column)), term_frac))
        outputs.append(y)
    return left(loader, layer, Activation(y))


@handles("BatchNormalization")
def plain_norm(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """gamma * (x - mean) / sqrt(var + eps) + beta per channel, exact but for the root, which is a double."""
    x = loader.activation(layer, arguments.one())
    axis, *found = _parameters(loader, layer, x.shape)
    gamma, beta, mean, variance = ([Fraction(float(v)) for v in p.tolist()] for p in found)
    epsilon = float(layer.config.get("epsilon", 1e-3))
    roots = [
        Fraction(math.sqrt(float(v) + epsilon)) if v + Fraction(epsilon) > 0 else Fraction(0)
        for v in variance
    ]
    if any(r == 0 for r in roots):
        raise loader.error(layer, "has a variance and epsilon of 0 or less", "use a positive epsilon")
    slope = tuple(g / r for g, r in zip(gamma, roots, strict=True))
    shift = tuple(b - m * a for b, m, a in zip(beta, mean, slope, strict=True))
    return x.map(lambda line, a, b: line.then(a, b), Channels(slope, axis), Channels(shift, axis))


def _parameters(
    loader: Loader, layer: Layer, shape: tuple[int, ...]
) -> tuple[int, Array, Array, Array, Array]:
    """(axis without the batch, gamma, beta, mean, variance) as float32."""
    config = layer.config
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    rank = len(shape) + 1
    if not isinstance(axis, int) or not 0 < axis % rank < rank or not -rank <= axis < rank:
        raise loader.error(layer, f"has the axis {axis!r}", f"use one axis in 1..{rank - 1}")
    place = axis % rank - 1
    size = (shape[place],)
    scale, center = bool(config.get("scale", True)), bool(config.get("center", True))
    found = iter(variables(layer, *[size] * (2 + scale + center)))
    gamma = np.asarray(next(found), np.float32) if scale else np.ones(size, np.float32)
    # Where HGQ2 has no center, it adds 1, not 0.
    absent = np.full(size, 1 if layer.kind == "QBatchNormalization" else 0, np.float32)
    beta = np.asarray(next(found), np.float32) if center else absent
    mean, variance = (np.asarray(v, np.float32) for v in found)
    return place, gamma, beta, mean, variance
