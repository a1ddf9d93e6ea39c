"""Graphs as C++: the table of rules, and the header text of one function."""

from hls.lower.source import Port, ports, source
from hls.lower.table import cpp_rules

__all__ = ["Port", "cpp_rules", "ports", "source"]
