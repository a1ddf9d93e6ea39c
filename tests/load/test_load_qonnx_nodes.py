"""Single nodes of QONNX and FINN with random parameters, every result equal to qonnx's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from qonnx_oracle import tensors
from small_models import node, quant, write
from trained import file

from fxsim import Format, load

F32 = np.float32
ROUNDINGS = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
LAST = "qonnx.custom_op.channels_last"
DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def custom(op: str, inputs: str, outputs: str, domain: str = DOMAINS[0], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(
        op, inputs.split(), outputs.split(), name=f"n_{outputs}", domain=domain, **attributes
    )


def check(
    path: Path, x: np.ndarray, input: Format | None = None, shapes: dict[str, tuple[int, ...]] | None = None
) -> None:
    """Outputs and all named integers as real values, equal to qonnx's float32; `shapes` of tensors that it
    cannot infer."""
    from qonnx.custom_op.registry import add_domain_alias

    add_domain_alias("finn.custom_op.general", "qonnx.custom_op.general")
    graph = load(path, input=input)
    values = tensors(path, x) if shapes is None else shaped_tensors(path, x, shapes)
    assert np.array_equal(graph.run(x).astype(F32), values[graph.output_names[0]])
    for name, codes in graph.codes(x).items():
        n = graph.names[name]
        real = n.affine.apply(np.asarray(codes), n.value.type.frac, n.value.type.ndim)
        assert np.array_equal(real.astype(F32), values[name]), name


def shaped_tensors(path: Path, x: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """qonnx's tensors of a file of one sample, where it has to be told shapes."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    model = ModelWrapper(str(path))
    for name, shape in shapes.items():
        model.set_tensor_shape(name, shape)
    return dict(execute_onnx(model, {"x": x}, return_full_exec_context=True))


def versioned(path: Path, version: int) -> Path:
    """The file with this version of the custom ops."""
    proto = onnx.load(str(path))
    del proto.opset_import[:]
    versions = {"": 20, LAST: 14, **dict.fromkeys(DOMAINS, version)}
    proto.opset_import.extend(helper.make_opsetid(d, v) for d, v in versions.items())
    path.write_bytes(proto.SerializeToString())
    return path


def pow2(rng: np.random.Generator, low: int = -3, high: int = 2) -> np.float32:
    return F32(2.0 ** rng.integers(low, high))


def quarters(rng: np.random.Generator, shape: tuple[int, ...], top: int = 40) -> np.ndarray:
    """Multiples of 1/8: many exact ties."""
    return (rng.integers(-top * 8, top * 8, shape) / 8).astype(F32)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [0, 1])
def test_quant(tmp_path, rng, rounding, signed) -> None:
    """Host's quantizer, then one on codes: all roundings, narrow, zero points, bits, scales per channel."""
    for _ in range(2):
        shape = (1, 3, 4)
        per = (1, 3, 1) if rng.random() < 0.5 else ()
        constants = {
            "s": np.asarray(2.0 ** rng.integers(-3, 1, per), F32), "z": F32(rng.integers(-3, 4)),
            "b": F32(rng.integers(2, 8)), "s2": np.asarray(2.0 ** rng.integers(-2, 3, per), F32),
            "z2": np.asarray(rng.integers(-3, 4, per), F32), "b2": F32(rng.integers(1 + signed, 6)),
        }  # fmt: skip
        extra = {"rounding_mode": rounding, "narrow": int(rng.integers(2))}
        nodes = [
            quant("x", "a", signed=1, **extra),
            custom(
                "IntQuant" if rng.random() < 0.5 else "Quant", "a s2 z2 b2", "y",
                DOMAINS[rng.integers(3)], signed=signed, **extra,
            ),
        ]  # fmt: skip
        path = write(tmp_path, nodes, constants, shape)
        check(path, quarters(rng, (64, *shape[1:])))
        check(path, quarters(rng, (64, *shape[1:]), 15), Format.parse("fixed<12,5>"))


@pytest.mark.parametrize("domain", DOMAINS)
def test_bipolar_quant(tmp_path, rng, domain) -> None:
    """Of the input by the host, of an activation, of weights; and a signed Quant of one bit, with a zero
    point."""
    w = quarters(rng, (5, 3), 2)
    w[0] = 0
    nodes = [
        custom("BipolarQuant", "x s", "a", domain),
        custom("BipolarQuant", "w s2", "wq", domain),
        node("MatMul", "a wq", "m"),
        custom("BipolarQuant", "m s2", "c", domain),
        node("Mul", "c s", "d"),
        custom("Quant", "d s z one", "y", domain, signed=1, narrow=0, rounding_mode="ROUND"),
    ]
    constants = {"s": F32(0.5), "s2": F32(2), "w": w, "z": F32(1), "one": F32(1)}
    path = write(tmp_path, nodes, constants, (1, 5))
    x = quarters(rng, (200, 5), 1)
    check(path, x)
    check(path, x, Format.parse("fixed<12,5>"))
    assert load(path).inputs[0].type.max_width == 1


def test_bits_per_channel(tmp_path, rng) -> None:
    """qonnx's executor takes one bit width, so each channel of ours is compared with a file of its own."""
    bits = np.array([1, 2, 3, 6], F32)
    scale = np.array([1, 0.5, 0.75, 0.375], F32)
    x = quarters(rng, (500, 4), 12)
    w = np.array([1, -0.5, 0.25, 7], F32)
    for signed in (0, 1):
        b = bits + signed

        def nodes(signed=signed):
            return [
                quant("x", "a", "s", "z", "b", signed=signed), quant("w", "wq", "s", "z", "b", signed=signed),
                quant("a", "c", "s2", "z", "b", signed=signed), node("Add", "c wq", "y"),
            ]  # fmt: skip

        constants = {"s": scale, "z": F32(0), "b": b, "s2": 2 * scale, "w": w}
        path = write(tmp_path, nodes(), constants)
        codes = load(path).codes(x)
        inside = load(path, input=Format.parse("fixed<12,5>")).codes(x)
        for c in range(4):
            one = {k: v[c] if np.ndim(v) else v for k, v in constants.items()}
            values = tensors(write(tmp_path, nodes(), one, (1, 1), name="c.onnx"), x[:, c : c + 1])
            for name, s in (("a", scale[c]), ("c", 2 * scale[c])):
                expected = np.rint(values[name][:, 0] / s)
                assert np.array_equal(codes[name][:, c], expected), (name, c)
                assert np.array_equal(inside[name][:, c], expected), (name, c)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("version", [1, 2])
def test_trunc(tmp_path, rng, rounding, version) -> None:
    for _ in range(3):
        scale, zero, signed = pow2(rng), F32(rng.integers(-4, 5)), int(rng.integers(2))
        drop = int(rng.integers(0, 5))
        constants = {
            "s": scale, "z": zero, "b": F32(8), "out": F32(8 - drop), "wide": F32(11),
            "os": np.asarray(scale * 2.0**drop, F32),
        }  # fmt: skip
        extra = {"rounding_mode": rounding}
        if version == 2:
            extra |= {"signed": signed, "narrow": int(rng.integers(2))}
        inputs = "d s z wide out" if version == 1 else "d s z wide os out"
        nodes = [
            quant("x", "a", "s", "z", signed=signed), node("Add", "a a", "d"),
            custom("Trunc", inputs, "y", DOMAINS[rng.integers(2)], **extra),
        ]  # fmt: skip
        path = versioned(write(tmp_path, nodes, constants, (1, 6)), version)
        check(path, quarters(rng, (300, 6), 200))


@pytest.mark.parametrize("rounding", ["FLOOR", "ROUND", "CEIL"])
def test_trunc_rounds_twice(tmp_path, rng, rounding) -> None:
    """x / scale that is no whole number is rounded to even first, as in the reference."""
    constants = {
        "s": F32(0.125), "z": F32(0), "b": F32(10), "half": F32(0.5), "four": F32(4), "eight": F32(8),
    }  # fmt: skip
    nodes = [
        quant("x", "a"), node("Add", "a s", "d"),
        custom("Trunc", "d half z eight four", "y", rounding_mode=rounding),
    ]  # fmt: skip
    check(versioned(write(tmp_path, nodes, constants, (1, 6)), 1), quarters(rng, (500, 6)))


@pytest.mark.parametrize("layout", ["", "NC", "NCHW", "NHWC", "NWC"])
def test_multithreshold(tmp_path, rng, layout) -> None:
    """Random thresholds (unsorted, repeated, beyond reach), per tensor and per channel, every layout."""
    shape = {"": (1, 3, 2, 2), "NC": (1, 3), "NCHW": (1, 3, 2, 2), "NHWC": (1, 2, 2, 3), "NWC": (1, 4, 3)}[
        layout
    ]
    for k in range(6):
        rows, domain = 3 if k % 2 else 1, DOMAINS[k % 3]
        constants = {
            "s": F32(0.5), "z": F32(0), "b": F32(6), "t": quarters(rng, (rows, 5), 18),
            "g": np.asarray(2.0 ** rng.integers(-2, 2), F32) * (-1) ** int(rng.integers(2)),
        }  # fmt: skip
        scale, bias = [(1.0, 0.0), (2.0, -1.0), (0.25, -2.0), (0.375, 0.5), (-1.0, 3.0)][rng.integers(5)]
        nodes = [
            quant("x", "a"), node("Mul", "a g", "d"), node("Relu", "d", "r"),
            custom(
                "MultiThreshold", "r t" if rng.random() < 0.4 else "d t", "y", domain,
                out_dtype="INT8", out_scale=scale, out_bias=bias, data_layout=layout,
            ),
        ]  # fmt: skip
        path = write(tmp_path, nodes, constants, shape)
        check(path, quarters(rng, (100, *shape[1:])))
        host = [
            custom(
                "MultiThreshold", "x t", "y", domain, out_dtype="INT8", out_scale=scale, out_bias=bias,
                data_layout=layout,
            )
        ]  # fmt: skip
        check(write(tmp_path, host, constants, shape), quarters(rng, (100, *shape[1:])))


def test_multithreshold_of_infinities_and_of_constants(tmp_path, rng) -> None:
    constants = {
        "s": F32(0.5), "z": F32(0), "b": F32(6), "t": np.array([[-np.inf, 0.25, np.inf]], F32),
        "c": quarters(rng, (1, 4), 3),
    }  # fmt: skip
    nodes = [
        quant("x", "a"), custom("MultiThreshold", "a t", "d", out_dtype="UINT2"),
        custom("MultiThreshold", "c t", "e", out_dtype="UINT2", out_scale=2.0), node("Add", "d e", "y"),
    ]  # fmt: skip
    check(write(tmp_path, nodes, constants), quarters(rng, (100, 4)))
    nodes = [custom("MultiThreshold", "x t", "y", out_dtype="UINT2")]
    check(write(tmp_path, nodes, constants), quarters(rng, (100, 4)))
    constants["t"] = np.array([[-100, 100]], F32)
    nodes = [quant("x", "a"), custom("MultiThreshold", "a t", "y", out_dtype="UINT2")]
    check(write(tmp_path, nodes, constants), quarters(rng, (100, 4)))


def test_arithmetic_before_the_first_quantizer(tmp_path, rng) -> None:
    """(x / 255 - mean) / std per channel behind a transposition, by the host in float32, in every order."""
    shape = (1, 4, 5, 3)
    constants = {
        "s": np.asarray([0.03, 0.02, 0.05], F32).reshape(3, 1, 1), "z": F32(0), "b": F32(6), "top": F32(255),
        "mean": np.asarray([0.485, 0.456, 0.406], F32).reshape(1, 3, 1, 1), "one": F32(1), "two": F32(2),
        "std": np.asarray([0.229, 0.224, 0.225], F32).reshape(1, 3, 1, 1), "lo": F32(-1.5), "hi": F32(1.7),
    }  # fmt: skip
    nodes = [
        node("Div", "x top", "d"), node("Transpose", "d", "t", perm=[0, 3, 1, 2]), node("Sub", "t mean", "m"),
        node("Div", "m std", "n"), node("Clip", "n lo hi", "c"), node("Mul", "two c", "e"),
        node("Sub", "one e", "f"), node("Add", "mean f", "g"), node("Relu", "g", "h"), quant("h", "y"),
    ]  # fmt: skip
    path = write(tmp_path, nodes, constants, shape)
    x = rng.integers(0, 256, (50, *shape[1:])).astype(F32)
    check(path, x)
    graph = load(path)
    graph.save(tmp_path / "g.fxs")
    again = load(tmp_path / "g.fxs")
    assert again.encoders == graph.encoders
    assert np.array_equal(again.run(x), graph.run(x))


def test_finn_ops(tmp_path, rng) -> None:
    """Im2Col and products, XNOR and popcount, the average pool of whole numbers, MaxPoolNHWC, DebugMarker."""
    shape = (1, 6, 5, 3)
    for pad, dilation, stride in (([0] * 4, 1, 1), ([1, 0, 2, 1], 1, 2), ([1, 1, 1, 1], 2, 1)):
        constants = {
            "s": F32(1),
            "z": F32(0),
            "b": F32(4),
            "w": rng.integers(-3, 4, (2 * 3 * 3, 4)).astype(F32),
        }
        nodes = [
            quant("x", "a"), custom("DebugMarker", "a", "e", export_debug_name="e"),
            custom(
                "Im2Col", "e", "i", kernel_size=[2, 3], stride=[stride, 1], pad_amount=pad,
                input_shape=str(shape), dilations=[1, dilation],
            ),
            node("MatMul", "i w", "y"),
        ]  # fmt: skip
        path = write(tmp_path, nodes, constants, shape)
        annotate(path, "e", "INT4")
        check(path, quarters(rng, (1, *shape[1:])))  # qonnx's Im2Col takes one sample
    bits = {"s": F32(1), "z": F32(0), "b": F32(1), "w": rng.integers(0, 2, (7, 4)).astype(F32)}
    nodes = [quant("x", "a", signed=0), custom("XnorPopcountMatMul", "a w", "y")]
    check(write(tmp_path, nodes, bits, (1, 7)), quarters(rng, (50, 7), 1))
    for layout, signed in (("NCHW", 0), ("NHWC", 1)):
        pool = custom(
            "QuantAvgPool2d",
            "a",
            "y",
            kernel=2,
            stride=1,
            ibits=4,
            obits=4,
            signed=signed,
            data_layout=layout,
        )
        nodes = [quant("x", "a", signed=signed), pool]
        made = (1, 6, 4, 2) if layout == "NCHW" else (1, 5, 4, 3)
        path = write(tmp_path, nodes, constants, shape)
        check(path, quarters(rng, (1, *shape[1:])), shapes={"a": shape, "y": made})
    pool = custom("MaxPoolNHWC", "a", "y", kernel_shape=[2, 2], strides=[2, 1], pads=[0, 1, 0, 1])
    path = write(tmp_path, [quant("x", "a"), pool], constants, shape)
    check(path, quarters(rng, (1, *shape[1:])), shapes={"a": shape, "y": (1, 3, 6, 3)})


def annotate(path: Path, tensor: str, kind: str) -> None:
    """qonnx's Im2Col wants the type of its input."""
    proto = onnx.load(str(path))
    mark = proto.graph.quantization_annotation.add(tensor_name=tensor)
    mark.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)
    path.write_bytes(proto.SerializeToString())


def test_finn_ops_round_as_in_the_files(tmp_path) -> None:
    """The average pool refuses numbers that are not whole, XNOR weights other than bits."""
    constants = {"s": F32(0.5), "z": F32(0), "b": F32(4), "w": np.full((3, 2), 2, F32)}
    pool = custom("QuantAvgPool2d", "a", "y", kernel=1, stride=1, ibits=4, obits=4, signed=0)
    with pytest.raises(
        ValueError, match=r"\(QuantAvgPool2d\) pools numbers that are not whole; move the scale"
    ):
        load(write(tmp_path, [quant("x", "a"), pool], constants, (1, 2, 2, 2)))
    with pytest.raises(
        ValueError, match=r"\(XnorPopcountMatMul\) has weights other than 0 and 1; use MatMul"
    ):
        load(write(tmp_path, [quant("x", "a"), custom("XnorPopcountMatMul", "a w", "y")], constants, (1, 3)))


def test_channels_last_domain(tmp_path, rng) -> None:
    """A file that qonnx itself turned to channels last, and its original, give the same codes."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.infer_shapes import InferShapes

    path = file("fmnist_cnn_w4a4_pow2")
    model = ModelWrapper(str(path)).transform(InferShapes())
    turned = model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=False))
    other = tmp_path / "last.onnx"
    turned.save(str(other))
    domains = {n.domain for n in turned.graph.node}
    assert "qonnx.custom_op.channels_last" in domains
    first, last = load(path), load(other)
    x = rng.random((40, 1, 28, 28)).astype(F32)
    assert np.array_equal(first.run(x), last.run(x))
    values = tensors(path, x[:1])
    assert np.array_equal(first.run(x[:1]).astype(F32), values[first.output_names[0]])


def test_channels_last_nodes(tmp_path, rng) -> None:
    shape, domain = (1, 5, 6, 4), LAST
    constants = {
        "s": F32(0.5), "z": F32(0), "b": F32(4), "w": quarters(rng, (6, 2, 3, 2), 2),
        "bias": quarters(rng, (6,)),
        **{k: np.abs(quarters(rng, (6,), 4)) + F32(0.5) for k in ("gamma", "beta", "mean", "var")},
        "per": np.asarray(2.0 ** rng.integers(-2, 1, (6, 1, 1, 1)), F32),
    }  # fmt: skip
    nodes = [
        quant("x", "a"), quant("w", "wq", "per"),
        custom(
            "Conv", "a wq bias", "c", domain, kernel_shape=[2, 3], strides=[1, 1], dilations=[1, 1],
            pads=[1, 1, 0, 1], group=2,
        ),
        custom("MaxPool", "c", "y", domain, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]),
    ]  # fmt: skip
    shapes = {"a": shape, "wq": (6, 2, 3, 2), "c": (1, 5, 6, 6), "y": (1, 2, 3, 6), "n": (1, 5, 6, 6)}
    path = versioned(write(tmp_path, nodes, constants, shape), 1)
    check(path, quarters(rng, (1, *shape[1:]), 5), shapes=shapes)
    nodes[-1] = custom("BatchNormalization", "c gamma beta mean var", "n", domain, epsilon=1e-5, momentum=0.9)
    nodes.append(quant("n", "y", "s"))
    path = versioned(write(tmp_path, nodes, constants, shape), 1)
    check(path, quarters(rng, (1, *shape[1:]), 5), shapes=shapes | {"y": (1, 5, 6, 6)})
