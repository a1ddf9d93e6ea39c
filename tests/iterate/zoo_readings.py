"""Every example of the library in hardware and in C++, against the emulator."""

from __future__ import annotations

from functools import cache

import numpy as np

import hls
import rtl
from fxsim.iterate import zoo
from fxsim.iterate.example import Example
from fxsim.iterate.solution import Solution

ROWS = 16  # problems per example, at most

example = cache(zoo.example)


def problems(given: Example) -> tuple[dict[str, np.ndarray], object]:
    """The first rows of an example: (parameters, start)."""
    nodes = {n.name: n.type.ndim for n in given.unit.loop.graph.inputs}

    def some(name: str, array: object) -> np.ndarray:
        a = np.asarray(array)
        return a[:ROWS] if a.ndim > nodes[name] else a

    start = given.start
    if isinstance(start, dict):
        start = {k: some(k, v) for k, v in start.items()}
    elif start is not None:
        start = some(given.unit.state[0], start)
    return {k: some(k, v) for k, v in given.problems.items()}, start


def check(name: str, depth: float | None) -> None:
    """The Verilog in Verilator, both streams pausing."""
    given = example(name)
    parameters, start = problems(given)
    found = rtl.verify(
        given.unit, parameters, start=start, raw=True, simulator="native", idle=0.3, backpressure=0.3,
        max_depth_per_stage=depth,
    )  # fmt: skip
    assert found, found.first_difference
    assert found.vectors >= min(8, ROWS)


@cache
def compiled() -> dict[str, hls.CompiledUnit]:
    """All examples in one library."""
    names = zoo.names()
    return dict(zip(names, hls.compile_units([example(n).unit for n in names]), strict=True))


def check_cpp(name: str) -> None:
    """The C++."""
    given = example(name)
    parameters, start = problems(given)
    want: Solution = given.unit.solve_raw(start, **parameters)
    got = compiled()[name].solve_raw(start, **parameters)
    assert np.array_equal(got.codes, want.codes)
    assert np.array_equal(got.steps, want.steps)
    for a, b in zip(got.raws, want.raws, strict=True):
        assert np.array_equal(a, b)
