"""NaN and infinity in the weights, biases and factors of a file: errors that name the node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import node, quant, write

from fxsim.load import load

F32 = np.float32
BASE = {"s": F32(0.25), "z": F32(0), "b": F32(4), "w": np.ones((4, 3), F32)}
DENSE = [quant("x", "a"), quant("w", "wq"), node("MatMul", "a wq", "m"), quant("m", "y")]
BIASED = [quant("x", "a"), quant("w", "wq"), node("Gemm", "a wq c", "m"), quant("m", "y")]
SCALED = [quant("x", "a"), node("Mul", "a c", "m"), quant("m", "y")]


def weights(bad: float) -> np.ndarray:
    w = np.ones((4, 3), F32)
    w[2, 1] = bad
    return w


@pytest.mark.parametrize(
    ("nodes", "constants", "text"),
    [
        (
            DENSE,
            {"w": weights(np.nan)},
            r"node 'n_wq' \(Quant\) quantizes a constant that is NaN at \(2, 1\)",
        ),
        (BIASED, {"c": np.array([0, np.nan, 1], F32)}, r"node 'n_m' \(Gemm\).*[Nn]a[Nn]"),
        (BIASED, {"c": np.array([0, np.inf, 1], F32)}, r"node 'n_m' \(Gemm\).*[Ii]nf"),
        (SCALED, {"c": F32(np.inf)}, r"node 'n_m' \(Mul\).*[Ii]nf"),
    ],
)
def test_not_a_number(tmp_path: Path, nodes: list[Any], constants: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(write(tmp_path, nodes, BASE | constants))


def test_infinite_weights_saturate(tmp_path: Path) -> None:
    """As the file's own rule has it: a clip."""
    graph = load(write(tmp_path, DENSE, BASE | {"w": weights(-np.inf)}))
    block = next(b for b in graph.blocks if b.kind == "dense")
    assert block.params["weight"].array[2, 1] == -8
