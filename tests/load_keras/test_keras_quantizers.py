"""Quantizers of HGQ2 one by one: modes, shorthands, scales, on the host, in the graph, and on weights."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import keras_models
import numpy as np
import pytest
from hgq.config import QuantizerConfig
from hgq.layers import QDense
from hgq.quantizer import Quantizer
from hgq.quantizer.config import HardSigmoidConfig, HardTanhConfig
from keras_equal import mismatches

import fxsim
from fxsim.encoders import ElementEncoder
from fxsim.host import HostStep, SteppedEncoder
from fxsim.integers import IntArray
from fxsim.load.keras.quantizer import OVERFLOWS, ROUNDINGS

FINE = {"q_type": "kif", "place": "datalane"}


def equal(model: Any, rng: np.random.Generator, path: Any, n: int) -> int:
    """The number of names that are equal to Keras; every one must be."""
    model.save(path / "m.keras")
    found = mismatches(fxsim.load(path / "m.keras"), path / "m.keras", keras_models.samples(model, rng, n))
    assert found == dict.fromkeys(found, 0)
    return len(found)


def checked(rng: np.random.Generator, path: Any, *configs: QuantizerConfig, **dense: Any) -> int:
    """A chain of quantizers (and a dense layer) against Keras."""
    x = y = keras.Input((24,), name="x")
    for i, config in enumerate(configs):
        y = Quantizer(config, name=f"q{i}")(y)
    if dense:
        y = QDense(6, name="d", **dense)(y)
    return equal(keras_models.randomized(keras.Model(x, y, name="m"), rng), rng, path, 300)


def test_modes_on_host_and_inside(rng, tmp_path) -> None:
    """All modes at once: each quantizes an input of its own, and the codes of a finer quantizer."""
    modes = list(product(ROUNDINGS, OVERFLOWS, ("kif", "kbi")))
    inputs = [keras.Input((24,), name=f"x{i}") for i in range(len(modes))]
    fine = Quantizer(QuantizerConfig(**FINE), name="fine")(keras.Input((24,), name="x"))
    outputs = []
    for i, (x, (rounding, overflow, q_type)) in enumerate(zip(inputs, modes, strict=True)):
        config = QuantizerConfig(q_type, "datalane", round_mode=rounding, overflow_mode=overflow)
        outputs += [Quantizer(config, name=f"host{i}")(x), Quantizer(config, name=f"inside{i}")(fine)]
    start = fine._keras_history.operation.input
    model = keras_models.randomized(keras.Model([start, *inputs], outputs, name="m"), rng)
    assert equal(model, rng, tmp_path, 400) == 2 * len(modes) + 1


def test_modes_on_weights(rng, tmp_path) -> None:
    x = keras.Input((24,), name="x")
    fine = Quantizer(QuantizerConfig(**FINE), name="fine")(x)
    outputs = []
    for i, (rounding, overflow) in enumerate(product(ROUNDINGS, OVERFLOWS)):
        kinds = {"round_mode": rounding, "overflow_mode": overflow}
        kernel, bias = ("kif", "kbi") if i % 2 else ("kbi", "kif")
        kq, bq = QuantizerConfig(kernel, "weight", **kinds), QuantizerConfig(bias, "bias", **kinds)
        outputs.append(QDense(3, kq_conf=kq, bq_conf=bq, name=f"d{i}")(fine))
    model = keras_models.randomized(keras.Model(x, outputs, name="m"), rng)
    assert equal(model, rng, tmp_path, 100) == 2 * len(outputs) + 1


@pytest.mark.parametrize(
    "config",
    [
        lambda: QuantizerConfig(**FINE, trainable=False),
        lambda: QuantizerConfig("kbi", "datalane", trainable=False, overflow_mode="SAT"),
        lambda: QuantizerConfig(**FINE, heterogeneous_axis=()),
        lambda: QuantizerConfig(**FINE, scaler=0.25),
        lambda: QuantizerConfig(**FINE, scaler=3.0),
        lambda: QuantizerConfig(**FINE, affine=(0.25, 0.5)),
        lambda: QuantizerConfig(**FINE, affine=(-2, 1.5)),
        lambda: QuantizerConfig(**FINE, affine=(-0.3, 0.1)),
        lambda: QuantizerConfig(**FINE, qnoise_factor=0.5),
        lambda: HardTanhConfig(),
        lambda: HardTanhConfig(symmetric=True),
        lambda: HardSigmoidConfig(),
    ],
)
def test_shorthands_and_scales(config, rng, tmp_path) -> None:
    assert checked(rng, tmp_path, config()) == 1
    assert checked(rng, tmp_path, QuantizerConfig(**FINE), config()) == 2


def test_dummy_does_nothing(rng, tmp_path) -> None:
    assert checked(rng, tmp_path, QuantizerConfig(**FINE), QuantizerConfig("dummy")) == 2


def test_wrapping_weights_that_are_not_trained(rng, tmp_path) -> None:
    config = QuantizerConfig("kif", "weight", overflow_mode="WRAP", trainable=False)
    assert checked(rng, tmp_path, QuantizerConfig(**FINE), kq_conf=config) == 3


def test_scaled_weights(rng, tmp_path) -> None:
    confs = {
        "kq_conf": QuantizerConfig("kif", "weight", scaler=0.5),
        "bq_conf": QuantizerConfig("kbi", "bias", affine=(2.0, 1.0)),
    }
    assert checked(rng, tmp_path, QuantizerConfig(**FINE), **confs) == 3


@pytest.mark.parametrize("signed", [True, False])
def test_floats_next_to_ties(signed, tmp_path) -> None:
    """The host's rule is float32 to the last bit, also where x + 1/2 is rounded itself."""
    ties = np.arange(-20, 20, dtype=np.float32) / np.float32(8)
    x = np.concatenate([ties, np.nextafter(ties, np.float32(9)), np.nextafter(ties, np.float32(-9))])
    x = np.concatenate([x, [0.49999997, -0.49999997, 1e-30, -1e-30, 1e6, -1e6, 12345.678]]).astype(np.float32)
    modes = list(product(ROUNDINGS, OVERFLOWS))
    inputs = [keras.Input((1,), name=f"x{i}") for i in range(len(modes))]
    outputs = []
    for i, (rounding, overflow) in enumerate(modes):
        kinds = {"round_mode": rounding, "overflow_mode": overflow, "k0": signed, "i0": 1, "f0": 2}
        outputs.append(Quantizer(QuantizerConfig("kif", "datalane", **kinds), name=f"q{i}")(inputs[i]))
    keras.Model(inputs, outputs, name="m").save(tmp_path / "m.keras")
    graph = fxsim.load(tmp_path / "m.keras")
    found = mismatches(graph, tmp_path / "m.keras", [x[:, None]] * len(modes))
    assert found == {f"q{i}": 0 for i in range(len(modes))}


def test_encoder_errors() -> None:
    one = IntArray(4)
    for changes, message in (
        ({"overflow": "SAT_ZERO"}, "overflow must be WRAP, SAT or SAT_SYM, not SAT_ZERO"),
        ({"width": IntArray(-1)}, "width must not be negative, not -1"),
    ):
        with pytest.raises(ValueError, match=message):
            ElementEncoder(**{"frac": one, "width": one, "signed": IntArray(1)} | changes)
    encoder = SteppedEncoder((HostStep("Mul", (1e30,)),), ElementEncoder(one, IntArray(8), IntArray(1)))
    assert encoder.encode(np.array([1e-30, -2e-30]), "x").tolist() == [16, -32]
    with pytest.raises(ValueError, match=r"input 'x' must stay within float32 where it is .* index \(1,\)"):
        encoder.encode(np.array([0.0, 1e30]), "x")
    with pytest.raises(ValueError, match="rounding must be a mode of ap_fixed, not RND_CONV_ODD"):
        ElementEncoder(one, one, IntArray(1), rounding="RND_CONV_ODD").encode(np.zeros(1), "x")
