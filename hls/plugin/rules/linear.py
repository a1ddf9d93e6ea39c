"""Dense layers: products and sums cast to accum_t in the order of hls4ml's loops."""

from __future__ import annotations

from typing import Any

from fxsim.trace import Tensor
from hls.plugin.translate import Translation, rule


@rule("Dense")
def dense(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """cast(acc), acc = bias, then acc = cast(acc + cast(x[i] * w[i])) for ascending i."""
    raw, form = t.weight(layer)
    bias, bias_form = t.weight(layer, "bias")
    accum = t.format(layer, "accum")
    y = operands[0] @ t.constant(raw, form.frac) + t.constant(bias, bias_form.frac)
    return y.cast(accum).cast(t.result(layer))
