"""The two writers of wrappers, Verilog text and Amaranth: signals as in cores, an instance, a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth import DomainRenamer, Module, Signal
from amaranth.hdl import Const, ResetSignal

from rtl.circuit import Circuit
from rtl.text import Text, Vector, span, text_of
from rtl.wrap.parts import Parts

CORE_DOMAIN = "axi_core"
"""Clock domain of the core within a wrapper: the wrapper's clock, and the reset `core__rst`."""


class WrapText(Text):
    """Verilog of a wrapper; its clock and reset are called clk and rst inside, as in cores."""

    def __init__(self, top: str) -> None:
        super().__init__(top, 0)
        self.body: list[str] = []

    def title(self, text: str) -> None:
        """A comment before what follows."""
        self.flush()
        self.lines += ["", f"  // {text}"]

    def flush(self) -> None:
        """Ends a part: its registers are written behind its signals."""
        self.body += self.taken()

    def lanes(self, name: str, parts: Sequence[Vector]) -> Vector:
        """A signal of these parts side by side, the first one lowest, each on a line of its own."""
        width = sum(map(self.width, parts))
        rows = [f"    {text_of(p)}," for p in reversed(parts)]
        rows[-1] = rows[-1][:-1]
        self.lines += [f"  wire {span(width)}{name} = {{", *rows, "  };"]
        return self.pin(name, width)

    def case(self, name: str, index: Vector, entries: Mapping[int, Vector], width: int) -> Vector:
        """entries[index], 0 where there is none."""
        self.lines += [
            f"  reg {span(width)}{name};", "  always @*", f"    case ({text_of(index)})",
            *(
                f"      {text_of(self.constant(k, self.width(index)))}: {name} = {text_of(v)};"
                for k, v in entries.items()
            ),
            f"      default: {name} = {text_of(self.constant(0, width))};", "    endcase",
        ]  # fmt: skip
        return self.pin(name, width)

    def core(self, parts: Parts, inputs: Mapping[str, Vector], reset: Vector) -> dict[str, Vector]:
        """The core with these inputs; its outputs."""
        outputs = {name: pin.width for name, pin in parts.pins.items() if not pin.input}
        self.lines += [f"  wire {span(width)}{name};" for name, width in outputs.items()]
        given = {"clk": "clk", "rst": text_of(reset), **{n: text_of(v) for n, v in inputs.items()}}
        ports = [f"    .{name}({given.get(name, name)})," for name in ("clk", "rst", *parts.pins)]
        ports[-1] = ports[-1][:-1]
        self.lines += [f"  {parts.top} core(", *ports, "  );"]
        return {name: self.pin(name, width) for name, width in outputs.items()}


class WrapCircuit(Circuit):
    """Amaranth statements of a wrapper."""

    def __init__(self, m: Module, pins: Mapping[str, Signal]) -> None:
        super().__init__(m, Signal(0), Const(1), Const(1), pins)

    def title(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass

    def lanes(self, name: str, parts: Sequence[Any]) -> Any:
        return self.wire(name, self.join(*parts))

    def case(self, name: str, index: Any, entries: Mapping[int, Any], width: int) -> Any:
        out = Signal(width, name=name)
        with self.m.Switch(index):
            for k, v in entries.items():
                with self.m.Case(k):
                    self.m.d.comb += out.eq(v)
        return out

    def core(self, parts: Parts, inputs: Mapping[str, Any], reset: Any) -> dict[str, Any]:
        self.m.submodules.core = DomainRenamer(CORE_DOMAIN)(parts.core)
        values = {
            "__".join(map(str, path)): value
            for path, _, value in parts.core.signature.flatten(parts.core)
        }  # fmt: skip
        self.m.d.comb += [values[name].eq(v) for name, v in inputs.items()]
        self.m.d.comb += ResetSignal(CORE_DOMAIN).eq(reset)
        return {name: values[name] for name, pin in parts.pins.items() if not pin.input}
