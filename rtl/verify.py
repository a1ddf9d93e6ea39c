"""Verification: the core's Verilog, simulated with pauses, against the integers of the emulator."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim.emulate.feed import batched
from fxsim.graph import Graph
from fxsim.iterate.unit import Unit
from fxsim.machine import Machine
from rtl.bench import frames
from rtl.bench.frames import asked, in_frame, is_streamed, no_pauses, predicted_cycles
from rtl.bench.patterns import pair
from rtl.core import Core, build
from rtl.design import with_elements
from rtl.iterate import IterateCore
from rtl.probe import ProbeDifference, probed

SIMULATORS = ("cocotb", "native", "amaranth")


@dataclass(frozen=True)
class Verification:
    """What a simulation found, true if nothing differs.

    vectors           samples compared, every element of every output, by exact equality; of a machine, sample
                      k * time + t is time t of stream k; of a streamed core, frames
    mismatches        elements that differ; first_difference names the first (None if there is none)
    cycles            clock cycles of the whole stream, pauses included
    latency           measured clock cycles of the first sample, equal to core.latency (None without samples);
                      of a streamed core from its first beat to the first of the result, and with pauses
                      perhaps more than core.latency
    links             of a streamed core, streams between its parts that were compared, where asked;
                      first_probe tells of the first block that gives a wrong code (`rtl.probe`)
    predicted_cycles  what the cycle model of a streamed core says of `cycles`; None where it was not asked
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
    predicted_cycles: int | None = None
    links: int | None = None
    first_probe: ProbeDifference | None = None
    core: Core | IterateCore | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.mismatches == 0 and self.first_probe is None

    def __str__(self) -> str:
        lines = [
            f"{self.vectors} vectors, {self.mismatches} mismatches, {self.cycles} cycles, "
            f"latency {self.latency} ({self.simulator}, {self.seconds:.2f} s)"
        ]
        if self.first_difference is not None:
            lines.append(f"first difference: {self.first_difference}")
        if self.links is not None:
            lines.append(
                f"first block that differs: {self.first_probe}" if self.first_probe
                else f"{self.links} links inside are equal"
            )  # fmt: skip
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        first = self.first_difference
        return {
            "simulator": self.simulator, "vectors": self.vectors, "mismatches": self.mismatches,
            "cycles": self.cycles, "latency": self.latency, "seconds": self.seconds,
            "first_difference": None if first is None else str(first), "waves": self.waves,
            "predicted_cycles": self.predicted_cycles, "links": self.links,
            "first_probe": self.first_probe and self.first_probe.to_json(),
        }  # fmt: skip


def verify(
    graph: Graph | Machine | Core | Unit | IterateCore,
    *x: Any,
    raw: bool = False,
    simulator: str = "cocotb",
    idle: Any = 0.0,
    backpressure: Any = 0.0,
    seed: int = 0,
    waves: Any = None,
    max_cycles: int | None = None,
    check_cycles: bool | None = None,
    probe: bool | int = False,
    **options: Any,
) -> Verification:
    """Simulate the core of `graph` on samples x (one array per input); compare with the emulator.

    x                   real values as `Graph.run` takes them; with raw=True integers, as `run_raw` does. For
                        a machine (streams, time, *shape), for one without inputs (streams, time) of 0 or 1;
                        every stream is a run of its own behind a reset
    simulator           "cocotb" (Verilator through cocotb), "native" (Verilator's C++ called directly, for
                        millions of samples), or "amaranth" (Amaranth's own, slow, no compiler)
    idle, backpressure  probability, each cycle, that the source offers nothing and that the sink is not ready
    waves               file to write a waveform to, .vcd or .fst (cocotb only)
    probe               of a streamed core, compare the codes on every link between its parts too, of all
                        frames or of so many; `waves` is then a .vcd file of the cycles around the first
                        difference, written only where there is one ("cocotb" or "native")
    check_cycles        compare the clock cycles with those of a streamed core's cycle model; by default where
                        nothing pauses and the run is short
    options             of `rtl.build`, where a graph is given

    Of a unit of `fxsim.iterate`, or its core, x is one mapping of its parameters, `start` among the options
    its start states, and states, steps and status are compared; see `rtl.solving.verify`.

    A difference is a result. Raises RuntimeError where the latency is not core.latency, the handshake is
    broken or the clock cycles are not the cycle model's, TimeoutError at the bound on cycles, ValueError for
    an unknown simulator, waves without cocotb, or check_cycles without a cycle model.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if probe and simulator == "amaranth":
        raise ValueError(f"probe must be False for the simulator 'amaranth', not {probe!r}")
    if probe and waves is not None and not str(waves).endswith(".vcd"):
        raise ValueError(f"waves must name a .vcd file where probe is asked, not {str(waves)!r}")
    if waves is not None and simulator != "cocotb" and not probe:
        raise ValueError(f"waves must be None for the simulator {simulator!r}, not {waves!r}")
    if isinstance(graph, (Unit, IterateCore)):
        from rtl.solving import verify as solve

        return solve(
            graph, *x, raw=raw, simulator=simulator, idle=idle, backpressure=backpressure, seed=seed,
            waves=waves, max_cycles=max_cycles, **options,
        )  # fmt: skip
    if isinstance(graph, Core) or is_streamed(graph):
        if options:
            raise TypeError(f"build options {sorted(options)} need a graph, not a core")
        core = graph
    else:
        core = build(graph, **options)
    streamed = is_streamed(core)
    if probe and not streamed:
        raise ValueError("probe must be False for a core that is not streamed: it has no links inside")
    if check_cycles and not streamed:
        raise ValueError("check_cycles must be None for a core that is not streamed: it has no cycle model")
    runs = _streams(core, *x, raw=raw) if core.machine else [vectors(core, *x, raw=raw)]
    beats = core.beats_out if streamed else 1
    if waves is not None and len(runs) != 1:
        raise ValueError(f"waves must be None for {len(runs)} streams, not {waves!r}")
    count = mismatches = cycles = 0
    latency = first = predicted = None
    start = time.perf_counter()
    run = _SIMULATORS[simulator](core, None if probe else waves, bool(probe))
    links = first_probe = None
    for k, (inputs, expected) in enumerate(runs):
        go = functools.partial(
            run, inputs, expected, idle=idle, backpressure=backpressure, seed=seed + k, max_cycles=max_cycles
        )
        if probe:
            found, first_probe, links = probed(core, go, inputs, None if probe is True else probe, waves)
        else:
            found = go()
        sides = pair(idle, backpressure, seed + k)
        samples = len(expected[0]) // beats
        if samples:
            latency = found["latency"]
            if latency != core.latency and (not streamed or no_pauses(sides)):
                raise _timing(
                    f"latency must be {core.latency} clock cycles, but the first sample took {latency}",
                    first_probe,
                )
            if streamed and asked(core, samples, sides, check_cycles):
                predicted = predicted_cycles(core, samples, sides)
                if found["cycles"] != predicted:
                    raise _timing(
                        f"the cycle model says {predicted} clock cycles of {samples} frames, "
                        f"but they took {found['cycles']}",
                        first_probe,
                    )
        if first is None and found["mismatches"]:
            first = found["first_difference"]
            if streamed:
                first = in_frame(core, first)
            first = dataclasses.replace(first, sample=count + first.sample)
        count += samples
        mismatches, cycles = mismatches + found["mismatches"], cycles + found["cycles"]
    written = None if waves is None else str(waves)
    if probe:
        written = first_probe and first_probe.waves
    return Verification(
        vectors=count, mismatches=mismatches, cycles=cycles, latency=latency,
        seconds=time.perf_counter() - start, simulator=simulator, first_difference=first,
        waves=written, predicted_cycles=predicted, links=links, first_probe=first_probe, core=core,
    )  # fmt: skip


def _timing(text: str, first: ProbeDifference | None) -> RuntimeError:
    """An error of timing, with the block that may be its reason."""
    return RuntimeError(text if first is None else f"{text}; first block that differs: {first}")


def vectors(core: Core, *x: Any, raw: bool = False) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(stimulus, expected) raw integers, one array (n, *shape) per port; of a machine, for one stream.

    Of a streamed core the arrays are beats: (frames * beats, *shape of a beat).
    """
    if core.machine:
        return _streams(core, *(np.asarray(a)[None] for a in x), raw=raw)[0]
    graph = core.graph
    arrays, _ = batched(graph, x)
    if not raw:
        arrays = [e.encode(a, n.name) for e, a, n in zip(graph.encoders, arrays, graph.inputs, strict=True)]
    result = graph.run_raw(*arrays)
    outputs = result if isinstance(result, tuple) else (result,)
    if is_streamed(core):
        return frames.stimulus(core, arrays), frames.expected(core, outputs)
    return with_elements(arrays, graph.inputs), with_elements(outputs, graph.outputs)


def _streams(core: Core, *x: Any, raw: bool) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """(stimulus, expected) of every stream of a machine, the time first in each array."""
    machine = core.machine
    assert machine is not None
    arrays, step = [np.asarray(a) for a in x], machine.step
    nodes = step.inputs[machine.states :]
    if nodes:
        if not raw:
            coded = zip(arrays, step.encoders[machine.states :], nodes, strict=False)
            arrays = [
                e.encode(a.reshape(-1, *a.shape[2:]), n.name).reshape(a.shape) if a.ndim > 1 else a
                for a, e, n in coded
            ] + arrays[len(nodes) :]
        outputs, _ = machine.run_raw(*arrays)
        arrays = with_elements(arrays, nodes)
    else:
        if len(arrays) != 1 or arrays[0].ndim != 2:
            shapes = [a.shape for a in arrays]
            raise ValueError(f"a machine without inputs needs one array (streams, time), not shapes {shapes}")
        outputs, _ = machine.free_run(*arrays[0].shape)
    wanted = with_elements(outputs, step.outputs[machine.states :])
    return [([a[k] for a in arrays], [o[k] for o in wanted]) for k in range(len(arrays[0]))]


# simulator -> (core, waves, probe) -> run of one stream: (inputs, expected, **pauses) -> what was found. A
# core is written and compiled once for all streams.
Run = Callable[..., dict[str, Any]]


def _text(core: Any, probe: bool) -> str:
    return core.verilog(probe=True) if probe else core.verilog()


def _cocotb(core: Core, waves: Any, probe: bool) -> Run:
    from rtl.bench import cocotb_bench

    design = _text(core, probe), core.top, core.in_layout, core.out_layout

    def run(inputs: Any, expected: Any, **pauses: Any) -> dict[str, Any]:
        r = cocotb_bench.run(*design, inputs, expected, waves=waves, **pauses, **_bench(core, expected))
        return {k: getattr(r, k) for k in ("mismatches", "cycles", "latency", "first_difference")}

    return run


def _native(core: Core, _: Any, probe: bool) -> Run:
    from rtl.bench import native

    built = native.build(_text(core, probe), core.top, core.in_layout, core.out_layout)

    def run(inputs: Any, expected: Any, **pauses: Any) -> dict[str, Any]:
        r = built.run(inputs, samples=len(expected[0]), **pauses, **_bench(core, expected))
        return _compared(core, r, expected)

    return run


def _amaranth(core: Core, *_: Any) -> Run:
    from rtl import pysim

    each = math.ceil(core.interval / min(core.beats_in, core.beats_out)) if is_streamed(core) else 1

    def run(inputs: Any, expected: Any, **pauses: Any) -> dict[str, Any]:
        r = pysim.simulate(core, inputs, samples=len(expected[0]), cycles_each=each, **pauses)
        return _compared(core, r, expected)

    return run


def _bench(core: Any, expected: Any) -> dict[str, int]:
    """Options of the benches in Verilator that a streamed core needs."""
    return frames.run_options(core, len(expected[0]) // core.beats_out) if is_streamed(core) else {}


def _compared(core: Core, r: Any, expected: Any) -> dict[str, Any]:
    from rtl.bench.scoreboard import compare

    c = compare(core.out_layout, r.outputs, expected)
    return {"mismatches": c.mismatches, "first_difference": c.first, "cycles": r.cycles, "latency": r.latency}


_SIMULATORS = {"cocotb": _cocotb, "native": _native, "amaranth": _amaranth}
