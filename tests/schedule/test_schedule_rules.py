"""What each op becomes on a stream: the form of its result, the parts it needs, where it is a barrier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, Format, TensorType, ops, trace
from fxsim.graph import Graph, Value
from fxsim.integers import IntArray
from fxsim.trace import Tensor, concat, maximum, minimum, select
from rtl.schedule.forms import Form
from rtl.schedule.plan import on_beat
from rtl.schedule.reshaping import groups, reshaped
from rtl.schedule.rules import stream_rules
from tests.agreement.random_graphs import stimulus
from tests.schedule import cases
from tests.schedule.beat_reading import Reading

IMAGE, PLANE = (4, 3, 2), (0, 1)
QUIET = ("Fifo", "Fork", "Take", "Join", "Pipe")
"""Parts that move or compute beats where they are."""


def built(
    fn: Callable[..., Any],
    shape: Any = IMAGE,
    axes: Any = PLANE,
    schedule: Any = "streamed",
    types: Any = None,
) -> rtl.StreamCore:
    """The core of fn, read beat by beat."""
    graph = trace(fn, *(types or [SQ(4, 0)]), shape=shape, name="g")
    core: Any = rtl.build(graph, schedule=schedule, axes=axes)
    wrong = Reading(core, stimulus(graph, 4)).wrong()
    assert not wrong, wrong
    for idle, backpressure in cases.STALLS.values():
        core.model.run(3, idle, backpressure)
    return core


def shape_of(core: rtl.StreamCore) -> tuple[str, list[str]]:
    """The form of the first output, and the parts that are not of every network."""
    kinds = [type(p).__name__ for p in core.network.parts]
    return str(core.plan.form(core.graph.outputs[0])), [k for k in kinds if k not in QUIET]


def test_every_op_has_a_rule() -> None:
    for op in ops.ALL:
        if op is not ops.Const:
            assert callable(stream_rules.lookup(op))
    with pytest.raises(NotImplementedError, match="stream_rules"):
        stream_rules.lookup(ops.Const)


def pixels(x: Tensor) -> Tensor:
    return x._apply(ops.Threshold(IntArray(np.array([[-3, 0], [1, 2], [-5, 4]])), 1))


def by_channel(x: Tensor) -> Tensor:
    return x._apply(ops.Table(IntArray(np.arange(32).reshape(2, 16) % 7), -8, 0, -1))


def formats(*shape: int) -> Callable[[Tensor], Tensor]:
    n = int(np.prod(shape))
    width = IntArray(np.arange(1, n + 1).reshape(shape) % 4 + 1)
    return lambda x: x.cast(ops.Cast(IntArray(0), width, IntArray(1)))


def windows(kernel: tuple[int, ...], stride: int = 1, pad: int = 0) -> Callable[[Tensor], Tensor]:
    n = len(kernel)
    return lambda x: x._apply(ops.Window(kernel, (stride,) * n, (1,) * n, (pad,) * n, (pad,) * n, 3))


FULL = "4x3 along axes (0, 1)"
CASES: dict[str, tuple[Callable[[Tensor], Tensor], str, list[str]]] = {
    # pointwise
    "Neg": (lambda x: -x, FULL, []),
    "Not": (lambda x: ~x, FULL, []),
    "Shift": (lambda x: x._apply(ops.Shift(2)), FULL, []),
    "Scale": (lambda x: x << 1, FULL, []),
    "LeadingOne": (lambda x: x.relu()._apply(ops.LeadingOne()), FULL, []),
    "Add per channel": (lambda x: x + np.arange(2), FULL, []),
    "Add per row": (lambda x: x + np.arange(4).reshape(4, 1, 1), FULL, ["Rom"]),
    "Sub per pixel": (lambda x: np.arange(12).reshape(4, 3, 1) - x, FULL, ["Rom"]),
    "Mul per element": (lambda x: x * np.arange(24).reshape(IMAGE), FULL, ["Rom"]),
    "And, Or, Xor": (lambda x: (x & 3) | (x ^ np.arange(3).reshape(1, 3, 1)), FULL, ["Rom"]),
    "Div": (lambda x: x._apply(ops.Div(), maximum(x, 1)), FULL, []),
    "ShiftLeft": (lambda x: x << x.cast(Format(2, 2, False)), FULL, []),
    "Min, Max, Compare, Select": (lambda x: select(x < 2, minimum(x, 1), maximum(-x, x)), FULL, []),
    "Add of another image": (lambda x: x + (x * 3), FULL, []),
    "Table": (lambda x: x._apply(ops.Table(IntArray(np.arange(16)), -8)), FULL, []),
    "Table per channel": (by_channel, FULL, []),
    "Threshold per column": (pixels, "4 along axes (0,)", ["Gather"]),
    "Cast": (lambda x: x.cast(SQ(2, 0)), FULL, []),
    "Cast per channel": (formats(2), FULL, []),
    "Cast per row": (formats(4, 1, 1), "whole", ["Gather"]),
    "Cast per column": (formats(3, 1), "4 along axes (0,)", ["Gather"]),
    # products
    "MatMul": (lambda x: x @ np.arange(6).reshape(2, 3), FULL, []),
    "MatMul by a vector": (lambda x: x @ np.arange(2), FULL, []),
    "MatMul from the left": (lambda x: np.arange(6).reshape(2, 3) @ x, "4 along axes (0,)", ["Gather"]),
    "MatMul of a batch": (lambda x: x @ np.arange(24).reshape(4, 2, 3), "whole", ["Gather"]),
    "MatMul of one batch": (lambda x: x @ np.arange(6).reshape(1, 2, 3), FULL, []),
    "MatMul of variables": (lambda x: x @ x.transpose(0, 2, 1), "whole", ["Gather", "Gather"]),
    # reductions
    "Sum of channels": (lambda x: x.sum(2), FULL, []),
    "Sum of the image": (lambda x: x.sum((0, 1)), "whole", ["Accumulate"]),
    "Sum of all": (lambda x: x.sum(), "whole", ["Gather"]),
    "Sum of a row": (lambda x: x.sum(1), "4 along axes (0,)", ["Accumulate"]),
    "Sum of a column": (lambda x: x.sum(0), "whole", ["Gather"]),
    "ReduceMax of a row": (lambda x: x.max(1), "4 along axes (0,)", ["Accumulate"]),
    "ReduceMin of rows": (lambda x: x.min(-2), "4 along axes (0,)", ["Accumulate"]),
    "ArgMax of channels": (lambda x: x.argmax(2), FULL, []),
    "ArgMax of a row": (lambda x: x.argmax(1), "4 along axes (0,)", ["Gather"]),
    "Accumulate of channels": (lambda x: x.accumulate(SQ(4, 0), 2), FULL, []),
    "Accumulate of a row": (lambda x: x.accumulate(SQ(4, 0), 1), "4 along axes (0,)", ["Gather"]),
    # wiring
    "Reshape of channels": (lambda x: x.reshape(4, 3, 2, 1) + 1, FULL, []),
    "Reshape to a row of pixels": (lambda x: x.reshape(12, 2) + 1, "12 along axes (0,)", []),
    "Reshape of columns": (lambda x: x.reshape(4, 6) + 1, "4 along axes (0,)", ["Gather"]),
    "Reshape across rows": (lambda x: x.reshape(3, 8) + 1, "whole", ["Gather"]),
    "Transpose": (lambda x: x.transpose(2, 1, 0) + 1, "4x3 along axes (2, 1)", []),
    "Slice of channels": (lambda x: x[:, :, ::-1] + 1, FULL, []),
    "Slice of columns": (lambda x: x[:, 1:] + 1, "4 along axes (0,)", ["Gather"]),
    "Slice of rows": (lambda x: x[::2] + 1, "whole", ["Gather"]),
    "Gather of channels": (lambda x: x.take([1, 0, 1], 2) + 1, FULL, []),
    "Gather of a matrix of channels": (lambda x: x.take([[1, 0]], 2) + 1, FULL, []),
    "Gather of columns": (lambda x: x.take([2, 0], 1) + 1, "4 along axes (0,)", ["Gather"]),
    "Concat of channels": (lambda x: concat([x, np.ones((4, 3, 1), int), x * 2], 2), FULL, []),
    "Concat with a constant image": (
        lambda x: concat([np.arange(12).reshape(4, 3, 1), x], 2), FULL, ["Rom"]),
    "Concat of rows": (lambda x: concat([x, x * 2], 0), "whole", ["Gather", "Gather"]),
    "Pad": (lambda x: x._apply(ops.Pad((1, 0, 0), (0, 2, 0), 3)), "5x5 along axes (0, 1)", ["Lines"]),
    "Pad of channels": (lambda x: x._apply(ops.Pad((0, 0, 1), (0, 0, 2), 3)), FULL, []),
    "Pad of all": (lambda x: x._apply(ops.Pad((1, 1, 1), (0, 0, 0), 3)), "whole", ["Gather"]),
    "Window": (windows((2, 2)), "3x2 along axes (0, 1)", ["Lines"]),
    "Window with padding": (windows((3, 3), 2, 1), "2x2 along axes (0, 1)", ["Lines"]),
    "Window of single pixels": (windows((1, 1)), FULL, []),
    "Window of single pixels, moving by two": (windows((1, 1), 2), "2x2 along axes (0, 1)", ["Lines"]),
    "Window along rows": (windows((2,)), "3 along axes (0,)", ["Gather", "Lines"]),
    "Window along three axes": (windows((2, 2, 2)), "whole", ["Gather"]),
    # an operand that is not streamed as the others
    "all less their maximum": (lambda x: x - x.reshape(-1, 2).max(0), FULL, ["Accumulate", "Repeat"]),
    "rows less their sum": (lambda x: x - x.sum(1).reshape(4, 1, 2), FULL, ["Accumulate", "Repeat"]),
    "columns less their sum": (lambda x: x - x.sum(0).reshape(1, 3, 2), "whole", ["Gather"]),
    "chosen by the image": (
        lambda x: select(x.sum((0, 1)) < 0, x, -x), FULL, ["Accumulate", "Repeat"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rules(name: str) -> None:
    fn, form, parts = CASES[name]
    core = built(fn)
    found, kinds = shape_of(core)
    assert (found, sorted(kinds)) == (form, sorted(parts))
    assert any(isinstance(v, Value) and type(v.op).__name__ == name.split()[0].strip(",") for v in
               core.graph.values) or name[0].islower()  # fmt: skip


OTHERS: dict[str, tuple[Callable[..., Any], Any, Any, str, str, list[str]]] = {
    "columns first": (
        lambda x: (x + 1).sum(0), (4, 3), (1, 0), "streamed", "3 along axes (0,)", ["Accumulate"]),
    "rows of columns first": (lambda x: x.sum(1), (4, 3), (1, 0), "streamed", "whole", ["Gather"]),
    "another order": (lambda x: x + x.T, (4, 4), (0, 1), "streamed", "whole", ["Gather", "Gather"]),
    "a matrix on the left": (
        lambda x: np.arange(8).reshape(2, 4) @ x, (4, 5), (1,), "streamed", "5 along axes (1,)", []),
    "matrices on the left": (
        lambda x: np.arange(24).reshape(2, 3, 4) @ x, (4, 5), (1,), "streamed", "5 along axes (2,)", []),
    "a vector on the left": (
        lambda x: np.arange(4) @ x, (2, 4, 5), (0, 2), "streamed", "2x5 along axes (0, 1)", []),
    "a vector on the right": (
        lambda x: x @ np.arange(5), (2, 4, 5), (0, 1), "streamed", "2x4 along axes (0, 1)", []),
    "lanes": (lambda x: x + np.arange(4).reshape(4, 1), (4, 4, 2), PLANE, "streamed(2)",
              "4x4 along axes (0, 1), 2 per beat", ["Rom"]),
    "lanes that are reduced": (lambda x: x.sum(PLANE), IMAGE, PLANE, "streamed(2)", "whole", ["Gather"]),
    "ragged lanes": (lambda x: x + 1, IMAGE, PLANE, "streamed(2)", FULL + ", 2 per beat", ["Trim"]),
    "ragged lanes of two outputs": (lambda x: (x + 1, x.max(2)), IMAGE, PLANE, "streamed(2)",
                                    FULL + ", 2 per beat", ["Trim", "Trim"]),
    "lanes of a merged row": (lambda x: x.reshape(16, 2) + 1, (4, 4, 2), PLANE, "streamed(2)",
                              "16 along axes (0,), 2 per beat", []),
    "ragged lanes of a merged row": (
        lambda x: x.reshape(12, 2) + 1, IMAGE, PLANE, "streamed(2)", "whole", ["Gather"]),
    "lanes behind a stride": (
        windows((2, 2), 2), (4, 4, 2), PLANE, "streamed(2)", "2x2 along axes (0, 1)", ["Lines"]),
    "rows behind a stride": (windows((2, 2), 3), (5, 5, 2), PLANE, "streamed(row)",
                             "2x2 along axes (0, 1), 2 per beat", ["Lines"]),
    "padded lanes": (lambda x: x._apply(ops.Pad((1, 0, 0), (0, 2, 0), 3)), (4, 4, 2), PLANE, "streamed(2)",
                     "whole", ["Gather"]),
    "a column with padding": (windows((2, 2), 1, 1), (4, 1, 2), PLANE, "streamed",
                              "5x2 along axes (0, 1), 2 per beat", ["Lines"]),
    "a padded column": (lambda x: x._apply(ops.Pad((0, 1, 0), (0, 1, 0), 3)), (4, 1, 2), PLANE, "streamed",
                        "4x3 along axes (0, 1), 3 per beat", ["Lines"]),
    "a signal": (windows((3,), 2, 1), (7, 2), (0,), "streamed", "4 along axes (0,)", ["Lines"]),
    "axes of length 1": (lambda x: x.reshape(1, 4, 1, 3, 1).relu().reshape(4, 3), (4, 1, 3), (0, 1),
                         "streamed", "4 along axes (0,)", []),
    "an image of one pixel": (lambda x: x.relu(), (1, 1, 3), PLANE, "streamed", "1x1 along axes (0, 1)", []),
    "lanes of a product that are repeated": (
        lambda x: x * (x.sum(0) @ np.ones((4, 4), int)), (3, 4), (1, 0), "folded(2)", "whole",
        ["Accumulate", "Gather", "Feeder", "Accumulate", "Gather"]),
    "an input alone": (lambda x: x, (4, 3), (0,), "streamed", "4 along axes (0,)", []),
    "an input twice": (lambda x: (x, x), (4, 3), (0,), "streamed", "4 along axes (0,)", []),
    "an input beside others": (lambda x: ((x + 1).T, x), (4, 3), (0,), "streamed", "4 along axes (1,)", []),
    "an output twice": (lambda x: [x + 1] * 2, (4, 3), (0,), "streamed", "4 along axes (0,)", []),
    "nothing joined": (lambda x: concat([x, x[:, :0]], 1), (4, 3), (0,), "streamed", "4 along axes (0,)", []),
    "a sum of nothing": (lambda x: x + x[:0].sum(0), (4, 3), (0,), "streamed", "4 along axes (0,)", []),
    "a scalar": (lambda x: x * 3, (), (), "streamed", "whole", []),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_streams(name: str) -> None:
    fn, shape, axes, schedule, form, parts = OTHERS[name]
    found, kinds = shape_of(built(fn, shape, axes, schedule))
    assert (found, sorted(kinds)) == (form, sorted(parts))


def test_two_inputs_side_by_side() -> None:
    core = built(
        lambda x, y: x + y, [(4, 3), (3, 4, 3)], {"x": (0, 1), "y": (1, 2)}, types=[SQ(4, 0), SQ(3, 0)]
    )
    assert shape_of(core) == ("4x3 along axes (1, 2)", [])
    assert (core.beats_in, core.in_layout.bits) == (12, 4 + 3 * 3)


def test_an_input_that_nothing_reads() -> None:
    core = built(lambda x, y: y + 1, (4, 3), {"x": (0,), "y": (0,)}, types=[SQ(4, 0), SQ(3, 0)])
    assert core.in_layout.bits == 3 * 4 + 3 * 3
    assert [p.name for p in core.in_layout.ports] == ["x", "y"]


def test_a_deep_graph() -> None:
    """A thousand ops in a row, on both sides of a barrier, without recursion."""

    def deep(x: Tensor) -> Tensor:
        for k in range(500):
            x = (x + 1).cast(SQ(4, 0)) if k % 2 else -x
            x = x.transpose(1, 0) if k % 100 == 50 else x
        return x

    core = built(deep, (4, 2), (0,))
    assert shape_of(core)[0] == "4 along axes (1,)"


def test_types_of_beats_that_are_wider_than_those_of_the_whole() -> None:
    """Ops that take only what is proven: a beat is proven less than each place of it."""
    lo, hi = np.array([[-8, 0], [0, -3]]), np.array([[0, 7], [5, 0]])
    t = TensorType((2, 2), 0, lo, hi)

    sign = TensorType((2, 1), 0, np.array([[0], [-1]]), np.array([[1], [0]]))

    def fn(x: Tensor, s: Tensor) -> list[Tensor]:
        y = x * np.array([[-1, 2], [3, -4]])  # 0..8, 0..14; 0..15, 0..12, but a beat has -32..28
        table = ops.Table(IntArray(np.arange(16) % 5), 0)
        chosen = select(s * np.array([[1], [-1]]), y, 7)  # 0..1, but a beat has -1..1
        shifted = x.relu() << (s * np.array([[1], [-1]]))
        even = (x * np.array([[2], [1]]) * np.array([[1], [2]]))._apply(ops.Shift(-1))
        return [y._apply(table), y._apply(ops.LeadingOne()), chosen, shifted, even]

    core = built(fn, [(2, 2), (2, 1)], {"x": (0,), "s": (0,)}, types=[t, sign])
    assert shape_of(core)[0] == "2 along axes (0,)"


def test_a_maximum_narrower_than_what_it_is_taken_from() -> None:
    lo = np.array([[-8], [0], [-8]])
    t = TensorType((3, 1), 0, lo, np.full((3, 1), 7))
    core = built(lambda x: x.max(0), axes=(0,), shape=(3, 1), types=[t])
    assert core.out_layout.bits == 3 and core.in_layout.bits == 4


@pytest.mark.parametrize(
    ("shape", "axes", "lanes", "to", "kept", "result"),
    [
        ((4, 3, 2), (0, 1), 1, (12, 2), (0, 1), (0,)),
        ((4, 3, 2), (0, 1), 2, (12, 2), (), ()),
        ((4, 4, 2), (0, 1), 2, (16, 2), (0, 1), (0,)),
        ((4, 3, 2), (1, 0), 1, (12, 2), (), ()),
        ((4, 3, 2), (0,), 1, (12, 2), (), ()),
        ((4, 3, 2), (0, 1), 1, (4, 6), (0,), (0,)),
        ((4, 3, 2), (0, 1), 1, (2, 2, 3, 2), (), ()),
        ((4, 3, 2), (0, 1), 1, (1, 4, 1, 3, 2), (0, 1), (1, 3)),
        ((1, 4, 3), (0, 1), 1, (4, 3), (0, 1), (0,)),
        ((4, 1, 3), (0, 1), 1, (4, 3), (0, 1), (0,)),
        ((1, 1), (0, 1), 1, (1,), (0, 1), ()),
    ],
)  # fmt: skip
def test_reshapes(
    shape: tuple[int, ...], axes: tuple[int, ...], lanes: int, to: tuple[int, ...], kept: tuple[int, ...],
    result: tuple[int, ...],
) -> None:  # fmt: skip
    need, after = reshaped(Form(shape, axes, lanes), to)
    assert after == result
    assert need.axes[: len(kept)] == kept and all(shape[a] == 1 for a in need.axes[len(kept) :])
    if need.axes:
        places = np.arange(np.prod(shape)).reshape(1, *shape)
        there = Form(to, after, need.lanes if after else 1)
        want = there.split(places.reshape(1, *to))
        have = need.split(places)
        moved = have.reshape(want.shape) if need.beats == there.beats else have
        assert np.array_equal(moved.reshape(want.shape), want)


def test_runs_of_axes_that_hold_equally_many() -> None:
    assert groups((4, 3, 2), (12, 2)) == [([0, 1], [0]), ([2], [1])]
    assert groups((6, 1, 4), (2, 3, 2, 2)) == [([0], [0, 1]), ([2], [2, 3])]
    assert groups((1, 1), (1,)) == []


def test_ops_on_a_beat() -> None:
    form = Form((4, 3, 2), (0, 1))
    assert on_beat(ops.Reshape((12, 2)), form, Form((12, 2), (0,))) == ops.Reshape((1, 2))
    cut = ops.Slice((0, 0, 1), (4, 3, None), (1, 1, 1))
    assert on_beat(cut, form, form) == ops.Slice((0, 0, 1), (None, None, None), (1, 1, 1))
    each = ops.Cast(IntArray(0), IntArray(np.array([[[2, 3]]] * 3)), IntArray(1))
    assert on_beat(each, form, form).width.array.tolist() == [[[2, 3]]]
    assert on_beat(ops.Neg(), form, form) == ops.Neg()


def test_axes_are_those_of_the_first_window() -> None:
    def axes_of(fn: Callable[..., Any], *shapes: tuple[int, ...]) -> list[tuple[int, ...]]:
        graph: Graph = trace(fn, *[SQ(4, 0)] * len(shapes), shape=list(shapes), name="g")
        core: Any = rtl.build(graph, schedule="streamed")
        return [f.axes for f in core.input_forms]

    two = windows((2, 2))
    assert axes_of(two, (4, 4, 2)) == [(0, 1)]
    assert axes_of(lambda x: two(x.transpose(1, 2, 0)), (2, 4, 4)) == [(1, 2)]
    assert axes_of(lambda x: two(x.transpose(2, 1, 0)), (2, 4, 4)) == [(2, 1)]
    assert axes_of(lambda x: two((x @ np.ones((2, 3), int)).relu()), (4, 4, 2)) == [(0, 1)]
    assert axes_of(lambda x: two(x.reshape(4, 4, 1)), (4, 4)) == [(0, 1)]
    assert axes_of(lambda x: two(x[:, :, :1]), (4, 4, 2)) == [(0, 1)]
    assert axes_of(lambda x: windows((2,))(x), (4, 2)) == [(0,)]
    assert axes_of(lambda x: x + 1, (4, 2)) == [()]
    assert axes_of(lambda x: two(x.reshape(4, 4, 2)), (32,)) == [()]
    assert axes_of(lambda x, y: two(x + y), (4, 4, 2), (4, 4, 2)) == [(0, 1), (0, 1)]
    assert axes_of(lambda x, y: two(x + y.transpose(1, 0, 2)), (4, 4, 2), (4, 4, 2)) == [(0, 1), (1, 0)]
    assert axes_of(lambda x, y: two(concat([x, y], 2)), (4, 4, 2), (4, 4, 1)) == [(0, 1), (0, 1)]
