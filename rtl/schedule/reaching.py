"""A graph typed for weights that are yet to be written: what follows from them is what any codes can
reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from fxsim.graph import Block, Graph, Name, Node, Value
from fxsim.types import TensorType


def code_bits(weights: Any) -> int:
    """Bits of a two's complement that holds each of these integers."""
    least, most = int(weights.min()), int(weights.max())
    return 1 + max(most.bit_length(), (-1 - least).bit_length() if least < 0 else 0)


def reaching(graph: Graph, products: Mapping[Value, tuple[Node, str]]) -> Graph:
    """The same values with the types that they have if each product's constant may be any of its codes.

    products   values, each with the operand that can be written and the block to name in errors

    Constants stay what they are, and so does what the emulator computes. Raises ValueError that names the
    block
    where an op has no answer for what other weights reach (a table without entries for it, say).
    """
    made: dict[Node, Node] = {n: n for n in graph.inputs}
    behind: dict[Node, str] = {}  # values that depend on such weights, and on whose
    for v in graph.values[len(graph.inputs) :]:
        assert isinstance(v, Value)
        constant, block = products.get(v, (None, None))
        block = block or next((behind[a] for a in v.args if a in behind), None)
        if block is None:
            made[v] = v if all(made[a] is a for a in v.args) else Value(v.type, v.op, _made(v, made))
            continue
        behind[v] = block
        types = [_any_code(a.type) if a is constant else made[a].type for a in v.args]
        try:
            made[v] = Value(v.op.infer(*types), v.op, _made(v, made))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"weights of {block} cannot be written: {type(v.op).__name__} behind them needs what "
                f"they are now ({error})"
            ) from error
    kw = {f.name: getattr(graph, f.name) for f in fields(graph)}
    kw["outputs"] = tuple(made[o] for o in graph.outputs)
    kw["values"] = tuple(made[v] for v in graph.values)
    kw["names"] = {
        k: Name(None if n.value is None else made[n.value], n.affine, n.axes, n.reason)
        for k, n in graph.names.items()
    }
    kw["blocks"] = tuple(
        Block(
            b.kind, b.name, b.params, tuple(made[n] for n in b.inputs), tuple(made[n] for n in b.outputs),
            b.start, b.stop, b.parent,
        )
        for b in graph.blocks
    )  # fmt: skip
    return Graph(**kw)


def _made(v: Value, made: Mapping[Node, Node]) -> tuple[Node, ...]:
    return tuple(made[a] for a in v.args)


def _any_code(t: TensorType) -> TensorType:
    hi = (1 << code_bits(np.asarray(np.stack([t.lo, t.hi]))) - 1) - 1
    return TensorType(t.shape, t.frac, np.full(t.shape, -1 - hi), np.full(t.shape, hi))
