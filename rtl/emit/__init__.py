"""From scheduled nets to hardware: one set of rules, used by every writer (Amaranth, Verilog)."""

from __future__ import annotations

from rtl.emit.logic import EXPRESSION, cases_of
from rtl.emit.walk import At, emit, lanes, name_of, signal_names
from rtl.emit.writer import Writer

__all__ = ["EXPRESSION", "At", "Writer", "cases_of", "emit", "lanes", "name_of", "signal_names"]
