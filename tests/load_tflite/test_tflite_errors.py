"""What is wrong with a file is said by operator and tensor; damage ends in ValueError, never in a crash."""

from __future__ import annotations

import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Writer

import fxsim

DATA = Path(__file__).parent / "data"


def network(
    op: str = "FULLY_CONNECTED", x: Any = (0.1, 3), y: Any = (0.3, -5), w: Any = (0.02, 0),
    dtype: Any = np.int8, shape: tuple[int, ...] = (1, 6), weights: Any = None, bias: Any = None,
    axis: int = 0, **options: Any,
) -> Writer:  # fmt: skip
    """One product of an input, of which a test changes one thing."""
    out = Writer()
    a, b = out.tensor("in", shape, *x, dtype=dtype), out.tensor("out", (1, 4), *y, dtype=dtype)
    weights = np.ones((4, 6), np.int8) if weights is None else weights
    inputs = [a, out.constant("weights", weights, *w, axis=axis)]
    if bias is not None:
        inputs.append(out.constant("bias", bias))
    kind = {"FULLY_CONNECTED": "FullyConnectedOptions", "CONV_2D": "Conv2DOptions"}.get(op)
    kind = "DepthwiseConv2DOptions" if op == "DEPTHWISE_CONV_2D" else kind
    out.op(op, inputs, [b], **({"kind": kind} if kind else {}), **options)
    out.ends([a], [b])
    return out


def single(
    op: str, shape: tuple[int, ...] = (1, 4, 4, 2), constants: tuple[Any, ...] = (), **options: Any
) -> Writer:
    w = Writer()
    x, y = w.tensor("in", shape, 0.1, 3), w.tensor("out", shape, 0.1, 3)
    w.op(op, [x, *(w.integers(f"c{i}", c) for i, c in enumerate(constants))], [y], **options)
    w.ends([x], [y])
    return w


def huge(op: str) -> Writer:
    w = Writer()
    x, y = w.tensor("in", (1, 4), 1e12 if op == "HARD_SWISH" else 1e8, 0), w.tensor("out", (1, 4), 0.5, 0)
    w.op(op, [x], [y], **({"kind": "HardSwishOptions"} if op == "HARD_SWISH" else {}))
    w.ends([x], [y])
    return w


IMAGE = np.ones((2, 3, 3, 2), np.int8)
CONV = {"op": "CONV_2D", "shape": (1, 4, 4, 2), "weights": IMAGE, "strideH": 1, "strideW": 1}
CASES: list[tuple[Any, str]] = [
    (lambda: network(x=(None,)), "tensor 'in' has no scale; convert the model to full"),
    (lambda: network(y=(None,)), r"operator 0 \(FULLY_CONNECTED\) that makes 'out': .*has no scale"),
    (lambda: network(w=(None,)), "has no scale for its weights, tensor 'weights'"),
    (lambda: network(x=(0.0, 0)), "scale of tensor 'in' must be positive and finite, not 0.0"),
    (lambda: network(x=(-0.5, 0)), "scale of tensor 'in' must be positive and finite, not -0.5"),
    (lambda: network(y=(np.nan, 0)), "scale of tensor 'out' must be positive and finite, not nan"),
    (lambda: network(y=(np.inf, 0)), "must be positive and finite, not inf"),
    (lambda: network(w=([0.1, 0.1, 0.0, 0.1],)), "has a weight scale of 0.0; scales must be positive"),
    (lambda: network(w=([0.1, 0.1],)), "has 2 scales along axis 0 of its weights"),
    (lambda: network(w=([0.1] * 6,), axis=1), "has 6 scales along axis 1 of its weights"),
    (lambda: network(w=([0.1] * 4, 3)), "has weights with a zero point; the runtime takes it as 0"),
    (lambda: network(x=(0.1, 200)), "zero point of tensor 'in' must lie in -128..127, not 200"),
    (lambda: network(x=([0.1] * 6,)), "tensor 'in' must have one scale, not 6; only weights have more"),
    (lambda: network(x=(1e-30, 0), **CONV), r"factor .* of its scales must be a number from 2\*\*-32 on"),
    (lambda: network(x=(1e20, 0), **CONV), r"factor .* of its scales must be below 2\*\*30"),
    (lambda: network(weights=np.ones((4, 5), np.int8)), r"has weights \(4, 5\) for 6 inputs"),
    (lambda: network(weights=np.ones((4, 3, 2), np.int8)), r"weights of shape \(4, 3, 2\); they must have 2"),
    (lambda: network(bias=np.ones(3, np.int32)), r"has a bias of INT32 \(3,\); it must be INT32, one"),
    (lambda: network(bias=np.ones(4, np.int8)), r"has a bias of INT8 \(4,\)"),
    (lambda: network(bias=np.full(4, 2**31 - 1, np.int32)), "its sums may leave int32 "),
    (lambda: network(keepNumDims=True, shape=(1, 2, 3)), r"\(1, 2, 3\); the last must be 6"),
    (lambda: network(shape=(2, 3), weights=np.ones((4, 6), np.int8)), "has weights .* for 3 inputs"),
    (lambda: network(fusedActivationFunction=4), "has the fused activation TANH; use one of NONE, RELU"),
    (lambda: network(fusedActivationFunction=1, y=(0.3, 127)), None),
    (lambda: network(**CONV | {"weights": np.ones((2, 3, 3, 3), np.int8)}), "channels must be a multiple"),
    (lambda: network(**CONV | {"strideH": 0}), r"has stride \(0, 1\)"),
    (lambda: network(**CONV | {"padding": 1, "weights": np.ones((2, 5, 5, 2), np.int8)}), "do not fit"),
    (lambda: network(**CONV | {"padding": 7}), r"has padding 7; use SAME \(0\) or VALID \(1\)"),
    (lambda: network(**CONV | {"shape": (4, 8)}), r"has an operand of shape \(4, 8\); it must be"),
    (lambda: network(**CONV | {"op": "DEPTHWISE_CONV_2D"}), r"they must be \(1, height, width, outputs\)"),
    (lambda: single("PAD", constants=([[1, 0], [0, 0], [0, 0], [0, 0]],)), "none for the batch"),
    (lambda: single("PAD", constants=([[0, 0], [0, 1 << 29], [0, 0], [0, 0]],)), "use a smaller input"),
    (lambda: single("RESHAPE", constants=([1, 7],)), r"into \(1, 7\); the sizes must agree"),
    (lambda: single("TRANSPOSE", constants=([0, 1, 1, 2],)), r"has permutation \(0, 1, 1, 2\) for 4 axes"),
    (lambda: single("TRANSPOSE", (3, 4, 4), ([1, 0, 2],)), "moves the batch axis; keep it in front"),
    (lambda: single("RESHAPE", (3, 4), ([4, 3],)), "the batch axis must stay in front"),
    (lambda: single("MEAN", constants=([0],), kind="ReducerOptions"), "works along the batch axis"),
    (lambda: single("MEAN", constants=([9],), kind="ReducerOptions"), "has axis 9 for 4 axes"),
    (lambda: single("SLICE", constants=([0, 0, 0, 0], [1, 5, 1, 1])), "must lie inside and not be empty"),
    (lambda: single("STRIDED_SLICE", constants=([0], [1], [0]), kind="StridedSliceOptions"), "has slices"),
    (lambda: single("SQUEEZE", kind="SqueezeOptions", squeezeDims=[1]), "they must have size 1"),
    (lambda: single("DEPTH_TO_SPACE", kind="DepthToSpaceOptions", blockSize=3), "2 channels in blocks of 3"),
    (lambda: single("RESIZE_NEAREST_NEIGHBOR", constants=([4096, 1 << 20],)), "use a smaller input"),
    (lambda: single("AVERAGE_POOL_2D", kind="Pool2DOptions", strideH=1, strideW=1, filterHeight=1 << 24,
                    filterWidth=1, padding=0), "elements; use a smaller input"),
    (lambda: single("SOFTMAX", kind="SoftmaxOptions", beta=1.0), "they must be 1/256 and -128"),
    (lambda: huge("HARD_SWISH"), "has an input scale of 1e"),
    (lambda: huge("RELU"), "calibrate the scales again"),
    (lambda: single("LEAKY_RELU", kind="LeakyReluOptions", alpha=float("nan")), "has alpha nan"),
    (lambda: single("GATHER", constants=([9],), kind="GatherOptions", axis=1), "indices of Gather must lie"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), CASES)
def test_errors_name_what_is_wrong(tmp_path: Path, make: Any, message: str | None) -> None:
    path = make().save(tmp_path / "bad.tflite")
    if message is None:
        fxsim.load(path)
        return
    with pytest.raises((ValueError, NotImplementedError), match=message):
        fxsim.load(path)


UNSUPPORTED: list[tuple[Any, str]] = [
    (lambda: network(dtype=np.float32), "computes in float on tensor 'in'; convert the model"),
    (lambda: network(dtype=np.uint8), "tensor 'in' has uint8 codes, the legacy scheme"),
    (lambda: network(dtype=np.int16), "input 'in' has int16 codes"),
    (lambda: network(dtype=np.int32), "input 'in' has type INT32; give it int8 or float32"),
    (lambda: network(weights=np.ones((4, 6), np.float32)), "weights of FLOAT32; convert with int8"),
    (lambda: single("LOG_SOFTMAX"), "the nearest that has one is SOFTMAX"),
    (lambda: single("SUM"), "the nearest that has one is MEAN"),
    (lambda: single("COS"), "has no handler; supported are ADD, .*, UNPACK"),
    (lambda: single("READ_VARIABLE"), "keeps state between calls"),
    (lambda: single("UNIDIRECTIONAL_SEQUENCE_LSTM"), "keeps state between calls"),
    (lambda: network(weightsFormat=1), "has shuffled weights"),
    (lambda: single("STRIDED_SLICE", constants=([0], [1], [1]), kind="StridedSliceOptions", ellipsisMask=1),
     "has an ellipsis or new-axis mask"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), UNSUPPORTED)
def test_what_is_not_supported(tmp_path: Path, make: Any, message: str) -> None:
    path = make().save(tmp_path / "other.tflite")
    with pytest.raises(NotImplementedError, match=message):
        fxsim.load(path)


def test_float_after_dequantize(tmp_path: Path) -> None:
    w = Writer()
    x, r, y = (
        w.tensor("x", (1, 4), 0.1),
        w.tensor("r", (1, 4), dtype=np.float32),
        w.tensor("y", (1, 4), dtype=np.float32),
    )
    w.op("DEQUANTIZE", [x], [r], kind="DequantizeOptions")
    w.op("SOFTMAX", [r], [y], kind="SoftmaxOptions", beta=1.0)
    w.ends([x], [y])
    with pytest.raises(
        NotImplementedError, match="computes in float on tensor 'r', after DEQUANTIZE; leave it away"
    ):
        fxsim.load(w.save(tmp_path / "s.tflite"))


def test_an_unknown_builtin_and_a_custom_operator(tmp_path: Path) -> None:
    w = single("RELU")
    w.model.operatorCodes[0].builtinCode = 5000
    with pytest.raises(
        NotImplementedError, match=r"operator 0 \(builtin 5000\) that makes 'out' has no handler"
    ):
        fxsim.load(w.save(tmp_path / "b.tflite"))
    w.model.operatorCodes[0].builtinCode, w.model.operatorCodes[0].customCode = 32, "MyOp"
    with pytest.raises(NotImplementedError, match=r"\(CUSTOM MyOp\)"):
        fxsim.load(w.save(tmp_path / "c.tflite"))


def test_a_float_input_that_nothing_quantizes_and_one_quantized_twice(tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", (1, 4), dtype=np.float32)
    w.ends([x], [x])
    with pytest.raises(ValueError, match="output 'x' is an input that nothing quantizes"):
        fxsim.load(w.save(tmp_path / "a.tflite"))
    made = [w.tensor(f"q{i}", (1, 4), 0.1 * (i + 1)) for i in range(2)]
    for q in made:
        w.op("QUANTIZE", [x], [q], kind="QuantizeOptions")
    w.ends([x], made)
    for kw in ({}, {"input": fxsim.SQ(4, 4)}):
        with pytest.raises(ValueError, match="input 'x' is quantized in two ways"):
            fxsim.load(w.save(tmp_path / "b.tflite"), **kw)


def test_a_state_and_operators_out_of_order(tmp_path: Path) -> None:
    w = single("RELU")
    t = w.tensor("state", (1, 4, 4, 2), 0.1, 3)
    w.graph.operators[0].inputs = np.array([t], np.int32)
    with pytest.raises(ValueError, match="reads tensor 'state', which is never computed"):
        fxsim.load(w.save(tmp_path / "a.tflite"))
    w.graph.tensors[t].isVariable = True
    with pytest.raises(ValueError, match="which is a state that the model keeps between calls"):
        fxsim.load(w.save(tmp_path / "b.tflite"))


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    for content in (b"", b"TFL3", b"not a model at all", bytes(64)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a TFLite model: its bytes 4 to 7"):
            fxsim.load(path)
    w = single("RELU")
    w.model.subgraphs = []
    with pytest.raises(ValueError, match=r"x\.tflite has no subgraph"):
        fxsim.load(w.save(path))
    w = single("RELU")
    w.graph.outputs = np.zeros(0, np.int32)
    with pytest.raises(ValueError, match="has no outputs"):
        fxsim.load(w.save(path))
    w = single("RELU")
    w.graph.operators[0].inputs = np.array([77], np.int32)
    with pytest.raises(ValueError, match="is damaged: it refers to tensor 77 of 2"):
        fxsim.load(w.save(path))
    w = network()
    w.graph.tensors[2].shape = np.array([4, 7], np.int32)
    with pytest.raises(ValueError, match=r"tensor 'weights' of INT8 \(4, 7\) has 24 bytes, not 28"):
        fxsim.load(w.save(path))


class Late(BaseException):
    """Raised by the alarm, which no handler of the loader may catch."""


def survives(path: Path, content: bytes) -> bool:
    """Loads damaged bytes within a minute: a graph, or one of the two errors that a user may see."""

    def late(*_: Any) -> None:
        raise Late

    path.write_bytes(content)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        fxsim.load(path)
        return True
    except (ValueError, NotImplementedError):
        return False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower bound of sizes, so that damaged ones are refused as quickly as sound ones are built."""
    monkeypatch.setattr(import_module("fxsim.load.tflite.loader"), "MOST_ELEMENTS", 1 << 14)


def everything(rng: np.random.Generator) -> bytes:
    """A small file with many kinds of operators and options."""
    w = Writer()
    x = w.tensor("x", (1, 6, 6, 2), 0.05, 3)
    weight = w.constant("w", rng.integers(-127, 128, (3, 3, 3, 2), dtype=np.int8), [0.1, 0.2, 0.3])
    bias = w.constant("b", rng.integers(-99, 99, 3, dtype=np.int32))
    a, b = w.tensor("a", (1, 6, 6, 3), 0.3, -4), w.tensor("b1", (1, 3, 3, 3), 0.3, -4)
    c, d = w.tensor("c", (1, 5, 3, 3), 0.3, -4), w.tensor("d", (1, 45), 0.3, -4)
    e, f = w.tensor("e", (1, 4), 0.5, 1), w.tensor("f", (1, 4), 1 / 256, -128)
    full = w.constant("v", rng.integers(-127, 128, (4, 45), dtype=np.int8), 0.02)
    w.op(
        "CONV_2D",
        [x, weight, bias],
        [a],
        kind="Conv2DOptions",
        strideH=1,
        strideW=1,
        fusedActivationFunction=1,
    )
    w.op("MAX_POOL_2D", [a], [b], kind="Pool2DOptions", strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    w.op("PAD", [b, w.integers("p", [[0, 0], [1, 1], [0, 0], [0, 0]])], [c], kind="PadOptions")
    w.op("RESHAPE", [c, w.integers("s", [1, 45])], [d], kind="ReshapeOptions", newShape=[1, 45])
    w.op("FULLY_CONNECTED", [d, full], [e], kind="FullyConnectedOptions")
    w.op("SOFTMAX", [e], [f], kind="SoftmaxOptions", beta=1.0)
    w.ends([x], [f])
    return w.bytes()


def test_truncation(rng: np.random.Generator, tmp_path: Path) -> None:
    content = everything(rng)
    assert survives(tmp_path / "w.tflite", content)
    kept = [n for n in range(0, len(content), 37) if survives(tmp_path / "t.tflite", content[:n])]
    assert not kept


def test_flipped_bytes(rng: np.random.Generator, tmp_path: Path, small: None) -> None:
    content = everything(rng)
    for at in rng.permutation(len(content))[:150]:
        damaged = bytearray(content)
        damaged[at] ^= int(rng.integers(1, 256))
        survives(tmp_path / "f.tflite", bytes(damaged))


def test_random_words(rng: np.random.Generator, tmp_path: Path, small: None) -> None:
    content = everything(rng)
    for _ in range(120):
        damaged = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(0, len(content) - 4))
            damaged[at : at + 4] = rng.choice(
                [b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 4, bytes(4), b"\1\0\0\0"]
            )
        survives(tmp_path / "r.tflite", bytes(damaged))


def test_damage_to_a_public_model(rng: np.random.Generator, tmp_path: Path) -> None:
    content = (DATA / "str_ww_ref_model.tflite").read_bytes()
    for n in (8, 100, 5000, 40000, len(content) - 8):
        assert not survives(tmp_path / "t.tflite", content[:n])


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ImportError, match=r"install fxsim-hdl\[tflite\]"):
        fxsim.load(single("RELU").save(tmp_path / "r.tflite"))
