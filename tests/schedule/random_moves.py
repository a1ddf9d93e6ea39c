"""Moves of the random networks: each adds a layer or a step between layers, or nothing if none fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim import Format, Overflow, ops
from fxsim.integers import IntArray
from fxsim.layers import conv2d
from fxsim.trace import Tensor, concat, maximum, minimum, select

if TYPE_CHECKING:
    from tests.schedule.random_networks import Network


def conv(g: Network) -> Tensor | None:
    t = g.narrow(g.some(g.images))
    name, outputs = g.name("conv"), g.draw(1, 4)
    with g.builder.block("conv2d", name, [t]) as made:
        w = g.window(t)
        if w is None:
            return None
        n = g.space
        rows = w.reshape(*w.shape[:n], -1)
        made.append(g.biased(rows @ g.constant(g.codes((rows.shape[-1], outputs), g.choice([1, 3, 9])))))
    g.blocks[name] = (t.shape[-1], outputs)
    return made[0]


def layer(g: Network) -> Tensor | None:
    """The library's own, with groups."""
    t = g.narrow(g.some(g.images))
    p = g.geometry(t) if g.space == 2 else None
    if p is None:
        return None
    groups = g.choice([d for d in range(1, t.shape[-1] + 1) if t.shape[-1] % d == 0])
    outputs = groups * g.draw(1, 2)
    w = g.codes((*p["kernel"], t.shape[-1] // groups, outputs), 4)
    name = g.name("layer")
    if groups == 1:
        g.blocks[name] = (t.shape[-1], outputs)
    return conv2d(
        t, w, g.codes((outputs,)), stride=p["stride"], dilation=p["dilation"], groups=groups,
        padding=tuple(zip(p["before"], p["after"], strict=True)), name=name,
    )  # fmt: skip


def depthwise(g: Network) -> Tensor | None:
    t = g.narrow(g.some(g.images))
    name = g.name("depthwise")
    with g.builder.block("depthwise", name, [t]) as made:
        w = g.window(t)
        if w is None:
            return None
        rows = g.taps(w)
        weights = g.constant(g.codes(rows.shape[g.space :], 4))
        product = rows * weights if g.draw(0, 1) else weights * rows
        made.append(g.biased(product.sum(g.space)))
    g.blocks[name] = (t.shape[-1], None)
    return made[0]


def pool(g: Network) -> Tensor | None:
    t = g.some(g.images)
    w = g.window(t)
    if w is None:
        return None
    rows = g.taps(w)
    kind = g.draw(0, 3)
    if kind == 0:
        return rows.sum(g.space).cast(g.format(rows, 5))
    return rows.max(g.space) if kind < 3 else rows.min(g.space)


def pointwise(g: Network) -> Tensor:
    t = g.narrow(g.some(g.images))
    return g.dense(t)


def relu(g: Network) -> Tensor:
    t = g.some(g.images).relu()
    return t.cast(g.format(t, g.draw(2, 6)))


def cast(g: Network) -> Tensor:
    t = g.some(g.images)
    return t.cast(g.format(t, g.draw(1, 7)))


def cast_each(g: Network) -> Tensor:
    """A format per channel, row, column, or pixel."""
    t = g.some(g.images)
    rounding, overflow = g.choice(g.modes)
    shape = g.choice([t.shape[-1:], t.shape, (t.shape[0], *(1,) * (t.ndim - 1)), (*t.shape[:-1], 1)])
    frac = t.frac - g.rng.integers(0, 3, shape)
    width, signed = g.rng.integers(1, 7, shape), g.rng.integers(0, 2, shape)
    if overflow is Overflow.SAT_SYM:
        signed = np.ones(shape, np.int64)
    arrays = (IntArray(np.asarray(a, np.int64)) for a in (frac, width, signed))
    return t.cast(ops.Cast(*arrays, rounding, overflow, 0, t.type.max_width))


def threshold(g: Network) -> Tensor:
    t = g.some(g.images)
    lo, hi = t.type.bounds
    axis = g.choice([None, -1, -1, t.ndim - 1, 0, g.draw(0, t.ndim - 1)])
    rows = 1 if axis is None else t.shape[axis]
    levels = np.sort(g.rng.integers(lo - 1, hi + 2, (rows, g.draw(1, 4))), axis=-1)
    return t._apply(ops.Threshold(IntArray(levels), axis, IntArray(g.rng.integers(0, 2, rows))))


def table(g: Network) -> Tensor:
    t = g.some(g.images)
    if t.type.max_width > 5:
        t = t.cast(g.format(t, g.draw(1, 4)))
    lo, hi = t.type.bounds
    axis = g.choice([None, -1, 0])
    size = (hi - lo + 1 + g.draw(0, 1),)
    entries = g.codes(size if axis is None else (t.shape[axis], *size), 20)
    return t._apply(ops.Table(IntArray(entries), lo, g.draw(0, 1), axis))


def positional(g: Network) -> Tensor:
    """A constant that varies along the image."""
    t = g.some(g.images)
    shape = tuple(n if g.draw(0, 2) else 1 for n in t.shape)
    c = g.constant(g.codes(shape[g.draw(0, t.ndim - 1) :], 6), t.frac)
    kind = g.draw(0, 5)
    if kind == 0:
        return g.narrow(t) * c
    if kind == 1:
        return select(t < c, c, t)
    return t + c if kind < 4 else c - t if kind == 4 else maximum(c, t)


def residual(g: Network) -> Tensor | None:
    a = g.some(g.images)
    b = g.choice([t for t in g.images if t.shape == a.shape])
    kind = g.draw(0, 6)
    if kind == 0:
        return g.narrow(a) * g.narrow(b)
    if kind == 1:
        return minimum(a, b)
    if kind == 2:
        return select(a < b, a, b)
    if kind == 3:
        return a ^ b
    return a + b if kind < 6 else a - b


def branches(g: Network) -> Tensor | None:
    a = g.some(g.images)
    fits = [t for t in g.images if t.shape[:-1] == a.shape[:-1]]
    parts: list[Any] = [a, g.choice(fits)]
    if g.draw(0, 3) == 0:
        parts.insert(g.draw(0, 2), g.constant(g.codes((*a.shape[:-1], 1)), a.frac))
    return concat(parts, -1)


def stacked(g: Network) -> Tensor | None:
    a = g.some(g.images)
    axis = g.draw(0, g.space - 1)
    parts: list[Any] = [a, g.choice([t for t in g.images if t.shape == a.shape])]
    if g.draw(0, 2) == 0:
        parts.insert(g.draw(0, 2), g.constant(g.codes(a.shape), a.frac))
    return concat(parts, axis)


def excite(g: Network) -> Tensor:
    """Squeeze and excite: the image scaled by what all of it says."""
    t = g.narrow(g.some(g.images), 6)
    plane = tuple(range(g.space))
    v = t.sum(plane) if g.draw(0, 1) else t.reshape(-1, t.shape[-1]).max(0)
    if g.draw(0, 1):
        v = g.narrow(v)
        v = v @ g.constant(g.codes((t.shape[-1], t.shape[-1]), 2))
    v = v.cast(g.format(v, 4))
    if g.draw(0, 2) == 0:
        v = v.reshape(*(1,) * g.space, -1)
    return t * v if g.draw(0, 2) else v + t


def rows_scaled(g: Network) -> Tensor:
    """Something of each row, spread over the row; or of each column."""
    t = g.narrow(g.some(g.images), 6)
    axis = g.draw(0, g.space - 1)
    v = t.max(axis).reshape(*(1 if k == axis else n for k, n in enumerate(t.shape)))
    return t - v if g.draw(0, 1) else t * v


def squeezed(g: Network) -> Tensor:
    """A reduction over some axes."""
    t = g.some(g.images)
    kind = g.draw(0, 4)
    axis = g.draw(-t.ndim, t.ndim - 1)
    if kind == 0:
        return t.sum(tuple(a for a in range(t.ndim) if g.draw(0, 1)))
    if kind == 1:
        return t.max(axis)
    if kind == 2:
        return t.argmax(axis)
    if kind == 3:
        return g.narrow(t).accumulate(g.format(t, 6), axis)
    return t.sum(tuple(range(g.space)))


def kept_axis(g: Network) -> Tensor:
    """A reduction over one axis of the plane, as an image of one row or column."""
    t = g.some(g.images)
    axis = g.draw(0, g.space - 1)
    return t.sum(axis).reshape(*(1 if k == axis else n for k, n in enumerate(t.shape)))


def pad(g: Network) -> Tensor:
    t = g.some(g.images)
    most = [2] * g.space + [g.choice([0, 0, 1])]
    before, after = g.sides(most)
    return t._apply(ops.Pad(before, after, g.draw(-4, 4)))


def crop(g: Network) -> Tensor | None:
    t = g.some(g.images)
    cuts = []
    for n in t.shape:
        step = g.choice([1, 1, 1, 2, -1])
        at = g.draw(0, n - 1)
        cuts.append(g.choice([slice(None), slice(at, None, step), slice(0, at + 1), slice(None, None, step)]))
    return t[tuple(cuts)]


def taken(g: Network) -> Tensor:
    t = g.some(g.images)
    axis = g.choice([t.ndim - 1, t.ndim - 1, g.draw(0, t.ndim - 1)])
    return t.take(g.rng.integers(0, t.shape[axis], g.draw(1, 4)), axis)


def turned(g: Network) -> Tensor:
    t = g.some(g.images)
    return t.transpose(*(int(a) for a in g.rng.permutation(t.ndim)))


def folded_axes(g: Network) -> Tensor:
    """Rows and columns as one axis, and back; or columns and channels."""
    t = g.some(g.images)
    if g.space == 1:
        return t.reshape(t.shape[0], 1, t.shape[1]).relu().reshape(*t.shape)
    kind = g.draw(0, 3)
    if kind == 0:
        flat = t.reshape(-1, t.shape[-1])
        return (flat + g.constant(g.codes(flat.shape[-1:]), t.frac)).reshape(*t.shape)
    if kind == 1:
        return t.reshape(t.shape[0], -1, 1)
    if kind == 2:
        return t.reshape(1, *t.shape).relu().reshape(*t.shape)
    return t.reshape(t.shape[1], t.shape[0], t.shape[2])


def spread_vector(g: Network) -> Tensor | None:
    """A vector of a global result along the channels of an image."""
    t = g.some(g.images)
    fits = [v for v in g.vectors if v.shape in ((), t.shape[-1:], t.shape[-2:]) and v.type.max_width < 12]
    return t + g.choice(fits) if fits else None


def between(g: Network) -> Tensor:
    """A product of two tensors that vary."""
    t = g.narrow(g.some(g.images), 5)
    return t.transpose(*range(t.ndim - 2), t.ndim - 1, t.ndim - 2) @ t


def bits(g: Network) -> Tensor:
    t = g.some(g.images)
    kind = g.draw(0, 4)
    if kind == 0:
        return ~t
    if kind == 1:
        return t.relu()._apply(ops.LeadingOne())
    if kind == 2:
        return -t
    if kind == 3:
        return g.narrow(t, 8) << t.cast(Format(2, 2, False))
    return g.narrow(t, 8)._apply(ops.Div(), g.narrow(t, 5))


MOVES: tuple[Callable[[Network], Tensor | None], ...] = (
    conv, conv, conv, layer, layer, depthwise, pool, pool, pointwise, relu, cast, cast_each, threshold, table,
    positional, positional, residual, residual, branches, stacked, excite, excite, rows_scaled, squeezed,
    kept_axis, pad, crop, taken, turned, folded_axes, spread_vector, between, bits,
)  # fmt: skip
