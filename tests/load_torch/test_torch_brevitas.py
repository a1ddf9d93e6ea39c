"""Brevitas modules: every quantizer's codes are the module's own, on hundreds of samples."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import pytest
import torch
from brevitas.quant import (
    Int4WeightPerTensorFloatDecoupled,
    Int8AccumulatorAwareWeightQuant,
    Int8ActPerTensorFloat,
    Int8Bias,
    Int8BiasPerTensorFloatInternalScaling,
    Int16Bias,
    ShiftedUint8ActPerTensorFloat,
    ShiftedUint8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryActPerTensorConst,
    SignedTernaryWeightPerTensorConst,
)
from brevitas_models import Cnn, Residual, agree, differences, mlp, ready, samples, scales
from torch import nn

import fxsim
from fxsim.compare.torch import run


@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_mlp_with_batch_norm_at_every_width(bits: int, power: bool) -> None:
    module = ready(mlp(bits, power), 16, seed=bits)
    graph = agree(module, samples(300, 16), at_least=4)
    assert set(graph.names) >= {"0", "1", "3", "4", "6", "7"}


@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_one_bit_of_everything(power: bool) -> None:
    module = mlp(1, power, weight_quant=SignedBinaryWeightPerTensorConst, weight_scaling_init=0.25)
    agree(ready(module, 16), samples(300, 16), at_least=4)


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_cnn(power: bool, per_channel: bool) -> None:
    agree(ready(Cnn(power, per_channel), 2, 8, 8), samples(200, 2, 8, 8), at_least=5)


@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
@pytest.mark.parametrize("shared", [True, False])
def test_residual(shared: bool, power: bool) -> None:
    graph = agree(ready(Residual(shared, power), 2, 6, 6), samples(200, 2, 6, 6), at_least=4)
    assert list(graph.names)[-4:] == ["right", "add", "end.relu", "end"]


@pytest.mark.parametrize(
    "bias", [Int8Bias, Int16Bias, Int8BiasPerTensorFloatInternalScaling], ids=lambda b: b.__name__
)
@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_bias_quantizers(bias: Any, power: bool) -> None:
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5, return_quant_tensor=True, **scales(power)),
        qnn.QuantConv2d(2, 4, 3, bias=True, bias_quant=bias, weight_bit_width=4, **scales(power, "weight_")),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True, **scales(power)),
        nn.Flatten(),
        qnn.QuantLinear(
            4 * 16, 5, bias=True, bias_quant=bias, weight_bit_width=3, **scales(power, "weight_")
        ),
        qnn.QuantIdentity(bit_width=8),
    )
    agree(ready(module, 2, 6, 6), samples(300, 2, 6, 6), at_least=3)


def test_ternary_and_binary_weights_and_activations() -> None:
    for weight in (SignedBinaryWeightPerTensorConst, SignedTernaryWeightPerTensorConst):
        for act in (SignedBinaryActPerTensorConst, SignedTernaryActPerTensorConst):
            w = {"weight_quant": weight, "weight_scaling_init": 0.3}
            module = nn.Sequential(
                qnn.QuantIdentity(bit_width=4),
                qnn.QuantLinear(16, 24, bias=False, **w),
                nn.BatchNorm1d(24),
                qnn.QuantIdentity(act_quant=act, scaling_init=0.37),
                qnn.QuantLinear(24, 8, bias=False, **w),
                nn.BatchNorm1d(8),
                qnn.QuantIdentity(act_quant=act, scaling_init=1.0),
            )
            agree(ready(module, 16), samples(300, 16), at_least=3)


def test_zero_points() -> None:
    module = nn.Sequential(
        qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat, bit_width=5),
        qnn.QuantLinear(16, 12, bias=True, weight_quant=ShiftedUint8WeightPerTensorFloat, weight_bit_width=5),
        qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat, bit_width=5),
        qnn.QuantLinear(12, 6, bias=True, weight_quant=ShiftedUint8WeightPerTensorFloat, weight_bit_width=4),
        qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat, bit_width=6),
    )
    agree(ready(module, 16), samples(400, 16), at_least=3)


@pytest.mark.parametrize("rounding", ["FLOOR", "CEIL", "ROUND_TO_ZERO"])
def test_rounding_modes(rounding: str) -> None:
    r = {"float_to_int_impl_type": rounding} | scales(True)
    w = {"weight_bit_width": 4, "weight_float_to_int_impl_type": rounding, "bias": False}
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5, **r),
        qnn.QuantLinear(16, 12, **w, **scales(True, "weight_")),
        qnn.QuantIdentity(bit_width=4, **r),
        qnn.QuantLinear(12, 6, output_quant=Int8ActPerTensorFloat, **w),
    )
    agree(ready(module, 16), samples(300, 16), at_least=3)


def test_floor_of_float_scales_differs_from_torch_only_where_its_sums_are_noise() -> None:
    r = {"float_to_int_impl_type": "FLOOR"}
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5), qnn.QuantLinear(16, 12, bias=False, weight_bit_width=4),
        qnn.QuantIdentity(bit_width=4, **r),
    )  # fmt: skip
    x = samples(300, 16)
    graph = fxsim.load(ready(module, 16), example=x[:1])
    found = differences(graph, x, run(module, graph, x))
    assert found and set(found) == {("2", 0)}


@pytest.mark.parametrize("pool", [qnn.TruncAvgPool2d(2), qnn.TruncAvgPool2d(3, stride=1, bit_width=4),
                                  qnn.TruncAdaptiveAvgPool2d(1, bit_width=5)],
                         ids=["round", "overlap", "adaptive"])  # fmt: skip
@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_truncating_pools(pool: nn.Module, power: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = qnn.QuantReLU(bit_width=5, return_quant_tensor=True, **scales(power))
            self.pool = pool
            self.out = qnn.QuantConv2d(3, 4, 1, weight_bit_width=4, bias=False)
            self.last = qnn.QuantIdentity(bit_width=6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.out(self.pool(self.act(x))))

    agree(ready(Net(), 3, 6, 6), samples(200, 3, 6, 6), at_least=3)


class Joined(nn.Module):
    def __init__(self, power: bool) -> None:
        super().__init__()
        self.start = qnn.QuantIdentity(bit_width=6, **scales(power))
        self.a = qnn.QuantConv1d(2, 3, 3, padding=1, stride=2, weight_bit_width=4, bias=False)
        self.b = qnn.QuantConv1d(2, 3, 5, padding=2, stride=2, weight_bit_width=4, bias=True)
        self.tanh = qnn.QuantHardTanh(bit_width=5, min_val=-1.0, max_val=1.0, **scales(power))
        self.join = qnn.QuantIdentity(bit_width=5, return_quant_tensor=True)
        self.cat = qnn.QuantIdentity(bit_width=6)
        self.plus = qnn.QuantEltwiseAdd(input_bit_width=5, output_bit_width=6)
        self.end = qnn.QuantReLU(bit_width=4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.start(x)
        a, b = self.tanh(self.a(x)), self.b(x)
        return self.cat(torch.cat([self.join(a), self.join(b)], dim=1)), self.end(self.plus(a, b))


@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_cat_add_hard_tanh_and_two_outputs(power: bool) -> None:
    graph = agree(ready(Joined(power), 2, 9), samples(300, 2, 9), at_least=8)
    assert set(graph.names) >= {
        "join",
        "join@1",
        "plus.input_quant",
        "plus.input_quant@1",
        "plus",
        "tanh",
        "end",
    }
    assert graph.output_names == ("cat", "end") and "cat_2" in graph.names


@pytest.mark.parametrize("power", [True, False], ids=["pow2", "float"])
def test_functions_and_transposed_convolutions(power: bool) -> None:
    a = {"bit_width": 6} | scales(power)
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5, **scales(power)),
        qnn.QuantConvTranspose2d(2, 4, 3, stride=2, weight_bit_width=4, bias=True),
        qnn.QuantSigmoid(**a),
        qnn.QuantConvTranspose2d(4, 4, 2, groups=2, weight_bit_width=4, bias=False),
        qnn.QuantTanh(**a),
        qnn.QuantConv2d(4, 3, 3, padding=1, padding_mode="circular", weight_bit_width=3, bias=False),
        qnn.QuantHardSwish(**a),
    )
    agree(ready(module, 2, 4, 4), samples(200, 2, 4, 4), at_least=4)


def test_upsampling_and_input_format() -> None:
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5, return_quant_tensor=True),
        qnn.QuantUpsample(scale_factor=2, return_quant_tensor=True),
        qnn.QuantConv2d(2, 3, 3, weight_bit_width=4, bias=False),
        qnn.QuantReLU(bit_width=4),
    )
    module = ready(module, 2, 4, 4)
    agree(module, samples(100, 2, 4, 4), at_least=2)
    graph = fxsim.load(module, example=samples(1, 2, 4, 4), input=fxsim.SQ(4, 4))
    x = (samples(50, 2, 4, 4) * 16).round().clip(-127, 127) / 16
    outside = fxsim.load(module, example=x[:1])
    assert (graph.codes(x)["3"] == outside.codes(x)["3"]).all()


class Fn(nn.Module):
    """A forward that is a function of the module and x."""

    def __init__(self, fn: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fn(self, x)


def identity(bits: int = 5, **options: Any) -> nn.Module:
    return qnn.QuantIdentity(bit_width=bits, return_quant_tensor=True, **options)


def linear(a: int, b: int, **options: Any) -> nn.Module:
    return qnn.QuantLinear(a, b, bias=True, **({"weight_bit_width": 4} | options))


OTHERS: dict[str, tuple[Any, tuple[int, ...], set[str]]] = {
    "dictionary": (lambda: Fn(lambda s, x: {"a": s.b(s.l(s.q(x))), "c": s.q(x)},
                              q=identity(), l=linear(8, 4), b=identity()), (8,), {"b", "q@1"}),
    "a module named as the input": (lambda: Fn(lambda s, x: s.x(s.l(s.q(x))), q=identity(), l=linear(8, 4),
                                               x=identity()), (8,), {"x", "x_2"}),
    "sequences": (lambda: Fn(lambda s, x: s.b(s.l(s.q(x))), q=identity(), l=linear(8, 4), b=identity()),
                  (3, 8), {"l.product", "l"}),
    "scale and bias": (lambda: nn.Sequential(identity(), qnn.QuantConv2d(2, 4, 3), identity(6),
                                             qnn.BatchNorm2dToQuantScaleBias(4), identity(6)),
                       (2, 6, 6), {"3.mul", "3"}),
    "one layer twice": (lambda: Fn(lambda s, x: s.b(s.l(s.q(s.l(s.q(x))))), q=identity(), l=linear(8, 8),
                                   b=identity()), (8,), {"q", "q@1", "l", "l@1"}),
    "quantizers of a layer": (lambda: nn.Sequential(linear(8, 4, input_quant=Int8ActPerTensorFloat,
                                                           output_quant=Int8ActPerTensorFloat)), (8,),
                              {"0.input_quant", "0.linear", "0"}),
    "a scale per channel": (lambda: nn.Sequential(
        identity(), qnn.QuantConv2d(2, 4, 3, weight_bit_width=4), qnn.QuantReLU(
            bit_width=4, scaling_per_output_channel=True, per_channel_broadcastable_shape=(1, 4, 1, 1),
            scaling_stats_permute_dims=(1, 0, 2, 3)),
        qnn.QuantConv2d(4, 4, 3, groups=4), identity()), (2, 8, 8), {"2", "4"}),
    "learned widths": (lambda: nn.Sequential(
        identity(), linear(8, 4), qnn.QuantReLU(bit_width=4, bit_width_impl_type="parameter"),
        linear(4, 3), identity()), (8,), {"2", "4"}),
    "a product of activations": (lambda: Fn(lambda s, x: s.b(s.q(x) * s.q(s.l(s.q(x)))), q=identity(),
                                            l=linear(4, 4), b=identity()), (4, 4), {"mul", "b"}),
    "a result that nothing reads": (lambda: Fn(lambda s, x: (s.b(s.q(x)), s.q(x))[1], q=identity(),
                                               b=identity()), (4,), {"q", "q@1"}),
    "bounded accumulators": (lambda: nn.Sequential(
        identity(), linear(8, 4, weight_quant=Int8AccumulatorAwareWeightQuant,
                           weight_accumulator_bit_width=12), identity()), (8,), {"2"}),
    "decoupled scales": (lambda: nn.Sequential(
        identity(), linear(8, 4, weight_quant=Int4WeightPerTensorFloatDecoupled), identity()), (8,), {"2"}),
    "learned rounding": (lambda: nn.Sequential(
        identity(), linear(8, 4, weight_float_to_int_impl_type="learned_round",
                           weight_learned_round_impl_type="hard_sigmoid"), identity()), (8,), {"2"}),
    "16 bits": (lambda: nn.Sequential(identity(16), linear(8, 6, weight_bit_width=16), identity(8)), (8,),
                {"2"}),
    "mean pools": (lambda: nn.Sequential(identity(), nn.AvgPool2d(3, 2, 1), qnn.QuantConv2d(2, 4, 1),
                                         identity()), (2, 8, 8), {"1", "3"}),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS, ids=list(OTHERS))
def test_other_modules_whose_state_stays(case: str) -> None:
    make, shape, known = OTHERS[case]
    module = ready(make(), *shape)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    flags = [(p, m.training, len(m._forward_hooks), type(m)) for p, m in module.named_modules()]
    returned = [getattr(m, "return_quant_tensor", None) for m in module.modules()]
    graph = agree(module, samples(100, *shape))
    assert known <= set(graph.names)
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    assert flags == [(p, m.training, len(m._forward_hooks), type(m)) for p, m in module.named_modules()]
    assert returned == [getattr(m, "return_quant_tensor", None) for m in module.modules()]


def test_two_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.end = identity(4), identity(6), identity(5)
            self.left, self.right = linear(6, 4), linear(3, 4)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.end(self.left(self.a(x)) - self.right(self.b(y)))

    module, x, y = Two(), samples(200, 6), samples(200, 3, seed=2)
    for _ in range(4):
        module(torch.from_numpy(x), torch.from_numpy(y))
    graph = fxsim.load(module.eval(), example=(x[:1], y[:1]))
    theirs, own = run(module, graph, [x, y]), graph.codes(x, y)
    assert len(theirs) == 3
    for name, codes in theirs.items():
        assert (codes == own[name]).all(), name


def test_the_first_quantizer_is_missing() -> None:
    with pytest.raises(ValueError, match=r"node '0' .*a Quant node is a brevitas.nn.QuantIdentity or a fake"):
        fxsim.load(nn.Sequential(linear(8, 4), identity()).eval(), example=samples(1, 8))
