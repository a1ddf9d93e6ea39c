"""The driver: many problems at once, each row until its own stop, by the graph that hardware is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fxsim.emulate.feed import check_raw
from fxsim.graph import Input
from fxsim.integers import Array, exact
from fxsim.iterate.solution import Solution

FEW = 64  # problems that are faster one by one

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit


def solve(
    unit: Unit, start: Any, parameters: Mapping[str, Any], *, certified: bool = True, history: bool = False
) -> Solution:
    """As `solve_raw`, for real values, which each input's format rounds and saturates as its own.

    Raises ValueError for NaN and infinity.
    """
    loop = unit.loop
    encoders = dict(zip((n.name for n in loop.graph.inputs), loop.graph.encoders, strict=True))
    held = {k: encoders[k].encode(np.asarray(v), k) if k in encoders else v for k, v in parameters.items()}
    if start is not None:
        given = start if isinstance(start, Mapping) else {unit.state[0]: start}
        start = {k: encoders[k].encode(np.asarray(v), k) if k in encoders else v for k, v in given.items()}
    return solve_raw(unit, start, held, certified=certified, history=history)


def solve_raw(
    unit: Unit, start: Any, parameters: Mapping[str, Any], *, certified: bool = True, history: bool = False
) -> Solution:
    """Solves each row from its start.

    start       raw states: of shape (rows, *shape) or *shape, by name for several state tensors; None: the
                unit's own
    parameters  raw, by name, (rows, *shape) or *shape for all rows
    certified   refuse a unit without a proof that it stops, and starts that its proof does not hold for;
                False lets it run to its cap
    history     keep the states of every sweep

    Without any leading axis the answer has none. Raises TypeError for a missing or unknown parameter,
    ValueError for values out of range.
    """
    if certified:
        from fxsim.iterate.certify import require, require_start

        require(unit)
    states, fixed, batch, single = prepared(unit, start, parameters)
    if certified and start is not None and batch:
        require_start(unit, states, fixed)
    found = None if history or batch > FEW else _run_single(unit, states, fixed, batch)
    if found is None:
        found = _run(unit, states, fixed, batch, history)
    return only(found) if single else found


def prepared(
    unit: Unit, start: Any, parameters: Mapping[str, Any]
) -> tuple[list[Array], list[Array], int, bool]:
    """(start states, parameters, rows, whether they came without an axis for rows), checked and spread."""
    unknown = sorted(set(parameters) - set(unit.parameters))
    missing = [p for p in unit.parameters if p not in parameters]
    if unknown or missing:
        raise TypeError(
            f"parameters must be {list(unit.parameters)}"
            + (f"; {missing} missing" if missing else "")
            + (f"; {unknown} unknown" if unknown else "")
        )
    loop = unit.loop
    nodes = loop.graph.inputs
    own = dict(zip(unit.state, (i.array for i in unit.start), strict=True))
    if start is not None:
        given = start if isinstance(start, Mapping) else {unit.state[0]: start}
        stray = sorted(set(given) - set(own))
        if stray or (not isinstance(start, Mapping) and len(own) > 1):
            raise TypeError(f"start must map names among {list(own)} to arrays, not {stray or type(start)}")
        own.update({k: np.asarray(v) for k, v in given.items()})
    at = {n.name: n for n in nodes}
    raw = [_integers(own[s], at[s]) for s in unit.state]
    held = [_integers(parameters[p], at[p]) for p in unit.parameters]
    places = [at[s] for s in unit.state] + [at[p] for p in unit.parameters]
    rows = {a.shape[0] for a, n in zip(raw + held, places, strict=True) if a.ndim > n.type.ndim}
    if len(rows - {1}) > 1:
        raise ValueError(f"start and parameters must share their rows, not {sorted(rows)}")
    batch = max(rows, default=1) if 0 not in rows else 0
    states = [_spread(a, n, batch) for a, n in zip(raw, places, strict=False)]
    fixed = [_spread(a, n, batch) for a, n in zip(held, places[len(raw) :], strict=True)]
    return states, fixed, batch, not rows


def only(found: Solution) -> Solution:
    """The first row, without the axis of rows."""
    return Solution(
        found.names, tuple(r[0] for r in found.raws), found.fracs, found.steps[0], found.codes[0],
        None if found.histories is None else tuple(tuple(s[0] for s in h) for h in found.histories),
    )  # fmt: skip


def _run_single(unit: Unit, states: list[Array], fixed: list[Array], batch: int) -> Solution | None:
    """Row by row in compiled code; None without Numba, or where the unit needs what that does not have."""
    made = unit.single
    if made is None:
        return None
    last = [np.array(s) for s in states]
    steps, codes = np.zeros(batch, np.int64), np.zeros(batch, np.int64)
    for k in range(batch):
        found, steps[k], codes[k] = made.solve([s[k] for s in states], [f[k] for f in fixed])
        for whole, part in zip(last, found, strict=True):
            whole[k] = part
    return Solution(unit.state, tuple(last), tuple(f.frac for f in unit.formats), steps, codes)


def _run(unit: Unit, states: list[Array], fixed: list[Array], batch: int, history: bool) -> Solution:
    loop = unit.loop
    last = [np.array(s) for s in states]
    steps, codes = np.zeros(batch, np.int64), np.zeros(batch, np.int64)
    rows = np.arange(batch)
    zero = [np.zeros((batch, *n.type.shape), np.int64) for n in loop.graph.inputs[loop.states :]]
    kept = [*states]
    for k, m in enumerate(loop.memory):
        kept.append(zero[k] if m.source is None else states[m.source])
    kept.append(np.zeros(batch, np.int64))
    seen: list[list[Array]] = [[np.array(s)] for s in last]
    while len(rows):
        result = loop.graph.run_raw(*kept, *fixed)
        assert isinstance(result, tuple)
        *kept, status = result
        over = status != 0
        if history or np.any(over):
            ended = slice(None) if history else over
            for whole, part in zip(last, kept, strict=False):
                whole[rows[ended]] = part[ended]
        if history:
            for s, whole in zip(seen, last, strict=True):
                s.append(np.array(whole))
        if np.any(over):
            steps[rows[over]], codes[rows[over]] = kept[loop.kept - 1][over], status[over]
            rows = rows[~over]
            kept, fixed = [a[~over] for a in kept], [a[~over] for a in fixed]
    fracs = tuple(f.frac for f in unit.formats)
    histories = tuple(tuple(s) for s in seen) if history else None
    return Solution(unit.state, tuple(last), fracs, steps, codes, histories)


def _integers(a: Any, node: Input) -> Array:
    array, shape = exact(a), node.type.shape
    if not array.ndim and shape:
        return np.broadcast_to(array, shape)
    if array.ndim not in (len(shape), len(shape) + 1) or array.shape[array.ndim - len(shape) :] != shape:
        raise ValueError(f"{node.name!r} must have shape {shape} or {('rows', *shape)}, not {array.shape}")
    return array


def _spread(a: Array, node: Input, batch: int) -> Array:
    full = np.broadcast_to(a, (batch, *node.type.shape))
    return check_raw(full, node)
