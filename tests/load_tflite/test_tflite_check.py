"""`fxsim check` of TFLite files: LiteRT's own codes, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_writer import Writer

import fxsim
from fxsim.compare import check
from fxsim.compare.tflite import run

DATA = Path(__file__).parent / "data"


def test_every_tensor_of_the_wake_word_model() -> None:
    path = DATA / "str_ww_ref_model.tflite"
    graph = fxsim.load(path)
    x = np.load(DATA / "sww_windows.npz")["x"][:6]
    result = check(path, graph, [x])
    assert result.reference == "litert" and not result.unknown
    assert len(result.tensors) == 12 and result.mismatches == 0


def test_float_ends_and_a_fixed_batch(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    x, q = w.tensor("x", (3, 4), dtype=np.float32), w.tensor("q", (3, 4), 0.25, 3)
    y, r = w.tensor("y", (3, 4), 0.3, -1), w.tensor("r", (3, 4), dtype=np.float32)
    w.op("QUANTIZE", [x], [q], kind="QuantizeOptions")
    w.op("LEAKY_RELU", [q], [y], kind="LeakyReluOptions", alpha=0.2)
    w.op("DEQUANTIZE", [y], [r], kind="DequantizeOptions")
    w.ends([x], [r])
    path = w.save(tmp_path / "f.tflite")
    graph = fxsim.load(path)
    values = rng.normal(0, 10, (7, 4)).astype(np.float32)
    found = run(path, graph, [values])
    assert set(found) == {"q", "y", "r"}
    assert np.array_equal(found["q"], graph.codes(values)["q"])
    assert np.array_equal(found["r"], graph.run(values).astype(np.float32))
    result = check(path, graph, [values])
    assert result.mismatches == 0 and result.unknown == ("x",)


def test_without_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    path = DATA / "str_ww_ref_model.tflite"
    with pytest.raises(ImportError, match=r"install fxsim-hdl\[reference\]"):
        run(path, fxsim.load(path), [np.zeros((1, 30, 1, 40))])
