"""A core as a Verilog module: its signals in the graph's order, under a comment per block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fxsim.iterate.stops import STATUS
from rtl.emit import At, emit, lanes
from rtl.layout import Layout
from rtl.pipeline import Schedule
from rtl.text import LINT_OFF, Text, span, text_of

if TYPE_CHECKING:
    from rtl.core import Core
    from rtl.design import Design, Section
    from rtl.iterate import IterateCore


def verilog(core: Core) -> str:
    """The Verilog of `core`: a function of its graph and options only."""
    w = Text(core.top, core.in_layout.bits)
    at: At = {}
    body = _handshake(core.latency)
    if core.state:
        core.state.declare(w, core.plan.nets, at)
        body += ["", "  // state registers", *w.taken()]
    body += sections(w, core, core.plan, at)
    if core.state:
        core.state.update(w, core.plan.nets, at)
        body += ["", "  // the new state, where a sample leaves the input registers", *w.taken()]
    payload = [text_of(v) for v in lanes(w, core.outputs, core.plan, at)]
    body += ["", "  // output", "  assign o__payload = {", *(f"    {v}," for v in payload[:0:-1])]
    return module(core, header(core), w, [*body, f"    {payload[0]}", "  };"])


def module(
    core: Design, comments: Sequence[str], w: Text, body: Sequence[str], ports: Sequence[str] = ()
) -> str:
    """The text of a module with streams i and o, and further ports."""
    declared = [
        "input clk", "input rst",
        f"input {span(core.in_layout.bits)}i__payload", "input i__valid", "output i__ready",
        f"output {span(core.out_layout.bits)}o__payload", "output o__valid", "input o__ready", *ports,
    ]  # fmt: skip
    return "\n".join(
        [
            *(f"// {line}" for line in comments),
            *(f"/* verilator lint_off {name} */" for name in LINT_OFF), "",
            f"module {core.top}(", *(f"  {p}," for p in declared[:-1]), f"  {declared[-1]}", ");",
            *w.constants, *body, "endmodule", "",
            *w.modules,
        ]
    )  # fmt: skip


def sections(w: Text, core: Design, plan: Schedule, at: At, inputs: bool = True) -> list[str]:
    """The nets of a schedule, a comment before each part of the graph."""
    groups = [("input registers", [n for n in plan.nets if n.kind == "input"])] if inputs else []
    body = []
    for title, nets in groups + [(section_line(core, s), s.nets) for s in core.sections()]:
        emit(w, plan, nets, at)
        body += ["", f"  // {title}", *w.taken()]
    return body


def _handshake(latency: int) -> list[str]:
    """The logic of `rtl.stream.handshake`."""
    last = latency - 1
    return [
        "",
        "  // handshake",
        f"  reg {span(latency)}valid;",
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
    state = [("state", core.state.layout)] if core.state else []
    return [
        f"{core.top}: written by fxsim",
        f"latency {core.latency} clock edges from i to o, one sample per clock; {stages_line(core)}",
        f"{core.adders} adders, depth {core.depth:g}, {core.registers} register bits",
        "clk: rising edge; rst: synchronous, active high, empties the pipeline"
        + (" and sets the state to its initial value" if core.state else ""),
        "i__valid, i__ready and o__valid, o__ready: a sample moves at each edge where both are 1",
        *port_lines([("i__payload", core.in_layout), *state, ("o__payload", core.out_layout)]),
        *(section_line(core, s) for s in core.sections()),
    ]


def stages_line(core: Design) -> str:
    stages = f"{core.plan.stages} stages"
    if core.max_depth_per_stage is not None:
        stages += f" of at most {core.max_depth_per_stage:g} adders of depth"
    if core.clock_mhz is not None:
        stages += f" for {core.clock_mhz:g} MHz by the delays of {core.family.name}"
    return stages


def port_lines(payloads: Sequence[tuple[str, Layout]]) -> list[str]:
    """One line per tensor of the payloads: its bits, shape and format."""
    lines = []
    for port, layout in payloads:
        for p, offset in zip(layout.ports, layout.offsets, strict=True):
            dims = "x".join(map(str, p.shape)) or "scalar"
            kind = f"{'signed' if p.signed else 'unsigned'} {p.width} bits, frac {p.frac}"
            lines.append(f"{port}[{offset + p.bits - 1}:{offset}]: {p.name}, {dims}, lane 0 lowest, {kind}")
    return lines


def section_line(core: Design, section: Section) -> str:
    stages = [core.plan.stage[n] for n in section.nets]
    ins, outs = ("; ".join(map(str, types)) for types in (section.inputs, section.outputs))
    adders = sum(n.kind in ("add", "sub", "neg") for n in section.nets)
    where = f"stages {min(stages)}..{max(stages)}"
    # A block has its name from the file; a line break there would end the comment.
    name = "".join(c if c.isprintable() else " " for c in section.name)
    return f"{section.kind} {name}: {ins} -> {outs}; {where}; {adders} adders"


def ring_verilog(core: IterateCore) -> str:
    """The Verilog of a unit's core: a function of the unit and the options only."""
    w = Text(core.top, core.in_layout.bits)
    at: At = {}
    core.ring.declare(w, at)
    body = ["", "  wire advance;", "", "  // registers at the ring's entry", *w.taken()]
    emit(w, core.plan, [n for n in core.plan.nets if n.kind == "input"], at)
    body += sections(w, core, core.plan, at, inputs=False)
    core.ring.close(w, at)
    body += ["", "  // the ring: who ends, who enters, and the result", *w.taken()]
    return module(core, ring_header(core), w, body, ("input cancel", "output busy"))


def ring_header(core: IterateCore) -> list[str]:
    unit = core.unit
    lines = str(unit).split("; ")
    formula = f"steps * {core.slots * core.clocks} + 1" if core.slots * core.clocks > 1 else "steps + 1"
    begins = "the stream's" if core.brings_start else "the unit's own"
    order = "in order" if core.slots == 1 else "in the order in which they end"
    return [
        f"{core.top}: written by fxsim; iteration unit",
        *lines,
        f"start: {begins}; a problem of `steps` sweeps takes {formula} clock edges from i to o",
        f"{core.slots} slots, {core.clocks} passes per sweep; results {order}; {stages_line(core)}",
        f"{core.adders} adders, depth {core.depth:g}, {core.registers} register bits",
        "clk: rising edge; rst: synchronous, active high, empties the ring",
        "i__valid, i__ready and o__valid, o__ready: a problem or result moves at each edge where both are 1",
        "cancel: every problem inside leaves after its pass; busy: a problem or result is inside",
        f"status: {', '.join(f'{k} {name}' for k, name in enumerate(STATUS) if k)}",
        *port_lines([("i__payload", core.in_layout), ("o__payload", core.out_layout)]),
        *(section_line(core, s) for s in core.sections()),
    ]
