"""From forms to stages: which values share a pipeline, and what stands between the pipelines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Graph, Input, Node, Value
from rtl.schedule.axes import input_axes
from rtl.schedule.fold import Fold, foldable
from rtl.schedule.forms import Form
from rtl.schedule.options import Options
from rtl.schedule.placement import Placement
from rtl.schedule.pooled import Pooled, pooled
from rtl.schedule.rules import stream_rules


@dataclass(frozen=True)
class Key:
    """A value as a stream: in a form, each beat `repeat` times."""

    node: Node
    form: Form
    repeat: int = 1


@dataclass(eq=False)
class Stage:
    """One step on the way: takes the streams `needs`, gives `gives`; kind "pipe" has the values `members`.

    level   longest chain of stages that are no pipes in front of it
    before  of a stage of one operand, the form that it wants; its stream may come under another value's name
    """

    kind: str  # input, pipe, window, reduce, fold, gather, spread, repeat, output
    level: int
    needs: list[Key]
    gives: list[Key]
    members: list[Value] = field(default_factory=list)
    before: Form | None = None
    detail: Any = None


class Plan:
    """The stages of a graph, every one after those that it needs.

    static      values that are the same for every sample
    placements  of all other values
    """

    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph, self.options = graph, options
        self.index = graph.index
        names = (*(n.name for n in graph.inputs), *graph.output_names)
        for name, node in zip(names, (*graph.inputs, *graph.outputs), strict=True):
            if not node.type.size:
                raise ValueError(
                    f"{name!r} must have at least one element to be streamed, not shape {node.type.shape}"
                )
        self.block = {i: b.name for b in reversed(graph.blocks) for i in range(b.start, b.stop)}
        self.static = {v for v in graph.values if isinstance(v, Value) and bool(np.all(v.type.is_constant))}
        self.placements: dict[Node, Placement] = {}
        self.level: dict[Node, int] = {}
        self.reasons: dict[str, str] = {}
        self._place()
        self.out_keys = self._outputs()
        self.stages = self._stages()

    def form(self, node: Node) -> Form:
        return self.placements[node].form

    def name(self, node: Node) -> str:
        """The outermost block of a value, or its tensor's name, or its op."""
        block = self.block.get(self.index[node])
        if block is not None:
            return block
        named = next((k for k, n in self.graph.names.items() if n.value is node), None)
        return named or (node.name if isinstance(node, Input) else type(node.op).__name__)  # type: ignore[attr-defined]

    # ---- forms ----------------------------------------------------------------------------------------

    def _place(self) -> None:
        chosen = input_axes(self.graph, self.static, self.options)
        for node in self.graph.values:
            if node in self.static:
                continue
            if isinstance(node, Input):
                self.placements[node] = Placement("input", self.options.input_form(node, chosen[node]))
                self.level[node] = 0
                continue
            assert isinstance(node, Value)
            self.placements[node] = self._placed(node)
            self.level[node] = self._level(node)
        folded = {self.name(v) for v, p in self.placements.items() if isinstance(p.detail, Fold)}
        for block, mode in self.options.blocks.items():
            if mode.kind == "folded" and block not in folded:
                raise ValueError(
                    f"schedule of block {block!r} must not be {mode}: no product with constants is its own"
                )

    def _placed(self, v: Value) -> Placement:
        block = self.name(v)
        mode = self.options.mode_of(block)
        if mode.kind != "unrolled":
            found = foldable(self, v, mode.pe)
            if isinstance(found, Placement):
                return found
            if found and mode.pe is not None:
                if block in self.options.blocks:
                    raise ValueError(f"schedule of block {block!r} must not be {mode}: {found}")
                self.reasons[block] = f"not folded: {found}"
        whole = pooled(self, v)
        if whole is not None:
            return whole
        forms = [None if a in self.static else self.form(a) for a in v.args]
        placed: Placement = stream_rules.lookup(type(v.op))(self.options, v, *forms)
        return placed

    def keys(self, v: Node) -> list[Key]:
        """The streams that a value is made from, one per operand that varies."""
        placed = self.placements[v]
        if isinstance(placed.detail, (Fold, Pooled)):
            return [Key(placed.detail.source, placed.detail.form)]
        assert isinstance(v, Value)
        pairs = zip(v.args, placed.needs, strict=True)
        return [Key(a, n.form, n.repeat) for a, n in pairs if n is not None]

    def _level(self, v: Value) -> int:
        return max(self.level_of(k) for k in self.keys(v)) + (self.placements[v].kind != "pointwise")

    def level_of(self, key: Key) -> int:
        return self.level[key.node] + (key.form != self.form(key.node)) + (key.repeat > 1)

    def _outputs(self) -> list[Key]:
        """All outputs in forms of equally many beats: as they stream, but channels of a pixel together."""
        forms = []
        for name, node in zip(self.graph.output_names, self.graph.outputs, strict=True):
            if node in self.static:
                raise ValueError(f"output {name!r} must depend on an input to be streamed; it is a constant")
            f = self.form(node)
            serial = self._channel(node)
            forms.append(Form(f.shape, f.axes[:-1]) if serial else f)
        if len({(f.sizes, f.lanes) for f in forms}) > 1:
            forms = [Form(f.shape) for f in forms]
        return [Key(n, f) for n, f in zip(self.graph.outputs, forms, strict=True)]

    def _channel(self, node: Node) -> bool:
        """Whether the last streamed axis of a value came from a folded product, not from the input."""
        seen: set[Node] = set()
        todo = [(node, self.form(node))]
        while todo:
            n, f = todo.pop()
            if n in seen or not f.axes:
                continue
            seen.add(n)
            p = self.placements[n]
            if isinstance(p.detail, Fold):
                if (
                    p.form.axes
                    and p.form.axes[-1] == len(p.form.shape) - 1
                    and len(p.form.axes) == len(f.axes)
                ):
                    return True
                continue
            if p.kind in ("pointwise", "window"):
                todo += [(k.node, k.form) for k in self.keys(n) if len(k.form.axes) == len(f.axes)]
        return False

    # ---- stages ---------------------------------------------------------------------------------------

    def resolved(self, key: Key) -> Key:
        """The same beats, bit by bit, from an earlier value: wiring that moves no bit of a beat is no
        stage."""
        while key.repeat == 1 and isinstance(key.node, Value) and key.form == self.form(key.node):
            placed = self.placements[key.node]
            if placed.kind != "pointwise" or not isinstance(key.node.op, ops.wiring.Wiring):
                break
            (below,) = self.keys(key.node)
            if below.repeat > 1 or below.form != self.form(below.node):
                break
            shape = below.form.beat_shape
            places = np.arange(int(np.prod(shape))).reshape(shape)
            moved = on_beat(key.node.op, below.form, key.form).place(places, len(shape), -1)
            if not np.array_equal(moved.ravel(), places.ravel()):
                break
            key = below
        return key

    def _stages(self) -> list[Stage]:
        found: dict[Key, Stage] = {}
        members: set[Value] = set()  # of pipes
        group: dict[Node, Node] = {}
        wanted: dict[Node, list[Key]] = defaultdict(list)  # streams from outside of pipes

        def want(key: Key) -> None:
            key = self.resolved(key)
            if key not in wanted[key.node]:
                wanted[key.node].append(key)

        def root(n: Node) -> Node:
            while group.setdefault(n, n) is not n:
                n = group[n]
            return n

        last = Stage("output", 1 << 30, [self.resolved(k) for k in self.out_keys], [], detail=self.out_keys)
        for k in self.out_keys:
            want(k)
        for node in reversed(self.graph.values):
            if node in self.static:
                continue
            own = Key(node, self.form(node))
            for key in list(wanted[node]):
                if key.repeat > 1:
                    source = Key(node, key.form)
                    found[key] = Stage(
                        "repeat", self.level_of(key), [self.resolved(source)], [key], before=key.form
                    )
                    want(source)
            for key in list(wanted[node]):
                if key.repeat == 1 and key != own:
                    kind = "spread" if len(key.form.axes) > len(own.form.axes) else "gather"
                    found[key] = Stage(kind, self.level_of(key), [self.resolved(own)], [key], before=own.form)
                    want(own)
            if isinstance(node, Input):  # in the input stream, whether anything reads it or not
                found[own] = Stage("input", 0, [], [own])
                continue
            if own not in wanted[node] and node not in members:
                continue
            assert isinstance(node, Value)
            placed = self.placements[node]
            if placed.kind != "pointwise":
                needs = self.keys(node)
                found[own] = Stage(
                    placed.kind, self.level[node], [self.resolved(k) for k in needs], [own],
                    before=needs[0].form, detail=placed,
                )  # fmt: skip
                for k in needs:
                    want(k)
                continue
            members.add(node)
            for key in self.keys(node):
                if self.inside(node, key):
                    members.add(key.node)  # type: ignore[arg-type]
                    group[root(node)] = root(key.node)
                else:
                    want(key)
        pipes: dict[Node, list[Value]] = defaultdict(list)
        for v in self.graph.values:
            if v in members:
                pipes[root(v)].append(v)  # type: ignore[arg-type]
        for values in pipes.values():
            stage = self._pipe(values, wanted)
            found |= dict.fromkeys(stage.gives, stage)
        stages = list(dict.fromkeys(found.values()))
        stages.sort(key=lambda s: (s.level, s.kind == "pipe", min(self.index[k.node] for k in s.gives)))
        return [*stages, last]

    def inside(self, node: Value, key: Key) -> bool:
        """Whether the operand `key` of a pointwise value is computed in the same pipeline."""
        return (
            self.placements[key.node].kind == "pointwise"
            and key == Key(key.node, self.form(key.node))
            and self.level[key.node] == self.level[node]
        )

    def _pipe(self, values: list[Value], wanted: Mapping[Node, list[Key]]) -> Stage:
        needs: dict[Key, None] = {}
        for v in values:
            needs |= {self.resolved(k): None for k in self.keys(v) if not self.inside(v, k)}
        gives = [own for v in values if (own := Key(v, self.form(v))) in wanted[v]]
        return Stage("pipe", self.level[values[0]], list(needs), gives, values)


def on_beat(op: Any, before: Form, after: Form) -> Any:
    """The op as it works on one beat of its operand."""
    if isinstance(op, ops.Reshape):
        return ops.Reshape(after.beat_shape)
    if isinstance(op, ops.Slice):
        inside = [a in before.axes for a in range(len(before.shape))]
        starts = tuple(0 if i else s for i, s in zip(inside, op.starts, strict=True))
        stops = tuple(None if i else s for i, s in zip(inside, op.stops, strict=True))
        return ops.Slice(starts, stops, op.steps)
    if isinstance(op, ops.Cast):
        arrays = (at_beat(p.array, before) for p in (op.frac, op.width, op.signed))
        frac, width, signed = (ops.wiring.IntArray(a) for a in arrays)
        return ops.Cast(frac, width, signed, op.rounding, op.overflow, op.n, op.source_width)
    return op


def at_beat(a: np.ndarray, form: Form) -> np.ndarray:
    """An array that broadcasts to form.shape and is even along the streamed axes, with length 1 there."""
    ahead = len(form.shape) - a.ndim
    return a[tuple(slice(0, 1) if k + ahead in form.axes else slice(None) for k in range(a.ndim))]


def ends(stages: Iterable[Stage]) -> dict[Key, Stage]:
    """The stage that gives each stream."""
    return {k: s for s in stages for k in s.gives}
