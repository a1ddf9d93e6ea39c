"""Every example of the library in hardware and in C++, against the emulator: its problems and random ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import hls
import rtl
from fxsim.graph import Input
from fxsim.iterate import Unit, zoo
from fxsim.iterate.solution import Solution

OWN, RANDOM = 16, 100  # problems of the example, at most, and random ones besides
WHOLE = ("scan",)  # the proof is of the loop with the cap that it has


@dataclass(frozen=True, eq=False)
class Case:
    """A unit whose cap ends some of its problems, and the problems."""

    unit: Unit
    start: dict[str, np.ndarray]
    parameters: dict[str, np.ndarray]
    wanted: Solution


@cache
def case(name: str) -> Case:
    given = zoo.example(name)
    unit, nodes = given.unit, {n.name: n for n in given.unit.loop.graph.inputs}
    rng = np.random.default_rng(sum(map(ord, name)))
    begin = dict(zip(unit.state, (s.array for s in unit.start), strict=True))
    if given.start is not None:
        begin.update(given.start if isinstance(given.start, dict) else {unit.state[0]: given.start})
    start = {k: joined(v, nodes[k], given.problems, nodes, rng) for k, v in begin.items()}
    parameters = {k: joined(v, nodes[k], given.problems, nodes, rng) for k, v in given.problems.items()}
    if not unit.schedule.unroll and name not in WHOLE:
        steps = unit.solve_raw(start, certified=False, **parameters).steps
        if steps.min() < steps.max():
            unit = unit.capped(
                int(np.median(steps)) if np.median(steps) < steps.max() else int(steps.max()) - 1
            )
    return Case(unit, start, parameters, unit.solve_raw(start, certified=False, **parameters))


def joined(values: Any, node: Input, problems: Any, nodes: Any, rng: np.random.Generator) -> np.ndarray:
    """The example's first values of an input, then random codes of its type."""
    t = node.type
    batched = [len(v) for k, v in problems.items() if np.ndim(v) > nodes[k].type.ndim]
    rows = min(OWN, *batched) if batched else 1
    a = np.asarray(values)
    own = np.broadcast_to(a[:rows] if a.ndim > t.ndim else a, (rows, *t.shape))
    step = np.where(t.lo == t.hi, 0, t.stride)
    return np.concatenate(
        [own, t.lo + (rng.integers(0, ((t.hi - t.lo) >> step) + 1, (RANDOM, *t.shape)) << step)]
    )


def check(name: str, depth: float | None, simulator: str = "native") -> None:
    """The Verilog in Verilator, both streams pausing."""
    given = case(name)
    found = rtl.verify(
        given.unit, given.parameters, start=given.start, raw=True, simulator=simulator, idle=0.3,
        backpressure=0.3, max_depth_per_stage=depth,
    )  # fmt: skip
    assert found, found.first_difference
    assert found.vectors >= RANDOM


@cache
def compiled() -> dict[str, hls.CompiledUnit]:
    """All units in one library."""
    names = zoo.names()
    return dict(zip(names, hls.compile_units([case(n).unit for n in names]), strict=True))


def check_cpp(name: str) -> None:
    """The C++."""
    given = case(name)
    got = compiled()[name].solve_raw(given.start, **given.parameters)
    assert np.array_equal(got.codes, given.wanted.codes)
    assert np.array_equal(got.steps, given.wanted.steps)
    for a, b in zip(got.raws, given.wanted.raws, strict=True):
        assert np.array_equal(a, b)
