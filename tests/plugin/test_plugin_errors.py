"""What the backend refuses: the error names the layer, its class, the attribute, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType, XnorPrecisionType
from random_layers import Layers

from fxsim.formats import Rounding
from hls.plugin.rules.activation import function
from hls.plugin.translate import REFUSED, RULES, rule
from hls.plugin.types import fmt


def depthwise_resource(z: Layers) -> None:
    z.conv(z.input(6, 5, 2), (2, 2), depthwise=True, strategy="Resource")


def depth_multiplier(z: Layers) -> None:
    z.conv(z.input(6, 5, 2), (2, 2), depthwise=True)
    z.layers[-1] |= {"n_filt": 4, "depth_multiplier": 2, "depthwise_data": z.numbers(2, 2, 2, 2),
                     "bias_data": z.numbers(4)}  # fmt: skip


def dilated(z: Layers) -> None:
    z.conv(z.input(9, 2), (2,))
    z.layers[-1]["dilation"] = 2


def channels_first(z: Layers) -> None:
    z.pool(z.input(6, 4, 2), "Max", (2, 2))
    z.layers[-1] |= {"data_format": "channels_first"}


def much_reuse(z: Layers) -> None:
    z.conv(z.input(9, 2), (2,), strategy="Resource", reuse=12)


def compressed(z: Layers) -> None:
    z.dense(z.input(6), 4, "Resource", 2)
    z.config[z.outputs[-1]]["Compression"] = True


def stream_padding(z: Layers) -> None:
    z.io_type = "io_stream"
    z.pool(z.input(6, 2), "Max", (3,), (2,), (1, 1))


def stream_stride(z: Layers) -> None:
    z.io_type = "io_stream"
    z.pool(z.input(6, 6, 2), "Max", (3, 3), (2, 2))


def stream_transpose(z: Layers) -> None:
    z.io_type = "io_stream"
    z.other("Transpose", z.input(4, 3), (4, 3), perm=[0, 1])


def bilinear(z: Layers) -> None:
    z.other(
        "Resize", z.input(4, 4, 1), (8, 8, 1), in_height=4, in_width=4, out_height=8, out_width=8, n_chan=1,
        data_format="channels_last", algorithm="bilinear",
    )  # fmt: skip


def fractional_index(z: Layers) -> None:
    z.other(
        "Embedding", z.input(5, type="fixed<8,4>"), (5, 2), n_in=5, n_out=2, vocab_size=4,
        embeddings_data=z.numbers(4, 2),
    )  # fmt: skip


def unknown_activation(z: Layers) -> None:
    z.activation(z.input(4), "swoosh")


def recurrent(z: Layers) -> None:
    z.other(
        "SimpleRNN", z.input(5, 3), (4,), n_out=4, n_in=3, activation="relu", recurrent_activation="relu",
        return_sequences=False, weight_data=z.numbers(3, 4), recurrent_weight_data=z.numbers(4, 4),
        bias_data=z.numbers(4), direction="forward", recurrent_bias_data=z.numbers(4), n_timesteps=5,
        return_state=False, pass_initial_states=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (depthwise_resource, r"'depthwiseconv2d1' \(DepthwiseConv2D\): Strategy must not be Resource"),
        (depth_multiplier, r"\(DepthwiseConv2D\): depth multiplier must not be 2; use 1"),
        (dilated, r"'conv1d1' \(Conv1D\): dilation must not be 2; use 1"),
        (channels_first, r"\(Pooling2D\): data_format must not be channels_first; use channels_last"),
        (much_reuse, r"\(Conv1D\): ReuseFactor must not be 12; use at most 4"),
        (compressed, r"\(Dense\): Compression must not be True; set it to False"),
        (stream_padding, r"\(Pooling1D\): padding must not be .* use valid padding"),
        (stream_stride, r"\(Pooling2D\): strides must not be \(2, 2\); use \(3, 3\)"),
        (stream_transpose, r"\(Transpose\): perm must not be \[0, 1\]; use \[1, 0\]"),
        (bilinear, r"\(Resize\): algorithm must not be bilinear; use nearest"),
        (fractional_index, r"\(Embedding\): input type must not be ap_fixed.* an integer type"),
        (unknown_activation, r"\(Activation\): activation must not be 'swoosh'; use one of .*relu"),
        (recurrent, r"'simplernn1' of class SimpleRNN has no rule .*a state and a loop.*rule"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)  # fmt: skip
def test_a_layer_that_cannot_be_translated(make: Callable[[Layers], None], text: str) -> None:
    z = Layers(0, "io_parallel")
    make(z)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = z.model("fxsim", "unused")
        with pytest.raises(NotImplementedError, match=text):
            model.compile()


def test_a_type_without_an_exact_form_names_the_layer() -> None:
    z = Layers(0, "io_parallel")
    z.dense(z.input(4), accum="float")
    with pytest.raises(
        NotImplementedError, match=r"\(Dense\): accum_t: precision must be fixed-point or integer"
    ):
        z.model("fxsim", "unused").compile()
    with pytest.raises(ValueError, match="precision must be a type, not auto"):
        from hls4ml.model.types import UnspecifiedPrecisionType

        fmt(UnspecifiedPrecisionType())


def test_formats_of_hls4mls_types() -> None:
    assert str(fmt(FixedPrecisionType(9, 4, False, "RND_CONV", "SAT_SYM"))) == (
        "ap_ufixed<9,4,AP_RND_CONV,AP_SAT_SYM,0>"
    )
    assert fmt(IntegerPrecisionType(5)).rounding is Rounding.TRN_ZERO
    assert (fmt(XnorPrecisionType()).width, fmt(XnorPrecisionType()).signed) == (1, False)


def test_one_rule_for_a_class() -> None:
    with pytest.raises(ValueError, match="layer class Dense has a rule already, dense"):
        rule("Dense")(lambda t, layer, xs: xs[0])
    with pytest.raises(ValueError, match="activation relu has a rule already"):
        function("relu")(lambda t, layer, xs: xs[0])
    assert not set(RULES) & set(REFUSED)


def test_a_rule_of_your_own(rng: np.random.Generator) -> None:
    RULES_before = dict(RULES)
    try:

        @rule("SimpleRNN")
        def last_step(t, layer, xs):  # type: ignore[no-untyped-def]
            w, form = t.weight(layer)
            return (xs[0][-1] @ t.constant(w, form.frac)).cast(t.result(layer))

        z = Layers(0, "io_parallel")
        recurrent(z)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert z.model("fxsim", "unused").predict(rng.normal(size=(3, 5, 3))).shape == (3, 4)
    finally:
        RULES.clear()
        RULES.update(RULES_before)


def test_a_rule_that_breaks_its_promise_is_an_error() -> None:
    before = RULES["Dense"]
    z = Layers(0, "io_parallel")
    z.dense(z.input(4), 3, result="fixed<4,2>")
    try:
        for wrong, text in (
            (lambda t, layer, xs: xs[0], r"must have shape \(3,\), not \(4,\)"),
            (lambda t, layer, xs: xs[0][:3] * 64, r"must lie in ap_fixed<4,2"),
        ):
            RULES["Dense"] = wrong
            with warnings.catch_warnings(), pytest.raises(RuntimeError, match=text):
                warnings.simplefilter("ignore", UserWarning)
                z.model("fxsim", "unused").compile()
    finally:
        RULES["Dense"] = before
