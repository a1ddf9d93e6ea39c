"""Products that share their hardware over time: what a matrix product reads, in the terms of a folded
engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim import ops
from fxsim.graph import Node, Value
from fxsim.integers import Array
from fxsim.types import TensorType
from rtl.schedule.forms import Form
from rtl.schedule.placement import Placement
from rtl.stream.folded import Engine, engine, feasible, split

if TYPE_CHECKING:
    from rtl.schedule.options import Options
    from rtl.schedule.plan import Plan

WORD = 16
"""Most elements of a word into which a tensor that comes whole is cut: more make the engine's selector
large."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A product as a convolution: the engine reads `source` in `form`, pixels of `words` beats.

    weights   (rows, columns, channels of a pixel, outputs), depthwise (rows, columns, channels)
    pe        products a clock, pi * po
    geometry  height, width, and stride, dilation, padding where there is a window
    arrange   brings the constant of the graph, of `shape`, into the order of `weights`
    product   the value whose operand `constant` has the weights
    """

    source: Node
    form: Form
    weights: Array
    pe: int
    words: int
    geometry: Mapping[str, Any]
    arrange: Callable[[Array], Array]
    shape: tuple[int, ...]
    product: Value
    constant: Node

    @property
    def cycles(self) -> int:
        """Clock cycles that the products of a frame take."""
        g, (kh, kw, channels, *out) = self.geometry, self.weights.shape
        taken = math.prod(self.positions) * kh * kw * channels * math.prod(out)
        assert g
        return -(-taken // self.pe)

    @property
    def positions(self) -> tuple[int, int]:
        g, kernel = self.geometry, self.weights.shape[:2]
        pads = zip(g.get("before", (0, 0)), g.get("after", (0, 0)), strict=True)
        steps = zip(g.get("stride", (1, 1)), g.get("dilation", (1, 1)), strict=True)
        sides = zip((g["height"], g["width"]), kernel, steps, pads, strict=True)
        rows, columns = ((n + sum(pad) - d * (k - 1) - 1) // s + 1 for n, k, (s, d), pad in sides)
        return rows, columns


def foldable(plan: Plan, v: Value, pe: int | None) -> Placement | str:
    """The placement of a product on `pe` processing elements, or why it is none ("" where v is no product).

    pe None: as few as keep up with the input, and only for products of a whole sample, whose input is
    streamed.
    Raises ValueError where `pe` does not divide the products.
    """
    if isinstance(v.op, ops.MatMul):
        x, w = v.args
        if x in plan.static or w not in plan.static or w.type.ndim != 2:
            return "its weights are no constant matrix on the right" if w not in plan.static else ""
        return _matrix(plan, v, x, w.type.lo, pe)
    if isinstance(v.op, ops.Sum) and pe is not None:
        return _depthwise(plan, v, pe)
    return ""


def _matrix(plan: Plan, v: Value, x: Node, w: Array, pe: int | None) -> Placement | str:
    outputs = w.shape[1]
    if x.type.ndim == 1:
        source, form, words, geometry, arrange = _dense(plan, x)
        plane: tuple[int, ...] = ()
    elif pe is None:
        return ""
    else:
        found = _patches(plan, x)
        if isinstance(found, str):
            return found
        source, form, words, geometry, kernel, plane = found

        def arrange(w: Array) -> Array:
            return w.reshape(*kernel, -1, w.shape[1])

    weights = arrange(w)
    if pe is None:
        pe = _matched(plan, form, words, weights)
        if pe is None:
            return ""
        plan.reasons[plan.name(v)] = (
            f"folded({pe}): the fewest processing elements that keep up with an input of {_frame(plan)} beats"
        )
    _, po = split(plan.name(v), pe, _elements(form, words, weights), outputs)
    fold = Fold(source, form, weights, pe, words, geometry, arrange, w.shape, v, v.args[1])
    axes = plane if po == outputs else (*plane, v.type.ndim - 1)
    return Placement("fold", Form(v.type.shape, axes, po if po < outputs else 1), detail=fold)


def _elements(form: Form, words: int, weights: Array) -> int:
    return int(weights.shape[2]) // words


def _frame(plan: Plan) -> int:
    return max(plan.form(n).beats for n in plan.graph.inputs)


def _matched(plan: Plan, form: Form, words: int, weights: Array) -> int | None:
    """The fewest processing elements with which a product of a whole sample takes no longer than its
    input."""
    beats = _frame(plan)
    if beats == 1:
        return None
    elements, products = _elements(form, words, weights), math.prod(weights.shape)
    able = [n for n in feasible(elements, weights.shape[3]) if n * beats >= products]
    return able[0] if able else None


def _patches(
    plan: Plan, x: Node
) -> str | tuple[Node, Form, int, dict[str, Any], tuple[int, int], tuple[int, ...]]:
    """(source, form, words, geometry, kernel, streamed plane of the result) of the rows of a product."""
    node = x
    if isinstance(node, Value) and isinstance(node.op, ops.Reshape) and isinstance(node.args[0], Value):
        window = node.args[0]
        n = len(window.op.kernel) if isinstance(window.op, ops.Window) else 0
        if n and x.type.shape[:-1] == window.type.shape[:n]:
            return _window(plan, window)
    f = plan.form(x)
    last = len(f.shape) - 1
    plane = tuple(range(last))
    if last > 2:
        return f"it has {last} axes in front of its rows"
    form = _serial(f, plane, last)
    if form is None:
        return "more than one pixel of its input comes in a beat"
    words = form.per_row if form.axes[-1] == last else 1
    height, width = (1, 1, *f.shape[:last])[-2:] if last == 2 else (f.shape[0], 1)
    return x, form, words, {"height": height, "width": width}, (1, 1), plane


def _window(
    plan: Plan, window: Value
) -> str | tuple[Node, Form, int, dict[str, Any], tuple[int, int], tuple[int, ...]]:
    op, source = window.op, window.args[0]
    assert isinstance(op, ops.Window)
    n, f = len(op.kernel), plan.form(source)
    if n > 2:
        return f"its window has {n} axes"
    form = _serial(f, tuple(range(n)), len(f.shape) - 1 if len(f.shape) == n + 1 else None)
    if form is None:
        return "more than one pixel of its input comes in a beat"
    words = form.per_row if len(form.axes) > n else 1

    def pair(values: tuple[int, ...], other: int) -> tuple[int, int]:
        return (values[0], values[1]) if n == 2 else (values[0], other)

    geometry = {
        "height": f.shape[0], "width": f.shape[1] if n == 2 else 1,
        "stride": pair(op.stride, 1), "dilation": pair(op.dilation, 1),
        "before": pair(op.before, 0), "after": pair(op.after, 0), "fill": op.fill,
    }  # fmt: skip
    return source, form, words, geometry, pair(op.kernel, 1), tuple(range(n))


def _serial(f: Form, plane: tuple[int, ...], channel: int | None) -> Form | None:
    """The form in which an engine reads an image: pixel by pixel, its channels together or in even words."""
    n = len(plane)
    if f.whole:
        return Form(f.shape, plane)
    if f.axes[:n] != plane or (len(f.axes) == n and f.lanes > 1):
        return None
    if len(f.axes) == n + 1 and f.axes[n] == channel and not f.ragged:
        return f
    return Form(f.shape, plane)


def _dense(plan: Plan, x: Node) -> tuple[Node, Form, int, dict[str, Any], Callable[[Array], Array]]:
    """A product of a whole sample: beat by beat of what it was flattened from, as one row of pixels."""
    places = np.arange(x.type.size).reshape(x.type.shape)
    node = x
    while isinstance(node, Value) and isinstance(node.op, (ops.Reshape, ops.Transpose)):
        (node,) = node.args
    source, chain = node, x
    steps: list[Value] = []
    while chain is not source:
        assert isinstance(chain, Value)
        steps.append(chain)
        (chain,) = chain.args
    places = np.arange(source.type.size).reshape(source.type.shape)
    for step in reversed(steps):
        places = step.op.place(places, step.args[0].type.ndim, -1)  # type: ignore[attr-defined]
    form = plan.form(source)
    if form.whole:
        axes = tuple(a for a, size in enumerate(form.shape) if size > 1) or (0,)
        row = form.shape[axes[-1]]
        form = Form(form.shape, axes, max(d for d in range(1, min(row, WORD) + 1) if row % d == 0))
    beats = form.split(np.arange(source.type.size).reshape(1, *source.type.shape), fill=-1)
    elements = beats.reshape(form.beats, -1)

    def arrange(w: Array) -> Array:
        rows = np.zeros((source.type.size + 1, w.shape[1]), w.dtype)  # the last one is for surplus lanes
        np.add.at(rows, places.ravel(), w)
        return rows[elements][None]

    return source, form, 1, {"height": 1, "width": form.beats}, arrange


def _depthwise(plan: Plan, v: Value, pe: int) -> Placement | str:
    """Sums over the taps of a window, each tap of a channel with its own weight."""
    (product,) = v.args
    if not isinstance(product, Value) or not isinstance(product.op, ops.Mul):
        return ""
    pairs = [
        (a, b) for a, b in (product.args, product.args[::-1]) if b in plan.static and a not in plan.static
    ]
    if not pairs:
        return ""
    x, w = pairs[0]
    window = x.args[0] if isinstance(x, Value) and isinstance(x.op, ops.Reshape) else None
    if not isinstance(window, Value) or not isinstance(window.op, ops.Window):
        return ""
    n = len(window.op.kernel)
    channels = window.type.shape[2 * n :]
    taps = math.prod(window.op.kernel)
    if (
        len(channels) != 1 or x.type.shape != (*window.type.shape[:n], taps, *channels)
        or tuple(a % x.type.ndim for a in v.op.axes) != (n,) or w.type.shape != (taps, *channels)  # type: ignore[attr-defined]
    ):  # fmt: skip
        return "its window is not summed tap by tap, a weight per tap and channel"
    found = _window(plan, window)
    if isinstance(found, str):
        return found
    source, form, words, geometry, kernel, plane = found

    def arrange(w: Array) -> Array:
        return w.reshape(*kernel, *channels)

    weights = arrange(w.type.lo)
    pi, _ = split(plan.name(v), pe, channels[0] // words, None)
    fold = Fold(source, form, weights, pe, words, geometry, arrange, w.type.shape, product, w)
    axes = plane if pi == channels[0] else (*plane, v.type.ndim - 1)
    return Placement("fold", Form(v.type.shape, axes, pi if pi < channels[0] else 1), detail=fold)


def engine_of(
    name: str, top: str, fold: Fold, before: TensorType, after: TensorType, options: Options,
    build: Mapping[str, Any],
) -> Engine:  # fmt: skip
    """The parts of a fold; before and after are the types of a beat of its source and of its result."""
    lo, hi = before.bounds
    return engine(
        name, top, fold.weights, bits=before.max_width, signed=lo < 0, pe=fold.pe, lo=lo, hi=hi,
        elements=before.size, words=fold.words, result=after.bounds,
        encoding=options.encoding, writable=options.writable, options=build, **fold.geometry,
    )  # fmt: skip
