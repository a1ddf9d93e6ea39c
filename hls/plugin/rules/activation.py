"""Activation layers: hls4ml names the function in an attribute, so each function has a rule of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fxsim.trace import Tensor
from hls.plugin.translate import Rule, Translation, rule

FUNCTIONS: dict[str, Rule] = {}
"""{name of the function in hls4ml's C++: rule}."""


def function(*names: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of Activation layers of these names. Two for one name are a
    ValueError."""

    def register(apply: Rule) -> Rule:
        for name in names:
            if name in FUNCTIONS:
                raise ValueError(f"activation {name} has a rule already, {FUNCTIONS[name].__name__}")
            FUNCTIONS[name] = apply
        return apply

    return register


@rule("Activation", "ParametrizedActivation", "HardActivation", "PReLU", "TernaryTanh")
def activation(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor | list[Tensor]:
    """The rule of the layer's function, by the name that hls4ml calls in C++."""
    name = layer.get_attr("activation").lower()
    apply = FUNCTIONS.get({"leakyrelu": "leaky_relu", "thresholdedrelu": "thresholded_relu"}.get(name, name))
    if apply is None:
        raise t.refuse(layer, "activation", repr(name), f"use one of {', '.join(sorted(FUNCTIONS))}")
    return apply(t, layer, operands)
