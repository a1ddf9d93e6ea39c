"""QuantizeLinear and DequantizeLinear: codes against stored ones, fractions and onnxruntime."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import ort_oracle
import pytest
from small_models import node, write
from trained import CNNS, file, stored

import rtl
from fxsim import Format, Graph
from fxsim.data import DIGITS, digits_model, digits_reference, digits_samples
from fxsim.load import load

F32 = np.float32
TYPES = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}


def file_codes(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every named tensor as real values: for the outputs of QuantizeLinear the file's codes."""
    found = graph.codes(x)
    return {
        name: entry.affine.apply(found[name], entry.value.type.frac, entry.value.type.ndim)
        for name, entry in graph.names.items()
        if entry.value is not None
    }


def quantizers(path: Path) -> list[str]:
    """The code tensors of activations, behind their Clip."""
    graph = onnx.load(str(path)).graph
    clips = {n.input[0]: n.output[0] for n in graph.node if n.op_type == "Clip"}
    return [clips.get(n.output[0], n.output[0]) for n in graph.node if n.op_type == "QuantizeLinear"]


@pytest.mark.parametrize("name", CNNS)
def test_stored_codes_of_the_cnns(name: str) -> None:
    x, codes, out = stored(name)
    path = file(name, "qcdq")
    graph = load(path)
    found = file_codes(graph, x)
    assert len(codes) == len(quantizers(path)) == 3
    for ours, (key, want) in zip(quantizers(path), codes.items(), strict=True):
        assert np.array_equal(found[ours], want), key
    assert np.array_equal(graph.run(x), out.astype(np.float64))
    twin = load(file(name))
    assert [b.kind for b in graph.blocks] == [b.kind for b in twin.blocks]


@pytest.mark.parametrize("rescale", ["dyadic", "threshold"])
@pytest.mark.parametrize("name", DIGITS)
def test_stored_codes_of_the_dense_networks(name: str, rescale: str) -> None:
    x, _ = digits_samples()
    path = file(name, "qcdq")
    graph = load(path, rescale=rescale)
    found = file_codes(graph, x)
    reference = digits_reference(name)[0]
    assert len(reference) == 3
    for ours, (key, want) in zip(quantizers(path), reference.items(), strict=True):
        assert np.array_equal(found[ours], want), key
    assert np.array_equal(graph.run(x), load(digits_model(name)).run(x))


def bounds(dtype: str) -> tuple[int, int]:
    bits = TYPES[dtype]
    return (0, (1 << bits) - 1) if dtype[0] == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def integers(values: Any, dtype: str) -> np.ndarray:
    """An array of an ONNX type, narrow ones included."""
    return np.asarray(values).astype(onnx.helper.tensor_dtype_to_np_dtype(
        getattr(onnx.TensorProto, dtype.upper())
    ))  # fmt: skip


FORMULA = [(t, s, i) for t in TYPES for s in (0.5, 0.37) for i in (False, True) if TYPES[t] < 16 or s == 0.5]


@pytest.mark.parametrize(("dtype", "scale", "inside"), FORMULA)
def test_quantize_linear_by_the_formula(tmp_path: Path, dtype: str, scale: float, inside: bool) -> None:
    """saturate(half_even(x / s) + z): ties go to even before an odd zero point is added."""
    lo, hi = bounds(dtype)
    x = np.arange(-512, 512, dtype=F32).reshape(-1, 4) / F32(8)
    for zero in sorted({lo, hi, 0, 1, lo + 3 & hi}):
        nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")]
        path = write(tmp_path, nodes, {"s": F32(scale), "z": integers(zero, dtype)}, opset=25)
        graph = load(path, input=Format(11, 8)) if inside else load(path)
        s = Fraction(float(F32(scale)))
        ratios = [Fraction(float(v)) / s for v in x.ravel()]
        if not inside:  # the host divides in float32, as the file says
            ratios = [Fraction(float(v)) for v in (x / F32(scale)).ravel()]
        want = [min(max(round(r) + zero, lo), hi) for r in ratios]
        found = file_codes(graph, x)
        assert found["q"].ravel().tolist() == want
        assert found["y"].ravel().tolist() == [float((w - zero) * s) for w in want]


@pytest.mark.parametrize(("low", "high"), [(-3, 5), (None, 4), (-8, None), (0, 300), (2, 9)])
@pytest.mark.parametrize("scale", [0.25, 0.3])
def test_a_clip_between_narrows_the_range(tmp_path: Path, scale: float, low: Any, high: Any) -> None:
    ends = [np.array(v, np.int16) for v in (low, high) if v is not None]
    names = f"{'l' if low is not None else ''} {'h' if high is not None else ''}"
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        onnx.helper.make_node("Clip", ["q", *names.split(" ")], ["c"], name="clip"),
        node("DequantizeLinear", "c s z", "y"),
    ]
    constants = {"s": F32(scale), "z": integers(1, "int16")}
    constants |= dict(zip(names.split(), ends, strict=True))
    path = write(tmp_path, nodes, constants, opset=21)
    x = np.arange(-64, 64, dtype=F32).reshape(-1, 4) / F32(32)
    graph = load(path, input=Format(7, 2))
    codes = np.clip(
        np.rint(x / F32(scale)) + 1, -1000 if low is None else low, 1000 if high is None else high
    )
    assert np.array_equal(file_codes(graph, x)["c"], codes)
    assert np.array_equal(file_codes(load(path), x)["c"], codes)


def linear_network(folder: Path, rng: np.random.Generator, float_scales: bool, zeros: bool) -> Path:
    """uint8 input, Conv with weights per output, Relu, pool, int8 codes, Gemm with a bias, MatMul."""
    unit = F32(0.1137 if float_scales else 0.125)  # quotients of these scales are no ties
    s0, s1, s2 = F32(0.0513 if float_scales else 0.0625), unit, F32(0.2971 if float_scales else 0.25)
    per = (unit * np.array([1, 2, 4], F32)).astype(F32)
    z0, z1 = (
        (integers(5, "uint8"), integers(-3, "int8")) if zeros else (integers(0, "uint8"), integers(0, "int8"))
    )
    nodes = [
        node("QuantizeLinear", "x s0 z0", "q0"),
        node("DequantizeLinear", "q0 s0 z0", "d0"),
        node("DequantizeLinear", "w per wz", "wd", axis=0),
        node("DequantizeLinear", "c cs", "cd"),
        node("Conv", "d0 wd cd", "m", pads=[1, 1, 1, 1]),
        node("Relu", "m", "r"),
        node("QuantizeLinear", "r s2 z1", "q1"),
        node("DequantizeLinear", "q1 s2 z1", "d1"),
        node("MaxPool", "d1", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        node("DequantizeLinear", "g gs", "gd"),
        node("Gemm", "f gd b", "n", transB=1, alpha=0.5, beta=2.0),
        node("QuantizeLinear", "n s2 z1", "q2"),
        node("DequantizeLinear", "q2 s2 z1", "d2"),
        node("QuantizeLinear", "v gs", "vq", output_dtype=onnx.TensorProto.INT8),
        node("DequantizeLinear", "vq gs", "vd"),
        node("MatMul", "d2 vd", "o"),
        node("QuantizeLinear", "o s1 z0", "y"),
    ]  # fmt: skip
    constants = {
        "s0": s0, "s1": s1, "s2": s2, "z0": z0, "z1": z1, "per": per, "gs": unit, "cs": F32(2**-7),
        "w": integers(rng.integers(-7, 8, (3, 2, 3, 3)), "int8"),
        "wz": integers([0, 1, -2] if zeros else [0, 0, 0], "int8"),
        "c": rng.integers(-99, 99, 3).astype(np.int32), "g": integers(rng.integers(-8, 8, (5, 12)), "int4"),
        "b": (rng.integers(-64, 64, 5) / 32).astype(F32), "v": rng.normal(size=(5, 4)).astype(F32),
    }  # fmt: skip
    return write(folder, nodes, constants, ("N", 2, 4, 4), opset=21)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("float_scales", [False, True])
def test_networks_against_onnxruntime(tmp_path, rng, float_scales, zeros) -> None:
    path = linear_network(tmp_path, rng, float_scales, zeros)
    x = (rng.integers(-32, 160, (80, 2, 4, 4)) / 16).astype(F32)
    graph, want = load(path), ort_oracle.tensors(path, x)
    found = file_codes(graph, x)
    checked = 0
    for name in ("q0", "q1", "q2", "y"):
        assert np.array_equal(found[name], want[name]), name
        checked += 1
    if not float_scales:
        for name in ("m", "d1", "p", "d2", "o"):
            if name in found:
                assert np.array_equal(found[name].astype(F32), want[name]), name
                checked += 1
    assert checked >= 4 + (not float_scales) * 4


@pytest.mark.parametrize("scales", [0.5, [0.25, 0.3137, 0.7337]])
@pytest.mark.parametrize("zeros", [[0, 0, 0], [0, 1, -120]])
def test_parameters_per_channel_of_an_activation(tmp_path, rng, scales, zeros) -> None:
    """Of the host's quantizer and of one inside; zero points that differ saturate at different places."""
    per = np.broadcast_to(np.array(scales, F32), 3).copy()
    nodes = [
        node("QuantizeLinear", "x per z", "q0", axis=1),
        node("DequantizeLinear", "q0 per z", "d0", axis=1),
        node("QuantizeLinear", "d0 other z", "q1", axis=-2),
        node("DequantizeLinear", "q1 other z", "d1", axis=-2),
        node("QuantizeLinear", "d1 s0", "y"),
    ]
    constants = {"s0": F32(0.0625), "per": per, "z": np.array(zeros, np.int8), "other": per[::-1] * F32(0.77)}
    path = write(tmp_path, nodes, constants, ("N", 3, 4), opset=21)
    x = (rng.integers(-1600, 1600, (80, 3, 4)) / 16).astype(F32)
    found, want = file_codes(load(path), x), ort_oracle.tensors(path, x)
    for name in ("q0", "q1", "y"):
        assert np.array_equal(found[name], want[name]), name


def test_odd_zero_points_in_hardware(tmp_path, rng) -> None:
    """Codes, a product and both roundings as Verilog; the saved graph is the same."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", "w s", "v"),
        node("MatMul", "a v", "m"),
        node("QuantizeLinear", "m t z", "y"),
    ]
    constants = {
        "s": F32(0.25), "t": F32(0.7), "z": integers(3, "uint4"),
        "w": integers(rng.integers(-2, 2, (4, 2)), "int2"),
    }  # fmt: skip
    graph = load(write(tmp_path, nodes, constants, opset=25))
    x = (rng.integers(-16, 64, (30, 4)) / 16).astype(F32)
    assert rtl.verify(graph, x, simulator="amaranth").mismatches == 0
    graph.save(tmp_path / "g.fxs")
    assert load(tmp_path / "g.fxs") == graph


def test_operators_of_onnxruntime(tmp_path) -> None:
    """Its quantizer writes narrow types in the domain com.microsoft."""
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain="com.microsoft"),
        onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], domain="com.microsoft"),
    ]
    path = write(tmp_path, nodes, {"s": F32(0.5), "z": integers(1, "uint4")})
    assert load(path).run(np.array([[-9, 0.25, 0.75, 99]])).tolist() == [[-0.5, 0, 1, 7]]


def test_an_output_keeps_its_whole_range_before_a_clip(tmp_path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "y"), node("Clip", "y l", "c"), node("Identity", "c", "d")]
    constants = {"s": F32(0.5), "z": integers(0, "int8"), "l": np.array(2, np.int8)}
    path = write(tmp_path, nodes, constants, opset=21)
    assert load(path).run(np.array([[-9, 0.25, 0.75, 99]])).tolist() == [[-18, 0, 2, 127]]
