"""Codes against a float32 runtime: equal, or listed by the record of their quantizer as near a tie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import ort_oracle
from test_load_qdq import file_codes

from fxsim import Graph
from fxsim.graph import Value
from fxsim.load import load

RECORDS = ("rescale", "curve")


def agree(path: Path, x: np.ndarray, batch: int | None = None, share: float = 0.97) -> Graph:
    """Load; every QuantizeLinear's codes equal onnxruntime's but at accumulators listed as near ties.

    Samples in which an earlier quantizer differs are left out behind it; at least `share` of all are whole.
    """
    graph = load(path)
    found = file_codes(graph, x)
    want = ort_oracle.samples(path, x) if batch == 1 else ort_oracle.tensors(path, x)
    same = np.ones(len(x), bool)
    compared = 0
    for name in (n.output[0] for n in onnx.load(str(path)).graph.node if n.op_type == "QuantizeLinear"):
        if name not in found or name not in want:
            continue
        compared += 1
        assert found[name].shape == want[name].shape, name
        rows = same.reshape(-1, *[1] * (found[name].ndim - 1))
        for where in map(tuple, np.argwhere((found[name] != want[name]) & rows)):
            assert listed(graph, name, x, where), (name, where, found[name][where], want[name][where])
            same[where[0]] = False
    assert compared and np.mean(same) >= share
    return graph


def listed(graph: Graph, name: str, x: np.ndarray, where: tuple[int, ...]) -> bool:
    """Does the record say that float32 may give another code for this operand?"""
    value = graph.names[name].value
    block = next(b for b in graph.blocks if b.kind in RECORDS and b.outputs[0] is value)
    source = block.inputs[0]
    name = next((k for k, v in graph.names.items() if v.value is source), "")
    if not name:  # a tensor between that the file has no name for
        assert isinstance(source, Value)
        name = next(k for k, v in graph.names.items() if v.value in source.args)
    operand, axis = graph.codes(x)[name][where], block.params["axis"]
    channel = 0 if axis is None else where[1 + axis]
    rows = block.params["near_ties"].array.tolist()
    return any(c == channel and a <= operand <= b for c, _, a, b in rows)
