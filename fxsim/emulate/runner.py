"""Running a graph on the host: check the inputs, fold the NumPy table, give the batch back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.emulate.table import numpy_rules, prepare
from fxsim.graph import Graph, Input, Node, Value
from fxsim.integers import Array, exact


def run(graph: Graph, *x: Any, **named: Any) -> Any:
    """Real values in, real values out; see Graph.run."""
    values, single = _arrays(graph, x, named)
    raw = _encoded(graph, values)
    out = [
        affine.apply(r, node.type.frac, node.type.ndim)
        for r, node, affine in zip(_outputs(graph, raw), graph.outputs, graph.output_affines, strict=True)
    ]
    return _result(out, single)


def run_raw(graph: Graph, *raw: Any, **named: Any) -> Any:
    """Raw integers in, raw integers out; see Graph.run_raw."""
    values, single = _arrays(graph, raw, named)
    checked = [check_raw(v, node) for v, node in zip(values, graph.inputs, strict=True)]
    return _result(_outputs(graph, checked), single)


def codes(graph: Graph, *x: Any, **named: Any) -> dict[str, Array]:
    """Integer codes of every named tensor for real inputs; see Graph.codes."""
    values, _ = _arrays(graph, x, named)
    env = evaluate(graph, _encoded(graph, values))
    batch = len(values[0]) if values else 1
    out = {}
    for name, entry in graph.names.items():
        if entry.value is not None:
            a = np.broadcast_to(env[entry.value], (batch, *entry.value.type.shape))
            out[name] = a if entry.axes is None else a.transpose(0, *(i + 1 for i in entry.axes))
    return out


def evaluate(graph: Graph, raw: list[Array]) -> dict[Node, Array]:
    """Every value's raw integers (batch first; constants with a batch of one) from checked raw inputs."""

    def rule(node: Value, *operands: Array) -> Array:
        return numpy_rules.lookup(type(node.op))(None, node, *prepare(node, *operands))

    env: dict[Node, Array] = dict(zip(graph.inputs, raw, strict=True))
    for v in graph.values:
        if isinstance(v, Value):
            env[v] = rule(v, *(env[a] for a in v.args))
    return env


def _outputs(graph: Graph, raw: list[Array]) -> list[Array]:
    env = evaluate(graph, raw)
    batch = len(raw[0]) if raw else 1
    return [np.broadcast_to(env[o], (batch, *o.type.shape)) for o in graph.outputs]


def _encoded(graph: Graph, values: list[Array]) -> list[Array]:
    raw = [e.encode(v, n.name) for e, v, n in zip(graph.encoders, values, graph.inputs, strict=True)]
    return [check_raw(r, n) for r, n in zip(raw, graph.inputs, strict=True)]


def check_raw(raw: Array, node: Input) -> Array:
    """raw as exact integers of the input's set; TypeError or ValueError names the input and the first bad index."""
    try:
        a = exact(raw)
    except TypeError:
        raise TypeError(f"input {node.name!r} must be integers, not {np.asarray(raw).dtype}") from None
    bad = np.argwhere(~node.type.contains(a))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        lo, hi = int(node.type.lo[where[1:]]), int(node.type.hi[where[1:]])
        raise ValueError(f"input {node.name!r} must lie in raw {lo}..{hi}, not {a[where]} at index {where}")
    return a


def _arrays(graph: Graph, positional: tuple[Any, ...], named: dict[str, Any]) -> tuple[list[Array], bool]:
    """Inputs in order, each with a batch axis, and whether all came without one."""
    names = [n.name for n in graph.inputs]
    if len(positional) > len(names):
        raise TypeError(f"the graph has {len(names)} inputs {names}, but {len(positional)} were given")
    given = dict(zip(names, positional, strict=False))
    for k, v in named.items():
        if k not in names:
            raise TypeError(f"no input is named {k!r}; the inputs are {names}")
        if k in given:
            raise TypeError(f"input {k!r} was given twice")
        given[k] = v
    missing = [n for n in names if n not in given]
    if missing:
        raise TypeError(f"missing inputs {missing}; the inputs are {names}")
    arrays, singles = [], []
    for node in graph.inputs:
        a = np.asarray(given[node.name])
        shape = node.type.shape
        if a.shape == shape:
            a, single = a[None], True
        elif a.ndim == len(shape) + 1 and a.shape[1:] == shape:
            single = False
        else:
            raise ValueError(f"input {node.name!r} must have shape {('batch', *shape)} or {shape}, not {a.shape}")
        arrays.append(a)
        singles.append(single)
    if len({len(a) for a in arrays}) > 1 or len(set(singles)) > 1:
        raise ValueError(f"inputs must share one batch size, not {[a.shape for a in arrays]}")
    return arrays, all(singles) and bool(singles)


def _result(out: list[Array], single: bool) -> Any:
    out = [np.array(o[0] if single else o) for o in out]
    return out[0] if len(out) == 1 else tuple(out)
