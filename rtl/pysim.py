"""A core in Amaranth's own simulator: no compiler needed, some thousand clock cycles a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtl.bench import patterns

if TYPE_CHECKING:
    from rtl.core import Core


@dataclass(frozen=True)
class SimulationResult:
    """outputs: one array (n, *shape) per port of the layout; cycles: clock cycles run.

    latency: clock cycles from the first sample taken to the first result offered (None without samples).
    """

    outputs: list[np.ndarray]
    cycles: int
    latency: int | None


def simulate(
    core: Core,
    inputs: Any,
    *,
    idle: Any = 0.0,
    backpressure: Any = 0.0,
    seed: int = 0,
    max_cycles: int | None = None,
    samples: int | None = None,
    cycles_each: int = 1,
) -> SimulationResult:
    """Stream `inputs` (arrays as `Layout.pack` takes them) through the core.

    samples      outputs to wait for, by default as many as inputs
    cycles_each  clock cycles that the core needs for an input or an output, for the bound on cycles

    `idle` and `backpressure` are pause probabilities or patterns (`rtl.bench.patterns`), the same decisions
    as in the benches in Verilator. Raises RuntimeError where an offered output changes or is withdrawn
    before it is taken, TimeoutError where the outputs are not complete after `max_cycles`.
    """
    from amaranth.sim import Simulator

    words = core.in_layout.integers(core.in_layout.pack(inputs))
    count = len(words) if samples is None else samples
    source, sink = patterns.pair(idle, backpressure, seed)
    if max_cycles is not None and max_cycles < 1:
        raise ValueError(f"max_cycles must be at least 1, not {max_cycles!r}")
    work = max(len(words), count) * cycles_each + core.latency + 16
    limit = max_cycles or int(work * 8 / (source.rate * sink.rate))
    sent = 0
    first_in: int | None = None
    first_out: int | None = None
    received: list[int] = []
    faults: list[str] = []
    cycles = 0

    async def testbench(ctx: Any) -> None:
        nonlocal cycles, sent, first_in, first_out
        held: int | None = None
        offered = False
        pauses, stalls = iter(source), iter(sink)
        while len(received) < count and cycles < limit:
            pause = next(pauses)
            if not offered and sent < len(words) and not pause:
                offered = True
                ctx.set(core.i.payload, words[sent])
            ctx.set(core.i.valid, offered)
            ready = not next(stalls)
            ctx.set(core.o.ready, ready)
            valid, payload = ctx.get(core.o.valid), ctx.get(core.o.payload)
            if held is not None and (not valid or payload != held):
                faults.append(f"an offered output was withdrawn or changed at cycle {cycles}")
                return
            if valid and first_out is None:
                first_out = cycles
            held = payload if valid and not ready else None
            if valid and ready:
                received.append(payload)
            if offered and ctx.get(core.i.ready):
                first_in = cycles if first_in is None else first_in
                sent += 1
                offered = False
            await ctx.tick()
            cycles += 1

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    if faults:
        raise RuntimeError(faults[0])
    if len(received) < count:
        raise TimeoutError(f"the core gave {len(received)} of {count} samples in {cycles} clock cycles")
    width = 4 * core.out_layout.words
    packed = np.frombuffer(b"".join(v.to_bytes(width, "little") for v in received), "<u4").astype(np.uint32)
    outputs = core.out_layout.unpack(packed.reshape(count, core.out_layout.words))
    latency = None if first_in is None or first_out is None else first_out - first_in
    return SimulationResult(outputs, cycles, latency)
