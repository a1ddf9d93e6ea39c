"""The shipped models: reference = emulator = Verilog = HLS C simulation at every quantizer, all 500 images.

The reference's codes are qonnx's own (tests/load compares them with a live run). Every quantizer's tensor is
made an output of the hardware and of the C simulation, so that inner codes are compared too, not only the
last layer's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fxsim
import hls
import rtl
from fxsim.data import DIGITS, digits_model, digits_reference, digits_samples
from fxsim.integers import Array

CNN = "digits_cnn_w4a4_pow2"


@cache
def exposed(model: str) -> tuple[fxsim.Graph, list[Array], Array]:
    """(the graph with every quantizer's codes as outputs, the wanted integers of all outputs, raw inputs)."""
    codes, _ = digits_reference(model)
    graph = fxsim.load(digits_model(model))
    raw = graph.encoders[0].encode(digits_samples()[0], graph.inputs[0].name)
    inner = graph.exposing(*codes).with_name("digits_all")
    accumulators = graph.run_raw(raw)
    return inner, [accumulators, *codes.values()], raw


@pytest.mark.parametrize("model", DIGITS)
def test_emulator_equals_reference(model: str) -> None:
    graph, want, raw = exposed(model)
    assert len(want) == 4 and all(len(w) == 500 for w in want)
    for got, expected in zip(graph.run_raw(raw), want, strict=True):
        np.testing.assert_array_equal(got, expected.reshape(got.shape))


@pytest.mark.parametrize("simulator", ["cocotb", "native"])
@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.xdist_group(m)) for m in DIGITS])
def test_verilog_equals_reference(model: str, simulator: str) -> None:
    """`rtl.verify` compares with the emulator's integers, which the test above holds equal to the
    reference's."""
    graph, _, raw = exposed(model)
    core = rtl.build(graph)
    assert [p.name for p in core.out_layout.ports] == list(graph.output_names)
    vectors = 60 if (model, simulator) == (CNN, "cocotb") else 500  # it has many wires to compare
    result = rtl.verify(
        core, raw[:vectors], raw=True, simulator=simulator, idle=0.25, backpressure=0.25, seed=1
    )
    assert (result.vectors, result.mismatches) == (vectors, 0), result.first_difference


@pytest.mark.parametrize("model", DIGITS)
def test_hls_equals_reference(model: str, tmp_path: Path) -> None:
    graph, want, raw = exposed(model)
    project = hls.export(graph, tmp_path / "project")
    for got, expected in zip(project.predict_raw(raw), want, strict=True):
        np.testing.assert_array_equal(np.reshape(got, expected.shape), expected)


@pytest.mark.parametrize("model", DIGITS)
def test_real_outputs(model: str) -> None:
    graph = fxsim.load(digits_model(model))
    x, labels = digits_samples()
    y = graph.run(x)
    accuracy = np.mean(y.argmax(axis=1) == labels)
    assert (
        accuracy == {"digits_mlp_w4a4_pow2": 0.968, "digits_mlp_w4a4_floatscale_bn": 0.984, CNN: 0.926}[model]
    )
    if model.endswith("_pow2"):  # power-of-two scales: even the reference's floats are exact
        np.testing.assert_array_equal(y, digits_reference(model)[1])
