"""Sums of branches of unequal real scales: all pairs of codes against exact rationals, whole networks."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from qonnx_oracle import tensors
from small_models import node, quant, write

from fxsim import load
from fxsim.load.steps import Reach, StepFunction
from fxsim.load.sums import certify, countable, enumerated

F32 = np.float32
ROUNDINGS = ("ROUND", "HALF_UP", "HALF_DOWN", "FLOOR", "CEIL", "UP", "DOWN", "BIPOLAR")


def slope(rng: np.random.Generator, dyadic: bool) -> Fraction:
    if dyadic:
        return Fraction(int(rng.integers(-20, 21)), 16)
    return Fraction(float(F32(rng.normal() * 0.5)))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dyadic", [False, True], ids=["float", "ties"])
def test_certificates_by_brute_force(rng, rounding, dyadic) -> None:
    """Whatever is certified is right for every combination; float scales always find a certificate."""
    for _ in range(12):
        k = int(rng.integers(2, 4))
        rows = zip(rng.integers(-9, 3, k), rng.integers(1, 12, k), rng.choice([1, 2, 4], k), strict=True)
        sets = [Reach(int(lo * s), int((lo + n) * s), int(s)) for lo, n, s in rows]
        lo, hi = (0, 1) if rounding == "BIPOLAR" else sorted(int(v) for v in rng.integers(-8, 9, 2))
        steps = StepFunction(Fraction(1), slope(rng, dyadic), lo, hi, rounding)
        slopes = [slope(rng, dyadic) for _ in sets]
        assert countable([tuple(sets)], [steps])
        cases = enumerated(slopes, steps, sets)
        found = certify(slopes, cases)
        assert dyadic or rounding in ("UP", "DOWN") or found is not None  # those have a wide or no zero
        if found is None:
            continue
        for v in product(*(range(r.lo, r.hi + 1, r.step) for r in sets)):
            y = sum((s * x for s, x in zip(slopes, v, strict=True)), steps.b)
            expected = StepFunction(Fraction(1), y, lo, hi, rounding).code(0)
            total = sum(m * x for m, x in zip(found.multipliers, v, strict=True)) + found.constant
            assert min(max(total >> found.shift, lo), hi) == expected


def exact_codes(values: np.ndarray, scale: np.ndarray, zero: int, lo: int, hi: int) -> np.ndarray:
    """round half-even(x / scale) + zero of exact Fractions."""
    out = np.empty(values.shape, np.int64)
    for i in np.ndindex(values.shape):
        out[i] = StepFunction(Fraction(1), values[i] / scale[i[1] % len(scale)] + zero, lo, hi).code(0)
    return out


def residual(folder, rng, *, per_channel: bool, quantized: bool, relu: bool):
    """A block x -> Quant -> Conv -> BatchNorm (-> Quant) -> + Quant(x) (-> Relu) -> Quant -> pool -> MatMul.

    Real scales throughout; with `quantized` false the branch joins as a raw accumulator of its own scales.
    """
    c, shape = 4, (1, 4, 5, 5)
    per = (1, c, 1, 1) if per_channel else ()
    constants = {
        "sx": F32(0.137), "s1": rng.uniform(0.05, 0.3, per).astype(F32), "z": F32(0), "b": F32(4),
        "s2": rng.uniform(0.05, 0.3, per).astype(F32), "so": F32(0.211), "zo": F32(2),
        "w": rng.normal(size=(c, c, 3, 3)).astype(F32), "sw": rng.uniform(0.1, 0.4, (c, 1, 1, 1)).astype(F32),
        "g": rng.uniform(0.5, 1.5, c).astype(F32), "be": rng.normal(size=c).astype(F32) / 3,
        "me": rng.normal(size=c).astype(F32) / 3, "va": rng.uniform(0.5, 2, c).astype(F32),
        "w2": rng.normal(size=(c, 3)).astype(F32),
    }  # fmt: skip
    nodes = [
        quant("x", "q0", "sx"), quant("w", "wq", "sw"), quant("q0", "skip", "s1"),
        node("Conv", "q0 wq", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c g be me va", "n", epsilon=1e-5),
    ]  # fmt: skip
    nodes += [quant("n", "m", "s2")] if quantized else [node("Identity", "n", "m")]
    nodes += [node("Add", "m skip", "sum")]
    nodes += [node("Relu", "sum", "r")] if relu else [node("Identity", "sum", "r")]
    nodes += [
        quant("r", "q1", "so", "zo"), node("GlobalAveragePool", "q1", "p"), node("Flatten", "p", "f"),
        quant("f", "q2", "so"), quant("w2", "w2q", "sx"), node("MatMul", "q2 w2q", "y"),
    ]  # fmt: skip
    return write(folder, nodes, constants, shape), constants


@pytest.mark.parametrize("relu", [False, True], ids=["sum", "relu"])
@pytest.mark.parametrize("quantized", [True, False], ids=["codes", "accumulators"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
def test_residual_networks(tmp_path, rng, per_channel, quantized, relu) -> None:
    """Codes of every quantizer equal qonnx's, but where exact rationals of our own codes decide otherwise."""
    path, constants = residual(tmp_path, rng, per_channel=per_channel, quantized=quantized, relu=relu)
    x = rng.normal(size=(40, 4, 5, 5)).astype(F32)
    values = tensors(path, x)
    for rescale in ("auto", "threshold"):
        graph = load(path, rescale=rescale)
        codes = graph.codes(x)
        block = next(b for b in graph.blocks if b.name == "n_q1")
        assert block.kind == ("sum_rescale" if rescale == "auto" else "rescale")
        assert {"q0", "skip", "q1", "q2"} <= set(codes)
        for name, scale, zero in (
            ("q0", "sx", 0),
            ("skip", "s1", 0),
            ("m", "s2", 0),
            ("q1", "so", 2),
            ("q2", "so", 0),
        ):
            if name == "m" and not quantized:
                continue
            expected = np.rint(values[name] / constants[scale]) + zero
            raw = codes[name]
            different = np.argwhere(raw != expected)
            assert len(different) <= block.params["near_count"], name
            assert not len(different), (name, different[:5])
        assert np.array_equal(graph.run(x).argmax(1), values["y"].argmax(1))


def test_chains_of_sums(tmp_path, rng) -> None:
    """a + b - c + constant, scales per channel, behind ReLU and scaling, is one sum of three branches."""
    per = rng.uniform(0.1, 0.5, (3, 1, 4)).astype(F32)
    constants = {
        "s": F32(0.11), "z": F32(0), "b": F32(4), "so": rng.uniform(0.2, 0.6, 4).astype(F32),
        "bias": rng.normal(size=4).astype(F32), "k": F32(1.3), **{f"s{i}": per[i] for i in range(3)},
    }  # fmt: skip
    nodes = [
        quant("x", "q"), *(quant("q", f"a{i}", f"s{i}") for i in range(3)), node("Add", "a0 a1", "t"),
        node("Add", "t bias", "u"), node("Sub", "u a2", "v"), node("Mul", "v k", "w"), node("Relu", "w", "r"),
        quant("r", "y", "so", signed=0),
    ]  # fmt: skip
    path = write(tmp_path, nodes, constants)
    x = rng.normal(size=(500, 4)).astype(F32)
    values = tensors(path, x)
    graph = load(path)
    block = next(b for b in graph.blocks if b.name == "n_y")
    assert (block.kind, block.params["multiplier"].shape) == ("sum_rescale", (4, 3))
    assert np.array_equal(graph.codes(x)["y"], np.rint(values["y"] / constants["so"]))
    by_threshold = load(path, rescale="threshold")
    assert np.array_equal(by_threshold.run(x), graph.run(x))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 3, 1), (1, 3, 2)])
def test_shapes_that_broadcast(tmp_path, rng, shape) -> None:
    """Numbers without an axis, and branches of one element beside wider ones."""
    constants = {
        "s": F32(0.11),
        "z": F32(0),
        "b": F32(4),
        "s2": F32(0.3),
        "so": F32(0.27),
        "i": np.array([0]),
    }
    nodes = [
        quant("x", "q"), quant("q", "a", "s2"),
        node("Gather", "a i", "one", axis=len(shape) - 1) if len(shape) > 1 else node("Identity", "a", "one"),
        node("Sub", "one q", "u"), node("Add", "u q", "v"), quant("v", "y", "so"),
    ]  # fmt: skip
    path = write(tmp_path, nodes, constants, shape)
    x = rng.normal(size=(60, *shape[1:])).astype(F32)
    values, codes = tensors(path, x), load(path).codes(x)
    assert np.array_equal(codes["y"], np.rint(values["y"] / F32(0.27)))


def test_relu_between_products(tmp_path, rng) -> None:
    """A ReLU whose bound is no code, between two products: equal to exact rationals on a finer grid."""
    w = (rng.integers(-8, 8, (4, 3)) / 4).astype(F32)
    constants = {"s": F32(0.25), "z": F32(0), "b": F32(4), "bias": rng.normal(size=4).astype(F32), "w": w}
    nodes = [
        quant("x", "q"), node("Add", "q bias", "t"), node("Relu", "t", "r"), quant("w", "wq"),
        node("MatMul", "r wq", "y"),
    ]  # fmt: skip
    graph = load(write(tmp_path, nodes, constants))
    x = rng.normal(size=(50, 4)).astype(F32)
    q = np.clip(np.rint(x / F32(0.25)), -8, 7)
    raw, affine = graph.run_raw(graph.encoders[0].encode(x, "x")), graph.output_affines[0]
    unit = Fraction(2) ** -graph.outputs[0].type.frac
    for i in range(len(x)):
        real = [
            max(Fraction(int(c)) / 4 + Fraction(float(o)), 0)
            for c, o in zip(q[i], constants["bias"], strict=True)
        ]
        for j in range(3):
            expected = sum(r * Fraction(float(v)) for r, v in zip(real, w[:, j], strict=True))
            s = affine.scale[j if len(affine.scale) > 1 else 0]
            o = affine.offset[j if len(affine.offset) > 1 else 0]
            assert s * int(raw[i, j]) * unit + o == expected


def test_hardware_is_smaller_than_the_common_grid(tmp_path, rng) -> None:
    """Multipliers of a few bits, where the grid of two float32 scales takes 24-bit factors."""
    path, _ = residual(tmp_path, rng, per_channel=False, quantized=True, relu=False)
    found = {}
    for rescale in ("auto", "threshold"):
        graph = load(path, rescale=rescale)
        block = next(b for b in graph.blocks if b.name == "n_q1")
        found[rescale] = max(v.type.max_width for v in graph.values[block.start : block.stop])
        if rescale == "auto":
            assert int(np.abs(block.params["multiplier"].array).max()).bit_length() <= 12
            assert graph.names["sum"].reason == "no output depends on it"
    assert found["auto"] <= 20
