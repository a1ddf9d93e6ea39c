"""Graphs and machines as HLS C++: a table of rules, compiled code, and hls4ml projects with C simulation."""

from hls.compile import Compiled, compile_graphs
from hls.iterate import CompiledUnit, compile_units, unit_source
from hls.lower import cpp_rules, source
from hls.machine import CompiledMachine, compile_machines, machine_source
from hls.project import Project, export
from hls.solvers import MachineProject, UnitProject

__all__ = [
    "Compiled", "CompiledMachine", "CompiledUnit", "MachineProject", "Project", "UnitProject",
    "compile_graphs", "compile_machines", "compile_units", "cpp_rules", "export", "machine_source",
    "source", "unit_source",
]  # fmt: skip
