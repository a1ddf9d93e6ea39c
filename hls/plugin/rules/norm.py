"""Scale and bias per element or channel, and the thresholds that hls4ml makes of them before a sign."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.trace import Tensor, select
from hls.plugin.rules.sums import Kernel
from hls.plugin.translate import Translation, rule
from hls.plugin.types import is_binary


@rule("BatchNormalization", "ApplyAlpha")
def normalize(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x * scale + bias), one cast of the exact number."""
    (x,) = xs
    scale, form = t.weight(layer, "scale")
    bias, bias_form = t.weight(layer, "bias")
    x, kernel = _product(t, layer, x, scale, form)
    y = x * t.constant(_spread(t, layer, x, kernel.raw), kernel.frac)
    if kernel.offset is not None:
        y = y + t.constant(_spread(t, layer, x, kernel.offset), 0)
    return (y + t.constant(_spread(t, layer, x, bias), bias_form.frac)).cast(t.result(layer))


@rule("BatchNormalizationQuantizedTanh")
def quantized_tanh(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """1 where x reaches the threshold, else 0; ternary: 1 above the high one, -1 up to the low one."""
    (x,) = xs
    data = t.operand(layer)
    if int(layer.get_attr("quantize")) == 2:
        return (x >= _threshold(t, layer, x, "threshold", data)).cast(Format(1, 1, False))
    high, low = (_threshold(t, layer, x, f"threshold_{side}", data) for side in ("hi", "lo"))
    return select(x > high, 1, select(x <= low, -1, 0)).cast(Format(2, 2))


def _threshold(t: Translation, layer: Any, x: Tensor, name: str, data: Format) -> Tensor:
    raw, form = t.weight(layer, name)
    return t.constant(_spread(t, layer, x, raw), form.frac).cast(data)


def _product(t: Translation, layer: Any, x: Tensor, raw: Any, form: Format) -> tuple[Tensor, Kernel]:
    """x and the scale as hls4ml's product function of their types takes them (nnet_mult.h)."""
    data = layer.get_input_variable(layer.inputs[0]).type.precision
    scale = layer.weights["scale"].type.precision
    if type(scale).__name__ == "ExponentPrecisionType":
        raise t.refuse(layer, "scale", "powers of two by exponents", "use another quantizer")
    if is_binary(data) and is_binary(scale):
        return x, Kernel(2 * raw - 1, 0, 1 - raw)
    if is_binary(scale):
        return x, Kernel(2 * raw - 1, 0)
    if is_binary(data):
        return x * 2 - 1, Kernel(raw, form.frac)
    if type(scale).__name__ == "IntegerPrecisionType" and scale.width == 2 and scale.signed:
        raw = np.where(raw == -2, 1, raw)
    return x, Kernel(raw, form.frac)


def _spread(t: Translation, layer: Any, x: Tensor, raw: Any) -> Any:
    """One number per element of x; fewer repeat along the channels, as `ires % n_filt` reads them."""
    flat = np.asarray(raw).ravel()
    if x.type.size % max(len(flat), 1):
        raise t.refuse(layer, "scale", flat.shape, f"make it one number per channel of {x.shape}")
    return np.resize(flat, x.type.size).reshape(x.shape)
