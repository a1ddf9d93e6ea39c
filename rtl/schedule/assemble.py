"""From stages to a network of parts: every stream finds its way, and every beat its type."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from fxsim.graph import Graph
from fxsim.types import TensorType
from rtl.core import Core
from rtl.lower.names import OWN, identifier
from rtl.schedule.beats import beat_type, order_of, reshaped_type
from rtl.schedule.fold import Fold, engine_of
from rtl.schedule.forms import Carried, Form
from rtl.schedule.plan import Key, Plan, Stage
from rtl.schedule.pooled import Pooled
from rtl.schedule.segment import segment, side_by_side
from rtl.schedule.windows import lines_of
from rtl.stream.accumulate import Accumulate
from rtl.stream.fifo import Fifo
from rtl.stream.folded import Engine
from rtl.stream.fork import Fork
from rtl.stream.gather import Gather
from rtl.stream.join import Join
from rtl.stream.network import Network
from rtl.stream.part import Part
from rtl.stream.pipe import Pipe
from rtl.stream.repeat import Repeat
from rtl.stream.rom import Rom
from rtl.stream.spread import Spread
from rtl.stream.take import Take
from rtl.stream.trim import Trim

End = tuple[Part | None, str, Sequence[Key]]  # who offers a stream, under which name, and what is in it
HOLDING = 2
"""Beats of a FIFO that cuts the path of `ready`, and of one whose depth is yet to be found."""


class Assembly:
    """The network of a plan.

    types   of the beats of every stream
    waits   names of the FIFOs on the ways of forks, whose depths the cycle model finds
    cores   of the pipes, by name: to be used again where only depths change
    """

    def __init__(
        self,
        plan: Plan,
        top: str,
        options: Mapping[str, Any],
        depths: Mapping[str, int],
        cores: Mapping[str, Core] | None = None,
    ) -> None:
        self.plan, self.top, self.options, self.depths = plan, top, options, depths
        self.cores: dict[str, Core] = dict(cores or {})
        self.network = Network(top)
        self.types: dict[Key, TensorType] = {}
        self.waits: list[str] = []
        self.block_of: dict[str, str] = {}
        self.taken = dict.fromkeys(OWN, 0)
        self.engines: list[tuple[str, Fold, Engine]] = []
        inputs = [s for s in plan.stages if s.kind == "input"]
        self.entry = Stage("input", 0, [], [k for s in inputs for k in s.gives])
        self.maker = {k: s for s in plan.stages for k in s.gives} | dict.fromkeys(
            self.entry.gives, self.entry
        )
        self.wants = {s: self._grouped(s) for s in plan.stages if s.kind != "input"}
        users: dict[Stage, list[tuple[Stage, list[Key]]]] = defaultdict(list)
        for stage, groups in self.wants.items():
            for maker, keys in groups.items():
                users[maker].append((stage, keys))
        self.users = users
        self.offers: dict[tuple[Stage, Stage], End] = {}  # (consumer, maker)
        for key in self.entry.gives:
            self.types[key] = key.form.joined(key.node.type)
        self.entry_types = [self.types[k] for k in self.entry.gives]
        self._offer(self.entry, None, "i", "input")
        for stage in plan.stages:
            if stage.kind not in ("input", "output"):
                self._build(stage)
        self._finish(plan.stages[-1])
        self.network.check()

    def bits(self, keys: Sequence[Key]) -> int:
        return sum(self.types[k].size * self.types[k].max_width for k in keys)

    def name(self, text: str) -> str:
        """An identifier that no part has yet."""
        base = name = identifier(text.lower())
        while name in self.taken:
            self.taken[base] += 1
            name = f"{base}_{self.taken[base]}n"
        self.taken[name] = 0
        return name

    def add(self, part: Any, block: str) -> Any:
        self.block_of[part.name] = block
        return self.network.add(part)

    def _grouped(self, stage: Stage) -> dict[Stage, list[Key]]:
        groups: dict[Stage, list[Key]] = {}
        for key in dict.fromkeys(stage.needs):
            groups.setdefault(self.maker[key], []).append(key)
        if stage.kind != "output":
            stage.needs = [k for keys in groups.values() for k in keys]
        return groups

    # ---- streams --------------------------------------------------------------------------------------

    def connect(self, end: End, part: Part | None, port: str) -> None:
        source, name, keys = end
        carried = None
        if len(keys) == 1 and keys[0].repeat == 1:
            (key,) = keys
            carried = Carried(key.node, key.form, self.types[key])
        self.network.connect(source, name, part, port, carried)

    def through(self, end: End, part: Any, keys: Sequence[Key] | None = None, block: str = "") -> End:
        """The stream behind a part of one input and one output."""
        self.connect(end, self.add(part, block), "i")
        return part, "o", end[2] if keys is None else keys

    def _offer(self, stage: Stage, part: Part | None, port: str, block: str) -> None:
        """The output of a stage goes to all who want it, each with the values that it wants."""
        users, gives = self.users[stage], stage.gives
        end: End = (part, port, gives)
        label = part.name if part is not None else "input"
        if len(users) > 1:
            fork = self.add(Fork(self.name(f"{label}_fork"), self.bits(gives), len(users)), block)
            self.connect(end, fork, "i")
        for way, (user, keys) in enumerate(users):
            mine: End = (fork, f"o{way}", gives) if len(users) > 1 else end
            if list(keys) != list(gives):
                starts: dict[Key, int] = {}
                at = 0
                for key in gives:
                    starts[key] = at
                    at += self.bits([key])
                cuts = tuple((starts[k], starts[k] + self.bits([k])) for k in keys)
                mine = self.through(mine, Take(self.name(f"{label}_take"), at, cuts), keys, block)
            if len(users) > 1:
                name = self.name(f"{label}_wait")
                self.waits.append(name)
                fifo = Fifo(name, self.bits(mine[2]), self.depths.get(name, HOLDING))
                mine = self.through(mine, fifo, block=block)
            self.offers[user, stage] = mine

    def _taken(self, stage: Stage, block: str) -> End:
        """All that a stage needs, side by side in one stream."""
        ends = [self.offers[stage, maker] for maker in self.wants[stage]]
        if len(ends) == 1:
            return ends[0]
        widths = tuple(self.bits(e[2]) for e in ends)
        join = self.add(Join(self.name(f"{block}_join"), widths), block)
        for k, end in enumerate(ends):
            self.connect(end, join, f"i{k}")
        return join, "o", [k for e in ends for k in e[2]]

    # ---- stages ---------------------------------------------------------------------------------------

    def core(self, graph: Graph, name: str) -> Core:
        """The hardware of a pipe."""
        return Core(graph, name=name, **self.options)

    def _build(self, stage: Stage) -> None:
        key = stage.gives[0]
        block = self.plan.name(stage.members[0] if stage.members else key.node)
        end = self._taken(stage, block)
        if stage.kind == "pipe":
            end = self._pipe(stage, end, block)
        else:
            if stage.kind in ("window", "fold"):
                name = self.name(f"{block}_skid")
                fifo = Fifo(name, self.bits(end[2]), self.depths.get(name, HOLDING))
                end = self.through(end, fifo, block=block)
            (need,) = end[2]
            assert stage.before is not None
            before = reshaped_type(self.types[need], stage.before.beat_shape)
            self.types[key] = beat_type(stage, key, before)
            end = getattr(self, f"_{stage.kind}")(stage, before, key, end, block)
        self._offer(stage, end[0], end[1], block)

    def _pipe(self, stage: Stage, end: End, block: str) -> End:
        name = self.name(block)
        made = segment(self.plan, stage, self.types, name)
        keys = list(end[2])
        bits = self.bits(keys)
        for (inner, _), group in groupby(made.varying, lambda v: (v.inner, len(v.words))):
            width, words = side_by_side(list(group))
            rom = Rom(self.name(f"{name}_rom"), bits, width, words, inner)
            end, bits = self.through(end, rom, keys=[], block=block), bits + width
        if name not in self.cores:
            self.cores[name] = self.core(made.graph, identifier(f"{self.top}_{name}"))
        core = self.cores[name]
        inside = ", ".join(dict.fromkeys(self.plan.name(v) for v in stage.members))
        for key, node in zip(stage.gives, made.graph.outputs, strict=True):
            self.types[key] = node.type
        return self.through(end, Pipe(name, core, inside), stage.gives, block)

    def _window(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        lines = lines_of(self.name(f"{block}_lines"), key.node, stage.before, before, self.types[key])
        return self.through(end, lines, [key], block)

    def _reduce(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        what = stage.detail.detail
        kind, count = (what.kind, what.form.beats) if isinstance(what, Pooled) else what
        bits = self.types[key].max_width
        wide = bits if kind == "sum" else max(bits, before.max_width)
        part = Accumulate(
            self.name(f"{block}_{kind}"), kind, before.size, before.max_width, wide, before.bounds[0] < 0,
            count,
        )  # fmt: skip
        end = self.through(end, part, [key] if wide == bits else [], block)
        if wide > bits:  # the greatest of all is proven to need fewer bits than each
            cuts = tuple((at, at + bits) for at in range(0, before.size * wide, wide))
            end = self.through(end, Take(self.name(f"{block}_bits"), before.size * wide, cuts), [key], block)
        return end

    def _gather(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        count, order = order_of(stage.before, key.form)
        part = Gather(self.name(f"{block}_gather"), before.size * before.max_width, count, before.size, order)
        return self.through(end, part, [key], block)

    def _spread(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        count, order = order_of(key.form, stage.before)
        t = self.types[key]
        fill = int(t.lo.ravel()[0]) & (1 << t.max_width) - 1
        part = Spread(self.name(f"{block}_spread"), t.size * t.max_width, count, t.size, order, fill)
        return self.through(end, part, [key], block)

    def _repeat(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        part = Repeat(self.name(f"{block}_repeat"), before.size * before.max_width, key.repeat)
        return self.through(end, part, [key], block)

    def _fold(self, stage: Stage, before: TensorType, key: Key, end: End, block: str) -> End:
        fold, after = stage.detail.detail, self.types[key]
        assert isinstance(fold, Fold)
        engine = engine_of(
            self.name(f"{block}_pe"), self.top, fold, before, after,
            self.plan.options, self.options,
        )  # fmt: skip
        self.engines.append((block, fold, engine))
        for part in engine.parts[:-1]:
            end = self.through(end, part, [], block)
        return self.through(end, engine.parts[-1], [key], block)

    def _finish(self, stage: Stage) -> None:
        end = self._taken(stage, "output")
        keys: list[Key] = list(stage.needs)
        if list(end[2]) != keys:  # an output twice, or in another order
            starts, at = {}, 0
            for k in end[2]:
                starts[k] = at
                at += self.bits([k])
            cuts = tuple((starts[k], starts[k] + self.bits([k])) for k in keys)
            end = self.through(end, Take(self.name("output_take"), at, cuts), keys)
        forms = [k.form for k in stage.detail]
        below, whole = 0, self.bits(keys)
        for key, form in zip(keys, forms, strict=True):
            bits, axis = self.bits([key]), form.axes[-1] if form.axes else 0
            if form.ragged:
                outer, inner = math.prod(form.beat_shape[:axis]), math.prod(form.beat_shape[axis + 1 :])
                surplus = form.per_row * form.lanes - form.sizes[-1]
                trim = Trim(
                    self.name("output_trim"), self.types[key].max_width, form.lanes, surplus, form.per_row,
                    outer, inner, below, whole - below - bits,
                )  # fmt: skip
                end = self.through(end, trim)
            below += bits
        if all(isinstance(p, Take) for p in self.network.parts):  # wires alone
            end = self.through(end, Fifo(self.name("output_wait"), self.bits(keys), HOLDING))
        self.connect(end, None, "o")
        self.output_types = [
            TensorType(
                k.form.beat_shape, t.frac, *(a.reshape(k.form.beat_shape) for a in (t.lo, t.hi, t.stride))
            )
            for k, t in zip(stage.detail, (self.types[n] for n in stage.needs), strict=True)
        ]
        self.output_forms: tuple[Form, ...] = tuple(forms)
