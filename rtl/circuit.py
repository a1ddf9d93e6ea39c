"""The writer of Amaranth statements: one named signal per net, one register per net and later stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth import Cat, Const, Elaboratable, Module, Mux, ResetSignal, Shape, Signal, Value
from amaranth.lib.memory import Memory

from rtl.emit import cases_of
from rtl.lower.net import Net


class Circuit:
    """Writes into a module (`rtl.emit.Writer`); registers keep their value while `advance` is 0.

    The registers of a state keep theirs while `taken` is 0 too. `pins` are the signals that are read and
    driven by name.
    """

    def __init__(
        self,
        m: Module,
        payload: Signal,
        advance: Value,
        taken: Value,
        pins: Mapping[str, Signal] | None = None,
    ) -> None:
        self.m, self.payload, self.advance = m, payload, advance
        self.step = advance & taken
        self.states: dict[str, Signal] = {}
        self.memories: dict[str, Memory] = {}
        self.pins = pins or {}

    def width(self, v: Value) -> int:
        return len(v)

    def constant(self, value: int, width: int) -> Value:
        return Const(value & (1 << width) - 1, width)

    def cut(self, v: Value, start: int, stop: int) -> Value:
        return v[start:stop]

    def join(self, *parts: Value) -> Value:
        return Cat(*parts)

    def repeat(self, bit: Value, count: int) -> Value:
        return bit.replicate(count)

    def add(self, a: Value, b: Value) -> Value:
        return (a + b)[: len(a)]

    def subtract(self, a: Value, b: Value) -> Value:
        return (a - b)[: len(a)]

    def invert(self, a: Value) -> Value:
        return ~a

    def bitwise(self, kind: str, a: Value, b: Value) -> Value:
        return a & b if kind == "and" else a | b if kind == "or" else a ^ b

    def any(self, a: Value) -> Value:
        return a.any()

    def all(self, a: Value) -> Value:
        return a.all()

    def equal(self, a: Value, b: Value) -> Value:
        return a == b

    def less(self, a: Value, b: Value, signed: bool) -> Value:
        return a.as_signed() < b.as_signed() if signed else a < b

    def pick(self, c: Value, a: Value, b: Value) -> Value:
        return Mux(c, a, b)

    def lane(self, offset: int, width: int) -> Value:
        return self.payload[offset : offset + width]

    def signal(self, name: str, net: Net, v: Value) -> Value:
        out = Signal(Shape(net.width, net.signed), name=name)
        self.m.d.comb += out.eq(v)
        return out.as_unsigned()

    def register(self, name: str, net: Net, v: Value) -> Value:
        out = Signal(Shape(net.width, net.signed), name=name, reset_less=True)
        self.m.d.sync += out.eq(Mux(self.advance, v, out))
        return out.as_unsigned()

    def state(self, name: str, net: Net, init: int) -> Value:
        shape = Shape(net.width, net.signed)
        value = Const(init, shape).value  # by its sign
        self.states[name] = Signal(shape, name=name, init=value, reset_less=True)
        return self.states[name].as_unsigned()

    def next_state(self, name: str, init: int, v: Value) -> None:
        out = self.states[name]
        kept = Mux(self.step, v, out.as_unsigned())
        self.m.d.sync += out.eq(Mux(ResetSignal(), Const(init, len(out)), kept))

    def pin(self, name: str, width: int) -> Value:
        return self.pins[name]

    def drive(self, name: str, v: Value) -> Value:
        self.m.d.comb += self.pins[name].eq(v)
        return self.pins[name]

    def wire(self, name: str, v: Value) -> Value:
        out = Signal(len(v), name=name)
        self.m.d.comb += out.eq(v)
        return out

    def flop(self, name: str, width: int) -> Value:
        self.states[name] = Signal(width, name=name, reset_less=True)
        return self.states[name]

    def load(self, name: str, v: Value, enable: Value | None = None, reset: bool = False) -> None:
        out = self.states[name]
        kept = v if enable is None else Mux(enable, v, out.as_unsigned())
        self.m.d.sync += out.eq(Mux(ResetSignal(), 0, kept) if reset else kept)

    def memory(self, name: str, width: int, depth: int, init: Sequence[int] = ()) -> Value:
        self.memories[name] = Memory(shape=width, depth=depth, init=list(init))
        self.m.submodules[name] = self.memories[name]
        data = Signal(width, name=f"{name}_data")
        self.states[name] = data
        return data

    def access(
        self, name: str, address: Value, enable: Value, write: tuple[Value, Value, Value] | None = None
    ) -> None:
        memory = self.memories[name]
        read = memory.read_port()
        self.m.d.comb += [read.addr.eq(address), read.en.eq(enable), self.states[name].eq(read.data)]
        if write is not None:
            port = memory.write_port()
            self.m.d.comb += [port.addr.eq(write[0]), port.data.eq(write[1]), port.en.eq(write[2])]

    def helper(self, net: Net, v: Value) -> Value:
        return v

    def entry(self, bits: int, index: Value) -> Value:
        return Const(bits, 1 << len(index)).bit_select(index, 1)

    def rom(self, name: str, net: Net, index: Value) -> Value:
        table = Table(net, name)
        self.m.submodules[f"{name}_rom"] = table
        self.m.d.comb += table.index.eq(index)
        return table.entry.as_unsigned()


class Table(Elaboratable):
    """One table as a module of its own: cases for the codes that differ from the commonest entry."""

    def __init__(self, net: Net, name: str) -> None:
        self.net = net
        self.index = Signal(net.args[0].width, name=f"{name}_index")
        self.entry = Signal(Shape(net.width, net.signed), name=name)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cases, rest = cases_of(self.net)
        mask = (1 << len(self.index)) - 1
        with m.Switch(self.index):
            for entry, codes in cases:
                with m.Case(*(c & mask for c in codes)):
                    m.d.comb += self.entry.eq(entry)
            with m.Default():
                m.d.comb += self.entry.eq(rest)
        return m
