"""What every part of a stream network is: a module with clock, reset and valid/ready streams, written
once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth import Const, Elaboratable, Module, Signal

from rtl.circuit import Circuit
from rtl.emit import Writer
from rtl.stream.control import Control
from rtl.text import LINT_OFF, Text, span


@dataclass(frozen=True)
class Stream:
    """A stream of a part: signals NAME__payload (`bits`, unsigned), NAME__valid and NAME__ready.

    A beat moves at each rising clock edge where valid and ready are both 1; an offered beat stays as it is
    until
    it is taken. `valid` never depends on `ready` of the same stream in the same cycle.
    """

    name: str
    bits: int

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"name of a stream must be an identifier, not {self.name!r}")
        if self.bits < 1:
            raise ValueError(f"bits of stream {self.name} must be at least 1, not {self.bits!r}")

    def signals(self) -> tuple[tuple[str, int], tuple[str, int], tuple[str, int]]:
        """(name, width) of payload, valid and ready."""
        return (f"{self.name}__payload", self.bits), (f"{self.name}__valid", 1), (f"{self.name}__ready", 1)


class Part:
    """One module of a network: parameters, `write` for both writers, and `control` for the cycle model.

    Subclasses are frozen dataclasses with the fields or properties below. `write` reads `w.pin(name,
    width)` of
    inputs' payload and valid and of outputs' ready, and drives the rest by `w.drive`.

    name      of the instance, an identifier that is unique in its network
    inputs    streams that come in
    outputs   streams that go out
    title     one line: what it does, for the comment in the Verilog
    memory    bits of its memories (line buffers, FIFOs, weights), registers not among them
    registers bits of its registers, the read registers of memories among them
    """

    name: str

    @property
    def inputs(self) -> tuple[Stream, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no inputs")

    @property
    def outputs(self) -> tuple[Stream, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no outputs")

    @property
    def title(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} has no title")

    @property
    def memory(self) -> int:
        return 0

    @property
    def registers(self) -> int:
        w = _Counting("", 0)
        self.write(w)
        return w.registers

    def write(self, w: Writer) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no hardware")

    def control(self) -> Control:
        raise NotImplementedError(f"{type(self).__name__} has no cycle model")

    def ports(self) -> list[tuple[str, int, bool]]:
        """(name, width, whether it is an input) of every port but clk and rst."""
        found = []
        for streams, coming in ((self.inputs, True), (self.outputs, False)):
            for s in streams:
                payload, valid, ready = s.signals()
                found += [(*payload, coming), (*valid, coming), (*ready, not coming)]
        return found

    def modules(self, top: str) -> list[str]:
        """Verilog lines: the module `top`, and those that it has inside."""
        w = Text(top, 0)
        for name, width, _ in self.ports():
            w.sizes[name] = width
        self.write(w)
        ports = [
            "input clk", "input rst",
            *(f"{'input' if coming else 'output'} {span(width)}{name}" for name, width, coming in
            self.ports()),
        ]  # fmt: skip
        return [
            f"// {self.title}",
            f"module {top}(", *(f"  {p}," for p in ports[:-1]), f"  {ports[-1]}", ");",
            *w.constants, *w.taken(), "endmodule", "", *w.modules,
        ]  # fmt: skip

    def component(self) -> tuple[Elaboratable, Mapping[str, Signal]]:
        """The part in Amaranth, and its ports by name."""
        pins = {name: Signal(width, name=name) for name, width, _ in self.ports()}
        return Component(self, pins), pins


class _Counting(Text):
    """Counts the bits of registers."""

    registers = 0

    def flop(self, name: str, width: int) -> Any:
        self.registers += width
        return super().flop(name, width)

    def memory(self, name: str, width: int, depth: int, init: Sequence[int] = ()) -> Any:
        self.registers += width
        return super().memory(name, width, depth, init)


class Component(Elaboratable):
    """A part in Amaranth."""

    _MustUse__silence = True

    def __init__(self, part: Part, pins: Mapping[str, Signal]) -> None:
        self.part, self.pins = part, pins

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.part.write(Circuit(m, Signal(0), Const(1), Const(1), self.pins))
        return m


def header(lines: Sequence[str]) -> list[str]:
    """Comment lines and lint pragmas at the head of a Verilog file."""
    return [*(f"// {line}" for line in lines), *(f"/* verilator lint_off {name} */" for name in LINT_OFF), ""]
