"""QONNX quantizers behind functions: rounding modes, bipolar codes, ranges per channel; Gemm's attributes."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import ort_oracle
import pytest
from small_models import node, quant, write
from test_load_qdq import file_codes

from fxsim.boundary import QUANT_ROUNDINGS, round_real
from fxsim.load import load
from fxsim.load.affine import Line
from fxsim.load.functions import FUNCTIONS, Apply
from fxsim.load.terms import NEAR, TIGHT, Affine

F32 = np.float32
BASE = {"s": F32(0.0625), "z": F32(0), "b8": F32(8)}
CODES = np.arange(-128, 128).reshape(-1, 1, 4)


def sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def decided(y: np.ndarray, rounding: str, lo: Any, hi: Any) -> np.ndarray:
    """clip(round(y)) of irrational numbers, none of which float64 may mistake for a boundary."""
    assert np.min(np.abs(y * 2 - np.rint(y * 2))) > 1e-9
    return np.clip(round_real(y, rounding), lo, hi)


@pytest.mark.parametrize("scale", [F32(2**-5), F32(0.0371)])
@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_roundings(tmp_path: Path, rounding: str, scale: F32) -> None:
    """x * sigmoid(x) + 0.01, which falls and rises, on all codes; the zero point is added first."""
    for signed, zero in ((1, 0), (1, 3), (0, 0), (0, 5)):
        nodes = [
            quant("x", "a", "s", "z", "b8"),
            node("Sigmoid", "a", "f"),
            node("Mul", "a f", "g"),
            node("Add", "g k", "h"),
            quant("h", "y", "t", "o", "b6", signed=signed, rounding_mode=rounding),
        ]
        constants = BASE | {"t": scale, "o": F32(zero), "b6": F32(6), "k": F32(0.01)}
        graph = load(write(tmp_path, nodes, constants, ("N", 1, 4)))
        x = CODES * 0.0625
        real = x * sigmoid(x) + float(F32(0.01))
        lo, hi = (-32, 31) if signed else (0, 63)
        want = decided(real / float(scale) + zero, rounding, lo, hi)
        entry = graph.names["y"]
        values = entry.affine.apply(graph.codes(x.astype(F32))["y"], entry.value.type.frac, 2)
        assert np.array_equal(values, (want - zero) * float(scale))


def test_bipolar(tmp_path: Path) -> None:
    nodes = [
        quant("x", "a", "s", "z", "b8"),
        node("Tanh", "a", "f"),
        node("Add", "f k", "g"),
        node("BipolarQuant", "g t", "y"),
    ]
    constants = BASE | {"t": F32(0.5), "k": F32(-0.3)}
    graph = load(write(tmp_path, nodes, constants, ("N", 1, 4)))
    x = CODES * 0.0625
    assert np.array_equal(graph.run(x.astype(F32)), np.where(np.tanh(x) - float(F32(0.3)) >= 0, 0.5, -0.5))


def test_a_range_for_each_channel(tmp_path: Path) -> None:
    nodes = [
        quant("x", "a", "s", "z", "b8"),
        node("Tanh", "a", "f"),
        quant("f", "y", "t", "z", "bits"),
    ]
    constants = BASE | {
        "t": np.array([0.31, 0.02, 0.05], F32).reshape(1, 3, 1),
        "bits": np.array([3, 7, 5], F32).reshape(1, 3, 1),
    }
    graph = load(write(tmp_path, nodes, constants, ("N", 3, 4)))
    x = np.repeat(CODES * 0.0625, 3, axis=1)
    x[x == 0] = 0.0625  # tanh is irrational elsewhere
    scale = constants["t"].astype(float)
    lo, hi = (np.array(v).reshape(1, 3, 1) for v in ([-4, -64, -16], [3, 63, 15]))
    want = decided(np.tanh(x) / scale, "ROUND", lo, hi) * scale
    assert np.array_equal(graph.run(x.astype(F32)), want)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_float64_bounds_hold_the_enclosures(rng: np.random.Generator, name: str) -> None:
    """Both margins, at points from 10**-6 to 10**2 of both signs, exact results strictly inside."""
    points = np.concatenate([10.0 ** rng.uniform(-6, 2, 300), [0.5, 1, 2, 13, 18]])
    points = points if name in ("log", "sqrt") else np.concatenate([points, -points])
    term = Apply(name, Affine(Line(Fraction(1, 3), Fraction(1, 7))))
    inside = [v for v in points.tolist() if abs(v / 3 + 1 / 7) > 1e-9]
    for near in (NEAR, TIGHT):
        low, high = term.bounds(np.array(inside), np.array(inside), near)
        for v, a, b in zip(inside, low.tolist(), high.tolist(), strict=True):
            exact = term.enclose(Fraction(v), Fraction(v))
            assert Fraction(a) <= exact[0] and exact[1] <= Fraction(b), (v, near)
            assert near == NEAR or b - a < 1e-9 * max(1.0, abs(a))


@pytest.mark.parametrize("bias", [None, (), (5,), (1, 5), (1, 1)], ids=str)
@pytest.mark.parametrize("turned", [0, 1])
def test_gemm(tmp_path: Path, rng: np.random.Generator, turned: int, bias: tuple[int, ...] | None) -> None:
    """Every attribute and shape of bias; dyadic numbers, so that float32 is exact."""
    for alpha, beta in product((1.0, 0.5, -3.0), (1.0, -0.25, 0.0)):
        w = rng.integers(-9, 9, (5, 6) if turned else (6, 5)).astype(np.int8)
        constants: dict[str, Any] = {"s": F32(0.25), "z": np.array(3, np.int8), "w": w, "ws": F32(0.5)}
        inputs = "d wd"
        if bias is not None:
            constants["c"] = (rng.integers(-64, 64, bias) / 8).astype(F32)
            inputs += " c"
        nodes = [
            node("QuantizeLinear", "x s z", "q"),
            node("DequantizeLinear", "q s z", "d"),
            node("DequantizeLinear", "w ws", "wd"),
            node("Gemm", inputs, "y", transB=turned, alpha=alpha, beta=beta),
        ]
        path = write(tmp_path, nodes, constants, ("N", 6))
        x = rng.integers(-30, 30, (20, 6)).astype(F32)
        found = load(path)
        assert np.array_equal(found.run(x), ort_oracle.tensors(path, x)["y"])
        assert np.array_equal(file_codes(found, x)["y"], ort_oracle.tensors(path, x)["y"])
