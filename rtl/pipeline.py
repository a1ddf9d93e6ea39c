"""Pipelining: every net gets a stage by a delay model; shared registers bring operands together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtl.lower.netlist import Net
from rtl.timing import GENERIC


@dataclass(frozen=True)
class Schedule:
    """When every live net is computed, and how long it must be kept.

    nets      the live nets, operands first
    stage     per net, the stage (0, 1, ...) that computes it; operands of earlier stages come by registers
    depth     per net, the adders of depth within its stage by which it is ready
    until     per net, the last stage at which it is read, by registers beyond its own; outputs are read at
              `stages`, behind the output registers
    stages    number of stages
    """

    nets: tuple[Net, ...]
    stage: dict[Net, int]
    depth: dict[Net, float]
    until: dict[Net, int]
    stages: int

    @property
    def registers(self) -> int:
        """Bits of the registers behind the stages, those of the outputs included."""
        return sum(n.width * (self.until[n] - self.first_register(n)) for n in self.nets)

    def first_register(self, net: Net) -> int:
        """The last stage at which `net` needs no register: it is computed, or a slice of its source's."""
        s = self.stage[net]
        return max(s, min(self.until[net], self.until[net.args[0]])) if net.kind == "shr" else s


def schedule(outputs: Sequence[Net], max_depth: float | None) -> Schedule:
    """Stages for the nets that `outputs` need.

    As soon as possible first, at most `max_depth` adders of depth per stage (None: one stage for all). Then
    nets that have slack move to later stages where that saves register bits; no stage is added.
    """
    nets = live(outputs)
    stage, depth = _soonest(nets, max_depth)
    last = max((stage[n] for n in outputs if not n.is_constant), default=0)
    soonest = Schedule(tuple(nets), stage, depth, _lifetimes(nets, outputs, stage, last), last + 1)
    if max_depth is None:
        return soonest
    stage, depth = dict(stage), dict(depth)
    _move_later(nets, outputs, stage, depth, last, max_depth)
    later = Schedule(tuple(nets), stage, depth, _lifetimes(nets, outputs, stage, last), last + 1)
    return min(soonest, later, key=lambda plan: plan.registers)  # slices make the gain of a move an estimate


def live(outputs: Sequence[Net]) -> list[Net]:
    """The nets that outputs depend on, constants left out, in the order they were made."""
    seen: set[Net] = set()
    stack = [n for n in outputs if not n.is_constant]
    while stack:
        net = stack.pop()
        if net not in seen:
            seen.add(net)
            stack.extend(a for a in net.args if not a.is_constant)
    return sorted(seen, key=lambda n: n.index)


def _soonest(nets: list[Net], max_depth: float | None) -> tuple[dict[Net, int], dict[Net, float]]:
    stage: dict[Net, int] = {}
    depth: dict[Net, float] = {}
    for net in nets:
        args = [a for a in net.args if not a.is_constant]
        s = max((stage[a] for a in args), default=0)
        d = max((depth[a] for a in args if stage[a] == s), default=0.0)
        need = GENERIC.delay(net)
        if max_depth is not None and need and d + need > max_depth:
            s, d = s + 1, 0.0
        stage[net], depth[net] = s, d + need
    return stage, depth


def _lifetimes(nets: list[Net], outputs: Sequence[Net], stage: dict[Net, int], last: int) -> dict[Net, int]:
    """The last stage that reads each net.

    A slice of a net (kind shr) is taken from the net's own registers as long as others keep them, so it needs
    registers only beyond; the slice itself reads the net at its own stage.
    """
    until = dict(stage)
    for net in outputs:
        if not net.is_constant:
            until[net] = last + 1
    for net in reversed(nets):
        if net.kind != "shr":
            for a in net.args:
                if not a.is_constant:
                    until[a] = max(until[a], stage[net])
    return until


def _move_later(
    nets: list[Net],
    outputs: Sequence[Net],
    stage: dict[Net, int],
    depth: dict[Net, float],
    last: int,
    limit: float,
) -> None:
    """Move nets to later stages where that saves register bits, last first; changes stage and depth.

    Slices move with their source, whose readers they pass on.
    """
    final = set(outputs)
    readers: dict[Net, list[Net]] = {n: [] for n in nets}
    slices: dict[Net, list[Net]] = {n: [] for n in nets}
    for net in reversed(nets):
        if net.kind == "shr":
            slices[net.args[0]] += [net, *slices[net]]
            readers[net.args[0]] += readers[net]
            if net in final:
                final.add(net.args[0])
        else:
            for a in set(net.args):
                if not a.is_constant:
                    readers[a].append(net)
    for net in reversed(nets):
        if net.kind in ("input", "shr"):
            continue
        needed = min([stage[r] for r in readers[net]] + [last] * (net in final))
        # Operands are in no later stage than the net is now, so that a move always leaves room before it.
        target = (
            needed if GENERIC.delay(net) <= _room(readers[net], needed, stage, depth, limit) else needed - 1
        )
        if target > stage[net] and _gain(net, target, readers, final, stage, last) > 0:
            stage[net] = target
        depth[net] = _room(readers[net], stage[net], stage, depth, limit)
        for part in slices[net]:
            stage[part], depth[part] = stage[net], depth[net]


def _room(readers: list[Net], at: int, stage: dict[Net, int], depth: dict[Net, float], limit: float) -> float:
    """The depth within stage `at` by which a net must be ready for its readers there."""
    return min([depth[r] - GENERIC.delay(r) for r in readers if stage[r] == at], default=limit)


def _gain(
    net: Net, target: int, readers: dict[Net, list[Net]], final: set[Net], stage: dict[Net, int], last: int
) -> int:
    """Register bits saved by moving `net` to `target`, less those that its operands then need."""
    gain = net.width * (target - stage[net])
    for a in {a.args[0] if a.kind == "shr" else a for a in net.args if not a.is_constant}:
        until = (
            last + 1 if a in final else max((stage[r] for r in readers[a] if r is not net), default=stage[a])
        )
        gain -= a.width * (max(until, target) - max(until, stage[net]))
    return gain
