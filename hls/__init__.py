"""Graphs and machines as HLS C++: a table of rules, compiled code, and hls4ml projects with C simulation."""

from hls.compile import Compiled, compile_graphs
from hls.iterate import CompiledUnit, compile_units, unit_source
from hls.lower import cpp_rules, source
from hls.machine import CompiledMachine, compile_machines, machine_source
from hls.project import Project, export

__all__ = [
    "Compiled", "CompiledMachine", "CompiledUnit", "Project", "compile_graphs", "compile_machines",
    "compile_units", "cpp_rules", "export", "machine_source", "source", "unit_source",
]  # fmt: skip
