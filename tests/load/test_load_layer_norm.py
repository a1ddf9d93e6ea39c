"""LayerNormalization: within the bound that its block states, and codes as onnxruntime's but near ties."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import ort_oracle
import pytest
from small_models import node, write
from test_load_qdq import file_codes

from fxsim.load import load
from hls import compile_graphs

F32 = np.float32
BASE = {
    "s": F32(0.0437), "z": np.array(-4, np.int8), "u": F32(0.021), "v": np.array(3, np.int8), "one": F32(1),
}  # fmt: skip
BEFORE = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]


def true(row: list[int], scale: float, epsilon: float) -> list[Fraction]:
    """The normalized integers times a scale, to 50 digits."""
    with localcontext() as c:
        c.prec = 60
        x = [Decimal(v) * Decimal(scale) for v in row]
        mean = sum(x) / len(x)
        deviation = (sum((v - mean) ** 2 for v in x) / len(x) + Decimal(epsilon)).sqrt()
        return [Fraction((v - mean) / deviation) if deviation else Fraction(0) for v in x]


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5])
@pytest.mark.parametrize("size", [2, 3, 8, 33])
def test_the_stated_bound(tmp_path: Path, rng: np.random.Generator, size: int, epsilon: float) -> None:
    """Random rows, rows without deviation, and rows that differ in one code."""
    nodes = [*BEFORE, node("LayerNormalization", "d one", "y", epsilon=epsilon)]
    constants = BASE | {"one": np.ones(size, F32)}
    graph = load(write(tmp_path, nodes, constants, ("N", size)))
    codes = rng.integers(-124, 132, (60, size))
    codes[:5], codes[3:5, 0], codes[5:20] = 9, 10, rng.integers(0, 3, (15, size))
    x = (codes * F32(0.0437)).astype(F32)
    block = next(b for b in graph.blocks if b.kind == "layer_norm")
    limit = Fraction(block.params["max_error"]) * Fraction(1, 1 << 16) * Fraction(size**0.5 * (1 + 1e-9))
    assert limit < Fraction(1, 2000)
    found = graph.run(x)
    for row, y in zip(codes.tolist(), found, strict=True):
        for want, got in zip(true(row, float(F32(0.0437)), float(F32(epsilon))), y, strict=True):
            assert abs(Fraction(float(got)) - want) <= limit


def test_against_onnxruntime(tmp_path: Path, rng: np.random.Generator) -> None:
    """Gain and bias per element; codes differ by one at most, where the real is near a tie, as stated."""
    nodes = [*BEFORE, node("LayerNormalization", "d g b", "n"), node("QuantizeLinear", "n u v", "y")]
    constants = BASE | {"g": rng.uniform(-1.5, 1.5, 16).astype(F32), "b": rng.normal(size=16).astype(F32)}
    path = write(tmp_path, nodes, constants, ("N", 3, 16))
    x = rng.normal(0, 2, (100, 3, 16)).astype(F32)
    graph, want = load(path), ort_oracle.tensors(path, x)
    found = file_codes(graph, x)
    assert np.array_equal(found["q"], want["q"])
    block = next(b for b in graph.blocks if b.kind == "layer_norm")
    limit = float(block.params["max_error"]) * 2**-16 * 4 * 1.5 / 0.021 + 1e-4
    bad = found["y"] != want["y"]
    assert np.all(np.abs(found["y"] - want["y"])[bad] == 1) and np.mean(bad) < 0.01
    assert np.all(np.abs(np.abs(want["n"].astype(float) / float(F32(0.021)) % 1) - 0.5)[bad] <= limit)


def test_generated_code_equals_the_emulator(tmp_path: Path, rng: np.random.Generator) -> None:
    nodes = [*BEFORE, node("LayerNormalization", "d one", "n"), node("QuantizeLinear", "n u v", "y")]
    graph = load(write(tmp_path, nodes, BASE | {"one": np.ones(4, F32)}, ("N", 4)))
    t = graph.inputs[0].type
    raw = rng.integers(t.lo, t.hi + 1, (64, 4))
    raw[0] = 7
    assert np.array_equal(compile_graphs([graph])[0](raw), graph.run_raw(raw))


ERRORS: dict[str, tuple[list[Any], str]] = {
    "other axes": (
        [node("LayerNormalization", "d one", "y", axis=1)],
        "normalizes the axes from 1 on; use the last",
    ),
    "the batch": ([node("LayerNormalization", "d one", "y", axis=0)], "works along the batch axis"),
    "the mean": (
        [node("LayerNormalization", "d one", "n m"), node("Identity", "m", "y")],
        "has a mean or deviation that is read; use its first output",
    ),
    "a computed scale": ([node("LayerNormalization", "d d", "y")], "needs a constant scale"),
    "a single element": (
        [node("ReduceMax", "d k", "e"), node("LayerNormalization", "e one", "y")],
        "normalizes 1 element; leave it out",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, message = ERRORS[case]
    path = write(tmp_path, [*BEFORE, *nodes], BASE | {"k": np.array([2])}, ("N", 3, 4))
    with pytest.raises(ValueError, match=rf"\(LayerNormalization\) {message}"):
        load(path)
