"""Running a graph on the host: check the inputs, run the plan chunk by chunk, give the batch back."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fxsim.boundary import Affine, Encoder
from fxsim.emulate import carriers as c
from fxsim.emulate.feed import batched, check_raw, encoded_feed, raw_feed
from fxsim.emulate.plan import LEAST_LANES, Plan
from fxsim.emulate.planner import Planner
from fxsim.emulate.table import numpy_rules, prepare
from fxsim.graph import Graph, Node, Value
from fxsim.integers import Array

_plans: dict[int, tuple[weakref.ref[Graph], dict[tuple[int, ...], Plan]]] = {}


def run(graph: Graph, /, *x: Any, **named: Any) -> Any:
    """Real values in, real values out; see Graph.run."""
    values, single = batched(graph, x, named)
    drains = [_Reals(n, a) for n, a in zip(graph.outputs, graph.output_affines, strict=True)]
    _execute(graph, graph.outputs, values, graph.encoders, drains)
    return _result([d.result() for d in drains], single)


def run_raw(graph: Graph, /, *raw: Any, **named: Any) -> Any:
    """Raw integers in, raw integers out; see Graph.run_raw."""
    values, single = batched(graph, raw, named)
    drains = [_Codes(n) for n in graph.outputs]
    _execute(graph, graph.outputs, values, None, drains)
    return _result([d.result() for d in drains], single)


def codes(graph: Graph, /, *x: Any, **named: Any) -> dict[str, Array]:
    """Integer codes of every named tensor for real inputs; see Graph.codes."""
    values, _ = batched(graph, x, named)
    entries = {name: e for name, e in graph.names.items() if e.value is not None}
    nodes = list(dict.fromkeys(e.value for e in entries.values() if e.value is not None))
    drains = {n: _Codes(n) for n in nodes}
    _execute(graph, nodes, values, graph.encoders, list(drains.values()))
    out = {}
    for name, entry in entries.items():
        assert entry.value is not None
        a = drains[entry.value].result()
        out[name] = a if entry.axes is None else a.transpose(0, *(i + 1 for i in entry.axes))
    return out


def evaluate(graph: Graph, raw: list[Array]) -> dict[Node, Array]:
    """Every value's raw integers (batch first; constants with a batch of one) from checked raw inputs.

    One exact rule per value on int64 or Python integers, with no plan: what the plan is tested against.
    """

    def rule(node: Value, *operands: Array) -> Array:
        return np.asarray(numpy_rules.lookup(type(node.op))(None, node, *prepare(node, *operands)))

    env: dict[Node, Array] = dict(zip(graph.inputs, raw, strict=True))
    for v in graph.values:
        if isinstance(v, Value):
            env[v] = rule(v, *(env[a] for a in v.args))
    return env


def plan(graph: Graph, targets: Sequence[Node] | None = None) -> Plan:
    """The graph's plan for these values (its outputs by default), made once and kept while it lives."""
    targets = list(graph.outputs if targets is None else targets)
    key = id(graph)
    entry = _plans.get(key)
    if entry is None or entry[0]() is not graph:
        entry = (weakref.ref(graph, lambda _: _plans.pop(key, None)), {})
        _plans[key] = entry
    plans = entry[1]
    which = tuple(map(id, targets))
    if which not in plans:
        plans[which] = Planner(graph, targets).finish()
    return plans[which]


Take = Callable[[int, int], None]

# Scaling by 2**-frac stays far from float64's exponent limits.
_MOST_FRAC = 900


class _Codes:
    """Collects one node's raw integers: int64, or Python integers where its type is wide."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def begin(self, batch: int) -> None:
        """Allocate the result of a batch."""
        dtype = c.OBJ if c.is_wide(self.node.type) else c.I64
        self.out = np.empty((batch, self.node.type.size), dtype)

    def constant(self, raw: Array) -> None:
        """Every sample has these codes."""
        self.out[...] = raw.reshape(-1)

    def taker(self, rows: Array, point: Any) -> Take:
        """take(at, n): the first n lanes of rows, which hold raw * 2**-point, are samples at .. at + n."""
        out, unit = self.out, self._unit(point)

        def take(at: int, n: int) -> None:
            part = rows if n == rows.shape[1] else rows[:, :n]
            np.copyto(out[at : at + n].T, part if unit is None else part * unit, casting="unsafe")

        return take

    def _unit(self, point: Any) -> Array | None:
        """2**point as a column (None: all ones)."""
        if not np.any(point):
            return None
        return np.broadcast_to(c.power(point), self.node.type.shape).reshape(-1, 1)

    def result(self) -> Array:
        return self.out.reshape(len(self.out), *self.node.type.shape)


class _Reals(_Codes):
    """Collects one node's real values by the host's affine."""

    def __init__(self, node: Node, affine: Affine) -> None:
        super().__init__(node)
        self.affine = affine
        self.direct = (
            affine.is_identity and c.carrier(node.type) in c.FLOATS and abs(node.type.frac) <= _MOST_FRAC
        )

    def begin(self, batch: int) -> None:
        super().begin(batch)
        if self.direct:
            self.out = np.empty((batch, self.node.type.size), np.float64)

    def constant(self, raw: Array) -> None:
        super().constant(raw)
        if self.direct:
            self.out *= c.power(-self.node.type.frac)

    def taker(self, rows: Array, point: Any) -> Take:
        if not self.direct:
            return super().taker(rows, point)
        out, unit = self.out, self._unit(np.subtract(point, self.node.type.frac))
        if unit is not None and np.all(unit == unit.flat[0]):
            unit = unit.flat[0]

        def take(at: int, n: int) -> None:
            part = rows if n == rows.shape[1] else rows[:, :n]
            real = part.astype(np.float64)
            if unit is not None:
                real *= unit
            real += 0.0  # -0.0 becomes 0.0, as an integer code has it
            np.copyto(out[at : at + n].T, real)

        return take

    def result(self) -> Array:
        codes = super().result()
        return codes if self.direct else self.affine.apply(codes, self.node.type.frac, self.node.type.ndim)


def _execute(
    graph: Graph,
    targets: Sequence[Node],
    values: list[Array],
    encoders: Sequence[Encoder] | None,
    drains: Sequence[_Codes],
) -> None:
    """The targets' numbers for a batch, handed to the drains chunk by chunk."""
    batch = len(values[0]) if values else 1
    feeds = [
        raw_feed(v, n) if encoders is None else encoded_feed(v, n, encoders[i])
        for i, (v, n) in enumerate(zip(values, graph.inputs, strict=True))
    ]
    for d in drains:
        d.begin(batch)
    if not batch:
        return
    if any(v.type.size == 0 for v in graph.values):
        _unplanned(graph, targets, feeds, batch, drains)
        return
    todo = plan(graph, targets)
    lanes = min(todo.lanes, max(LEAST_LANES if batch > 1 else 1, 1 << (batch - 1).bit_length()))
    frame = todo.frame(lanes)
    inputs = [
        (feed, None if view is None else frame[view])
        for feed, (_, view) in zip(feeds, todo.inputs, strict=True)
    ]
    takes = []
    for d, node in zip(drains, targets, strict=True):
        where = todo.targets[node]
        if isinstance(where, np.ndarray):
            d.constant(where)
        else:
            view = where.span
            assert view is not None
            takes.append(d.taker(frame[view], where.point))
    for at in range(0, batch, lanes):
        n = min(lanes, batch - at)
        for feed, rows in inputs:
            feed(rows, at, n)
        # Ranges prove every number; vector code of a BLAS may raise the flag for lanes that it does not keep.
        with np.errstate(invalid="ignore"):
            for call in frame.calls:
                call()
        for take in takes:
            take(at, n)
    todo.release(frame)


def _unplanned(
    graph: Graph, targets: Sequence[Node], feeds: list[Any], batch: int, drains: Sequence[_Codes]
) -> None:
    """A graph with empty tensors, by the exact table."""
    raw = []
    for node, feed in zip(graph.inputs, feeds, strict=True):
        rows = np.empty((node.type.size, batch), c.carrier(node.type))
        feed(rows, 0, batch)
        dtype = c.OBJ if c.is_wide(node.type) else c.I64
        raw.append(rows.T.astype(dtype).reshape(batch, *node.type.shape))
    env = evaluate(graph, raw)
    for d, target in zip(drains, targets, strict=True):
        full = np.broadcast_to(env[target], (batch, *target.type.shape)).reshape(batch, -1)
        d.taker(full.T, 0)(0, batch)


def _result(out: list[Array], single: bool) -> Any:
    out = [np.array(o[0]) if single else o for o in out]
    return out[0] if len(out) == 1 else tuple(out)


__all__ = ["check_raw", "codes", "evaluate", "plan", "run", "run_raw"]
