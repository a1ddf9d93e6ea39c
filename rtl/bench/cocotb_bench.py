"""Prove a core against expected codes in cocotb and Verilator: build, run, and return the result as data."""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtl.bench import model as _model
from rtl.bench.patterns import Pattern, pair
from rtl.bench.protocol import bounds, filling
from rtl.bench.recording import Recording
from rtl.bench.scoreboard import Comparison, Difference, compare_words, in_order
from rtl.layout import Layout

JOB = "FXSIM_BENCH_JOB"  # as in rtl/bench/testbench.py, which only a simulator can import
_TAIL = 3000  # characters of the simulator's log in an error
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class BenchResult:
    """What the bench saw.

    vectors: samples compared. mismatches: elements that differ; first_difference tells the first.
    cycles: clock edges from the first cycle after reset to the last output taken. latency: clock cycles from
    the first word taken to the first valid output. seconds: wall time of the stream, conversions and
    comparison included, cpu_seconds the same in processor time; build_seconds: compiling, or finding the
    build in the cache. outputs: one array (n, *shape) per port.
    """

    vectors: int
    mismatches: int
    cycles: int
    latency: int
    seconds: float
    cpu_seconds: float
    build_seconds: float
    first_difference: Difference | None = None
    waves: Path | None = None
    outputs: list[np.ndarray] = field(default_factory=list, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        return {
            "vectors": self.vectors,
            "mismatches": self.mismatches,
            "cycles": self.cycles,
            "latency": self.latency,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "build_seconds": self.build_seconds,
            "first_difference": self.first_difference and self.first_difference.to_json(),
            "waves": self.waves and str(self.waves),
        }


def run(
    verilog: str,
    top: str,
    in_layout: Layout,
    out_layout: Layout,
    inputs: Any,
    expected: Any,
    *,
    idle: float | Pattern = 0.0,
    backpressure: float | Pattern = 0.0,
    seed: int = 0,
    waves: str | os.PathLike[str] | None = None,
    latency: int | None = None,
    max_cycles: int | None = None,
    reset_check: bool = True,
    fill: int | None = None,
    patience: int = 0,
    recording: Recording | None = None,
    ordered: bool = True,
    work_dir: str | os.PathLike[str] | None = None,
) -> BenchResult:
    """Stream `inputs` through module `top` of `verilog` and compare every output code with `expected`.

    idle, backpressure: a Pattern, or the probability of a pause in each cycle, drawn from `seed`; the same
    seed gives the same cycles as `rtl.bench.native`. waves: file to write, `.vcd` or `.fst`. latency: clock
    cycles that must be measured. max_cycles: bound on the clock cycles, by default generous and extended as
    long as words keep flowing. reset_check, fill, patience, recording: as of `rtl.bench.native`.
    ordered: False for a core whose outputs may come in any order.
    work_dir: folder for log, results.xml and data, by default a temporary one.

    A wrong code is a result. Raises TimeoutError at the bound; RuntimeError when the core breaks the
    handshake, gives surplus outputs, does not obey reset, or has another latency; and what
    `rtl.bench.model.build` raises.
    """
    words, want = in_layout.pack(inputs), out_layout.pack(expected)
    sides = pair(idle, backpressure, seed)
    limit, patience = bounds(len(words), len(want), sides, max_cycles, patience)
    wave_file = Path(waves).absolute() if waves is not None else None
    started = time.perf_counter()
    compiled = _model.build(verilog, top, bench=True, waves=_wave_kind(wave_file))
    compiled.check_widths(in_layout, out_layout)
    build_seconds = time.perf_counter() - started
    with _folder(work_dir) as folder:
        job: dict[str, Any] = {
            "in_layout": in_layout.to_json(),
            "out_layout": out_layout.to_json(),
            "idle": sides[0].to_json(),
            "backpressure": sides[1].to_json(),
            "limit": limit,
            "patience": patience,
            "reset_check": reset_check,
            "fill": filling(len(words), fill),
            "ordered": ordered,
            "inputs": str(folder / "inputs.npy"),
            "expected": str(folder / "expected.npy"),
            "outputs": str(folder / "outputs.npy"),
            "result": str(folder / "result.json"),
            "recording": recording and recording.to_json(folder / "recording.npz"),
        }
        for stale in ("outputs.npy", "result.json", "recording.npz"):
            (folder / stale).unlink(missing_ok=True)
        np.save(job["inputs"], words)
        np.save(job["expected"], want)
        (folder / "job.json").write_text(json.dumps(job, indent=1))
        log = simulate(
            compiled, "rtl.bench.testbench", folder, {JOB: str(folder / "job.json")}, seed, wave_file
        )
        try:
            result = json.loads(Path(job["result"]).read_text())
        except FileNotFoundError:
            result = {}
        if recording and (folder / "recording.npz").exists():
            recording.load(folder / "recording.npz")
        if "error" in result:
            kind, text = result["error"]
            raise getattr(builtins, kind)(text)
        if "seconds" not in result:
            raise RuntimeError(f"the simulation ended without a result:\n{log[-_TAIL:]}")
        got = np.load(job["outputs"])
    pairs = (got, want) if ordered else (in_order(got), in_order(want))
    comparison: Comparison = compare_words(out_layout, *pairs)
    if latency is not None and len(want) and result["latency"] != latency:
        raise RuntimeError(f"latency must be {latency} clock cycles, not {result['latency']}")
    return BenchResult(
        vectors=comparison.vectors,
        mismatches=comparison.mismatches,
        cycles=result["cycles"],
        latency=result["latency"],
        seconds=result["seconds"],
        cpu_seconds=result["cpu_seconds"],
        build_seconds=build_seconds,
        first_difference=comparison.first,
        waves=wave_file,
        outputs=out_layout.unpack(got),
    )


def simulate(
    compiled: _model.Model,
    test_module: str,
    folder: Path,
    environment: dict[str, str],
    seed: int = 0,
    wave_file: Path | None = None,
) -> str:
    """Run the cocotb tests of `test_module` on a compiled simulator, in `folder`; returns the log."""
    if compiled.simulator is None:
        raise ValueError("the model must be built with bench=True")
    from cocotb_tools.runner import get_runner

    log = folder / "cocotb.log"
    with (
        _importable(_ROOT),
        contextlib.suppress(RuntimeError, SystemExit),
    ):  # a failing test; the log says how
        get_runner("verilator").test(
            test_module=test_module,
            hdl_toplevel=compiled.top,
            hdl_toplevel_lang="verilog",
            build_dir=compiled.simulator.parent,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            log_file=log,
            seed=seed,
            waves=wave_file is not None,
            test_args=[] if wave_file is None else ["--trace-file", str(wave_file)],
            extra_env=environment,
        )
    return log.read_text(errors="replace") if log.exists() else ""


def _wave_kind(path: Path | None) -> str:
    if path is None:
        return ""
    if path.suffix not in (".vcd", ".fst"):
        raise ValueError(f"waves must name a .vcd or .fst file, not {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.suffix[1:]


@contextlib.contextmanager
def _folder(path: str | os.PathLike[str] | None) -> Iterator[Path]:
    if path is not None:
        folder = Path(path).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="fxsim-bench-") as name:
            yield Path(name)


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    """The simulator's Python gets our sys.path, where an entry relative to this folder would not be found."""
    before = list(sys.path)
    sys.path[:] = [str(root), *(p for p in before if p and p != str(root))]
    try:
        yield
    finally:
        sys.path[:] = before
