"""Convolutions, pools, joins and pads that cannot be loaded: the error names the node and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import node, quant, write

from fxsim.load import load

F32 = np.float32
BASE = {
    "s": F32(0.25), "z": F32(0), "b": F32(4), "c": F32(0.3), "w": np.ones((4, 2, 2, 2), F32),
    "per": np.array([0.25, 0.3], F32).reshape(1, 2, 1, 1), "rows": np.array([1, 3], F32).reshape(1, 1, 2, 1),
}  # fmt: skip
INPUT, WEIGHTS = quant("x", "a"), quant("w", "wq")
UNCLEAR = {"ceil_mode": 1, "count_include_pad": 1}

CASES: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "real input": ([WEIGHTS, node("Conv", "x wq", "y")], {}, r"\(Conv\) has no scale for its first operand"),
    "plain weights": (
        [INPUT, node("Conv", "a w", "y")],
        {"w": np.full((4, 2, 2, 2), 0.1, F32)},
        r"\(Conv\) has no scale for its weights.*put a Quant node",
    ),
    "computed weights": ([INPUT, node("Conv", "a a", "y")], {}, r"\(Conv\) needs a constant weight tensor"),
    "matrix": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y")],
        {"w": np.ones((4, 2), F32)},
        r"\(Conv\) has weights of shape \(4, 2\); use",
    ),
    "rank": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y")],
        {"w": np.ones((4, 2, 2), F32)},
        r"\(Conv\) has an input of shape \(2, 4, 4\) beside the batch; give it",
    ),
    "channels": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y")],
        {"w": np.ones((4, 3, 2, 2), F32)},
        r"\(Conv\) has 2 channels in 1 groups for weights \(4, 3, 2, 2\); channels must",
    ),
    "group": ([INPUT, WEIGHTS, node("Conv", "a wq", "y", group=3)], {}, r"\(Conv\) has 2 channels in 3"),
    "kernel_shape": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", kernel_shape=[3, 3])],
        {},
        r"\(Conv\) has kernel_shape \(3, 3\) for weights \(2, 2\); make them equal",
    ),
    "strides": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", strides=[0, 1])],
        {},
        r"\(Conv\) has strides \(0, 1\); give 2 positive integers",
    ),
    "dilations": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", dilations=[1])],
        {},
        r"\(Conv\) has dilations \(1,\); give 2 positive integers",
    ),
    "pads": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", pads=[1, 1])],
        {},
        r"\(Conv\) has pads \(1, 1\); give 4 integers",
    ),
    "auto_pad": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", auto_pad="SAME")],
        {},
        r"\(Conv\) has auto_pad 'SAME'; use one of NOTSET, VALID, SAME_UPPER, SAME_LOWER",
    ),
    "large windows": (
        [INPUT, WEIGHTS, node("Conv", "a wq", "y", dilations=[4, 1])],
        {},
        r"\(Conv\) has windows of \(5, 2\) that do not fit \(4, 4\)",
    ),
    "unequal input scales": (
        [quant("x", "a", "per"), WEIGHTS, node("Conv", "a wq", "y")],
        {},
        r"\(Conv\) sums codes of unequal scales; use one scale per tensor",
    ),
    "scales along the height": (
        [quant("x", "a", "rows"), WEIGHTS, node("Conv", "a wq", "y")],
        {"rows": np.array([1, 3, 5, 7], F32).reshape(1, 1, 4, 1)},
        r"\(Conv\) has scales along axis 2 of its input",
    ),
    "scales within an output": (
        [INPUT, quant("w", "wq", "rows"), node("Conv", "a wq", "y")],
        {},
        r"\(Conv\) has weight scales that vary within an output",
    ),
    "zero is no code": (
        [INPUT, node("Add", "a c", "d"), WEIGHTS, node("Conv", "d wq", "y", pads=[1, 0, 0, 0])],
        {},
        r"\(Conv\) pads with 0, which is no code of its input; put a Quant node",
    ),
    "nan bias": (
        [INPUT, WEIGHTS, node("Conv", "a wq bias", "y")],
        {"bias": np.array([0, np.nan, 0, 0], F32)},
        r"node 'n_y' \(Conv\).*must be finite, not nan",
    ),
    "pool without a kernel": (
        [INPUT, node("MaxPool", "a", "y")],
        {},
        r"\(MaxPool\) must have the attribute 'kernel_shape'",
    ),
    "pool in the padding": (
        [INPUT, node("AveragePool", "a", "y", kernel_shape=[1, 1], pads=[1, 0, 0, 0])],
        {},
        r"\(AveragePool\) has windows that lie in the padding as a whole; use smaller pads",
    ),
    "indices of a pool": (
        [INPUT, node("MaxPool", "a", "y i", kernel_shape=[2, 2])],
        {},
        r"\(MaxPool\) has 2 outputs; export",
    ),
    "ceil_mode and padding": (
        [INPUT, node("AveragePool", "a", "y", kernel_shape=[2, 2], pads=[1] * 4, **UNCLEAR)],
        {},
        r"\(AveragePool\) has ceil_mode = 1 with count_include_pad = 1.*set one of both to 0",
    ),
    "mean over the batch": (
        [INPUT, node("ReduceMean", "a", "y", axes=[0, 1])],
        {},
        r"\(ReduceMean\) reduces the axes \(0, 1\); give it axes in 1..3",
    ),
    "mean over all": ([INPUT, node("ReduceMean", "a", "y")], {}, r"\(ReduceMean\) reduces all axes"),
    "mean over scales": (
        [quant("x", "a", "per"), node("ReduceMean", "a", "y", axes=[1])],
        {},
        r"\(ReduceMean\) sums codes of unequal scales",
    ),
    "concat of the batch": (
        [INPUT, node("Concat", "a a", "y", axis=0)],
        {},
        r"\(Concat\) joins along the batch axis",
    ),
    "concat of shapes": (
        [INPUT, node("MaxPool", "a", "p", kernel_shape=[2, 2]), node("Concat", "a p", "y", axis=1)],
        {},
        r"\(Concat\) joins shapes \[\(2, 4, 4\), \(2, 3, 3\)\]; make them equal elsewhere",
    ),
    "concat across scales": (
        [quant("x", "a", "per"), quant("a", "d"), node("Concat", "a d", "y", axis=2)],
        {},
        r"\(Concat\) joins tensors whose scales vary along another axis",
    ),
    "branches of other shapes": (
        [INPUT, node("MaxPool", "a", "p", kernel_shape=[2, 2]), node("Add", "a p", "y")],
        {},
        r"\(Add\) broadcasts \(2, 4, 4\) with \(2, 3, 3\); give both branches one shape",
    ),
    "pad with a float": (
        [INPUT, node("Pad", "a pads c", "y")],
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
        r"\(Pad\) pads with 0.3, which is no code of its input",
    ),
    "pad before the quantizer": (
        [node("Pad", "x pads", "p"), quant("p", "y")],
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
        r"\(Pad\) pads the real input before its quantizer; pad behind",
    ),
    "pad of the batch": (
        [INPUT, node("Pad", "a pads", "y")],
        {"pads": np.array([1, 0, 0, 0, 0, 0, 0, 0])},
        r"\(Pad\) pads the batch axis",
    ),
    "pad of the channels": (
        [quant("x", "a", "per"), node("Pad", "a pads", "y")],
        {"pads": np.array([0, 1, 0, 0, 0, 0, 0, 0])},
        r"\(Pad\) pads the axis along which its scales vary; use one scale per tensor",
    ),
    "negative pads": (
        [INPUT, node("Pad", "a pads", "y")],
        {"pads": np.array([0, 0, -1, 0, 0, 0, 0, 0])},
        r"\(Pad\) has pads \(0, 0, -1, 0, 0, 0, 0, 0\); give 8 integers.*Slice crops",
    ),
    "mode of a pad": (
        [INPUT, node("Pad", "a pads", "y", mode="mirror")],
        {"pads": np.zeros(8, np.int64)},
        r"\(Pad\) has the mode 'mirror'; use one of constant, edge, reflect, wrap",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, constants, message = CASES[case]
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, nodes, BASE | constants, (1, 2, 4, 4)))
