"""Where reals enter and leave: int8 and float inputs, QUANTIZE, DEQUANTIZE, input formats, names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tflite_writer import Writer, codes_of, interpreter, litert

import fxsim


def float_model(rng: np.random.Generator, path: Path, scale: float = 0.25, zero: int = 3) -> Path:
    w = Writer()
    x, q = w.tensor("x", (1, 6), dtype=np.float32), w.tensor("q", (1, 6), scale, zero)
    y, r = w.tensor("y", (1, 4), 0.7, -5), w.tensor("r", (1, 4), dtype=np.float32)
    weight = w.constant("w", rng.integers(-127, 128, (4, 6), dtype=np.int8), 0.02)
    w.op("QUANTIZE", [x], [q], kind="QuantizeOptions")
    w.op("FULLY_CONNECTED", [q, weight], [y], kind="FullyConnectedOptions")
    w.op("DEQUANTIZE", [y], [r], kind="DequantizeOptions")
    w.ends([x], [r])
    return w.save(path)


def reals(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Random reals, exact ties on both sides of zero, and what saturates."""
    x = rng.normal(0, 20 * scale, (60, 6)).astype(np.float32)
    x[:20] = ((rng.integers(-300, 300, (20, 6)) + 0.5) * scale).astype(np.float32)
    x[20, 0], x[20, 1] = 1e8 * scale, -1e8 * scale  # beyond int32 the runtime's conversion is undefined
    return x


@pytest.mark.parametrize(("scale", "zero"), [(0.25, 3), (0.0037, -128), (0.1, 127), (1.0, 0)])
def test_float_in_and_out(rng: np.random.Generator, tmp_path: Path, scale: float, zero: int) -> None:
    path = float_model(rng, tmp_path / "f.tflite", scale, zero)
    graph, x = fxsim.load(path), reals(rng, scale)
    found = interpreter(path)
    codes, y = graph.codes(x), graph.run(x)
    assert graph.names["x"].value is None and "host" in graph.names["x"].reason
    assert [i.name for i in graph.inputs] == ["x"] and graph.output_names == ("r",)
    for k in range(len(x)):
        found.set_tensor(0, x[k : k + 1])
        found.invoke()
        assert np.array_equal(codes["q"][k], found.get_tensor(1)[0])
        assert np.array_equal(codes["y"][k], found.get_tensor(2)[0])
        assert np.array_equal(y[k].astype(np.float32), found.get_tensor(3)[0])


def test_a_format_puts_the_quantizer_into_the_graph(rng: np.random.Generator, tmp_path: Path) -> None:
    for name, path in (
        ("x", float_model(rng, tmp_path / "f.tflite", 0.25, 3)),
        ("q", int8_model(tmp_path / "i.tflite")),
    ):
        inside = fxsim.load(path, input=fxsim.SQ(6, 8))
        assert inside.inputs[0].name == name and inside.inputs[0].type.frac == 8
        x = rng.integers(-(1 << 13), 1 << 13, (100, *inside.inputs[0].type.shape)) / 256
        assert np.array_equal(inside.run(x), fxsim.load(path).run(x))
        assert np.array_equal(inside.codes(x)["y"], fxsim.load(path).codes(x)["y"])


def int8_model(path: Path) -> Path:
    w = Writer()
    q, y = w.tensor("q", (1, 4), 0.125, -7), w.tensor("y", (1, 4), 0.3, 2)
    w.op("QUANTIZE", [q], [y], kind="QuantizeOptions")
    w.ends([q], [y])
    return w.save(path)


def test_real_values_of_an_int8_model(tmp_path: Path) -> None:
    graph = fxsim.load(int8_model(tmp_path / "i.tflite"))
    # 0.0625 / 0.125 is a tie, which goes away from zero: -1 - 7 and 1 - 7.
    codes = graph.codes(np.array([[-0.0625, 0.0625, 0.0624, 99.0]]))
    assert codes["q"].tolist() == [[-8, -6, -7, 127]]
    affine = graph.output_affines[0]
    assert affine.scale == (Fraction(float(np.float32(0.3))),)
    assert affine.offset == (-2 * Fraction(float(np.float32(0.3))),)
    y = graph.run_raw(np.array([[-7, 1, 8, -128]]))
    assert np.array_equal(graph.run(np.array([[0.0, 1.0, 1.875, -15.125]])), (y - 2) * float(np.float32(0.3)))


def test_two_inputs_in_the_order_of_the_file(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    a, b = w.tensor("a", (1, 3), dtype=np.float32), w.tensor("b", (1, 3), 0.5, 1)
    q, y = w.tensor("q", (1, 3), 0.25, 3), w.tensor("y", (1, 3), 0.5, 0)
    w.op("QUANTIZE", [a], [q], kind="QuantizeOptions")
    w.op("ADD", [b, q], [y], kind="AddOptions")
    w.ends([a, b], [y])
    graph = fxsim.load(w.save(tmp_path / "t.tflite"))
    assert [i.name for i in graph.inputs] == ["a", "b"]
    assert graph.run([[1.0, 2.0, 3.0]], [[0.5, 0.5, 0.5]]).tolist() == [[1.5, 2.5, 3.5]]


def test_tensors_of_one_name_and_of_none(tmp_path: Path) -> None:
    w = Writer()
    x, a, y = w.tensor("t", (1, 3), 0.5, 1), w.tensor("t", (1, 3), 0.25, 0), w.tensor("", (1, 3), 0.25, 3)
    w.op("QUANTIZE", [x], [a], kind="QuantizeOptions")
    w.op("RELU", [a], [y])
    w.ends([x], [y])
    graph = fxsim.load(w.save(tmp_path / "n.tflite"))
    assert list(graph.names) == ["t", "t_1", "tensor_2"]


def test_an_output_that_is_an_input_and_one_given_twice(tmp_path: Path) -> None:
    w = Writer()
    x, y = w.tensor("x", (1, 3), 0.5, 1), w.tensor("y", (1, 3), 0.25, 0)
    w.op("QUANTIZE", [x], [y], kind="QuantizeOptions")
    w.ends([x], [y, x])
    graph = fxsim.load(w.save(tmp_path / "n.tflite"))
    assert graph.output_names == ("y", "x")
    assert graph.run([[0.5, 1.0, 2.0]])[1].tolist() == [[0.5, 1.0, 2.0]]


def test_the_verilog_of_a_small_network(rng: np.random.Generator, tmp_path: Path) -> None:
    import rtl

    path = float_model(rng, tmp_path / "f.tflite", 0.25, 3)
    graph = fxsim.load(path)
    core = rtl.build(graph)
    assert core.adders > 0 and "module" in core.verilog()


def test_values_far_beyond_the_codes_saturate(tmp_path: Path) -> None:
    graph = fxsim.load(int8_model(tmp_path / "i.tflite"))
    assert graph.codes(np.array([[3e38, -3e38, 1e30, -1e39]]))["q"].tolist() == [[127, -128, 127, -128]]


def test_uint8_ends_around_an_int8_model(rng: np.random.Generator, tmp_path: Path) -> None:
    for scales in ((0.1, 0.1, 0.2, 0.2), (0.1, 0.07, 0.2, 0.31)):
        w = Writer()
        u = w.tensor("u", (1, 6), scales[0], 131, np.uint8)
        q, y = w.tensor("q", (1, 6), scales[1], 3), w.tensor("y", (1, 4), scales[2], -5)
        v = w.tensor("v", (1, 4), scales[3], 123, np.uint8)
        weight = w.constant("w", rng.integers(-127, 128, (4, 6), dtype=np.int8), 0.02)
        w.op("QUANTIZE", [u], [q], kind="QuantizeOptions")
        w.op("FULLY_CONNECTED", [q, weight], [y], kind="FullyConnectedOptions")
        w.op("QUANTIZE", [y], [v], kind="QuantizeOptions")
        w.ends([u], [v])
        path = w.save(tmp_path / "u.tflite")
        graph = fxsim.load(path)
        assert graph.inputs[0].type.bounds == (0, 255) and graph.outputs[0].type.bounds[0] >= 0
        raw = rng.integers(0, 256, (100, 6))
        got, want = codes_of(graph, raw), litert(path, raw)
        assert all(np.array_equal(got[k], want[k][:, 0]) for k in got)
        assert graph.codes(np.array([[-13.1, 12.5, 0.0, 0.0, 99.0, 0.05]]))["u"][0].tolist() == [
            0,
            255,
            131,
            131,
            255,
            132,
        ]


def test_an_open_axis_other_than_the_batch(tmp_path: Path) -> None:
    w = Writer()
    x, y = w.tensor("x", (1, 1, 4), 0.1, 3, signature=(-1, -1, 4)), w.tensor("y", (1, 1, 4), 0.1, 3)
    w.op("RELU", [x], [y])
    w.ends([x], [y])
    with pytest.raises(ValueError, match=r"input 'x' has a dynamic shape \(axes \[1\] are open\)"):
        fxsim.load(w.save(tmp_path / "o.tflite"))


def test_weights_behind_the_flatbuffer(rng: np.random.Generator, tmp_path: Path) -> None:
    """Files of 2 GB and more keep their buffers there; so may small ones."""
    w = Writer()
    codes = rng.integers(-127, 128, (4, 6), dtype=np.int8)
    x, y = w.tensor("x", (1, 6), 0.1, 3), w.tensor("y", (1, 4), 0.4, 3)
    weight = w.tensor("w", (4, 6), 0.02)
    w.op("FULLY_CONNECTED", [x, weight], [y], kind="FullyConnectedOptions")
    w.ends([x], [y])
    buffer = type(w.model.buffers[0])()
    w.model.buffers.append(buffer)
    w.graph.tensors[weight].buffer = 1
    buffer.offset, buffer.size = 4096, 24
    content = w.bytes()
    path = tmp_path / "b.tflite"
    path.write_bytes(content + bytes(4096 - len(content)) + codes.tobytes())
    raw = rng.integers(-128, 128, (50, 6))
    assert np.array_equal(fxsim.load(path).run_raw(raw), litert(path, raw)["y"][:, 0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"b\.tflite is truncated: buffer 1 ends beyond it"):
        fxsim.load(path)


def test_one_tensor_twice_among_the_outputs(tmp_path: Path) -> None:
    w = Writer()
    x, y = w.tensor("x", (1, 3), 0.5, 1), w.tensor("y", (1, 3), 0.25, 0)
    w.op("QUANTIZE", [x], [y], kind="QuantizeOptions")
    w.ends([x], [y, y])
    graph = fxsim.load(w.save(tmp_path / "t.tflite"))
    assert graph.output_names == ("y", "y_1")
