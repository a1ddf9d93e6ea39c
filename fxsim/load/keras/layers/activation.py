"""Handlers of activations: exact ones on integers, others as tables of the quantizer that follows."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.host import HostStep
from fxsim.load.affine import log2
from fxsim.load.keras.loader import Arguments, Loader, handles, variables
from fxsim.load.keras.network import Layer
from fxsim.load.keras.quantize import quantized, shifted
from fxsim.load.keras.quantizer import read_quantizer
from fxsim.load.keras.symbols import Activation, HostInput, Mapped, Symbol
from fxsim.load.keras.tables import FUNCTIONS
from fxsim.trace import maximum, minimum

ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "exp": "exponential", None: "linear"}


def activated(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """The layer's own `activation` applied."""
    return applied(loader, layer, x, function_name(layer, layer.config.get("activation")))


def function_name(layer: Layer, activation: Any) -> str:
    """The name of a serialized activation; NotImplementedError for code and for other objects."""
    value = activation
    if isinstance(value, dict):
        kind = value.get("class_name")
        if kind == "function" and str(value.get("module") or "keras").split(".")[0] in ("keras", "builtins"):
            value = value.get("config")
        else:
            raise NotImplementedError(
                f"{layer} has an activation of class {kind!r}, whose code fxsim never runs; use the name of "
                f"one of Keras: relu, {', '.join(sorted(FUNCTIONS)[:6])} ..."
            )
    value = ALIASES.get(value, value)
    known = {*FUNCTIONS} - {"exp", "exp of minus", "reciprocal"}
    if value not in known:
        raise NotImplementedError(
            f"{layer} has the activation {value!r}, which has no integer form here; use one of "
            f"{', '.join(sorted(known))}"
        )
    return str(value)


def applied(loader: Loader, layer: Layer, x: Symbol, name: str, *parameters: float) -> Symbol:
    """An activation of Keras: linear, relu and clips are exact, any other waits for the next quantizer."""
    if name == "linear":
        return x
    if name == "relu":
        return clipped(loader, layer, x, Fraction(0), None)
    if name == "relu6":
        return clipped(loader, layer, x, Fraction(0), Fraction(6))
    if name == "hard_tanh":
        return clipped(loader, layer, x, Fraction(-1), Fraction(1))
    if name == "leaky_relu":
        slope = Fraction(float(np.float32(parameters[0] if parameters else 0.2)))
        if (
            0 <= slope <= 1
            and (slope == 0 or log2(Fraction(slope.denominator)) is not None)
            and (slope.denominator <= 1 << 16)
        ):
            t = loader.plain(layer, x)
            with loader.builder.block("leaky_relu", loader.block_name(layer.name), [t]) as outputs:
                outputs.append(maximum(t, t * float(slope)) if slope else maximum(t, 0))
            return Activation(outputs[0])
        parameters = (float(slope),)
    return Mapped(loader.activation(layer, x), name, parameters)


def clipped(loader: Loader, layer: Layer, x: Symbol, low: Fraction | None, high: Fraction | None) -> Symbol:
    """min(max(x, low), high): on the integers where they are on the binary grid, else in the line."""
    a = loader.activation(layer, x).settled()
    if not a.identity:
        return Activation(a.tensor, tuple(line.clip(low, high) for line in a.lines), a.axis)
    t = a.tensor
    kind = "relu" if low == 0 and high is None else "clip"
    with loader.builder.block(kind, loader.block_name(f"{layer.name}_{kind}"), [t]) as outputs:
        if low is not None:
            t = maximum(t, float(low))
        if high is not None:
            t = minimum(t, float(high))
        outputs.append(t)
    return Activation(t)


@handles("Activation")
def activation(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """A layer that is one activation."""
    return activated(loader, layer, arguments.one())


@handles("ReLU")
def relu(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """max(x, 0), clipped at max_value; a negative_slope is leaky."""
    config, x = layer.config, arguments.one()
    if config.get("threshold"):
        raise loader.error(layer, f"has the threshold {config['threshold']}", "use a threshold of 0")
    top = config.get("max_value")
    if config.get("negative_slope"):
        if top is not None:
            raise loader.error(layer, "has a negative_slope and a max_value", "use one of them")
        return applied(loader, layer, x, "leaky_relu", float(config["negative_slope"]))
    return clipped(loader, layer, x, Fraction(0), None if top is None else Fraction(float(np.float32(top))))


@handles("Relu", operation=True)
def relu_operator(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """keras.ops.relu."""
    return clipped(loader, layer, arguments.one(), Fraction(0), None)


@handles("LeakyReLU")
def leaky_relu(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """x, or negative_slope * x below 0."""
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    return applied(loader, layer, arguments.one(), "leaky_relu", float(slope))


@handles("ELU")
def elu(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """x, or alpha * (exp(x) - 1) below 0."""
    return applied(loader, layer, arguments.one(), "elu", float(layer.config.get("alpha", 1.0)))


@handles("QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT")
def function_table(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """oq(activation(iq(x))), one table; the affined kind scales and shifts by two trained numbers first."""
    config = layer.config
    x: Symbol = arguments.one()
    if config.get("enable_iq", True):
        x = quantized(loader, x, loader.quantizer(layer, "iq", config.get("iq_conf")))
    name = function_name(layer, config.get("activation"))
    if layer.kind == "QAffinedUnaryFunctionLUT":
        scale, bias = (float(v.ravel()[0]) for v in variables(layer, (1,), (1,)))
        out: Symbol = Mapped(loader.activation(layer, x), name, (), (scale, bias))
    else:
        out = applied(loader, layer, x, name)
    if not config.get("enable_oq", True):
        return out
    return quantized(loader, out, loader.quantizer(layer, "oq", config.get("oq_conf")))


@handles("Quantizer")
def quantizer(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """A quantizer that is a layer of its own."""
    return quantized(
        loader, arguments.one(), read_quantizer(layer.name, layer.config.get("config"), layer.group)
    )


@handles("Rescaling")
def rescaling(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """x * scale + offset: on the host before the first quantizer, else a change of scale."""
    scale, offset = (
        _number(layer, layer.config, key, 1.0 - (key == "offset")) for key in ("scale", "offset")
    )
    x = arguments.one()
    if isinstance(x, HostInput):
        return x.then(HostStep("Mul", (scale,)), HostStep("Add", (offset,)))
    a = loader.activation(layer, x)
    return shifted(a.map(lambda line: line.then(Fraction(scale), Fraction(offset))))


def _number(layer: Layer, config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{layer} has the {key} {value!r}; give one finite number")
    return float(np.float32(value))


@handles("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise",
         "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Identity")  # fmt: skip
def nothing(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Layers that do nothing at inference."""
    return arguments.one()
