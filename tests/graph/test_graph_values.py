"""Graphs and ops as values: read-only, hashable however their parameters are given, copied at any depth."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fxsim
from fxsim import SQ, Graph, TensorType, ops
from fxsim.boundary import Affine, FormatEncoder
from fxsim.graph import Op
from fxsim.integers import IntArray
from fxsim.trace import Builder


def nested() -> Graph:
    b = Builder("nested")
    x = b.input("x", TensorType.of(SQ(8, 0), (2, 3)), FormatEncoder(SQ(8, 0)))
    with b.block("outer", "o", [x], {"weight": IntArray([1, 2])}) as outs:
        y = (x + 1).named("y", Affine((2,)), (1, 0))
        with b.block("inner", "i", [y]) as inner:
            z = y.cast(SQ(4, 0))
            inner.append(z)
        outs += [z, y]
    (z * 3).named("unread")
    return b.finish([z, x, y])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_a_copy_is_the_same_graph(copied: Callable[[Graph], Graph]) -> None:
    g = nested()
    h = copied(g)
    assert h == g and str(h) == str(g) and h.name == "nested"
    assert [(b.kind, b.name, b.params, b.start, b.stop, b.parent) for b in h.blocks] == [
        (b.kind, b.name, b.params, b.start, b.stop, b.parent) for b in g.blocks
    ]
    assert [[h.index[n] for n in (*b.inputs, *b.outputs)] for b in h.blocks] == [
        [g.index[n] for n in (*b.inputs, *b.outputs)] for b in g.blocks
    ]
    x = np.arange(12).reshape(2, 2, 3)
    assert {k: c.tolist() for k, c in h.codes(x).items()} == {k: c.tolist() for k, c in g.codes(x).items()}
    assert (h.names["unread"].value, h.names["unread"].reason) == (None, "no output depends on it")


def test_a_long_graph_is_copied() -> None:
    def fn(x: Any) -> Any:
        for _ in range(1500):
            x = (x + 1).cast(SQ(8, 0))
        return x

    g = fxsim.trace(fn, SQ(8, 0))
    assert pickle.loads(pickle.dumps(g)) == g


def test_names_are_read_only() -> None:
    with pytest.raises(TypeError):
        nested().names["z"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    "make",
    [
        lambda seq: ops.Slice(seq([0, 0]), seq([2, None]), seq([1, 2])),
        lambda seq: ops.Pad(seq([0, 1]), seq([1, 0]), 3),
        lambda seq: ops.Window(seq([2]), seq([1]), seq([1]), seq([0]), seq([1])),
        lambda seq: ops.Reshape(seq([3, 2])),
        lambda seq: ops.Transpose(seq([1, 0])),
        lambda seq: ops.Sum(seq([1, 0])),
        lambda seq: ops.Gather(seq([1, 0])),
    ],
)
def test_parameters_given_as_lists_or_arrays_are_the_same_op(make: Callable[[Any], Op]) -> None:
    a, b = make(tuple), make(list)
    assert a == b and hash(a) == hash(b)
    x = TensorType.of(SQ(4, 0), (2, 3))
    assert a.infer(x) == b.infer(x)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: ops.Slice((0.5,), (1,), (1,)), TypeError, "starts of Slice must be an integer, not 0.5"),
        (lambda: ops.Slice((None,), (1,), (1,)), TypeError, "starts of Slice must be an integer, not None"),
        (lambda: ops.Pad((0,), (1,), 0.5), TypeError, "fill of Pad must be an integer, not 0.5"),
        (lambda: ops.Window((1,), (1,), (1,), (0,), (0,), 0.5), TypeError, "fill of Window must be"),
        (lambda: ops.Cast([], 4, 1), ValueError, "frac of Cast must hold at least one number"),
        (lambda: ops.Cast(0, 4, 1, "TRN", "WRAP_SM", 0, 0), ValueError, "source_width of Cast"),
        (lambda: fxsim.trace(lambda x: x.max(), SQ(4, 0)), TypeError, "ReduceMax needs .* not a scalar"),
        (lambda: fxsim.trace(lambda x: fxsim.concat([x, 1]), SQ(4, 0)), TypeError, "Concat .* not a scalar"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
