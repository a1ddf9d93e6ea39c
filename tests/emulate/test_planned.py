"""The planned emulator against the exact table, bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim
from fxsim import ops
from fxsim.emulate import evaluate
from fxsim.emulate.runner import plan
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Graph
from fxsim.integers import IntArray, to_object
from fxsim.trace import Tensor, concat, maximum, minimum, select, trace
from fxsim.types import TensorType


def samples(t: TensorType, n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """n codes of a type, both ends of every element's range among them."""
    lo, hi = to_object(t.lo), to_object(t.hi)
    step = np.where(t.is_constant, 0, t.stride).astype(object)
    count = (hi - lo) >> step
    out = np.empty((n, *t.shape), object)
    for i in np.ndindex(out.shape):
        pick = {0: 0, 1: 1 << 30}.get(i[0], int(rng.integers(0, (1 << 30) + 1)))
        near = int(rng.integers(0, 4)) if i[0] % 3 == 2 else 0
        k = min(int(count[i[1:]]) * pick >> 30, int(count[i[1:]]))
        out[i] = int(lo[i[1:]]) + (max(k - near, 0) << int(step[i[1:]]))
    return out


def check(graph: Graph, rng: np.random.Generator, n: int = 37) -> Graph:
    """Every value as a target, then the outputs alone (where more is fused): all equal the exact table's."""
    from fxsim.integers import exact

    raw = [exact(samples(i.type, n, rng)) for i in graph.inputs]
    expected = evaluate(graph, raw)
    named = Graph(
        graph.inputs, graph.values, graph.values, tuple(map(str, range(len(graph.values)))), graph.encoders,
        tuple(graph.output_affines[0] for _ in graph.values),
    )  # fmt: skip
    for g in (named, graph):
        got = g.run_raw(*raw)
        got = got if isinstance(got, tuple) else (got,)
        for node, codes in zip(g.outputs, got, strict=True):
            full = np.broadcast_to(expected[node], (n, *node.type.shape))
            assert codes.shape == full.shape
            assert codes.dtype == (
                object if node.type.lo.dtype == object or node.type.hi.dtype == object else np.int64
            )
            assert np.array_equal(codes, full), f"{getattr(node, 'op', node)}"
    return graph


def carrier_of(graph: Graph) -> set[str]:
    return {str(b.dtype) for b in plan(graph).buffers}


FORMATS = [Format(5, 3), Format(1, 1), Format(12, 2, False), Format(20, 14)]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("bits", [10, 24, 25, 26, 53, 54, 55, 70])
def test_casts_in_every_carrier(
    rounding: Rounding, overflow: Overflow, bits: int, rng: np.random.Generator
) -> None:
    """Sources of each carrier, at the very edges of float32 and float64."""

    def net(x: Tensor) -> tuple[Tensor, ...]:
        out = []
        for base in FORMATS:
            for n in (0, 2):
                wraps = overflow in (Overflow.WRAP, Overflow.WRAP_SM)
                if (overflow is Overflow.WRAP_SM and not base.signed) or n > base.width or (n and not wraps):
                    continue
                fmt = base.replace(rounding=rounding, overflow=overflow, saturation_bits=n)
                out += [
                    x.cast(fmt),
                    x.relu().cast(fmt),
                    minimum(maximum(x, -3), 1).cast(fmt),
                    (x + 1).cast(fmt),
                ]
        return tuple(out)

    for signed in (True, False) if bits in (24, 53) else (True,):
        check(trace(net, Format(bits, bits - 5, signed), shape=(2,)), rng, 16)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_every_code_of_a_fused_layer(rounding: Rounding, overflow: Overflow) -> None:
    """A product whose cast is folded into it, on all codes of its input."""
    fmt = Format(6, 3, False, rounding, overflow)
    weights, bias = np.array([[0.75, -1.25, 0.5, 1.0]]), np.array([0.0625, 0.5, -0.25, 3.0])
    graph = trace(lambda x: ((x @ weights) + bias).relu().cast(fmt), fxsim.SQ(5, 4), shape=(1,))
    raw = np.arange(-256, 256)[:, None]
    assert np.array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])
    signed = trace(lambda x: (x @ weights).cast(fmt.replace(signed=True)), fxsim.SQ(5, 4), shape=(1,))
    assert np.array_equal(signed.run_raw(raw), evaluate(signed, [raw])[signed.outputs[0]])


@pytest.mark.parametrize("k", [1024, 1025, 1040])
def test_bound_of_a_product_is_strict(k: int, rng: np.random.Generator) -> None:
    """Extremes of 8 by 8 bits: 1024 terms reach 2**24, beyond which float32 would miss odd sums."""
    weights = np.full((k, 2), -128.0)
    weights[-1, 1] = 127.0
    graph = trace(lambda x: x @ weights, fxsim.SQ(8, 0), shape=(k,))
    raw = np.full((3, k), -128, np.int8)
    raw[1, -1] = 127
    raw[2, ::2] = 1
    expected = evaluate(graph, [raw.astype(np.int64)])[graph.outputs[0]]
    assert np.array_equal(graph.run_raw(raw), expected)
    assert int(graph.run_raw(raw)[0, 0]) == k * 128 * 128
    dtypes = {str(b.dtype) for b in plan(graph).buffers}
    assert ("float64" in dtypes) == (k > 1024)
    odd = raw.copy()
    odd[:, -1] = -1
    flat = np.full((k, 1), -128.0)
    flat[-1] = 1
    ones = trace(lambda x: x @ flat + 1, fxsim.SQ(8, 0), shape=(k,))
    assert np.array_equal(ones.run_raw(odd), evaluate(ones, [odd.astype(np.int64)])[ones.outputs[0]])


@pytest.mark.parametrize("bits", [8, 16, 24, 30, 40, 58])
@pytest.mark.parametrize("weight_bits", [1, 6, 16, 26])
def test_products_in_every_carrier(bits: int, weight_bits: int, rng: np.random.Generator) -> None:
    """float32, parts in float32, float64, limbs, int64 and Python integers."""
    k = 150
    weights = rng.integers(-(2**weight_bits), 2**weight_bits, size=(k, 3)).astype(float)
    bias = rng.integers(-5, 5, size=3) / 4
    check(trace(lambda x: (x @ weights, x @ weights + bias), Format(bits, bits - 3), shape=(k,)), rng, 5)
    check(trace(lambda x: x @ weights[:6] - bias, Format(bits, bits - 3), shape=(2, 6)), rng, 9)


def net_of(seed: int) -> Graph:
    """A small random network: dense layers with a bias, bounds, casts of any kind and per-element formats."""
    rng = np.random.default_rng([91, seed])
    roundings, overflows = list(Rounding), [Overflow.SAT, Overflow.SAT_SYM, Overflow.WRAP, Overflow.SAT_ZERO]

    def net(x: Tensor) -> tuple[Tensor, ...]:
        kept = []
        for _ in range(int(rng.integers(1, 4))):
            n = int(rng.integers(1, 7))
            x = x @ (rng.integers(-31, 32, size=(x.shape[-1], n)) / 2.0 ** rng.integers(0, 6))
            if rng.random() < 0.7:
                b = rng.integers(-31, 32, size=n) / 2.0 ** rng.integers(0, 6)
                x = x + b if rng.random() < 0.7 else x - b if rng.random() < 0.5 else b - x
            if rng.random() < 0.5:
                x = x.relu()
            elif rng.random() < 0.3:
                x = maximum(minimum(x, 1.5), rng.integers(-3, 2, size=n))
            if rng.random() < 0.2:
                kept.append(x)
            rounding, overflow = roundings[rng.integers(8)], overflows[rng.integers(4)]
            if rng.random() < 0.4:  # formats per element
                cast = ops.Cast(
                    IntArray(rng.integers(-1, 6, size=n)), IntArray(rng.integers(0, 10, size=n)),
                    IntArray(rng.integers(0, 2, size=n)), rounding, overflow,
                )  # fmt: skip
                x = x.cast(cast)
            else:
                x = x.cast(
                    Format(
                        int(rng.integers(2, 12)),
                        int(rng.integers(-1, 6)),
                        bool(rng.integers(2)),
                        rounding,
                        overflow,
                    )
                )
        return (*kept, x)

    shape = tuple(int(n) for n in rng.integers(1, 5, size=int(rng.integers(1, 4))))
    return trace(
        net, Format(int(rng.integers(2, 10)), int(rng.integers(-1, 5)), bool(rng.integers(2))), shape=shape
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed: int, rng: np.random.Generator) -> None:
    check(net_of(seed), rng)


def conv(x: Tensor) -> Tensor:
    w = x._apply(ops.Window((3, 2), (2, 1), (1, 2), (1, 0), (1, 1), 0))
    p0, p1 = w.shape[:2]
    weights = np.random.default_rng(5).integers(-15, 16, size=(3 * 2 * x.shape[2], 4)) / 8
    y = w.reshape(p0, p1, -1) @ weights + np.array([0.5, -1, 2, 0.125])
    y = y.relu().cast(fxsim.UQ(3, 2, rounding="RND", overflow="SAT"))
    pool = y._apply(ops.Window((2, 2), (1, 1), (1, 1), (0, 0), (0, 0))).max(2).max(2)
    return pool.reshape(-1) @ (np.arange(pool.type.size * 3).reshape(-1, 3) % 7 - 3)


NETS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "conv": (conv, (6, 5, 2)),
    "padded": (lambda x: x._apply(ops.Window((3,), (1,), (1,), (1,), (2,), -7)).max(1) + 1, (5, 3)),
    "pad": (lambda x: x._apply(ops.Pad((1, 0), (0, 2), 3)).transpose(1, 0) * 3, (2, 3)),
    "slices": (lambda x: (x[1:, ::-1] + x[:-1, ::1], x[0] * x[1], x[::-1].cast(Format(4, 3))), (3, 4)),
    "gather": (
        lambda x: x.take([2, 0, 0, 1]).cast(Format(5, 4, True, "RND", "SAT")) + x.take([0, 1, 2, 2]),
        (3, 2),
    ),
    "concat": (lambda x: concat([x, x * 3, np.ones((1, 4)), x[:1] << 2], 0).sum(0), (2, 4)),
    "argmax": (lambda x: (x.argmax(), x.argmax(0), (x >> 2).max(), x.min(0)), (3, 6)),
    "compare": (
        lambda x: tuple(select(c, x, -x) for c in (x < 1, x <= 0, x == 2, x != 0, x[:1] > x)),
        (2, 5),
    ),
    "select": (lambda x: select(x[0] > 0, x[1] * 5, 0.5), (2, 3)),
    "bits": (lambda x: ((x & 12) | 3, (x ^ 5) + ~x, (x & x[:1]).cast(Format(3, 2))), (2, 3)),
    "matrices": (lambda x: (x @ x.transpose(1, 0), x[0] @ x[1], (x @ x.T).cast(Format(7, 5))), (3, 4)),
    "left": (lambda x: np.arange(6).reshape(2, 3) @ x, (3, 4)),
    "vector": (lambda x: (x @ np.array([1, -2, 3, 0.5]) + np.array([0, 1, 2])).cast(Format(4, 4)), (3, 4)),
    "scalar": (lambda x: (x @ np.array([1, -2, 3]) + 0.5).cast(Format(5, 3, True, "RND", "SAT")), (3,)),
    "square": (lambda x: (x * x * x, (x * x).cast(Format(6, 4, False, "RND_CONV", "WRAP")) * x, x + x), (4,)),
    "sums": (lambda x: (x.sum(), x.sum(0), x.sum((0, 2)), (x * 2).sum(1) - x[:, 0]), (2, 3, 2)),
    "powers": (lambda x: ((x << 3) + x, (x >> 3) - x, -(x << 1), abs(x)), (4,)),
    "broadcast": (lambda x: x.reshape(3, 1) * x + np.arange(3), (3,)),
    "constant": (lambda x: (x * 0, x * 0 + np.arange(3), x), (3,)),
    "mixed": (
        lambda x: concat([x.cast(Format(6, 2)), (x * 3).cast(Format(6, 5))], 0).cast(
            Format(5, 4, True, "RND", "SAT")
        ),
        (3,),
    ),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    "fmt", [Format(7, 5), Format(6, 3, False), Format(26, 20), Format(40, 9), Format(60, 50)], ids=str
)
def test_shapes_and_ops(name: str, fmt: Format, rng: np.random.Generator) -> None:
    fn, shape = NETS[name]
    if name == "bits" and fmt.width > 32:
        fmt = Format(32, 20)
    check(trace(fn, fmt, shape=shape), rng, 21)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", list(Overflow))
def test_accumulate(rounding: Rounding, overflow: Overflow, rng: np.random.Generator) -> None:
    def net(x: Tensor) -> tuple[Tensor, ...]:
        sizes = ((6, 4, True), (9, 2, True), (20, 12, True), (5, 5, overflow is Overflow.WRAP_SM))
        formats = [Format(*s, rounding, overflow) for s in sizes]
        return tuple(x.accumulate(f, axis) for f, axis in itertools.product(formats, (0, 1)))

    for bits in (6, 22, 40):
        check(trace(net, Format(bits, 4), shape=(7, 2)), rng, 40)


@pytest.mark.parametrize("n", [1, 3, 8, 15, 60])
@pytest.mark.parametrize("bits", [6, 14, 26, 50])
def test_thresholds_and_tables(n: int, bits: int, rng: np.random.Generator) -> None:
    half = 1 << (bits - 1)
    levels = np.sort(rng.integers(-half - 3, half + 3, size=(3, n)), axis=1)
    falling = IntArray(np.array([0, 1, 0]))
    each = ops.Threshold(IntArray(levels), 1, falling)
    one = ops.Threshold(IntArray(levels[:1]))
    check(
        trace(
            lambda x: (x._apply(each), x._apply(one) + 1, (x << 0)._apply(one)),
            Format(bits, bits),
            shape=(2, 3),
        ),
        rng,
        60,
    )
    coarse = trace(lambda x: (x * 4)._apply(each), Format(bits, bits), shape=(2, 3))
    check(coarse, rng, 60)
    if bits < 16:
        entries = rng.integers(-(1 << 40), 1 << 40, size=(3, 2 * half))
        table, channels = ops.Table(IntArray(entries[0]), -half, 3), ops.Table(IntArray(entries), -half, 1, 1)
        check(trace(lambda x: (x._apply(table), x._apply(channels)), Format(bits, 2), shape=(2, 3)), rng, 60)


def test_per_element_ranges_and_strides(rng: np.random.Generator) -> None:
    lo, hi = np.array([-8, 0, -(1 << 27), 5]), np.array([8, 0, 1 << 27, 1 << 20])
    t = TensorType((4,), 2, lo, hi, np.array([1, 0, 6, 0]))
    weights = np.array([[1, 0.5], [7, 2], [1, -1], [3, 0.25]])
    check(
        trace(
            lambda x: ((x @ weights).cast(Format(9, 7, True, "RND", "SAT")), x + 1, x.cast(Format(4, 3))), t
        ),
        rng,
    )


def step(k: int, a: Tensor, b: Tensor, rng: np.random.Generator) -> Tensor:
    """The k-th kind of random elementwise step."""
    if k == 10:
        rounding, overflow = list(Rounding)[rng.integers(8)], list(Overflow)[rng.integers(5)]
        return a.cast(Format(int(rng.integers(1, 9)), int(rng.integers(-2, 5)), True, rounding, overflow))
    kinds: list[Callable[[], Tensor]] = [
        lambda: a + b, lambda: a - b, lambda: a * b, lambda: maximum(a, b), lambda: minimum(a, 0.25),
        lambda: a.relu(), lambda: -a, lambda: a << int(rng.integers(-3, 4)), lambda: select(a < b, a, b),
        lambda: a[:, ::-1],
    ]  # fmt: skip
    return kinds[k]()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_deep_expressions(seed: int) -> None:
    """Random elementwise programs, every operand order and reuse, with casts between."""
    rng = np.random.default_rng(seed)

    def net(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        pool = [x, y, x[::-1], y.reshape(3, 2).transpose(1, 0)]
        for _ in range(10):
            a, b = (pool[int(i)] for i in rng.integers(0, len(pool), size=2))
            k = int(rng.integers(0, 11))
            if max(a.type.max_width, b.type.max_width) > 70:
                k = 10
            pool.append(step(k, a, b, rng))
        return tuple(pool[-3:])

    check(trace(net, Format(6, 3), Format(9, 5, False), shape=(2, 3)), rng, 19)


# One case per proof whose failure random data would hardly show.


def test_a_bias_counts_in_the_bound() -> None:
    graph = trace(lambda x: x @ np.full((1024, 1), -128.0) + 1, fxsim.SQ(8, 0), shape=(1024,))
    assert graph.run_raw(np.full((2, 1024), -128)).tolist() == [[2**24 + 1]] * 2


@pytest.mark.parametrize("bits", [34, 38, 40, 43])
def test_limbs_at_their_extremes(bits: int) -> None:
    weights = np.array([[2.0**26 - 1, 1 - 2.0**26, -(2.0**26)]] * 5)
    graph = trace(lambda x: x @ weights, Format(bits, bits), shape=(5,))
    raw = np.array([[2 ** (bits - 1) - 1] * 5, [-(2 ** (bits - 1))] * 5, [1 - 2 ** (bits - 1), 3, -1, 0, 5]])
    assert np.array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])


def test_levels_between_the_floats_of_a_coarse_operand() -> None:
    levels = IntArray(np.array([[-(2**26) + 1, 2**26 - 3], [-(2**26) + 3, 2**26 - 5]]))
    count = ops.Threshold(levels, 0, IntArray(np.array([0, 1])))
    graph = trace(lambda x: (x * 4)._apply(count), Format(25, 25), shape=(2,))
    ends = np.array([-(2**24), 1 - 2**24, 2**24 - 2, 2**24 - 1, 0])
    raw = np.stack(np.meshgrid(ends, ends), -1).reshape(-1, 2)
    assert np.array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])


def test_formats_that_differ_between_rows_of_a_product(rng: np.random.Generator) -> None:
    cast = ops.Cast(
        IntArray(np.array([[0, 1], [3, 2]])), IntArray(6), IntArray(1), Rounding.RND, Overflow.SAT
    )  # fmt: skip
    weights = np.array([[0.5, -1.25], [0.75, 2], [1, 0.25]])
    check(trace(lambda x: (x @ weights + 0.5).cast(cast), fxsim.SQ(3, 3), shape=(2, 3)), rng)


@pytest.mark.parametrize("batch", [3, 17, 515, 4099])
def test_idle_lanes_hold_legal_codes(batch: int, rng: np.random.Generator) -> None:
    """The exact table sees every lane of a chunk, those beyond the batch too."""
    wide = ops.Table(IntArray([1 << (70 + k) for k in range(8)]), 50)
    t = TensorType((3,), 0, np.full(3, 50), np.full(3, 57))
    graph = trace(lambda x: (x._apply(wide), x * 3 + 1), t)
    for n in (batch, 2, batch - 1):
        raw = rng.integers(50, 58, size=(n, 3))
        powers, line = graph.run_raw(raw)
        assert np.array_equal(powers, 1 << (raw.astype(object) + 20))
        assert np.array_equal(line, raw * 3 + 1)


def test_bounds_that_cross_keep_their_order(rng: np.random.Generator) -> None:
    low, high, fmt = np.array([0.5, -1, 1]), np.array([-1, 0.5, 1]), fxsim.SQ(3, 1, rounding="RND")
    check(
        trace(
            lambda x: (maximum(minimum(x, high), low).cast(fmt), minimum(maximum(x, low), high).cast(fmt)),
            fxsim.SQ(4, 3),
            shape=(3,),
        ),
        rng,
    )


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("lo", [-7, -8, -9])
@pytest.mark.parametrize("hi", [7, 8, 9])
def test_accumulators_at_the_ends_of_their_format(overflow: Overflow, lo: int, hi: int) -> None:
    t = TensorType((2,), 0, np.array([-8, lo]), np.array([8, hi]))
    graph = trace(lambda x: x.accumulate(Format(5, 5, True, Rounding.TRN, overflow)), t)
    raw = np.array([[-8, lo], [8, hi], [-7, lo], [7, hi]])
    assert np.array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])


def test_the_first_rows_of_a_larger_buffer(rng: np.random.Generator) -> None:
    check(
        trace(
            lambda x, y: (y + x[:2], x[:2] * y, maximum(y, x[1:3])),
            fxsim.SQ(3, 2),
            fxsim.SQ(4, 2),
            shape=[(5,), (2,)],
        ),
        rng,
    )
