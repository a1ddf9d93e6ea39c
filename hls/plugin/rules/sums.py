"""Sums of products as hls4ml's loops make them: each product, and each partial sum, is cast to accum_t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.casting import cast
from fxsim.formats import Format, Overflow
from fxsim.integers import Array, IntArray, exact, multiply, to_object, trailing_zeros
from fxsim.ranges import ZERO_STRIDE
from fxsim.trace import Tensor, concat
from hls.plugin.translate import Translation
from hls.plugin.types import is_binary


@dataclass(frozen=True)
class Kernel:
    """Weights (inputs, outputs) raw * 2**-frac, and what the product adds to it: `offset` of the same shape.

    The product of codes 0 and 1 that stand for -1 and +1 is a line in each operand, hence the offset.
    """

    raw: Array
    frac: int
    offset: Array | None = None


def operands(t: Translation, layer: Any, x: Tensor, raw: Array, form: Format) -> tuple[Tensor, Kernel]:
    """x and the weights as hls4ml's product function of their types takes them (nnet_mult.h)."""
    data = layer.get_input_variable(layer.inputs[0]).type.precision
    weight = layer.weights["weight"].type.precision
    if type(weight).__name__ == "ExponentPrecisionType":
        raise t.refuse(layer, "weights", "powers of two by exponents", "use another quantizer")
    if is_binary(data) and is_binary(weight):  # 1 where the codes are equal
        return x, Kernel(2 * raw - 1, 0, 1 - raw)
    if is_binary(weight):
        return x, Kernel(2 * raw - 1, 0)
    if is_binary(data):
        return x * 2 - 1, Kernel(raw, form.frac)
    if type(weight).__name__ == "IntegerPrecisionType" and weight.width == 2 and weight.signed:
        raw = np.where(raw == -2, 1, raw)  # whatever is neither 0 nor -1 counts as +1
    return x, Kernel(raw, form.frac)


def bias_codes(t: Translation, layer: Any, accum: Format) -> Array:
    """The bias in accum_t, where every sum begins."""
    raw, form = t.weight(layer, "bias")
    return cast(raw, form, accum)


def dot(x: Tensor, kernel: Kernel, bias: Array, accum: Format, order: Array | None = None) -> Tensor:
    """acc = bias; acc = accum_t(acc + accum_t(x[i] * w[i])), for i in `order`, over the last axis of x.

    One exact matrix product and one cast where that is the same: accum_t keeps every fraction bit of the
    products, and either wraps (sums modulo 2**width do not depend on what was wrapped between) or is never
    left, whatever the order. Else the products are cast one by one, and summed at once where accum_t wraps or
    is never left; only then in order.
    """
    builder = x.builder
    w = builder.apply(ops.Const(IntArray(exact(kernel.raw)), kernel.frac))
    lost = x.frac + kernel.frac - accum.frac
    zeros = trailing_zeros(kernel.raw, ZERO_STRIDE) + _least_stride(x)[:, None]
    whole = lost <= 0 or (kernel.offset is None and bool(np.all(zeros >= lost)))
    if whole and (_wraps(accum) or _holds(accum, *_products(x, kernel), x.frac + kernel.frac, bias)):
        y = x @ w
        if kernel.offset is not None:
            y = y + kernel.offset.sum(axis=0)
        return (y + _const(x, bias, accum.frac)).cast(accum)
    terms = x.reshape(*x.shape, 1) * w
    if kernel.offset is not None:
        terms = terms + kernel.offset
    return summed(terms, bias, accum, order)


def summed(terms: Tensor, bias: Array, accum: Format, order: Array | None = None) -> Tensor:
    """The same of given products (..., n, outputs), over the axis before the last.

    bias   (outputs,), or one for each position too
    order  (n,), or (n, outputs) where each output has its own
    """
    axis = terms.ndim - 2
    terms = terms.cast(accum)
    low, high = (v.reshape(-1, *v.shape[axis:]) for v in (terms.type.lo, terms.type.hi))
    if _wraps(accum) or _holds(accum, low.min(axis=0), high.max(axis=0), accum.frac, bias):
        return (terms.sum(axis) + _const(terms, bias, accum.frac)).cast(accum)
    if order is not None:
        terms = _ordered(terms, np.asarray(order))
    shape = (*terms.shape[:axis], 1, terms.shape[-1])
    first = _const(terms, np.broadcast_to(bias[..., None, :], shape), accum.frac)
    return concat([first, terms], axis).accumulate(accum, axis)


def running(terms: Tensor, accum: Format) -> Tensor:
    """acc = accum_t(acc + x), from 0, over the axis before the last: the terms are not cast before."""
    axis = terms.ndim - 2
    low, high = (v.reshape(-1, *v.shape[axis:]) for v in (terms.type.lo, terms.type.hi))
    none = np.zeros(terms.shape[-1], np.int64)
    lost = terms.frac - accum.frac
    if lost <= 0 and (_wraps(accum) or _holds(accum, low.min(axis=0), high.max(axis=0), terms.frac, none)):
        return terms.sum(axis).cast(accum)
    return terms.accumulate(accum, axis)


def order_by_reuse(inputs: int, reuse: int) -> Array | None:
    """The order of inputs in the strategy resource: those of one residue modulo the reuse factor together.

    Above `inputs`, and without reuse, it is ascending: None.
    """
    if reuse <= 1 or reuse > inputs:
        return None
    return np.concatenate([np.arange(r, inputs, reuse) for r in range(reuse)])


def _ordered(terms: Tensor, order: Array) -> Tensor:
    if order.ndim == 1:
        return terms.take(order, terms.ndim - 2)
    n, outputs = order.shape
    lead = terms.shape[:-2]
    places = (order * outputs + np.arange(outputs)).ravel()
    return terms.reshape(*lead, n * outputs).take(places, len(lead)).reshape(*lead, n, outputs)


def _wraps(form: Format) -> bool:
    return form.overflow is Overflow.WRAP and form.saturation_bits == 0


def _holds(accum: Format, low: Array, high: Array, frac: int, bias: Array) -> bool:
    """Do all products, and all sums of some of them and the bias, lie in accum_t?

    low, high  (n, outputs) least and greatest product, raw at `frac`
    """
    down = np.minimum(to_object(low), 0).sum(axis=0)
    up = np.maximum(to_object(high), 0).sum(axis=0)
    shift = frac - accum.frac  # whole products only come here with lost bits that are zeros
    least = accum.lo + (accum.overflow is Overflow.SAT_SYM and accum.signed and accum.width > 1)
    unit = 1 << max(shift, 0)
    down, up = (v << max(-shift, 0) for v in (down, up))
    start = to_object(bias) * unit
    inside = (np.minimum(start, 0) + down >= least * unit) & (np.maximum(start, 0) + up <= accum.hi * unit)
    return bool(np.all(inside))


def _products(x: Tensor, kernel: Kernel) -> tuple[Array, Array]:
    """Least and greatest product per (input, output), over all positions of x."""
    n = x.shape[-1]
    lo, hi = (exact(f(v.reshape(-1, n), axis=0)) for f, v in ((np.min, x.type.lo), (np.max, x.type.hi)))
    ends = [multiply(v[:, None], kernel.raw) for v in (lo, hi)]
    low, high = np.minimum(*ends), np.maximum(*ends)
    if kernel.offset is not None:
        low, high = low + kernel.offset, high + kernel.offset
    return low, high


def _least_stride(x: Tensor) -> Array:
    n = x.shape[-1]
    return np.minimum(x.type.stride, ZERO_STRIDE).reshape(-1, n).min(axis=0) if x.type.size else np.zeros(n)


def _const(x: Tensor, raw: Array, frac: int) -> Tensor:
    return x.builder.apply(ops.Const(IntArray(exact(np.asarray(raw))), frac))
