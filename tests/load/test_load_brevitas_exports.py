"""Files as Brevitas writes them, by dynamo and by TorchScript: the codes its quantizers gave in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ort_oracle
import pytest
import qonnx_oracle

from fxsim import Graph, load
from fxsim.cli import main

# A residual block of 4 bits with real scales per channel and random weights: QuantIdentity, QuantConv2d,
# BatchNorm2d, QuantReLU, a depthwise QuantConv2d, a sum with the block's input, MaxPool2d, QuantLinear. The
# files by dynamo reshape to batch 1, and one has its weights in a file of its own.
DATA = Path(__file__).parent / "data" / "brevitas"
FILES = ("qonnx_script", "qonnx_dynamo", "qcdq_script", "qcdq_dynamo")


@pytest.fixture(scope="module")
def samples() -> dict[str, np.ndarray]:
    with np.load(DATA / "samples.npz") as data:
        return dict(data)


def quantizers(graph: Graph, x: np.ndarray) -> list[np.ndarray]:
    """Codes of the quantizers of activations, in the file's order."""
    kinds = ("rescale", "sum_rescale")
    made = [b.outputs[0] for b in graph.blocks if b.kind in kinds]
    codes = graph.codes(x)
    names = {n.value: k for k, n in graph.names.items() if n.value is not None}
    return [codes[names[graph.inputs[0]]], *(codes[names[v]] for v in made)]


@pytest.mark.parametrize("file", FILES)
def test_codes_of_pytorch(samples, file) -> None:
    graph = load(DATA / f"{file}.onnx")
    found = quantizers(graph, samples["x"])
    expected = [samples[k] for k in ("inp", "r1", "r2", "r3")]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


def test_all_four_files_are_one_graph(samples) -> None:
    """Equal accumulators of the last layer, whichever way the network was written."""
    outputs = [load(DATA / f"{file}.onnx") for file in FILES]
    raw = [g.run_raw(g.encoders[0].encode(samples["x"], "x")) for g in outputs]
    for g, r in zip(outputs[1:], raw[1:], strict=True):
        assert np.array_equal(r, raw[0])
        assert g.output_affines == outputs[0].output_affines


@pytest.mark.parametrize("file", FILES[:2])
def test_qonnx_sample_by_sample(samples, file) -> None:
    """The dynamo file runs there on one sample only: its Reshape says 1; here on batches."""
    path = DATA / f"{file}.onnx"
    graph, x = load(path), samples["x"][:10]
    whole = graph.codes(x)
    for i in range(len(x)):
        values = qonnx_oracle.tensors(path, x[i : i + 1])
        for name, codes in qonnx_oracle.integer_codes(path, values).items():
            if name in whole:
                assert np.array_equal(whole[name][i], codes[0]), (name, i)


def test_onnxruntime(samples) -> None:
    path = DATA / "qcdq_script.onnx"
    graph, x = load(path), samples["x"]
    values, codes = ort_oracle.tensors(path, x), graph.codes(x)
    compared = [k for k in codes if k in values and values[k].dtype.kind in "iu"]
    assert len(compared) >= 3
    for name in compared:
        n = graph.names[name]
        real = n.affine.apply(np.asarray(codes[name]), n.value.type.frac, n.value.type.ndim)
        assert np.array_equal(real, values[name]), name


def test_the_data_file_is_needed(tmp_path) -> None:
    (tmp_path / "alone.onnx").write_bytes((DATA / "qonnx_dynamo.onnx").read_bytes())
    with pytest.raises(ValueError, match=r"lies in the file 'qonnx_dynamo.onnx.data', which is missing"):
        load(tmp_path / "alone.onnx")


@pytest.mark.parametrize("file", FILES)
def test_the_command_line_checks_them(samples, file, tmp_path, capsys) -> None:
    """`fxsim check` finds its reference for each, sample by sample where the file is bound to one."""
    np.save(tmp_path / "x.npy", samples["x"][:5])
    assert main(["check", str(DATA / f"{file}.onnx"), str(tmp_path / "x.npy")]) == 0
    assert " 0\n" in capsys.readouterr().out
