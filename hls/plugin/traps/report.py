"""All traps of a model, in the order of its layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.boundary import FormatEncoder
from fxsim.formats import Overflow
from fxsim.graph import Graph
from hls.plugin.traps import configuration, overflow, tables, weights
from hls.plugin.traps.trap import Trap, TrapWarning, short, span


def check(model: Any, graph: Graph) -> list[Trap]:
    """The traps in an hls4ml ModelGraph and the graph that `translate` made of it."""
    found = [
        *configuration.check(model),
        *overflow.check(model, graph),
        *tables.check(model, graph),
        *weights.check(model),
    ]
    place = {layer.name: k for k, layer in enumerate(model.get_layers())}
    return sorted(found, key=lambda trap: place.get(trap.layer, -1))


def check_inputs(graph: Graph, inputs: Sequence[np.ndarray]) -> list[Trap]:
    """Traps in the real numbers that are about to be predicted: those that wrap in their input's type."""
    found = []
    for node, encoder, x in zip(graph.inputs, graph.encoders, inputs, strict=True):
        if not isinstance(encoder, FormatEncoder) or not x.size:
            continue
        form = encoder.format
        if form.overflow in (Overflow.SAT, Overflow.SAT_SYM):
            continue
        least, most = float(np.min(x)), float(np.max(x))
        low, high = form.lo * float(form.lsb), form.hi * float(form.lsb)
        if not (least >= low and most < high + float(form.lsb)):
            found.append(Trap(
                node.name, "Input", "input",
                f"values {least:.6g}..{most:.6g} leave its type {short(form)}, which holds {span(form)}, and "
                f"{'become 0' if form.overflow is Overflow.SAT_ZERO else 'wrap'}; scale them, or give the "
                "input layer a wider type or the mode SAT",
            ))  # fmt: skip
    return found


def warn(traps: Sequence[Trap]) -> None:
    """One TrapWarning for each."""
    for trap in traps:
        warnings.warn(TrapWarning(str(trap)), stacklevel=1)
