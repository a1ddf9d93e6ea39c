"""hls4ml's silent traps: each is told for a model of its own front ends, and not for the repaired one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import hls4ml
import numpy as np
import pytest
import torch
from layer_lists import Layers

from fxsim.data import digits_model
from hls.plugin import traps

Config = dict[str, Any]


def convert(
    net: Any, shape: tuple[int, ...], change: Callable[[Config], Any] | None = None, **config: Any
) -> Any:
    """A torch or Keras model, through hls4ml's own front end, for the fxsim backend."""
    config = {"granularity": "name", "backend": "Vitis"} | config
    if type(net).__module__.startswith("torch"):  # a Keras model is a Module too, on this backend
        settings = hls4ml.utils.config_from_pytorch_model(net.eval(), shape, **config)
        make = hls4ml.converters.convert_from_pytorch_model
    else:
        settings = hls4ml.utils.config_from_keras_model(net, **config)
        make = hls4ml.converters.convert_from_keras_model
    if change is not None:
        change(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return make(net, hls_config=settings, output_dir="unused", backend="fxsim", io_type="io_parallel")


def found(model: Any, kind: str) -> list[str]:
    """The messages of one kind, as the backend warns of them."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.compile()
    messages = [str(w.message) for w in told if issubclass(w.category, traps.TrapWarning)]
    kinds = {str(t): t.kind for t in traps.check(model, model.integer_graph)}
    assert sorted(kinds) == sorted(messages)
    return [m for m in messages if kinds[m] == kind]


def dense(weights: list[list[float]], *more: Any) -> Any:
    """A torch Linear without bias, named fc, and what follows."""
    fc = torch.nn.Linear(len(weights[0]), len(weights), bias=False)
    with torch.no_grad():
        fc.weight.copy_(torch.tensor(weights))
    net = torch.nn.Sequential()
    net.add_module("fc", fc)
    for k, m in enumerate(more):
        net.add_module(f"m{k}", m)
    return net


def precision(layer: str, **types: str) -> Callable[[Config], None]:
    """A change of LayerName[layer]: types under Precision, and `*_t` beside it."""

    def change(config: Config) -> None:
        for name, text in types.items():
            if name.endswith("_t"):
                config["LayerName"].setdefault(layer, {})[name] = text
            else:
                config["LayerName"].setdefault(layer, {}).setdefault("Precision", {})[name] = text

    return change


def test_the_default_accumulator_wraps() -> None:
    """An identity of fixed<16,6> plus 1 leaves the type; half of it does not."""
    (told,) = found(convert(dense([[1.0, 1.0]]), (2,), granularity="model"), "overflow")
    assert told == (
        "layer 'fc' (Dense): its accum_t fixed<16,6>, the model's default, wraps: values can reach "
        "-64..63.998, the type holds -32..31.999; set Precision['accum'] to fixed<17,7>, or to one with the "
        "mode SAT"
    )
    assert found(convert(dense([[0.5, 0.5]]), (2,), granularity="model"), "overflow") == []
    saturating = precision("fc", accum="fixed<16,6,TRN,SAT>", result="fixed<16,6>")
    assert found(convert(dense([[1.0, 1.0]]), (2,), saturating), "overflow") == []


def test_a_sum_in_order_that_wraps_between_saturating_types() -> None:
    """SAT_ZERO sets a sum to 0 on the way."""
    change = precision("fc", accum="fixed<16,6,TRN,SAT_ZERO>", result="fixed<20,10>")
    (told,) = found(convert(dense([[1.0, 1.0, -1.0]]), (3,), change), "overflow")
    assert "its accum_t fixed<16,6,TRN,SAT_ZERO> falls to 0: values can reach" in told


def test_an_average_sums_in_its_accumulator() -> None:
    """Four numbers of fixed<16,6> do not fit fixed<16,6>; 'auto' makes the sum wider."""
    net = torch.nn.Sequential(torch.nn.AvgPool1d(4))
    (told,) = found(convert(net, (2, 8), granularity="model"), "overflow")
    assert (
        "(Pooling1D): its accum_t fixed<16,6>, the model's default, wraps: values can reach -128..127" in told
    )
    assert found(convert(net, (2, 8)), "overflow") == []


def test_an_auto_relu_fell_back_to_the_default() -> None:
    """A Dense 'auto' result of fixed<34,14> goes into fixed<16,6>."""
    net = dense([[1.0, 2.0]], torch.nn.ReLU())
    (told,) = found(convert(net, (2,)), "fallback")
    assert told.startswith(
        "layer 'm0' (Activation): its result is 'auto', which hls4ml does not infer for this class"
    )
    assert "became the default fixed<16,6>, and its input is fixed<34,14>" in told
    assert found(convert(net, (2,), precision("m0", result="fixed<34,14>")), "fallback") == []
    assert found(convert(net, (2,), precision("fc", result="fixed<16,6>")), "fallback") == []


def test_a_softmax_whose_tables_are_addressed_by_wide_types() -> None:
    """Wide logits share an entry of exp; with 16 bits that of 1/x is still coarse; its type repairs it."""
    net = dense([[1.0, 2.0], [0.5, -1.0], [1.0, 1.0]], torch.nn.Softmax(dim=-1))
    (told,) = found(convert(net, (2,)), "softmax")
    assert "exp is read at the top 10 bits of ufixed<33,13> (off by up to 1)" in told
    assert "rows changed their class" in told
    narrow = precision("fc", result="fixed<16,6>")
    (told,) = found(convert(net, (2,), narrow), "softmax")
    assert "1/x at the top 10 bits of fixed<18,8,RND,SAT> (off by up to 0.199)" in told
    assert "give inv_inp_t 'ufixed<16,2,RND,SAT>', which holds sums up to 3" in told
    fine = precision("m0", inv_inp_t="ufixed<16,2,RND,SAT>")
    assert found(convert(net, (2,), lambda c: (narrow(c), fine(c))), "softmax") == []


def test_implementations_other_than_stable() -> None:
    """latency and legacy are far off; argmax has no probabilities to judge."""
    net = dense([[1.0, 2.0], [0.5, -1.0], [1.0, 1.0]], torch.nn.Softmax(dim=-1))

    def change(kind: str) -> Callable[[Config], None]:
        def both(config: Config) -> None:
            config["LayerName"]["fc"]["Precision"]["result"] = "fixed<16,6>"
            config["LayerName"]["m0"]["Implementation"] = kind

        return both

    for kind in ("latency", "legacy"):
        (told,) = found(convert(net, (2,), change(kind)), "softmax")
        assert "use implementation stable" in told
    assert found(convert(net, (2,), change("argmax")), "softmax") == []


def test_a_softmax_over_the_whole_tensor() -> None:
    """PyTorch's front end drops dim; Keras 3's keeps the axis."""
    import keras

    net = torch.nn.Sequential(torch.nn.Softmax(dim=-1))
    told = found(convert(net, (4, 3)), "softmax")
    assert any("it is one softmax over 12 elements of" in t for t in told)
    same = keras.Sequential([keras.layers.Input((4, 3)), keras.layers.Softmax()])
    assert not any("is one softmax over" in t for t in found(convert(same, (4, 3)), "softmax"))


def test_a_table_that_ends_before_its_inputs() -> None:
    """softplus reads its last entry, 8, up to 31.999; a narrower input ends with the table."""
    import keras

    soft = keras.Sequential([keras.layers.Input((2,)), keras.layers.Activation("softplus", name="act")])
    (told,) = found(convert(soft, (2,)), "table")
    assert (
        "layer 'act' (Activation): its table of 1024 entries is off by up to 24 for inputs in -32..31.999"
        in told
    )
    layers = Layers()
    layers.add(
        "Activation", layers.input("fixed<14,4>", (2,)), "fixed<16,6>", {"activation": "softplus", "n_in": 2}
    )
    assert found(layers.model("fxsim"), "table") == []


def test_weights_that_leave_their_type() -> None:
    (told,) = found(convert(dense([[40.0, 0.25]]), (2,)), "weights")
    assert told == (
        "layer 'fc' (Dense): 1 of 2 numbers in its weight leave weight_t fixed<16,6>, which holds "
        "-32..31.999: 40 becomes -24; set Precision['weight'] to a type with more integer bits"
    )
    wider = precision("fc", weight="fixed<16,8>")
    assert found(convert(dense([[40.0, 0.25]]), (2,), wider), "weights") == []


def test_weights_that_the_decimal_text_moves() -> None:
    """0.749 in fixed<8,6> is written as 0.75; a multiple of 1/4 is what it is."""
    coarse = precision("fc", weight="fixed<8,6>")
    (told,) = found(convert(dense([[0.749, 0.25]]), (2,), coarse), "weights")
    assert "1 of 2 numbers in its weight are rounded twice" in told
    assert "with 2 decimals" in told
    assert "0.749 becomes 0.75, not 0.5; quantize them yourself to multiples of 0.25" in told
    assert found(convert(dense([[0.75, 0.25]]), (2,), coarse), "weights") == []


def test_a_model_precision_that_no_layer_uses() -> None:
    """Set after every layer has its own types; with 'auto' it is used."""

    def late(config: Config) -> None:
        for layer in config["LayerName"].values():
            layer["Precision"] = dict.fromkeys(layer["Precision"], "fixed<16,6>")
        config["Model"]["Precision"]["default"] = "fixed<24,8>"

    (told,) = found(convert(dense([[1.0, 0.5]]), (2,), late), "ignored")
    assert told.startswith("Model Precision fixed<24,8> is used by no layer")

    def early(config: Config) -> None:
        config["Model"]["Precision"]["default"] = "fixed<24,8>"

    assert found(convert(dense([[1.0, 0.5]]), (2,), early), "ignored") == []


def test_a_type_of_a_table_under_precision_has_no_effect() -> None:
    """hls4ml reads it from inv_inp_t beside Precision only."""
    net = dense([[1.0, 2.0], [0.5, -1.0]], torch.nn.Softmax(dim=-1))
    (told,) = found(convert(net, (2,), precision("m0", inv_inp="ufixed<18,4>")), "ignored")
    assert told == (
        "layer 'm0' (Softmax): Precision['inv_inp'] ufixed<18,4> has no effect, the type is "
        "fixed<18,8,RND,SAT>; set LayerName['m0']['inv_inp_t']"
    )
    assert found(convert(net, (2,), precision("m0", inv_inp_t="ufixed<18,4>")), "ignored") == []


def test_maximum_ignores_its_modes() -> None:
    net = dense([[1.0, 0.5]])
    (told,) = found(convert(net, (2,), max_precision="fixed<12,6,RND,SAT>"), "maximum")
    assert told == (
        "layer 'fc' (Dense): its accum_t was cut to fixed<12,6> by the maximum fixed<12,6,RND,SAT>, "
        "whose modes are ignored: it truncates and wraps; set Precision['accum'] of the layer to "
        "fixed<12,6,RND,SAT>"
    )
    assert found(convert(net, (2,), max_precision="fixed<12,6>"), "maximum") == []
    assert found(convert(net, (2,), max_precision="fixed<60,30,RND,SAT>"), "maximum") == []


def test_inputs_of_an_integer_type() -> None:
    """-0.25 becomes 1 in hls4ml's C simulation, and here."""
    model = convert(dense([[1.0]]), (1,), precision("input_1", result="int<8>"))
    (told,) = found(model, "integer")
    assert "its type is" in told
    assert "makes 1 of what lies between -0.5 and 0" in told
    assert model.predict(np.array([[-0.25], [-0.75], [2.5]], np.float32)).tolist() == [[1.0], [0.0], [2.0]]
    fixed = precision("input_1", result="fixed<8,8>")
    assert found(convert(dense([[1.0]]), (1,), fixed), "integer") == []


def quantized_digits(change: Callable[[Config], Any] | None = None) -> Any:
    """The shipped QONNX digits model through hls4ml's ONNX front end."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    model = cleanup_model(ModelWrapper(str(digits_model())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = cleanup_model(model.transform(GemmToMatMul()))
    config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis")
    if change is not None:
        change(config)
    return hls4ml.converters.convert_from_onnx_model(
        model, hls_config=config, output_dir="unused", backend="fxsim", io_type="io_parallel"
    )


def test_inputs_that_are_rounded_twice() -> None:
    """The type floors what the first quantizer then rounds to nearest: what is above a tie is lost."""
    default = quantized_digits()
    (told,) = found(default, "rounding")
    assert told.startswith("layer 'global_in' (Input): its type fixed<16,6> floors real inputs before ")
    assert told.endswith("set Precision['result'] of the input to fixed<34,6>")
    change = precision("global_in", result="fixed<34,6>")
    finer = quantized_digits(change)
    assert found(finer, "rounding") == []
    x = np.full((1, 1, 8, 8), 0.5 / 16 + 2.0**-12)  # the nearest multiple of 1/16 is 1/16
    output = default.graph["Quant_6_act"].outputs[0]
    codes = [m.integer_graph.codes(x)[output] for m in (default, finer)]
    assert [c.flat[0] for c in codes] == [0, 1]


def test_a_quantizer_of_the_file_that_was_dropped() -> None:
    """A layer as QKeras' parser gives it, under a configuration that only has the model's precision."""
    from hls4ml.model.quantizers import QuantNodeQuantizer
    from hls4ml.model.types import FixedPrecisionType, RoundingMode, SaturationMode

    layers = Layers()
    kind = FixedPrecisionType(6, 2, False, RoundingMode.RND_CONV, SaturationMode.SAT)
    attributes = {"activation": "relu", "n_in": 2, "activation_quantizer": QuantNodeQuantizer(kind)}
    name = layers.add("Activation", layers.input("fixed<16,6>", (2,)), "fixed<16,6>", attributes)
    (told,) = found(layers.model("fxsim"), "quantizer")
    assert told == (
        "layer 'y0' (Activation): the model quantizes its result to ufixed<6,2,RND_CONV,SAT>, but result_t "
        "is fixed<16,6>: the quantizer was dropped; set Precision['result'] to its type"
    )
    layers.names[name]["Precision"]["result"] = "ufixed<6,2,RND_CONV,SAT>"
    assert found(layers.model("fxsim"), "quantizer") == []


def test_inputs_that_wrap_are_told_at_predict() -> None:
    model = convert(dense([[1.0]]), (1,))
    with pytest.warns(
        traps.TrapWarning, match=r"values -1\.\.33 leave its type fixed<16,6>, which holds -32\.\."
    ):
        assert model.predict(np.array([[33.0], [-1.0]], np.float32)).tolist() == [[-31.0], [-1.0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(np.array([[31.0], [-1.0]], np.float32)).tolist() == [[31.0], [-1.0]]
    saturating = convert(dense([[1.0]]), (1,), precision("input_1", result="fixed<16,6,TRN,SAT>"))
    saturating.compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saturating.predict(np.array([[33.0]], np.float32))


def test_arrays_that_hls4ml_would_misread_are_refused() -> None:
    """A (20, 8) array for 16 inputs: hls4ml returns ten rows of nonsense."""
    model = convert(dense([[1.0] * 16]), (16,))
    with pytest.raises(ValueError, match=r"must have shape \(samples, 16\).*not \(20, 8\)"):
        model.predict(np.zeros((20, 8), np.float32))


def test_a_model_without_traps_is_silent() -> None:
    net = dense([[0.5, 0.25], [0.125, -0.5]], torch.nn.ReLU())
    model = convert(net, (2,), precision("m0", result="fixed<34,14>"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.compile()
