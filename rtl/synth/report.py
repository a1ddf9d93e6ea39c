"""One report on a core: cells of the whole and per layer, clock frequency, throughput and latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtl.synth import mapping, place, tools
from rtl.synth.layers import Layer, layers
from rtl.synth.mapping import Synthesis, synthesize
from rtl.synth.place import Fmax, fmax
from rtl.synth.targets import CLASSES, Target, target

if TYPE_CHECKING:
    from fxsim.graph import Graph
    from fxsim.machine import Machine
    from rtl.core import Core
    from rtl.schedule.core import StreamCore


@dataclass(frozen=True)
class Report:
    """A core in one FPGA family.

    adders, depth, registers   of the core, before synthesis (`rtl.Core`)
    stages      of the pipeline; None of a streamed core, which has many
    latency     clock cycles from a sample to its result; of frames, from the first beat to the first beat
    interval    clock cycles from one sample, or frame, to the next
    memory      bits in memories, of a streamed core; else None
    synthesis   cells of the whole core
    layers      its parts, each mapped by itself (`rtl.synth.layers`); empty where they were not asked for
    fmax        None where it was not asked for
    """

    top: str
    target: str
    adders: int
    depth: float
    registers: int
    stages: int | None
    latency: int
    interval: int | Fraction
    synthesis: Synthesis
    layers: tuple[Layer, ...] = ()
    fmax: Fmax | None = None
    memory: int | None = None

    @property
    def samples_per_second(self) -> float | None:
        """Throughput at the clock frequency, in samples, or frames."""
        return None if self.fmax is None else self.fmax.mhz * 1e6 / float(self.interval)

    @property
    def latency_ns(self) -> float | None:
        """Latency at the clock frequency, in nanoseconds."""
        return None if self.fmax is None else self.latency * 1e3 / self.fmax.mhz

    def to_json(self) -> dict[str, Any]:
        from fxsim.cli.console import number

        return {
            "top": self.top, "target": self.target, "adders": self.adders, "depth": self.depth,
            "registers": self.registers, "stages": self.stages, "latency": self.latency,
            "interval": number(float(self.interval)), "memory": self.memory,
            "synthesis": self.synthesis.to_json(), "layers": [layer.to_json() for layer in self.layers],
            "fmax": None if self.fmax is None else self.fmax.to_json(),
            "samples_per_second": self.samples_per_second, "latency_ns": self.latency_ns,
        }  # fmt: skip

    def __str__(self) -> str:
        """A table of the layers and the whole, and `lines` below."""
        from fxsim.cli.console import table

        title = f"{self.top} on {self.target} ({self.synthesis.command}, {self.synthesis.tool})"
        return "\n".join([title, table(self.header(), self.rows(), self.total()), *self.lines()])

    def header(self) -> tuple[str, ...]:
        """Titles of the columns of `rows` and `total`."""
        about = ("layer", "kind", "stages") if self.memory is None else ("layer", "part", "kind")
        own = ("adders", "register bits", *(() if self.memory is None else ("memory bits",)))
        return (*about, *own, *(TITLES[c] for c in CLASSES))

    def rows(self) -> list[list[Any]]:
        """One row per layer, and their sum where there are any."""
        rows = []
        for layer in self.layers:
            about = [layer.name, layer.kind, layer.stages]
            own = [layer.adders, layer.registers]
            if self.memory is not None:
                about, own = [layer.name, layer.part, layer.kind], [*own, layer.memory]
            rows.append([*about, *own, *(getattr(layer.utilization, c) for c in CLASSES)])
        if rows:
            sums = [sum(column) for column in zip(*(row[3:] for row in rows), strict=True)]
            rows.append([f"(sum of the {'layers' if self.memory is None else 'parts'})", "", "", *sums])
        return rows

    def total(self) -> list[Any]:
        """The row of the whole core."""
        cells = [getattr(self.synthesis, c) for c in CLASSES]
        stages = "" if self.stages is None else f"0..{self.stages - 1}"
        memory = [] if self.memory is None else [self.memory]
        about = ["whole core", "", stages]
        return [*about, self.adders, self.registers, *memory, *cells]

    def lines(self) -> list[str]:
        """Latency, interval, and what follows from the clock frequency, in words."""
        what = "sample" if self.memory is None else "frame"
        lines = [f"latency {self.latency} cycles, one {what} every {_cycles(self.interval)}"]
        if self.synthesis.other:
            lines.append(f"{self.synthesis.other} cells of no class, among {dict(self.synthesis.cells)}")
        if self.fmax is not None:
            f = self.fmax
            spread = (
                f"median of seeds {', '.join(str(r.seed) + ': ' + format(r.mhz, '.1f') for r in f.runs)}"
                if len(f.runs) > 1
                else f"seed {f.runs[0].seed}"
            )
            run = min(f.runs, key=lambda r: abs(r.mhz - f.mhz))
            lines += [
                f"Fmax {f.mhz:.1f} MHz on {f.target} {f.device} ({spread}), clock {f.clock}; slowest path "
                f"{run.logic:.1f} ns logic + {run.routing:.1f} ns routing",
                f"{_rate(self.samples_per_second)} {what}s/s, latency {self.latency_ns:.0f} ns",
            ]
        return lines


TITLES = {"lut": "LUT", "ff": "FF", "carry": "carry", "dsp": "DSP", "bram": "block RAM", "lutram": "LUT RAM"}


def report(
    design: Core | StreamCore | Graph | Machine,
    target: str | Target = "ecp5",
    *,
    layers: bool = True,
    fmax: bool = False,
    device: str | None = None,
    seeds: int | Sequence[int] = 1,
    timeout: float = mapping.TIMEOUT,
    **options: Any,
) -> Report:
    """Synthesise a core, or the core of a graph or machine; place it too where `fmax` is asked for.

    layers          cells per layer as well, by a second synthesis
    device, seeds   as `rtl.synth.fmax` takes them
    options         of `rtl.build`, where a graph is given

    Of a unit of `fxsim.iterate`, latency and interval are those of one sweep.

    Raises what `synthesize` and `fmax` raise; TypeError for options beside a core.
    """
    family = check(target, device=device, fmax=fmax, seeds=seeds)
    core = _core(design, options)
    verilog = core.verilog()
    found = synthesize(verilog, core.top, family, device=device, timeout=timeout)
    timed = None
    if fmax:  # before the layers: it may end in an error
        timed = _fmax(verilog, core.top, family, device=device, seeds=seeds, timeout=timeout)
    streamed = hasattr(core, "network")
    parts = _layers(core, family, device=device, timeout=timeout) if layers else []
    return Report(
        top=core.top, target=family.name, adders=core.adders, depth=float(core.depth),
        registers=core.registers, stages=None if streamed else core.plan.stages, latency=core.latency,
        interval=_plain(getattr(core, "interval", 1)), synthesis=found, layers=tuple(parts), fmax=timed,
        memory=core.memory if streamed else None,
    )  # fmt: skip


def check(
    target: str | Target, *, device: str | None = None, fmax: bool = False, seeds: int | Sequence[int] = 1
) -> Target:
    """The target; raises what `report` raises for these arguments and for missing tools, before any work."""
    family = _family(target)
    if fmax:
        place.check(family, device, seeds)
    elif device is not None:
        family.device(device)
    tools.YOSYS.check()
    return family


_family, _layers, _fmax = target, layers, fmax  # the functions, where a parameter has their name


def _core(design: Core | StreamCore | Graph | Machine, options: dict[str, Any]) -> Core | StreamCore:
    from amaranth.lib.wiring import Component

    from rtl.core import build

    if not isinstance(design, Component):
        return build(design, **options)
    if options:
        raise TypeError(f"build options {sorted(options)} need a graph, not a core")
    return design


def _plain(n: int | Fraction) -> int | Fraction:
    return int(n) if n == int(n) else n


def _cycles(n: int | Fraction) -> str:
    return "cycle" if n == 1 else f"{float(n):.10g} cycles"


def _rate(each_second: float) -> str:
    return f"{each_second / 1e6:.1f} million" if each_second >= 1e5 else f"{each_second:.0f}"
