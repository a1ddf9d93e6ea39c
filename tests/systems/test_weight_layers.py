"""Layers with coded weights and the runtime shift-add MAC: all readings against integer formulas."""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Graph, ops, trace
from fxsim.cost import cost
from fxsim.integers import IntArray
from fxsim.layers import (
    conv2d,
    decode_fields,
    dense,
    elementwise,
    shift_accumulator,
    shift_matmul,
    shift_matmul_raw,
    shift_product,
)  # fmt: skip
from fxsim.quantizers import INQ, APoT, Binary, DeepShift, FixedPoint, KHot, PowerOfTwo, Ternary
from fxsim.quantizers.fields import Fields
from fxsim.serialize import load, save
from hls import compile_graphs
from tests.agreement import machine_readings, readings

RNG = np.random.default_rng(20261122)

# Products with codes loaded at run time: all operands of 8 bits, all codes of 10 bits

TWO = Fields(2, 7)
SMALL = Fields(2, 5)  # three bits hold more than its shifts
HOT = KHot(2, 7, 3)
APOT = APoT(4)


@cache
def cells() -> Graph:
    def build(x, code):
        def low(bits):
            return code.cast(UQ(bits, 0))

        return (
            shift_product(x, code, TWO, 7),
            shift_product(x, code, SMALL),
            shift_product(x, code, HOT.form, HOT.frac),
            shift_product(x, low(5), Fields(1, 7)),
            shift_product(x, low(2), Fields(1, 0)),
            shift_product(x, decode_fields(low(5), APOT), APOT.form),
        )

    names = ["two", "small", "hot", "one", "ternary", "apot"]
    return trace(build, SQ(3, 5), UQ(10, 0), name="shift_cells", output_names=names)


@cache
def cell_rows() -> list[np.ndarray]:
    x, code = np.meshgrid(np.arange(-128, 128), np.arange(1 << 10), indexing="ij")
    return [x.ravel(), code.ravel()]


def weight(code: np.ndarray, terms: int, shift_bits: int) -> np.ndarray:
    """What fields stand for, by bits."""
    total = np.zeros_like(code)
    for _ in range(terms):
        shift, sign, zero = code % 2**shift_bits, code >> shift_bits & 1, code >> shift_bits + 1 & 1
        total += np.where(zero == 1, 0, (-1) ** sign * 2**shift)
        code = code >> shift_bits + 2
    return total


def wrapped(v: np.ndarray, width: int) -> np.ndarray:
    return (v + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)


def test_products_with_runtime_weights_are_exact() -> None:
    x, code = cell_rows()
    two, small, hot, one, ternary, apot = expected("cells").values()
    assert np.array_equal(two, x * weight(code, 2, 3))
    assert np.array_equal(one, x * weight(code & 31, 1, 3))
    assert np.array_equal(ternary, x * weight(code & 3, 1, 0))
    assert np.array_equal(small, wrapped(x * weight(code, 2, 3), 15))  # 128 * 2 * 2**5 and a sign
    assert np.array_equal(hot, wrapped(x * weight(code, 2, 3), 16))  # N = 7: 8 + 7 + 1
    levels = [a + b for a in (0, 32, 8, 2) for b in (0, 16, 4, 1)]
    magnitude = np.array(levels)[code & 15]
    assert np.array_equal(apot, x * np.where(code & 16, -magnitude, magnitude))
    types = [o.type for o in cells().outputs]
    assert [t.max_width for t in types] == [17, 15, 16, 16, 9, 14]
    assert [t.frac for t in types] == [12, 5, 8, 5, 5, 5]


def test_weights_of_the_codec_never_wrap() -> None:
    x = np.arange(-128, 128)
    for values in (np.arange(-127, 128) / 8, np.array([200.0, -200.0])):
        codes = HOT.encode(values)
        raw = HOT.raw(codes)
        assert np.abs(raw).max() <= 128
        product = wrapped(x[:, None] * weight(codes, 2, 3), 16)
        assert np.array_equal(product, x[:, None] * raw)


# A layer for each codec, a product by runtime codes, and FracBNN's steps: 1e5 rows and corners

N, M = 6, 3
WEIGHTS = RNG.normal(0, 0.4, (N, M))
BIAS = np.array([0.3, -0.7, 0.11])
CODECS = {
    "fixed": FixedPoint.fit(WEIGHTS, 5, axis=1),
    "element": FixedPoint.fit(WEIGHTS, 4, element=True, rounding="RND_CONV"),
    "powers": PowerOfTwo.fit(WEIGHTS, 6),
    "deepshift": DeepShift(4),
    "inq": INQ.fit(WEIGHTS, 4),
    "khot": KHot.fit(WEIGHTS, 2, 6),
    "apot": APoT.fit(WEIGHTS, 4),
    "twn": Ternary.twn(WEIGHTS, axis=1),
    "bitnet": Ternary.bitnet(WEIGHTS),
    "binary": Binary.fit(WEIGHTS, axis=1),
}
OUT = SQ(4, 6, rounding="RND_CONV", overflow="SAT")
BIAS_FORMAT = SQ(5, 8, rounding="RND", overflow="SAT")
DOT = Fields(2, 3, 8)  # of 4-bit magnitudes
MAP = fxsim.Format.parse("ap_fixed<16,9,AP_RND,AP_SAT,0>")
NORM = fxsim.Format.parse("ap_fixed<12,4,AP_RND,AP_SAT,0>")
STEPS = {"g0": (0.731, -1.2), "b0": (0.4, 3.3), "bx": (-0.25, 0.6), "alpha": (0.25, -0.13), "by": (1.7, -0.9),
         "g1": (1.01, 2.3), "b1": (-3.0, 0.07)}  # fmt: skip


@cache
def layers() -> Graph:
    def build(x, codes, dm, dl):
        outs = [dense(x, WEIGHTS, BIAS, codec=c, bias_format=BIAS_FORMAT, out=OUT) for c in CODECS.values()]
        outs.append(dense(x, WEIGHTS, codec=CODECS["khot"]))
        outs.append(shift_matmul(x, codes, DOT, 4))
        t = elementwise.batch_norm(dm, Fraction(2, 3), 0, gain_format=NORM, out=MAP)
        third = elementwise.batch_norm(dl, Fraction(1, 3), 0, gain_format=NORM)
        t = elementwise.shortcut(t, third, out=MAP)
        steps = {"gain_format": NORM, "offset_format": NORM, "out": MAP}
        t = elementwise.batch_norm(t, STEPS["g0"], STEPS["b0"], **steps)
        t = elementwise.batch_norm(t, 1, STEPS["bx"], **steps)
        t = elementwise.prelu(t, STEPS["alpha"], slope_format=NORM, out=MAP)
        t = elementwise.batch_norm(t, 1, STEPS["by"], **steps)
        u = elementwise.shortcut(dm, t, out=MAP)
        outs.append(elementwise.batch_norm(u, STEPS["g1"], STEPS["b1"], **steps))
        return tuple(outs)

    names = [*CODECS, "exact", "runtime", "fracbnn"]
    types = (SQ(2, 4), UQ(DOT.bits, 0), SQ(9, 0), SQ(7, 0))
    return trace(build, *types, shape=[(N,), (N, M), (2,), (2,)], name="weight_layers", output_names=names)


@cache
def layer_rows() -> list[np.ndarray]:
    return rows(layers(), 100_000)


def rows(graph: Graph, n: int) -> list[np.ndarray]:
    """Random operands, with all inputs at their least and greatest and by turns in front."""
    rng = np.random.default_rng(3)
    out = []
    for node in graph.inputs:
        lo, hi = node.type.bounds
        ends = np.full((16, *node.type.shape), hi)
        ends[0] = lo
        ends[2:].reshape(14, -1)[:, :] = rng.choice([lo, hi], (14, node.type.size))
        out.append(np.concatenate([ends, rng.integers(lo, hi + 1, (n, *node.type.shape))]))
    corners = list(itertools.product([0, 1], repeat=len(out)))
    faces = [np.stack([o[k] for k in ks]) for o, ks in zip(out, zip(*corners, strict=True), strict=True)]
    return [np.concatenate([f, o]) for f, o in zip(faces, out, strict=True)]


def rounded(q: np.ndarray, frac: int, fmt: fxsim.Format) -> np.ndarray:
    """Section 0 of every fixed-point text: drop s bits of integer q, then saturate."""
    s = frac - fmt.frac
    if s <= 0:
        q = q << -s
    elif fmt.rounding == "RND":
        q = (q + (1 << s - 1)) >> s
    else:
        assert fmt.rounding == "RND_CONV"
        q = (q + (1 << s - 1) - 1 + (q >> s & 1)) >> s
    return np.clip(q, fmt.lo, fmt.hi)


def constant(v: float, fmt: fxsim.Format) -> int:
    return int(np.clip(np.floor(v * 2**fmt.frac + 0.5), fmt.lo, fmt.hi))


def test_constant_weights_of_every_codec() -> None:
    x = layer_rows()[0]
    found = expected("layers")
    for name, codec in CODECS.items():
        raw, frac = codec.quantize(WEIGHTS), codec.frac
        scales = getattr(codec, "scales", (codec.scale,))
        bias = [constant(b / float(s), BIAS_FORMAT) for b, s in zip(BIAS, scales * (M // len(scales)),
                                                                    strict=True)]  # fmt: skip
        point = max(4 + frac, 8)
        y = (x @ raw << point - 4 - frac) + (np.array(bias) << point - 8)
        assert np.array_equal(found[name], rounded(y, point, OUT)), name
        error = codec.decode(codec.encode(WEIGHTS)) - WEIGHTS - float(getattr(codec, "mean", 0))
        assert np.sqrt(np.mean(error**2)) < 0.5 * np.std(WEIGHTS), name
    assert np.array_equal(found["exact"], x @ CODECS["khot"].quantize(WEIGHTS))


def test_runtime_matrix_product() -> None:
    x, codes = layer_rows()[:2]
    found = expected("layers")["runtime"]
    want = (x[:, :, None] * weight(codes, 2, 2)).sum(axis=1)
    width = (N * 32 * 8).bit_length() + 1
    assert np.array_equal(found, wrapped(want, width))
    legal = np.abs(weight(codes, 2, 2)).max(axis=(1, 2)) <= 8
    assert legal.sum() > 30 and np.array_equal(found[legal], want[legal])
    assert layers().outputs[-2].type.max_width == width and layers().outputs[-2].type.frac == 8


def test_fracbnn_steps() -> None:
    dm, dl = layer_rows()[2:]
    found = expected("layers")["fracbnn"]
    c = {k: np.array([constant(v, NORM) for v in pair]) for k, pair in STEPS.items()}
    t = rounded(dm * 171, 8, MAP)
    t = rounded((t << 1) + dl * 85, 8, MAP)
    t = rounded(c["g0"] * t + (c["b0"] << 7), 15, MAP)
    t = rounded((t << 1) + c["bx"], 8, MAP)
    t = np.where(t < 0, rounded(c["alpha"] * t, 15, MAP), t)
    t = rounded((t << 1) + c["by"], 8, MAP)
    u = rounded((dm << 7) + t, 7, MAP)
    assert np.array_equal(found, rounded(c["g1"] * u + (c["b1"] << 7), 15, MAP))


# Images: convolutions, pooling, shortcuts

IMAGE = (5, 4, 2)
KERNEL = RNG.normal(0, 0.3, (3, 2, 2, 2))
GROUPED = RNG.normal(0, 0.3, (2, 2, 1, 2))
CODE = SQ(2, 5, rounding="RND", overflow="SAT")
POT, ELEMENT = PowerOfTwo.fit(KERNEL, 5), FixedPoint.fit(GROUPED, 4, axis=3)
THIRD = UQ(0, 10, rounding="RND", overflow="SAT")


@cache
def images() -> Graph:
    def build(x):
        y = conv2d(x, KERNEL, [0.5, -1], codec=POT, padding="same", out=CODE)
        z = conv2d(x, GROUPED, codec=ELEMENT, stride=(2, 1), padding=((1, 0), (0, 2)), dilation=2, groups=2)
        return (
            y,
            z,
            elementwise.relu(y, 1.5),
            elementwise.max_pool(x, 3, 2, 1),
            elementwise.average_pool(y, (2, 2), out=CODE),
            elementwise.average_pool(x, (3, 1), 1, reciprocal=THIRD, out=CODE),
            elementwise.downsample(x, 2, 2, out=CODE),
        )

    names = ["same", "grouped", "relu", "max", "average", "third", "down"]
    return trace(build, SQ(2, 3), shape=IMAGE, name="weight_images", output_names=names)


@cache
def image_rows() -> list[np.ndarray]:
    return rows(images(), 100_000)


def convolved(x, w, before, after, stride, dilation):
    """Sums over windows of a padded image, by their definition."""
    x = np.pad(x, ((0, 0), *zip(before, after, strict=True), (0, 0)))
    (kh, kw), (sh, sw), (dh, dw) = w.shape[:2], stride, dilation
    high, wide = (x.shape[1] - dh * (kh - 1) - 1) // sh + 1, (x.shape[2] - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((len(x), high, wide, w.shape[3]), np.int64)
    for i, j, a, b in itertools.product(range(high), range(wide), range(kh), range(kw)):
        out[:, i, j] += x[:, i * sh + a * dh, j * sw + b * dw] @ w[a, b]
    return out


def test_images() -> None:
    (x,) = image_rows()
    found = expected("images")
    frac = POT.frac + 3
    bias = np.array([4, -8]) << frac - 3
    y = convolved(x, POT.quantize(KERNEL), (1, 0), (1, 1), (1, 1), (1, 1)) + bias
    y = rounded(y, frac, CODE)
    assert np.array_equal(found["same"], y)
    assert np.array_equal(found["relu"], np.clip(y, 0, 48))
    w = ELEMENT.quantize(GROUPED)
    parts = [convolved(x[..., g : g + 1], w[..., g : g + 1], (1, 0), (0, 2), (2, 1), (2, 2)) for g in (0, 1)]
    assert np.array_equal(found["grouped"], np.concatenate(parts, axis=3))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-999)
    top = np.stack([padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(1, 2))
                    for i in range(3) for j in range(2)], axis=1)  # fmt: skip
    assert np.array_equal(found["max"], top.reshape(-1, 3, 2, 2))
    quads = y[:, :4].reshape(-1, 2, 2, 2, 2, 2).sum(axis=(2, 4))
    assert np.array_equal(found["average"], rounded(quads, 7, CODE))
    sums = x[:, :3] + x[:, 1:4] + x[:, 2:]
    assert np.array_equal(found["third"], rounded(sums * 341, 13, CODE))
    quads = x[:, :4].reshape(-1, 2, 2, 2, 2, 2).sum(axis=(2, 4))
    assert np.array_equal(found["down"], rounded(np.concatenate([quads, quads], axis=3), 5, CODE))


# Readings

CASES = {"cells": (cells, cell_rows), "layers": (layers, layer_rows), "images": (images, image_rows)}


@cache
def expected(case: str) -> dict[str, np.ndarray]:
    """The outputs by name, by the table of exact rules; every value is held to its type on the way."""
    graph, stimulus = (f() for f in CASES[case])
    return dict(zip(graph.output_names, readings.reference(graph, stimulus), strict=True))


def agree(case: str, reading: readings.Reading) -> None:
    graph, stimulus = (f() for f in CASES[case])
    found = readings.disagreement(graph, list(expected(case).values()), reading(graph, stimulus))
    assert not found, found


@pytest.mark.parametrize("case", CASES)
def test_emulator(case: str) -> None:
    agree(case, readings.emulator)


@pytest.mark.parametrize("case", CASES)
def test_verilog_in_verilator(case: str) -> None:
    agree(case, readings.verilator)


def test_hls_c_simulation() -> None:
    functions = compile_graphs([graph() for graph, _ in CASES.values()], optimize=1)
    for case, function in zip(CASES, functions, strict=True):
        agree(case, lambda graph, raw, f=function: readings.called(f, graph, raw))


def test_specification_of_the_cells() -> None:
    at = np.random.default_rng(4).choice(1 << 18, 6, replace=False)
    readings.check(cells(), [r[at] for r in cell_rows()], readings.specification)


def test_blocks_survive_saving_and_have_a_cost(tmp_path) -> None:
    for graph in (cells(), layers(), images()):
        save(graph, tmp_path / "g.fxs")
        again = load(tmp_path / "g.fxs")
        assert cost(graph).total.luts > 0
        assert again == graph and [b.kind for b in again.blocks] == [b.kind for b in graph.blocks]
    assert [b.kind for b in cells().blocks] == [*["shift_product"] * 5, "decode_fields", "shift_product"]
    kinds = {b.kind for b in (*layers().blocks, *images().blocks)}
    assert kinds == {
        "dense", "shift_dot", "batch_norm", "shortcut", "prelu", "conv2d", "relu", "max_pool",
        "average_pool", "downsample",
    }  # fmt: skip


def test_runtime_products_as_one_matrix_product() -> None:
    """The NumPy form of a sum of shifts, beside the loop over its shifts."""
    rng = np.random.default_rng(8)
    x, codes = rng.integers(-128, 128, (50, 40)), rng.integers(0, 1 << TWO.bits, (40, 7))
    want = np.zeros((50, 7), np.int64)
    for k in range(40):
        for j in range(7):
            for f in (0, 5):
                shift, sign, zero = (int(codes[k, j]) >> f + at & m for at, m in ((0, 7), (3, 1), (4, 1)))
                want[:, j] += 0 if zero else (-1) ** sign * (x[:, k] << shift)
    assert np.array_equal(shift_matmul_raw(x, codes, TWO), want)
    assert np.array_equal(shift_matmul_raw(x << 40, codes, TWO), want << 40)
    assert np.array_equal(shift_matmul_raw(x.astype(object) << 70, codes, TWO), want.astype(object) << 70)
    graph = trace(lambda x, c: shift_matmul(x, c, TWO), SQ(8, 0), UQ(TWO.bits, 0), shape=[(40,), (40, 7)])
    assert np.array_equal(graph.run_raw(x, np.broadcast_to(codes, (50, 40, 7))), want)
    assert shift_matmul_raw(x[:0], codes, TWO).shape == (0, 7)
    with pytest.raises(ValueError, match=r"weights must lie in -8..8, not 12 at \(0, 0\)"):
        shift_matmul_raw([1], [[0b0011_0010]], DOT)
    with pytest.raises(ValueError, match=r"x and codes must have shapes \(..., n\) and \(n, m\), not \(3,\)"):
        shift_matmul_raw([1, 2, 3], codes, TWO)


def test_a_format_for_each_channel() -> None:
    """Steps may end in a Cast or a codec with formats of their own for each channel."""
    step = FixedPoint(ops.Cast(IntArray([2, 4]), IntArray([5, 6]), IntArray([1, 0]), "RND", "SAT"))
    x = np.arange(-32, 32)
    raw = np.stack([x, x[::-1]], axis=1)
    for out in (step, step.cast):
        graph = trace(lambda x, out=out: dense(x, np.eye(2) * 0.75, out=out), SQ(3, 3), shape=(2,))
        first = np.clip((x * 6 + 8) >> 4, -16, 15)  # 6 fraction bits and the 2 of 0.75 to 2
        second = np.clip((x[::-1] * 3 + 1) >> 1, 0, 63)
        assert np.array_equal(graph.run_raw(raw), np.stack([first << 2, second], axis=1))
    y = trace(lambda x: elementwise.batch_norm(x, [0.3, 0.3], 0, gain_format=step), SQ(3, 3), shape=(2,))
    assert np.array_equal(y.run_raw(raw), raw * np.array([1 << 2, 5]))


def test_exact_steps_grow_by_the_rules_of_the_field() -> None:
    """add: max of the integer bits, max of the fraction bits, and one; mul: the sums of both."""
    graph = trace(
        lambda a, b: (elementwise.shortcut(a, b), elementwise.batch_norm(a, -4, 0, gain_format=SQ(3, 1))),
        SQ(3, 5), SQ(5, 2), shape=(2,),
    )  # fmt: skip
    total, product = (o.type for o in graph.outputs)
    assert (total.max_width, total.frac) == (5 + 5 + 1, 5)
    assert (product.max_width, product.frac) == (8 + 4, 5 + 1)


# Sums over time


def test_mac_over_time() -> None:
    form, fmt = Fields(2, 7), SQ(20, 0, overflow="SAT")
    machine = shift_accumulator(SQ(8, 0), form, fmt)
    rng = np.random.default_rng(5)
    x, code = rng.integers(-128, 128, (9, 40)), rng.integers(0, 1 << form.bits, (9, 40))
    clear = (rng.random((9, 40)) < 0.1).astype(int)
    (sums,), (last,) = machine.run_raw(x, code, clear)
    acc = np.zeros(9, np.int64)
    for t in range(40):
        acc = np.where(clear[:, t], 0, acc) + x[:, t] * weight(code[:, t], 2, 3)
        acc = np.clip(acc, fmt.lo, fmt.hi)
        assert np.array_equal(sums[:, t], acc)
    assert np.array_equal(last, acc)


def test_mac_over_time_in_hardware() -> None:
    machine = shift_accumulator(SQ(8, 0), TWO, SQ(18, 0, overflow="SAT"))
    rng = np.random.default_rng(9)
    streams = [rng.integers(lo, hi, (250, 400)) for lo, hi in ((-128, 128), (0, 1 << TWO.bits))]
    streams[0][0], streams[1][0] = -128, TWO.of([256])[0]  # saturates
    machine_readings.check(machine, *streams, (rng.random((250, 400)) < 0.02).astype(np.int64))


# A product that is rounded once, not term by term


def test_shifts_before_the_sum_lose_nothing() -> None:
    rng = np.random.default_rng(6)
    x, shift = rng.integers(-128, 128, (2000, 64)), rng.integers(0, 8, 64)
    codec = PowerOfTwo(-7, 0)
    w = 2.0 ** -shift.astype(float)
    graph = trace(lambda x: dense(x, w[:, None], codec=codec)[0], SQ(8, 0), shape=(64,))
    exact = graph.run_raw(x)
    assert np.array_equal(exact, (x << 7 - shift).sum(axis=1))
    by_term = (x >> shift).sum(axis=1) * 128
    assert (exact >= by_term).all()
    # Over all codes, a floor of each term takes 1/2 - 2**-(s+1) LSB of each on average.
    every = np.repeat(np.arange(-128, 128)[:, None], 64, axis=1)
    lost = graph.run_raw(every) - (every >> shift).sum(axis=1) * 128
    assert lost.sum() == 256 * 128 * (0.5 - 0.5 * w).sum()
