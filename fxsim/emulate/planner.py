"""Planning: the values in order, each given a place and the steps that compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fxsim.emulate import carriers as c
from fxsim.emulate.plan import (
    CACHE_BYTES,
    FEW_LANES,
    LEAST_LANES,
    MOST_LANES,
    SPILL_BYTES,
    Bind,
    Buffer,
    Loc,
    Plan,
    Step,
    View,
)
from fxsim.emulate.table import apply
from fxsim.graph import Graph, Input, Node, Value
from fxsim.integers import Array
from fxsim.ops import Const

Rule = Callable[["Planner", Value], bool]


class Planner:
    """Walks the values that `targets` need, in order, and emits steps by the table of `kernels`."""

    def __init__(self, graph: Graph, targets: Sequence[Node]) -> None:
        self.graph = graph
        self.targets = list(dict.fromkeys(targets))
        self.steps: list[Step] = []
        self.locs: dict[Node, Loc] = {}
        self.constants: dict[Node, Array] = {}
        self.readers: dict[Node, list[Value]] = {}
        needed: set[Node] = set(self.targets)
        for v in reversed(graph.values):
            if v in needed and isinstance(v, Value):
                needed.update(v.args)
        self.values = [v for v in graph.values if v in needed]
        for v in self.values:
            if isinstance(v, Value):
                if all(a in self.constants for a in v.args):
                    raw = (
                        v.op.raw.array
                        if isinstance(v.op, Const)
                        else apply(v, *(self.constants[a][None] for a in v.args))[0]
                    )
                    self.constants[v] = np.asarray(raw).reshape(v.type.shape)
                for a in v.args:
                    self.readers.setdefault(a, []).append(v)
        self.deferred: set[Node] = set()

    # What rules ask for

    def only_reader(self, v: Node) -> Value | None:
        """The one value that reads v, if v is no target."""
        r = self.readers.get(v, [])
        return r[0] if len(r) == 1 and v not in self.targets else None

    def buffer(self, rows: int, dtype: np.dtype[Any]) -> View:
        """A new buffer, as a view of all its rows."""
        return View(Buffer(rows, dtype), 0, rows)

    def emit(self, bind: Bind, *views: View) -> None:
        for v in views:
            v.buffer.first = min(v.buffer.first, len(self.steps))
            v.buffer.last = max(v.buffer.last, len(self.steps))
        self.steps.append(Step(bind, views))

    def put(self, v: Node, loc: Loc) -> None:
        """v lives at loc."""
        loc.buffer.readers += len(self.readers.get(v, ())) + (v in self.targets)
        self.locs[v] = loc

    def done(self, *nodes: Node) -> None:
        """One read of each node has been planned."""
        for n in nodes:
            if n in self.locs:
                self.locs[n].buffer.readers -= 1

    def store(self, v: Node, view: View, point: Array | int = 0) -> None:
        """v lives in logical order in a view."""
        self.put(v, Loc(view.buffer, np.arange(view.start, view.stop), point))

    def flat(self, loc: Loc, dtype: np.dtype[Any] | None = None, index: Array | None = None) -> View:
        """The rows `index` of loc (all, by default) as a contiguous view of `dtype`; a copy where need be."""
        loc = loc if index is None else Loc(loc.buffer, loc.rows[index.reshape(-1)])
        dtype = dtype or loc.dtype
        view = loc.span
        if view is not None and loc.dtype == dtype:
            return view
        if view is None:
            rows = loc.rows.astype(np.intp)
            view = self.buffer(len(rows), loc.dtype)
            whole = View(loc.buffer, 0, loc.buffer.rows)
            self.emit(lambda a, o: [partial(np.take, a, rows, axis=0, out=o, mode="clip")], whole, view)
        if loc.dtype != dtype:
            new = self.buffer(view.stop - view.start, dtype)
            self.emit(lambda a, o: [partial(np.copyto, o, a, casting="unsafe")], view, new)
            view = new
        return view

    def scaled(self, view: View, factor: Any, own: bool) -> View:
        """The view times a power of two (scalar or column); in place if it is ours to change."""
        out = view if own else self.buffer(view.stop - view.start, view.dtype)
        if own:
            self.emit(lambda a: [partial(np.multiply, a, factor, out=a)], view)
        else:
            self.emit(lambda a, o: [partial(np.multiply, a, factor, out=o)], view, out)
        return out

    def read(self, node: Node, dtype: np.dtype[Any], point: Array | int = 0) -> View:
        """A varying node in logical order, in `dtype`, at `point`."""
        loc = self.locs[node]
        view = self.flat(loc, None if dtype in (c.I64, c.OBJ) and loc.dtype in c.FLOATS else dtype)
        move = c.simplify(np.subtract(loc.point, point))
        if np.any(move):
            factor = c.column(c.power(np.broadcast_to(move, node.type.shape)), None, view.dtype)
            view = self.scaled(view, factor, view.buffer is not loc.buffer)
        return self.flat(Loc(view.buffer, np.arange(view.start, view.stop)), dtype)

    def dying(self, node: Node) -> bool:
        """Is nothing left to read in node's buffer (after `done`)?"""
        return self.locs[node].buffer.readers == 0

    # The whole

    def finish(self) -> Plan:
        from fxsim.emulate.kernels import fuse, planned

        fuse(self)
        inputs: list[tuple[Input, View | None]] = []
        for node in self.graph.inputs:
            if node in self.readers or node in self.targets:
                view = self.buffer(node.type.size, c.carrier(node.type))
                # Never overwritten: lanes beyond a short batch keep the legal codes of an earlier one.
                view.buffer.first, view.buffer.last, view.buffer.readers = -1, 1 << 60, 1
                self.store(node, view)
                inputs.append((node, view))
            else:
                inputs.append((node, None))
        for v in self.values:
            if isinstance(v, Value) and v not in self.constants and v not in self.deferred:
                planned(self, v)
        targets: dict[Node, Loc | Array] = {}
        for t in self.targets:
            if t in self.constants:
                targets[t] = self.constants[t]
            else:
                view = self.flat(self.locs[t])
                view.buffer.last = 1 << 60
                targets[t] = Loc(view.buffer, np.arange(view.start, view.stop), self.locs[t].point)
        plan = Plan(inputs, self.steps, targets, LEAST_LANES)
        self._assign(plan)
        size = max(plan.bytes_per_sample, 1)
        lanes = max(CACHE_BYTES // size, min(SPILL_BYTES // size, FEW_LANES), 1)
        plan.lanes = min(max(1 << (lanes.bit_length() - 1), LEAST_LANES), MOST_LANES)
        return plan

    def _assign(self, plan: Plan) -> None:
        """Buffers whose lives do not overlap share memory if rows, ones and dtype agree."""
        buffers = {v.buffer: None for s in plan.steps for v in s.views}
        buffers |= {v.buffer: None for _, v in plan.inputs if v is not None}
        free: dict[tuple[int, Any, int], list[tuple[int, int]]] = {}
        for b in sorted(buffers, key=lambda b: b.first):
            pool = free.setdefault((b.rows, b.dtype, b.ones), [])
            match = next((e for e in pool if e[0] < b.first and b.first >= 0), None)
            if match is None:
                plan.shapes.append(b)
                place = len(plan.shapes) - 1
            else:
                pool.remove(match)
                place = match[1]
            plan.buffers[b] = place
            pool.append((b.last, place))
