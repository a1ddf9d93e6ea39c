"""Activations without a table: the ReLU family, hard sigmoid and tanh, binary and ternary tanh, linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.trace import Tensor, maximum, minimum, select
from hls.plugin.rules.activation import function
from hls.plugin.rules.linear import is_bit
from hls.plugin.translate import Translation
from hls.plugin.types import from_real


@function("linear")
def linear(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x)."""
    return xs[0].cast(t.result(layer))


@function("relu")
def relu(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x if x > 0 else 0)."""
    return maximum(xs[0], 0).cast(t.result(layer))


@function("relu6")
def relu6(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x between 0 and 6)."""
    return minimum(maximum(xs[0], 0), 6).cast(t.result(layer))


@function("relu1")
def relu1(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x between 0 and 1)."""
    return minimum(maximum(xs[0], 0), 1).cast(t.result(layer))


@function("leaky_relu")
def leaky_relu(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x if x > 0 else alpha * x), alpha in param_t."""
    return _sloped(t, layer, xs[0], _number(t, layer, "param", layer.get_attr("activ_param", 1.0)))


@function("prelu")
def prelu(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """The same with an alpha for each element."""
    raw, form = t.weight(layer, "param")
    (x,) = xs
    if raw.size != x.type.size:
        raise t.refuse(
            layer, "number of slopes", raw.size, f"give one for each of the {x.type.size} elements"
        )
    return _sloped(t, layer, x, t.constant(raw.reshape(x.shape), form.frac))


@function("thresholded_relu")
def thresholded_relu(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(x if x > theta else 0), theta in param_t."""
    (x,) = xs
    theta = _number(t, layer, "param", layer.get_attr("activ_param", 1.0))
    return select(x > theta, x, 0).cast(t.result(layer))


@function("hard_sigmoid")
def hard_sigmoid(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(slope * x + shift between 0 and 1), one cast."""
    return _hard(t, layer, xs[0]).cast(t.result(layer))


@function("hard_tanh")
def hard_tanh(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """result_t(2 * hard sigmoid - 1), one cast."""
    return (_hard(t, layer, xs[0]) * 2 - 1).cast(t.result(layer))


@function("binary_tanh")
def binary_tanh(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """1 where x >= 0, else -1; of a 1-bit result 0."""
    low = 0 if is_bit(layer.get_output_variable().type) else -1
    return select(xs[0] >= 0, 1, low).cast(t.result(layer))


@function("ternary_tanh")
def ternary_tanh(t: Translation, layer: Any, xs: list[Tensor]) -> Tensor:
    """io_parallel: 2 x in x's own type above 1 gives 1, up to -1 gives -1, else 0; io_stream: x itself."""
    (x,) = xs
    if t.io_type != "io_stream":
        x = (x * 2).cast(t.operand(layer))
    return select(x > 1, 1, select(x <= -1, -1, 0)).cast(t.result(layer))


def _sloped(t: Translation, layer: Any, x: Tensor, alpha: Tensor) -> Tensor:
    return select(x > 0, x, x * alpha).cast(t.result(layer))


def _hard(t: Translation, layer: Any, x: Tensor) -> Tensor:
    slope, shift = (_number(t, layer, name, layer.get_attr(name)) for name in ("slope", "shift"))
    return minimum(maximum(x * slope + shift, 0), 1)


def _number(t: Translation, layer: Any, kind: str, value: float) -> Tensor:
    """A literal of the generated C++ in its type."""
    form: Format = t.format(layer, kind)
    return t.constant(from_real(np.array(float(value)), form), form.frac)
