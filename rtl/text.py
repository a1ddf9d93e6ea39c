"""Verilog text of a core: its signals in the graph's order, under a comment per block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rtl.emit import At, cases_of, emit, lanes
from rtl.lower.net import Net

if TYPE_CHECKING:
    from rtl.core import Core, Section

# A cast leaves bits of a wire unread; tables are modules of their own in the same file. All else of
# `verilator --lint-only -Wall` stays on.
LINT_OFF = ("UNUSEDSIGNAL", "DECLFILENAME")


def verilog(core: Core) -> str:
    """The Verilog of `core`: a function of its graph and options only."""
    w = Text(core.top, core.in_layout.bits)
    at: At = {}
    body = []
    if core.state:
        core.state.declare(w, core.plan.nets, at)
        body += ["", "  // state registers", *w.taken()]
    for title, nets in _groups(core):
        emit(w, core.plan, nets, at)
        body += ["", f"  // {title}", *w.taken()]
    if core.state:
        core.state.update(w, core.plan.nets, at)
        body += ["", "  // the new state, where a sample leaves the input registers", *w.taken()]
    payload = [_text(v) for v in lanes(w, core.outputs, core.plan, at)]
    off = [f"/* verilator lint_off {name} */" for name in LINT_OFF]
    return "\n".join(
        [
            *header(core), *off, "",
            f"module {core.top}(",
            "  input clk,",
            "  input rst,",
            f"  input {_range(core.in_layout.bits)}i__payload,",
            "  input i__valid,",
            "  output i__ready,",
            f"  output {_range(core.out_layout.bits)}o__payload,",
            "  output o__valid,",
            "  input o__ready",
            ");",
            *w.constants, *_handshake(core.latency), *body, "",
            "  // output",
            "  assign o__payload = {", *(f"    {v}," for v in payload[:0:-1]), f"    {payload[0]}", "  };",
            "endmodule", "",
            *w.modules,
        ]
    )  # fmt: skip


def _groups(core: Core) -> list[tuple[str, list[Net]]]:
    groups = [("input registers", [n for n in core.plan.nets if n.kind == "input"])]
    return groups + [(_section_line(core, s), s.nets) for s in core.sections()]


def _handshake(latency: int) -> list[str]:
    """The logic of `rtl.stream.handshake`."""
    last = latency - 1
    return [
        "",
        "  // handshake",
        f"  reg {_range(latency)}valid;",
        f"  wire advance = o__ready | ~valid[{last}];",
        "  assign i__ready = advance;",
        f"  assign o__valid = valid[{last}];",
        "  always @(posedge clk)",
        "    if (rst)",
        f"      valid <= {latency}'d0;",
        "    else if (advance)",
        f"      valid <= {{valid[{last - 1}:0], i__valid}};",
    ]


def header(core: Core) -> list[str]:
    """Comment lines: what the module is, its ports, its parts."""
    stages = f"{core.plan.stages} stages"
    if core.max_depth_per_stage is not None:
        stages += f" of at most {core.max_depth_per_stage:g} adders of depth"
    if core.clock_mhz is not None:
        stages += f" for {core.clock_mhz:g} MHz by the delays of {core.family.name}"
    lines = [
        f"{core.top}: written by fxsim",
        f"latency {core.latency} clock edges from i to o, one sample per clock; {stages}",
        f"{core.adders} adders, depth {core.depth:g}, {core.registers} register bits",
        "clk: rising edge; rst: synchronous, active high, empties the pipeline"
        + (" and sets the state to its initial value" if core.state else ""),
        "i__valid, i__ready and o__valid, o__ready: a sample moves at each edge where both are 1",
    ]
    state = [("state", core.state.layout)] if core.state else []
    for port, layout in (("i__payload", core.in_layout), *state, ("o__payload", core.out_layout)):
        for p, offset in zip(layout.ports, layout.offsets, strict=True):
            dims = "x".join(map(str, p.shape)) or "scalar"
            kind = f"{'signed' if p.signed else 'unsigned'} {p.width} bits, frac {p.frac}"
            lines.append(f"{port}[{offset + p.bits - 1}:{offset}]: {p.name}, {dims}, lane 0 lowest, {kind}")
    return [f"// {line}" for line in [*lines, *(_section_line(core, s) for s in core.sections())]]


def _section_line(core: Core, section: Section) -> str:
    stages = [core.plan.stage[n] for n in section.nets]
    ins, outs = ("; ".join(map(str, types)) for types in (section.inputs, section.outputs))
    adders = sum(n.kind in ("add", "sub", "neg") for n in section.nets)
    where = f"stages {min(stages)}..{max(stages)}"
    # A block has its name from the file; a line break there would end the comment.
    name = "".join(c if c.isprintable() else " " for c in section.name)
    return f"{section.kind} {name}: {ins} -> {outs}; {where}; {adders} adders"


def _range(width: int) -> str:
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


def _text(v: Vector) -> str:
    if len(v) == 1:
        return v[0].text
    return "{" + ", ".join(p.text for p in reversed(v)) + "}"


def _operand(v: Vector) -> str:
    return _text(v) if len(v) != 1 or v[0].atom else f"({v[0].text})"


class Text:
    """Writes Verilog (`rtl.emit.Writer`). All signals are unsigned vectors, and extended in so many words."""

    def __init__(self, top: str, in_bits: int) -> None:
        self.top = top
        self.sizes = {"i__payload": in_bits}  # widths of signals
        self.lines: list[str] = []
        self.updates: list[str] = []
        self.resets: list[str] = []  # of state registers
        self.steps: list[str] = []
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
        return (_copies(_text(bit), count),) if value is None else self.constant(-value, count)

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
        text = _text(a)
        return self._made(f"{symbol}{text}" if a[0].name or len(a) > 1 else f"{symbol}({text})", 1)

    def equal(self, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(a)} == {_operand(b)}", 1)

    def less(self, a: Vector, b: Vector, signed: bool) -> Vector:
        if signed:
            return self._made(f"$signed({_text(a)}) < $signed({_text(b)})", 1)
        return self._made(f"{_operand(a)} < {_operand(b)}", 1)

    def pick(self, c: Vector, a: Vector, b: Vector) -> Vector:
        return self._made(f"{_operand(c)} ? {_operand(a)} : {_operand(b)}", self.width(a))

    # ---- statements -----------------------------------------------------------------------------------

    def lane(self, offset: int, width: int) -> Vector:
        return (self._bits("i__payload", offset, width),)

    def signal(self, name: str, net: Net, v: Vector) -> Vector:
        return self._wire(name, v)

    def _wire(self, name: str, v: Vector) -> Vector:
        width = self.sizes[name] = self.width(v)
        self.lines.append(f"  wire {_range(width)}{name} = {_text(v)};")
        return (self._bits(name, 0, width),)

    def register(self, name: str, net: Net, v: Vector) -> Vector:
        width = self.sizes[name] = net.width
        self.lines.append(f"  reg {_range(width)}{name};")
        self.updates.append(f"      {name} <= {_text(v)};")
        return (self._bits(name, 0, width),)

    def state(self, name: str, net: Net, init: int) -> Vector:
        width = self.sizes[name] = net.width
        self.lines.append(f"  reg {_range(width)}{name};")
        return (self._bits(name, 0, width),)

    def next_state(self, name: str, init: int, v: Vector) -> None:
        self.resets.append(f"      {name} <= {_text(self.constant(init, self.sizes[name]))};")
        self.steps.append(f"      {name} <= {_text(v)};")

    def helper(self, net: Net, v: Vector) -> Vector:
        return self._wire(f"{net.name}_sum", v)

    def entry(self, bits: int, index: Vector) -> Vector:
        size = 1 << self.width(index)
        if bits in (0, (1 << size) - 1):
            return self.constant(bits & 1, 1)
        name = f"lut{size}_{bits:x}"
        if name not in self.sizes:
            self.sizes[name] = size
            self.constants.append(f"  localparam [{size - 1}:0] {name} = {size}'h{bits:x};")
        return self._made(f"{name}[{_text(index)}]", 1, atom=True)

    def rom(self, name: str, net: Net, index: Vector) -> Vector:
        width = self.sizes[name] = net.width
        size = self.width(index)
        self.lines.append(f"  wire {_range(width)}{name};")
        ports = f".{name}_index({_text(index)}), .{name}({name})"
        self.lines.append(f"  {self.top}_{name}_rom {name}_rom ({ports});")
        cases, rest = cases_of(net)
        self.modules += [
            f"module {self.top}_{name}_rom(",
            f"  input {_range(size)}{name}_index,",
            f"  output reg {_range(width)}{name}",
            ");",
            "  always @*",
            f"    case ({name}_index)",
            *(
                f"      {', '.join(_text(self.constant(c, size)) for c in codes)}: "
                f"{name} = {_text(self.constant(entry, width))};"
                for entry, codes in cases
            ),
            f"      default: {name} = {_text(self.constant(rest, width))};",
            "    endcase",
            "endmodule",
            "",
        ]
        return (self._bits(name, 0, width),)
