"""Tables and softmax of an hls4ml model in hardware: the C++ and the Verilog give the emulator's integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from layer_lists import Layers

import rtl
from hls.compile import compile_graphs


def test_tables_and_softmax_in_both_readings(build_cache: Path, rng: np.random.Generator) -> None:
    """A table of all codes, an index that is computed, selections, a softmax with its two tables."""
    layers = Layers()
    narrow, wide = layers.input("fixed<5,3>", (3,)), layers.input("fixed<10,5>", (2,))
    layers.add(
        "Activation", narrow, "fixed<6,2,RND,SAT>", {"activation": "sigmoid", "n_in": 3}, table_size=16
    )
    for name in ("tanh", "selu"):
        layers.add("Activation", wide, "fixed<6,3>", {"activation": name, "n_in": 2}, table_size=16)
    softmax = {"activation": "softmax", "n_in": 3, "axis": -1}
    layers.add("Softmax", narrow, "fixed<7,2>", softmax, table_size=16, accum_t="fixed<8,4,RND,SAT>")
    graph = layers.model("fxsim").integer_graph
    raw = [rng.integers(n.type.lo, n.type.hi, size=(200, *n.type.shape), endpoint=True) for n in graph.inputs]
    expected = graph.run_raw(*raw)
    (compiled,) = compile_graphs([graph])
    for a, b in zip(expected, compiled(*raw), strict=True):
        assert np.array_equal(a, b)
    result = rtl.verify(graph, *raw, raw=True, idle=0.25, backpressure=0.25)
    assert (result.vectors, result.mismatches) == (200, 0)
