"""predict and trace: hls4ml's shapes, dtypes and input rounding; errors for what hls4ml would misread."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hls4ml.utils.serialization import deserialize_model
from random_layers import Layers

from fxsim import Format
from fxsim.casting import from_double
from hls.plugin.model import FxsimModel
from hls.plugin.types import fmt, from_real, from_text, to_real


def identity(*types: str, shape: tuple[int, ...] = (4,)) -> Layers:
    """A model that hands its inputs out in a wide type."""
    z = Layers(0, "io_parallel")
    for t in types:
        z.activation(z.input(*shape, type=t), "linear", types={"result": "fixed<30,12>"})
    return z


def predict(z: Layers, x: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return z.model("fxsim", "unused").predict(x)


def test_the_backend_is_found_without_an_import() -> None:
    code = "import hls4ml; print('fxsim' in hls4ml.backends.get_available_backends())"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.split()[-1] == "True"


def test_shapes_and_dtypes_are_those_of_hls4ml(rng: np.random.Generator) -> None:
    one, x = identity("fixed<16,6>", shape=(2, 3)), rng.integers(-99, 99, (5, 2, 3)) / 8
    for dtype in (np.float32, np.float64):
        y = predict(one, x.astype(dtype))
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, x.reshape(5, 6))
        np.testing.assert_array_equal(predict(one, x.reshape(5, 6).astype(dtype)), x.reshape(5, 6))
        for single in (x[:1], x[0], x[0].ravel(), x[:1].reshape(1, 6)):
            np.testing.assert_array_equal(predict(one, single.astype(dtype)), x[0].ravel())
    np.testing.assert_array_equal(predict(one, [x]), x.reshape(5, 6))
    assert predict(one, x[:0]).shape == (0, 6)
    two = identity("fixed<16,6>", "fixed<12,4>")
    a, b = rng.integers(-9, 9, (2, 3, 4)) / 4
    y = predict(two, [a, b])
    np.testing.assert_array_equal(y[0], a)
    np.testing.assert_array_equal(y[1], b)
    y = predict(two, [a[:1], b[:1]])
    assert [v.shape for v in y] == [(4,), (4,)]


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.ones((20, 8)), ValueError, r"input 'inputlayer0' must have shape \(samples, 4\), flat"),
        (np.ones((3, 5)), ValueError, r"or that of one sample, not \(3, 5\)"),
        (np.ones(3), ValueError, r"not \(3,\)"),
        (np.ones((3, 4), int), TypeError, "must be float32 or float64, not int64"),
        (np.ones((3, 4), np.float16), TypeError, "not float16"),
    ],
)  # fmt: skip
def test_bad_input_names_what_is_wrong(x: np.ndarray, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        predict(identity("fixed<16,6>"), x)


def test_several_inputs_are_counted() -> None:
    two = identity("fixed<16,6>", "fixed<12,4>")
    with pytest.raises(ValueError, match="list of 2 arrays, one per input, not ndarray"):
        predict(two, np.ones((3, 4)))
    with pytest.raises(ValueError, match="list of 2 arrays, one per input, not 1"):
        predict(two, [np.ones((3, 4))])
    with pytest.raises(ValueError, match=r"same number of samples, not \[3, 2\]"):
        predict(two, [np.ones((3, 4)), np.ones((2, 4))])


def test_what_is_no_number_or_beyond_the_type(rng: np.random.Generator) -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 1e300]])
    np.testing.assert_array_equal(predict(identity("fixed<16,6>"), x), [0, 0, 0, 0])
    top = 32 - 2.0**-10
    np.testing.assert_array_equal(predict(identity("fixed<16,6,TRN,SAT>"), x), [top, top, -32, top])
    np.testing.assert_array_equal(
        predict(identity("fixed<16,6>"), np.array([[32.0, 33, 63.5, 100.25]])), [-32, -31, -0.5, -27.75]
    )


def test_ap_int_makes_one_of_small_negative_numbers() -> None:
    x = np.array([[-0.25, -0.5, -0.75, 2.9]])
    np.testing.assert_array_equal(predict(identity("int<6>"), x), [1, 0, 0, 2])


def test_trace_has_the_layers_that_ask_for_it(rng: np.random.Generator) -> None:
    z = Layers(3, "io_parallel")
    y = z.dense(z.input(6), tight=True)
    z.activation(y, "relu")
    z.outputs = z.outputs[1:]
    z.config[y]["Trace"] = True
    x = rng.normal(size=(9, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = z.model("fxsim", "unused")
        out, traced = model.trace(x)
    np.testing.assert_array_equal(out, model.predict(x))
    assert set(traced) == {y}
    form = fmt(z.config[y]["Precision"]["result"])
    inner = traced[y]
    assert inner.shape == (9, 4)
    z.outputs = [y]
    np.testing.assert_array_equal(predict(z, x), inner)
    codes = np.ldexp(inner, form.frac)
    assert np.array_equal(codes, np.rint(codes))


def test_a_saved_model_predicts_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    z = Layers(4, "io_parallel")
    z.dense(z.input(6))
    x = rng.normal(size=(5, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = z.model("fxsim", tmp_path / "project")
        y = model.predict(x)
        model.save(str(tmp_path / "model.fml"))
        again = deserialize_model(str(tmp_path / "model.fml"), str(tmp_path / "other"))
        np.testing.assert_array_equal(again.predict(x), y)
    assert isinstance(again, FxsimModel)
    assert again.integer_graph == model.integer_graph


def test_weights_are_rounded_in_decimal_first() -> None:
    # 0.749 has 6 digits in a type with 6 fraction bits, and 2 in one with 2: 0.75 is a code, 0.5 the floor.
    assert from_text(np.array([0.749]), "fixed<8,6>").tolist() == [3]
    assert from_text(np.array([-0.0005]), "fixed<16,6>").tolist() == [-1]
    assert from_text(np.array([2.5, 3.5, -0.4]), "int<4>").tolist() == [2, 4, 0]


def test_reals_are_rounded_once(rng: np.random.Generator) -> None:
    raw = np.array([2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**60 + 2**36 + 1], dtype=object)
    want = [2.0**24, 2.0**24 + 4, -(2.0**24), 2.0**60 + 2.0**37]
    np.testing.assert_array_equal(to_real(raw, 0, np.float32), np.array(want, np.float32))
    assert to_real(np.array([2**70 + 1], object), 70, np.float64).tolist() == [1.0]
    x = rng.normal(size=100) * 40
    form = Format(9, 4, rounding="RND_CONV")
    np.testing.assert_array_equal(from_real(x, form), from_double(x, form))
