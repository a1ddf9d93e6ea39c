"""The planner's table: how each op runs on batch-last float carriers, or else by its exact NumPy rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import axes, dense, lookups, lossy, terms
from fxsim.emulate import carriers as c
from fxsim.emulate.elementwise import compare, elementwise, repoint, select
from fxsim.emulate.plan import Call
from fxsim.emulate.planner import Planner, Rule
from fxsim.emulate.table import apply
from fxsim.graph import Value
from fxsim.integers import Array


def planned(p: Planner, v: Value) -> None:
    """Emit the steps of one value: its fast rule where the ranges prove it exact, else the table's own."""
    rule = RULES.get(type(v.op))
    if rule is None or not rule(p, v):
        exact_rule(p, v)


def fuse(p: Planner) -> None:
    """Defer what its only reader computes along: a product before its bias, a clamp before its cast, terms
    before their sum."""
    for v in reversed(p.values):
        if isinstance(v, Value):
            terms.defer(p, v)
        if (
            isinstance(v, Value)
            and v not in p.constants
            and (dense.joins_bias(p, v) or lossy.joins_cast(p, v))
        ):
            p.deferred.add(v)


def exact_rule(p: Planner, v: Value) -> None:
    """The value by the exact table, on int64 or Python integers with the batch first."""
    views = [p.read(a, c.OBJ if c.is_wide(a.type) else c.I64) for a in v.args if a not in p.constants]
    fixed = {i: p.constants[a][None] for i, a in enumerate(v.args) if a in p.constants}
    out = p.buffer(v.type.size, c.carrier(v.type))
    p.done(*v.args)

    def bind(*arrays: Array) -> list[Call]:
        o = arrays[-1].reshape(*v.type.shape, -1)
        given = iter(arrays[:-1])
        operands = [
            fixed[i] if i in fixed else np.moveaxis(next(given).reshape(*a.type.shape, o.shape[-1]), -1, 0)
            for i, a in enumerate(v.args)
        ]

        def call() -> None:
            np.copyto(o, np.moveaxis(apply(v, *operands), 0, -1), casting="unsafe")

        return [call]

    p.emit(bind, *views, out)
    p.store(v, out)


RULES: dict[type[Any], Rule] = {
    ops.Add: lambda p, v: dense.add(p, v) or elementwise(np.add)(p, v),
    ops.Sub: lambda p, v: dense.add(p, v) or elementwise(np.subtract)(p, v),
    ops.Mul: elementwise(np.multiply, product=True),
    ops.Neg: elementwise(np.negative),
    ops.Min: elementwise(np.minimum),
    ops.Max: elementwise(np.maximum),
    ops.Compare: compare,
    ops.Select: select,
    ops.Shift: repoint,
    ops.Scale: repoint,
    ops.MatMul: dense.matmul,
    ops.Sum: lambda p, v: terms.total(p, v) or axes.total(p, v),
    ops.ReduceMin: axes.reduce(np.minimum),
    ops.ReduceMax: axes.reduce(np.maximum),
    ops.ArgMax: axes.argmax,
    ops.Table: lookups.table,
    ops.Threshold: lookups.threshold,
    ops.Cast: lossy.cast,
    ops.Accumulate: lossy.accumulate,
    ops.Concat: axes.concat,
    **{op: axes.wiring for op in (ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)},
}
