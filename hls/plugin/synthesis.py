"""`build`: the open tools in place of the vendor's, and a report under the names of hls4ml's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fxsim.files import write_text

TARGETS = ("ecp5", "ice40", "xc7")


def build(
    model: Any,
    *,
    csim: bool = False,
    synth: bool = True,
    cosim: bool = False,
    validation: bool = False,
    vsynth: bool | None = None,
    export: bool = False,
    reset: bool = False,
    fifo_opt: bool = False,
    target: str | None = None,
    device: str | None = None,
    seeds: int = 1,
    layers: bool = True,
    timeout: float = 3600,
    log_to_stdout: bool = True,
) -> dict[str, Any]:
    """Synthesise the model's Verilog with Yosys, place it with nextpnr, simulate it with Verilator.

    synth       LUTs, registers, carries, multipliers, RAM of the whole, and per layer where `layers`
    vsynth      place and route, for the clock frequency; by default where the target has it (not xc7)
    cosim, validation  simulate the project's vectors in cocotb, with pauses, against the emulator
    target      "ecp5", "ice40" or "xc7"; by default the one that Part names, else ecp5
    device, seeds, timeout  of the placement, as `rtl.synth.report` takes them
    csim, export, reset, log_to_stdout  are taken and change nothing: there is no C, and `write` exports

    Returns {"CSynthesisReport": LUT, FF, DSP, BRAM_18K, EstimatedClockPeriod (ns), latency and interval
    (cycles), "CosimReport": ..., "Synthesis": all of `rtl.synth.Report`}, and writes it to report.json.
    Raises ValueError for an unknown target or fifo_opt, and what `rtl.synth.report` raises.
    """
    import rtl
    from hls.plugin.model import core, emulator
    from hls.plugin.writer import summary, vectors

    if fifo_opt:
        raise ValueError("fifo_opt must be False, not True: the pipeline has no FIFOs")
    name = target or chosen(str(model.config.get_config_value("Part") or ""))
    place = name != "xc7" if vsynth is None else bool(vsynth)
    made = core(model)
    report: dict[str, Any] = summary(made)
    if synth or vsynth:
        rtl.synth.check(name, device=device, fmax=place)
        found = rtl.synth.report(
            made, name, layers=layers, fmax=place, device=device, seeds=seeds, timeout=timeout
        )
        cells = found.synthesis
        report["CSynthesisReport"] = {
            "TargetClockPeriod": model.config.get_config_value("ClockPeriod"),
            "EstimatedClockPeriod": None if found.fmax is None else 1e3 / found.fmax.mhz,
            "BestLatency": found.latency, "WorstLatency": found.latency,
            "IntervalMin": found.interval, "IntervalMax": found.interval,
            "LUT": cells.lut, "FF": cells.ff, "DSP": cells.dsp, "BRAM_18K": cells.bram, "URAM": 0,
        }  # fmt: skip
        report["Synthesis"] = found.to_json()
    if cosim or validation:
        seen = rtl.verify(made, *vectors(model, emulator(model)), raw=True, idle=0.25, backpressure=0.25)
        report["CosimReport"] = {
            "RTL": "Verilog", "Status": "Pass" if seen else "Fail",
            "LatencyMin": seen.latency, "LatencyMax": seen.latency, **seen.to_json(),
        }  # fmt: skip
    folder = Path(model.config.get_output_dir())
    if folder.is_dir():
        write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")
    return report


def chosen(part: str) -> str:
    """The target that a part's name stands for; of another family, or without a part, ecp5."""
    lower = part.lower()
    if lower.startswith("xc7"):
        return "xc7"
    return next((t for t in TARGETS if lower.startswith(t)), "ecp5")
