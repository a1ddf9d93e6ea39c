"""Verification: the core's Verilog, simulated with pauses, against the integers of the emulator."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim.emulate.feed import batched
from fxsim.graph import Graph
from rtl.core import Core, build, with_elements

SIMULATORS = ("cocotb", "native", "amaranth")


@dataclass(frozen=True)
class Verification:
    """What a simulation found, true if nothing differs.

    vectors           samples compared, every element of every output, by exact equality
    mismatches        elements that differ; first_difference names the first (None if there is none)
    cycles            clock cycles of the whole stream, pauses included
    latency           measured clock cycles of the first sample, equal to core.latency (None without samples)
    seconds           wall time of building and running the simulation
    """

    vectors: int
    mismatches: int
    cycles: int
    latency: int | None
    seconds: float
    simulator: str
    first_difference: Any = None
    waves: str | None = None
    core: Core | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        first = self.first_difference
        return {
            "simulator": self.simulator, "vectors": self.vectors, "mismatches": self.mismatches,
            "cycles": self.cycles, "latency": self.latency, "seconds": self.seconds,
            "first_difference": None if first is None else str(first), "waves": self.waves,
        }  # fmt: skip


def verify(
    graph: Graph | Core,
    *x: Any,
    raw: bool = False,
    simulator: str = "cocotb",
    idle: Any = 0.0,
    backpressure: Any = 0.0,
    seed: int = 0,
    waves: Any = None,
    max_cycles: int | None = None,
    **options: Any,
) -> Verification:
    """Simulate the core of `graph` on samples x (one array per input); compare with the emulator.

    x                   real values as `Graph.run` takes them; with raw=True integers, as `run_raw` does
    simulator           "cocotb" (Verilator through cocotb), "native" (Verilator's C++ called directly, for
                        millions of samples), or "amaranth" (Amaranth's own, slow, no compiler)
    idle, backpressure  probability, each cycle, that the source offers nothing and that the sink is not ready
    waves               file to write a waveform to, .vcd or .fst (cocotb only)
    options             of `rtl.build`, where a graph is given

    A difference is a result. Raises RuntimeError where the latency is not core.latency or the handshake is
    broken, TimeoutError at the bound on cycles, ValueError for an unknown simulator or waves without
    cocotb.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if waves is not None and simulator != "cocotb":
        raise ValueError(f"waves must be None for the simulator {simulator!r}, not {waves!r}")
    if isinstance(graph, Core):
        if options:
            raise TypeError(f"build options {sorted(options)} need a graph, not a core")
        core = graph
    else:
        core = build(graph, **options)
    inputs, expected = vectors(core, *x, raw=raw)
    start = time.perf_counter()
    pauses = {"idle": idle, "backpressure": backpressure, "seed": seed, "max_cycles": max_cycles}
    found = _RUN[simulator](core, inputs, expected, pauses, waves)
    seconds = time.perf_counter() - start
    count = len(expected[0])
    latency = found.pop("latency") if count else None
    if count and latency != core.latency:
        raise RuntimeError(
            f"latency must be {core.latency} clock cycles, but the first sample took {latency}"
        )
    return Verification(
        vectors=count, latency=latency, seconds=seconds, simulator=simulator,
        waves=None if waves is None else str(waves), core=core,
        **{k: found[k] for k in ("mismatches", "cycles", "first_difference")},
    )  # fmt: skip


def vectors(core: Core, *x: Any, raw: bool = False) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(stimulus, expected) raw integers, one array (n, *shape) per port of the core's layouts."""
    graph = core.graph
    arrays, _ = batched(graph, x)
    if not raw:
        arrays = [e.encode(a, n.name) for e, a, n in zip(graph.encoders, arrays, graph.inputs, strict=True)]
    result = graph.run_raw(*arrays)
    outputs = result if isinstance(result, tuple) else (result,)
    return with_elements(arrays, graph.inputs), with_elements(outputs, graph.outputs)


def _cocotb(core: Core, inputs: Any, expected: Any, pauses: dict[str, Any], waves: Any) -> dict[str, Any]:
    from rtl.bench import cocotb_bench

    r = cocotb_bench.run(
        core.verilog(), core.top, core.in_layout, core.out_layout, inputs, expected, waves=waves, **pauses
    )
    return {k: getattr(r, k) for k in ("mismatches", "cycles", "latency", "first_difference")}


def _native(core: Core, inputs: Any, expected: Any, pauses: dict[str, Any], _: Any) -> dict[str, Any]:
    from rtl.bench import native

    r = native.simulate(core.verilog(), core.top, core.in_layout, core.out_layout, inputs, **pauses)
    return _compared(core, r, expected)


def _amaranth(core: Core, inputs: Any, expected: Any, pauses: dict[str, Any], _: Any) -> dict[str, Any]:
    from rtl import pysim

    return _compared(core, pysim.simulate(core, inputs, **pauses), expected)


def _compared(core: Core, r: Any, expected: Any) -> dict[str, Any]:
    from rtl.bench.scoreboard import compare

    c = compare(core.out_layout, r.outputs, expected)
    return {"mismatches": c.mismatches, "first_difference": c.first, "cycles": r.cycles, "latency": r.latency}


_RUN = {"cocotb": _cocotb, "native": _native, "amaranth": _amaranth}
