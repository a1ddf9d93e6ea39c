"""Cells per layer: the core's own Verilog cut into one module per block, mapped with the borders kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fxsim import cache
from rtl.emit import name_of
from rtl.lower.netlist import ADDERS, Net
from rtl.synth import mapping, tools
from rtl.synth.targets import Target, target

if TYPE_CHECKING:
    from rtl.core import Core
    from rtl.schedule.core import StreamCore

INPUTS, CONTROL = "(inputs)", "(control)"
"""Rows beside the graph's blocks: the input registers; the handshake, and what belongs to no block."""


@dataclass(frozen=True)
class Layer:
    """One outermost block of the graph (its kind), or value outside blocks (its op), as a module of its own;
    of a streamed core one part (its type), named by the block that it works for.

    first_stage, last_stage   pipeline stages that compute it (None for rows that are no block, and for parts)
    adders        of its netlist
    registers     bits that hold its values, up to the last stage that reads them, before synthesis
    utilization   its cells
    part, memory  of a part: its name, and the bits that it keeps in memories; else "" and None
    """

    name: str
    kind: str
    first_stage: int | None
    last_stage: int | None
    adders: int
    registers: int
    utilization: mapping.Utilization
    part: str = ""
    memory: int | None = None

    @property
    def stages(self) -> str:
        return "" if self.first_stage is None else f"{self.first_stage}..{self.last_stage}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def layers(
    core: Core | StreamCore, target: str | Target = "xc7", *, device: str | None = None,
    timeout: float = mapping.TIMEOUT,
) -> list[Layer]:  # fmt: skip
    """What each block of the graph takes: input registers, the blocks in the graph's order, the control. Of a
    streamed core: what each of its parts takes (`rtl.synth.parts`).

    The core's Verilog is cut along the borders of its blocks before anything is optimised: every operator
    goes to the block whose value it computes, and a register to the block whose value it holds, though later
    stages read it. The parts are mapped together by the target's command, with their borders kept. So nothing
    is shared, simplified or packed across a border, and the parts need not sum to the cells of the whole.

    Raises what `synthesize` does.
    """
    family = _family(target)
    if hasattr(core, "network"):
        from rtl.synth.parts import parts as of_parts

        return of_parts(core, family, device=device, timeout=timeout)
    command = mapping.command(family, device)
    parts = _parts(core)
    verilog = core.verilog()
    script = (
        f"read_json parts.json; hierarchy -top {core.top}; submod; "
        f"setattr -mod -set keep_hierarchy 1 {core.top}_part*; {command} -top {core.top}; "
        "tee -q -o stat.json stat -json"
    )
    key = cache.digest(verilog, json.dumps(parts), _CUT, script, tools.YOSYS.version)
    with cache.entry("layers", key) as draft:
        if not draft.ready:
            words = draft.path / "words.json"
            (draft.path / "design.v").write_text(verilog, encoding="utf-8")
            mapping.yosys(_CUT.format(top=core.top), core.top, draft.path, timeout)
            netlist = json.loads(words.read_text())
            assign(netlist["modules"][core.top], parts)
            (draft.path / "parts.json").write_text(json.dumps(netlist))
            mapping.yosys(script, core.top, draft.path, timeout)
            for name in ("design.v", "words.json", "parts.json"):
                (draft.path / name).unlink()
        stat = json.loads((draft.publish() / "stat.json").read_text())
    modules = {name.lstrip("\\"): entry["num_cells_by_type"] for name, entry in stat["modules"].items()}
    own = {k: n for k, n in modules[core.top].items() if k.lstrip("\\") not in modules}
    rest = mapping.Utilization.of(own, family)
    assert family.free.issuperset(rest.cells), rest
    return [_row(core, k, modules, family) for k in range(-1, len(core.sections()) + 1)]


_family = target  # the function, where a parameter has its name

# The word-level netlist, before anything is optimised.
_CUT = (
    "read_verilog design.v; hierarchy -check -top {top}; proc; flatten; memory_collect; opt_clean; "
    "select -module {top}; write_json -selected words.json"
)


def _parts(core: Core) -> dict[str, list[int]]:
    """Signal -> the section whose value each bit carries (one entry: all bits); -1: inputs, last: control."""
    sections = core.sections()
    place = {n: -1 for n in core.plan.nets if n.kind == "input"}
    place |= {n: k for k, section in enumerate(sections) for n in section.nets}
    parts = {
        name_of(net, stage, core.plan): [k]
        for net, k in place.items()
        for stage in range(core.plan.stage[net], core.plan.until[net] + 1)
    }
    control = len(sections)
    lanes = [place.get(net, control) for net in core.payload_nets]
    return parts | {name: [control] for name in core.control_names} | {"o__payload": lanes}


def assign(module: dict[str, Any], parts: Mapping[str, list[int]]) -> None:
    """Set the attribute `submod` of the cells of a word-level JSON netlist, by the signals in `parts`.

    A cell belongs to the signal that it drives; where that has several names, to the first section, since
    the others are slices of it. A cell that drives no signal of `parts` belongs to its readers, again to the
    first.
    """
    owner: dict[int, int] = {}
    for name, net in module["netnames"].items():
        each = parts.get(name, [])
        for bit, part in zip(net["bits"], each if len(each) != 1 else each * len(net["bits"]), strict=False):
            if isinstance(bit, int):  # not a constant
                owner[bit] = min(part, owner.get(bit, part))
    cells, drivers, readers = module["cells"], dict[int, str](), dict[str, set[str]]()
    for name, cell in cells.items():
        for bit in _bits(cell, "output"):
            drivers[bit] = name
    for name, cell in cells.items():
        for bit in _bits(cell, "input"):
            if bit in drivers:
                readers.setdefault(drivers[bit], set()).add(name)
    found: dict[str, int | None] = {}
    for name, cell in cells.items():
        found[name] = min((owner[b] for b in _bits(cell, "output") if b in owner), default=None)
    # Towards the inputs, one layer of nameless cells at a time; expressions are a few operators deep.
    open_cells = [name for name in cells if found[name] is None]
    while open_cells:
        now = {
            name: min(p for r in readers.get(name, ()) if (p := found[r]) is not None)
            for name in open_cells
            if any(found[r] is not None for r in readers.get(name, ()))
        }
        if not now:
            break
        found |= now
        open_cells = [name for name in open_cells if name not in now]
    for name, part in found.items():
        if part is not None:
            cells[name]["attributes"]["submod"] = f"part{part}"


def _bits(cell: Mapping[str, Any], direction: str) -> list[int]:
    ports = cell["port_directions"]
    return [
        bit
        for port, bits in cell["connections"].items()
        if ports[port] == direction
        for bit in bits
        if isinstance(bit, int)
    ]


def _row(core: Core, k: int, modules: Mapping[str, Mapping[str, int]], family: Target) -> Layer:
    used = mapping.Utilization.of(modules.get(f"{core.top}_part{k}", {}), family)
    plan = core.plan
    if k < 0:
        nets: list[Net] = [n for n in plan.nets if n.kind == "input"]
        registers = sum(n.width * (1 + plan.until[n] - plan.first_register(n)) for n in nets)
        return Layer(INPUTS, "", None, None, 0, registers, used)
    if k == len(core.sections()):
        return Layer(CONTROL, "", None, None, 0, core.control_registers, used)
    section = core.sections()[k]
    stages = [plan.stage[n] for n in section.nets]
    registers = sum(n.width * (plan.until[n] - plan.first_register(n)) for n in section.nets)
    adders = sum(n.kind in ADDERS for n in section.nets)
    return Layer(section.name, section.kind, min(stages), max(stages), adders, registers, used)
