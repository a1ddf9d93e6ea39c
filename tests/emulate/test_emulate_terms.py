"""Sums of products that are cast one by one: the planner's stretches against the exact table."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import ops
from fxsim.emulate import evaluate
from fxsim.emulate.runner import plan
from fxsim.emulate.terms import ROWS
from fxsim.integers import IntArray
from fxsim.trace import Builder
from fxsim.types import TensorType

MODES = ("TRN", "TRN_ZERO", "RND", "RND_CONV", "RND_CONV_ODD", "RND_INF", "RND_ZERO", "RND_MIN_INF")


def summed(
    source: TensorType,
    shape: tuple[int, ...],
    weights: np.ndarray,
    cast: fxsim.Format,
    axis: int,
    flip: bool = False,
) -> fxsim.graph.Graph:
    """sum over axis of cast(x * weights), x reshaped to `shape`."""
    b = Builder()
    x = b.input("x", source, fxsim.boundary.FormatEncoder(source.lane())).reshape(*shape)
    w = b.apply(ops.Const(IntArray(weights), 5))
    terms = (w * x if flip else x * w).cast(cast)
    return b.finish([terms.sum(axis)])


def check(graph: fxsim.graph.Graph, rng: np.random.Generator, n: int = 90) -> None:
    t = graph.inputs[0].type
    raw = rng.integers(t.lo, t.hi, size=(n, *t.shape), endpoint=True)
    raw[0], raw[1] = t.lo, t.hi
    expected = evaluate(graph, [raw])[graph.outputs[0]]
    assert np.array_equal(graph.run_raw(raw), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM", "SAT_ZERO"])
def test_every_mode(mode: str, overflow: str, rng: np.random.Generator) -> None:
    """Bits dropped, bounds met, and both; dense and convolutional shapes, weights per channel."""
    source = TensorType.of(fxsim.SQ(4, 6), (12,))
    for cast in (fxsim.SQ(9, 4), fxsim.SQ(3, 4), fxsim.SQ(9, 12)):
        form = cast.replace(rounding=mode, overflow=overflow)
        dense = rng.integers(-40, 40, size=(12, 7))
        check(summed(source, (12, 1), dense, form, 0), rng)
        check(summed(source, (12, 1), dense, form, 0, flip=True), rng)
        check(summed(source, (4, 3, 1), rng.integers(-40, 40, size=(3, 5)), form, 1), rng)
        check(summed(source, (2, 3, 2), rng.integers(-40, 40, size=(3, 2)), form, 1), rng)
        check(summed(source, (3, 2, 2), rng.integers(-40, 40, size=(3, 1, 2)), form, -1), rng)


@pytest.mark.parametrize("width", [8, 16, 24, 31, 40, 56])
def test_carriers_by_width(width: int, rng: np.random.Generator) -> None:
    """float32, int32 and float64 products, and those that no carrier of the kind holds."""
    source = TensorType.of(fxsim.Format(width, 6), (9,))
    weights = rng.integers(-900, 900, size=(9, 4))
    for mode in ("TRN", "RND"):
        for cast in (fxsim.Format(16, 6), fxsim.Format(40, 12), fxsim.Format(20, 16, overflow="SAT")):
            check(summed(source, (9, 1), weights, cast.replace(rounding=mode), 0), rng)


def test_many_terms_take_no_more_memory_than_a_stretch(rng: np.random.Generator) -> None:
    """A layer of 200 x 64 truncated products: the plan holds its operands, its sums and `ROWS` terms."""
    source = TensorType.of(fxsim.SQ(6, 10), (200,))
    graph = summed(source, (200, 1), rng.integers(-600, 600, size=(200, 64)), fxsim.SQ(6, 10), 0)
    check(graph, rng, 300)
    assert plan(graph).bytes_per_sample < 8 * (2 * 200 + 3 * 64 + ROWS)


def test_terms_that_something_else_reads(rng: np.random.Generator) -> None:
    """Neither deferred nor lost: the casts are an output too."""
    b = Builder()
    x = b.input("x", TensorType.of(fxsim.SQ(4, 6), (5,)), fxsim.boundary.FormatEncoder(fxsim.SQ(4, 6)))
    terms = (x.reshape(5, 1) * rng.integers(-9, 9, size=(5, 3))).cast(fxsim.SQ(5, 2))
    graph = b.finish([terms.sum(0), terms])
    raw = rng.integers(-512, 512, size=(40, 5))
    env = evaluate(graph, [raw])
    for got, node in zip(graph.run_raw(raw), graph.outputs, strict=True):
        assert np.array_equal(got, env[node])
