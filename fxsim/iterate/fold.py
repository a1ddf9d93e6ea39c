"""The loop of a folded schedule clock by clock: one group of components per clock, on shared logic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxsim.boundary import FormatEncoder
from fxsim.formats import UQ
from fxsim.integers import Array, exact
from fxsim.iterate.loop import STATUS_BITS, Loop, Memory, Plan, build_loop, map_graph
from fxsim.iterate.phased import Phase, Reader
from fxsim.iterate.stops import CAP, CYCLE, FIXED, After, Cycle, Delta, Stop, Unchanged
from fxsim.iterate.updates import At
from fxsim.trace import Builder, Tensor, select
from fxsim.types import TensorType


def fold(plan: Plan, name: str) -> Loop:
    """The loop with one clock per group: states, steps and status after each sweep are those of `build_loop`.

    One state tensor of n components, groups of at most k: the k processing elements evaluate the components
    of the present group (`fxsim.iterate.phased`). A Jacobi schedule collects the new state in the memory
    `next`; others write in place. The memory `phase` counts the groups, `quiet` holds per stop whether the
    groups so far did not contradict it; steps + 1 and a status that is not 0 come with the last group only. A
    residual is evaluated whole, on logic of its own. NotImplementedError where an op of the step cannot be
    shared.
    """
    (state,) = plan.state
    fmt, shape = state[1], state[2]
    n = int(np.prod(shape, dtype=np.int64))
    groups = plan.schedule.of(n)
    count = len(groups)
    if count == 1:
        return build_loop(plan, name)
    at = padded(groups)
    builder = Builder(name)
    x = builder.input(state[0], TensorType.of(fmt, shape), FormatEncoder(fmt))
    memory: list[Memory] = []

    def remember(what: str, type_: TensorType, source: int | None) -> Tensor:
        memory.append(Memory(what, source))
        return builder.input(what, type_, FormatEncoder(type_.lane()))

    anchors = [remember(f"{state[0]}_anchor", x.type, 0)] if plan.update.anchored else []
    cycles = any(isinstance(s, Cycle) for s in plan.stops)
    checkpoints = [remember(f"{state[0]}_checkpoint", x.type, 0)] if cycles else []
    following = None if plan.schedule.fresh else remember(f"{state[0]}_next", x.type, None)
    bit = TensorType.of(UQ(1, 0))
    watched: list[Stop] = [s for s in plan.stops if isinstance(s, (Unchanged, Delta))]
    if cycles and Unchanged() not in watched:
        watched.append(Unchanged())
    quiet = [remember(f"quiet{k}", bit, None) for k in range(len(watched))]
    turns = TensorType((), 0, exact(0), exact(count - 1))
    phase = Phase(remember("phase", turns, None), count)
    counter = UQ(plan.cap.bit_length(), 0)
    steps = builder.input("steps", TensorType.of(counter), FormatEncoder(counter))
    parameters = [builder.input(p, t, FormatEncoder(t.lane())) for p, t in plan.parameters]

    first, last = phase.is_(0), phase.is_(count - 1)
    part, own = advanced(plan, name, phase, at, x, anchors, steps, parameters)
    seen = After([own], [part], [], steps, [])
    still = [s.holds(seen) & (first | q) for s, q in zip(watched, quiet, strict=True)]
    reached = _written(x if following is None else following, part, groups, phase)
    new = reached if following is None else select(last, reached, x)
    done = (steps + last).cast(counter)
    after = After([x], [reached], checkpoints, done, plan.residuals([reached], parameters))
    bits: dict[Stop, Tensor] = dict(zip(watched, still, strict=True))
    status = select(last, _ended(plan, after, bits), 0).cast(UQ(STATUS_BITS, 0))
    kept = list(anchors)
    if cycles:
        power = ((done & steps) == 0) & last
        kept.append(select(power, reached, checkpoints[0]))
    if following is not None:
        kept.append(reached)
    kept += [*still, phase.table((np.arange(count) + 1) % count, 0)]
    names = [f"{state[0]}_new", *(f"{m.name}_new" for m in memory), "steps_new", "status"]
    return Loop(builder.finish([new, *kept, done, status], names), 1, tuple(memory), count)


def advanced(
    plan: Plan, name: str, phase: Phase, at: Array, x: Tensor, anchors: Sequence[Tensor], steps: Tensor,
    parameters: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(new, old) values of the components at[phase]."""
    graph = map_graph(plan, name)

    def evaluate(v: list[Tensor]) -> list[Tensor]:
        reader = Reader(graph, dict(zip(graph.inputs, [*v, *parameters], strict=True)), phase)
        return [reader.read(graph.outputs[0], at)]

    def own(tensors: list[Tensor]) -> list[Tensor]:
        return [phase.pick(t, at) for t in tensors]

    place = At(own, [plan.state[0][1]], own(list(anchors)), steps, plan.cap)
    (old,) = own([x])
    (target,) = plan.update.target([x], evaluate, place)
    return plan.update.round(old, target, plan.state[0][1]), old


def padded(groups: Sequence[Sequence[int]]) -> Array:
    """(groups, most components): the components of each group, the first one again where there are fewer."""
    most = max(map(len, groups))
    return np.array([[*g, *[g[0]] * (most - len(g))] for g in groups], np.int64)


def _written(x: Tensor, part: Tensor, groups: Sequence[Sequence[int]], phase: Phase) -> Tensor:
    """x with the components of the present group taken from `part`."""
    flat = x.reshape(-1)
    turn, element = np.zeros(flat.shape[0], np.int64), np.zeros(flat.shape[0], np.int64)
    for c, group in enumerate(groups):
        turn[list(group)], element[list(group)] = c, range(len(group))
    now = phase.tensor == flat.builder.constant(turn)
    return select(now, part.take(element), flat).reshape(*x.shape)


def _ended(plan: Plan, after: After, quiet: dict[Stop, Tensor]) -> Tensor:
    """The status after a whole sweep, as `loop.ended` of the sweep in one clock."""
    status = select(after.steps >= plan.cap, CAP, after.steps.builder.constant(0))
    for stop in reversed(plan.stops):
        kind: int | Tensor = stop.status
        if kind == CYCLE:
            kind = select(quiet[Unchanged()], FIXED, CYCLE)
        status = select(quiet[stop] if stop in quiet else stop.holds(after), kind, status)
    return status
