"""Handlers of matrix products: QDense, QEinsumDense and their forms with batch norm, exact plain ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.integers import Array, IntArray
from fxsim.load.keras.layers.activation import activated
from fxsim.load.keras.layers.einsum import Equation, einsum
from fxsim.load.keras.loader import Arguments, Loader, handles, variables
from fxsim.load.keras.network import Layer
from fxsim.load.keras.quantize import quantized
from fxsim.load.keras.quantizer import FLOAT_BITS
from fxsim.load.keras.symbols import Activation, Symbol
from fxsim.trace import Tensor

# Plain float weights are taken where they are exact in this many bits, such as -1 and +1, or 0.375.
PLAIN_WEIGHT_BITS = 16
EPSILON = np.float32(1e-7)  # of Keras itself


@handles("QDense", "QBatchNormDense", "Dense")
def dense(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """activation(iq(x) @ kq(kernel) + bq(bias)), then oq: the product and the sum are exact."""
    x = entered(loader, layer, arguments.one())
    t = loader.plain(layer, x)
    units = int(layer.config["units"])
    if not t.shape:
        raise loader.error(layer, "has an input of shape ()", "give it one axis beside the batch")
    kernel, bias = parameters(
        loader, layer, (t.shape[-1], units), (units,), layer.config.get("use_bias", True)
    )
    name = loader.block_name(layer.name)
    raw, frac = weights(layer, kernel)
    params: dict[str, Any] = {"weight": IntArray(raw), "weight_frac": frac, "bias": None, "bias_frac": 0}
    params["float32_exact"] = float32_sums(t, raw, frac, bias)
    with loader.builder.block("dense", name, [t], params) as outputs:
        y = t @ loader.builder.apply(ops.Const(IntArray(raw), frac))
        y = biased(layer, y, bias, params)
        outputs.append(y)
    return left(loader, layer, activated(loader, layer, Activation(y)))


@handles("QEinsumDense", "QEinsumDenseBatchnorm", "EinsumDense")
def einsum_dense(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """activation(einsum(equation, iq(x), kq(kernel)) + bq(bias)), then oq."""
    return einsum_layer(loader, layer, entered(loader, layer, arguments.one()))


def einsum_layer(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """A QEinsumDense on an input that went through its quantizer already."""
    t = loader.plain(layer, x)
    equation = Equation.of(str(layer.config["equation"]), len(t.shape) + 1)
    axes = layer.config.get("bias_axes")
    held = layer.group.variables
    kernel_shape = held[0].shape if held else ()
    bias_shape = held[1].shape if axes and len(held) > 1 else ()
    kernel, bias = parameters(loader, layer, kernel_shape, bias_shape, bool(axes))
    raw, frac = weights(layer, kernel)
    params: dict[str, Any] = {
        "equation": str(layer.config["equation"]), "weight": IntArray(raw), "weight_frac": frac, "bias": None,
        "bias_frac": 0, "float32_exact": float32_sums(t, raw, frac, bias),
    }  # fmt: skip
    with loader.builder.block("einsum", loader.block_name(layer.name), [t], params) as outputs:
        y = einsum(equation, t, loader.builder.apply(ops.Const(IntArray(raw), frac)))
        y = biased(layer, y, bias, params)  # its axes are the result's last, as Keras shapes it
        outputs.append(y)
    return left(loader, layer, activated(loader, layer, Activation(y)))


def entered(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """x behind the layer's input quantizer, if it has one."""
    if not is_quantized(layer) or not layer.config.get("enable_iq", True):
        return x
    return quantized(loader, x, loader.quantizer(layer, "iq", layer.config.get("iq_conf")))


def left(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """x behind the layer's output quantizer, if it has one."""
    if not is_quantized(layer) or not layer.config.get("enable_oq", False):
        return x
    return quantized(loader, x, loader.quantizer(layer, "oq", layer.config.get("oq_conf")))


def is_quantized(layer: Layer) -> bool:
    """Is it a layer of HGQ2?"""
    return layer.module.split(".")[0] == "hgq"


def parameters(
    loader: Loader, layer: Layer, kernel_shape: tuple[int, ...], bias_shape: tuple[int, ...], use_bias: bool
) -> tuple[Array, Array | None]:
    """(kernel, bias) as float32 values on their grids; the plain ones of Keras as they are."""
    found = variables(layer, kernel_shape, *((bias_shape,) if use_bias else ()))
    kernel = np.asarray(found[0], np.float32)
    bias = np.asarray(found[1], np.float32) if use_bias else None
    if not is_quantized(layer):
        return kernel, bias
    kq = loader.quantizer(layer, "kq", layer.config.get("kq_conf"))
    bq = loader.quantizer(layer, "bq", layer.config.get("bq_conf")) if use_bias else None
    if layer.kind == "QBatchNormDense":
        kernel, bias = _with_norm(layer, kernel, bias)
    elif layer.kind == "QEinsumDenseBatchnorm":
        kernel, bias = _with_einsum_norm(layer, kernel, bias)
    kernel = kernel if kq is None else kq.reals(kernel)
    if bias is not None and bq is not None:
        bias = bq.reals(bias)
    return kernel, bias


def _norm_variables(layer: Layer, shape: tuple[int, ...] | None) -> tuple[Array, Array, Array]:
    """(gamma, mean, variance) of a fused batch norm: gamma is trained, so it comes before what is not."""
    scale = bool(layer.config.get("scale", True))
    held = layer.group.variables
    # beta and ebops of HGQ2 stand between the trained variables and the moving averages.
    statistics = [v for v in held[2 + scale :] if v.shape != ()][:2]
    if len(statistics) < 2 or (shape is not None and statistics[0].shape != shape):
        raise ValueError(f"{layer} has no moving mean and variance in the weights file; save the model again")
    gamma = np.asarray(held[2], np.float32) if scale else np.ones_like(statistics[0], np.float32)
    mean, variance = (np.asarray(v, np.float32) for v in statistics)
    if not all(np.isfinite(v).all() for v in (gamma, mean, variance)):
        raise ValueError(f"{layer} has a batch norm parameter that is not finite; train the model again")
    return gamma, mean, variance


def _with_norm(layer: Layer, kernel: Array, bias: Array | None) -> tuple[Array, Array]:
    """HGQ2's fused kernel and bias, in its own float32: the factors scale the kernel's rows."""
    assert bias is not None
    gamma, mean, variance = _norm_variables(layer, (kernel.shape[0],))
    epsilon = np.float32(layer.config.get("epsilon", 1e-3))
    factor = gamma / np.sqrt(variance + epsilon)
    return factor[:, None] * kernel, bias - np.asarray(np.dot(mean, kernel), np.float32)


def _with_einsum_norm(layer: Layer, kernel: Array, bias: Array | None) -> tuple[Array, Array]:
    """HGQ2's fused kernel and bias of an einsum, in its own float32 (with Keras' epsilon, as it does)."""
    assert bias is not None
    gamma, mean, variance = _norm_variables(layer, None)
    factor = gamma / np.sqrt(variance + EPSILON)
    letters, result = str(layer.config["equation"]).replace("...", "0").split(",")[1].split("->")
    axes = str(layer.config.get("normalize_axes") or layer.config.get("bias_axes"))
    chosen = "".join(c for c in letters if c in axes)
    fused = np.einsum(f"{letters},{chosen}->{letters}", kernel, factor)
    sizes = dict(zip((c for c in result if c in axes), mean.shape, strict=True))
    first = min(result.find(c) for c in axes)
    offset = (-mean * factor).reshape([sizes.get(c, 1) for c in result[first:]])
    return np.asarray(fused, np.float32), np.asarray(bias + offset, np.float32)


def weights(layer: Layer, values: Array) -> tuple[Array, int]:
    """(integers, frac) of constant weights; a ValueError says that they are on no grid."""
    try:
        raw, frac = to_raw(values, "the kernel")
        small = is_quantized(layer) or int(np.abs(raw).max(initial=0)) < 1 << PLAIN_WEIGHT_BITS
    except ValueError:
        small = False
    if not small:
        if is_quantized(layer):
            raise ValueError(
                f"{layer} has quantized weights that need more than 32 bits together; bound their widths"
            )
        raise ValueError(
            f"{layer} has real weights, which no quantizer brings to a grid; use Q{layer.kind} of HGQ2 and "
            f"train it, or let hls4ml choose the precisions: convert_from_keras_model(backend='fxsim')"
        )
    return raw, frac


def biased(layer: Layer, y: Tensor, bias: Array | None, params: dict[str, Any]) -> Tensor:
    """y + bias, aligned; the integers go into the block's params."""
    if bias is None:
        return y
    raw, frac = weights(layer, bias)
    params.update(bias=IntArray(raw), bias_frac=frac)
    return y + y.builder.apply(ops.Const(IntArray(raw), frac))


def float32_sums(t: Tensor, raw: Array, frac: int, bias: Array | None) -> bool:
    """Can float32 hold every partial sum of product and bias, so that Keras' result is the exact one?"""
    lo, hi = t.type.bounds
    column = np.abs(raw.astype(np.float64)).reshape(-1, raw.shape[-1]).sum(axis=0).max(initial=0)
    most = max(abs(lo), abs(hi)) * float(column) * 2.0 ** -(t.frac + frac)
    finest = t.frac + frac
    if bias is not None:
        most += float(np.abs(bias).max(initial=0))
        finest = max(finest, to_raw(bias, "the bias")[1])
    return most * 2.0**finest < 1 << FLOAT_BITS


def float32_products(tensors: Sequence[Tensor], terms: int) -> bool:
    """Can float32 hold every sum of `terms` products of these tensors' elements?"""
    most = 1.0
    for t in tensors:
        most *= float(max(abs(v) for v in t.type.bounds))
    return most * terms < 1 << FLOAT_BITS


def shaped(config: Mapping[str, Any], key: str, n: int) -> tuple[int, ...]:
    """A configuration entry of n positive integers, or one for all axes."""
    value = config.get(key, 1)
    out = (value,) * n if isinstance(value, int) else tuple(value)
    if len(out) != n or any(not isinstance(v, int) or v < 1 for v in out):
        raise ValueError(f"{key} must be {n} positive integers, not {value!r}")
    return out
