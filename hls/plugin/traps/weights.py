"""Weights that are others in C++: those that leave their type, and those that the decimal text moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.formats import Format
from hls.plugin.traps.trap import Trap, fixed, short, span
from hls.plugin.types import from_real, from_text, text_digits, to_real


def check(model: Any) -> list[Trap]:
    """At most one trap for each weight variable."""
    traps = []
    for layer in model.get_layers():
        if str(layer.get_attr("strategy", "")).lower() == "distributed_arithmetic":
            continue  # the weights are taken as they are
        for name, variable in layer.weights.items():
            form = fixed(variable.type)
            trap = None if form is None else _trap(layer, name, variable, form)
            if trap is not None:
                traps.append(trap)
    return traps


def _trap(layer: Any, name: str, variable: Any, form: Format) -> Trap | None:
    data = np.asarray(variable.data, np.float64)
    if not data.size or type(variable.type.precision).__name__ == "XnorPrecisionType":
        return None
    lsb = 2.0**-form.frac
    meant = from_real(data, form)
    found = meant.copy()
    near = _near(data, form.frac, text_digits(variable.type))
    found[near] = from_text(data[near], variable.type.precision)
    value = to_real(found, form.frac, np.float64)
    gone = np.abs(value - data) > lsb
    if gone.any():
        k = int(np.argmax(np.abs(value - data)))
        return Trap.of(
            layer, "weights",
            f"{int(gone.sum())} of {data.size} numbers in its {name} leave {name}_t {short(form)}, which "
            f"holds {span(form)}: {data.flat[k]:g} becomes {value.flat[k]:g}; set Precision[{name!r}] to a "
            "type with more integer bits",
        )  # fmt: skip
    moved = found != meant
    if moved.any():
        k = int(np.argmax(moved))
        other = float(to_real(meant, form.frac, np.float64).flat[k])
        return Trap.of(
            layer, "weights",
            f"{int(moved.sum())} of {data.size} numbers in its {name} are rounded twice: hls4ml writes them "
            f"with {text_digits(variable.type)} decimals before they are cast to {name}_t {short(form)}, so "
            f"that {data.flat[k]:g} becomes {value.flat[k]:g}, not {other:g}; quantize them yourself to "
            f"multiples of {lsb:g}, or set Precision[{name!r}] to a type with more fraction bits",
        )  # fmt: skip
    return None


def _near(data: np.ndarray, frac: int, digits: int) -> np.ndarray:
    """Which numbers can the decimal text take across a multiple of half an LSB, where a cast decides?"""
    halves = data * 2.0 ** (frac + 1)
    away = np.abs(halves - np.rint(halves))
    return np.asarray((away > 0) & (away <= 0.51 * 10.0**-digits * 2.0 ** (frac + 1)))
