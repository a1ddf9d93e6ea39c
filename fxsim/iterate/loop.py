"""The controlled step of a unit as one graph, which emulator, hardware and C++ all read: sweep, stop, cap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fxsim.boundary import FormatEncoder
from fxsim.formats import UQ, Format
from fxsim.graph import Graph
from fxsim.iterate.schedules import Schedule
from fxsim.iterate.stops import CAP, CYCLE, FIXED, After, Cycle, Residual, Stop, all_of
from fxsim.iterate.updates import At, Update
from fxsim.trace import Builder, Tensor, concat, select
from fxsim.types import TensorType

STATUS_BITS = 3
Step = Callable[..., Any]


@dataclass(frozen=True)
class Memory:
    """A tensor that the loop keeps beside the state: at the start a copy of state `source`, or 0 for None."""

    name: str
    source: int | None


@dataclass(frozen=True)
class Loop:
    """graph: (states, memory, steps, parameters) -> (new states, new memory, steps + 1, status).

    `steps` is unsigned and starts at 0; `status` is one of `STATUS`, 0 where the loop goes on, and the new
    states, steps and status are the result where it is not. `clocks` is how often the graph is run per sweep:
    1, or with a folded schedule the number of groups, and then `steps` counts on the last of them only.
    """

    graph: Graph
    states: int
    memory: tuple[Memory, ...]
    clocks: int = 1

    @property
    def kept(self) -> int:
        """Inputs that come back as outputs: states, memory and steps."""
        return self.states + len(self.memory) + 1


@dataclass(frozen=True)
class Plan:
    """What a loop is made of, before it is graph."""

    step: Step
    residual: Step | None
    state: tuple[tuple[str, Format, tuple[int, ...]], ...]
    parameters: tuple[tuple[str, TensorType], ...]
    update: Update
    stops: tuple[Stop, ...]
    schedule: Schedule
    cap: int
    some: bool  # step takes `only`, the components that are wanted

    def targets(self, x: Sequence[Tensor], parameters: Sequence[Tensor], group: Any) -> list[Tensor]:
        """T at x, of the components of `group` (None: all)."""
        if group is None:
            found = self.step(*x, *parameters)
        elif self.some:
            found = self.step(*x, *parameters, only=group)
        else:
            found = self.step(*x, *parameters)
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(listed) != len(self.state):
            raise ValueError(f"step must give {len(self.state)} targets, one per state, not {len(listed)}")
        for k, (t, (name, _, shape)) in enumerate(zip(listed, self.state, strict=True)):
            if not isinstance(t, Tensor):
                raise TypeError(f"the target of state {name!r} must be a tensor, not {t!r}")
            if group is not None and self.some:
                wanted: tuple[int, ...] = (len(group),)
            else:
                wanted = shape
            if t.shape != wanted:
                raise ValueError(f"the target of state {name!r} must have shape {wanted}, not {t.shape}")
            if group is not None and not self.some:
                listed[k] = _some(t, group)
        return listed

    def residuals(self, x: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
        if self.residual is None:
            return []
        found = self.residual(*x, *parameters)
        return list(found) if isinstance(found, (tuple, list)) else [found]


def declare(plan: Plan, builder: Builder) -> tuple[list[Tensor], list[Tensor]]:
    """(states, parameters) as inputs of a new graph."""
    states = [builder.input(n, TensorType.of(f, s), FormatEncoder(f)) for n, f, s in plan.state]
    return states, [builder.input(n, t, FormatEncoder(t.lane())) for n, t in plan.parameters]


def map_graph(plan: Plan, name: str) -> Graph:
    """(states, parameters) -> exact targets, and the residual behind them."""
    builder = Builder(f"{name}_map")
    states, parameters = declare(plan, builder)
    outputs = plan.targets(states, parameters, None)
    names = [f"{n}_target" for n, *_ in plan.state]
    residuals = plan.residuals(states, parameters)
    return builder.finish([*outputs, *residuals], names + [f"residual{k}" for k in range(len(residuals))])


def sweep(
    plan: Plan, x: list[Tensor], anchors: list[Tensor], steps: Tensor, parameters: list[Tensor]
) -> list[Tensor]:
    """The states after one sweep."""
    formats = [f for _, f, _ in plan.state]
    if plan.schedule.whole:
        at = At(lambda v: v, formats, anchors, steps, plan.cap)
        return advance(plan, x, x, parameters, None, at)
    shape = x[0].shape
    groups = plan.schedule.of(x[0].type.size)
    fresh, new = x[0], _flat(x[0])
    for group in groups:
        own = _own(group)
        at = At(own, formats, own(anchors), steps, plan.cap)
        part = advance(plan, [fresh], own([fresh]), parameters, group, at)[0]
        new = written(new, part, group)
        if plan.schedule.fresh:
            fresh = new.reshape(*shape)
    return [new.reshape(*shape)]


def advance(
    plan: Plan, x: list[Tensor], old: list[Tensor], parameters: list[Tensor], group: Any, at: At
) -> list[Tensor]:
    """The new values of the components of `group`, whose present ones are `old`."""
    targets = plan.update.target(x, lambda v: plan.targets(v, parameters, group), at)
    rows = enumerate(zip(old, targets, at.formats, strict=True))
    return [plan.update.part(k).round(o, t, f) for k, (o, t, f) in rows]


def written(x: Tensor, part: Tensor, group: Sequence[int]) -> Tensor:
    """The vector x with the components of `group` taken from `part`: wiring only."""
    place = list(range(x.shape[0]))
    for k, i in enumerate(group):
        place[i] = x.shape[0] + k
    return concat([x, part]).take(place)


def build_loop(plan: Plan, name: str) -> Loop:
    """The loop of whole sweeps, one per clock."""
    builder = Builder(name)
    x = [builder.input(n, TensorType.of(f, s), FormatEncoder(f)) for n, f, s in plan.state]
    memory: list[Memory] = []
    kept: list[Tensor] = []

    def copies(what: str) -> list[Tensor]:
        made = []
        for k, (n, f, s) in enumerate(plan.state):
            memory.append(Memory(f"{n}_{what}", k))
            made.append(builder.input(f"{n}_{what}", TensorType.of(f, s), FormatEncoder(f)))
        kept.extend(made)
        return made

    anchors = copies("anchor") if plan.update.anchored else []
    cycles = any(isinstance(s, Cycle) for s in plan.stops)
    checkpoints = copies("checkpoint") if cycles else []
    counter = UQ(plan.cap.bit_length(), 0)
    steps = builder.input("steps", TensorType.of(counter), FormatEncoder(counter))
    parameters = [builder.input(n, t, FormatEncoder(t.lane())) for n, t in plan.parameters]
    new = sweep(plan, x, anchors, steps, parameters)
    done = (steps + 1).cast(counter)
    after = After(x, new, checkpoints, done, plan.residuals(new, parameters))
    status = ended(plan, after)
    saved: list[Tensor] = list(anchors)
    if cycles:
        power = (done & steps) == 0  # k and k - 1 have no bit in common
        saved += [select(power, n, c) for n, c in zip(new, checkpoints, strict=True)]
    names = [f"{n}_new" for n, *_ in plan.state] + [f"{m.name}_new" for m in memory]
    graph = builder.finish([*new, *saved, done, status], [*names, "steps_new", "status"])
    return Loop(graph, len(x), tuple(memory))


def ended(plan: Plan, after: After) -> Tensor:
    """The status after a sweep: of the first stop that holds, else of the cap, else 0."""
    builder = after.steps.builder
    status = select(after.steps >= plan.cap, CAP, builder.constant(0))
    for stop in reversed(plan.stops):
        kind: Any = stop.status
        if kind == CYCLE:
            kind = select(all_of([n == o for n, o in zip(after.new, after.old, strict=True)]), FIXED, CYCLE)
        status = select(stop.holds(after), kind, status)
    return status.cast(UQ(STATUS_BITS, 0))


def unrolled_graph(plan: Plan, name: str, count: int) -> Graph:
    """(states, parameters) -> the states after `count` sweeps, laid out in space."""
    builder = Builder(f"{name}_{count}_sweeps")
    x, parameters = declare(plan, builder)
    anchors = x
    for k in range(count):
        x = sweep(plan, x, anchors, builder.constant(k), parameters)
    return builder.finish(x, [f"{n}_new" for n, *_ in plan.state])


def needs_residual(stops: Sequence[Stop]) -> bool:
    return any(isinstance(s, Residual) for s in stops)


def _flat(t: Tensor) -> Tensor:
    return t if t.ndim == 1 else t.reshape(-1)


def _some(t: Tensor, group: Sequence[int]) -> Tensor:
    return _flat(t).take(list(group))


def _own(group: Sequence[int]) -> Callable[[list[Tensor]], list[Tensor]]:
    return lambda tensors: [_some(t, group) for t in tensors]
