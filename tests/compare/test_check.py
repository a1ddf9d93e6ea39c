"""`fxsim check`: equal models, a wrong weight found where it is, values that are no codes, the command."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fxsim
from fxsim.boundary import Affine
from fxsim.cli import main
from fxsim.compare import check, places, random_reals
from fxsim.compare.check import near_tie
from fxsim.compare.reference import choose, decode, runner
from fxsim.data import DIGITS, digits_model, digits_qdq, digits_samples
from fxsim.graph import Name, Node
from fxsim.types import TensorType

DATA = Path(__file__).parents[1] / "load" / "data"
FILES = {
    **{m: (digits_model(m), "qonnx") for m in DIGITS},
    "qdq": (DATA / "digits_mlp_w4a4_floatscale_bn.qcdq.onnx", "onnxruntime"),
    "qdq cnn": (digits_qdq(), "onnxruntime"),
}


@pytest.mark.parametrize("model", FILES)
def test_no_code_differs(model: str) -> None:
    path, reference = FILES[model]
    graph = fxsim.load(path)
    x = random_reals(graph, 40, seed=5)
    result = check(path, graph, x)
    assert result.reference == reference and result.samples == 40
    compared = {t.name: t.codes for t in result.tensors}
    known = {k: 40 * n.value.type.size for k, n in graph.names.items() if n.value is not None}
    assert compared == known and set(result.unknown) == set(graph.names) - set(known)
    assert result.mismatches == 0 and result.first is None
    assert result.codes == sum(known.values()) > 5_000


def wrong_weight(path: Path, folder: Path) -> tuple[Path, int]:
    """The model with one weight of its second layer moved; the output neuron it belongs to."""
    model = onnx.load(str(path))
    weight = next(t for t in model.graph.initializer if t.name == "Quant_2_param0")
    values = np.array(numpy_helper.to_array(weight))
    values[7, 3] = -1 if values[7, 3] > 0 else 1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, str(folder / "wrong.onnx"))
    return folder / "wrong.onnx", 7


def test_a_wrong_weight_is_found_where_it_is(tmp_path: Path) -> None:
    path = digits_model("digits_mlp_w4a4_pow2")
    graph = fxsim.load(path)
    wrong, neuron = wrong_weight(path, tmp_path)
    other = fxsim.load(wrong)
    x = [digits_samples()[0][:60]]
    mine, theirs = graph.codes(*x), other.codes(*x)
    result = check(wrong, graph, x)
    found = {t.name: t.mismatches for t in result.tensors}
    assert found == {k: int(np.sum(mine[k] != theirs[k])) for k in found}
    assert result.mismatches == sum(found.values()) > 0
    first = result.first
    assert first is not None and first.tensor == "Gemm_1_out0" and first.element == (neuron,)
    at = first.sample, *first.element
    assert (first.code, first.reference) == (mine[first.tensor][at], theirs[first.tensor][at])
    assert first.sample == np.argwhere(mine[first.tensor] != theirs[first.tensor])[0][0]
    ((what, codes),) = first.inputs
    assert what == "Quant_7_out0" and first.block == "dense Gemm_1" and first.on_grid
    np.testing.assert_array_equal(codes, mine["Quant_7_out0"][first.sample])


def test_near_ties_are_told() -> None:
    graph = fxsim.load(digits_model("digits_mlp_w4a4_floatscale_bn"))
    found = places(graph)
    block = next(b for b in graph.blocks if b.name == found[0].block)
    assert [p.block for p in found] == ["Quant_4"] * 3
    for p in found:
        for acc in range(p.first, p.last + 1):
            text = near_tie(block, acc, (p.channel,))
            assert f"accumulator {acc} " in text and f"code {p.code}" in text
        assert near_tie(block, p.first - 1, (p.channel,)) == ""
        assert near_tie(block, p.first, (p.channel + 1,)) == ""


def test_decoding_inverts_the_affine_in_the_files_axis_order() -> None:
    lo = np.full((2, 3), -100, np.int64)
    node = Node(TensorType((2, 3), 2, lo, -lo))
    scale = (Fraction(3, 7), Fraction(1, 5), Fraction(2))
    offset = Fraction(1), Fraction(0), Fraction(-3, 4)
    entry = Name(node, Affine(scale, offset, 1), axes=(1, 0))
    codes = np.arange(-9, 9).reshape(3, 3, 2)  # samples, then the file's order (3, 2)
    real = np.empty(codes.shape)
    for c in range(3):
        for at in np.ndindex(3, 2):
            place = (at[0], c, at[1])
            real[place] = float(scale[c] * Fraction(int(codes[place]), 4) + offset[c])
    got, off = decode("t", entry, real, 3)
    np.testing.assert_array_equal(got, codes)
    assert off.max() < 1e-12
    half = real + 0.5 * np.array([float(s) / 4 for s in scale])[:, None]
    assert decode("t", entry, half, 3)[1].min() > 0.49
    with pytest.raises(
        ValueError, match=r"tensor 't' of the reference must have 3 samples of shape \(3, 2\)"
    ):
        decode("t", entry, real[:2], 3)


def test_a_value_off_the_grid_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    path = digits_model("digits_mlp_w4a4_pow2")
    graph = fxsim.load(path)
    x = random_reals(graph, 4, seed=1)
    real = runner("qonnx")

    def shifted(*arguments: object) -> dict[str, np.ndarray]:
        values = real(*arguments)  # type: ignore[arg-type]
        values["Quant_8_out0"] = values["Quant_8_out0"] + np.float32(0.3 * graph_scale)
        return values

    graph_scale = 2.0 ** -graph.names["Quant_8_out0"].value.type.frac  # type: ignore[union-attr]
    monkeypatch.setattr("fxsim.compare.qonnx.run", shifted)
    result = check(path, graph, x)
    assert {t.name for t in result.tensors if t.mismatches} == {"Quant_8_out0"}
    assert result.first is not None and not result.first.on_grid


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = digits_model("digits_mlp_w4a4_pow2")
    data = tmp_path / "x.npy"
    np.save(data, digits_samples()[0])
    assert main(["check", str(path), str(data), "--samples", "30", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["reference"], out["samples"], out["mismatches"]) == ("qonnx", 30, 0)
    assert out["first difference"] is None and len(out["tensors"]) == 8
    wrong, _ = wrong_weight(path, tmp_path)
    graph = tmp_path / "right.fxs"
    fxsim.load(path).save(graph)
    assert main(["check", str(wrong), str(data), "--samples", "30"]) == 0
    capsys.readouterr()
    assert main(["check", str(graph), str(data)]) == 2
    assert "must be an .onnx, .keras or .tflite file to be compared" in capsys.readouterr().err


def test_command_shows_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = digits_model("digits_mlp_w4a4_pow2")
    wrong, _ = wrong_weight(path, tmp_path)
    monkeypatch.setattr("fxsim.cli.check.load_model", lambda *_: fxsim.load(path))
    assert main(["check", str(wrong), "--samples", "50"]) == 1
    out = capsys.readouterr().out
    assert "first difference: tensor 'Gemm_1_out0'" in out and "made by dense Gemm_1" in out
    assert "from Quant_7_out0, shape (32,):" in out
    assert main(["check", str(wrong), "--samples", "50", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["first difference"]
    assert found["tensor"] == "Gemm_1_out0" and len(found["inputs"]["Quant_7_out0"]) == 32


def test_references_by_file() -> None:
    assert choose(digits_model("digits_mlp_w4a4_pow2")) == "qonnx"
    assert choose(digits_qdq()) == "onnxruntime"
    assert (choose(Path("m.keras")), choose(Path("m.tflite"))) == ("keras", "litert")
    with pytest.raises(ValueError, match=r"must be a file or a live torch module .* not list"):
        choose([])
    message = "reference must be one of qonnx, onnxruntime, keras, litert, torch, not 'x'"
    with pytest.raises(ValueError, match=message):
        runner("x")


def test_a_live_torch_module() -> None:
    """Fake quantizers of torch; a module with another weight differs behind it."""
    import torch
    from torch.ao.quantization import FakeQuantize

    def quantizer(scale: float) -> torch.nn.Module:
        made = FakeQuantize(quant_min=-128, quant_max=127, dtype=torch.qint8)
        made.scale[0] = scale
        made.disable_observer()
        return made

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.w, self.b = quantizer(2**-5), quantizer(2**-6), quantizer(2**-3)
            self.weight = torch.nn.Parameter(torch.randn(3, 5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.nn.functional.linear(self.a(x), self.w(self.weight)))

    module = Layer().eval()
    x = np.random.default_rng(0).standard_normal((50, 5)).astype(np.float32)
    graph = fxsim.load(module, example=x[:1])
    result = check(module, graph, [x])
    assert (result.reference, result.mismatches) == ("torch", 0) and result.codes == 50 * 8
    with torch.no_grad():
        module.weight[1, 2] += 1
    result = check(module, graph, [x])
    assert result.first is not None and result.first.tensor == "b" and result.first.element == (1,)


def test_nothing_in_common_is_an_error(tmp_path: Path) -> None:
    graph = fxsim.trace(lambda x: x + 1, fxsim.SQ(1, 3), shape=(64,))
    with pytest.raises(ValueError, match="has no tensor that both the graph and qonnx name"):
        model = onnx.load(str(digits_model("digits_mlp_w4a4_pow2")))
        model.graph.input[0].name = graph.inputs[0].name
        for node in model.graph.node:
            node.input[:] = [graph.inputs[0].name if i == "global_in" else i for i in node.input]
        onnx.save(model, str(tmp_path / "renamed.onnx"))
        check(tmp_path / "renamed.onnx", graph, [np.zeros((2, 64))])
