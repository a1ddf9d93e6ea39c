"""The multiply-accumulate of one tick as a graph of its own: elements times weights that both vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fxsim import Format, trace
from fxsim.graph import Graph
from fxsim.integers import trailing_zeros
from fxsim.types import TensorType
from rtl.core import Core
from rtl.layout import Layout


class Mac(NamedTuple):
    """A core with inputs x (pi,) and the weights of a tick, and the words of weights that it reads.

    rom       an integer of w_bits per tick: the core's inputs behind x
    """

    core: Core
    rom: list[int]
    w_bits: int


def codes(
    name: str, x: TensorType, weights: np.ndarray, limit: int, signed: bool, code_bits: int | None = None,
    **options: Any,
) -> Mac:  # fmt: skip
    """The products by partial products of the weights' codes.

    weights     (ticks, pi, po), y = x @ w of shape (po,); (ticks, pi), y = x * w of shape (pi,)
    limit       bits of y that matter: where its own type has more it is taken modulo 2**limit
    code_bits   of a weight, which can be any code then; None: what the weights of a lane need
    """
    if code_bits is None:
        lo, hi = weights.min(axis=0), weights.max(axis=0)
        stride = trailing_zeros(np.bitwise_or.reduce(weights, axis=0), 0)
    else:
        hi = np.full(weights.shape[1:], (1 << code_bits - 1) - 1)
        lo, stride = -1 - hi, 0
    w = TensorType(weights.shape[1:], 0, lo, hi, stride)
    graph = mac_graph(lambda x, w: x @ w if weights.ndim == 3 else x * w, name, limit, signed, x, w)
    return _built(graph, name, {"w": weights}, options)


def mac_graph(fn: Callable[..., Any], name: str, limit: int, signed: bool, *types: TensorType) -> Graph:
    """The graph of fn, its result modulo 2**limit where it has more bits."""
    graph = trace(fn, *types, name=name)
    if graph.outputs[0].type.max_width <= limit:
        return graph
    wrap = Format(limit, limit, signed)
    return trace(lambda x, *w: fn(x, *w).cast(wrap), *types, name=name)


def _built(graph: Graph, name: str, weights: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> Mac:
    core = Core(graph, name=name, **options)
    ports = Layout(core.in_layout.ports[1:])
    words = ports.integers(ports.pack(list(weights.values())))
    return Mac(core, words, ports.bits)
