"""A pipe as a graph of its own: what its values do to one beat, with the types that hold for every beat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fxsim.boundary import Affine, FormatEncoder
from fxsim.graph import Block, Graph, Input, Name, Node, Value
from fxsim.integers import Array, IntArray
from fxsim.ops import Const, MatMul, Reshape
from fxsim.types import TensorType
from rtl.lower.names import identifier
from rtl.schedule.forms import Form
from rtl.schedule.narrow import narrowing, total
from rtl.schedule.plan import Key, Plan, Stage, on_beat


@dataclass(frozen=True)
class Varying:
    """A constant that differs from beat to beat: words[(t // inner) % len(words)] belongs to beat t of a
    frame.

    words   integers of `type`'s beat, (count, elements)
    """

    type: TensorType
    words: Array
    inner: int

    def payloads(self) -> tuple[int, ...]:
        """The words as payloads: element 0 in the lowest bits."""
        width, mask = self.type.max_width, (1 << self.type.max_width) - 1
        rows = self.words.reshape(len(self.words), -1).tolist()
        return tuple(sum((int(v) & mask) << k * width for k, v in enumerate(row)) for row in rows)


def side_by_side(constants: Sequence[Varying]) -> tuple[int, tuple[int, ...]]:
    """(bits, words) of constants that change with the same beats, as one: the first in the lowest bits."""
    words, at = [0] * len(constants[0].words), 0
    for c in constants:
        words = [w | p << at for w, p in zip(words, c.payloads(), strict=True)]
        at += c.type.size * c.type.max_width
    return at, tuple(words)


@dataclass(frozen=True, eq=False)
class Segment:
    """graph has the inputs `needs` of the stage, in that order, then one per entry of `varying`."""

    graph: Graph
    varying: tuple[Varying, ...]


def segment(plan: Plan, stage: Stage, types: Mapping[Key, TensorType], name: str) -> Segment:
    """The graph of a pipe's beat; types are those of the beats of its `needs`."""
    return _Builder(plan, stage, types, name).build()


class _Builder:
    def __init__(self, plan: Plan, stage: Stage, types: Mapping[Key, TensorType], name: str) -> None:
        self.plan, self.stage, self.types, self.name = plan, stage, types, name
        self.inputs: list[Input] = []
        self.streams: dict[Key, Input] = {}
        self.values: list[Value] = []
        self.made: dict[Node, Node] = {}
        self.operands: dict[tuple[Node, Node, tuple[int, ...]], Node] = {}
        self.roms: list[tuple[Input, Varying]] = []

    def build(self) -> Segment:
        taken: set[str] = set()
        for key in self.stage.needs:
            label = identifier(self.plan.name(key.node))
            while label in taken:
                label += "_"
            taken.add(label)
            self.streams[key] = Input(self.types[key], label)
            self.inputs.append(self.streams[key])
        spans: dict[int, int] = {}  # position in the whole graph -> first value here
        for v in self.stage.members:
            first = len(self.values)
            args = [self._operand(v, k) for k in range(len(v.args))]
            placed = self.plan.placements[v]
            need = next(n.form for n in placed.needs if n is not None)
            op = total(on_beat(v.op, need, placed.form), args[0].type)
            self.made[v] = self._narrowed(self._value(op, args), v, placed.form)
            spans[self.plan.index[v]] = first
        outputs = [self.made[k.node] for k in self.stage.gives]
        inputs = [*self.inputs, *(i for i, _ in self.roms)]
        names = {
            k: Name(self.made[n.value]) for k, n in self.plan.graph.names.items() if n.value in self.made
        }
        labels = [identifier(self.plan.name(k.node)) for k in self.stage.gives]
        distinct = [f"{label}_{k}" if labels.count(label) > 1 else label for k, label in enumerate(labels)]
        graph = Graph(
            tuple(inputs), tuple(outputs), (*inputs, *self.values), tuple(distinct),
            tuple(FormatEncoder(i.type.lane()) for i in inputs), (Affine(),) * len(outputs),
            self._blocks(spans, len(inputs)), names, self.name,
        )  # fmt: skip
        return Segment(graph, tuple(r for _, r in self.roms))

    def _value(self, op: object, args: Sequence[Node]) -> Value:
        value = Value(op.infer(*(a.type for a in args)), op, tuple(args))  # type: ignore[attr-defined]
        self.values.append(value)
        return value

    def _narrowed(self, made: Node, whole: Node, form: Form) -> Node:
        cast = narrowing(made.type, form.joined(whole.type))
        return made if cast is None else self._value(cast, [made])

    def _operand(self, v: Value, k: int) -> Node:
        placed, arg = self.plan.placements[v], v.args[k]
        if arg in self.plan.static:
            return self._constant(v, arg)
        need = placed.needs[k]
        assert need is not None
        key = Key(arg, need.form, need.repeat)
        if self.plan.inside(v, key):
            return self.made[arg]
        stream = self.streams[self.plan.resolved(key)]
        shape = need.form.beat_shape
        if (stream, arg, shape) not in self.operands:
            source = stream if stream.type.shape == shape else self._value(Reshape(shape), [stream])
            self.operands[stream, arg, shape] = self._narrowed(source, arg, need.form)
        return self.operands[stream, arg, shape]

    def _constant(self, v: Value, arg: Node) -> Node:
        """A constant operand for one beat: the part that every beat sees, or words of a memory."""
        out, t = self.plan.form(v), arg.type
        if isinstance(v.op, MatMul):
            return self._value(Const(IntArray(t.lo), t.frac), [])
        ahead = len(out.shape) - t.ndim
        cut: Array = t.lo
        varying = []
        for k, axis in enumerate(out.axes):
            if axis >= ahead and np.any(cut != np.take(cut, [0], axis - ahead)):
                varying.append(k)
            elif axis >= ahead:
                cut = np.take(cut, [0], axis - ahead)
        if not varying:
            return self._value(Const(IntArray(cut), t.frac), [])
        shape = [1] * ahead + list(cut.shape)
        for axis in out.axes:
            shape[axis] = out.shape[axis]
        whole = Form(tuple(shape), out.axes, out.lanes)
        counts = [*whole.sizes[:-1], whole.per_row]
        inner = math.prod(counts[varying[-1] + 1 :])
        period = math.prod(counts[varying[0] :])
        full = np.broadcast_to(cut.reshape([1] * ahead + list(cut.shape)), shape)
        words = whole.split(full[None], fill=int(cut.ravel()[0]))[:period:inner]
        kind = whole.joined(TensorType.constant(full, t.frac))
        made = Input(kind, f"rom{len(self.roms)}")
        self.roms.append((made, Varying(kind, words, inner)))
        return made

    def _blocks(self, spans: Mapping[int, int], inputs: int) -> tuple[Block, ...]:
        """The outermost blocks of the whole graph, over those of their values that are here."""
        out = []
        for b in self.plan.graph.blocks:
            if b.parent is not None:
                continue
            here = [p for p in spans if b.start <= p < b.stop]
            if not here:
                continue
            start = spans[min(here)]
            after = [s for p, s in spans.items() if p > max(here)]
            stop = min(after, default=len(self.values))
            ours = set(self.values[start:stop])
            ins = dict.fromkeys(a for v in self.values[start:stop] for a in v.args if a not in ours)
            used = {a for v in self.values[stop:] for a in v.args} | {
                self.made[k.node] for k in self.stage.gives
            }
            outs = tuple(v for v in self.values[start:stop] if v in used)
            out.append(Block(b.kind, b.name, {}, tuple(ins), outs, inputs + start, inputs + stop))
        return tuple(out)
