"""Verification of a unit's core: problems through its Verilog, compared with the emulator's solutions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fxsim.integers import exact
from fxsim.iterate.solution import Solution
from fxsim.iterate.unit import Unit
from rtl.bench.patterns import pair
from rtl.bench.scoreboard import compare_words, in_order
from rtl.iterate import IterateCore, build
from rtl.verify import SIMULATORS, Verification

SPARE = 64  # clock cycles per problem beyond its sweeps, in the bound on a run's length


def verify(
    unit: Unit | IterateCore,
    parameters: Mapping[str, Any] | None = None,
    start: Any = None,
    *,
    raw: bool = True,
    simulator: str = "cocotb",
    idle: Any = 0.0,
    backpressure: Any = 0.0,
    seed: int = 0,
    waves: Any = None,
    max_cycles: int | None = None,
    **options: Any,
) -> Verification:
    """Solves problems in the core of a unit and compares states, steps and status with `unit.solve_raw`.

    parameters, start   as `Unit.solve_raw` takes them, or with raw=False as `Unit.solve`; a core without
                        start states in its stream takes no start
    options             of `rtl.iterate.build`, where a unit is given

    Further arguments and errors as those of `rtl.verify`; results of several slots are matched by their tags.
    """
    if isinstance(unit, IterateCore) and options:
        raise TypeError(f"build options {sorted(options)} need a unit, not a core")
    core = unit if isinstance(unit, IterateCore) else build(unit, **options)
    inputs, expected, steps = problems(core, parameters or {}, start, raw)
    sides = pair(idle, backpressure, seed)
    if max_cycles is None:
        sweeps = int(core.solve_clocks(np.asarray(steps, object)).sum())
        max_cycles = int((sweeps + (len(steps) + 2) * SPARE) / (sides[0].rate * sides[1].rate)) + SPARE
    began = time.perf_counter()
    outputs, cycles, latency = _SIMULATORS[simulator](
        core, inputs, expected, waves,
        {"idle": idle, "backpressure": backpressure, "seed": seed, "max_cycles": max_cycles},
    )  # fmt: skip
    if len(steps):
        _check_latency(core, latency, steps, sides[0].never)
    layout = core.out_layout
    got, want = layout.pack(outputs), layout.pack(expected)
    if core.slots > 1:
        got, want = in_order(got), in_order(want)
    found = compare_words(layout, got, want)
    return Verification(
        vectors=found.vectors, mismatches=found.mismatches, cycles=cycles,
        latency=latency if len(steps) else None, seconds=time.perf_counter() - began, simulator=simulator,
        first_difference=found.first, waves=None if waves is None else str(waves), core=core,
    )  # fmt: skip


def problems(
    core: IterateCore, parameters: Mapping[str, Any], start: Any, raw: bool = True
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """(stimulus, expected, steps): raw arrays (rows, *shape) per port of the two streams, tags counted up."""
    unit = core.unit
    if start is not None and not core.brings_start:
        raise ValueError("start must be None for a core that begins at the unit's own start")
    solve = unit.solve_raw if raw else unit.solve
    # The core was not built without a certificate.
    found: Solution = solve(start, certified=False, **parameters)
    inputs = core.graph.inputs
    encoders = dict(zip((n.name for n in inputs), core.graph.encoders, strict=True))
    given = dict(parameters)
    own = {n: a.array for n, a in zip(unit.state, unit.start, strict=True)}
    brought: Any = {} if start is None else start if isinstance(start, Mapping) else {unit.state[0]: start}
    single = np.ndim(found.steps) == 0
    rows = 1 if single else len(found.steps)
    stimulus = []
    for node in inputs:
        if node.name in unit.state:
            if not core.brings_start:
                continue
            value, real = brought.get(node.name, own[node.name]), node.name in brought and not raw
        elif node.name in given:
            value, real = given[node.name], not raw
        else:
            continue
        if node.type.size:
            array = encoders[node.name].encode(np.asarray(value), node.name) if real else exact(value)
            stimulus.append(np.broadcast_to(array, (rows, *node.type.shape)))
    tags = [np.arange(rows) & (1 << core.tag) - 1] if core.tag else []
    solved = [*found.raws, found.steps, found.codes]
    expected = [np.asarray(a)[None] if single else np.asarray(a) for a in solved]
    ticks = [np.ones(rows, np.int64)] if not stimulus and not tags else []
    return [*stimulus, *tags, *ticks], [*expected, *tags], expected[len(found.raws)]


def _check_latency(core: IterateCore, latency: int, steps: np.ndarray, steady: bool) -> None:
    """The first result comes at the clock that the sweeps say: known of one slot, or without idle cycles."""
    if core.slots > 1 and not steady:
        return
    inside = steps[: core.slots].tolist()
    first = min(k + core.solve_clocks(s) for k, s in enumerate(inside))
    if latency != first:
        raise RuntimeError(f"latency must be {first} clock cycles, but the first result took {latency}")


def _cocotb(core: IterateCore, inputs: Any, expected: Any, waves: Any, pauses: Any) -> tuple[Any, int, int]:
    from rtl.bench import cocotb_bench

    design = core.verilog(), core.top, core.in_layout, core.out_layout
    r = cocotb_bench.run(*design, inputs, expected, waves=waves, ordered=core.slots == 1, **pauses)
    return r.outputs, r.cycles, r.latency


def _native(core: IterateCore, inputs: Any, expected: Any, waves: Any, pauses: Any) -> tuple[Any, int, int]:
    from rtl.bench import native

    r = native.simulate(core.verilog(), core.top, core.in_layout, core.out_layout, inputs, **pauses)
    return r.outputs, r.cycles, r.latency


def _amaranth(core: IterateCore, inputs: Any, expected: Any, waves: Any, pauses: Any) -> tuple[Any, int, Any]:
    from rtl import pysim

    r = pysim.simulate(core, inputs, **pauses)
    return r.outputs, r.cycles, r.latency


_SIMULATORS = dict(zip(SIMULATORS, (_cocotb, _native, _amaranth), strict=True))
