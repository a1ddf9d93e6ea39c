"""FloatQuant in every place: the host's input, weights and activations, equal to qonnx's on all codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from qonnx_oracle import tensors
from small_models import QONNX, node, quant, write

from fxsim import load

F32 = np.float32
FORMATS = {
    "e4m3": (4, 3, 7, 448.0),
    "e5m2": (5, 2, 15, 57344.0),
    "e2m1": (2, 1, 1, 6.0),
    "e3m0": (3, 0, 3, 16.0),
}
ROUNDINGS = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


def float_quant(x: str, y: str, rounding: str, **more: Any):
    attributes = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": rounding}
    inputs = [x, "fs", "fe", "fm", "fb", "fmax"]
    return helper.make_node("FloatQuant", inputs, [y], name=f"n_{y}", domain=QONNX, **attributes | more)


def constants(name: str, scale: float = 1.0) -> dict[str, Any]:
    e, m, bias, top = FORMATS[name]
    return {
        "fs": F32(scale), "fe": F32(e), "fm": F32(m), "fb": F32(bias), "fmax": F32(top), "z": F32(0),
        "s": F32(2.0**-7), "b": F32(12),
    }  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_activations(tmp_path, rng, name, rounding) -> None:
    """All 4096 codes of a 12-bit activation of three magnitudes; half of them lie on ties."""
    codes = np.arange(-2048, 2048).reshape(-1, 4)
    for scale in (2.0**-7, 2.0 ** -(FORMATS[name][2] + 2), 0.25):
        nodes = [quant("x", "a"), float_quant("a", "y", rounding)]
        path = write(tmp_path, nodes, constants(name) | {"s": F32(scale)})
        x = (codes * scale).astype(F32)
        assert np.array_equal(load(path).run(x).astype(F32), tensors(path, x)["y"])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
def test_host_and_weights(tmp_path, rng, name, rounding) -> None:
    w = (rng.normal(size=(5, 3)) * rng.choice([0.01, 1, 30], (5, 3))).astype(F32)
    nodes = [
        float_quant("x", "a", rounding), float_quant("w", "wq", rounding), node("MatMul", "a wq", "m"),
        quant("m", "y"),
    ]  # fmt: skip
    for scale in (1.0, 0.3) if rounding == "ROUND" else (1.0,):
        path = write(tmp_path, nodes, constants(name, scale) | {"w": w, "s": F32(0.5), "b": F32(5)}, (1, 5))
        graph = load(path)
        x = (rng.normal(size=(400, 5)) * 10.0 ** rng.integers(-3, 4, (400, 1))).astype(F32)
        values, codes = tensors(path, x), graph.codes(x)
        n = graph.names["a"]
        real = n.affine.apply(np.asarray(codes["a"]), n.value.type.frac, n.value.type.ndim)
        assert np.array_equal(real.astype(F32), values["a"])
        if scale == 1.0 and name in ("e2m1", "e3m0"):  # sums that float32 holds
            assert np.array_equal(graph.run(x).astype(F32), values["y"])


def test_rescaled(tmp_path, rng) -> None:
    """Behind a product, with a scale and a bias that are no powers of two."""
    nodes = [
        quant("x", "a"), quant("w", "wq"), node("MatMul", "a wq", "m"), node("Mul", "m k", "n"),
        node("Relu", "n", "r"), float_quant("r", "y", "ROUND"),
    ]  # fmt: skip
    w = (rng.integers(-20, 20, (5, 3)) / 128).astype(F32)
    path = write(tmp_path, nodes, constants("e4m3", 0.7) | {"w": w, "k": F32(1.7)}, (1, 5))
    x = rng.normal(size=(300, 5)).astype(F32)
    assert np.array_equal(load(path).run(x).astype(F32), tensors(path, x)["y"])


ERRORS = {
    "a format that varies": (
        {"fm": np.array([2, 3, 3, 3], F32)},
        {},
        "has a format that varies or is not whole",
    ),
    "half a bit": ({"fe": F32(2.5)}, {}, "has a format that varies or is not whole"),
    "too many bits": ({"fe": F32(9)}, {}, "has 9 exponent and 3 mantissa bits"),
    "float32": (
        {"fe": F32(8), "fm": F32(23), "fb": F32(127), "fmax": F32(3e38)},
        {},
        "use a smaller exponent",
    ),
    "max_val between": ({"fmax": F32(1.0001)}, {}, "which is no multiple of"),
    "infinities": ({}, {"saturation": 0}, "saturation 0; use saturation 1"),
    "no scale": ({"fs": F32(0)}, {}, "has a scale that is not positive"),
    "NaN": ({"fmax": F32(np.nan)}, {}, "has a max_val that is not finite"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path, case) -> None:
    more, attributes, message = ERRORS[case]
    nodes = [quant("x", "a"), float_quant("a", "y", "ROUND", **attributes)]
    with pytest.raises(ValueError, match=rf"node 'n_y' \(FloatQuant\).*{message}"):
        load(write(tmp_path, nodes, constants("e4m3") | more))
