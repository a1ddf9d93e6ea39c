"""The host's side of the emulator: batches of any size, real values in and out, codes, and every error."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import fxsim
from fxsim.boundary import Affine, FormatEncoder
from fxsim.emulate import evaluate, runner
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Graph
from fxsim.trace import Builder, Tensor, trace
from fxsim.types import TensorType

WEIGHTS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.0]])


def small() -> Graph:
    fmt = fxsim.UQ(3, 2, rounding="RND", overflow="SAT")
    return trace(lambda x: (x @ WEIGHTS + 0.5).relu().cast(fmt), fxsim.SQ(3, 3), shape=(3,))


@pytest.mark.parametrize("batch", [1, 2, 15, 16, 17, 1000, 4097, 10000])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint8, object])
def test_any_batch_and_integer_dtype(batch: int, dtype: Any, rng: np.random.Generator) -> None:
    graph = small()
    raw = rng.integers(0 if dtype == np.uint8 else -32, 32, size=(batch, 3))
    expected = evaluate(graph, [raw])[graph.outputs[0]]
    got = graph.run_raw(raw.astype(dtype))
    assert got.dtype == np.int64
    assert np.array_equal(got, expected)
    assert np.array_equal(graph.run(raw / 8), expected / 4)
    assert np.array_equal(graph.run((raw / 8).astype(np.float32)), expected / 4)


def test_batches_of_different_size_do_not_leak_into_each_other(rng: np.random.Generator) -> None:
    """Lanes beyond a short batch hold old codes, which must stay legal and unseen."""
    table = fxsim.ops.Table(np.arange(64)[::-1].copy(), -32, 0)
    graph = trace(lambda x: (x.cast(fxsim.SQ(2, 3)) * 3, x._apply(table)), fxsim.SQ(3, 3), shape=(3,))
    for batch in (700, 3, 1, 513, 40):
        raw = rng.integers(-32, 32, size=(batch, 3))
        env = evaluate(graph, [raw])
        for got, node in zip(graph.run_raw(raw), graph.outputs, strict=True):
            assert np.array_equal(got, env[node])


def test_single_sample_and_empty_batch() -> None:
    graph = small()
    raw = np.array([1, -2, 30])
    assert graph.run_raw(raw).shape == (2,)
    assert np.array_equal(graph.run_raw(raw), graph.run_raw(raw[None])[0])
    assert np.array_equal(graph.run(raw / 8), graph.run_raw(raw) / 4)
    assert graph.run_raw(np.zeros((0, 3), int)).shape == (0, 2)
    assert graph.run(np.zeros((0, 3))).shape == (0, 2)
    assert graph.run(np.zeros((0, 3))).dtype == np.float64


def test_several_inputs_by_position_or_name(rng: np.random.Generator) -> None:
    graph = trace(lambda a, b: (a @ WEIGHTS + b, b * 2), fxsim.SQ(3, 3), fxsim.UQ(2, 1), shape=[(3,), (2,)])
    a, b = rng.integers(-32, 32, size=(9, 3)), rng.integers(0, 8, size=(9, 2))
    env = evaluate(graph, [a, b])
    for got in (graph.run_raw(a, b), graph.run_raw(b=b, a=a), graph.run_raw(a, b=b)):
        assert all(np.array_equal(y, env[n]) for y, n in zip(got, graph.outputs, strict=True))


def test_unused_inputs_are_still_checked() -> None:
    graph = trace(lambda a, b: a + 1, fxsim.SQ(3, 3), fxsim.UQ(2, 1), shape=(2,))
    with pytest.raises(ValueError, match=r"input 'b' must lie in raw 0\.\.7, not 8 at index \(1, 0\)"):
        graph.run_raw(np.zeros((2, 2), int), np.array([[0, 7], [8, 9]]))


def test_constant_outputs_and_inputs_as_outputs() -> None:
    graph = trace(lambda x: (x, x * 0 + 2.5, x._lift(1.5)), fxsim.SQ(3, 3), shape=(2,))
    x = np.array([[0.5, -1], [2, 3]])
    same, shifted, constant = graph.run(x)
    assert np.array_equal(same, x)
    assert np.array_equal(shifted, np.full((2, 2), 2.5))
    assert np.array_equal(constant, np.full(2, 1.5))


def test_empty_tensors() -> None:
    graph = trace(lambda x: (x[:0] * 2, x.sum()), fxsim.SQ(3, 3), shape=(2,))
    empty, total = graph.run_raw(np.array([[1, 2], [3, 4], [5, 6]]))
    assert empty.shape == (3, 0)
    assert total.tolist() == [3, 7, 11]


def test_codes_hold_every_named_tensor(rng: np.random.Generator) -> None:
    def net(x: Tensor) -> Tensor:
        x.named("in")
        h = (x @ WEIGHTS + 0.5).named("sum")
        h = h.relu().named("relu").cast(fxsim.UQ(3, 2)).named("act")
        return h.reshape(1, 2).named("turned", axes=(1, 0)).sum(0)

    graph = trace(net, fxsim.SQ(3, 3), shape=(3,))
    raw = rng.integers(-32, 32, size=(600, 3))
    env = evaluate(graph, [raw])
    got = graph.codes(raw / 8)
    assert list(got) == ["in", "sum", "relu", "act", "turned"]
    for name, entry in graph.names.items():
        assert entry.value is not None
        expected = env[entry.value] if entry.axes is None else env[entry.value].transpose(0, 2, 1)
        assert np.array_equal(got[name], expected)
    assert np.array_equal(graph.codes(raw[0] / 8)["act"], got["act"][:1])


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.SAT_SYM, Overflow.SAT_ZERO, Overflow.WRAP])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_encoding_equals_the_exact_cast(
    rounding: Rounding, overflow: Overflow, dtype: Any, rng: np.random.Generator
) -> None:
    """Ties, the neighbours of ties, tiny and large values, in every float dtype."""
    for fmt in (Format(8, 4), Format(6, 7, False), Format(30, 4), Format(8, 12), Format(60, 20)):
        fmt = fmt.replace(rounding=rounding, overflow=overflow)
        step = 2.0**-fmt.frac
        ties = (rng.integers(-(2**8), 2**8, size=200) + 0.5) * step
        x = np.concatenate([ties, ties * 2, ties / 2, [0.0, -0.0, 1e-7, -1e-7, 5e-324, -5e-324]]).astype(
            dtype
        )
        x = np.concatenate([x, np.nextafter(x, dtype(0)), np.nextafter(x, dtype(np.inf)), -x])
        x = x[np.isfinite(x)]
        if overflow is Overflow.WRAP:
            with np.errstate(over="ignore"):
                x = x[(x >= float(fmt.lo + 1) * step) & (x <= float(fmt.hi - 1) * step)]
        else:
            x = np.concatenate([x, np.array([3e4, -3e4], dtype)])
        graph = trace(lambda x: x, fmt)
        expected = FormatEncoder(fmt).encode(x, "x")
        assert np.array_equal(graph.codes(x) or graph.run(x) / step, expected)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            np.array([[0.0, 1, 2], [3, np.nan, 4]]),
            ValueError,
            r"input 'x' must be finite, not nan at index \(1, 1\)",
        ),
        (np.array([[0.0, 1, -np.inf]]), ValueError, r"input 'x' must be finite, not -inf at index \(0, 2\)"),
        (
            np.array([[0.0, 1, 4.0]]),
            ValueError,
            r"input 'x' must lie in -4\.0\.\.3\.875 .*, not 4\.0 at index \(0, 2\)",
        ),
        (np.zeros((2, 4)), ValueError, r"input 'x' must have shape \('batch', 3\) or \(3,\), not \(2, 4\)"),
        (np.zeros((2, 1, 3)), ValueError, r"must have shape .*, not \(2, 1, 3\)"),
        (np.array([["a", "b", "c"]]), TypeError, r"input 'x' must be real numbers, not <U1"),
        (np.zeros((1, 3), complex), TypeError, r"input 'x' must be real numbers, not complex128"),
    ],
)
def test_bad_real_inputs(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().run(x)


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (
            np.array([[0, 31, 32]]),
            ValueError,
            r"input 'x' must lie in raw -32\.\.31, not 32 at index \(0, 2\)",
        ),
        (np.array([[0, 1, 2], [-33, 99, 0]]), ValueError, r"not -33 at index \(1, 0\)"),
        (np.array([[0, 1, 1 << 70]]), ValueError, r"at index \(0, 2\)"),
        (np.array([[0, 1, 255]], np.uint8), ValueError, r"not 255 at index \(0, 2\)"),
        (np.array([[0, 1, 2**64 - 1]], np.uint64), ValueError, r"not 18446744073709551615 at index \(0, 2\)"),
        (np.array([[0.0, 1, 2]]), TypeError, r"input 'x' must be integers, not float64"),
        (np.zeros(2, int), ValueError, r"must have shape"),
    ],
)
def test_bad_raw_inputs(raw: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().run_raw(raw)


@pytest.mark.parametrize("x", [-4.0 - 2.0**-40, 4.0, 3.9999999999999996 + 2.0**-51, 1e300])
def test_values_just_outside_the_format(x: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in -4\.0\.\.3\.875 .* at index \(1, 2\)"):
        small().run(np.array([[0, 0, 0], [0, 0, x]]))
    inside = np.array([[0, 0, 0], [-4.0, 0, 3.9999999999999996]])  # TRN takes this to the greatest code
    assert np.array_equal(small().run(inside), small().run_raw(np.array([[0, 0, 0], [-32, 0, 31]])) / 4)


def test_no_negative_zeros() -> None:
    graph = trace(lambda x: x.cast(fxsim.SQ(4, 0, rounding="TRN_ZERO")), fxsim.SQ(3, 3), shape=(2,))
    assert not np.signbit(graph.run(np.array([-0.5, -0.125]))).any()


def test_the_first_bad_index_counts_in_the_whole_batch() -> None:
    graph, raw = small(), np.zeros((3000, 3), int)
    raw[2777, 1] = 40
    with pytest.raises(ValueError, match=r"at index \(2777, 1\)"):
        graph.run_raw(raw)
    with pytest.raises(ValueError, match=r"at index \(2777, 1\)"):
        graph.run(raw / 8)
    x = raw * 0.0
    x[2999, 0] = np.nan
    with pytest.raises(ValueError, match=r"at index \(2999, 0\)"):
        graph.run(x)


def test_ranges_per_element_and_strides_are_checked() -> None:
    t = TensorType((2,), 0, np.array([-4, 0]), np.array([4, 8]), np.array([2, 0]))
    graph = trace(lambda x: x * 3, t)
    assert graph.run_raw(np.array([[-4, 0], [4, 8]])).tolist() == [[-12, 0], [12, 24]]
    with pytest.raises(ValueError, match=r"raw 0\.\.8, not -1 at index \(0, 1\)"):
        graph.run_raw(np.array([[0, -1]]))
    with pytest.raises(ValueError, match=r"raw -4\.\.4 and a multiple of 4, not 2 at index \(1, 0\)"):
        graph.run_raw(np.array([[4, 1], [2, 1]]))
    with pytest.raises(ValueError, match=r"not 2 at index \(0, 0\)"):
        graph.run(np.array([[2.0, 1.0]]))


def test_wrong_inputs_by_name() -> None:
    graph, x = small(), np.zeros((1, 3))
    for call, message in (
        (lambda: graph.run(), r"missing inputs \['x'\]"),
        (lambda: graph.run(x, x), r"has 1 inputs"),
        (lambda: graph.run(x, x=x), r"given twice"),
        (lambda: graph.run(x, z=x), r"no input is named 'z'"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_wide_results_are_python_integers() -> None:
    graph = trace(lambda x: (x * x, (x * x).cast(fxsim.SQ(8, 0))), Format(60, 60))
    raw = np.array([2**59 - 1, -(2**59), 3])
    square, low = graph.run_raw(raw)
    assert square.dtype == object
    assert square.tolist() == [int(v) ** 2 for v in raw]
    assert low.tolist() == [1, 0, 9]
    with pytest.raises(OverflowError, match="use run_raw"):
        graph.run(np.array([2.0**52 + 1]))


def test_affine_outputs() -> None:
    builder = Builder()
    fmt = fxsim.SQ(4, 2)
    x = builder.input("x", TensorType.of(fmt, (2,)), FormatEncoder(fmt))
    affine = Affine(("1/10", "3"), (1, "-1/3"), 0)  # type: ignore[arg-type]
    graph = builder.finish([x * 2], None, [affine])
    got = graph.run(np.array([[0.25, 1.0], [-2.0, 0.5]]))
    assert got.tolist() == [[0.05 + 1, 6 - 1 / 3], [-0.4 + 1, 3 - 1 / 3]]


def test_plans_live_as_long_as_their_graph() -> None:
    graph = small()
    graph.run_raw(np.zeros((1, 3), int))
    key = id(graph)
    assert runner.plan(graph) is runner.plan(graph)
    assert key in runner._plans
    del graph
    gc.collect()
    assert key not in runner._plans


def test_threads_share_a_graph(rng: np.random.Generator) -> None:
    graph = small()
    raws = [rng.integers(-32, 32, size=(5000, 3)) for _ in range(4)]
    results: list[Any] = [None] * 4

    def work(i: int) -> None:
        for _ in range(5):
            results[i] = graph.run_raw(raws[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for raw, got in zip(raws, results, strict=True):
        assert np.array_equal(got, evaluate(graph, [raw])[graph.outputs[0]])
