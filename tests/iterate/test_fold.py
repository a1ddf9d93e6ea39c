"""Folded schedules clock by clock: bit for bit the sweeps of the unit, on shared logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hardware_units
import numpy as np
import pytest
from hardware_units import B, X

import fxsim.iterate as it
import rtl
from fxsim import SQ
from fxsim.integers import IntArray
from fxsim.ops import Cast
from fxsim.trace import concat, maximum, select


def clock_by_clock(unit: it.Unit, start: Any, parameters: dict[str, Any]) -> tuple[Any, Any, Any]:
    """States, steps and status of each problem by the datapath; steps count on the last clock only."""
    loop, nodes = unit.datapath, unit.datapath.graph.inputs
    rows = len(start)
    held = [np.broadcast_to(parameters[n.name], (rows, *n.type.shape)) for n in nodes[loop.kept :]]
    kept = [np.asarray(start)]
    for m, n in zip(loop.memory, nodes[1:], strict=False):
        kept.append(np.zeros((rows, *n.type.shape), np.int64) if m.source is None else kept[m.source])
    kept.append(np.zeros(rows, np.int64))
    ended: list[Any] = [None] * rows
    active, clock = np.arange(rows), 0
    while len(active):
        *kept, status = loop.graph.run_raw(*kept, *held)
        clock += 1
        assert np.all(kept[-1] == clock // loop.clocks)
        assert clock % loop.clocks == 0 or not np.any(status)
        over = status != 0
        for row, x, k, s in zip(active[over], kept[0][over], kept[-1][over], status[over], strict=True):
            ended[row] = x, k, s
        active = active[~over]
        kept, held = [a[~over] for a in kept], [a[~over] for a in held]
    x, steps, codes = zip(*ended, strict=True)
    return np.stack(x), np.array(steps), np.array(codes)


def check(unit: it.Unit, start: Any, parameters: dict[str, Any]) -> None:
    x, steps, codes = clock_by_clock(unit, start, parameters)
    found = unit.solve_raw(start, certified=False, **parameters)
    assert np.array_equal(steps, found.steps)
    assert np.array_equal(codes, found.codes)
    assert np.array_equal(x, found.raw)


SCHEDULES: dict[str, Callable[[Any, int], it.Schedule]] = {
    "folded1": lambda rng, n: it.folded(1),
    "folded2": lambda rng, n: it.folded(2),
    "folded3": lambda rng, n: it.folded(3),
    "sequential": lambda rng, n: it.sequential(rng.permutation(n), folded=True),
    "red_black": lambda rng, n: it.red_black([*np.split(rng.permutation(n), [n // 2])], folded=True),
}
UPDATES: list[dict[str, Any]] = [
    {},
    {"update": it.assign("RND"), "stop": [it.unchanged(), it.delta(4)]},
    {"update": it.relax(1.25, it.assign("RND_CONV")), "stop": [it.delta(3), it.cycle()], "cap": 50},
    {"update": it.anchor([0.5, 0.25]), "stop": it.count(7)},
    {"update": it.assign("RND"), "stop": it.cycle()},
    {"cap": 2},
]


@pytest.mark.parametrize("name", SCHEDULES)
def test_affine_maps_in_every_schedule(name: str) -> None:
    rng = np.random.default_rng(sorted(SCHEDULES).index(name))
    for k, options in enumerate(UPDATES):
        n = int(rng.integers(4, 9))
        schedule = SCHEDULES[name](rng, n)
        unit, parameters, start = hardware_units.affine(n, seed=k, count=40, schedule=schedule, **options)
        assert unit.datapath.clocks == len(schedule.of(n))
        check(unit, start, parameters)


def test_one_group_is_the_sweep_itself() -> None:
    unit, _, _ = hardware_units.affine(4, schedule=it.folded(4))
    assert unit.datapath.clocks == 1
    assert unit.datapath == unit.loop


def test_relaxation_by_component_and_residual() -> None:
    def off(x: Any, b: Any) -> Any:
        return x - b

    def step(x: Any, b: Any) -> Any:
        return (x + b) >> 1

    unit = it.unit(
        step, {"x": (X, 5)}, {"b": (B, 5)}, update=it.relax([1, 0.5, 0.25, 0.75, 1.5]), residual=off,
        stop=[it.residual(0.0625), it.unchanged()], schedule=it.folded(2), name="towards",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    check(unit, rng.integers(-512, 512, (60, 5)), {"b": rng.integers(-256, 256, (60, 5))})


def neighbours(x: Any, b: Any) -> Any:
    """A 3 x 4 grid's mean of four neighbours, 0 outside: padding, slices, sums."""
    rows = concat([x.builder.constant(np.zeros((1, 4), int)), x, x.builder.constant(np.zeros((1, 4), int))])
    columns = concat([x[:, 1:], x.builder.constant(np.zeros((3, 1), int))], axis=1)
    left = concat([x.builder.constant(np.zeros((3, 1), int)), x[:, :-1]], axis=1)
    return ((rows[:-2] + rows[2:] + columns + left) >> 2) + b


def kinked(x: Any, b: Any) -> Any:
    """Elementwise ops, reductions, a cast."""
    top = x.reshape(-1).max() >> 2
    y = maximum((x.cast(SQ(4, 3, rounding="RND", overflow="SAT")) >> 1), -top) + b
    return select(y > 1, (y >> 1) + 0.5, abs(y) - (x.reshape(-1).sum() >> 5))


def loaded(x: Any, b: Any) -> Any:
    """A matrix among the parameters, by state elements: products of two tensors."""
    return ((b @ x.reshape(-1)) >> 5).reshape(3, 4)


def dense(x: Any, b: Any) -> Any:
    """A dense matrix by all elements in another shape."""
    p = x.reshape(-1)
    return ((p.builder.constant(hardware_units.matrix(12, 5)) @ p) >> 5).reshape(3, 4) + b


CHESS = [range(0, 12, 2), range(1, 12, 2)]


@pytest.mark.parametrize("step", [neighbours, kinked, loaded, dense])
@pytest.mark.parametrize(
    "schedule", [it.folded(1), it.folded(5), it.sequential(folded=True), it.red_black(CHESS, folded=True)]
)
def test_maps_of_every_kind(step: Any, schedule: it.Schedule) -> None:
    shape = (12, 12) if step is loaded else (3, 4)
    unit = it.unit(
        step, {"x": (X, (3, 4))}, {"b": (SQ(1, 6), shape)}, schedule=schedule, cap=12, update=it.assign("RND")
    )
    rng = np.random.default_rng(0)
    check(unit, rng.integers(-512, 512, (20, 3, 4)), {"b": rng.integers(-64, 64, (20, *shape))})


def test_what_differs_between_components_is_refused() -> None:
    op = Cast(IntArray(np.array([3, 5, 3, 5])), IntArray(np.array([7, 9, 7, 9])), IntArray(np.array(1)))

    def step(x: Any) -> Any:
        return x._apply(op) >> 1

    unit = it.unit(step, {"x": (X, 4)}, schedule=it.folded(1))
    with pytest.raises(NotImplementedError, match="whose Cast is the same for all components; use parallel"):
        assert unit.datapath


def test_processing_elements_are_shared() -> None:
    """A dense map of 32 components on one of them takes a quarter of the adder bits of all side by side."""

    def bits(schedule: it.Schedule) -> int:
        m = np.random.default_rng(0).integers(-3, 4, (32, 32))

        def step(x: Any, b: Any) -> Any:
            return ((x.builder.constant(m) @ x) >> 7) + b

        unit = it.unit(step, {"x": (X, 32)}, {"b": (B, 32)}, schedule=schedule)
        core = rtl.build(unit, max_depth_per_stage=None)
        assert core.clocks == len(schedule.of(32))
        return sum(n.width for n in core.plan.nets if n.kind in ("add", "sub", "neg"))

    whole = bits(it.parallel())
    assert 4 * bits(it.folded(1)) < whole
    assert 3 * bits(it.folded(4)) < 2 * whole
