"""Activations by a table of float32 values: sigmoid, tanh, softplus, softsign, ELU, SELU; HGQ's tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.casting import from_double
from fxsim.formats import Format
from fxsim.integers import Array, IntArray
from fxsim.trace import Tensor, maximum, minimum, select
from hls.plugin.rules import clibrary
from hls.plugin.rules.activation import function
from hls.plugin.rules.lookup import bounded, fitted, picked, unit, whole
from hls.plugin.translate import Translation, rule

REACH = {"sigmoid": 8, "tanh": 4, "softplus": 8, "softsign": 8}
"""The tables of these cover -reach..reach; beyond, the end entries are read."""

REAL: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (np.abs(x) + 1),
    "selu": lambda x: (
        clibrary.SELU_SCALE * np.where(x > 0, x, clibrary.SELU_ALPHA * np.expm1(np.minimum(x, 0)))
    ),
}
"""What the tables stand for."""


@function(*REACH)
def symmetric(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """table[int(x size / (2 reach)) + size / 2], the index clamped; then a cast to the result's type."""
    name = layer.get_attr("activation").lower()
    size, reach, source = _size(t, layer), REACH[name], t.operand(layer)
    table, result = t.format(layer, "table"), t.result(layer)
    values = clibrary.entries(name, clibrary.symmetric_points(size, reach), table)
    raw = fitted(values, table, result)
    shift = (2 * reach).bit_length() - 1

    def build(x: Tensor) -> Tensor:
        index = whole(x, source.frac, size, shift) + (size * reach >> shift)
        return picked(bounded(index, size, 0), raw, result.frac)

    return unit(operands[0], name, size, build, REAL[name])


@function("elu")
def elu(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """x for x >= 0, else alpha * table[int(-x size / 8)], the index bounded above only."""
    size, source = _size(t, layer), t.operand(layer)
    table, result = t.format(layer, "table"), t.result(layer)
    real = 1.0
    values, alpha = clibrary.entries("elu", clibrary.negative_points(size), table), 1
    product = Format(table.width + 1, table.int_bits + 1)
    if layer.class_name == "ParametrizedActivation":
        param, real = t.format(layer, "param"), float(layer.get_attr("activ_param", 1.0))
        alpha = int(from_double(np.asarray(real), param))
        product = Format(table.width + param.width, table.int_bits + param.int_bits)
    raw = fitted(values * alpha, product, result)

    def build(x: Tensor) -> Tensor:
        # A negative index is compared with an unsigned size: it counts as beyond the table.
        index = bounded(-whole(minimum(x, 0), source.frac, size, 3), size, size - 1)
        return select(x < 0, picked(index, raw, result.frac), maximum(x, 0).cast(result))

    return unit(
        operands[0], "elu", size, build, lambda x: np.where(x > 0, x, real * np.expm1(np.minimum(x, 0)))
    )


@function("selu")
def selu(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """lambda x for x >= 0, else table[int(-x size / 8)], the index clamped.

    lambda is 1.0507 in ufixed<16,1>; with io_stream it is in the type of x, and an index that is negative
    counts as beyond the table.
    """
    size, source = _size(t, layer), t.operand(layer)
    table, result = t.format(layer, "table"), t.result(layer)
    raw = fitted(clibrary.entries("selu", clibrary.negative_points(size), table), table, result)
    stream = t.io_type == "io_stream"
    kind = source if stream else Format(16, 1, signed=False)
    scale = int(from_double(np.asarray(clibrary.SELU_SCALE), kind))

    def build(x: Tensor) -> Tensor:
        index = -whole(minimum(x, 0), source.frac, size, 3)
        index = bounded(index, size, size - 1 if stream else 0)
        positive = ((maximum(x, 0) * scale) >> kind.frac).cast(result)
        return select(x < 0, picked(index, raw, result.frac), positive)

    return unit(operands[0], "selu", size, build, REAL["selu"])


@rule("UnaryLUT")
def unary_lut(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """table[code of x as an unsigned number], cast to the result's type: HGQ's function tables."""
    source, result = t.operand(layer), t.result(layer)
    raw, table = t.weight(layer, "table")
    codes = 1 << source.width
    if len(raw) < codes:
        raise t.refuse(
            layer, "table", f"of {len(raw)} entries beside an input of {source.width} bits",
            "give it one entry for each code of the input's type",
        )  # fmt: skip
    ordered = np.roll(raw[:codes], codes // 2) if source.signed else raw[:codes]
    entries = fitted(ordered, table, result)
    (x,) = operands
    params = {"function": "unary_lut", "entries": len(raw), "max_error": 0.0}
    with x.builder.block("table", "unary_lut", [x], params) as outputs:
        outputs.append(x.builder.apply(ops.Table(IntArray(entries), source.lo, result.frac), x.cast(source)))
    return outputs[0]


def _size(t: Translation, layer: Any) -> int:
    size = int(layer.get_attr("table_size"))
    if size < 2:
        raise t.refuse(layer, "table_size", size, "make it a power of two of 2 or more")
    return size
