"""Layers of two inputs: elementwise, concatenation, dot product and einsum (nnet_merge.h, nnet_einsum.h)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import exact
from fxsim.trace import Tensor, concat, select
from hls.plugin.rules.linear import exact_product
from hls.plugin.rules.sums import bias_codes, dot, operands, running, summed
from hls.plugin.translate import Translation, rule
from hls.plugin.types import is_binary


@rule("Merge")
def merge(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t of the exact sum, difference, product, average; of max and min each operand is cast itself.

    The operand with fewer elements repeats, flat, as hls4ml indexes it.
    """
    form, op = t.result(layer), str(layer.get_attr("op")).lower()
    a, b = _paired(t, layer, xs)
    match op:
        case "add":
            return (a + b).cast(form)
        case "subtract":
            return (a - b).cast(form)
        case "multiply":
            return (a * b).cast(form)
        case "average":
            return ((a + b) >> 1).cast(form)
        case "maximum":
            return select(a > b, a.cast(form), b.cast(form))
        case "minimum":
            return select(a < b, a.cast(form), b.cast(form))
    raise t.refuse(layer, "op", op, "use add, subtract, multiply, average, maximum or minimum")


def _paired(t: Translation, layer: Any, xs: list[Tensor]) -> list[Tensor]:
    shape = t.shape(layer)
    size = int(np.prod(shape))
    if t.io_type == "io_stream" and xs[0].shape != xs[1].shape:
        raise t.refuse(layer, "shapes", f"{xs[0].shape} and {xs[1].shape}", "use equal ones with io_stream")
    found = []
    for x in xs:
        flat = x.reshape(x.type.size)
        found.append(
            (flat if x.type.size == size else flat.take(np.arange(size) % x.type.size)).reshape(*shape)
        )
    return found


@rule("Concatenate")
def concatenate(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """Each operand in result_t, one after another along `axis`, which counts the batch where positive."""
    axis = int(layer.get_attr("axis"))
    axis = axis - 1 if axis > 0 else axis
    form = t.result(layer)
    return concat([x.cast(form) for x in xs], axis % xs[0].ndim)


@rule("Dot")
def dot_product(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(acc), acc = accum_t(acc + accum_t(a[i] * b[i])) from 0."""
    accum = t.format(layer, "accum")
    terms = _product(t, layer, xs[0], xs[1]).reshape(xs[0].type.size, 1)
    return summed(terms, exact(np.zeros(1, np.int64)), accum).cast(t.result(layer))


@rule("Einsum")
def einsum(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """acc = accum_t(acc + a * b) over the contracted axes from 0: products are not cast before."""
    get = layer.get_attr
    outer, free0, free1, inner = (int(get(f"n_{n}")) for n in ("inplace", "free0", "free1", "contract"))
    a = xs[0].transpose(*get("inp0_tpose_idxs")).reshape(outer, free0, 1, inner, 1)
    b = xs[1].transpose(*get("inp1_tpose_idxs")).reshape(outer, 1, free1, inner, 1)
    accum = t.format(layer, "accum")
    y = running(_product(t, layer, a, b), accum).cast(t.result(layer))
    return y.reshape(*get("out_interpert_shape")).transpose(*get("out_tpose_idxs"))


@rule("EinsumDense")
def einsum_dense(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """A Dense function for every index that both operands keep; biases per output element."""
    get, form = layer.get_attr, t.result(layer)
    outer, free, made, inner = (
        int(get(f"n_{n}")) for n in ("inplace", "free_data", "free_kernel", "contract")
    )
    x = xs[0].transpose(*get("inp_tpose_idxs")).reshape(outer, free, inner)
    accum, strategy = t.format(layer, "accum"), str(get("strategy", "latency")).lower()
    data = np.asarray(layer.weights["weight"].data).reshape(outer, inner, made)
    parts: list[Tensor] = []
    if strategy == "distributed_arithmetic":
        bias, bias_form = t.weight(layer, "bias")
        biases = bias.reshape(outer, free, made)
        for i in range(outer):
            y = exact_product(t, layer, x[i], data[i], biased=False).cast(accum)
            parts.append((y + t.constant(biases[i], bias_form.frac)).cast(accum))
    elif strategy == "latency":
        raw, weight_form = t.weight(layer)
        raw = raw.reshape(outer, inner, made)
        start = bias_codes(t, layer, accum).reshape(outer, free, made)
        for i in range(outer):
            rows, kernel = operands(t, layer, x[i], raw[i], weight_form)
            parts.append(dot(rows, kernel, start[i], accum))
    else:
        raise t.refuse(layer, "Strategy", strategy, "use Latency or distributed_arithmetic")
    y = concat(parts, 0) if len(parts) > 1 else parts[0]
    return y.cast(form).reshape(*get("out_interpert_shape")).transpose(*get("out_tpose_idxs"))


def _product(t: Translation, layer: Any, a: Tensor, b: Tensor) -> Tensor:
    """a * b as hls4ml's product function of their types computes it (nnet_mult.h)."""
    kinds = [layer.get_input_variable(name).type.precision for name in layer.inputs]
    first, second = (is_binary(k) for k in kinds)
    if first and second:
        return a * b * 2 - a - b + 1
    if second:
        return a * (b * 2 - 1)
    if first:
        return (a * 2 - 1) * b
    if type(kinds[1]).__name__ == "IntegerPrecisionType" and kinds[1].width == 2 and kinds[1].signed:
        b = select(b == -2, 1, b)
    return a * b
