"""One problem at a time: a loop graph as a list of instructions over one int64 memory, run by compiled code.

Compiling is once for all units and kept on disk; a list is made in milliseconds. For one problem this is far
faster than NumPy, whose calls cost more than the few numbers they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate.table import is_wide
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Graph, Interpreter, Op, Value
from fxsim.integers import Array
from fxsim.iterate.compiled import (
    ADD,
    AND,
    BITS,
    CAST,
    COLUMNS,
    COUNT,
    DIVIDE,
    EQ,
    FIRST,
    GATHER,
    GREATEST,
    LE,
    LEAST,
    LT,
    MATMUL,
    MAX,
    MIN,
    MUL,
    NE,
    NEG,
    NOT,
    OR,
    SELECT,
    SHIFT_LEFT,
    SHL,
    SUB,
    SUM,
    TABLE,
    XOR,
    execute,
    run,
)  # fmt: skip
from fxsim.iterate.loop import Loop
from fxsim.types import TensorType

ROUNDINGS = tuple(Rounding)
AT_ONCE = 10_000  # sweeps between looks at Ctrl-C
OVERFLOWS = (Overflow.WRAP, Overflow.SAT, Overflow.SAT_SYM)


class TooWide(Exception):
    """The graph needs more than 62 bits, or an overflow that the compiled code does not know."""


@dataclass(frozen=True)
class Place:
    """A tensor in memory: its first word and its type."""

    start: int
    type: TensorType

    @property
    def size(self) -> int:
        return self.type.size


class Code:
    """A list of instructions that is being made."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.data: list[int] = []
        self.words = 0
        self.constants: list[tuple[int, Array]] = []

    def room(self, size: int) -> int:
        """Words of memory."""
        start, self.words = self.words, self.words + size
        return start

    def store(self, values: Any) -> int:
        """Parameters; the place of the first."""
        start = len(self.data)
        self.data.extend(int(v) for v in np.ravel(values))
        return start

    def add(self, code: int, size: int, a: int = 0, b: int = 0, c: int = 0, n: int = -1, p: int = 0, q: int = 0) -> int:  # fmt: skip  # noqa: E501
        """An instruction whose result has `size` words; the first of them."""
        out = self.room(size)
        self.rows.append((code, out, a, b, c, size if n < 0 else n, p, q))
        return out

    def gathered(self, start: int, index: Array, fill: int = 0) -> int:
        """The words start + index, `fill` where index is negative."""
        return self.add(GATHER, index.size, start, p=self.store(index), q=fill)

    def spread(self, place: Place, shape: tuple[int, ...]) -> int:
        """The tensor broadcast to `shape`."""
        if place.type.shape == shape or place.size == np.prod(shape, dtype=int) == 1:
            return place.start
        index = np.arange(place.size).reshape(place.type.shape)
        return self.gathered(place.start, np.broadcast_to(index, shape))


single_rules: Interpreter[Place] = Interpreter("single_rules")


def _elementwise(code: int) -> Any:
    def rule(c: Code, v: Value, *operands: Place) -> Place:
        starts = [c.spread(o, v.type.shape) for o in operands]
        return Place(c.add(code, v.type.size, *starts), v.type)

    return rule


_each: type[Op]
for _each, _code in (
    (ops.Add, ADD), (ops.Sub, SUB), (ops.Neg, NEG), (ops.Mul, MUL), (ops.Min, MIN), (ops.Max, MAX),
    (ops.Select, SELECT), (ops.And, AND), (ops.Or, OR), (ops.Xor, XOR), (ops.Not, NOT),
    (ops.ShiftLeft, SHIFT_LEFT), (ops.LeadingOne, BITS), (ops.Div, DIVIDE),
):  # fmt: skip
    single_rules.rule(_each)(_elementwise(_code))


@single_rules.rule(ops.Compare)
def _compare(c: Code, v: Value, a: Place, b: Place) -> Place:
    kind = {"lt": LT, "le": LE, "eq": EQ, "ne": NE}[v.op.kind]  # type: ignore[attr-defined]
    shape = v.type.shape
    return Place(c.add(kind, v.type.size, c.spread(a, shape), c.spread(b, shape)), v.type)


@single_rules.rule(ops.Const)
def _const(c: Code, v: Value) -> Place:
    start = c.room(v.type.size)
    c.constants.append((start, v.op.raw.array.ravel()))  # type: ignore[attr-defined]
    return Place(start, v.type)


@single_rules.rule(ops.Shift)
def _shift(c: Code, v: Value, a: Place) -> Place:
    return Place(c.add(SHL, v.type.size, a.start, p=v.op.bits), v.type)  # type: ignore[attr-defined]


@single_rules.rule(ops.Scale)
def _scale(c: Code, v: Value, a: Place) -> Place:
    return Place(a.start, v.type)


@single_rules.rule(ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)
def _wiring(c: Code, v: Value, a: Place) -> Place:
    op: Any = v.op
    index = np.arange(a.size).reshape(1, *a.type.shape)
    placed = np.asarray(op.place(index, a.type.ndim, -1))[0].ravel()
    if np.array_equal(placed, np.arange(a.size)):
        return Place(a.start, v.type)
    return Place(c.gathered(a.start, placed, int(op.padding())), v.type)


@single_rules.rule(ops.Concat)
def _concat(c: Code, v: Value, *parts: Place) -> Place:
    index = [np.arange(p.size).reshape(p.type.shape) + p.start for p in parts]
    return Place(c.gathered(0, np.concatenate(index, axis=v.op.axis).ravel()), v.type)  # type: ignore[attr-defined]


@single_rules.rule(ops.MatMul)
def _matmul(c: Code, v: Value, a: Place, b: Place) -> Place:
    left = np.arange(a.size).reshape(a.type.shape)
    right = np.arange(b.size).reshape(b.type.shape)
    left, right = (left[None, :] if left.ndim == 1 else left), (right[:, None] if right.ndim == 1 else right)
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    left = np.broadcast_to(left, (*stack, rows, inner)).reshape(-1, rows, inner)
    right = np.swapaxes(np.broadcast_to(right, (*stack, inner, columns)), -1, -2).reshape(-1, columns, inner)
    parts = []
    for x, y in zip(left, right, strict=True):  # both with the inner axis last and contiguous
        first, second = c.gathered(a.start, x.ravel()), c.gathered(b.start, y.ravel())
        parts.append(c.add(MATMUL, rows * columns, first, second, n=rows, p=columns, q=inner))
    if len(parts) == 1:
        return Place(parts[0], v.type)
    index = [np.arange(rows * columns) + start for start in parts]
    return Place(c.gathered(0, np.concatenate(index)), v.type)


def _folded(code: int) -> Any:
    def rule(c: Code, v: Value, a: Place) -> Place:
        op: Any = v.op
        axes = op.axes if isinstance(op, ops.Sum) else (op.axis,)
        kept = [i for i in range(a.type.ndim) if i not in {x % a.type.ndim for x in axes}]
        inner = [i for i in range(a.type.ndim) if i not in kept]
        index = np.arange(a.size).reshape(a.type.shape).transpose(*kept, *inner)
        start = c.gathered(a.start, index)
        length = int(np.prod([a.type.shape[i] for i in inner], dtype=int))
        return Place(c.add(code, v.type.size, start, p=length), v.type)

    return rule


for _each, _code in (
    (ops.Sum, SUM), (ops.ReduceMin, LEAST), (ops.ReduceMax, GREATEST), (ops.ArgMax, FIRST),
):  # fmt: skip
    single_rules.rule(_each)(_folded(_code))


def _rows(shape: tuple[int, ...], axis: int | None) -> Array:
    """Per element, its channel."""
    if axis is None:
        return np.zeros(shape, np.int64)
    axis %= len(shape)
    index = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - 1 - axis))
    return np.broadcast_to(index, shape)


@single_rules.rule(ops.Table)
def _table(c: Code, v: Value, a: Place) -> Place:
    op: Any = v.op
    entries = op.entries.array.reshape(-1, op.entries.array.shape[-1])
    base = c.store(entries)
    rows = base + _rows(a.type.shape, op.axis) * entries.shape[1] - op.base
    return Place(c.add(TABLE, v.type.size, a.start, p=c.store(rows)), v.type)


@single_rules.rule(ops.Threshold)
def _threshold(c: Code, v: Value, a: Place) -> Place:
    op: Any = v.op
    levels = op.levels.array
    channel = _rows(a.type.shape, op.axis)
    base = c.store(levels)
    rows = np.stack([base + channel * levels.shape[1], op.falling.array[channel]], axis=-1)
    return Place(c.add(COUNT, v.type.size, a.start, p=c.store(rows), q=levels.shape[1]), v.type)


@single_rules.rule(ops.Cast)
def _cast(c: Code, v: Value, a: Place) -> Place:
    if max((int(x).bit_length() for x in a.type.bounds), default=0) + _left(v.op, a.type.frac) > 62:
        raise TooWide("a cast of more than 62 bits")
    return Place(_cast_words(c, v.op, a.start, a.type.frac, v.type), v.type)


def _left(op: Any, frac: int) -> int:
    """Bits that a cast shifts left before it looks at the overflow."""
    return max(0, int(op.result_frac) - frac)


def _cast_words(c: Code, op: Any, start: int, frac: int, out: TensorType) -> int:
    if op.overflow not in OVERFLOWS or op.n:
        raise TooWide(f"a cast with overflow {op.overflow}, n = {op.n}")
    fracs, widths, signs = op.parameters(out.shape)
    if widths.size and int(widths.max()) > 62:
        raise TooWide(f"a cast to {int(widths.max())} bits")
    finest = op.result_frac
    rows = np.stack([frac - fracs, widths, signs, finest - fracs], axis=-1)
    mode, kind = ROUNDINGS.index(op.rounding), OVERFLOWS.index(op.overflow)
    return c.add(CAST, out.size, start, b=mode, c=kind, p=c.store(rows))


@single_rules.rule(ops.Accumulate)
def _accumulate(c: Code, v: Value, a: Place) -> Place:
    op: Any = v.op
    cast, frac = op.step(a.type.frac)
    index = np.moveaxis(np.arange(a.size).reshape(a.type.shape), op.axis, 0)
    size, out = v.type.size, c.room(v.type.size)
    c.constants.append((out, np.zeros(size, np.int64)))
    for part in index:
        term = c.add(SHL, size, c.gathered(a.start, part.ravel()), p=frac - a.type.frac)
        total = c.add(ADD, size, term, c.add(SHL, size, out, p=frac - op.format.frac))
        out = _cast_words(c, cast, total, frac, v.type)
    return Place(out, v.type)


@dataclass(frozen=True, eq=False)
class Program:
    """A graph as instructions: rows of them, their data, and a memory with the constants in place."""

    rows: Array
    data: Array
    memory: Array
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]

    def loaded(self, values: Sequence[Any]) -> Array:
        """A memory with the inputs in place."""
        memory = self.memory.copy()
        for place, value in zip(self.inputs, values, strict=True):
            memory[place.start : place.start + place.size] = np.ravel(value)
        return memory

    def read(self, memory: Array, place: Place) -> Array:
        """A tensor out of memory."""
        return memory[place.start : place.start + place.size].reshape(place.type.shape)

    def call(self, *values: Any) -> list[Array]:
        """The graph's outputs for one sample, raw."""
        memory = self.loaded(values)
        execute(self.rows, self.data, memory)
        return [self.read(memory, o) for o in self.outputs]


def program(graph: Graph) -> Program:
    """The instructions of a graph. TooWide where it needs what they do not have."""
    if any(is_wide(v.type) for v in graph.values):
        raise TooWide("a value beyond 62 bits")
    code = Code()
    inputs = [Place(code.room(n.type.size), n.type) for n in graph.inputs]
    outputs = single_rules(graph, inputs, code)
    memory = np.zeros(max(code.words, 1), np.int64)
    for start, values in code.constants:
        memory[start : start + len(values)] = values
    rows = np.array(code.rows, np.int64).reshape(-1, COLUMNS)
    return Program(rows, np.array(code.data, np.int64), memory, tuple(inputs), tuple(outputs))


@dataclass(frozen=True, eq=False)
class Single:
    """A loop for one problem at a time; moves (to, from, words) make the new state the old one."""

    program: Program
    moves: Array
    sources: tuple[int | None, ...]

    def solve(self, states: Sequence[Array], parameters: Sequence[Array]) -> tuple[list[Array], int, int]:
        """(final raw states, sweeps, status) of one problem, whose numbers have been checked."""
        p = self.program
        memory = p.loaded([*states, *(0 if s is None else states[s] for s in self.sources), 0, *parameters])
        *kept, steps, status = p.outputs
        while run(p.rows, p.data, memory, self.moves, status.start, AT_ONCE):
            pass  # here Python sees an interrupt
        found = [p.read(memory, o) for o in kept[: len(states)]]
        return found, int(memory[steps.start]), int(memory[status.start])


def single(loop: Loop) -> Single | None:
    """The instructions of a loop; None where it needs what they do not have."""
    try:
        made = program(loop.graph)
    except TooWide:
        return None
    kept = zip(made.inputs, made.outputs[:-1], strict=False)
    moves = [(i.start, o.start, i.size) for i, o in kept]
    return Single(made, np.array(moves, np.int64), tuple(m.source for m in loop.memory))
