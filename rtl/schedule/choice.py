"""Schedules by goals: `rtl.build(graph, schedule="auto", target=...)`, what it chose, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fxsim.graph import Graph
from rtl.schedule.estimate import luts
from rtl.schedule.goal import Goal
from rtl.schedule.search import Design, Search
from rtl.stream.pipe import Pipe

TRIES = 8
"""Designs that are built at most, where a core's exact figures differ from the estimate."""


@dataclass(frozen=True)
class Decision:
    """What a block became: its schedule, estimated LUTs, memory bits, and why.

    cycles  per frame: of its processing elements, else the beats of the input
    """

    block: str
    schedule: str
    cycles: int
    luts: int
    memory: int
    reason: str


@dataclass(frozen=True)
class Choice:
    """The decisions on a core, in the order of the stream, and its exact interval; `str` is a table of them.

    schedule  what `rtl.build` takes to build the same
    """

    goal: Goal
    schedule: dict[str, str]
    decisions: tuple[Decision, ...]
    interval: Any

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)

    def __getitem__(self, block: str) -> Decision:
        """The decision on a block; KeyError where there is none."""
        return {d.block: d for d in self.decisions}[block]

    @property
    def luts(self) -> int:
        return sum(d.luts for d in self.decisions)

    @property
    def memory(self) -> int:
        return sum(d.memory for d in self.decisions)

    def __str__(self) -> str:
        from fxsim.cli.console import table

        rows = [[d.block, d.schedule, d.cycles, d.luts, d.memory, d.reason] for d in self.decisions]
        last = ["whole core", self.schedule["*"], math.ceil(self.interval), self.luts, self.memory, ""]
        header = ("block", "schedule", "cycles", "LUT (estimate)", "memory bits", "reason")
        return f"chosen for {self.goal}\n{table(header, rows, last)}"

    def to_json(self) -> dict[str, Any]:
        decisions = [dict(vars(d)) for d in self.decisions]
        return {"goal": str(self.goal), "schedule": dict(self.schedule), "decisions": decisions}


def automatic(
    graph: Graph, target: Any, given: Mapping[str, Any], max_depth: Any, name: str | None,
    build: Mapping[str, Any],
) -> Any:  # fmt: skip
    """The `rtl.StreamCore` that meets a `Goal`, or a mapping with its fields; `core.choice` says how.

    With a rate: the fewest estimated LUTs found whose exact interval meets it. Input pixels come as few a
    clock as the rate allows; each layer that multiplies by constants, in the order of the stream and again
    until nothing changes, shares the fewest processing elements that keep up, or is unrolled where that takes
    fewer LUTs. Without a rate: the fastest that fits, among such designs at all rates at which a layer can
    stand. Where memory is short, that change comes first which costs the fewest LUTs per bit saved.

    given      the other options of `rtl.schedule.options.Options.of`
    max_depth, name, build   as `rtl.schedule.core.StreamCore` takes them

    Raises ValueError where nothing found meets the goal: what is wanted, and the nearest that was found.
    """
    from rtl.schedule.core import StreamCore

    if not isinstance(graph, Graph):
        raise TypeError(f"graph must be a fxsim.Graph to be streamed or folded, not {graph!r}")
    goal = Goal.of(target, build.get("clock_mhz"))
    options = {"max_depth_per_stage": max_depth, **build}
    search = Search(graph, given, options, goal)
    aim = goal.cycles if goal.cycles is not None else _fastest(search)
    for _ in range(TRIES):
        design = search.cheapest(aim)
        if design is None:
            raise ValueError(_too_slow(search))
        if not search.within(design):
            raise ValueError(_too_large(search, design, aim))
        core = StreamCore(graph, search.options(design), name=name, **options)
        search.built.append(core)
        core.choice = _choice(search, core, design, aim)
        if goal.cycles is not None and core.interval > goal.cycles:
            # Handshakes cost more cycles than the slowest part: aim lower.
            aim = min(aim - 1, int(aim * goal.cycles / core.interval))
        elif goal.ram is not None and core.memory > goal.ram:
            # FIFOs whose depths only a whole core shows.
            search.hidden[design.pixels] = core.memory - search.estimate(design).memory
            aim = aim if goal.cycles is not None else _fastest(search)
        elif goal.lut is not None and core.choice.luts > goal.lut:
            slower = [n for n in search.steps if n > aim] if goal.cycles is None else []
            if not slower:
                break
            aim = slower[0]
        else:
            return core
    raise ValueError(
        f"target out of reach: {goal}; the nearest found takes {math.ceil(core.interval)} cycles per frame, "
        f"about {core.choice.luts} LUTs and {core.memory} memory bits"
    )


def _fastest(search: Search) -> int:
    """The least cycles per frame at which the cheapest design keeps both budgets; ValueError where none
    does."""

    def fits(cycles: int) -> bool:
        design = search.cheapest(cycles)
        return design is not None and search.within(design)

    low, high = 0, len(search.steps) - 1
    if not fits(search.steps[high]):
        design = search.cheapest(search.steps[high])
        assert design is not None
        raise ValueError(_too_large(search, design, search.steps[high]))
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(search.steps[middle]) else (middle + 1, high)
    return search.steps[high]


# ---- in words -----------------------------------------------------------------------------------------


def _too_slow(search: Search) -> str:
    goal, (last, found) = search.goal, search.starts[-1]
    cycles = min((math.ceil(c.interval) for c in search.built), default=found.cycles)
    rate = ""
    if goal.fps is not None and goal.clock_mhz is not None:
        rate = f", {goal.clock_mhz * 1e6 / cycles:.6g} frames/s"
    return (
        f"target out of reach: {goal}; the fastest found takes {cycles} cycles per frame{rate} "
        f"({last.schedule['*']})"
    )


def _too_large(search: Search, design: Design, cycles: int) -> str:
    goal, found = search.goal, search.estimate(design)
    if not search.lean(design):
        # A core that was built has the FIFOs' depths as well.
        source = min(search.built, key=lambda c: c.memory, default=None)
        memory = found.memory if source is None else source.memory
        source = search.sketch(design) if source is None else source
        largest = max(source.network.parts, key=lambda p: p.memory)
        return (
            f"RAM beyond the target: {memory} memory bits are needed where at most {goal.ram} are wanted; "
            f"the largest buffer is {largest.name} of layer {source.block_of[largest.name] or 'output'!r}, "
            f"{largest.memory} bits ({largest.title})"
        )
    return (
        f"target out of reach: {goal}; the smallest found takes about {found.luts} LUTs and {found.memory} "
        f"memory bits at {cycles} cycles per frame"
    )


def _choice(search: Search, core: Any, design: Design, cycles: int) -> Choice:
    modes = dict(design.modes)
    rows: dict[str, list[Any]] = {}
    for part in core.network.parts:
        inside = part.what.split(", ") if isinstance(part, Pipe) else []
        own = core.block_of[part.name]
        # A layer that is unrolled may stand in a pipeline that begins with other values.
        block = own if own in modes else next((b for b in inside if b in modes), own)
        rows.setdefault(block or "(output)", []).append(part)
    decisions = []
    for block, parts in rows.items():
        cycle = max((f.cycles for f in search.folds(design, block)), default=search.beats(core.plan))
        decisions.append(
            Decision(
                block, modes.get(block, "streamed"), cycle, sum(luts(p) for p in parts),
                sum(p.memory for p in parts), _reason(search, design, block, cycles),
            )
        )  # fmt: skip
    return Choice(search.goal, design.schedule, tuple(decisions), core.interval)


def _reason(search: Search, design: Design, block: str, cycles: int) -> str:
    mode = dict(design.modes).get(block)
    if mode is None:
        return "has no products by constants"
    if mode != "unrolled":
        text = f"shares processing elements, the fewest for {cycles} cycles"
        other = search.possible(design.but(block, "unrolled"))
        if other is None:
            return text
        return f"{text}; unrolled: {other.luts - search.estimate(design).luts:+} LUTs"
    able = search.elements(design, block)
    if not able:
        return f"cannot be folded: {_refusal(search, search.upto(design, block))}"
    pe, least = list(able.items())[-1]
    if least > cycles:
        return f"folded({pe}), the fastest, takes {least} cycles"
    return "folded it takes more LUTs or memory"


def _refusal(search: Search, design: Design) -> str:
    """Why a design cannot be."""
    try:
        search.plan(design)
    except ValueError as e:
        return str(e).rpartition(": ")[2]
    return "no number of processing elements divides all its products"
