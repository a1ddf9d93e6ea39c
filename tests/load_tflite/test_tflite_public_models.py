"""Keyword spotting and streaming wake word of MLPerf Tiny: every code of every tensor, against LiteRT."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tflite_writer import codes_of, litert

import fxsim

DATA = Path(__file__).parent / "data"
MODELS = {"kws_ref_model": 14, "str_ww_ref_model": 12}


@cache
def loaded(name: str) -> fxsim.Graph:
    return fxsim.load(DATA / f"{name}.tflite")


def windows() -> np.ndarray:
    return np.load(DATA / "sww_windows.npz")["x"]


@pytest.mark.parametrize("name", MODELS)
def test_random_codes(rng: np.random.Generator, name: str) -> None:
    path = DATA / f"{name}.tflite"
    graph = loaded(name)
    raw = rng.integers(-128, 128, (40, *graph.inputs[0].type.shape))
    raw[0], raw[1] = -128, 127
    got, want = codes_of(graph, raw), litert(path, raw)
    assert len(got) == MODELS[name]
    for tensor, codes in got.items():
        assert np.array_equal(codes, want[tensor][:, 0]), tensor


def test_real_windows() -> None:
    path = DATA / "str_ww_ref_model.tflite"
    graph, x = loaded("str_ww_ref_model"), windows()
    codes = graph.codes(x)
    raw = codes[graph.inputs[0].name]
    assert np.array_equal(raw, np.clip(np.round(x / np.float32(0.0037010377)) - 128, -128, 127))
    want = litert(path, raw)
    assert set(codes) == set(k for k, n in graph.names.items() if n.value is not None)
    for tensor, found in codes.items():
        assert np.array_equal(found, want[tensor][:, 0]), tensor
    labels = np.load(DATA / "sww_windows.npz")["label"]
    y = graph.run(x)
    assert np.array_equal(y, (want[graph.output_names[0]][:, 0].astype(np.float64) + 128) / 256)
    assert (y.argmax(1) == labels).sum() >= 14


def test_how_exact_they_are() -> None:
    graph = loaded("kws_ref_model")
    blocks = [b for b in graph.blocks if b.kind == "rescale"]
    assert [b.kind for b in graph.blocks if b.parent is None].count("conv2d") == 9
    assert all(b.params["method"] == "dyadic" and b.params["near_count"] == 0 for b in blocks)
    assert max(int(b.params["bits"].array.max()) for b in blocks) <= 23


def test_save_and_load(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = loaded("str_ww_ref_model")
    graph.save(tmp_path / "g.fxs")
    again = fxsim.load(tmp_path / "g.fxs")
    assert again == graph
    x = windows()[:3]
    assert np.array_equal(again.run(x), graph.run(x))
