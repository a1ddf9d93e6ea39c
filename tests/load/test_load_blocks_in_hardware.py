"""Blocks that only model files make, in Verilog: sums of branches, thresholds, small floats, a host step."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from small_models import QONNX, node, quant, write

import rtl
from fxsim import load

F32 = np.float32


@pytest.mark.xdist_group("load_blocks")
def test_verilog(tmp_path, rng, build_cache) -> None:
    scales = rng.uniform(0.1, 0.5, (3, 1, 4)).astype(F32)
    constants = {
        "s": F32(0.11), "z": F32(0), "b": F32(4), "so": rng.uniform(0.2, 0.6, 4).astype(F32),
        "bias": rng.normal(size=4).astype(F32), "k": F32(1.3), **{f"s{i}": scales[i] for i in range(3)},
        "t": rng.uniform(0, 1.2, (4, 5)).astype(F32), "two": F32(2), "fs": F32(0.5),
        "fe": F32(2), "fm": F32(1), "fb": F32(1), "fmax": F32(6),
    }  # fmt: skip
    floats = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": "ROUND"}
    nodes = [
        node("Mul", "x two", "h"), quant("h", "q"), *(quant("q", f"a{i}", f"s{i}") for i in range(3)),
        node("Add", "a0 a1", "u"), node("Add", "u bias", "v"), node("Sub", "v a2", "w"),
        node("Mul", "w k", "m"), node("Relu", "m", "r"), quant("r", "p", "so", signed=0),
        helper.make_node(
            "MultiThreshold", ["p", "t"], ["c"], "mt", domain=QONNX, out_dtype="INT8", out_scale=2.0,
            out_bias=-1.0,
        ),
        helper.make_node(
            "FloatQuant", ["c", "fs", "fe", "fm", "fb", "fmax"], ["y"], "fq", domain=QONNX, **floats
        ),
    ]  # fmt: skip
    graph = load(write(tmp_path, nodes, constants))
    kinds = {b.kind for b in graph.blocks}
    assert {"rescale", "sum_rescale", "multithreshold", "float_quant"} <= kinds
    x = rng.normal(size=(100, 4)).astype(F32)
    assert len(np.unique(graph.run(x))) >= 3
    result = rtl.verify(graph, x, idle=0.2, backpressure=0.2)
    assert (result.vectors, result.mismatches) == (100, 0)
