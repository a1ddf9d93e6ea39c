"""Scheduled nets as signals and registers: names, stages, lanes, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtl.emit.logic import EXPRESSION, LUT_INPUTS
from rtl.emit.writer import Writer, extended, up
from rtl.lower.names import OWN
from rtl.lower.net import ADDERS, Net, Wire
from rtl.pipeline import Schedule
from rtl.timing.logic import VIEWS


def name_of(net: Net, stage: int, plan: Schedule) -> str:
    """A net's signal as the logic of `stage` sees it: its name, and the stage where a register holds it."""
    return net.name if stage == plan.stage[net] else f"{net.name}_s{stage}"


def signal_names(plan: Schedule, lanes: int) -> set[str]:
    """Names of all signals and submodules of the module of a schedule with `lanes` output lanes."""
    names = {*OWN, *(f"lane{k}" for k in range(lanes))}
    for net in plan.nets:
        names |= {name_of(net, s, plan) for s in range(plan.stage[net], plan.until[net] + 1)}
        if is_rom(net):
            names |= {f"{net.name}_rom", f"{net.name}_index"}
        elif net.kind in ADDERS:
            names.add(f"{net.name}_sum")
    return names


def is_rom(net: Net) -> bool:
    """Whether a net is a table of more inputs than a LUT has."""
    return net.kind == "table" and net.args[0].width > LUT_INPUTS


At = dict[tuple[Net, int], Any]  # every net's vector as the logic of a stage sees it


def emit(w: Writer, plan: Schedule, nets: Sequence[Net], at: At) -> None:
    """Writes `nets` of a schedule, operands first; reads and extends `at`."""

    def value(net: Net, stage: int) -> Any:
        return w.constant(net.lo, net.width) if net.is_constant else at[net, stage]

    for net in nets:
        stage, first = plan.stage[net], plan.first_register(net)
        if net.kind == "input":
            if (net, 0) not in at:  # the registers of a state are there already
                at[net, 0] = w.register(net.name, net, w.lane(net.params[0], net.width))
        elif is_rom(net):
            at[net, stage] = w.rom(net.name, net, value(net.args[0], stage))
        else:
            for s in range(stage, (first if net.kind in VIEWS else stage) + 1):
                made = EXPRESSION[net.kind](w, net, *(value(a, s) for a in net.args))
                at[net, s] = w.signal(name_of(net, s, plan), net, made)
        for s in range(first + 1, plan.until[net] + 1):
            at[net, s] = w.register(name_of(net, s, plan), net, at[net, s - 1])


def lanes(w: Writer, outputs: Sequence[tuple[Wire, int]], plan: Schedule, at: At) -> list[Any]:
    """The lanes of the output payload behind the last registers: wires with the widths of their lanes."""
    out = []
    for wire, width in outputs:
        net = wire.net
        v = w.constant(net.lo, net.width) if net.is_constant else at[net, plan.stages]
        out.append(extended(w, up(w, v, wire.zeros), net.signed, width))
    return out
