"""Scheduled nets as Amaranth statements: one named signal per net, one register per net and later stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth import Cat, Const, Elaboratable, Module, Mux, Shape, Signal, Value

from rtl.lower.names import OWN
from rtl.lower.netlist import Net
from rtl.pipeline import Schedule
from rtl.timing.logic import VIEWS


def shape(net: Net) -> Shape:
    return Shape(net.width, net.signed)


def _field(v: Value, width: int) -> Value:
    """v as exactly `width` bits, cut or extended by its own sign."""
    if len(v) >= width:
        return v[:width]
    fill = v[-1].replicate(width - len(v)) if v.shape().signed else Const(0, width - len(v))
    return Cat(v, fill)


def _up(v: Value, k: int) -> Value:
    """v * 2**k."""
    if not k:
        return v
    out = Cat(Const(0, k), v)
    return out.as_signed() if v.shape().signed else out


def _down(v: Value, k: int) -> Value:
    """Floor of v / 2**k."""
    out = v[min(k, len(v) - 1) :]
    return out.as_signed() if v.shape().signed else out


# kind -> expression of (net, operand values), to be cut to the net's width, which its range proves exact.
EXPRESSION: dict[str, Callable[..., Value]] = {
    "shr": lambda net, a: _down(a, net.params[0]),
    "shl": lambda net, a: _up(a, net.params[0]),
    "cat": lambda net, *parts: Cat(*(_field(p, w) for p, w in zip(parts, net.params, strict=True))),
    "add": lambda net, a, b: _up(a, net.params[0]) + _up(b, net.params[1]),
    "sub": lambda net, a, b: _up(a, net.params[0]) - _up(b, net.params[1]),
    "neg": lambda net, a: -a,
    "lt": lambda net, a, b: _up(a, net.params[0]) < _up(b, net.params[1]),
    "ge": lambda net, a, b: _up(a, net.params[0]) >= _up(b, net.params[1]),
    "eq": lambda net, a, b: a == b,
    "ne": lambda net, a, b: a != b,
    "any": lambda net, a: a[: net.params[0]].any(),
    "mux": lambda net, c, a, b: Mux(c, a, b),
    "gate": lambda net, c, a: Mux(c, a, 0),
    "and": lambda net, a, b: a & b,
    "or": lambda net, a, b: a | b,
    "xor": lambda net, a, b: a ^ b,
    "not": lambda net, a: ~_field(a, net.width),  # ~ of an unsigned value would stay unsigned
}


def name_of(net: Net, stage: int, plan: Schedule) -> str:
    """A net's signal as the logic of `stage` sees it: its name, and the stage where a register holds it."""
    return net.name if stage == plan.stage[net] else f"{net.name}_s{stage}"


def signal_names(plan: Schedule, lanes: int) -> set[str]:
    """Names of all signals and submodules of the module of a schedule with `lanes` output lanes."""
    names = {*OWN, *(f"lane{k}" for k in range(lanes))}
    for net in plan.nets:
        names |= {name_of(net, s, plan) for s in range(plan.stage[net], plan.until[net] + 1)}
        if net.kind == "table":
            names |= {f"{net.name}_rom", f"{net.name}_index"}
    return names


class Emitter:
    """Writes the nets of a schedule into a module; registers keep their value while `advance` is 0."""

    def __init__(self, m: Module, plan: Schedule, payload: Signal, advance: Value) -> None:
        self.m, self.plan, self.advance = m, plan, advance
        self.at: dict[tuple[Net, int], Value] = {}
        self.comb: list[Any] = []
        self.sync: list[Any] = []
        for net in plan.nets:
            self._compute(net, payload)
        m.d.comb += self.comb
        m.d.sync += self.sync

    def _compute(self, net: Net, payload: Signal) -> None:
        plan, stage = self.plan, self.plan.stage[net]
        first = plan.first_register(net)
        if net.kind in VIEWS:
            for s in range(stage, first + 1):
                self.at[net, s] = self._signal(net, s, EXPRESSION[net.kind](net, self.value(net.args[0], s)))
        elif net.kind == "input":
            offset = net.params[0]
            lane = payload[offset : offset + net.width]
            self.at[net, 0] = self._register(net, 0, lane.as_signed() if net.signed else lane)
        elif net.kind == "table":
            self.at[net, stage] = self._table(net, self.value(net.args[0], stage))
        else:
            operands = [self.value(a, stage) for a in net.args]
            self.at[net, stage] = self._signal(net, stage, EXPRESSION[net.kind](net, *operands))
        for s in range(first + 1, plan.until[net] + 1):
            self.at[net, s] = self._register(net, s, self.at[net, s - 1])

    def value(self, net: Net, stage: int) -> Value:
        """The net as the logic of `stage` sees it."""
        if net.is_constant:
            return Const(net.lo, shape(net))
        return self.at[net, stage]

    def _name(self, net: Net, stage: int) -> str:
        return name_of(net, stage, self.plan)

    def _signal(self, net: Net, stage: int, value: Value) -> Signal:
        out = Signal(shape(net), name=self._name(net, stage))
        self.comb.append(out.eq(value))
        return out

    def _register(self, net: Net, stage: int, value: Value) -> Signal:
        out = Signal(shape(net), name=self._name(net, stage), reset_less=True)
        self.sync.append(out.eq(Mux(self.advance, value, out)))
        return out

    def _table(self, net: Net, index: Value) -> Signal:
        name = self._name(net, self.plan.stage[net])
        table = Table(net, name)
        self.m.submodules[f"{name}_rom"] = table
        self.comb.append(table.index.eq(index))
        return table.entry


class Table(Elaboratable):
    """One table as a module of its own: cases for the codes that differ from the commonest entry."""

    def __init__(self, net: Net, name: str) -> None:
        self.items = net.params
        self.index = Signal(shape(net.args[0]), name=f"{name}_index")
        self.entry = Signal(shape(net), name=name)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cases: dict[int, list[int]] = {}
        for code, entry in self.items:
            cases.setdefault(entry, []).append(code)
        rest = max(cases, key=lambda e: (len(cases[e]), -e))  # also for codes that cannot come
        with m.Switch(self.index):
            for entry in sorted(e for e in cases if e != rest):
                with m.Case(*cases[entry]):
                    m.d.comb += self.entry.eq(entry)
            with m.Default():
                m.d.comb += self.entry.eq(rest)
        return m
