"""Tables that are too coarse for what addresses them, and a softmax over more than its axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.boundary import FormatEncoder
from fxsim.formats import Format
from fxsim.graph import Block, Graph
from fxsim.trace import Tensor
from fxsim.types import TensorType
from hls.plugin.rules.softmax import slices, softmax, tables
from hls.plugin.translate import Translation
from hls.plugin.traps.trap import Trap, short
from hls.plugin.types import from_real, to_real

# An error from here on is told.
COARSE = 1 / 16

ROWS = 1000
"""Random rows of logits on which a softmax is measured."""


def check(model: Any, graph: Graph) -> list[Trap]:
    """Traps of the layers with tables, by their enumerated errors; a softmax is also measured."""
    traps = []
    for k, block in enumerate(graph.blocks):
        if block.parent is not None or block.name not in model.graph:
            continue
        layer = model.graph[block.name]
        inside = [b for b in graph.blocks if b.kind == "table" and b.parent == k]
        if layer.class_name == "Softmax":
            traps += _softmax(model, layer, inside)
        else:
            traps += [_table(layer, b) for b in inside if (b.params["max_error"] or 0) >= COARSE]
    return traps


def _table(layer: Any, block: Block) -> Trap:
    """A function whose table ends within the range of its input, or has too few entries or bits."""
    source = block.inputs[0].type
    low, high = (v * 2.0**-source.frac for v in source.bounds)
    return Trap.of(
        layer, "table",
        f"its table of {block.params['entries']} entries is off by up to {block.params['max_error']:.3g} for "
        f"inputs in {low:g}..{high:g}: it covers -8..8 (tanh -4..4, ELU and SELU -8..0) and its type and the "
        "result's bound its values; set a narrower result type on the layer before, or a larger table_size, "
        "table_t and Precision['result']",
    )  # fmt: skip


def _softmax(model: Any, layer: Any, inside: list[Block]) -> list[Trap]:
    t = Translation(model)
    cut, traps = slices(t, layer), []
    shape = tuple(int(n) for n in layer.get_input_variable().shape)
    axis = int(layer.get_attr("axis", -1))
    axis = axis - 1 if axis > 0 else axis  # hls4ml counts the batch
    if len(shape) > 1 and shape[axis] != cut.length:
        traps.append(Trap.of(
            layer, "softmax",
            f"it is one softmax over {cut.length} elements of {shape}, not over the {shape[axis]} along its "
            "axis: this front end does not tell hls4ml the axis; use io_stream with the axis last, a Keras 3 "
            "model, or a softmax of one dimension",
        ))  # fmt: skip
    kind = str(layer.get_attr("implementation", "stable"))
    if kind == "argmax" or layer.get_attr("_bit_exact", False):  # the latter was trained with its tables
        return traps
    error, flips = measured(model, layer)
    if error < COARSE:
        return traps
    if kind == "legacy":
        about = "its tables cover -8..8 and sums below 64 only; use implementation stable"
    else:
        source = t.operand(layer)
        of = tables(t, layer, kind, source, cut.length)
        errors = {b.params["function"]: b.params["max_error"] for b in inside}
        about = (
            f"exp is read at the top {_bits(of.exp_size)} bits of {short(of.norm)} (off by up to "
            f"{errors['exp']:.3g}), 1/x at the top {_bits(of.inv_size)} bits of {short(of.inv_input)} (off "
            f"by up to {errors['1/x']:.3g}); " + _remedy(kind, source, of.inv_input, cut.length)
        )
    traps.append(Trap.of(
        layer, "softmax",
        f"its probabilities were off by up to {error:.3g} on {ROWS} random rows of logits, and {flips:.2%} "
        f"of the rows changed their class: {about}",
    ))  # fmt: skip
    return traps


def _remedy(kind: str, source: Format, inverse: Format, length: int) -> str:
    if kind == "latency":
        return "use implementation stable"
    todo = []
    if source.width - source.int_bits > 10 or source.width > 16:
        todo.append("the layer before a result type of at most 16 bits, 6 of them integer")
    need = max(length.bit_length(), 1)
    if inverse.signed or inverse.int_bits > need:
        todo.append(f"inv_inp_t 'ufixed<{need + 14},{need},RND,SAT>', which holds sums up to {length}")
    todo.append("larger tables (table_size)")
    return "give " + ", or ".join(todo)


def measured(model: Any, layer: Any) -> tuple[float, float]:
    """(largest error of a probability, share of slices whose greatest is another one) of a softmax layer, on
    seeded normal logits of deviation 3 within its input's type."""
    t = Translation(model)
    source, cut = t.operand(layer), slices(t, layer)
    shape = tuple(int(n) for n in layer.get_input_variable().shape)
    node: Tensor = t.builder.input("x", TensorType.of(source, shape), FormatEncoder(source))
    graph = t.builder.finish([softmax(t, layer, [node])])
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (max(ROWS * cut.length // int(np.prod(shape)), 1), *shape))
    raw = from_real(logits, source.replace(rounding="TRN", overflow="SAT", saturation_bits=0))
    found = to_real(np.asarray(graph.run_raw(raw)), graph.outputs[0].type.frac, np.float64)

    def cutting(a: np.ndarray) -> np.ndarray:
        return a.reshape(len(a), cut.outer, cut.length, cut.inner).transpose(0, 1, 3, 2)

    x, p = cutting(to_real(raw, source.frac, np.float64)), cutting(found)
    scale = float(layer.get_attr("exp_scale", 1.0))
    e = np.exp(scale * (x - x.max(-1, keepdims=True)))
    truth = e / e.sum(-1, keepdims=True)
    first = np.take_along_axis(truth, p.argmax(-1)[..., None], -1)[..., 0]
    return float(np.abs(p - truth).max()), float((first < truth.max(-1)).mean())


def _bits(size: int) -> int:
    return (size - 1).bit_length()
