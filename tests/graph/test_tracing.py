"""Tracing: each operator against Python's own on real values, alignment, names, blocks and dead values."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format, TensorType, ops
from fxsim.boundary import Affine, FormatEncoder
from fxsim.graph import Value
from fxsim.trace import Builder, Tensor, align

X, Y = SQ(3, 2), SQ(2, 4)


def grid() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(-16, 16) / 4, np.arange(-32, 32) / 16, indexing="ij")
    return x.ravel(), y.ravel()


@pytest.mark.parametrize(
    "fn",
    [operator.add, operator.sub, operator.mul, operator.lt, operator.le, operator.gt, operator.ge,
     operator.eq, operator.ne],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_operators_of_two_tensors_of_different_fracs(fn: Callable) -> None:
    x, y = grid()
    assert np.array_equal(fxsim.trace(fn, X, Y).run(x, y), np.asarray(fn(x, y), float))


@pytest.mark.parametrize("constant", [3, -0.75, np.float32(1.5), np.int8(-2), True])
@pytest.mark.parametrize(
    "fn", [operator.add, operator.sub, operator.mul, operator.lt, operator.ge, operator.eq]
)
def test_operators_with_constants_on_either_side(fn: Callable, constant: float) -> None:
    x = np.arange(-16, 16) / 4
    assert np.array_equal(
        fxsim.trace(lambda t: fn(t, constant), X).run(x), np.asarray(fn(x, constant), float)
    )
    assert np.array_equal(
        fxsim.trace(lambda t: fn(constant, t), X).run(x), np.asarray(fn(constant, x), float)
    )


def test_arrays_on_the_left_defer_to_the_tensor() -> None:
    w = np.array([[1.0, -0.5], [2, 3]])
    x = np.arange(-8, 8).reshape(8, 2) / 4
    f = X
    assert np.array_equal(fxsim.trace(lambda t: w @ t, f, shape=(2,)).run(x), x @ w.T)
    assert np.array_equal(fxsim.trace(lambda t: w[0] + t, f, shape=(2,)).run(x), w[0] + x)
    assert np.array_equal(fxsim.trace(lambda t: w[0] - t, f, shape=(2,)).run(x), w[0] - x)
    assert np.array_equal(fxsim.trace(lambda t: w[0] * t, f, shape=(2,)).run(x), w[0] * x)
    assert np.array_equal(fxsim.trace(lambda t: w[0] < t, f, shape=(2,)).run(x), (w[0] < x) * 1.0)


def test_unary_operators_and_shifts_of_the_point() -> None:
    x = np.arange(-16, 16) / 4
    g = fxsim.trace(lambda t: (-t, +t, abs(t), t << 3, t >> 3, t << 0, t.relu()), X)
    for got, want in zip(g.run(x), (-x, x, abs(x), x * 8, x / 8, x, np.maximum(x, 0)), strict=True):
        assert np.array_equal(got, want)
    assert sum(isinstance(v, Value) and isinstance(v.op, ops.Scale) for v in g.values) == 2


def test_absolute_values_are_proven_not_to_be_negative() -> None:
    assert fxsim.trace(abs, SQ(4, 0)).outputs[0].type.bounds == (0, 8)
    g = fxsim.trace(abs, UQ(4, 0))
    assert g.outputs[0] is g.inputs[0]


def test_bit_operators_on_raw_codes() -> None:
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-8, 8), np.arange(16), indexing="ij"))
    g = fxsim.trace(lambda a, b: (a & b, a | b, a ^ b, ~a, 5 & a, 5 | a, 5 ^ a), SQ(4, 0), UQ(4, 0))
    for got, want in zip(g.run_raw(x, y), (x & y, x | y, x ^ y, ~x, x & 5, x | 5, x ^ 5), strict=True):
        assert np.array_equal(got, want)


def test_variable_shift() -> None:
    x, n = (v.ravel() for v in np.meshgrid(np.arange(-8, 8), np.arange(8), indexing="ij"))
    assert np.array_equal(fxsim.trace(lambda a, k: a << k, SQ(4, 0), UQ(3, 0)).run_raw(x, n), x << n)


def test_choices() -> None:
    x, y = grid()
    g = fxsim.trace(
        lambda a, b: (
            fxsim.maximum(a, b), fxsim.minimum(a, 0.5), fxsim.maximum(-1, b), fxsim.select(a < b, a, b),
            fxsim.select(a < b, 1, 0.25),
        ),
        X, Y,
    )  # fmt: skip
    wanted = (
        np.maximum(x, y),
        np.minimum(x, 0.5),
        np.maximum(-1, y),
        np.where(x < y, x, y),
        np.where(x < y, 1, 0.25),
    )
    for got, want in zip(g.run(x, y), wanted, strict=True):
        assert np.array_equal(got, want)


def test_reductions_and_products() -> None:
    x = np.random.default_rng(5).integers(-16, 16, (20, 2, 3)) / 4
    w = np.array([[1, -2], [0.5, 3], [0, 1.25]])
    g = fxsim.trace(
        lambda t: (
            t @ w, t.sum(), t.sum(0), t.sum((0, -1)), t.max(), t.min(axis=0), t.argmax(), t[0] @ t[1],
            t @ t.T,
        ),
        X, shape=(2, 3),
    )  # fmt: skip
    wanted = (
        x @ w, x.sum((1, 2)), x.sum(1), x.sum((1, 2)), x.max(2), x.min(1), x.argmax(2),
        (x[:, 0] * x[:, 1]).sum(1), x @ x.transpose(0, 2, 1),
    )  # fmt: skip
    for got, want in zip(g.run(x), wanted, strict=True):
        assert np.array_equal(got, want)


KEYS = [
    0, -1, slice(None), slice(1, 3), slice(None, None, -1), slice(3, 0, -2), slice(-2, None), (1, 2),
    (0, slice(1)), (..., 1), (slice(None), 2), (..., slice(None, None, 2)), (Ellipsis,),
    (slice(0, 0),), (-4, -3),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpys(key: object) -> None:
    x = np.arange(24).reshape(2, 4, 3) - 12
    g = fxsim.trace(lambda t: t[key], SQ(5, 0), shape=(4, 3))
    got = g.run_raw(x)
    want = np.stack([v[key] for v in x])
    assert got.shape == want.shape
    assert np.array_equal(got, want)


def test_wiring_is_numpys() -> None:
    x = np.arange(24).reshape(2, 4, 3) - 12
    g = fxsim.trace(
        lambda t: (
            t.reshape(3, -1), t.reshape((12,)), t.T, t.transpose(1, 0), t[[2, 0, 2]], t.take([1, 1], 1),
            fxsim.concat([t, t[:1] >> 1]), fxsim.concat([t, [[1], [2], [3], [4]]], axis=1), t[1],
        ),
        SQ(5, 0), shape=(4, 3),
    )  # fmt: skip
    wanted = (
        x.reshape(2, 3, 4), x.reshape(2, 12), x.transpose(0, 2, 1), x.transpose(0, 2, 1), x[:, [2, 0, 2]],
        x[:, :, [1, 1]], np.concatenate([x, x[:, :1] / 2], 1),
        np.concatenate([x, np.tile([[1], [2], [3], [4]], (2, 1, 1))], 2), x[:, 1],
    )  # fmt: skip
    for got, want in zip(g.run(x), wanted, strict=True):
        assert np.array_equal(got, want)
    rows = fxsim.trace(lambda t: fxsim.concat([r.reshape(1, 3) for r in t][::-1]), SQ(5, 0), shape=(4, 3))
    assert np.array_equal(rows.run_raw(x), x[:, ::-1])
    assert len(rows.outputs) == 1


def test_alignment_shifts_only_the_coarser_operand() -> None:
    seen: list[tuple[Tensor, ...]] = []

    def fn(x: Tensor, y: Tensor) -> Tensor:
        a, b = align(x, y)
        seen.append((x, y, a, b))
        return a + b

    g = fxsim.trace(fn, X, Y)
    x, y, a, b = seen[0]
    assert b is y
    assert (a.frac, b.frac, a.type.stride) == (4, 4, 2)
    assert g.outputs[0].type == TensorType((), 4, np.asarray(-96), np.asarray(91))
    assert repr(x) == "<Tensor scalar s5 frac 2 raw -16..15>"


def test_casts_take_formats_and_ops() -> None:
    to = Format(3, 2, True, fxsim.Rounding.RND, fxsim.Overflow.SAT)
    x = np.arange(-16, 16)
    g = fxsim.trace(lambda t: (t.cast(to), t.cast(ops.Cast.to(to))), SQ(3, 2))
    a, b = g.run_raw(x)
    assert np.array_equal(a, np.clip((x + 1) >> 1, -4, 3))
    assert np.array_equal(a, b)
    acc = fxsim.trace(lambda t: t.accumulate(to), SQ(2, 1), shape=(3,))
    assert acc.run_raw(np.array([[3, 3, -4], [-4, -4, 3]])).tolist() == [-1, -1]


def test_constants_are_quantized_on_demand_only() -> None:
    to = fxsim.SQ(1, 3, rounding="RND", overflow="SAT")
    assert fxsim.constant([0.1, 2.0], to).tolist() == [0.125, 0.875]
    assert fxsim.constant([0.5, 3]).tolist() == [0.5, 3.0]
    b = Builder()
    t = b.constant([0.1, 2.0], to)
    assert (t.type.lo.tolist(), t.frac) == ([1, 7], 3)


def test_inputs_are_named_after_parameters() -> None:
    assert [i.name for i in fxsim.trace(lambda left, right: left + right, X, Y).inputs] == ["left", "right"]
    assert [i.name for i in fxsim.trace(lambda *t: t[0] + t[1], X, Y).inputs] == ["x0", "x1"]
    g = fxsim.trace(lambda a: (a, a + 1), X, output_names=["same", "next"], name="net")
    assert g.output_names == ("same", "next")
    assert g.name == "net"
    assert fxsim.trace(lambda a: a, X).output_names == ("y",)
    assert fxsim.trace(lambda a: (a, 3), X).output_names == ("y0", "y1")

    def layer(t: Tensor) -> Tensor:
        return t * 3

    assert fxsim.trace(layer, X).name == "layer"
    assert fxsim.trace(lambda t: t, X).name == "graph"


def test_inputs_of_several_shapes_and_types() -> None:
    t = TensorType((2,), 0, np.array([0, -4]), np.array([7, 4]), np.array([0, 2]))
    g = fxsim.trace(lambda a, b: a + b.sum(), t, UQ(2, 0), shape=[(9,), (3,)])
    assert [i.type.shape for i in g.inputs] == [(2,), (3,)]
    assert g.run_raw([[7, -4]], [[1, 2, 3]]).tolist() == [[13, 2]]


def test_named_tensors_and_names_of_what_died() -> None:
    def fn(x: Tensor) -> Tensor:
        (x + 5).named("unused")
        return (x * 3).named("product", Affine((2,))) + 1

    g = fxsim.trace(fn, SQ(3, 0))
    assert g.names["product"].value in g.values
    assert g.names["unused"].value is None
    assert g.names["unused"].reason == "no output depends on it"
    assert len(g.values) == 5
    assert g.codes([1.0, -2.0])["product"].tolist() == [3, -6]
    shown = g.exposing("product")
    assert shown.output_names == ("y", "product")
    assert shown.run_raw(2)[1] == 6
    with pytest.raises(KeyError, match=r"no value is named 'unused'; the named values are \['product'\]"):
        g.exposing("unused")


def _blocks() -> Builder:
    return Builder("blocks")


def test_blocks_nest_and_keep_their_place() -> None:
    b = _blocks()
    x = b.input("x", TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0)))
    dead = x + 9
    with b.block("outer", "first", [x], {"gain": 3}) as outer:
        y = x * 3
        with b.block("inner", "second", [y]) as inner:
            _ = y + 100
            z = y + 1
            inner.append(z)
        outer.append(z * 2)
    g = b.finish([outer[0], x])
    assert dead.node not in g.values
    assert [(k.kind, k.name, k.parent) for k in g.blocks] == [
        ("outer", "first", None),
        ("inner", "second", 0),
    ]
    for block in g.blocks:
        assert set(block.outputs) <= set(g.values[block.start : block.stop])
        assert all(n in g.values[: block.start] for n in block.inputs)
    assert g.blocks[1].stop - g.blocks[1].start == 2
    assert g.blocks[0].stop == len(g.values)
    assert str(g.blocks[0]) == "outer first: scalar s4 frac 0 raw -8..7 -> scalar s7 frac 0 raw -46..44"
    lines = str(g).splitlines()
    assert lines[0] == "graph blocks"
    assert lines[1] == "  %0 = x : scalar s4 frac 0 raw -8..7"
    assert lines[2] == "  [outer first]"
    assert "    [inner second]" in lines
    assert lines[-1] == f"  return y0=%{len(g.values) - 1}, y1=%0"


def test_blocks_that_lost_an_end_are_dissolved() -> None:
    b = _blocks()
    x = b.input("x", TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0)))
    unread = x + 9
    with b.block("a", "dead output", [x]) as outs:
        y = x * 3
        with b.block("c", "inside", [x]) as inner:
            inner.append(y + 1)
        outs += [inner[0], x * 5]
    with b.block("b", "dead input", [x, unread]) as outs:
        outs.append(inner[0] + x)
    with b.block("d", "empty", [x]):
        pass
    g = b.finish([outs[0]])
    assert [(k.kind, k.parent) for k in g.blocks] == [("c", None)]


def test_an_error_inside_a_block_closes_it() -> None:
    b = _blocks()
    x = b.input("x", TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0)))
    with pytest.raises(TypeError), b.block("bad", "bad", [x]):
        x @ x
    with b.block("good", "good", [x]) as outs:
        outs.append(x + 1)
    assert [(k.kind, k.parent) for k in b.finish(outs).blocks] == [("good", None)]
