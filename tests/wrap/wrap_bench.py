"""Runs the cocotb tests of a module on a wrapper, built once in Verilator, and reads their results."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

from fxsim import cache
from rtl.bench import tools

ROOT = Path(__file__).resolve().parents[2]


def run(verilog: str, top: str, module: str, folder: Path, **environment: str) -> dict[str, str]:
    """Every cocotb test of `module` -> "" if it passed, else what it says and the end of the log."""
    from cocotb_tools.runner import get_runner

    verilator = tools.verilator()
    runner = get_runner("verilator")
    with (
        cache.entry("wrap-bench", cache.digest(verilator.version, verilog, top)) as draft,
        patch.dict(os.environ, verilator.environment | {"PYTHONPATH": str(ROOT)} | environment),
        patch.object(sys, "path", [str(ROOT), *sys.path]),
    ):
        if not draft.ready:
            (draft.path / "design.v").write_text(verilog)
            runner.build(
                sources=[draft.path / "design.v"], hdl_toplevel=top, build_dir=draft.path / "build",
                build_args=["-Wno-fatal", "-Wno-lint", "--output-split", "20000", "-CFLAGS", "-O0"],
                log_file=folder / "build.log",
            )  # fmt: skip
        built = draft.publish() / "build"
        log = folder / "cocotb.log"
        with contextlib.suppress(RuntimeError, SystemExit):
            runner.test(
                test_module=module, hdl_toplevel=top, hdl_toplevel_lang="verilog", build_dir=built,
                test_dir=folder, results_xml=str(folder / "results.xml"), log_file=log, seed=1,
            )  # fmt: skip
    said = log.read_text(errors="replace")[-4000:]
    found = {}
    for case in ElementTree.parse(folder / "results.xml").getroot().iter("testcase"):
        found[case.get("name")] = "" if case.find("failure") is None and case.find("error") is None else said
    return found
