"""Verilog to the cells of an FPGA family by Yosys, counted by class and cached by content."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fxsim import cache
from rtl.synth import tools
from rtl.synth.targets import CLASSES, Target, target

TIMEOUT = 3600.0
"""Seconds that one run of a tool may take."""

_READ = "fxsim: the design is read"  # in the log: an error before it is one of the Verilog


@dataclass(frozen=True)
class Utilization:
    """Cells of one netlist, by class.

    lut      LUTs of logic, those that an adder cell blocks included
    ff       flip-flops
    carry    carry cells: ice40 one bit each, ecp5 two (CCU2C), xc7 four (CARRY4)
    dsp      multiplier blocks
    bram     block RAMs, of any size
    lutram   LUTs used as RAM or as shift registers
    other    cells of no class: an entry here means that the figures above are not the whole design
    cells    every cell type and how often it stands in the netlist
    """

    lut: int
    ff: int
    carry: int
    dsp: int
    bram: int
    lutram: int
    other: int = 0
    cells: Mapping[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, cells: Mapping[str, int], family: Target) -> Utilization:
        """The classes of a count of cell types. Yosys's own bookkeeping cells ($scopeinfo) are left out."""
        cells = {k: int(n) for k, n in sorted(cells.items()) if not k.startswith("$scopeinfo")}
        sums = {c: sum(cells.get(k, 0) * sites for k, sites in family.classes[c].items()) for c in CLASSES}
        known = family.free.union(*family.classes.values())
        return cls(**sums, other=sum(n for k, n in cells.items() if k not in known), cells=cells)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Synthesis(Utilization):
    """What a module became in one family: its cells, and where they come from.

    command   the Yosys command
    tool      name and version of the package that ran
    folder    the entry of the cache, with the log and, for targets that can be placed, the netlist
    """

    top: str
    target: str
    command: str
    tool: str
    folder: Path = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        own = {k: getattr(self, k) for k in ("top", "target", "command", "tool")}
        return own | {k: v for k, v in super().to_json().items() if k not in (*own, "folder")}

    def netlist(self) -> dict[str, Any]:
        """Yosys's JSON netlist of the mapped design."""
        with gzip.open(self.folder / "netlist.json.gz", "rt") as file:
            return dict(json.load(file))


def synthesize(
    verilog: str,
    top: str,
    target: str | Target = "xc7",
    *,
    device: str | None = None,
    files: Mapping[str, str] | None = None,
    system_verilog: bool = False,
    timeout: float = TIMEOUT,
) -> Synthesis:
    """Map module `top` of a Verilog text to the cells of a family, flattened, and count them.

    verilog          any number of modules; those that `top` does not use are left out
    target           "ice40", "ecp5", "xc7", or a Target
    device           of the target, for the options that depend on it (ice40 up5k: multipliers); default: none
    files            further files that the text names ($readmemh, `include), name -> content
    system_verilog   read the text as SystemVerilog
    timeout          seconds for Yosys

    The result depends on the text, the command and the version of Yosys only; it comes from the cache
    (`fxsim.cache`) if all three were seen before. Clock gating, pins and routing have no part in it.

    Raises ValueError for an unknown target or device, and with Yosys's own message for Verilog that it cannot
    read and a top that is not there; ImportError if Yosys is missing, TimeoutError, and RuntimeError with the
    end of the log where the mapping itself fails.
    """
    family = _family(target)
    options = {"files": files, "system_verilog": system_verilog, "timeout": timeout}
    return run(verilog, top, family, command(family, device), **options)


def command(family: Target, device: str | None = None) -> str:
    """The Yosys command of a target, with the options of a device."""
    return f"{family.synth} {family.device(device).options if device is not None else ''}".strip()


_family = target  # the function, where a parameter has its name


def run(
    verilog: str,
    top: str,
    family: Target,
    command: str,
    *,
    files: Mapping[str, str] | None = None,
    system_verilog: bool = False,
    timeout: float = TIMEOUT,
) -> Synthesis:
    """As `synthesize`, by the Yosys command that is given."""
    if not re.fullmatch(r"[A-Za-z_]\w*", top):
        raise ValueError(f"top must be the plain name of a module, not {top!r}")
    for name in files or {}:
        if not re.fullmatch(r"\w[\w.-]*", name) or name in ("design.v", "yosys.log", "stat.json"):
            raise ValueError(f"files must have plain names, not {name!r}")
    read = f"read_verilog {'-sv ' if system_verilog else ''}design.v"
    # Amaranth names the elements of arrays `x[3]`, on which abc9 dies: `rename -unescape` gives them plain
    # names. Yosys loses its standard output after abc has run: the log file has it all.
    script = (
        f"{read}; hierarchy -check -top {top}; log {_READ}; rename -unescape; {command} -top {top}; "
        "tee -q -o stat.json stat -json"
    )
    if family.nextpnr:
        script += f"; select -module {top}; write_json -selected netlist.json"
    key = cache.digest(verilog, script, sorted((files or {}).items()), tools.YOSYS.version)
    with cache.entry("synth", key) as draft:
        if not draft.ready:
            for name, text in {**(files or {}), "design.v": verilog}.items():
                (draft.path / name).write_text(text, encoding="utf-8")
            yosys(script, top, draft.path, timeout)
            if family.nextpnr:
                pack(draft.path / "netlist.json")
            for name in (*(files or {}), "design.v"):
                (draft.path / name).unlink()
        folder = draft.publish()
        stat = json.loads((folder / "stat.json").read_text())
    return Synthesis(
        top=top, target=family.name, command=command, tool=tools.YOSYS.version, folder=folder,
        **vars(Utilization.of(cells_of(stat), family)),
    )  # fmt: skip


def cells_of(stat: Mapping[str, Any]) -> dict[str, int]:
    """Cell types and their number in a whole design, of the output of `stat -json`."""
    design = stat.get("design")
    if not isinstance(design, Mapping) or "num_cells_by_type" not in design:
        raise ValueError("stat must have the entry design.num_cells_by_type of `stat -json`")
    return {str(k): int(n) for k, n in design["num_cells_by_type"].items()}


def yosys(script: str, top: str, folder: Path, timeout: float) -> None:
    """Run a script in `folder`; an error before it logs `_READ`, if it does, is one of the Verilog."""
    status, output = tools.run(
        tools.YOSYS, ["-q", "-l", "yosys.log", "-p", script], folder=folder, timeout=timeout
    )
    if not status:
        return
    path = folder / "yosys.log"
    log = (path.read_text(errors="replace") if path.exists() else "") + output
    error = re.findall(r"^.*ERROR: .*$", log, re.M)
    first = error[0].strip() if error else f"exit status {status}"
    if not error or _READ not in script or re.search(rf"^{_READ}$", log, re.M):
        raise RuntimeError(f"yosys failed on module {top!r}: {first}\n{tools.tail(log)}")
    if re.search(rf"Module `\\?{top}' not found", first):
        raise ValueError(f"top must be a module of the Verilog, not {top!r}")
    raise ValueError(f"verilog must be readable by yosys, but: {first}")


def pack(path: Path) -> None:
    """Replace a file by its compressed self, `path`.gz."""
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 3, mtime=0))
    path.unlink()
