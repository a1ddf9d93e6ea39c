"""Random HGQ2 models built here: every quantizer and every output of the graph is Keras' own."""

from __future__ import annotations

import keras_models
import numpy as np
import pytest
from keras_equal import mismatches

import fxsim

SLOW = ("functions", "others", "sequence", "residual_cnn", "averages")


@pytest.mark.parametrize(
    ("family", "seed"), [(f, s) for f in sorted(keras_models.FAMILIES) for s in range(1 if f in SLOW else 3)]
)
def test_equal_at_every_node(family, seed, tmp_path) -> None:
    rng = np.random.default_rng([seed, *family.encode()])
    model = keras_models.FAMILIES[family](rng)
    model.save(tmp_path / "m.keras")
    graph = fxsim.load(tmp_path / "m.keras")
    x = keras_models.samples(model, rng, 1000)
    found = mismatches(graph, tmp_path / "m.keras", x)
    assert found == dict.fromkeys(found, 0)
    assert len(found) >= len(graph.outputs)


def test_live_model_is_its_file(rng, tmp_path) -> None:
    model = keras_models.mlp(rng)
    model.save(tmp_path / "m.keras")
    assert fxsim.load(model) == fxsim.load(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="example must be None for a Keras model"):
        fxsim.load(model, example=np.zeros((1, 6)))


def test_input_format_builds_the_quantizer_in(rng, tmp_path) -> None:
    model = keras_models.residual_cnn(rng)
    model.save(tmp_path / "m.keras")
    host, inside = fxsim.load(tmp_path / "m.keras"), fxsim.load(tmp_path / "m.keras", input=fxsim.SQ(6, 8))
    x = rng.integers(-(1 << 13), 1 << 13, (300, 6, 6, 2)) / 256
    assert inside.inputs[0].type.frac == 8
    for name, codes in inside.codes(x).items():
        if name != "image":
            assert np.array_equal(codes, host.codes(x)[name]), name


def test_two_quantizers_on_one_input(rng, tmp_path) -> None:
    import keras
    from hgq.layers import QDense

    with keras_models.scope(overflow_mode="SAT"):
        x = keras.Input((5,), name="x")
        outputs = [QDense(2, name="a")(x), QDense(2, name="b")(x)]
        model = keras_models.randomized(keras.Model(x, outputs), rng)
    model.save(tmp_path / "m.keras")
    with pytest.raises(
        ValueError, match=r"'b_iq' quantizes the input 'x' in a second way; pass input=Format"
    ):
        fxsim.load(tmp_path / "m.keras")
    graph = fxsim.load(tmp_path / "m.keras", input=fxsim.SQ(4, 8))
    data = [rng.integers(-2048, 2048, (1000, 5)) / 256]
    found = mismatches(graph, tmp_path / "m.keras", data)
    assert found == dict.fromkeys(found, 0)


def test_saved_graph_keeps_its_encoder(rng, tmp_path) -> None:
    model = keras_models.nested(rng)
    graph = fxsim.load(model)
    graph.save(tmp_path / "g.fxs")
    again = fxsim.load(tmp_path / "g.fxs")
    x = keras_models.samples(model, rng, 100)
    assert again == graph
    assert np.array_equal(again.run(*x), graph.run(*x))


def test_models_without_an_input_layer_and_with_dicts(rng, tmp_path) -> None:
    import keras
    from hgq.layers import QAdd, QDense

    with keras_models.scope(overflow_mode="SAT"):
        lazy = keras.Sequential([QDense(3, name="a"), QDense(2, name="b")])
        lazy(np.zeros((1, 5), np.float32))
        one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
        total = QAdd(name="sum")([two, one])
        dicts = keras.Model({"one": one, "two": two}, {"y": QDense(2, name="y")(total), "z": total})
    for model, names in ((lazy, ["input_layer"]), (dicts, ["one", "two"])):
        keras_models.randomized(model, rng).save(tmp_path / "m.keras")
        graph = fxsim.load(tmp_path / "m.keras")
        assert [i.name for i in graph.inputs] == names or len(names) == 1
        x = [rng.normal(0, 1, (200, *i.type.shape)).astype(np.float32) for i in graph.inputs]
        given = dict(zip(("one", "two"), x, strict=True)) if len(x) > 1 else x[0]
        expected = model(given, training=False)
        expected = [expected[k] for k in ("y", "z")] if isinstance(expected, dict) else [expected]
        found = graph.run(*x)
        found = found if isinstance(found, tuple) else (found,)
        for ours, keras_own in zip(found, expected, strict=True):
            assert np.array_equal(ours, keras.ops.convert_to_numpy(keras_own))


def test_calls_in_training_mode_are_refused(rng) -> None:
    import keras
    from hgq.layers import QDense

    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.BatchNormalization(name="bn")(QDense(2)(x), training=True))
    with pytest.raises(ValueError, match=r"layer 'bn' .* is called with training=True"):
        fxsim.load(model)
