"""Transposes moved behind elementwise ops: the same integers, and nothing transposed left between layers."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import Format, Graph, concat, maximum, ops, select, trace
from fxsim.data import digits_qdq
from fxsim.graph import Value
from fxsim.integers import IntArray
from fxsim.trace import Tensor
from hls.layout import channels_last


def kinds(graph: Graph) -> list[str]:
    return [type(v.op).__name__ for v in graph.values if isinstance(v, Value)]


def test_a_network_of_onnx_has_no_transpose_left() -> None:
    graph = fxsim.load(digits_qdq())
    assert kinds(graph).count("Transpose") == 6
    moved = channels_last(graph)
    assert kinds(moved).count("Transpose") == 0
    raw = np.random.default_rng(0).integers(0, 32, (50, 1, 8, 8))
    np.testing.assert_array_equal(moved.run_raw(raw), graph.run_raw(raw))
    assert [b.name for b in moved.blocks if b.kind == "conv2d"] == ["/c1/Conv", "/c2/Conv"]


def constant(x: Tensor, raw: object, frac: int = 0) -> Tensor:
    return x.builder.apply(ops.Const(IntArray(raw), frac))


def step(rng: np.random.Generator, h: Tensor, others: list[Tensor]) -> Tensor:
    """One op on h: elementwise with parameters for each channel or element, wiring, or a sum."""
    n = h.ndim
    axis = int(rng.integers(n))
    column = (h.shape[axis],) + (1,) * (n - 1 - axis)
    levels = np.sort(rng.integers(-40, 40, (h.shape[axis], 4)), axis=1)
    like = [o for o in others if o.shape == h.shape] or [h]
    other = like[rng.integers(len(like))]
    fractions = ops.Cast(IntArray(rng.integers(0, 3, column)), IntArray(6), IntArray(1), overflow="SAT")
    choices = [
        lambda: h.transpose(*rng.permutation(n).tolist()),
        lambda: h.transpose(*rng.permutation(n).tolist()),
        lambda: h.reshape(-1),
        lambda: h.reshape(h.type.size // h.shape[-1], h.shape[-1]),
        lambda: h.relu(),
        lambda: h + constant(h, rng.integers(-9, 10, column), h.frac),
        lambda: h - constant(h, rng.integers(-9, 10, h.shape), h.frac),
        lambda: h * constant(h, 3),
        lambda: maximum(h, other),
        lambda: select(h < other, h, other),
        lambda: concat([h, other], axis=axis),
        lambda: h._apply(ops.Threshold(IntArray(levels), axis)),
        lambda: h.cast(fractions),
        lambda: h.cast(Format(5, 3, True, "RND", "SAT")),
        lambda: h.sum(axis) if n > 1 else h,
        lambda: h._apply(ops.Window((2,), (1,), (1,), (1,), (0,))) if n < 3 else h,
        lambda: h @ constant(h, rng.integers(-3, 4, (h.shape[-1], 3))),
    ]
    return choices[rng.integers(len(choices))]()


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_keep_their_integers(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def network(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        h, made = x, [x, y]
        for _ in range(14):
            h = step(rng, h, made)
            if h.type.max_width > 10:
                h = h.cast(Format(6, 4, True, "RND_CONV", "WRAP"))
            if h.type.size > 200:
                h = made[rng.integers(len(made))]
            made.append(h)
        return h, made[rng.integers(len(made))]

    graph = trace(network, Format(5, 3), Format(4, 2, False), shape=[(2, 3, 4), (4, 2, 3)])
    moved = channels_last(graph)
    raw = [rng.integers(*i.type.bounds, (20, *i.type.shape), endpoint=True) for i in graph.inputs]
    for got, want in zip(moved.run_raw(*raw), graph.run_raw(*raw), strict=True):
        np.testing.assert_array_equal(got, want)
    assert kinds(moved).count("Transpose") <= kinds(graph).count("Transpose") + 4
