"""Hardware from a graph: pipelined, multiplier-free RTL by Amaranth, its Verilog, and its simulation."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("amaranth") is None:
    raise ImportError("rtl needs amaranth; install the extra: pip install 'fxsim-hdl[rtl]'")

from rtl import shift_add, synth, wrap
from rtl.core import Core, build
from rtl.export import write_project
from rtl.iterate import IterateCore
from rtl.layout import Layout, Port
from rtl.schedule.core import StreamCore
from rtl.verify import Verification, verify

__all__ = [
    "Core",
    "IterateCore",
    "Layout",
    "Port",
    "StreamCore",
    "Verification",
    "build",
    "shift_add",
    "synth",
    "verify",
    "wrap",
    "write_project",
]
