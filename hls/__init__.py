"""Graphs as HLS C++: a table of rules, compiled functions, and hls4ml projects."""

from hls.compile import Compiled, compile_graphs
from hls.lower import cpp_rules, source

__all__ = ["Compiled", "compile_graphs", "cpp_rules", "source"]
