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
from fxsim.trace import Builder, Tensor
from rtl.stream.folded import feasible
from tests.schedule.random_moves import MOVES

MODES = tuple(product(Rounding, (Overflow.SAT, Overflow.WRAP, Overflow.SAT_SYM)))
WIDTH = 11  # of a tensor that products read
MOST = 160  # elements of a tensor


class Network:
    """One random network: `images` (*space, channels), `vectors` (n,), and moves that add to them."""

    modes = MODES

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
