"""torch.export programs with quantize and dequantize ops, and modules with fake quantization."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # registers quantized_decomposed
from torch import nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver, PerChannelMinMaxObserver

import fxsim
from fxsim.compare.torch import run
from fxsim.graph import Graph

Q = torch.ops.quantized_decomposed


def samples(n: int, *shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def agree(module: Any, x: np.ndarray, at_least: int, example: Any = None) -> Graph:
    """Every quantizer's codes must be torch's. The graph."""
    graph = fxsim.load(module, example=x[:1] if example is None else example)
    theirs, own = run(module, graph, x), graph.codes(x)
    assert len(theirs) >= at_least, sorted(graph.names)
    for name, codes in theirs.items():
        np.testing.assert_array_equal(own[name], codes, err_msg=name)
    return graph


class Codes(nn.Module):
    """Quantize and dequantize, by scalars as torchao's pt2e writes them."""

    def __init__(self, scale: float, zero: int, lo: int = -128, hi: int = 127) -> None:
        super().__init__()
        self.parameters_ = scale, zero, lo, hi, torch.int8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        codes = Q.quantize_per_tensor(x, *self.parameters_)
        return Q.dequantize_per_tensor(codes, *self.parameters_)


class Weights(nn.Module):
    """Weights stored as codes, dequantized per channel."""

    def __init__(self, *shape: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.register_buffer("codes", torch.from_numpy(rng.integers(-7, 8, shape).astype(np.int8)))
        self.register_buffer("scale", torch.from_numpy(rng.uniform(0.02, 0.2, shape[0])))
        self.register_buffer("zero", torch.zeros(shape[0], dtype=torch.int64))

    def forward(self) -> torch.Tensor:
        return Q.dequantize_per_channel(self.codes, self.scale, self.zero, 0, -127, 127, torch.int8)


class Converted(nn.Module):
    """What convert_pt2e leaves of a small CNN; the scales are doubles, as observers compute them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.q0, self.q1, self.q2 = Codes(0.0231, -12), Codes(0.0417, -128), Codes(0.0619, 5)
        self.q3 = Codes(0.2713, 0)
        self.w0, self.w1 = Weights(4, 2, 3, 3, seed=0), Weights(4, 1, 3, 3, seed=1)
        self.w2 = Weights(3, 36, seed=2)
        self.b0 = nn.Parameter(torch.randn(4))
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = nn.functional
        x = self.q1(self.act(f.conv2d(self.q0(x), self.w0(), self.b0, padding=1)))
        x = self.q2(f.conv2d(self.pool(x), self.w1(), padding="same", groups=4))
        return self.q3(f.linear(x.flatten(1), self.w2()))


def test_quantize_and_dequantize_ops() -> None:
    x = samples(150, 2, 6, 6)
    module = Converted().eval()
    graph = agree(module, x, at_least=4)
    assert [graph.names[f"q{i}"].reason for i in range(4)] == [""] * 4
    assert {"act", "pool"} <= set(graph.names)


@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed batch", "open batch"])
def test_exported_programs_and_their_files(tmp_path: Path, dynamic: bool) -> None:
    x = samples(50, 2, 6, 6)
    args = (torch.from_numpy(x[:4]),)
    shapes = ({0: torch.export.Dim("n", min=2, max=64)},) if dynamic else None
    program = torch.export.export(Converted().eval(), args, dynamic_shapes=shapes)
    whole = agree(program, x, at_least=4)
    torch.export.save(program, tmp_path / "model.pt2")
    again = agree(torch.export.load(tmp_path / "model.pt2"), x, at_least=4)
    core = agree(program.run_decompositions(), x, at_least=4)
    for other in (again, core):
        assert (other.run_raw(whole.inputs and x_codes(whole, x)) == whole.run_raw(x_codes(whole, x))).all()


def x_codes(graph: Graph, x: np.ndarray) -> np.ndarray:
    return graph.encoders[0].encode(x, "x")


class Fake(nn.Module):
    """Functional fake quantization, per tensor and per channel, with zero points."""

    def __init__(self, scale: float, zero: int) -> None:
        super().__init__()
        self.scale, self.zero = scale, zero
        self.weight = nn.Parameter(torch.randn(6, 8))
        self.scales = nn.Parameter(torch.rand(6) * 0.1 + 0.02)
        self.zeros = torch.arange(-3, 3, dtype=torch.int32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)
        w = torch.fake_quantize_per_channel_affine(self.weight, self.scales, self.zeros, 0, -8, 7)
        y = nn.functional.linear(x, w)
        return torch.fake_quantize_per_channel_affine(y, self.scales * 3.137, self.zeros, 1, -20, 30)


@pytest.mark.parametrize("scale, zero", [(0.1, 0), (0.031, 100), (0.125, 7), (0.3, 255)])
def test_functional_fake_quantization(scale: float, zero: int) -> None:
    torch.manual_seed(1)
    graph = agree(Fake(scale, zero).eval(), samples(300, 8), at_least=2)
    assert "fake_quantize_per_tensor_affine" in graph.names


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1 / 3, 0.0251, 0.05])
@pytest.mark.parametrize("zero", [0, 3])
@pytest.mark.parametrize("kind", ["fake", "decomposed"])
def test_ties_are_rounded_by_the_reciprocal(scale: float, zero: int, kind: str) -> None:
    """1 / scale is rounded to float32 first: x = 0.75 at scale 0.1 is the tie 7.5, not 7.4999999.

    The host does it all in float32, as torch. In hardware the product with the reciprocal is not rounded
    once more; where that matters, the accumulator is on record as a near tie.
    """

    class One(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if kind == "fake":
                return torch.fake_quantize_per_tensor_affine(x, scale, zero, -100, 100)
            return Codes(scale, zero, -100, 100)(x)

    def by_torch(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.round(One()(torch.from_numpy(x)).double() / scale).numpy()

    grid = np.arange(-1024, 1024, dtype=np.float32)[:, None] / 64
    close = np.nextafter(((np.arange(-90, 90) + 0.5) * scale).astype(np.float32)[:, None], np.float32(9))
    host = fxsim.load(One().eval(), example=grid[:1])
    name = host.output_names[0] if kind == "fake" else "quantize_per_tensor"
    for x in (grid, close):
        np.testing.assert_array_equal(host.codes(x)[name], by_torch(x))
    hardware = fxsim.load(One().eval(), example=grid[:1], input=fxsim.SQ(5, 6))
    own = hardware.codes(grid)[name][:, 0]
    reciprocal = Fraction(float(np.float32(1) / np.float32(scale)))
    exact = [round(Fraction(float(v)) * reciprocal) for v in grid[:, 0]]  # Fraction rounds half to even
    np.testing.assert_array_equal(own, np.clip(exact, -100 - zero, 100 - zero))
    block = next(b for b in hardware.blocks if b.kind == "rescale")
    near = {a for _, _, lo, hi in block.params["near_ties"].array.tolist() for a in range(lo, hi + 1)}
    differ = np.flatnonzero(own != by_torch(grid)[:, 0])
    assert {int(v) for v in grid[differ, 0] * 64} <= near
    assert scale != 0.1 or not len(differ)


def trained(bits: int = 8) -> nn.Module:
    """A module of torch.ao's FakeQuantize with observers, which are then switched off."""
    high = (1 << bits) - 1

    def act() -> nn.Module:
        return FakeQuantize(MovingAverageMinMaxObserver, 0, high, dtype=torch.quint8)

    torch.manual_seed(2)
    weight = FakeQuantize.with_args(
        observer=PerChannelMinMaxObserver, quant_min=-(high // 2) - 1, quant_max=high // 2,
        dtype=torch.qint8, qscheme=torch.per_channel_symmetric, ch_axis=0,
    )  # fmt: skip

    class Linear(nn.Linear):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(a, b)
            self.weight_fake_quant = weight()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.weight_fake_quant(self.weight), self.bias)

    module = nn.Sequential(act(), Linear(10, 8), nn.ReLU(), act(), nn.Dropout(0.5), Linear(8, 4), act())
    with torch.no_grad():
        for _ in range(5):
            module(torch.randn(16, 10))
    module.apply(torch.ao.quantization.disable_observer)
    return module.eval()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_fake_quantize_modules(bits: int) -> None:
    module = trained(bits)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    graph = agree(module, samples(300, 10), at_least=3)
    assert {"0", "3", "6"} <= {k for k, v in graph.names.items() if v.value is not None}
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert type(module[0]) is FakeQuantize


def test_codes_as_input() -> None:
    class Integers(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Q.dequantize_per_tensor(x, 0.5, 3, 0, 255, torch.uint8) * 0.25

    program = torch.export.export(Integers(), (torch.zeros(1, 4, dtype=torch.uint8),))
    graph = fxsim.load(program)
    x = np.array([[0, 3, 7, 255]], np.uint8)
    assert graph.run(x).tolist() == [[-0.375, 0, 0.5, 31.5]]


class Stubs(nn.Module):
    """A module as torch.ao's eager quantization-aware training wants it."""

    def __init__(self) -> None:
        super().__init__()
        ao = torch.ao.quantization
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.conv, self.norm, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.side = nn.Conv2d(4, 4, 1)
        self.add = torch.ao.nn.quantized.FloatFunctional()
        self.pool, self.end = nn.AdaptiveAvgPool2d(2), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.conv(self.quant(x))))
        x = self.add.add(x, self.side(x))
        return self.dequant(self.end(self.pool(x).flatten(1)))


@pytest.mark.parametrize("fused", [False, True])
def test_quantization_aware_training_of_torch_ao(fused: bool) -> None:
    ao = torch.ao.quantization
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.ao itself, in favour of torchao
        warnings.simplefilter("ignore", UserWarning)
        module = Stubs().train()
        if fused:
            module = ao.fuse_modules_qat(module, [["conv", "norm", "act"]])
        module.qconfig = ao.get_default_qat_qconfig("x86")
        module = ao.prepare_qat(module)
        for _ in range(5):
            module(torch.randn(16, 1, 6, 6))
        module.apply(ao.disable_observer).eval()
        agree(module, samples(200, 1, 6, 6), at_least=5)


def test_a_saved_graph_keeps_the_reciprocal(tmp_path: Path) -> None:
    x = samples(100, 2, 6, 6)
    graph = fxsim.load(Converted().eval(), example=x[:1])
    graph.save(tmp_path / "graph.fxs")
    again = fxsim.load(tmp_path / "graph.fxs")
    assert again == graph
    np.testing.assert_array_equal(again.run(x), graph.run(x))


def test_in_place_ops_that_another_node_reads_are_undone_by_torch() -> None:
    class Aliased(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -8, 7)
            y = x.view(len(x), -1)
            x.relu_()  # changes y, which is a view
            y[:, :2].add_(1.0)
            return torch.fake_quantize_per_tensor_affine(y * 2 + x.flatten(1), 0.5, 0, -128, 127)

    agree(Aliased().eval(), samples(100, 2, 3), at_least=2)


class Flagged(nn.Module):
    """Constants of every kind: a buffer that is not saved, an attribute, a flag, an option."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.tensor([[0.5, -1.0], [2.0, 0.25]]), persistent=False)
        self.c = torch.tensor([1.0, 2.0])

    def forward(self, x: torch.Tensor, flag: bool = True, *, option: Any = None) -> torch.Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -8, 7)
        return x @ self.w + self.c if flag else x


def test_constants_and_flags() -> None:
    x = samples(30, 2)
    args = (torch.from_numpy(x[:3]),)
    agree(Flagged().eval(), x, at_least=1)
    for program in (
        torch.export.export(Flagged().eval(), (*args, True)),
        torch.export.export(Flagged().eval(), args, {"flag": False, "option": None}),
    ):
        agree(program, x, at_least=1)
    assert fxsim.load(Flagged().eval(), example=x[:1]).run([[1, 1]]).tolist() == [[3.5, 1.25]]


def test_a_mean_in_the_scale_of_its_operands_differs_only_at_ties_on_record() -> None:
    """torch.ao shares one quantizer before and after a mean of 4, so that every fourth sum lies between two
    codes; torch's choice there depends on the roundings of its own sums, the graph's is that of the exact
    rationals."""

    class Shared(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.fake_quantize_per_tensor_affine(x, 0.0371, 60, 0, 127)
            return torch.fake_quantize_per_tensor_affine(
                nn.functional.avg_pool2d(x, 2), 0.0371, 60, 0, 127
            )  # fmt: skip

    module, x = Shared().eval(), samples(100, 1, 6, 6)
    graph = fxsim.load(module, example=x[:1])
    theirs, own = run(module, graph, x), graph.codes(x)
    first, second = theirs
    np.testing.assert_array_equal(own[first], theirs[first])
    sums = own[first].reshape(100, 1, 3, 2, 3, 2).sum(axis=(3, 5))
    scale, reciprocal = np.float32(0.0371), np.float32(1) / np.float32(0.0371)
    factor = Fraction(float(scale)) * Fraction(float(reciprocal)) / 4
    exact = np.vectorize(lambda v: round(int(v) * factor), otypes=[np.int64])(sums)
    np.testing.assert_array_equal(own[second], np.clip(exact, -60, 67))
    wrong = own[second] != theirs[second]
    block = next(b for b in graph.blocks if b.kind == "rescale")
    near = {a for _, _, lo, hi in block.params["near_ties"].array.tolist() for a in range(lo, hi + 1)}
    assert set(sums[wrong].tolist()) <= near
    assert (sums[wrong] % 4 == 2).all()
