"""What a design costs on an FPGA, by open tools: cells by Yosys, clock frequency by nextpnr."""

from __future__ import annotations

from rtl.synth.layers import Layer, layers
from rtl.synth.mapping import Synthesis, Utilization, synthesize
from rtl.synth.place import Fmax, Route, fmax
from rtl.synth.report import Report, check, report
from rtl.synth.targets import TARGETS, Device, Target

__all__ = [
    "TARGETS", "Device", "Fmax", "Layer", "Report", "Route", "Synthesis", "Target", "Utilization",
    "check", "fmax", "layers", "report", "synthesize",
]  # fmt: skip
