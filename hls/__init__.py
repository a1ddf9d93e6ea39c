"""Graphs as HLS C++: a table of rules, compiled functions, and hls4ml projects with their C simulation."""

from hls.compile import Compiled, compile_graphs
from hls.lower import cpp_rules, source
from hls.project import Project, export

__all__ = ["Compiled", "Project", "compile_graphs", "cpp_rules", "export", "source"]
