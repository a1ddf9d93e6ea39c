"""Seeded random small networks over images and signals, and schedules for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from fxsim import Format, Graph, Overflow, Rounding, TensorType, ops
from fxsim.boundary import FormatEncoder
from fxsim.integers import Array, IntArray
from fxsim.layers import conv2d
from fxsim.trace import Builder, Tensor, concat, maximum, minimum, select
from rtl.stream.folded import feasible

MODES = tuple(product(Rounding, (Overflow.SAT, Overflow.WRAP, Overflow.SAT_SYM)))
WIDTH = 11  # of a tensor that products read
MOST = 160  # elements of a tensor


class Network:
    """One random network: `images` (*space, channels), `vectors` (n,), and moves that add to them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([1907, seed])
        self.seed, self.builder = seed, Builder(f"net_{seed}")
        self.images: list[Tensor] = []
        self.vectors: list[Tensor] = []
        self.blocks: dict[str, tuple[int, int | None]] = {}  # elements, outputs of what can be folded
        self.count = 0
        self.space = 1 if self.draw(0, 4) == 0 else 2

    def graph(self) -> Graph:
        self.inputs()
        for _ in range(self.draw(1, 5)):
            self.move(self.choice(MOVES))
        return self.builder.finish(self.outputs())

    # ---- draws ----------------------------------------------------------------------------------------

    def draw(self, lo: int, hi: int) -> int:
        return int(self.rng.integers(lo, hi + 1))

    def choice(self, items: Sequence[Any]) -> Any:
        return items[self.draw(0, len(items) - 1)]

    def some(self, pool: Sequence[Tensor]) -> Tensor:
        return pool[max(self.draw(0, len(pool) - 1), self.draw(0, len(pool) - 1))]

    def codes(self, shape: Sequence[int], most: int = 5) -> Array:
        return np.asarray(self.rng.integers(-most, most + 1, shape), np.int64)

    def constant(self, raw: Any, frac: int = 0) -> Tensor:
        return self.builder.apply(ops.Const(IntArray(np.asarray(raw, np.int64)), frac))

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    # ---- ends -----------------------------------------------------------------------------------------

    def input(self, shape: tuple[int, ...], name: str) -> Tensor:
        if self.draw(0, 2):
            width = self.draw(1, 6)
            t = TensorType.of(Format(width, width - self.draw(0, 2), bool(self.draw(0, 1))), shape)
        else:  # a type of its own per channel, or per element
            own = shape if self.draw(0, 2) == 0 else shape[-1:]
            a, b = self.codes(own, 9), self.codes(own, 9)
            s = self.rng.integers(0, 3, own)
            lo, hi = np.minimum(a, b) >> s << s, np.maximum(a, b)
            t = TensorType(shape, 1, *(np.broadcast_to(v, shape) for v in (lo, np.maximum(lo, hi), s)))
        return self.builder.input(name, t, FormatEncoder(t.lane()))

    def inputs(self) -> None:
        space = tuple(self.draw(1, 7) for _ in range(self.space))
        channels = self.draw(1, 5) if math.prod(space) < 30 else self.draw(1, 3)
        first = self.draw(0, 4)
        if first == 0:
            order = (*range(1, self.space + 1), 0)
            self.images.append(self.input((channels, *space), "x").transpose(*order))
        elif first == 1 and channels == 1:
            self.images.append(self.input(space, "x").reshape(*space, 1))
        else:
            self.images.append(self.input((*space, channels), "x"))
        if self.draw(0, 7) == 0:
            self.images.append(self.input((*space, self.draw(1, 2)), "z"))

    def outputs(self) -> list[Tensor]:
        read = {a for v in self.builder.values for a in v.args}
        kept = [t for t in (*self.images, *self.vectors) if t.node not in read and t.type.size]
        kept = [t for t in kept if not np.all(t.type.is_constant)] or self.images[:1]
        if self.draw(0, 3):
            kept = [self.some(kept)]
        end = self.draw(0, 9)
        if end < 3 and kept[0].ndim > 1:
            flat = kept[0]
            if end == 0:
                flat = flat.transpose(*reversed(range(flat.ndim)))
            kept[0] = self.dense(self.narrow(flat).reshape(-1))
        if end in (2, 4) and kept[0].ndim:
            kept[0] = kept[0].argmax(self.draw(0, kept[0].ndim - 1))
        if end == 5:
            kept.append(kept[0])
        if end == 6:
            kept.append(self.images[0])
        return kept

    def move(self, fn: Callable[[Network], Tensor | None]) -> None:
        """Tries a move a few times; keeps what it makes if it is neither empty nor large."""
        for _ in range(6):
            count, blocks = len(self.builder.values), len(self.builder.blocks)
            t = fn(self)
            if t is not None and 0 < t.type.size <= MOST and t.type.max_width <= 30:
                (self.images if t.ndim == self.space + 1 else self.vectors).append(t)
                return
            del self.builder.values[count:], self.builder.blocks[blocks:]

    # ---- layers ---------------------------------------------------------------------------------------

    def format(self, t: Tensor, width: int) -> Format:
        rounding, overflow = self.choice(MODES)
        frac = t.frac - self.draw(0, max(0, t.type.max_width - width))
        return Format(width, width - frac, bool(self.draw(0, 2)) or overflow is Overflow.SAT_SYM, rounding,
                      overflow)  # fmt: skip

    def narrow(self, t: Tensor, width: int = WIDTH) -> Tensor:
        return t if t.type.max_width <= width else t.cast(self.format(t, self.draw(3, 6)))

    def sides(self, most: Sequence[int]) -> list[tuple[int, ...]]:
        return [tuple(self.draw(0, m) for m in most) for _ in range(2)]

    def geometry(self, t: Tensor) -> dict[str, tuple[int, ...]] | None:
        """Kernel, stride, dilation, before, after that fit an image."""
        size = t.shape[: self.space]
        kernel = tuple(self.choice([1, 2, 2, 3, 3, 3, 5]) for _ in size)
        if math.prod(kernel) > 10 or math.prod(kernel) * t.shape[-1] > 27:
            return None
        stride = tuple(self.choice([1, 1, 1, 2, 2, 3]) for _ in size)
        dilation = tuple(self.choice([1, 1, 1, 2]) for _ in size)
        before, after = self.sides([2] * len(size)) if self.draw(0, 1) else [(0,) * len(size)] * 2
        op = ops.Window(kernel, stride, dilation, before, after)
        if min(op.positions(t.shape)) < 1:
            return None
        return {"kernel": kernel, "stride": stride, "dilation": dilation, "before": before, "after": after}

    def window(self, t: Tensor, fill: bool = True) -> Tensor | None:
        g = self.geometry(t)
        lo, hi = t.type.bounds
        code = self.choice([0, 0, self.draw(lo - 2, hi + 2), self.draw(-9, 9)]) if fill else 0
        return None if g is None else t._apply(ops.Window(**g, fill=code))

    def taps(self, w: Tensor) -> Tensor:
        n = self.space
        return w.reshape(*w.shape[:n], math.prod(w.shape[n : 2 * n]), *w.shape[2 * n :])

    def biased(self, t: Tensor) -> Tensor:
        return t + self.constant(self.codes(t.shape[-1:]), t.frac) if self.draw(0, 1) else t

    def dense(self, t: Tensor) -> Tensor:
        outputs, name = self.draw(1, 4), self.name("dense")
        with self.builder.block("dense", name, [t]) as made:
            made.append(self.biased(t @ self.constant(self.codes((t.shape[-1], outputs), 3))))
        self.blocks[name] = (t.shape[-1], outputs)
        return made[0]


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
    rounding, overflow = g.choice(MODES)
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


def random_case(seed: int) -> tuple[Graph, Any]:
    """A network, and a schedule for it."""
    net = Network(seed)
    graph = net.graph()
    names = {b.name for b in graph.blocks}
    blocks = {k: v for k, v in net.blocks.items() if k in names}
    kind = net.draw(0, 10)
    if kind == 10:
        return graph, "streamed(2)"
    if kind < 3 or (kind >= 6 and not blocks):
        return graph, "streamed"
    if kind == 3:
        return graph, f"streamed({net.draw(2, 3)})"
    if kind == 4:
        return graph, f"streamed({net.choice(['row', 2])})"
    if kind == 5:
        return graph, "folded(1)"

    def folded(block: tuple[int, int | None]) -> str:
        return f"folded({net.choice(feasible(*block))})"

    if kind == 6:
        return graph, folded(net.choice(list(blocks.values())))
    chosen = {k: folded(v) for k, v in blocks.items() if net.draw(0, 1)}
    rest = net.choice(["streamed", "streamed", "streamed(2)", "streamed(row)"])
    if net.draw(0, 3) == 0:
        chosen |= {k: "unrolled" for k in blocks if k not in chosen}
    return graph, {**chosen, "*": rest}
