"""Clock frequency of a module from nextpnr: its netlist between registers, placed and routed without pins."""

from __future__ import annotations

import gzip
import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fxsim import cache
from rtl.synth import mapping, tools
from rtl.synth.harness import CORE, TOP, Harness, harness
from rtl.synth.targets import CLASSES, TARGETS, Device, Target, target


@dataclass(frozen=True)
class Route:
    """One run of nextpnr, and the slowest path from register to register in it.

    mhz         highest frequency of the clock
    logic, routing   nanoseconds of that path in cells (clock-to-output and setup included) and in wires
    start, end  cells where the path begins and ends
    """

    seed: int
    mhz: float
    logic: float
    routing: float
    start: str
    end: str


@dataclass(frozen=True)
class Fmax:
    """Clock frequency of a module, register to register, without pins.

    mhz        median over the seeds
    runs       one per seed, in their order
    device     the chip, and `used` what the module and its harness take of it: cell type -> (used, there)
    registers  flip-flops of the harness
    """

    top: str
    target: str
    device: str
    clock: str
    mhz: float
    runs: tuple[Route, ...]
    registers: int
    used: Mapping[str, tuple[int, int]]
    tools: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"seeds": self.seeds}


class _DoesNotFit(Exception):
    """Why a design does not fit a device, in words."""


def fmax(
    verilog: str,
    top: str,
    target: str | Target = "ecp5",
    *,
    device: str | None = None,
    seeds: int | Sequence[int] = 1,
    clock: str = "clk",
    files: Mapping[str, str] | None = None,
    system_verilog: bool = False,
    timeout: float = mapping.TIMEOUT,
) -> Fmax:
    """Map module `top` as `synthesize` does, place and route it between registers, and time it.

    target      one with nextpnr: "ecp5" (speed grade 6) or "ice40"
    device      a name of `TARGETS[target].devices`; default: the smallest that it fits, harness included
    seeds       of the placement: that many, from 1 on, or the numbers themselves
    clock       the input port of the clock; a combinational module needs none
    timeout     seconds for each run of a tool

    The netlist is the one that `synthesize` counts: the harness is mapped apart and joined to it, so nothing
    is optimised across the border. Results are cached, one by one per seed.

    Raises what `synthesize` does, and ValueError for a target without nextpnr, where the module does not fit
    the device (or any), for a clock that is not its input or not its only one, and for ports that have no
    direction.
    """
    family = _family(target)
    numbers = check(family, device, seeds)
    options = {"files": files, "system_verilog": system_verilog, "timeout": timeout}
    refused: list[str] = []
    for chip in [family.device(device)] if device is not None else _automatic(family):
        core = mapping.run(verilog, top, family, mapping.command(family, chip.name), **options)
        try:
            netlist = core.netlist()
            made = harness(netlist["modules"][top], top, clock, bool(core.ff + core.bram + core.lutram))
            _check_size(core, chip, made.registers)
            bench = _join(core, netlist, made, family, chip, timeout)
            found = [_route(bench, family, chip, seed, timeout) for seed in numbers]
        except _DoesNotFit as reason:
            refused.append(f"{family.name} {chip.name}: {reason}")
            continue
        runs = tuple(Route(seed, **_slowest(report)) for seed, report in zip(numbers, found, strict=True))
        return Fmax(
            top=top, target=family.name, device=chip.name, clock=clock, runs=runs,
            mhz=statistics.median(run.mhz for run in runs), registers=made.registers, used=found[0]["used"],
            tools=(tools.YOSYS.version, tools.NEXTPNR[family.nextpnr[0]].version),
        )  # fmt: skip
    raise ValueError(f"module {top!r} must fit the device, but: " + "; ".join(refused))


_family = target  # the function, where a parameter has its name


def check(family: Target, device: str | None, seeds: int | Sequence[int]) -> list[int]:
    """The seeds as numbers; raises what `fmax` raises for its arguments and for missing tools, at once."""
    if not family.nextpnr:
        able = ", ".join(name for name, t in TARGETS.items() if t.nextpnr)
        raise ValueError(f"target must be one of {able} for a clock frequency, not {family.name!r}")
    if device is not None:
        family.device(device)
    numbers = list(range(1, seeds + 1)) if isinstance(seeds, int) else [int(s) for s in seeds]
    if isinstance(seeds, bool) or not numbers or min(numbers) < 0:
        raise ValueError(f"seeds must be a number of at least 1, or numbers of at least 0, not {seeds!r}")
    tools.YOSYS.check()
    tools.NEXTPNR[family.nextpnr[0]].check()
    return numbers


def _automatic(family: Target) -> Iterator[Device]:
    return (chip for chip in family.devices if chip.automatic)


def _check_size(core: mapping.Synthesis, chip: Device, registers: int) -> None:
    """Spare nextpnr the designs that cannot fit."""
    luts, ffs = core.lut + core.lutram, core.ff + registers
    if max(luts, ffs) > chip.luts:
        raise _DoesNotFit(
            f"{luts} LUTs, {core.ff} + {registers} flip-flops (module + harness) for {chip.luts} of each"
        )


def _join(
    core: mapping.Synthesis,
    netlist: dict[str, Any],
    made: Harness,
    family: Target,
    chip: Device,
    timeout: float,
) -> Path:
    """The entry of the cache with the netlist of the harness, mapped, around that of the module, as it is."""
    script = (
        f"read_verilog harness.v; {mapping.command(family, chip.name)} -top {TOP}; delete ={CORE}; "
        f"read_json core.json; rename {core.top} {CORE}; hierarchy -check -top {TOP}; flatten; "
        f"tee -q -o stat.json stat -json; select -module {TOP}; write_json -selected bench.json"
    )
    text = json.dumps(netlist)
    with cache.entry("bench", cache.digest(made.verilog, text, script, tools.YOSYS.version)) as draft:
        if not draft.ready:
            (draft.path / "harness.v").write_text(made.verilog, encoding="utf-8")
            (draft.path / "core.json").write_text(text, encoding="utf-8")
            mapping.yosys(script, TOP, draft.path, timeout)
            (draft.path / "core.json").unlink()
            mapping.pack(draft.path / "bench.json")
            stat = json.loads((draft.path / "stat.json").read_text())
            both = mapping.Utilization.of(mapping.cells_of(stat), family)
            added = {"ff": made.registers}
            assert all(getattr(both, c) == getattr(core, c) + added.get(c, 0) for c in CLASSES), both
        return draft.publish()


def _route(bench: Path, family: Target, chip: Device, seed: int, timeout: float) -> dict[str, Any]:
    """nextpnr's report on one seed, and `used`; _DoesNotFit where the design is too large."""
    tool = tools.NEXTPNR[family.nextpnr[0]]
    arguments = [
        *chip.arguments, *family.nextpnr[1:], "--json", "bench.json", "--report", "report.json",
        "--seed", str(seed), "--timing-allow-fail",
    ]  # fmt: skip
    key = cache.digest(bench.name, arguments, tool.version)
    with cache.entry("place", key) as draft:
        if not draft.ready:
            netlist = draft.path / "bench.json"
            netlist.write_bytes(gzip.decompress((bench / "bench.json.gz").read_bytes()))
            # nextpnr tries for hours to place more cells than there are.
            status, log = tools.run(tool, arguments, folder=draft.path, timeout=timeout, stop=_too_many)
            used = utilisation(log)
            if status:
                _raise_failure(tool.program, log, used)
            (draft.path / "nextpnr.log").write_text(log, encoding="utf-8")
            netlist.unlink()
            (draft.path / "used.json").write_text(json.dumps(used))
        folder = draft.publish()
        report = dict(json.loads((folder / "report.json").read_text()))
        used = json.loads((folder / "used.json").read_text())
    return report | {"used": {name: tuple(pair) for name, pair in used.items()}}


def utilisation(log: str) -> dict[str, tuple[int, int]]:
    """Cell type -> (used, there) of the types that are used, from the lines of nextpnr's log."""
    found = re.findall(r"^Info: \t\s*(\w+):\s*(\d+)/\s*(\d+)\s+\d+%$", log, re.M)
    return {name: (int(used), int(there)) for name, used, there in found if int(used)}


def _too_many(line: str) -> bool:
    return any(used > there for used, there in utilisation(line).values())


def _raise_failure(program: str, log: str, used: Mapping[str, tuple[int, int]]) -> None:
    over = {k: v for k, v in used.items() if v[0] > v[1]}
    if over:
        raise _DoesNotFit(", ".join(f"{n} of {there} {k}" for k, (n, there) in over.items()))
    error = re.findall(r"^ERROR: (.*)$", log, re.M)
    if error and re.search(r"unable to (find|place)|no BELs|failed to place|placing", error[0], re.I):
        raise _DoesNotFit(error[0])
    raise RuntimeError(f"{program} failed: {error[0] if error else 'no error in its log'}\n{tools.tail(log)}")


def _slowest(report: Mapping[str, Any]) -> dict[str, Any]:
    """Frequency and the path that sets it, of a report with exactly one clock.

    Paths that another clock's edge begins or ends would make the figure a lie, and so are errors.
    """
    ends = {p[k].partition("edge ")[2] for p in report["critical_paths"] for k in ("from", "to")}
    clocks = sorted({*report["fmax"], *ends} - {""})  # "" is what comes from pins
    if len(clocks) > 1:
        raise ValueError(f"the module must have one clock, not {len(clocks)}: {', '.join(clocks)}")
    if not report["fmax"]:
        raise ValueError("the module must have a path from an input or register to an output or register")
    ((name, entry),) = report["fmax"].items()
    edges = {f"posedge {name}", f"negedge {name}"}
    paths = [p["path"] for p in report["critical_paths"] if {p["from"], p["to"]} <= edges]
    steps = paths[0] if paths else []
    routing = sum(step["delay"] for step in steps if step["type"] == "routing")
    logic = sum(step["delay"] for step in steps if step["type"] != "routing")
    where = [steps[0]["from"]["cell"], steps[-1]["to"]["cell"]] if steps else ["", ""]
    return {
        "mhz": round(entry["achieved"], 2), "logic": round(logic, 3), "routing": round(routing, 3),
        "start": where[0], "end": where[1],
    }  # fmt: skip
