"""The cocotb test that runs inside the simulator: reset, reset in mid-stream, then the whole stream, checked.

What to do and where to leave the results comes as a JSON file named by an environment variable;
`cocotb_bench` is the other side. Inputs and outputs cross as packed words.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.types import LogicArray

from rtl.bench import patterns
from rtl.bench.link_monitor import LinkMonitor
from rtl.bench.protocol import HOLD, drain_cycles, latency
from rtl.bench.scoreboard import compare_words, in_order
from rtl.bench.streams import StreamMonitor, StreamSink, StreamSource
from rtl.layout import Layout

JOB = "FXSIM_BENCH_JOB"
"""Environment variable with the path of the job file."""


@cocotb.test()
async def stream(dut: Any) -> None:
    """Every sample in, every sample out, equal to the expected codes."""
    job = json.loads(Path(os.environ[JOB]).read_text())
    result: dict[str, Any] = {}
    try:
        await _stream(dut, job, result)
    except (TimeoutError, RuntimeError, ValueError) as error:
        result["error"] = [type(error).__name__, str(error)]
        raise
    finally:
        Path(job["result"]).write_text(json.dumps(result))


async def _stream(dut: Any, job: dict[str, Any], result: dict[str, Any]) -> None:
    in_layout, out_layout = Layout.from_json(job["in_layout"]), Layout.from_json(job["out_layout"])
    words, want = np.load(job["inputs"]), np.load(job["expected"])
    Clock(dut.clk, 10, "ns").start()
    wall, cpu = time.perf_counter(), time.process_time()
    values = [LogicArray(text) for text in in_layout.bit_strings(words)]

    await reset(dut)
    if job["reset_check"] and values:
        await _interrupted(dut, values, job["fill"])
        await reset(dut)

    source = StreamSource(dut, idle=patterns.from_json(job["idle"]))
    sink = StreamSink(dut, backpressure=patterns.from_json(job["backpressure"]))
    probes = LinkMonitor(dut, job["recording"]) if job["recording"] else None
    watcher = probes and cocotb.start_soon(probes.watch())
    sender = cocotb.start_soon(source.send(values))
    try:
        got = await sink.receive(len(want), source=source, limit=job["limit"], patience=job["patience"])
        sender.cancel()
        result["cycles"] = sink.cycles
        result["latency"] = latency(source.first, sink.first)
        if source.sent == len(values):
            settle = job["recording"]["settle"] if probes else 0
            await _drain(dut, sink, max(drain_cycles(result["latency"]), settle), len(want))
    finally:
        sender.cancel()
        if probes:
            watcher.cancel()
            probes.save()
    codes = out_layout.from_bit_strings([str(value) for value in got])
    pairs = (codes, want) if job["ordered"] else (in_order(codes), in_order(want))
    comparison = compare_words(out_layout, *pairs)
    result["seconds"] = time.perf_counter() - wall
    result["cpu_seconds"] = time.process_time() - cpu
    np.save(job["outputs"], codes)
    assert comparison, str(comparison)


async def reset(dut: Any) -> None:
    """Two edges of reset, one without; RuntimeError if the core then offers anything."""
    edge = dut.clk.rising_edge
    dut.rst.value = 1
    dut.i__valid.value = 0
    dut.o__ready.value = 0
    await edge
    await edge
    dut.rst.value = 0
    await edge
    if dut.o__valid.value != 0:
        raise RuntimeError("o__valid must be 0 in the cycle after reset, not 1")


async def _interrupted(dut: Any, values: list[LogicArray], fill: int) -> None:
    """Let words flow, then hold them all inside the core, and stop there, watched on both sides."""
    faults: list[RuntimeError] = []

    async def watch(monitor: StreamMonitor) -> None:
        try:
            await monitor.watch()
        except RuntimeError as error:
            faults.append(error)

    tasks = [cocotb.start_soon(StreamSource(dut).send(values))]
    tasks += [cocotb.start_soon(watch(StreamMonitor(dut, prefix))) for prefix in ("i", "o")]
    for ready, cycles in ((1, fill), (0, HOLD)):
        dut.o__ready.value = ready
        for _ in range(cycles):
            await dut.clk.rising_edge
    for task in tasks:
        task.cancel()
    if faults:
        raise faults[0]


async def _drain(dut: Any, sink: StreamSink, cycles: int, expected: int) -> None:
    """RuntimeError if anything more comes out."""
    surplus = 0
    sink.ready.value = 1
    for _ in range(cycles):
        await sink.edge
        surplus += bool(sink.valid.value)
    if surplus:
        raise RuntimeError(f"the core gave {surplus} samples more than the {expected} expected")
