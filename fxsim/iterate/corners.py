"""Corners: starts x0 <= T(x0) or x0 >= T(x0), from which an order-preserving map only rises or only falls."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fxsim.formats import Format, Overflow
from fxsim.graph import Node, Value
from fxsim.integers import Array, to_object
from fxsim.iterate.slopes.step import state_targets
from fxsim.types import TensorType

if TYPE_CHECKING:
    from fxsim.iterate.unit import Unit


def corner(unit: Unit) -> str:
    """ "below" or "above" where the unit's own start is so of its saturated image, for all parameters; "below
    or above" where it is one in some blocks of state tensors that do not read each other, and the other in
    others; else "". Proven by typing the map with the start in place of the states."""
    graph = unit.map
    env: dict[Node, TensorType] = {n: n.type for n in graph.inputs}
    for node, start in zip(graph.inputs, unit.start, strict=False):
        env[node] = TensorType.constant(np.broadcast_to(start.array, node.type.shape), node.type.frac)
    for v in graph.values[len(graph.inputs) :]:
        assert isinstance(v, Value)
        env[v] = v.op.infer(*(env[a] for a in v.args))
    below, above = [], []
    for out, node, fmt in zip(state_targets(unit), graph.inputs, unit.formats, strict=False):
        x, t = to_object(env[node].lo), env[out]
        low, high = _saturated(t.lo, t.frac, fmt), _saturated(t.hi, t.frac, fmt)
        below.append(bool(np.all(x <= low)))
        above.append(bool(np.all(x >= high)))
    if all(below):
        return "below"
    if all(above):
        return "above"
    whole = [all(side[k] for k in block) for block in blocks(unit) for side in (below, above)]
    return "below or above" if all(a or b for a, b in zip(whole[::2], whole[1::2], strict=True)) else ""


def blocks(unit: Unit) -> list[set[int]]:
    """The numbers of the state tensors, in groups that read no state of another group."""
    graph, n = unit.map, len(unit.state)
    reads: dict[Node, set[int]] = {node: {k} if k < n else set() for k, node in enumerate(graph.inputs)}
    for v in graph.values[len(graph.inputs) :]:
        assert isinstance(v, Value)
        reads[v] = set().union(*(reads[a] for a in v.args))
    found: list[set[int]] = []
    for k, out in enumerate(state_targets(unit)):
        block = {k} | reads[out]
        joined = [b for b in found if b & block]
        found = [b for b in found if not b & block] + [block.union(*joined)]
    return found


def check_start(unit: Unit, states: Sequence[Array], parameters: Sequence[Array]) -> None:
    """Nothing if every row of raw states is a corner for its raw parameters (batch axes first), else
    ValueError naming the first row that is not. Blocks of states are corners each by itself.

    What a unit needs whose certificate says `needs_start` when a problem brings a start of its own.
    """
    found = unit.map.run_raw(*states, *parameters)
    images = found if isinstance(found, tuple) else (found,)
    rows = len(states[0])
    below, above = [], []
    for x, image, out, fmt in zip(states, images, state_targets(unit), unit.formats, strict=False):
        x, t = to_object(x), _saturated(image, out.type.frac, fmt)
        below.append(np.all((x <= t).reshape(rows, -1).astype(bool), axis=1))
        above.append(np.all((x >= t).reshape(rows, -1).astype(bool), axis=1))
    good = np.ones(rows, bool)
    for block in blocks(unit):
        good &= np.all([below[k] for k in block], axis=0) | np.all([above[k] for k in block], axis=0)
    bad = np.flatnonzero(~good)
    if bad.size:
        raise ValueError(
            f"start of unit {unit.name!r} must be below or above its image in all components, which alone "
            f"brings it to rest (T5), but row {int(bad[0])} is not"
        )


def _saturated(raw: Array, frac: int, fmt: Format) -> Array:
    """Values at `frac` as Fractions of the format's LSB, clipped to its codes."""
    scale = Fraction(2) ** (fmt.frac - frac)
    least = fmt.lo + 1 if fmt.overflow is Overflow.SAT_SYM and fmt.signed else fmt.lo
    exact = to_object(raw) * scale
    return np.asarray(np.minimum(np.maximum(exact, least), fmt.hi), object)
