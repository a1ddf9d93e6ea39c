"""Small files of every supported op: all integer codes and outputs against the live qonnx executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import qonnx_oracle
from small_models import node, quant, write

from fxsim import Format, Graph
from fxsim.boundary import QUANT_ROUNDINGS
from fxsim.load import load

F32 = np.float32


def agree(path: Path, x: np.ndarray, exact_outputs: bool = True, **options: object) -> dict[str, np.ndarray]:
    """Load, and compare every quantizer's codes with qonnx; every named real value too if `exact_outputs`.

    qonnx computes in float32: where its code differs, the file's scales are no powers of two, and the
    rescale's record must list that very accumulator as near a threshold.
    """
    graph = load(path, **options)
    codes = graph.codes(x)
    want = qonnx_oracle.tensors(path, x)
    compared = 0
    for name, entry in graph.names.items():
        if entry.value is None or name == "x":
            continue
        real = entry.affine.apply(codes[name], entry.value.type.frac, entry.value.type.ndim)
        assert real.shape == want[name].shape, name
        if exact_outputs:
            assert np.array_equal(real.astype(F32), want[name]), name
            compared += 1
    same = np.ones(len(x), bool)
    for name, integers in qonnx_oracle.integer_codes(path, want).items():
        wrong = (codes[name] != integers) & same.reshape(-1, *[1] * (integers.ndim - 1))
        for where in map(tuple, np.argwhere(wrong)):
            assert is_near_tie(graph, name, codes, where), (name, where)
            same[where[0]] = False  # what follows in this sample has other inputs
        compared += 1
    assert compared and 20 * np.sum(same) > 19 * len(x)
    if exact_outputs:
        assert np.array_equal(np.asarray(graph.run(x), F32), want["y"])
    return codes


def is_near_tie(graph: Graph, name: str, codes: dict[str, np.ndarray], where: tuple[int, ...]) -> bool:
    """Does the record of this quantizer's rescale list the accumulator as one where float32 may differ?"""
    block = next(b for b in graph.blocks if b.kind == "rescale" and b.outputs[0] is graph.names[name].value)
    source = next(k for k, v in graph.names.items() if v.value is block.inputs[0])
    axis = block.params["axis"]
    acc, channel = codes[source][where], 0 if axis is None else where[1 + axis]
    return any(c == channel and a <= acc <= b for c, _, a, b in block.params["near_ties"].array.tolist())


def inputs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Multiples of 1/16 in -2..2: many exact ties, and exact float32 arithmetic throughout."""
    return (rng.integers(-32, 33, shape) / 16).astype(F32)


BASE = {"s": F32(0.25), "z": F32(0), "b": F32(4)}


@pytest.mark.parametrize("rescale", ["dyadic", "threshold"])
@pytest.mark.parametrize("scale", [0.5, 0.37])
@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_roundings_in_hardware(tmp_path, rng, rounding, scale, rescale) -> None:
    """A second quantizer, so that rounding happens in the graph; a scale of 1/2 has ties at odd codes."""
    for signed, narrow, zero in ((1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 1, 0), (1, 0, 3), (0, 0, 5)):
        nodes = [
            quant("x", "a"),
            quant("a", "y", "s2", "z2", signed=signed, narrow=narrow, rounding_mode=rounding),
        ]
        path = write(tmp_path, nodes, BASE | {"s2": F32(scale), "z2": F32(zero)})
        agree(path, inputs(rng, 300, 4), rescale=rescale)


@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_roundings_of_weights_and_of_the_host(tmp_path, rng, rounding) -> None:
    nodes = [
        quant("x", "a", "s", "z", rounding_mode=rounding),
        quant("w", "wq", "ws", "z", rounding_mode=rounding, narrow=1),
        node("MatMul", "a wq", "y"),
    ]
    constants = BASE | {"w": inputs(rng, 4, 3) / F32(2), "ws": F32(0.125), "s": F32(0.125)}
    agree(write(tmp_path, nodes, constants), inputs(rng, 100, 4))


def dense_model(folder: Path, rng: np.random.Generator, float_scales: bool, per_channel: bool) -> Path:
    """Quant, MatMul, BatchNormalization, Relu, Quant, Gemm(alpha, beta, bias), Quant."""
    unit = F32(0.11) if float_scales else F32(0.125)
    ws = (unit * F32(2) ** rng.integers(0, 2, (1, 6))).astype(F32) if per_channel else unit
    nodes = [
        quant("x", "a"),
        quant("w1", "w1q", "ws", "z", narrow=1),
        node("MatMul", "a w1q", "m"),
        node("BatchNormalization", "m gamma beta mean var", "n", epsilon=1e-5),
        node("Relu", "n", "r"),
        quant("r", "c", "s2", "z", "b", signed=0),
        quant("w2", "w2q", "ws2", "z", narrow=1),
        quant("bias", "bq", "bs", "z", "b8"),
        node("Gemm", "c w2q bq", "g", transB=1, alpha=0.5, beta=2.0),
        quant("g", "y", "s3", "z", "b"),
    ]
    constants = BASE | {
        "w1": rng.normal(size=(4, 6)).astype(F32),
        "ws": ws,
        "s2": F32(0.37),
        "w2": rng.normal(size=(5, 6)).astype(F32),
        "ws2": (unit * F32(2) ** rng.integers(0, 2, (5, 1))).astype(F32) if per_channel else unit,
        "bias": rng.normal(size=5).astype(F32),
        "bs": F32(0.03125),
        "b8": F32(8),
        "s3": F32(0.5),
        "gamma": rng.normal(size=6).astype(F32),
        "beta": rng.normal(size=6).astype(F32),
        "mean": rng.normal(size=6).astype(F32),
        "var": (rng.random(6) + 0.5).astype(F32),
    }
    return write(folder, nodes, constants)


@pytest.mark.parametrize("rescale", ["auto", "dyadic", "threshold"])
@pytest.mark.parametrize(
    ("float_scales", "per_channel"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_dense_networks(tmp_path, rng, float_scales, per_channel, rescale) -> None:
    """Batch norm slopes of both signs, per-channel weight scales, alpha and beta, a quantized bias."""
    path = dense_model(tmp_path, rng, float_scales, per_channel)
    agree(path, inputs(rng, 400, 4), exact_outputs=False, rescale=rescale)


def test_pow2_gemm_keeps_the_bias_in_the_integers(tmp_path, rng) -> None:
    nodes = [
        quant("x", "a"),
        quant("w", "wq", "ws", "z"),
        quant("c", "cq", "cs", "z", "b"),
        node("Gemm", "a wq cq", "g", transB=1),
        node("Relu", "g", "r"),
        quant("r", "y", "s2", "z", "b", signed=0),
    ]
    ws = (F32(2) ** np.array([[-3], [-2], [-4]])).astype(F32)
    constants = BASE | {
        "w": rng.normal(size=(3, 4)).astype(F32),
        "ws": ws,
        "c": rng.normal(size=3).astype(F32),
        "cs": F32(2**-6),
        "s2": F32(0.5),
    }
    path = write(tmp_path, nodes, constants)
    agree(path, inputs(rng, 300, 4))
    graph = load(path)
    assert [b.kind for b in graph.blocks] == ["dense", "relu", "quantize"]
    assert graph.blocks[0].params["weight_frac"] == 4
    assert graph.blocks[0].params["bias_frac"] == 6


def test_where_float32_differs_the_record_says_so(tmp_path) -> None:
    """6 * 0.25 / 0.3: exactly 4.9999998, in float32 5. Rounding up or down, one of both is a code away."""
    nodes = [quant("x", "a"), quant("a", "y", "s2", "z", "b", rounding_mode="FLOOR")]
    path = write(tmp_path, nodes, BASE | {"s2": F32(0.3)})
    x = np.repeat(np.arange(-8, 8, dtype=F32) / F32(4), 4).reshape(16, 4)
    graph = load(path)
    got, want = graph.codes(x)["y"], qonnx_oracle.integer_codes(path, qonnx_oracle.tensors(path, x))["y"]
    listed = {a for _, _, a, b in graph.blocks[0].params["near_ties"].array.tolist() for a in range(a, b + 1)}
    different = {int(v) for v in graph.codes(x)["a"][got != want]}
    assert different == {6}
    assert listed == {-6, 0, 6}


def test_constants_between_quantizers(tmp_path, rng) -> None:
    """Add, Sub, Mul and Div by constants on either side, per tensor and per channel, then a Clip."""
    nodes = [
        quant("x", "a"),
        node("Mul", "k a", "b1"),
        node("Add", "b1 v", "b2"),
        node("Sub", "u b2", "b3"),
        node("Div", "b3 v", "b4"),
        node("Sub", "b4 u", "b5"),
        node("Clip", "b5 lo hi", "b6"),
        quant("b6", "y", "s2", "z2", "b"),
    ]
    constants = BASE | {
        "k": F32(3),
        "v": np.array([0.5, -2, 4, 0.25], F32),
        "u": F32(0.75),
        "lo": F32(-3.3),
        "hi": F32(3.2),
        "s2": F32(0.7),
        "z2": F32(1),
    }
    for rescale in ("dyadic", "threshold"):
        agree(write(tmp_path, nodes, constants), inputs(rng, 300, 4), exact_outputs=False, rescale=rescale)


def test_residual_sums_of_one_scale(tmp_path, rng) -> None:
    nodes = [
        quant("x", "a"),
        quant("a", "c", "s2", "z", "b"),
        node("Add", "a c", "d"),
        node("Sub", "d a", "e"),
        node("Identity", "e", "y"),
    ]
    agree(write(tmp_path, nodes, BASE | {"s2": F32(0.5)}), inputs(rng, 100, 4))


def test_per_channel_activation_scales_and_wiring(tmp_path, rng) -> None:
    """A scale and zero point per channel on the input and inside; then axes moved and merged."""
    nodes = [
        quant("x", "a", "s", "z", "b"),
        quant("a", "c", "s2", "z", "b"),
        node("Transpose", "c", "d", perm=[0, 2, 3, 1]),
        node("Unsqueeze", "d axes", "e"),
        node("Squeeze", "e axes", "f"),
        node("Reshape", "f shape", "g"),
        node("Flatten", "g", "y"),
    ]
    per = np.array([0.25, 0.3, 0.5], F32).reshape(1, 3, 1, 1)
    constants = {
        "s": per,
        "z": np.array([0, 1, -2], F32).reshape(1, 3, 1, 1),
        "b": F32(5),
        "s2": per[:, ::-1] * F32(1.5),
        "axes": np.array([1]),
        "shape": np.array([0, -1, 3]),
    }
    path = write(tmp_path, nodes, constants, shape=(1, 3, 2, 2))
    codes = agree(path, inputs(rng, 200, 3, 2, 2))
    assert codes["y"].shape == (200, 12)


def test_matmul_with_zero_points_folds_their_offset(tmp_path, rng) -> None:
    nodes = [quant("x", "a", "s", "z3", "b"), quant("w", "wq", "s", "z", "b"), node("MatMul", "a wq", "y")]
    path = write(tmp_path, nodes, BASE | {"w": inputs(rng, 4, 3), "z3": F32(3)})
    agree(path, inputs(rng, 100, 4))


def test_bipolar_weights_and_activations(tmp_path, rng) -> None:
    """BipolarQuant and the signed one-bit Quant: +1 from 0 on, so that a 0 accumulator counts as +1."""
    nodes = [
        quant("x", "a"),
        node("BipolarQuant", "w ws", "wq"),
        node("Transpose", "wq", "wt"),
        node("MatMul", "a wt", "m"),
        quant("m", "h", "one", "z", "one"),
        quant("w2", "w2q", "ws", "z", "one"),
        node("MatMul", "h w2q", "y"),
    ]
    constants = BASE | {
        "w": rng.normal(size=(6, 4)).astype(F32),
        "w2": rng.normal(size=(6, 2)).astype(F32),
        "ws": F32(0.5),
        "one": F32(1),
    }
    for rescale in ("dyadic", "threshold"):
        codes = agree(write(tmp_path, nodes, constants), inputs(rng, 300, 4), rescale=rescale)
        assert set(np.unique(codes["h"])) == {-1, 1}
        assert np.any(codes["m"] == 0)


def test_constants_are_folded(tmp_path, rng) -> None:
    """A computed scale, a target made from Shape, weights moved before and after their Quant."""
    nodes = [
        node("Constant", "", "two", value_float=2.0),
        node("Div", "half two", "s"),
        node("Shape", "x", "sh"),
        node("Gather", "sh zero", "batch"),
        node("Unsqueeze", "batch axis0", "batch1"),
        node("Concat", "batch1 rest", "target", axis=0),
        node("Reshape", "x target", "flat"),
        quant("flat", "a"),
        node("Transpose", "w", "wt"),
        quant("wt", "wq"),
        node("Identity", "wq", "wi"),
        node("Flatten", "wi", "wf"),
        node("MatMul", "a wf", "y"),
    ]
    constants = {
        "half": F32(0.5),
        "z": F32(0),
        "b": F32(4),
        "w": inputs(rng, 3, 4),
        "zero": np.array(0),
        "axis0": np.array([0]),
        "rest": np.array([-1]),
    }
    path = write(tmp_path, nodes, constants, shape=(1, 2, 2))
    graph = load(path)
    x = inputs(rng, 50, 2, 2)
    want = np.concatenate([qonnx_oracle.tensors(path, v[None])["y"] for v in x])
    assert np.array_equal(graph.run(x).astype(F32), want)


def test_dynamic_batch_is_a_batch(tmp_path, rng) -> None:
    path = write(tmp_path, [quant("x", "y")], BASE, shape=("N", 4))
    assert load(path).inputs[0].type.shape == (4,)


def test_two_quantizers_of_one_input(tmp_path, rng) -> None:
    same = [quant("x", "a"), quant("x", "c"), node("Add", "a c", "y")]
    agree(write(tmp_path, same, BASE), inputs(rng, 50, 4))
    other = [quant("x", "a"), quant("x", "c", "s2", "z", "b"), node("Add", "a c", "y")]
    path = write(tmp_path, other, BASE | {"s2": F32(0.5)})
    with pytest.raises(
        ValueError, match=r"node 'n_c' \(Quant\) quantizes the input 'x' in a second way; pass input"
    ):
        load(path)
    agree(path, inputs(rng, 200, 4), input=Format(7, 3))


@pytest.mark.parametrize("rescale", ["dyadic", "threshold"])
def test_input_format_with_scaling_before_the_quantizer(tmp_path, rng, rescale) -> None:
    nodes = [node("Mul", "x k", "p"), node("Sub", "p c", "q"), quant("q", "y", "s", "z", "b")]
    path = write(tmp_path, nodes, {"k": F32(2), "c": F32(1), "s": F32(0.3), "z": F32(0), "b": F32(3)})
    agree(path, inputs(rng, 300, 4), input=Format(7, 3), rescale=rescale)


def test_auto_takes_the_cheaper_method(tmp_path, rng) -> None:
    """Few codes want thresholds, many codes a multiplier."""
    methods = {}
    for bits in (2, 6):
        nodes = [
            quant("x", "a", "s", "z", "b8"),
            quant("w", "wq", "s", "z", "b8"),
            node("MatMul", "a wq", "m"),
            quant("m", "y", "s2", "z", "b"),
        ]
        constants = BASE | {
            "b8": F32(8),
            "w": inputs(rng, 4, 3),
            "s": F32(0.07),
            "s2": F32(0.53),
            "b": F32(bits),
        }
        graph = load(write(tmp_path, nodes, constants))
        params = graph.blocks[-1].params
        assert params["method"] == min(("dyadic", "threshold"), key=params["cost"].get)
        methods[bits] = params["method"]
    assert methods == {2: "threshold", 6: "dyadic"}
