"""Weights that are others in C++: those that leave their type, and those that the decimal text moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from hls.plugin.traps.trap import Trap, short, span
from hls.plugin.types import fmt, from_real, from_text, text_digits


def check(model: Any) -> list[Trap]:
    """At most one trap for each weight variable."""
    traps = []
    for layer in model.get_layers():
        if str(layer.get_attr("strategy", "")).lower() == "distributed_arithmetic":
            continue  # the weights are taken as they are
        for name, variable in layer.weights.items():
            try:
                form = fmt(variable.type)
            except (ValueError, NotImplementedError):
                continue
            trap = _trap(layer, name, variable, form)
            if trap is not None:
                traps.append(trap)
    return traps


def _trap(layer: Any, name: str, variable: Any, form: Any) -> Trap | None:
    data = np.asarray(variable.data, np.float64)
    if not data.size or type(variable.type.precision).__name__ == "XnorPrecisionType":
        return None
    raw = from_text(variable.data, variable.type.precision)
    lsb = 2.0**-form.frac
    value = raw.astype(np.float64) * lsb
    gone = np.abs(value - data) > lsb
    if gone.any():
        k = int(np.argmax(np.abs(value - data)))
        return Trap(
            layer.name, layer.class_name, "weights",
            f"{int(gone.sum())} of {data.size} numbers in its {name} leave {name}_t {short(form)}, which "
            f"holds {span(form)}: {data.flat[k]:g} becomes {value.flat[k]:g}; set Precision[{name!r}] to a "
            "type with more integer bits",
        )  # fmt: skip
    moved = raw != from_real(data, form)
    if moved.any():
        k = int(np.argmax(moved))
        meant = float(from_real(data, form).flat[k]) * lsb
        return Trap(
            layer.name, layer.class_name, "weights",
            f"{int(moved.sum())} of {data.size} numbers in its {name} are rounded twice: hls4ml writes them "
            f"with {text_digits(variable.type)} decimals before they are cast to {name}_t {short(form)}, so "
            f"that {data.flat[k]:g} becomes {value.flat[k]:g}, not {meant:g}; quantize them yourself to "
            f"multiples of {lsb:g}, or set Precision[{name!r}] to a type with more fraction bits",
        )  # fmt: skip
    return None
