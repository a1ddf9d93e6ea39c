"""Dense layers in every strategy of hls4ml (nnet_dense_latency.h, nnet_dense_resource.h, da4ml)."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, log2
from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.integers import Array, exact
from fxsim.trace import Tensor
from hls.plugin.rules.sums import bias_codes, dot, operands, order_by_reuse
from hls.plugin.translate import Translation, rule


@rule("Dense")
def dense(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(acc), acc as `hls.plugin.rules.sums.dot` says; distributed arithmetic has the exact sum."""
    (x,) = xs
    if x.ndim != 1:
        raise t.refuse(layer, "input shape", x.shape, "flatten it, or use a Dense layer over the last axis")
    return product(t, layer, x, layer.weights["weight"].data)


def product(t: Translation, layer: Any, x: Tensor, data: Any) -> Tensor:
    """The Dense function of a layer on the last axis of x, its weights `data` as (inputs, outputs)."""
    strategy = str(layer.get_attr("strategy", "latency")).lower()
    if strategy == "distributed_arithmetic":
        return exact_product(t, layer, x, np.asarray(data)).cast(t.result(layer))
    if strategy == "compressed":
        raise t.refuse(layer, "Compression", True, "set it to False; the weights stay as sparse as they are")
    if strategy not in ("latency", "resource", "resource_unrolled"):
        raise t.refuse(layer, "Strategy", strategy, "use Latency, Resource or distributed_arithmetic")
    raw, form = t.weight(layer)
    raw = raw.reshape(np.asarray(data).shape)
    x, kernel = operands(t, layer, x, raw, form)
    accum = t.format(layer, "accum")
    order = None
    if strategy != "latency":
        order = order_by_reuse(len(raw), int(layer.get_attr("reuse_factor", 1)))
    return result(t, layer, dot(x, kernel, bias_codes(t, layer, accum), accum, order), len(raw))


def result(t: Translation, layer: Any, acc: Tensor, inputs: int) -> Tensor:
    """result_t(acc); of binary data and weights the number of equal bits, k, first becomes 2 k - inputs."""
    if is_bit(layer.get_input_variable(layer.inputs[0]).type) and is_bit(layer.weights["weight"].type):
        width = ceil(log2(inputs)) + 2
        acc = (acc * 2 - inputs).cast(Format(width, width, rounding="TRN_ZERO"))
    return acc.cast(t.result(layer))


def is_bit(kind: Any) -> bool:
    """Is the C++ type ap_uint<1>?"""
    precision = kind.precision
    name = type(precision).__name__
    return name == "XnorPrecisionType" or (
        name == "IntegerPrecisionType" and precision.width == 1 and not precision.signed
    )


def exact_product(t: Translation, layer: Any, x: Tensor, data: Array, biased: bool = True) -> Tensor:
    """x @ W + b with the weights in float32, as da4ml takes them: weight_t and accum_t play no part.

    da4ml holds a bias in at most 32 fraction bits; what is below is cut off, toward zero.
    """
    y = x @ t.constant(*dyadic(np.asarray(data, np.float32)))
    if not biased:
        return y
    bias = np.asarray(layer.weights["bias"].data, np.float64).ravel()
    return y + t.constant(*dyadic(np.ldexp(np.trunc(np.ldexp(bias, 32)), -32)))


def dyadic(values: Any) -> tuple[Array, int]:
    """(raw, frac) of floats, exactly."""
    numbers = [Fraction(v) for v in np.asarray(values, np.float64).ravel().tolist()]
    frac = max((f.denominator.bit_length() - 1 for f in numbers), default=0)
    raw = np.array([int(f * (1 << frac)) for f in numbers] or [], object)
    return exact(raw.reshape(np.shape(values))), frac
