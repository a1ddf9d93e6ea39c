"""Pipelining: every net gets a stage by delay models; shared registers bring operands together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtl.lower.netlist import Net
from rtl.timing import Family
from rtl.timing.logic import TICKS, VIEWS, Logic
from rtl.timing.model import JOIN
from rtl.timing.registers import least_registers
from rtl.timing.stages import Limit, least_limit, soonest


@dataclass(frozen=True)
class Schedule:
    """When every live net is computed, and how long it must be kept.

    nets      the live nets, operands first
    stage     per net, the stage (0, 1, ...) that computes it; operands of earlier stages come by registers.
              Views (shr, shl) have the stage of the net that they are wiring of
    until     per net, the last stage at which it is read, by registers beyond its own; outputs are read at
              `stages`, behind the output registers
    stages    number of stages
    """

    nets: tuple[Net, ...]
    stage: dict[Net, int]
    until: dict[Net, int]
    stages: int

    @property
    def registers(self) -> int:
        """Bits of the registers behind the stages, those of the outputs included."""
        return sum(n.width * (self.until[n] - self.first_register(n)) for n in self.nets)

    def first_register(self, net: Net) -> int:
        """The last stage at which `net` needs no register: it is computed, or wiring of what is at hand."""
        if net.kind == "shl":
            return self.until[net]
        s = self.stage[net]
        return max(s, min(self.until[net], self.until[net.args[0]])) if net.kind == "shr" else s

    def delays(self, family: Family) -> list[float]:
        """Per stage the slowest path of primitives, in the unit of `family`."""
        worst, times = [0.0] * self.stages, dict[Net, tuple[float, float]]()
        for net in self.nets:
            s = self.stage[net]
            near = [times[a] for a in net.args if not a.is_constant and self.stage[a] == s]
            low, high = (max(column) for column in zip((0.0, 0.0), *near, strict=True))
            fixed, carry = family.parts(net)
            high = fixed + max(high, low + carry)
            times[net] = high if net.kind in JOIN else fixed + low, high
            worst[s] = max(worst[s], high)
        return worst


def schedule(
    outputs: Sequence[Net],
    limit: tuple[Family, float] | None,
    even: Family | None = None,
) -> Schedule:
    """Stages for the nets that `outputs` need: as few as the limit allows, then as few registers.

    limit  a delay model, and the longest that a path within a stage may take by it; None: one stage for all
    even   a delay model by which the slowest stage is made as fast as the number of stages allows, before
           registers are counted; None: stages use the limit up

    The number of register bits is the least of all such schedules (`rtl.timing.registers`). Raises ValueError
    where a single primitive takes longer than the limit.
    """
    logic = Logic(outputs)
    limits = [] if limit is None else [_limit(logic, *limit)]
    last = max(soonest(logic, limits), default=0)
    if even is not None and last:
        delays = logic.delays(even)
        most = least_limit(logic, delays, last, limits)
        limits = [Limit(delays, most), *(bound for bound in limits if bound.delays != delays)]
    stage, kept = least_registers(logic, limits, last)
    return _schedule(logic, outputs, stage.tolist(), kept.tolist(), last)


def _limit(logic: Logic, family: Family, most: float) -> Limit:
    delays = logic.delays(family)
    ticks = int(TICKS * most + 1e-6)
    slowest = max(range(len(logic.cells)), key=delays.whole, default=None)
    if slowest is not None and delays.whole(slowest) > ticks:
        net = logic.cells[slowest]
        raise ValueError(
            f"a stage must have room for every primitive, of which {net.name} ({net.kind}, {net.width} bits)"
            f" takes {family.delay(net):.3g} {family.unit} by the delays of {family.name}, not {most:.3g}"
        )
    return Limit(delays, ticks)


def _schedule(
    logic: Logic, outputs: Sequence[Net], stages: list[int], kept: list[int], last: int
) -> Schedule:
    """The schedule with these stages of cells, and registers of holders up to `kept`."""
    stage = {net: stages[logic.cell_of[logic.holder[net]]] for net in logic.nets}
    final = set(outputs)
    until = {net: last + 1 if net in final else stage[net] for net in logic.nets}
    for net in reversed(logic.nets):
        if net.kind not in VIEWS:
            until[net] = kept[logic.holder[net]]
        for a in net.args:
            if a.is_constant or a.kind not in VIEWS:
                continue
            # A view is wired up at every stage where its own readers are, and views of it that are not kept.
            need = stage[net]
            if net.kind in VIEWS:
                need = min(until[net], kept[logic.holder[a]])
            until[a] = max(until[a], need)
    return Schedule(tuple(logic.nets), stage, until, last + 1)
