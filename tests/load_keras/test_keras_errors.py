"""What cannot be read is refused by name and class, with what to do; no code of a file runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import keras
import keras_edit
import keras_models
import numpy as np
import pytest
from hgq.config import QuantizerConfig
from hgq.layers import QDense, QEinsumDense, QMultiHeadAttention
from hgq.quantizer import Quantizer

import fxsim

L = keras.layers
Change = Callable[[dict[str, Any]], None]


def replaced(name: str, **entry: Any) -> Change:
    """Another class, module or registered name for a layer."""

    def change(config: dict[str, Any]) -> None:
        keras_edit.layer(config, name).update(entry)

    return change


def option(name: str, *path: str, value: Any) -> Change:
    """One value in a layer's configuration."""

    def change(config: dict[str, Any]) -> None:
        place = keras_edit.layer(config, name)["config"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
TENSOR = {"class_name": "__keras_tensor__", "config": {"keras_history": ["absent", 0, 0]}}

UNSUPPORTED = [
    (
        "merges",
        replaced("drop", class_name="Lambda"),
        r"layer 'drop' \(Lambda\) runs Python code that is stored",
    ),
    (
        "merges",
        replaced("drop", class_name="Evil", module="evil", registered_name="evil>Evil"),
        r"layer 'drop' \(Evil\) is the custom class 'evil>Evil', whose code the file does not hold",
    ),
    (
        "merges",
        replaced("d", registered_name="mine>QDense", module=None),
        "is the custom class 'mine>QDense'",
    ),
    ("merges", replaced("drop", class_name="LSTM"), "is recurrent, and a graph has no loop"),
    ("merges", replaced("drop", class_name="Softmax"), "computes in floating point; use QSoftmax"),
    ("merges", replaced("drop", class_name="LayerNormalization"), "use QBatchNormalization"),
    ("merges", replaced("drop", class_name="DepthwiseConv2D"), "use QConv2D, with groups"),
    ("merges", replaced("drop", class_name="Embedding"), "encode the input before the model"),
    ("merges", replaced("drop", class_name="QDenseT"), "not read yet; use QDense"),
    ("merges", replaced("drop", class_name="QDens"), "has no handler; near to it: QDense"),
    ("merges", replaced("drop", class_name="Zzz"), "has no handler; supported are Activation"),
    (
        "merges",
        replaced("add_1", class_name="Sin"),
        r"layer 'add_1' \(Sin\) has no handler; .* Use a layer of keras.layers .*'Sin', operation=True",
    ),
    ("merges", option("shared", "activation", value=LAMBDA), "has an activation of class '__lambda__'"),
    (
        "merges",
        option("shared", "activation", value={"class_name": "function", "module": "evil", "config": "f"}),
        "whose code fxsim never runs",
    ),
    (
        "merges",
        option("shared", "activation", value="softmax"),
        "the activation 'softmax', which has no integer",
    ),
    (
        "merges",
        option("shared", "iq_conf", "config", "q_type", value="float"),
        "quantizer 'shared_iq' is of type 'float'; fixed-point quantizers are read",
    ),
    (
        "merges",
        option("shared", "iq_conf", "config", "overflow_mode", value="WRAP_SM"),
        "has overflow_mode 'WRAP_SM'; use one of WRAP, SAT, SAT_SYM",
    ),
    (
        "merges",
        option("shared", "iq_conf", "config", "bw_mapper", value={"class_name": "Mine"}),
        "has the bw_mapper 'Mine', which is code",
    ),
    ("merges", option("shared", "iq_conf", "class_name", value="Mine"), "configuration of class 'Mine'"),
    ("merges", option("shared", "iq_conf", value=None), "configuration of class None"),
    (
        "mlp",
        lambda c: c.update(class_name="MyModel"),
        "model of class 'MyModel' is a subclass of keras.Model",
    ),
]

WRONG = [
    ("merges", lambda c: keras_edit.layer(c, "d").update(inbound_nodes=3), "the configuration is damaged"),
    ("merges", option("pad", "padding", value=1 << 40), "elements, more than 16777216"),
    ("merges", option("up", "size", value=1 << 40), "elements, more than 16777216"),
    ("merges", option("up", "size", value=[0]), "has the size .0.; give 1 positive integers"),
    ("others", option("repeat", "n", value=1 << 40), "elements, more than 16777216"),
    ("merges", option("one", "batch_shape", value=[None, 1 << 40]), "elements, more than 16777216"),
    ("functions", option("attend", "key_dim", value=0), r"layer 'attend' \(QMultiHeadAttention\)"),
    (
        "merges",
        lambda c: keras_edit.layer(c, "drop")["inbound_nodes"][0]["kwargs"].update(training=True),
        r"layer 'drop' \(Dropout\) is called with training=True; call it without",
    ),
    ("residual_cnn", option("c", "data_format", value="channels_first"), "variable 0 of shape"),
    (
        "merges",
        option("shared", "iq_conf", "config", "round_mode", value="NEAREST"),
        "has round_mode 'NEAREST'; use one of RND",
    ),
    ("merges", option("shared", "iq_conf", "config", "scaler", value=0.0), "scaler 0.0 and affine"),
    (
        "merges",
        option("shared", "dtype", value="bfloat16"),
        r"layer 'shared' \(QDense\) has the dtype 'bfloat16'",
    ),
    (
        "merges",
        option("shared", "dtype", "config", "name", value="mixed_float16"),
        "save the model with the dtype policy 'float32'",
    ),
    ("merges", option("one", "batch_shape", value=[None, None, 3]), "has the dynamic shape"),
    ("merges", option("one", "batch_shape", value=None), "give it keras.Input"),
    ("merges", option("shared", "units", value=5), "variable 0 of shape .3, 3. in the weights file, not"),
    ("merges", option("joined", "axis", value=0), r"layer 'joined' \(Concatenate\) joins along axis 0"),
    ("merges", option("shaped", "target_shape", value=[3, 3]), "reshapes .* keep the size"),
    ("merges", option("turned", "dims", value=[1, 1]), "name each of 1..2 once"),
    ("merges", option("pad", "padding", value=[1, -2]), "pairs that are not negative"),
    ("merges", option("cut", "cropping", value=[9, 9]), "crops .* leave one element an axis"),
    (
        "merges",
        option("d", "kq_conf", "config", "overflow_mode", value="WRAP"),
        "variables in the weights file",
    ),
    ("residual_cnn", option("b", "groups", value=3), "channels in 3 groups; groups must divide them"),
    ("residual_cnn", option("b", "padding", value="full"), "has the padding 'full'; use 'valid' or 'same'"),
    ("residual_cnn", option("b", "strides", value=[0, 1]), "strides must be 2 positive integers"),
    ("residual_cnn", option("b", "kernel_size", value=[9, 9]), "not .9, 9"),
    ("residual_cnn", option("pool", "pool_size", value=[9, 9]), "windows of .9, 9. that do not fit"),
    (
        "residual_cnn",
        option("positive", "threshold", value=0.5),
        "has the threshold 0.5; use a threshold of 0",
    ),
    (
        "residual_cnn",
        lambda c: keras_edit.layer(c, "positive")["config"].update(negative_slope=0.5, max_value=1.0),
        "has a negative_slope and a max_value",
    ),
    ("averages", option("same", "pool_size", value=[2, 2]), "where Keras' back ends differ"),
    ("averages", option("bn", "axis", value=0), "has the axis 0; use one axis in 1..3"),
    ("sequence", option("mix", "equation", value="abc,cd->bad"), "must keep the batch as the first axis"),
    ("sequence", option("mix", "equation", value="abb,bd->abd"), "repeats a letter"),
    ("sequence", option("mix", "equation", value="abc"), "equation must be 'a,b->c'"),
    ("sequence", option("total", "axes", value=[0, 1]), "the batch among them"),
    ("functions", option("soft", "axes", value=[0]), "normalizes over the axes .0., the batch among them"),
    ("functions", option("attend", "attention_axes", value=[1, 2]), r"use attention_axes=\(1,\)"),
    ("functions", option("attend", "use_gate", value=True), "has use_gate = True; leave use_gate off"),
    ("nested", option("scale", "scale", value=[1.0, 2.0]), "give one finite number"),
    (
        "merges",
        lambda c: keras_edit.layer(c, "d").update(inbound_nodes=[{"args": [TENSOR], "kwargs": {}}]),
        r"layer 'd' \(QDense\) reads tensor 0 of call 0 of 'absent', which no layer makes",
    ),
    (
        "merges",
        lambda c: keras_edit.layer(c, "d").update(inbound_nodes=[[["flat", 0, 0, {}]]]),
        "a call that is not of Keras 3",
    ),
    (
        "merges",
        lambda c: keras_edit.layer(c, "d").update(
            inbound_nodes=[{"args": [{"class_name": "__keras_tensor__"}], "kwargs": {}}]
        ),
        "has a tensor without a history",
    ),
    ("merges", lambda c: c["config"].update(output_layers=[["gone", 0, 0]]), "has the output 'gone'"),
    ("merges", lambda c: c["config"].update(output_layers="gone"), "has an endpoint 'gone'"),
    ("merges", lambda c: c["config"].update(input_layers=[["d", 0, 0]]), "'d' is no InputLayer"),
    (
        "merges",
        lambda c: c["config"]["layers"].append(keras_edit.layer(c, "d")),
        "two layers have the name 'd'",
    ),
    ("merges", lambda c: c["config"]["layers"].append(3), "a layer without a config"),
    (
        "mlp",
        lambda c: (c["config"]["layers"].pop(0), c["config"].pop("build_input_shape")),
        "before it was built",
    ),
    (
        "mlp",
        lambda c: keras_edit.layer(c, "q_dense")["config"].pop("units"),
        "its configuration lacks 'units'",
    ),
]


@pytest.mark.parametrize(("family", "change", "message"), UNSUPPORTED)
def test_unsupported(family, change, message, tmp_path) -> None:
    with pytest.raises(NotImplementedError, match=message):
        fxsim.load(keras_edit.configured(tmp_path / "m.keras", family, change))


@pytest.mark.parametrize(("family", "change", "message"), WRONG)
def test_wrong(family, change, message, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        fxsim.load(keras_edit.configured(tmp_path / "m.keras", family, change))


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("q_dense/vars/0", np.nan, r"layer 'q_dense.*' \(QDense\) has a weight that is nan at \(0, 0\)"),
        ("q_dense/vars/1", np.inf, "has a weight that is inf"),
        ("q_dense/iq/quantizer/vars/0", np.nan, r"quantizer 'q_dense.*_iq' has k, i, f = "),
        ("q_dense/iq/quantizer/vars/2", 1e9, "they must be whole, of at most 64 bits"),
    ],
)
def test_bad_numbers(array, value, message, tmp_path) -> None:
    def change(file: h5py.File) -> None:
        a = file[f"layers/{array}"][()]
        a.ravel()[0] = value
        file[f"layers/{array}"][...] = a

    with pytest.raises(ValueError, match=message):
        fxsim.load(keras_edit.weighted(tmp_path / "m.keras", "mlp", change))


def test_missing_and_foreign_quantizers(tmp_path) -> None:
    def gone(file: h5py.File) -> None:
        del file["layers/q_dense/iq"]

    def other(file: h5py.File) -> None:
        group = file["layers/q_dense/iq/quantizer/vars"]
        k = group["1"][()]
        del group["1"]
        group["1"] = k.astype(np.float32)

    def shape(file: h5py.File) -> None:
        for i in range(3):
            group = file["layers/q_dense/iq/quantizer/vars"]
            a = group[str(i)][()][:, :4]
            del group[str(i)]
            group[str(i)] = a

    for change, message in (
        (gone, "has 0 variables in the weights file, not k, i and f as HGQ2 0.2 writes them"),
        (other, "has 4 variables in the weights file, not k, i and f"),
        (shape, r"has formats of shape \(1, 4\) for a tensor \(1, 6\)"),
    ):
        with pytest.raises(ValueError, match=message):
            fxsim.load(keras_edit.weighted(tmp_path / "m.keras", "mlp", change))


def first(x: Any) -> Any:
    return Quantizer(QuantizerConfig(place="datalane"), name="first")(x)


def einsum_kernel(x: Any) -> Any:
    return L.EinsumDense("abc,cd->abd", (4, 2), name="e")(first(L.Reshape((4, 1))(x)))


def normed_sum(x: Any) -> Any:
    return L.Add(name="a")([L.BatchNormalization(name="bn")(x), x])


MODELS: list[tuple[Callable[[Any], Any], str]] = [
    (
        lambda x: L.Dense(2, name="d")(first(x)),
        r"layer 'd' \(Dense\) has real weights, .* use QDense of HGQ2",
    ),
    (einsum_kernel, "use QEinsumDense of HGQ2 and train it, or let hls4ml choose .*backend='fxsim'"),
    (lambda x: L.ReLU(name="r")(x), "computes with the real input 'x', which no quantizer met"),
    (lambda x: L.Flatten(name="f")(x), "an output is the input 'x' itself"),
    (lambda x: QDense(2, activation="tanh", name="d")(x), "an output is tanh of a sum, a real number"),
    (
        lambda x: L.Add(name="a")([QDense(4, activation="tanh", name="d")(x), first(x)]),
        r"layer 'a' \(Add\) computes with tanh of a sum",
    ),
    (
        lambda x: normed_sum(first(x)),
        r"layer 'a' \(Add\) computes with numbers off every binary grid",
    ),
    (
        lambda x: L.Rescaling(2.0, name="s")(L.ZeroPadding1D(1, name="p")(L.Reshape((2, 2), name="r")(x))),
        "input 'x' is padded before it is rescaled",
    ),
    (
        lambda x: QMultiHeadAttention(1, 2, name="m")(
            *[first(L.Reshape((2, 2))(x))] * 2, use_causal_mask=True
        ),
        r"layer 'm' \(QMultiHeadAttention\) is called with use_causal_mask",
    ),
    (
        lambda x: QMultiHeadAttention(1, 2, attention_axes=(1,), name="m")(
            *[first(L.Reshape((1, 2, 2))(x))] * 2
        ),
        r"use \(sequence, features\)",
    ),
    (
        lambda x: QEinsumDense(
            "ab,bc->ac", 3, activation="silu", iq_conf=wide(), kq_conf=weights(), name="e"
        )(x),
        r"an output is silu of a sum",
    ),
    (
        lambda x: QDense(1, iq_conf=few(), name="o")(
            QDense(3, activation="silu", iq_conf=wide(), kq_conf=weights(), name="e")(x)
        ),
        "quantizer 'o_iq' takes silu of .* codes, more than the 65536 of a table",
    ),
]


def wide() -> QuantizerConfig:
    return QuantizerConfig("kif", "datalane", i0=4, f0=8)


def weights() -> QuantizerConfig:
    return QuantizerConfig("kbi", "weight", b0=8, i0=0)


def few() -> QuantizerConfig:
    return QuantizerConfig("kif", "datalane", i0=2, f0=3)


@pytest.mark.parametrize(("build", "message"), MODELS)
def test_models_without_integers(build, message) -> None:
    x = keras.Input((4,), name="x")
    with keras_models.scope(overflow_mode="SAT"):
        model = keras.Model(x, build(x))
    keras.utils.set_random_seed(1)
    with pytest.raises(ValueError, match=message):
        fxsim.load(model)


def test_plain_weights_on_a_grid_are_taken(tmp_path, rng) -> None:
    """-1, +1, 0.375: real layers of Keras whose weights need few bits are exact as they are."""
    from keras_equal import mismatches

    x = keras.Input((4, 4, 2), name="x")
    y = L.Conv2D(3, 2, activation="relu", name="c")(first(x))
    y = L.Dense(2, name="d")(L.Flatten(name="f")(y))
    model = keras.Model(x, y)
    for v in model.weights:
        if v.name in ("kernel", "bias"):
            v.assign(rng.integers(-15, 16, v.shape).astype(np.float32) / 8)
    model.save(tmp_path / "m.keras")
    found = mismatches(fxsim.load(model), tmp_path / "m.keras", keras_models.samples(model, rng, 200))
    assert found == {"first": 0, "c": 0, "f": 0, "d": 0}


def test_negative_variance_and_scales(tmp_path) -> None:
    def change(file: h5py.File) -> None:
        v = file["layers/batch_normalization/vars/3"][()]
        file["layers/batch_normalization/vars/3"][...] = v * 0 - 1

    with pytest.raises(
        ValueError, match=r"layer 'bn' \(BatchNormalization\) has a variance and epsilon of 0"
    ):
        fxsim.load(keras_edit.weighted(tmp_path / "m.keras", "averages", change))
    x = keras.Input((4, 2), name="x")
    y = L.MaxPooling1D(2, name="p")(L.BatchNormalization(name="bn")(first(x)))
    model = keras.Model(x, y)
    model.get_layer("bn").gamma.assign([-1.0, 1.0])
    with pytest.raises(ValueError, match="takes the maximum of values with negative scales"):
        fxsim.load(model)
