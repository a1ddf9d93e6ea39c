"""The designs that a graph can have: pixels a clock, and per layer unrolled or folded; the cheapest at a
rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fxsim.graph import Graph
from rtl.schedule.estimate import Estimate, Sketch
from rtl.schedule.fold import Fold
from rtl.schedule.goal import Goal
from rtl.schedule.options import Mode, Options
from rtl.schedule.plan import Plan
from rtl.stream.folded import feasible

SWEEPS = 3
"""Times that every layer is looked at again, with the others as they are by then."""


@dataclass(frozen=True)
class Design:
    """Pixels a clock (None: a row), and the mode of every block whose products could be folded."""

    pixels: int | None
    modes: tuple[tuple[str, str], ...]

    @property
    def schedule(self) -> dict[str, str]:
        """What `rtl.build` takes."""
        return {**dict(self.modes), "*": str(Mode("streamed", self.pixels))}

    def but(self, block: str, mode: str) -> Design:
        return Design(self.pixels, tuple((k, mode if k == block else m) for k, m in self.modes))


class Search:
    """The designs of a graph with their estimates, each made once.

    given, build   other options of `Options.of`, and of `rtl.core.Core`
    built          cores of designs, in the order of their making
    hidden         memory bits beyond the estimate, by pixels a clock, of the last core with so many
    """

    def __init__(self, graph: Graph, given: Mapping[str, Any], build: Mapping[str, Any], goal: Goal) -> None:
        self.graph, self.given, self.build, self.goal = graph, given, build, goal
        self.known: dict[Design, Estimate | None] = {}
        self.cheap: dict[tuple[Any, ...], Design | None] = {}
        self.built: list[Any] = []
        self.hidden: dict[int | None, int] = {}

    def options(self, design: Design) -> Options:
        return Options.of(self.graph, design.schedule, **self.given)

    def plan(self, design: Design) -> Plan:
        return Plan(self.graph, self.options(design))

    def sketch(self, design: Design) -> Sketch:
        return Sketch(self.plan(design), "sketch", self.build)

    def beats(self, plan: Plan) -> int:
        return max(plan.form(n).beats for n in self.graph.inputs)

    def possible(self, design: Design) -> Estimate | None:
        """None where the design cannot be."""
        if design not in self.known:
            try:
                self.known[design] = self.sketch(design).estimate()
            except ValueError:
                self.known[design] = None
        return self.known[design]

    def estimate(self, design: Design) -> Estimate:
        found = self.possible(design)
        assert found is not None
        return found

    # ---- what can be chosen ---------------------------------------------------------------------------

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Those with products by constants, which may be folded."""
        outer = [b.name for b in self.graph.blocks if b.parent is None]
        return tuple(dict.fromkeys(b for b in outer if self.folds(Design(1, ((b, "folded(1)"),)), b)))

    def folds(self, design: Design, block: str) -> list[Fold]:
        """The folded products of a block; none where the design cannot be."""
        try:
            plan = self.plan(design)
        except ValueError:
            return []
        found = [(v, p.detail) for v, p in plan.placements.items() if isinstance(p.detail, Fold)]
        return [f for v, f in found if plan.name(v) == block]

    def upto(self, design: Design, block: str) -> Design:
        """The block on one processing element, those behind it unrolled: what it may be does not hang on
        them."""
        names = [name for name, _ in design.modes]
        behind = names[names.index(block) + 1 :]
        modes = tuple((k, "unrolled" if k in behind else m) for k, m in design.modes)
        return Design(design.pixels, modes).but(block, "folded(1)")

    def elements(self, design: Design, block: str) -> dict[int, int]:
        """The numbers of processing elements that a block may have, those in front being as they are, and
        the cycles per frame that each takes."""
        found = self.folds(self.upto(design, block), block)
        able = []
        for f in found:
            channels, out = int(f.weights.shape[2]), None if f.weights.ndim == 3 else int(f.weights.shape[3])
            able.append(set(feasible(channels // f.words, out)))
        numbers = sorted(set.intersection(*able)) if able else []
        return {pe: max(-(-f.cycles // pe) for f in found) for pe in numbers}

    def repaired(self, design: Design, cycles: int) -> Design:
        """Blocks whose numbers of processing elements cannot be, behind one that changed, get the fewest that
        keep up."""
        for block, mode in design.modes:
            if mode != "unrolled":
                able = self.elements(design, block)
                if mode not in [f"folded({pe})" for pe in able]:
                    fast = [pe for pe, n in able.items() if n <= cycles]
                    design = design.but(block, f"folded({fast[0]})" if fast else "unrolled")
        return design

    @cached_property
    def starts(self) -> list[tuple[Design, Estimate]]:
        """Designs without folding, at ever more pixels a clock, each faster than the one before."""
        out: list[tuple[Design, Estimate]] = []
        modes = tuple((b, "unrolled") for b in self.blocks)
        rows = [f.sizes[-1] for n in self.graph.inputs if (f := self.plan(Design(1, modes)).form(n)).axes]
        beats = 1 << 62
        for pixels in (*range(1, min(rows, default=1)), None):
            design = Design(1 if not rows else pixels, modes)
            try:
                now = self.beats(self.plan(design))
            except ValueError:  # a window that cannot take so many pixels
                continue
            if now < beats and (found := self.possible(design)) is not None:
                beats = now
                out.append((design, found))
        return out

    @cached_property
    def steps(self) -> list[int]:
        """Cycles per frame at which the cheapest design may change, ascending."""
        fast = [e.cycles for _, e in self.starts]
        first = self.starts[0][0]
        slow = {n for block in self.blocks for n in self.elements(first, block).values()}
        # A folded layer takes a few cycles more than its products: the last step has room for all.
        return sorted({*fast, *(n for n in slow if n >= min(fast)), max(*fast, *slow, 8) * 5 // 4})

    # ---- the cheapest ---------------------------------------------------------------------------------

    def memory(self, design: Design) -> int:
        return self.estimate(design).memory + self.hidden.get(design.pixels, 0)

    def lean(self, design: Design) -> bool:
        return self.goal.ram is None or self.memory(design) <= self.goal.ram

    def within(self, design: Design) -> bool:
        """Whether the estimate keeps both budgets."""
        return self.lean(design) and (self.goal.lut is None or self.estimate(design).luts <= self.goal.lut)

    def cheapest(self, cycles: int) -> Design | None:
        """The fewest LUTs found at so many cycles per frame, at the fewest pixels a clock with which the
        memory is small enough, else the least memory; None where more cycles are needed even unrolled."""
        key = (cycles, *self.hidden.items())
        if key not in self.cheap:
            best: Design | None = None
            for start, found in self.starts:
                if found.cycles > cycles:
                    continue
                design = self._descend(start, cycles)
                if best is None or self.memory(design) < self.memory(best):
                    best = design
                if self.lean(best):
                    break
            self.cheap[key] = best
        return self.cheap[key]

    def _descend(self, design: Design, cycles: int) -> Design:
        """Layer by layer to fewer LUTs; then, where memory is short, to less memory."""
        for _ in range(SWEEPS):
            before = design
            for block, _ in design.modes:
                others = self._changes(design, block, cycles)
                design = min([design, *others], key=lambda d: self.estimate(d).luts)
            if design == before:
                break
        while not self.lean(design):
            now = self.estimate(design)
            options = [d for block, _ in design.modes for d in self._changes(design, block, cycles)]
            options = [d for d in options if self.estimate(d).memory < now.memory]
            if not options:
                break
            design = min(options, key=lambda d: _price(now, self.estimate(d)))
        return design

    def _changes(self, design: Design, block: str, cycles: int) -> Iterator[Design]:
        """The block unrolled, and on the fewest processing elements that keep up."""
        fast = [pe for pe, n in self.elements(design, block).items() if n <= cycles]
        for mode in ("unrolled", *(f"folded({pe})" for pe in fast[:2])):
            other = design.but(block, mode)
            if self.possible(other) is None:
                other = self.repaired(other, cycles)
            found = self.possible(other)
            if found is not None and found.cycles <= cycles:
                yield other


def _price(now: Estimate, then: Estimate) -> float:
    """LUTs per bit of memory saved."""
    return (then.luts - now.luts) / (now.memory - then.memory)
