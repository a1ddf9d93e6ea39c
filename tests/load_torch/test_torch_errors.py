"""What cannot be loaded says which module, which op, and what to do."""

from __future__ import annotations

import sys
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.quant.float import Fp8e4m3ActPerTensorFloat
from brevitas.quant.mx_quant_ocp import MXInt8Weight
from brevitas_models import mlp, ready
from torch import nn
from torch.ao.quantization import FakeQuantize

import fxsim

f = nn.functional
X = torch.zeros(2, 4, 6, 6)


def fake(x: torch.Tensor) -> torch.Tensor:
    return torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -8, 7)


class Body(nn.Module):
    """op behind a quantizer."""

    def __init__(self, op: Any) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: torch.Tensor) -> Any:
        return self.op(fake(x))


def data_dependent(x: torch.Tensor) -> torch.Tensor:
    return x if x.sum() > 0 else -x


OPS: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "unknown op": (lambda x: torch.cumsum(x, 1), NotImplementedError,
                   ["aten.cumsum in forward of Body has no integer form", "nearest are sum", "Rewrite"]),
    "op with advice": (lambda x: f.instance_norm(x), NotImplementedError,
                       ["aten.instance_norm", "use batch_norm, which is folded"]),
    "attention": (lambda x: f.scaled_dot_product_attention(x, x, x), NotImplementedError,
                  ["aten.scaled_dot_product_attention", "write it with matmul and softmax"]),
    "control flow": (data_dependent, ValueError,
                     ["Body cannot be captured by torch.export", "data-dependent control flow"]),
    "batch": (lambda x: x.flatten(), ValueError,
              ["aten.flatten in forward of Body turns (2, 4, 6, 6) into (288,)", "keep axis 0"]),
    "batch cut": (lambda x: x[:1], ValueError, ["aten.slice", "cuts the batch axis"]),
    "batch moved": (lambda x: x.permute(1, 0, 2, 3), ValueError, ["moves the batch axis"]),
    "mean of all": (lambda x: x.mean().view(1), ValueError, ["reduces all axes, the batch too"]),
    "divisor": (lambda x: f.avg_pool2d(x, 2, divisor_override=3), ValueError, ["divisor_override = 3"]),
    "adaptive": (lambda x: f.adaptive_avg_pool2d(x, 4), ValueError,
                 ["pools (6, 6) to (4, 4), with windows of different sizes", "divisor of its input"]),
    "resize": (lambda x: f.interpolate(x, size=(9, 9)), ValueError, ["resizes (6, 6) to (9, 9)"]),
    "bilinear": (lambda x: f.interpolate(x, scale_factor=2, mode="bilinear"), NotImplementedError,
                 ["aten.upsample_bilinear2d", "nearest are upsample_nearest2d"]),
    "rounded quotient": (lambda x: torch.div(x, 2, rounding_mode="floor"), ValueError,
                         ["has rounding_mode = 'floor'"]),
    "argmax of all": (lambda x: x.argmax().view(1), ValueError, ["has no dim", "give dim=1"]),
    "maximum": (lambda x: x.max(1)[0], ValueError, ["aten.max", "reduces a tensor", "amax"]),
    "type": (lambda x: x.double(), ValueError, ["changes the type to torch.float64"]),
    "negative pads": (lambda x: f.pad(x, (-1, 0)), ValueError, ["has negative pads (-1, 0)"]),
    "constant output": (lambda x: torch.ones(2, 3), ValueError, ["is not computed from its input"]),
    "no output": (lambda x: None, ValueError, ["Body returns no tensor"]),
    "training op": (lambda x: f.dropout(x, 0.5, training=True), ValueError, ["is in training mode"]),
    "batch norm trains": (lambda x: f.batch_norm(x, None, None, training=True), ValueError,
                          ["aten.batch_norm", "is in training mode"]),
    "float weights": (lambda x: f.linear(x, torch.full((3, 6), 0.1)), ValueError,
                      ["has no scale for its weights: they are not quantized"]),
    "scale of the input": (
        lambda x: torch.fake_quantize_per_channel_affine(x, x.reshape(2, -1)[:, 0], torch.zeros(2), 0, 0, 7),
        ValueError, ["has a scale computed from the input", "static scales"]),
    "scale 0": (lambda x: torch.fake_quantize_per_channel_affine(
        x, torch.zeros(4), torch.zeros(4, dtype=torch.int32), 1, -8, 7),
        ValueError, ["has a scale that is not positive and finite"]),
    "expand": (lambda x: x[:, :1].expand(-1, 4, -1, -1), ValueError, ["let arithmetic broadcast"]),
}  # fmt: skip


@pytest.mark.parametrize("case", OPS, ids=list(OPS))
def test_ops(case: str) -> None:
    op, kind, texts = OPS[case]
    with pytest.raises(kind) as e:
        fxsim.load(Body(op).eval(), example=X)
    for text in texts:
        assert text in str(e.value), str(e.value)


class Sub(nn.Module):
    """A module with one named child."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Asking(nn.Module):
    """A layer that looks into its operand."""

    def forward(self, x: Any) -> Any:
        return x.value * 2 + x.scale


def quantized(layer: nn.Module) -> nn.Module:
    return nn.Sequential(qnn.QuantIdentity(bit_width=4, return_quant_tensor=True), layer)


def observing(**options: Any) -> nn.Module:
    return Sub(FakeQuantize(quant_min=0, quant_max=255, **options)).eval()


MODULES: dict[str, tuple[Any, list[str]]] = {
    "training": (lambda: Sub(nn.Linear(4, 2)), ["Sub is in training mode", "module.eval()"]),
    "one layer trains": (lambda: trained_inside(), ["module 'layer' (BatchNorm1d) is in training mode"]),
    "float": (lambda: Sub(nn.Linear(4, 2)).eval(), ["Sub has no quantizer", "Brevitas", "backend='fxsim'"]),
    "double": (lambda: Sub(nn.Linear(4, 2)).double().eval(),
               ["'layer.weight' has the type torch.float64", "module.float()"]),
    "shape": (lambda: Sub(nn.Linear(5, 2)).eval(), ["does not run on an example of shape (2, 4)"]),
    "observer": (observing, ["module 'layer' (FakeQuantize) still observes", "disable_observer"]),
    "dynamic fake": (lambda: observing(is_dynamic=True, averaging_constant=1),
                     ["quantizes dynamically", "static quantizer"]),
    "converted": (lambda: Sub(torch.ao.nn.quantized.ReLU6()).eval(),
                  ["module 'layer' (ReLU6) is a converted quantized module", "before torch.ao"]),
    "scripted": (lambda: torch.jit.trace(nn.ReLU(), torch.ones(2)).eval(), ["is TorchScript"]),
    "recurrent": (lambda: Sub(qnn.QuantLSTM(4, 3)).eval(),
                  ["module 'layer.layers.0.0' (_QuantLSTMLayer) is recurrent"]),
    "minifloat": (lambda: quantized(qnn.QuantIdentity(act_quant=Fp8e4m3ActPerTensorFloat)).eval(),
                  ["module '1.act_quant'", "quantizes to small floats", "integer quantizers"]),
    "bilinear": (lambda: quantized(qnn.QuantUpsample(scale_factor=2, mode="linear")).eval(),
                 ["module '1' (QuantUpsample) interpolates by 'linear'"]),
    "asks for QuantTensors": (lambda: quantized(Asking()).eval(),
                              ["cannot be captured by torch.export", "x.scale", "export_qonnx"]),
    "rounding": (lambda: quantized(qnn.QuantIdentity(float_to_int_impl_type="DPU")).eval(),
                 ["module '1.act_quant' rounds by DPURoundSte", "RoundSte, FloorSte"]),
    "uncopied": (lambda: uncopied(), ["cannot be copied", "detach"]),
}  # fmt: skip


def trained_inside() -> nn.Module:
    module = Sub(nn.BatchNorm1d(4)).eval()
    module.layer.train()
    return module


def uncopied() -> nn.Module:
    module = Sub(nn.Linear(4, 2)).eval()
    module.kept = module(torch.ones(1, 4))
    return module


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("case", MODULES, ids=list(MODULES))
def test_modules(case: str) -> None:
    make, texts = MODULES[case]
    shape = (2, 4, 3) if case == "bilinear" else (2, 4)
    with pytest.raises(ValueError) as e:
        fxsim.load(make(), example=torch.zeros(shape))
    for text in texts:
        assert text in str(e.value), str(e.value)


def test_a_scale_that_is_no_number() -> None:
    """One signed bit of a narrow integer quantizer has no code but 0, by which Brevitas divides."""
    with pytest.raises(ValueError, match=r"module '1\.weight_quant' .* has a scale that is not positive and"):
        fxsim.load(mlp(1, False).eval(), example=np.zeros((1, 16), np.float32))


def test_groups() -> None:
    layer = qnn.QuantLinear(64, 4, bias=False, weight_quant=MXInt8Weight)
    with pytest.raises(ValueError, match=r"module '1\.weight_quant' .* quantizes in groups; use integer"):
        fxsim.load(quantized(layer).eval(), example=torch.zeros(1, 64))


def test_examples() -> None:
    module = ready(mlp(4, True), 16)
    for example, kind, text in (
        (None, TypeError, "example must be a batch of inputs for Sequential"),
        ("x", TypeError, "example must be a tensor, an array, or a tuple of them, not str"),
        ((), TypeError, "not an empty tuple"),
        (torch.tensor(1.0), ValueError, "example must have a batch axis and no empty axis, not the shape ()"),
        (torch.zeros(0, 16), ValueError, "no empty axis, not the shape (0, 16)"),
    ):
        with pytest.raises(kind) as e:
            fxsim.load(module, example=example)
        assert text in str(e.value)
    with pytest.raises(TypeError, match="example must be None for a file"):
        fxsim.load("model.onnx", example=torch.zeros(1))
    for name, text in (("m.pt", "build the module"), ("m.pt2", "torch.export.load")):
        with pytest.raises(ValueError, match=text):
            fxsim.load(name)
    with pytest.raises(TypeError, match=r"path must be a path, or a live model of .*torch.* not int"):
        fxsim.load(3)


def test_programs() -> None:
    dim = torch.export.Dim("n", min=2, max=20)
    program = torch.export.export(nn.ReLU(), (X,), dynamic_shapes={"input": {2: dim}})
    with pytest.raises(ValueError, match=r"input 'input' must not be dynamic, but axis 2 is open"):
        fxsim.load(program)

    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y.sum()

    with pytest.raises(ValueError, match=r"input 'y' has a batch of 3, the first input one of 2"):
        fxsim.load(torch.export.export(Two(), (torch.zeros(2, 4), torch.zeros(3))))
    with pytest.raises(ValueError, match=r"input 'x' must be float32, or codes .*, not torch.int64"):
        fxsim.load(torch.export.export(Two(), (torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2))))


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from fxsim.load.torch.capture import require_torch

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"loading it needs PyTorch: install fxsim-hdl\[torch\]"):
        require_torch("loading it")
