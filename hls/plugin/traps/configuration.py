"""A configuration that has no effect: ignored types, a default that nobody uses, modes of `maximum`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.formats import Format, Overflow, Rounding
from hls.plugin.traps.overflow import FALLBACKS, configured, same
from hls.plugin.traps.trap import Trap, fixed, short
from hls.plugin.types import fmt

# hls4ml's own default, which says nothing about what the user wants.
FACTORY = "fixed<16,6>"

# Layers that move numbers and change none.
WIRING = ("Reshape", "Flatten", "Transpose", "Repack", "Clone")

# So many more fraction bits of an input than of its quantizer, as float32 has, leave no number between.
EXACT_ENOUGH = 24


def check(model: Any) -> list[Trap]:
    """Traps of the configuration, and of types that hls4ml converts in a way of its own."""
    checks = (_ignored, _unused_default, _maximum, _quantizers, _rounded_twice, _integers)
    return [trap for find in checks for trap in find(model)]


def _parsed(model: Any, text: Any) -> Format | None:
    """The format of a configured precision; None for auto and for what is no fixed-point type."""
    if not isinstance(text, str) or text == "auto":
        return None
    try:
        return fmt(model.config.backend.convert_precision_string(text))
    except (ValueError, NotImplementedError, TypeError, AttributeError):
        return None


def _type(layer: Any, variable: str) -> Format | None:
    kind = layer.get_output_variable().type if variable == "result" else layer.get_attr(f"{variable}_t")
    if kind is None and variable in layer.weights:
        kind = layer.weights[variable].type
    return None if kind is None else fixed(kind)


def _factory(layer: Any, variable: str) -> Format | None:
    """hls4ml's own default of a type of this class."""
    for attribute in layer.expected_attributes:
        if attribute.name == f"{variable}_t" and attribute.default is not None:
            return fmt(attribute.default)
    return None


def _ignored(model: Any) -> list[Trap]:
    """Types under LayerName that the layer does not have."""
    traps = []
    for name, config in (model.config.config["HLSConfig"].get("LayerName") or {}).items():
        precision = config.get("Precision") if isinstance(config, dict) else None
        if name not in model.graph or not isinstance(precision, dict):
            continue
        layer = model.graph[name]
        for variable, text in precision.items():
            if variable in layer.weights and not np.any(layer.weights[variable].data):
                continue  # a bias that is not there has a type of its own
            wanted, have = _parsed(model, text), _type(layer, variable)
            if wanted is None or have is None or wanted == have or f"{variable}_t" in config:
                continue
            if wanted == _factory(layer, variable):
                continue  # config_from_... writes it; nobody meant it
            top = variable.endswith(("table", "inv_inp"))
            remedy = f"set LayerName[{name!r}][{variable + '_t'!r}]" if top else "leave it out"
            traps.append(Trap(
                name, layer.class_name, "ignored",
                f"Precision[{variable!r}] {text} has no effect, the type is {short(have)}; {remedy}",
            ))  # fmt: skip
    return traps


def _unused_default(model: Any) -> list[Trap]:
    """Model.Precision set, but every layer has types of its own, which granularity name or type gave it."""
    text = model.config.model_precision.get("default")
    wanted, factory = _parsed(model, text), fmt(FACTORY)
    settings = model.config.config["HLSConfig"]
    if (
        wanted is None
        or same(wanted, factory)
        or not (settings.get("LayerName") or settings.get("LayerType"))
    ):
        return []
    for layer in model.get_layers():
        weights = [w.type for w in layer.weights.values()]
        for kind in (layer.get_output_variable().type, *layer.types.values(), *weights):
            have = fixed(kind)
            if have is not None and same(have, wanted):
                return []
    return [Trap(
        "", "", "ignored",
        f"Model Precision {text} is used by no layer: the entries under LayerName or LayerType, which "
        "config_from_... made, come first; pass default_precision to config_from_..., or set the layers' own "
        "Precision",
    )]  # fmt: skip


def _maximum(model: Any) -> list[Trap]:
    """Inferred types that `maximum` cut: they truncate and wrap, whatever its modes say."""
    text = model.config.model_precision.get("maximum")
    most = _parsed(model, text)
    if most is None or (most.rounding is Rounding.TRN and most.overflow is Overflow.WRAP):
        return []
    traps = []
    for layer in model.get_layers():
        if layer.class_name in (*FALLBACKS, "Input", "InputLayer"):
            continue
        for variable in ("accum", "result"):
            have = _type(layer, variable)
            if have is None or configured(model, layer, variable) != "auto":
                continue
            plain = have.rounding is Rounding.TRN and have.overflow is Overflow.WRAP
            if plain and (have.width == most.width or have.int_bits == most.int_bits):
                traps.append(Trap.of(
                    layer, "maximum",
                    f"its {variable}_t was cut to {short(have)} by the maximum {text}, whose modes are "
                    f"ignored: it truncates and wraps; set Precision[{variable!r}] of the layer to {text}",
                ))  # fmt: skip
                break
    return traps


def _quantizers(model: Any) -> list[Trap]:
    """A quantizer of the file whose type the layer does not have."""
    traps = []
    for layer in model.get_layers():
        for key, quantizer in layer.attributes.items():
            if not (key == "quantizer" or key.endswith("_quantizer")):
                continue
            kind = getattr(quantizer, "hls_type", None)
            if kind is None:
                continue
            variable = {"quantizer": "result", "activation_quantizer": "result"}.get(
                key, key.removesuffix("_quantizer")
            )
            have, wanted = _type(layer, variable), fixed(kind)
            if have is not None and wanted is not None and have != wanted:
                traps.append(Trap.of(
                    layer, "quantizer",
                    f"the model quantizes its {variable} to {short(wanted)}, but {variable}_t is "
                    f"{short(have)}: the quantizer was dropped; set Precision[{variable!r}] to its type",
                ))  # fmt: skip
    return traps


def _rounded_twice(model: Any) -> list[Trap]:
    """Real inputs that the input layer floors before the model's own quantizer rounds them to nearest."""
    traps = []
    for layer in model.get_layers():
        kind = getattr(layer.get_attr("quantizer"), "hls_type", None)
        source = layer
        while source is not None and (source is layer or source.class_name in WIRING) and source.inputs:
            source = source.get_input_node()
        if kind is None or source is None or source.class_name not in ("Input", "InputLayer"):
            continue
        have, wanted = _type(source, "result"), _type(layer, "result")
        if have is None or wanted is None or have.rounding is not Rounding.TRN:
            continue
        if wanted.rounding in (Rounding.TRN, Rounding.TRN_ZERO) or have.frac >= wanted.frac + EXACT_ENOUGH:
            continue
        finer = have.replace(width=have.width - have.frac + wanted.frac + EXACT_ENOUGH)
        traps.append(Trap.of(
            source, "rounding",
            f"its type {short(have)} floors real inputs before {layer.name!r} rounds them to {short(wanted)};"
            f" inputs that are no multiples of {float(have.lsb):g} may come out one step lower; set "
            f"Precision['result'] of the input to {short(finer)}",
        ))  # fmt: skip
    return traps


def _integers(model: Any) -> list[Trap]:
    """Inputs of integer types: their conversion from floating point is not a floor."""
    traps = []
    for layer in model.get_layers():
        if layer.class_name not in ("Input", "InputLayer"):
            continue
        kind = layer.get_output_variable().type.precision
        if type(kind).__name__ == "IntegerPrecisionType":
            form = fmt(kind)
            other = f"{'' if form.signed else 'u'}fixed<{form.width},{form.width}>"
            traps.append(Trap.of(
                layer, "integer",
                f"its type is {kind}: C++ cuts real inputs toward zero, and makes 1 of what lies between "
                f"-0.5 and 0; feed integers, or set Precision['result'] to {other}, which floors",
            ))  # fmt: skip
    return traps
