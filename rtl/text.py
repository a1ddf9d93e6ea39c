"""Writes Verilog text: vectors as lists of named parts, signals, registers, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rtl.emit import cases_of
from rtl.lower.net import Net

# A cast leaves bits of a wire unread; tables are modules of their own in the same file. All else of
# `verilator --lint-only -Wall` stays on.
LINT_OFF = ("UNUSEDSIGNAL", "DECLFILENAME")


def span(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


class Part(NamedTuple):
    """An expression of `width` bits.

    Some can be cut: bits of the signal `name` from `start` on, a constant with its value, copies of one bit.
    """

    text: str
    width: int
    atom: bool = False
    value: int | None = None
    name: str = ""
    start: int = 0
    copied: str = ""


Vector = tuple[Part, ...]
"""Parts side by side, the least significant first."""


def _constant(value: int, width: int) -> Part:
    return Part(f"{width}'d{value}" if value < 1024 else f"{width}'h{value:x}", width, atom=True, value=value)


def _copies(bit: str, count: int) -> Part:
    return Part(f"{{{count}{{{bit}}}}}" if count > 1 else bit, count, atom=count > 1, copied=bit)


def text_of(v: Vector) -> str:
    if len(v) == 1:
        return v[0].text
    return "{" + ", ".join(p.text for p in reversed(v)) + "}"


def _operand(v: Vector) -> str:
    return text_of(v) if len(v) != 1 or v[0].atom else f"({v[0].text})"


class Text:
    """Writes Verilog (`rtl.emit.Writer`). All signals are unsigned vectors, and extended in so many words."""

    def __init__(self, top: str, in_bits: int) -> None:
        self.top = top
        self.sizes = {"i__payload": in_bits}  # widths of signals
        self.lines: list[str] = []
        self.updates: list[str] = []
        self.resets: list[str] = []  # of state registers
        self.steps: list[str] = []
        self.loads: dict[tuple[str, bool], list[tuple[str, str, str]]] = {}  # by enable, and with a reset
        self.constants: list[str] = []
        self.modules: list[str] = []

    def taken(self) -> list[str]:
        """The lines since the last call."""
        lines, self.lines = self.lines, []
        if self.updates:
            lines += ["  always @(posedge clk)", "    if (advance) begin", *self.updates, "    end"]
            self.updates = []
        if self.steps:
            lines += ["  always @(posedge clk)", "    if (rst) begin", *self.resets]
            lines += ["    end else if (advance & valid[0]) begin", *self.steps, "    end"]
            self.resets, self.steps = [], []
        for (enable, reset), items in self.loads.items():
            lines.append("  always @(posedge clk)")
            if reset:
                lines += ["    if (rst) begin", *(f"      {name} <= {zero};" for name, zero, _ in items)]
            head = f"if ({enable}) begin" if enable else "begin"
            lines.append(f"    end else {head}" if reset else f"    {head}")
            lines += [*(f"      {name} <= {text};" for name, _, text in items), "    end"]
        self.loads = {}
        return lines

    # ---- vectors --------------------------------------------------------------------------------------

    def width(self, v: Vector) -> int:
        return sum(p.width for p in v)

    def constant(self, value: int, width: int) -> Vector:
        return (_constant(value & (1 << width) - 1, width),) if width else ()

    def cut(self, v: Vector, start: int, stop: int) -> Vector:
        out, at = [], 0
        for part in v:
            first, last = max(start - at, 0), min(stop - at, part.width)
            at += part.width
            if first >= last:
                continue
            if last - first == part.width:
                out.append(part)
            elif part.value is not None:
                out.append(_constant(part.value >> first & (1 << last - first) - 1, last - first))
            elif part.copied:
                out.append(_copies(part.copied, last - first))
            else:
                assert part.name, part.text
                out.append(self._bits(part.name, part.start + first, last - first))
        return tuple(out)

    def _bits(self, name: str, start: int, width: int) -> Part:
        end = start + width - 1
        whole = start == 0 and width == self.sizes[name]
        text = name if whole else f"{name}[{start}]" if width == 1 else f"{name}[{end}:{start}]"
        return Part(text, width, atom=True, name=name, start=start)

    def join(self, *vectors: Vector) -> Vector:
        out: list[Part] = []
        for v in vectors:
            for part in v:
                last = out[-1] if out else None
                if last and last.value is not None and part.value is not None:
                    out[-1] = _constant(last.value | part.value << last.width, last.width + part.width)
                elif last and last.name and last.name == part.name and part.start == last.start + last.width:
                    out[-1] = self._bits(last.name, last.start, last.width + part.width)
                else:
                    out.append(part)
        return tuple(out)

    def repeat(self, bit: Vector, count: int) -> Vector:
        if not count:
            return ()
        value = bit[0].value
        return (_copies(text_of(bit), count),) if value is None else self.constant(-value, count)

    # ---- operators ------------------------------------------------------------------------------------

    def _made(self, text: str, width: int, atom: bool = False) -> Vector:
        return (Part(text, width, atom=atom),)

    def add(self, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(a)} + {_operand(b)}", self.width(a))

    def subtract(self, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(a)} - {_operand(b)}", self.width(a))

    def invert(self, a: Vector) -> Vector:
        return self._made(f"~{_operand(a)}", self.width(a), atom=True)

    def bitwise(self, kind: str, a: Vector, b: Vector) -> Vector:
        symbol = {"and": "&", "or": "|", "xor": "^"}[kind]
        return self._made(f"{_operand(a)} {symbol} {_operand(b)}", self.width(a))

    def any(self, a: Vector) -> Vector:
        return self._reduced("|", a)

    def all(self, a: Vector) -> Vector:
        return self._reduced("&", a)

    def _reduced(self, symbol: str, a: Vector) -> Vector:
        if self.width(a) == 1:
            return a
        text = text_of(a)
        return self._made(f"{symbol}{text}" if a[0].name or len(a) > 1 else f"{symbol}({text})", 1)

    def equal(self, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(a)} == {_operand(b)}", 1)

    def less(self, a: Vector, b: Vector, signed: bool) -> Vector:
        if signed:
            return self._made(f"$signed({text_of(a)}) < $signed({text_of(b)})", 1)
        return self._made(f"{_operand(a)} < {_operand(b)}", 1)

    def pick(self, c: Vector, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(c)} ? {_operand(a)} : {_operand(b)}", self.width(a))

    # ---- statements -----------------------------------------------------------------------------------

    def lane(self, offset: int, width: int) -> Vector:
        return (self._bits("i__payload", offset, width),)

    def signal(self, name: str, net: Net, v: Vector) -> Vector:
        return self.wire(name, v)

    def register(self, name: str, net: Net, v: Vector) -> Vector:
        width = self.sizes[name] = net.width
        self.lines.append(f"  reg {span(width)}{name};")
        self.updates.append(f"      {name} <= {text_of(v)};")
        return (self._bits(name, 0, width),)

    def state(self, name: str, net: Net, init: int) -> Vector:
        width = self.sizes[name] = net.width
        self.lines.append(f"  reg {span(width)}{name};")
        return (self._bits(name, 0, width),)

    def next_state(self, name: str, init: int, v: Vector) -> None:
        self.resets.append(f"      {name} <= {text_of(self.constant(init, self.sizes[name]))};")
        self.steps.append(f"      {name} <= {text_of(v)};")

    def pin(self, name: str, width: int) -> Vector:
        self.sizes[name] = width
        return (self._bits(name, 0, width),)

    def drive(self, name: str, v: Vector) -> Vector:
        self.lines.append(f"  assign {name} = {text_of(v)};")
        return self.pin(name, self.width(v))

    def wire(self, name: str, v: Vector) -> Vector:
        width = self.sizes[name] = self.width(v)
        self.lines.append(f"  wire {span(width)}{name} = {text_of(v)};")
        return (self._bits(name, 0, width),)

    def flop(self, name: str, width: int) -> Vector:
        self.lines.append(f"  reg {span(width)}{name};")
        return self.pin(name, width)

    def load(self, name: str, v: Vector, enable: Vector = (), reset: bool = False) -> None:
        zero = text_of(self.constant(0, self.sizes[name]))
        self.loads.setdefault((text_of(enable) if enable else "", reset), []).append((name, zero, text_of(v)))

    def memory(self, name: str, width: int, depth: int, init: Sequence[int] = ()) -> Vector:
        self.lines += [f"  reg {span(width)}{name} [0:{depth - 1}];", f"  reg {span(width)}{name}_data;"]
        words = [*init, *[0] * (depth - len(init))] if init else []
        if words:
            texts = (text_of(self.constant(v, width)) for v in words)
            self.lines += [
                "  initial begin",
                *(f"    {name}[{k}] = {t};" for k, t in enumerate(texts)),
                "  end",
            ]
        return self.pin(f"{name}_data", width)

    def access(
        self, name: str, address: Vector, enable: Vector, write: tuple[Vector, Vector, Vector] | None = None
    ) -> None:
        self.lines.append("  always @(posedge clk) begin")
        if write is not None:
            where, word, when = (text_of(v) for v in write)
            self.lines.append(f"    if ({when}) {name}[{where}] <= {word};")
        self.lines.append(f"    if ({text_of(enable)}) {name}_data <= {name}[{text_of(address)}];")
        self.lines.append("  end")

    def helper(self, net: Net, v: Vector) -> Vector:
        return self.wire(f"{net.name}_sum", v)

    def entry(self, bits: int, index: Vector) -> Vector:
        size = 1 << self.width(index)
        if bits in (0, (1 << size) - 1):
            return self.constant(bits & 1, 1)
        name = f"lut{size}_{bits:x}"
        if name not in self.sizes:
            self.sizes[name] = size
            self.constants.append(f"  localparam [{size - 1}:0] {name} = {size}'h{bits:x};")
        return self._made(f"{name}[{text_of(index)}]", 1, atom=True)

    def rom(self, name: str, net: Net, index: Vector) -> Vector:
        width = self.sizes[name] = net.width
        size = self.width(index)
        self.lines.append(f"  wire {span(width)}{name};")
        ports = f".{name}_index({text_of(index)}), .{name}({name})"
        self.lines.append(f"  {self.top}_{name}_rom {name}_rom ({ports});")
        cases, rest = cases_of(net)
        self.modules += [
            f"module {self.top}_{name}_rom(",
            f"  input {span(size)}{name}_index,",
            f"  output reg {span(width)}{name}",
            ");",
            "  always @*",
            f"    case ({name}_index)",
            *(
                f"      {', '.join(text_of(self.constant(c, size)) for c in codes)}: "
                f"{name} = {text_of(self.constant(entry, width))};"
                for entry, codes in cases
            ),
            f"      default: {name} = {text_of(self.constant(rest, width))};",
            "    endcase",
            "endmodule",
            "",
        ]
        return (self._bits(name, 0, width),)
