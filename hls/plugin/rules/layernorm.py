"""Layer normalization over the last axis, with hls4ml's table of inverse square roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.casting import from_double
from fxsim.trace import Tensor
from hls.plugin.rules import clibrary
from hls.plugin.rules.lookup import bounded, picked, whole
from hls.plugin.translate import Translation, rule


@rule("LayerNormalization")
def layer_normalization(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """(x - mean) * table[int(var size 2**range)] * scale + bias, one cast to the result's type.

    x, mean, every partial sum, each difference, its square and var are in accum_t; mean and var are sums
    times 1 / n in accum_t, not divided.
    """
    (x,) = operands
    steps = int(layer.get_attr("seq_len"))
    accum, table = t.format(layer, "accum"), t.format(layer, "table")
    size, power = int(layer.get_attr("table_size")), int(layer.get_attr("table_range_power2"))
    rows = x.reshape(steps, -1)
    n = rows.shape[-1]
    inverse_n = t.constant(from_double(np.asarray(1.0 / n), accum), accum.frac)
    terms = rows.cast(accum)
    mean = (terms.accumulate(accum) * inverse_n).cast(accum)
    apart = (terms - mean.reshape(steps, 1)).cast(accum)
    square = (apart * apart).cast(accum)
    variance = (square.accumulate(accum) * inverse_n).cast(accum)
    index = bounded(whole(variance, accum.frac, size << power, 0), size, 0)
    roots = clibrary.inverse_roots(size, int(layer.get_attr("epsilon_power_of_10")), power, table)
    root = picked(index, roots, table.frac).reshape(steps, 1)
    scale, scale_form = t.weight(layer, "scale")
    bias, bias_form = t.weight(layer, "bias")
    y = apart * root * t.constant(scale, scale_form.frac) + t.constant(bias, bias_form.frac)
    return y.cast(t.result(layer)).reshape(*t.shape(layer))
