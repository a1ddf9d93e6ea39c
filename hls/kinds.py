"""What a layer of a plan is, and what can be said of the values that it may stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Graph, Node, Value
from fxsim.integers import Array
from hls.lower import Port
from hls.target import DISTRIBUTED, Target

DOUBLE_BITS = 53
"""Constants cross into hls4ml as doubles."""


@dataclass(frozen=True, eq=False)
class Body:
    """C++ over codes: a header's text, the ports of a function in it, and the text of a call with arrays."""

    text: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    call: Callable[[Sequence[str]], str]


@dataclass(frozen=True, eq=False)
class Layer:
    """One hls4ml layer: `formats` are the types of its outputs.

    kind        dense, conv, depthwise, max_pool, average_pool, relu, leaky_relu, merge, concat, reshape,
                transpose, pad or custom
    sizes       what the kind needs: window, stride, pads, axis, op ..
    weight      raw integers as hls4ml keeps them (dense: inputs, outputs; conv: *window, channels, outputs;
                depthwise: *window, channels, 1) with their format, and so `bias`
    accumulator a type that loses nothing of the sum
    graph       custom: the run as a graph of its own, one port per input and output
    body        custom, where there is no such graph: its C++
    """

    kind: str
    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    formats: tuple[Format, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    weight: Array | None = None
    weight_format: Format | None = None
    bias: Array | None = None
    bias_format: Format | None = None
    accumulator: Format | None = None
    graph: Graph | None = None
    body: Body | None = None

    @property
    def product(self) -> tuple[str, int, int] | None:
        """(kind, inputs, outputs) of the matrix that it multiplies by."""
        if self.weight is None:
            return None
        rows, columns = int(np.prod(self.weight.shape[:-1])), self.weight.shape[-1]
        return self.kind, rows, columns if self.kind != "depthwise" else self.weight.shape[-2]


def require_single(layer: Layer) -> None:
    """ValueError where distributed arithmetic, which takes constants from float32, would round one."""
    for what in ("weight", "bias"):
        raw = getattr(layer, what).astype(object)
        wide = [int(w) for w in raw.ravel() if int(np.float32(float(int(w)))) != int(w)]
        if wide:
            raise ValueError(
                f"strategy of layer {layer.name!r} must not be {DISTRIBUTED}, whose constants pass through "
                f"float32, which rounds its {what} {wide[0]}; use Latency or Resource"
            )


def is_constant(v: Node) -> bool:
    return isinstance(v, Value) and bool(np.all(v.type.is_constant))


def slope_of(x: Node, y: Node) -> tuple[int, int] | None:
    """(raw, frac) of the constant that y is x times, if it lies between 0 and 1."""
    if not isinstance(y, Value) or x not in y.args:
        return None
    if isinstance(y.op, ops.Scale):
        return (1, -y.op.power) if y.op.power < 0 else None
    if not isinstance(y.op, ops.Mul):
        return None
    factor = y.args[0] if y.args[1] is x else y.args[1]
    if not is_constant(factor) or factor.type.size != 1:
        return None
    raw, frac = int(factor.type.lo.ravel()[0]), factor.type.frac
    return (raw, frac) if 0 < raw < 1 << max(frac, 0) and raw.bit_length() <= DOUBLE_BITS else None


def is_channel(v: Value, k: int) -> bool:
    """Is v channel k of its operand, as a tensor of one channel?"""
    if not isinstance(v.op, ops.Slice):
        return False
    places = np.arange(v.args[0].type.size).reshape(v.args[0].type.shape)
    return np.array_equal(np.asarray(v.op.place(places, places.ndim)), places[..., k : k + 1])


def geometry(
    x: Node, window: Sequence[int], stride: Sequence[int], before: Sequence[int], after: Sequence[int]
) -> dict[str, Any]:
    return {
        "space": x.type.shape[:-1], "channels": x.type.shape[-1], "window": tuple(window),
        "stride": tuple(stride), "before": tuple(before), "after": tuple(after),
    }  # fmt: skip


def fitting(raw: Array, frac: int) -> Format:
    """The narrowest format with `frac` fraction bits that holds these integers."""
    lo, hi = int(raw.min()), int(raw.max())
    signed = lo < 0
    width = max(hi.bit_length(), (~lo).bit_length() if signed else 0, 1 - signed) + signed
    return Format(width, width - frac, signed)


def assignable(v: Value, source: Format, target: Target) -> Format | None:
    """The fixed-point type whose assignment from `source` is this cast; None where there is no such type."""
    op: Any = v.op
    parameters = [np.unique(p) for p in op.parameters(v.type.shape)]
    if any(p.size != 1 for p in parameters):
        return None
    frac, width, signed = (int(p[0]) for p in parameters)
    exact = op.rounding is not Rounding.RND_CONV_ODD and op.overflow is not Overflow.WRAP_SM and op.n == 0
    if not exact or width < (2 if target.types == "ac" else 1):
        return None
    # ap_fixed aborts where rounding drops more bits than the source has.
    if target.types == "ap" and source.width < source.frac - frac + 2:
        return None
    return Format(width, width - frac, bool(signed), op.rounding, op.overflow)
