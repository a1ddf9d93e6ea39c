"""Hardware from a graph: pipelined, multiplier-free RTL by Amaranth, its Verilog, and its simulation."""

from __future__ import annotations

from rtl import shift_add
from rtl.core import Core, build
from rtl.layout import Layout, Port

__all__ = ["Core", "Layout", "Port", "build", "shift_add"]
