"""Why a block's integers are the file's, in words: from its kind, its record, and the ops inside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Block, Graph, Value

WIRING = (
    ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Concat, ops.Gather, ops.Pad, ops.Scale, ops.Const,
)  # fmt: skip
LOSSY = (ops.Cast, ops.Accumulate, ops.Div, ops.Table, ops.Threshold)


def how_exact(graph: Graph, b: Block) -> str:
    """One line for `fxsim info`; empty where nothing is known beyond the ops."""
    p = b.params
    if b.kind == "quantize":
        return f"one cast to {p['format']}"
    if b.kind == "rescale":
        return _steps(p)
    if b.kind == "sum_rescale":
        n, k = p["multiplier"].shape
        return _joined([f"{n} channels of {k} branches certified on {p['cases']} steps", _near(p)])
    if b.kind == "float_quant":
        return "every number of the float format from its exact threshold on"
    if b.kind == "curve":
        return _joined([f"every code of {', '.join(p['function'])} enumerated, by {p['method']}", _near(p)])
    if b.kind == "table":
        return f"every code of {p['function']} enumerated, by {p['form']}"
    if b.kind.startswith("tflite_"):
        return "the file's own integer arithmetic, as graph ops"
    if b.kind == "multithreshold":
        return "the file's thresholds, as integers"
    if p.get("max_error") is not None:
        return f"not exact over the reals: at most {float(p['max_error']):.3g} codes from the exact function"
    inside = [v.op for v in graph.values[b.start : b.stop] if isinstance(v, Value)]
    if all(isinstance(op, WIRING) for op in inside):
        return "wiring"
    if not any(isinstance(op, LOSSY) for op in inside):
        return "exact integers"
    if any(c.parent is not None and graph.blocks[c.parent] is b for c in graph.blocks):
        return "by the blocks inside it"
    return ""


def _steps(p: Any) -> str:
    """A rescale block: which channels are multiplied, which counted."""
    dyadic = np.asarray(p["dyadic"].array, bool)
    bits = p["bits"].array[dyadic]
    parts = []
    if dyadic.any():
        parts.append(
            f"{int(dyadic.sum())} channels certified dyadic, multipliers {bits.min()}..{bits.max()} bits"
        )
    if not dyadic.all():
        parts.append(f"{int((~dyadic).sum())} channels by thresholds")
    return _joined([*parts, _near(p)])


def _near(p: Any) -> str:
    count = p.get("near_count", 0)
    return f"{count} reachable sums where a float32 reference may differ" if count else ""


def _joined(parts: list[str]) -> str:
    return "; ".join(part for part in parts if part)
