"""The trained digits models: every integer code against stored references and the live qonnx executor."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import qonnx_oracle
from onnx import numpy_helper

from fxsim import UQ
from fxsim.data import DIGITS, digits_model, digits_reference, digits_samples
from fxsim.load import load

DATA = Path(__file__).parent / "data"
RESCALES = ("auto", "dyadic", "threshold")
POW2, FLOAT, CNN = DIGITS


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return digits_samples()[0]


@pytest.fixture(scope="module", params=DIGITS)
def model(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def oracle(model: str, samples: np.ndarray) -> dict[str, np.ndarray]:
    return qonnx_oracle.tensors(digits_model(model), samples)


def test_stored_codes_of_64_samples(model: str, samples: np.ndarray) -> None:
    stored = np.load(DATA / f"{model}.npz")
    codes = load(digits_model(model)).codes(samples[:64])
    names = [k.removeprefix("int__") for k in stored.files if k.startswith("int__")]
    assert len(names) == 3
    for name in names:
        assert np.array_equal(codes[name], stored[f"int__{name}"]), name


@pytest.mark.parametrize("rescale", RESCALES)
def test_live_qonnx_codes_of_all_samples(model, samples, oracle, rescale) -> None:
    codes = load(digits_model(model), rescale=rescale).codes(samples)
    expected = qonnx_oracle.integer_codes(digits_model(model), oracle)
    assert len(expected) == 3
    for name, want in expected.items():
        assert np.array_equal(codes[name], want), name


def test_shipped_reference_is_what_qonnx_computes(model, oracle) -> None:
    codes, out = digits_reference(model)
    expected = qonnx_oracle.integer_codes(digits_model(model), oracle)
    assert codes.keys() == expected.keys()
    for name, want in expected.items():
        assert np.array_equal(codes[name], want), name
    assert np.array_equal(out, oracle["global_out"])
    stored = np.load(DATA / f"{model}.npz")["out_qonnx"]
    assert len(stored) >= 64 and np.array_equal(out[: len(stored)], stored)


def test_pow2_outputs_equal_qonnx_exactly(samples) -> None:
    graph = load(digits_model(POW2))
    assert np.array_equal(graph.run(samples), digits_reference(POW2)[1].astype(np.float64))


def exact_layers(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Fraction]]:
    """{weight quantizer's output: integers}, {quantizer's output: exact scale}, straight from the file."""
    graph = onnx.load(str(path)).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    weights, scales = {}, {}
    for n in graph.node:
        if n.op_type == "Quant":
            scale = constants[n.input[1]]
            scales[n.output[0]] = Fraction(float(scale))
            if n.input[0] in constants:
                w = np.rint(constants[n.input[0]] / scale)
                weights[n.output[0]] = np.clip(w, -7, 7).astype(np.int64)
    return weights, scales


def test_float_scale_accumulators_and_outputs_are_exact(samples) -> None:
    path = digits_model(FLOAT)
    graph = load(path)
    codes = graph.codes(samples)
    weights, scales = exact_layers(path)
    for acc, x, w in (
        ("MatMul_0_out0", "Quant_3_out0", "Quant_0_out0"),
        ("MatMul_1_out0", "Quant_4_out0", "Quant_1_out0"),
    ):
        assert np.array_equal(codes[acc], codes[x] @ weights[w])
        assert graph.names[acc].affine.scale == (scales[x] * scales[w],)
    last = codes["Quant_5_out0"] @ weights["Quant_2_out0"].T
    assert np.array_equal(codes["global_out"], last)
    bias = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}["Gemm_0_param0"]
    scale = scales["Quant_5_out0"] * scales["Quant_2_out0"]
    want = [
        [float(scale * int(a) + Fraction(float(b))) for a, b in zip(row, bias, strict=True)] for row in last
    ]
    assert np.array_equal(graph.run(samples), np.array(want))


@pytest.mark.parametrize(("name", "right"), [(POW2, 484), (FLOAT, 492), (CNN, 463)])
def test_accuracy(name, right, samples) -> None:
    y = digits_samples()[1]
    assert np.sum(load(digits_model(name)).run(samples).argmax(1) == y) == right


@pytest.mark.parametrize("name", DIGITS)
def test_input_format_builds_the_quantizer_into_the_graph(name, samples) -> None:
    outside = load(digits_model(name))
    inside = load(digits_model(name), input=UQ(1, 4))
    a, b = outside.codes(samples), inside.codes(samples)
    for key in digits_reference(name)[0]:
        assert np.array_equal(a[key], b[key]), key
    assert np.array_equal(b["global_in"], (samples * 16).astype(np.int64))
    assert np.array_equal(outside.run(samples), inside.run(samples))
    kinds = [block.kind for block in inside.blocks]
    assert ("rescale" if name == FLOAT else "quantize") in kinds[:2]


def test_every_activation_of_the_file_is_named(model) -> None:
    path = digits_model(model)
    graph = load(path)
    file = onnx.load(str(path)).graph
    constants = {t.name for t in file.initializer}
    weights = {n.output[0] for n in file.node if n.input[0] in constants}
    tensors = {"global_in", *(n.output[0] for n in file.node)} - weights
    assert set(graph.names) == tensors
    for name in graph.names.values():
        assert (name.value is None) == bool(name.reason)


def test_graph_shape_and_blocks() -> None:
    graph = load(digits_model(POW2))
    assert graph.name == POW2
    assert graph.inputs[0].type.shape == (1, 8, 8)
    assert [b.kind for b in graph.blocks] == [
        "flatten", "dense", "relu", "quantize", "dense", "relu", "quantize", "dense",
    ]  # fmt: skip
    dense = graph.blocks[1].params
    assert dense["weight"].shape == (64, 32)
    assert (dense["weight_frac"], dense["bias_frac"]) == (3, 8)
    assert dense["bias"].shape == (32,)


def test_certificates_of_the_float_scale_model() -> None:
    graph = load(digits_model(FLOAT))
    first, second = (b.params for b in graph.blocks if b.kind == "rescale")
    assert first["method"] == second["method"] == "dyadic"
    assert sorted(first["bits"].array.tolist())[::31] == [7, 11]
    assert sorted(second["bits"].array.tolist())[::31] == [5, 11]
    assert first["near_ties"].array.tolist() == [[2, 8, 453, 453], [13, 12, 402, 402], [31, 3, 641, 641]]
    assert (first["near_count"], second["near_count"]) == (3, 0)


def test_saved_graph_loads_again(tmp_path, samples) -> None:
    for name in DIGITS:
        graph = load(digits_model(name))
        graph.save(tmp_path / "g.fxs")
        again = load(tmp_path / "g.fxs")
        assert again == graph
        assert np.array_equal(again.run(samples[:8]), graph.run(samples[:8]))
