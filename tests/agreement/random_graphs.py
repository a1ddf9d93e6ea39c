"""Seeded random graphs over the whole op set, and stimulus within their inputs' sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from fxsim import Format, Graph, Overflow, Rounding, TensorType, ops
from fxsim.boundary import FormatEncoder
from fxsim.graph import Op, Value
from fxsim.integers import Array, IntArray, exact, to_object
from fxsim.trace import Builder, Tensor, align, concat
from tests.agreement.op_cases import OVERFLOWS

MODES = tuple(product(Rounding, OVERFLOWS))
MOST_ELEMENTS = 16
# Every WIDE-th graph may grow beyond 64 bits.
WIDTH, WIDE_WIDTH, WIDE = 40, 90, 9


class Generator:
    """One random graph: a pool of tensors, and moves that add one to it (or nothing, if they do not fit)."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([2024, seed])
        self.seed = seed
        self.limit = WIDE_WIDTH if seed % WIDE == WIDE - 1 else WIDTH
        self.builder = Builder(f"random_{seed}")
        self.pool: list[Tensor] = []
        self.casts = 0

    def graph(self) -> Graph:
        for k in range(self.draw(1, 3)):
            t = self.input_type()
            self.pool.append(self.builder.input(f"x{k}", t, FormatEncoder(t.lane())))
        # The rotation takes every move and every cast mode in turn: some tens of seeds cover them all.
        forced = [MOVES[(self.seed * 3 + k) % len(MOVES)] for k in range(3)] + [
            cast_by_format,
            cast_per_element,
        ]
        moves = forced + [self.choice(MOVES) for _ in range(self.draw(2, 6))]
        order = self.rng.permutation(len(moves))
        split = self.draw(0, len(moves)) if self.draw(0, 2) == 0 else None
        for i, k in enumerate(order):
            if i == split:
                with self.builder.block("group", f"group_{self.seed}", list(self.pool)) as outputs:
                    before = len(self.pool)
                    self.move(moves[k])
                    self.move(self.choice(MOVES))
                    outputs += self.pool[before:]
            else:
                self.move(moves[k])
        read = {a for v in self.builder.values for a in v.args}
        outputs = [t for t in self.pool if t.node not in read] or self.pool[-1:]
        return self.builder.finish(outputs)

    def move(self, fn: Callable[[Generator], Tensor | None]) -> None:
        """Try the move a few times; keep what it makes if it is neither too wide nor too large nor empty."""
        for _ in range(8):
            count, values = len(self.builder.values), self.builder.values
            t = fn(self)
            if t is not None and t.type.max_width <= self.limit and 0 < t.type.size <= MOST_ELEMENTS:
                self.pool.append(t)
                return
            del values[count:]

    def draw(self, lo: int, hi: int) -> int:
        return int(self.rng.integers(lo, hi + 1))

    def choice(self, items: Sequence) -> object:
        return items[self.draw(0, len(items) - 1)]

    def some(self, fits: Callable[[Tensor], bool] = lambda t: True) -> Tensor | None:
        found = [t for t in self.pool if fits(t)]
        # Later tensors more often, so that graphs grow deep.
        return found[max(self.draw(0, len(found) - 1), self.draw(0, len(found) - 1))] if found else None

    def input_type(self) -> TensorType:
        shape = self.choice([(), (2,), (3,), (4,), (2, 2), (3, 2), (1, 3), (2, 3, 2)])
        frac = self.draw(-2, 6)
        if self.draw(0, 1):
            width = self.draw(50, 80) if self.limit == WIDE_WIDTH else self.draw(1, 12)
            signed = bool(self.draw(0, 1))
            return TensorType.of(Format(width, width - frac, signed), shape)
        lo, hi = self.codes(shape, 9), self.codes(shape, 9)
        lo, hi = np.minimum(lo, hi), np.maximum(lo, hi)
        stride = self.rng.integers(0, 4, shape) * self.rng.integers(0, 2, shape)
        constant = self.rng.integers(0, 6, shape) == 0
        lo = lo >> stride << stride
        return TensorType(shape, frac, lo, np.where(constant, lo, np.maximum(hi, lo)), stride)

    def codes(self, shape: Sequence[int], bits: int) -> Array:
        """Integers of many magnitudes, 0 among them."""
        size = self.rng.integers(0, bits + 1, shape)
        return np.asarray(self.rng.integers(-(1 << bits), 1 << bits, shape) >> size, np.int64)

    def constant(self, shape: Sequence[int], bits: int = 5, frac: int | None = None) -> Tensor:
        raw = self.codes(shape, bits)
        return self.builder.apply(ops.Const(IntArray(raw), self.draw(0, 3) if frac is None else frac))

    def partner(self, a: Tensor) -> Tensor:
        """Another operand that broadcasts with a: from the pool, or a constant."""

        def fits(t: Tensor) -> bool:
            try:
                np.broadcast_shapes(a.shape, t.shape)
            except ValueError:
                return False
            return abs(t.frac - a.frac) <= 12

        found = self.some(fits) if self.draw(0, 3) else None
        return found if found is not None else self.constant(self.choice([a.shape, (), a.shape[-1:]]))

    def mode(self) -> tuple[Rounding, Overflow, int]:
        rounding, (overflow, n) = MODES[(self.seed * 2 + self.casts) % len(MODES)]
        self.casts += 1
        return rounding, overflow, n

    def target(self, t: Tensor, overflow: Overflow, n: int) -> tuple[int, int, bool]:
        """(frac, width, signed) near the operand's own, with few or many bits lost on either side."""
        frac = t.frac - self.draw(-2, min(t.type.max_width + 2, 9))
        whole = max(t.type.max_width - t.frac - self.draw(-1, 4), 1 - frac)
        width = min(max(whole + frac, 1, n), self.limit - 2)
        return frac, width, overflow is Overflow.WRAP_SM or bool(self.draw(0, 1))


def _pairwise(op: Op) -> Callable[[Generator], Tensor | None]:
    def move(g: Generator) -> Tensor | None:
        a = g.some()
        assert a is not None
        b = g.partner(a)
        if g.draw(0, 1):
            a, b = b, a
        a, b = align(a, b)
        return a._apply(op, b)

    return move


def _unary(op: Op) -> Callable[[Generator], Tensor | None]:
    return lambda g: g.some()._apply(op)


def const(g: Generator) -> Tensor | None:
    return g.constant(g.choice([(), (2,), (2, 2)]), 7)


def shift(g: Generator) -> Tensor | None:
    t = g.some()
    least = min(int(t.type.stride.min()), 4)
    return t._apply(ops.Shift(-g.draw(0, least) if g.draw(0, 1) else g.draw(0, 3)))


def scale(g: Generator) -> Tensor | None:
    return g.some()._apply(ops.Scale(g.draw(-3, 3)))


def mul(g: Generator) -> Tensor | None:
    a = g.some(lambda t: t.type.max_width <= 14 or g.limit > WIDTH)
    return None if a is None else a._apply(ops.Mul(), g.partner(a))


def matmul(g: Generator) -> Tensor | None:
    a = g.some(lambda t: t.ndim >= 1)
    if a is None:
        return None
    inner = a.shape[-1]
    kind = g.draw(0, 4)
    if kind == 0 and a.ndim == 1:
        return g.constant((g.draw(1, 3), inner), 6)._apply(ops.MatMul(), a)
    if kind == 1:
        b = g.some(lambda t: t.ndim == 1 and t.shape[0] == inner and t.type.max_width <= 10)
        return None if b is None or a.type.max_width > 10 else a._apply(ops.MatMul(), b)
    if kind == 2:
        return a._apply(ops.MatMul(), g.constant((inner,), 6))
    return a._apply(ops.MatMul(), g.constant((inner, g.draw(1, 4)), 6))


def total(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 1)
    if t is None:
        return None
    axes = [i - t.ndim * g.draw(0, 1) for i in range(t.ndim) if g.draw(0, 1)]
    return t._apply(ops.Sum(tuple(axes)))


def _natural(g: Generator, t: Tensor, width: int) -> Tensor:
    """t's low bits as unsigned integers of frac 0."""
    return t.cast(Format(width, width, False))


def shift_left(g: Generator) -> Tensor | None:
    a = g.some()
    n = _natural(g, g.partner(a), g.draw(1, 3))
    return a._apply(ops.ShiftLeft(), n)


def div(g: Generator) -> Tensor | None:
    a = g.some(lambda t: t.type.max_width <= 14)
    if a is None:
        return None
    b = g.partner(a)
    return (b if g.draw(0, 1) else a)._apply(ops.Div(), a) if b.type.max_width <= 14 else None


def _over_axis(op: type[Op]) -> Callable[[Generator], Tensor | None]:
    def move(g: Generator) -> Tensor | None:
        t = g.some(lambda t: t.ndim >= 1)
        return None if t is None else t._apply(op(g.draw(-t.ndim, t.ndim - 1)))  # type: ignore[call-arg]

    return move


def select(g: Generator) -> Tensor | None:
    a = g.some()
    a, b = align(a, g.partner(a))
    shape = np.broadcast_shapes(a.shape, b.shape)
    flags = g.some(lambda t: t.shape in (shape, ()))
    if flags is None:
        return None
    c, zero = align(flags, g.constant((), 4))
    return c._apply(ops.Compare(g.choice(ops.Compare.KINDS)), zero)._apply(ops.Select(), a, b)


def _channels(g: Generator, t: Tensor) -> tuple[int | None, int]:
    if t.ndim and g.draw(0, 1):
        axis = g.draw(-t.ndim, t.ndim - 1)
        return axis, t.shape[axis]
    return None, 1


def table(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.type.max_width <= 6)
    if t is None:
        width = g.draw(1, 5)
        source = g.some()
        t = source.cast(Format(width, width - source.frac, bool(g.draw(0, 1))))
    lo, hi = t.type.bounds
    before, after = g.draw(0, 2), g.draw(0, 2)
    axis, n = _channels(g, t)
    shape = (n, hi - lo + 1 + before + after)
    entries = g.codes(shape, 7) if g.draw(0, 2) else np.sort(g.codes(shape, 7), axis=-1)
    return t._apply(
        ops.Table(IntArray(entries[0] if axis is None else entries), lo - before, g.draw(0, 3), axis)
    )


def threshold(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.type.max_width <= 40)
    if t is None:
        return None
    lo, hi = t.type.bounds
    axis, n = _channels(g, t)
    levels = g.rng.integers(lo - 2, hi + 3, (n, g.draw(0, 7)))
    falling = IntArray(g.rng.integers(0, 2, n))
    return t._apply(ops.Threshold(IntArray(np.sort(levels, axis=-1)), axis, falling))


def leading_one(g: Generator) -> Tensor | None:
    t = g.some()
    if t.type.bounds[0] < 0:
        t = t.relu() if g.draw(0, 1) else abs(t)
    return t._apply(ops.LeadingOne())


def cast_by_format(g: Generator) -> Tensor | None:
    t = g.some()
    rounding, overflow, n = g.mode()
    frac, width, signed = g.target(t, overflow, n)
    return t.cast(Format(width, width - frac, signed, rounding, overflow, n))


def cast_per_element(g: Generator) -> Tensor | None:
    t = g.some()
    rounding, overflow, n = g.mode()
    shape = g.choice([t.shape, t.shape[-1:]])
    picks = [g.target(t, overflow, n) for _ in range(int(np.prod(shape)))]
    frac, width, signed = (np.array(c, np.int64).reshape(shape) for c in zip(*picks, strict=True))
    width = np.where(g.rng.integers(0, 8, shape) == 0, 0, width)
    # The declared source may be wider than what is proven.
    source_width = t.type.max_width + g.draw(0, 2)
    op = ops.Cast(IntArray(frac), IntArray(width), IntArray(signed), rounding, overflow, n, source_width)
    return t._apply(op)


def accumulate(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 1 and t.type.max_width <= 24)
    if t is None:
        return None
    rounding, (overflow, n) = g.choice(MODES)
    frac, width, signed = g.target(t, overflow, n)
    fmt = Format(width, width - frac, signed, rounding, overflow, n)
    return t.accumulate(fmt, g.draw(-t.ndim, t.ndim - 1))


def window(g: Generator) -> Tensor | None:
    t = g.some(lambda t: 1 <= t.ndim <= 3)
    if t is None:
        return None
    n = g.draw(1, min(t.ndim, 2))
    parts = [[g.draw(lo, hi) for _ in range(n)] for lo, hi in ((1, 2), (1, 2), (1, 2), (0, 1), (0, 1))]
    op = ops.Window(*(tuple(p) for p in parts), g.draw(-3, 3))
    return t._apply(op) if all(p >= 1 for p in op.positions(t.shape)) else None


def reshape(g: Generator) -> Tensor | None:
    t = g.some()
    return t.reshape(g.choice([(-1,), (t.type.size, 1), t.shape[::-1], (1, *t.shape)]))


def transpose(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 2)
    return None if t is None else t.transpose(*(int(a) for a in g.rng.permutation(t.ndim)))


def part(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 1)
    if t is None:
        return None
    steps = [g.choice([1, 2, -1, -2]) for _ in t.shape]
    return t[tuple(slice(None, None, s) if g.draw(0, 1) else slice(g.draw(0, 1), None) for s in steps)]


def joined(g: Generator) -> Tensor | None:
    a = g.some(lambda t: t.ndim >= 1)
    if a is None:
        return None
    others: list[Tensor] = [t for t in g.pool if t.shape == a.shape and abs(t.frac - a.frac) < 12][:2]
    return concat([a, *others, g.constant(a.shape)], g.draw(-a.ndim, a.ndim - 1))


def gather(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 1)
    if t is None:
        return None
    axis = g.draw(0, t.ndim - 1)
    return t.take(g.rng.integers(0, t.shape[axis], g.choice([(2,), (1, 2), (3,)])), axis)


def pad(g: Generator) -> Tensor | None:
    t = g.some(lambda t: t.ndim >= 1)
    if t is None:
        return None
    before, after = (tuple(g.draw(0, 1) for _ in t.shape) for _ in range(2))
    return t._apply(ops.Pad(before, after, g.draw(-9, 9)))


MOVES: tuple[Callable[[Generator], Tensor | None], ...] = (
    const, shift, scale, mul, matmul, total, shift_left, div, select, table, threshold, leading_one,
    cast_by_format, cast_per_element, accumulate, window, reshape, transpose, part, joined, gather, pad,
    *map(_pairwise, (ops.Add(), ops.Sub(), ops.Min(), ops.Max(), ops.And(), ops.Or(), ops.Xor())),
    *map(_pairwise, (ops.Compare(k) for k in ops.Compare.KINDS)),
    *map(_unary, (ops.Neg(), ops.Not())),
    *map(_over_axis, (ops.ReduceMin, ops.ReduceMax, ops.ArgMax)),
)  # fmt: skip


def random_graph(seed: int) -> Graph:
    return Generator(seed).graph()


def stimulus(graph: Graph, n: int, seed: int = 0) -> list[Array]:
    """n raw codes per input of its set: all least, all greatest, all nearest 0, then corners and random."""
    rng = np.random.default_rng([7, seed])
    return [_codes(node.type, n, rng) for node in graph.inputs]


def _codes(t: TensorType, n: int, rng: np.random.Generator) -> Array:
    lo, hi = to_object(t.lo), to_object(t.hi)
    out = np.empty((n, *t.shape), object)
    for i in np.ndindex(t.shape):
        a, b = int(lo[i]), int(hi[i])
        step = 1 if a == b else 1 << int(t.stride[i])
        last = (b - a) // step
        zero = min(max(-a // step, 0), last)
        corners = [0, last, zero, min(1, last), max(last - 1, 0), min(zero + 1, last), max(zero - 1, 0)]
        for k in range(n):
            if k < 3:
                at = corners[k]
            elif rng.integers(0, 3) == 0:
                at = corners[int(rng.integers(0, len(corners)))]
            else:  # some bits more than the count has, so that every code is about as likely as any other
                at = int.from_bytes(rng.bytes(16), "little") % (last + 1)
            out[(k, *i)] = a + at * step
    return exact(out)


def ops_of(graphs: Iterable[Graph]) -> set[type[Op]]:
    return {type(v.op) for g in graphs for v in g.values if isinstance(v, Value)}


def modes_of(graphs: Iterable[Graph]) -> set[tuple[Rounding, Overflow, int]]:
    """(rounding, overflow, N) of the casts."""
    return {
        (v.op.rounding, v.op.overflow, v.op.n)
        for g in graphs
        for v in g.values
        if isinstance(v, Value) and isinstance(v.op, ops.Cast)
    }


def merged(graphs: Sequence[Graph], name: str) -> Graph:
    """The graphs side by side as one, so that slow builds are few."""
    builder = Builder(name)
    outputs, names = [], []
    for k, g in enumerate(graphs):
        tensors = {
            n: builder.input(f"g{k}_{n.name}", n.type, e) for n, e in zip(g.inputs, g.encoders, strict=True)
        }
        for v in g.values:
            if isinstance(v, Value):
                tensors[v] = builder.apply(v.op, *(tensors[a] for a in v.args))
        outputs += [tensors[o] for o in g.outputs]
        names += [f"g{k}_{n}" for n in g.output_names]
    return builder.finish(outputs, names)
