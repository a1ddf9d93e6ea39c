"""Damaged files: thousands of seeded mutations load, or raise a ValueError or NotImplementedError that
says something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from small_models import QONNX, node, quant, write

from fxsim import load
from fxsim.load.nodes import supported

F32 = np.float32
INTS = (0, 1, -1, 2, 3, 5, -2, 7, 64, 1000, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
FLOATS = (0, -1, np.nan, np.inf, -np.inf, 1e-45, 1e38, -0.0, 0.5, 3, 64, 65, 1e10)
DOMAINS = ("", QONNX, "com.microsoft", "qonnx.custom_op.channels_last", "mine")
PARTS = 8  # a mutation more or less does not move the others, and a failure names its part


def base(folder: Path) -> onnx.ModelProto:
    """Every kind of thing in one small model: convolution, batch norm, scales per channel, shape chain."""
    grid = np.arange(-12, 12)
    constants = {
        "s": F32(0.25), "z": F32(0), "b": F32(4), "w": (grid[:12] / 8).astype(F32).reshape(3, 2, 1, 2),
        "s2": np.array([0.3, 0.7, 0.1], F32).reshape(3, 1, 1, 1), "w2": (grid / 9).astype(F32).reshape(6, 4),
        "bias": np.array([0.1, 0.2, 0.3], F32), "so": F32(0.37), "g": np.full(3, 0.7, F32), "half": F32(0.5),
        "shape": np.array([0, -1]), "t": np.array([[-1, 0.5, 2]], F32), "one": np.array([1]),
    }  # fmt: skip
    nodes = [
        node("Mul", "x half", "h"), quant("h", "a"), quant("w", "wq", "s2"),
        node("Conv", "a wq bias", "c", kernel_shape=[1, 2], pads=[0, 0, 0, 1]),
        node("BatchNormalization", "c g bias bias g", "n", epsilon=1e-5), node("Relu", "n", "r"),
        quant("r", "q", "so", signed=0), node("MaxPool", "q", "p", kernel_shape=[1, 2], strides=[1, 2]),
        node("Shape", "p", "sh"), node("Gather", "sh one", "ga", axis=0), node("Reshape", "p shape", "f"),
        quant("w2", "wq2"), node("MatMul", "f wq2", "m"),
        helper.make_node(
            "MultiThreshold", ["m", "t"], ["y"], "mt", domain=QONNX, out_dtype="INT4", out_scale=2.0,
            out_bias=-1.0,
        ),
    ]  # fmt: skip
    path = write(folder, nodes, constants, (1, 2, 2, 2))
    load(path)
    return onnx.load(str(path))


def survives(path: Path, data: bytes) -> bool:
    """Does the file load? Any other exception than the two fails the test by itself."""
    path.write_bytes(data)
    try:
        load(path)
    except (ValueError, NotImplementedError) as e:
        assert len(str(e)) > 20, repr(e)
        assert "\n" not in str(e).replace(str(path), "") or "folded" in str(e) or "Error" in str(e)
        return False
    return True


@pytest.mark.parametrize("part", range(PARTS))
def test_bytes(tmp_path, rng, part) -> None:
    """Cuts, flipped bits, other bytes, bytes lost and bytes gained."""
    whole = base(tmp_path).SerializeToString()
    path = tmp_path / "f.onnx"
    kept = 0
    for _ in range(250):
        data, kind = bytearray(whole), rng.integers(5)
        at, n = int(rng.integers(len(data))), int(rng.integers(1, 9))
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + n]
        elif kind == 2:
            data[at:at] = rng.integers(0, 256, n).astype(np.uint8).tobytes()
        else:
            for _ in range(rng.integers(1, 4)):
                at = int(rng.integers(len(data)))
                data[at] = data[at] ^ 1 << rng.integers(8) if kind == 3 else rng.integers(256)
        kept += survives(path, bytes(data))
    assert kept < 125  # most damage is noticed; what loads is another valid model


def one(rng: np.random.Generator, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def mutate(rng: np.random.Generator, proto: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> None:
    """One well-formed lie: another op, attribute, input, value, type, shape, or order."""
    graph = proto.graph
    at, tensor = one(rng, graph.node), one(rng, graph.initializer)
    names = [*arrays, *(o for n in graph.node for o in n.output), "x", ""]
    kind = rng.integers(9)
    if kind == 0:
        at.op_type, at.domain = one(rng, supported()), one(rng, DOMAINS)
    elif kind == 1 and at.attribute:
        a = one(rng, at.attribute)
        values = {
            1: [float(v) for v in FLOATS], 2: INTS, 3: ["NHWC", "", "SAME_UPPER", "DOWN"],
            7: [[one(rng, INTS) for _ in a.ints] or [1]], 6: [[1.0]], 8: [["a"]],
        }  # fmt: skip
        new = one(rng, values[one(rng, list(values))] if rng.random() < 0.3 else values[a.type])
        name = a.name
        at.attribute.remove(a)
        at.attribute.append(helper.make_attribute(name, new))
    elif kind == 2 and at.attribute:
        at.attribute.remove(one(rng, at.attribute))
    elif kind == 3 and at.input:
        if rng.random() < 0.4:
            del at.input[-1]
        else:
            at.input[int(rng.integers(len(at.input)))] = one(rng, names)
    elif kind == 4:
        a = arrays[tensor.name].copy()
        values = FLOATS if a.dtype.kind == "f" else INTS
        a.reshape(-1)[int(rng.integers(a.size)) if rng.random() < 0.5 else slice(None)] = one(rng, values)
        tensor.CopyFrom(numpy_helper.from_array(a, tensor.name))
    elif kind == 5:
        a = np.nan_to_num(arrays[tensor.name])
        forms = [
            a[None], a.reshape(-1), a.reshape(-1)[:0], a.reshape(-1)[:1], a.T.copy(), a.astype(bool),
            *(a.astype(t) for t in (np.float64, np.float16, np.int32, np.int8, np.uint64)),
        ]  # fmt: skip
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(one(rng, forms)), tensor.name))
    elif kind == 6 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = one(rng, INTS)
    elif kind == 7:
        kept = graph.input[0].type.tensor_type
        if rng.random() < 0.7:
            one(rng, kept.shape.dim).dim_value = one(rng, INTS)
        else:
            kept.elem_type = int(rng.integers(0, 27))
    elif rng.random() < 0.5:
        graph.node.remove(at)
    else:
        other, copy = one(rng, graph.node), onnx.NodeProto()
        copy.CopyFrom(other)
        other.CopyFrom(at)
        at.CopyFrom(copy)


@pytest.mark.parametrize("part", range(PARTS))
def test_lies(tmp_path, rng, part) -> None:
    first = base(tmp_path)
    arrays = {t.name: numpy_helper.to_array(t) for t in first.graph.initializer}
    kept = 0
    for _ in range(60):
        proto = onnx.ModelProto()
        proto.CopyFrom(first)
        for _ in range(rng.integers(1, 4)):
            mutate(rng, proto, arrays)
        kept += survives(tmp_path / "f.onnx", proto.SerializeToString())
    assert kept < 45
