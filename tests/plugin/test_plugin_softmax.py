"""Softmax in hls4ml's four implementations: bit for bit what Vitis' C simulation computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hls4ml.model.types import FixedPrecisionType, RoundingMode, SaturationMode
from layer_lists import Layers, mismatches

IMPLEMENTATIONS = ("stable", "latency", "legacy", "argmax")
ROUGH = {
    "exp_table_t": "fixed<14,3,RND,SAT>", "inv_table_t": "ufixed<15,1,RND_CONV,SAT>",
    "inv_inp_t": "ufixed<16,4,TRN,SAT>", "accum_t": "fixed<12,4,RND_INF,SAT_SYM>",
}  # fmt: skip


def softmax(layers: Layers, source: str, result: str, kind: str, size: int, **config: Any) -> None:
    attributes = {"activation": "softmax", "n_in": size, "axis": -1}
    cut = {k: config.pop(k) for k in ("n_outer", "n_inner", "exp_scale") if k in config}
    layers.add("Softmax", source, result, attributes | cut, implementation=kind, **config)


def logits(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Spread from far below an LSB to far beyond the types, with ties and with one class ahead."""
    spread = 2.0 ** rng.integers(-8, 9, size=(len(np.empty(shape)),) + (1,) * (len(shape) - 1))
    x = rng.normal(size=shape) * spread
    x[::5] = np.round(x[::5])
    return x


def test_all_implementations_types_and_slices(build_cache: Path, rng: np.random.Generator) -> None:
    """Narrow, usual, unsigned, wide and very wide logits; tables addressed by all bits and by the top ones;
    sums that round and saturate in the order of the tree; the axis inside, last, and the tensor as one."""
    layers = Layers()
    for precision in ("fixed<8,4,RND,SAT>", "fixed<16,6>", "ufixed<12,4>", "fixed<35,15>"):
        source = layers.input(precision, (5,))
        for kind in IMPLEMENTATIONS:
            softmax(layers, source, "fixed<16,6>", kind, 5)
        for kind in ("stable", "latency") if precision in ("fixed<16,6>", "ufixed<12,4>") else ():
            softmax(layers, source, "ufixed<9,1,RND,SAT>", kind, 5, table_size=128, **ROUGH)
    beyond = layers.input("fixed<80,20>", (5,))
    for kind in ("stable", "legacy"):
        softmax(layers, beyond, "fixed<16,6>", kind, 5)
    source = layers.input("fixed<16,6>", (3, 2, 7))
    softmax(layers, source, "fixed<16,6>", "stable", 42, n_outer=6, n_inner=1, exp_scale=0.3)
    softmax(layers, source, "fixed<16,6>", "latency", 42, n_outer=3, n_inner=7)
    softmax(layers, source, "fixed<16,6>", "legacy", 42, n_outer=1, n_inner=14, table_size=256)
    softmax(layers, source, "fixed<16,6>", "stable", 42, **ROUGH)
    x = [logits(rng, (1500, 5)) for _ in range(5)] + [logits(rng, (1500, 3, 2, 7))]
    assert mismatches(layers, x) == {}


def test_streams_take_the_last_axis(build_cache: Path, rng: np.random.Generator) -> None:
    """io_stream: one softmax per position; other activations differ from io_parallel in SELU only."""
    layers = Layers("io_stream")
    source = layers.input("fixed<12,5>", (3, 6))
    for kind in IMPLEMENTATIONS:
        softmax(layers, source, "fixed<16,6>", kind, 18, table_size=512)
    for name in ("selu", "elu", "tanh"):
        layers.add("Activation", source, "fixed<14,4>", {"activation": name, "n_in": 18}, table_size=200)
    assert mismatches(layers, [logits(rng, (1500, 3, 6))]) == {}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"table_size": 1000}, "exp_table_size must not be 1000 where its address is ap_fixed<16,6,AP_TRN"),
        ({"inv_inp_t": "fixed<8,4>"}, "inv_table_size must not be 1024 where its address is ap_fixed<8,4"),
    ],
)
def test_tables_that_the_c_code_reads_beyond_are_refused(config: dict[str, Any], words: str) -> None:
    """Where C++ has no defined result."""
    layers = Layers()
    softmax(layers, layers.input("fixed<16,6>", (5,)), "fixed<16,6>", "latency", 5, **config)
    with pytest.raises(NotImplementedError, match=words):
        layers.model("fxsim").compile()


def test_blocks_say_how_far_the_tables_are_off() -> None:
    """The table of inverses of a default softmax is read at the top 10 bits of fixed<18,8>: steps of 1/4."""
    layers = Layers()
    softmax(layers, layers.input("fixed<16,6>", (5,)), "fixed<16,6>", "stable", 5)
    graph = layers.model("fxsim").integer_graph
    errors = {b.params["function"]: b.params["max_error"] for b in graph.blocks if b.kind == "table"}
    assert 0.02 < errors["exp"] < 0.04
    assert 0.19 < errors["1/x"] < 0.21


def test_hgq2_tables_are_those_that_hls4ml_builds(build_cache: Path, rng: np.random.Generator) -> None:
    """hls4ml keeps the types of a QSoftmax and makes its tables anew; a function table it takes as it is."""
    layers = Layers()
    types = {
        "exp_table_t": FixedPrecisionType(8, 2, False, RoundingMode.RND_CONV, SaturationMode.SAT),
        "inv_table_t": FixedPrecisionType(8, 2, False, RoundingMode.RND_CONV, SaturationMode.SAT),
        "inv_inp_t": FixedPrecisionType(7, 3, False, RoundingMode.RND, SaturationMode.WRAP),
        "inp_norm_t": FixedPrecisionType(7, 3, False, RoundingMode.RND, SaturationMode.WRAP),
    }
    source = layers.input("fixed<10,4>", (4, 6))
    trained = {"activation": "softmax", "axis": -1, "n_in": 24, "implementation": "stable", "exp_scale": 0.75}
    sizes = {"exp_table_size": 128, "inv_table_size": 128}
    layers.add("Softmax", source, "fixed<12,2>", trained | types | sizes | {"n_outer": 4, "n_inner": 1})
    for kind, count in (("fixed<6,3>", 64), ("ufixed<5,2>", 32), ("fixed<4,4>", 64)):
        lut = {"activation": "unary_lut", "table_data": rng.integers(-90, 90, size=count) / 32}
        lut["table_t"] = FixedPrecisionType(9, 4, True)
        layers.add("UnaryLUT", layers.input(kind, (5,)), "fixed<8,3,RND,SAT>", lut)
    x = [logits(rng, (1500, 4, 6)), *(rng.uniform(-9, 9, size=(1500, 5)) for _ in range(3))]
    assert mismatches(layers, x) == {}


def test_a_function_table_smaller_than_its_input_is_refused() -> None:
    layers = Layers()
    lut = {"activation": "unary_lut", "table_data": np.arange(8) / 4, "table_t": FixedPrecisionType(9, 4)}
    layers.add("UnaryLUT", layers.input("fixed<4,2>", (5,)), "fixed<8,3>", lut)
    with pytest.raises(NotImplementedError, match="table must not be of 8 entries beside an input of 4 bits"):
        layers.model("fxsim").compile()
