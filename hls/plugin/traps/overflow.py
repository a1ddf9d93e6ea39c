"""Types that wrap: where a proven range leaves the type of an accumulator or of a result."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.casting import round_shift
from fxsim.formats import Format, Overflow
from fxsim.graph import Graph, Value
from hls.plugin.traps.trap import Trap, fixed, short, span
from hls.plugin.types import fmt

# Not looked into: a softmax subtracts from the greatest, which no interval knows; its tables are a matter of
# their own.
BLIND = ("Softmax",)

# What hls4ml's inference leaves out: their `auto` is the model's default.
FALLBACKS = ("Activation", "ParametrizedActivation", "PReLU", "HardActivation", "TernaryTanh")


def check(model: Any, graph: Graph) -> list[Trap]:
    """One trap for each layer in which a cast or an ordered sum may wrap, or whose `auto` lost bits."""
    traps = []
    inner = _inner(graph)
    for block in graph.blocks:
        if block.parent is not None or block.kind in BLIND or block.name not in model.graph:
            continue
        layer = model.graph[block.name]
        values = [
            v for k, v in enumerate(graph.values[block.start : block.stop], block.start) if k not in inner
        ]
        trap = _fallback(model, layer, values) or _wraps(layer, values)
        if trap is not None:
            traps.append(trap)
    return traps


def _inner(graph: Graph) -> set[int]:
    """Places of the values in blocks `table`, whose casts are C++'s own."""
    return {k for b in graph.blocks if b.kind == "table" for k in range(b.start, b.stop)}


def _wraps(layer: Any, values: list[Any]) -> Trap | None:
    """The first cast of the layer that may wrap."""
    for v in values:
        found = _leaves(v)
        if found is None:
            continue
        low, high, form = found
        name = _type_name(layer, form)
        bits = _int_bits(low, high)
        wider = form.replace(width=form.width - form.int_bits + bits, int_bits=bits)
        verb = "falls to 0" if form.overflow is Overflow.SAT_ZERO else "wraps"
        default = ", the model's default," if _is_default(layer, form) else ""
        return Trap.of(
            layer,
            "overflow",
            f"its {name} {short(form)}{default} {verb}: values can reach {float(low):.6g}..{float(high):.6g},"
            f" the type holds {span(form)}; set Precision[{name.removesuffix('_t')!r}] to {short(wider)}, or "
            "to one with the mode SAT",
        )
    return None


def _leaves(v: Any) -> tuple[Fraction, Fraction, Format] | None:
    """(least, greatest value, type) of a cast or ordered sum that may leave its type and wrap."""
    if not isinstance(v, Value):
        return None
    source = v.args[0].type if v.args else None
    if isinstance(v.op, ops.Cast) and v.op.frac.array.size == 1:
        form = _format(v.op)
        assert source is not None
        ends = round_shift(np.array(source.bounds, object), source.frac - form.frac, form.rounding)
    elif isinstance(v.op, ops.Accumulate):
        form = v.op.format
        assert source is not None
        axis = v.op.axis % source.ndim
        low, high = (a.astype(object).sum(axis=axis) for a in (source.lo, source.hi))
        ends = np.array([min(np.min(low), 0), max(np.max(high), 0)], object)
        ends = round_shift(ends, source.frac - form.frac, form.rounding)
    else:
        return None
    if form.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return None
    low, high = int(ends[0]), int(ends[1])
    if form.lo <= low and high <= form.hi:
        return None
    return low * form.lsb, high * form.lsb, form


def _fallback(model: Any, layer: Any, values: list[Any]) -> Trap | None:
    """An activation whose `auto` result became the default, and so lost bits of its input."""
    if layer.class_name not in FALLBACKS or configured(model, layer, "result") != "auto":
        return None
    result, source = fmt(layer.get_output_variable().type), fmt(layer.get_input_variable().type)
    casts = [v for v in values if isinstance(v, Value) and isinstance(v.op, ops.Cast)]
    if not _is_default(layer, result) or not casts or not _loses(casts[-1]):
        return None
    return Trap.of(
        layer,
        "fallback",
        f"its result is 'auto', which hls4ml does not infer for this class: it became the default "
        f"{short(result)}, and its input is {short(source)}, so low bits are dropped or values wrap; set "
        f"Precision['result'] to {short(source)} or to the type that you want",
    )


def _loses(cast: Any) -> bool:
    """Can this cast change a value?"""
    source, op = cast.args[0].type, cast.op
    varying = source.lo != source.hi
    dropped = bool(np.any(source.stride[varying] < source.frac - op.result_frac))
    return dropped or _leaves(cast) is not None


def configured(model: Any, layer: Any, variable: str) -> str | None:
    """What the configuration says of a type of this layer, by name, else by class."""
    config = model.config
    for table, key in (
        (config.layer_name_precision, layer.name), (config.layer_type_precision, layer.class_name)
    ):  # fmt: skip
        for name in (variable, "default"):
            found = table.get(f"{key.lower()}_{name}")
            if found is not None:
                return str(found)
    return None


def _format(op: ops.Cast) -> Format:
    frac, width, signed = (int(a.array.flat[0]) for a in (op.frac, op.width, op.signed))
    return Format(max(width, 1), max(width, 1) - frac, bool(signed), op.rounding, op.overflow, op.n)


def _type_name(layer: Any, form: Format) -> str:
    """The layer's type that this is: accum_t before result_t before others."""
    for name in sorted(layer.types, key=lambda n: (n != "accum_t", n != "result_t")):
        found = fixed(layer.types[name])
        if found is not None and same(found, form):
            return str(name)
    return "result_t"


def same(a: Format, b: Format) -> bool:
    """The same numbers, whatever the modes."""
    return (a.width, a.int_bits, a.signed) == (b.width, b.int_bits, b.signed)


def _is_default(layer: Any, form: Format) -> bool:
    config = layer.model.config
    return form == fmt(config.backend.convert_precision_string(config.model_precision["default"]))


def _int_bits(low: Fraction, high: Fraction) -> int:
    """Integer bits, sign included, of a signed type that holds both."""
    bits = 1
    while not -(Fraction(2) ** (bits - 1)) <= low <= high < Fraction(2) ** (bits - 1):
        bits += 1
    return bits
