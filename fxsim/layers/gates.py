"""Networks of two-input gates (DiffLogic): sixteen truth tables, sums per class."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, exact
from fxsim.layers.table_neurons import shifted
from fxsim.trace import Tensor

NAMES = (
    "false", "a and b", "a and not b", "a", "b and not a", "b", "a xor b", "a or b",
    "not (a or b)", "a xnor b", "not b", "a or not b", "not a", "b or not a", "not (a and b)", "true",
)  # fmt: skip
"""Gate of each id: its bits, the highest first, are the outputs for a, b = 00, 01, 10, 11."""


def truth_tables() -> Array:
    """(16, 4): output of gate id for address 2 * a + b."""
    return np.arange(16)[:, None] >> (3 - np.arange(4)) & 1


def relaxed(id: int, a: Any, b: Any) -> Any:
    """The gate on reals in 0..1, as training has it: bilinear, a * b for "and", a + b - 2ab for "xor"."""
    t = truth_tables()[_ids(id)]
    return t[0] * (1 - a) * (1 - b) + t[1] * (1 - a) * b + t[2] * a * (1 - b) + t[3] * a * b


def harden(logits: Any) -> Array:
    """Ids of the likeliest gate, the first of equals, of logits (neurons, 16)."""
    w = np.asarray(logits)
    if w.ndim < 1 or w.shape[-1] != 16:
        raise ValueError(f"logits must have 16 on the last axis, not shape {w.shape}")
    return np.asarray(w.argmax(axis=-1))


def gate_layer(bits: Tensor, a: Any, b: Any, ids: Any, name: str = "gates") -> Tensor:
    """Neuron j is gate ids[j] of inputs a[j] and b[j]: bits (..., n) to (..., m).

    A table of two inputs each, of which the synthesis folds several layers into one LUT. Connections are
    indices, stored as they were trained. Raises ValueError for ids beyond 0..15 and unequal lengths,
    TypeError for bits that are not proven in 0..1.
    """
    low, high = bits.type.bounds
    if bits.frac or low < 0 or high > 1:
        raise TypeError(f"bits must be proven in 0..1 with frac 0, not {low}..{high} with frac {bits.frac}")
    gates, first, second = _ids(ids), exact(a), exact(b)
    if gates.ndim != 1 or first.shape != gates.shape or second.shape != gates.shape:
        raise ValueError(
            f"a, b and ids must have one length, not shapes {first.shape}, {second.shape}, {gates.shape}"
        )
    with bits.builder.block("gates", name, [bits]) as out:
        axis = bits.ndim - 1
        index = shifted(bits.take(first, axis), 1) | bits.take(second, axis)
        y = index._apply(ops.Table(IntArray(truth_tables()[gates]), axis=axis))
        out.append(y)
    return y


def group_sum(bits: Tensor, classes: int, name: str = "group_sum") -> Tensor:
    """Ones in each of `classes` equal runs of the last axis: (..., n) to scores (..., classes).

    A popcount in tables of six. The temperature tau divides all scores alike and stays outside. Raises
    ValueError where the axis does not divide.
    """
    n = bits.shape[-1] if bits.ndim else 0
    if isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 1 or n % classes:
        raise ValueError(f"classes must divide the {n} bits, not {classes!r}")
    with bits.builder.block("group_sum", name, [bits], {"classes": int(classes)}) as out:
        y = bits.reshape(*bits.shape[:-1], int(classes), n // classes).sum(-1)
        out.append(y)
    return y


def _ids(ids: Any) -> Array:
    gates = exact(ids)
    if gates.size and (gates.min() < 0 or gates.max() > 15):
        raise ValueError(f"ids must lie in 0..15, not {gates.min()}..{gates.max()}")
    return gates


__all__ = ["NAMES", "gate_layer", "group_sum", "harden", "relaxed", "truth_tables"]
