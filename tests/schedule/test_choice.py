"""Automatic schedules: the goal is met exactly, nothing smaller was passed over, and errors name what is
missing."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import SQ, UQ, layers, ops, trace
from fxsim.trace import Tensor
from rtl.schedule.choice import Choice, automatic
from rtl.schedule.estimate import luts
from rtl.schedule.goal import Goal

pytestmark = pytest.mark.usefixtures("build_cache")


def convolutions(x: Tensor) -> Tensor:
    rng = np.random.default_rng(7)
    shapes = ((3, 3, 2, 4), (3, 3, 4, 4), (4 * 4 * 4, 5))
    first, second, last = (rng.integers(-3, 4, s) for s in shapes)
    y = layers.conv2d(x, first, padding="same", name="conv1").relu().cast(UQ(4, 0, overflow="SAT"))
    y = layers.max_pool(y, 2)
    y = layers.conv2d(y, second, padding="same", name="conv2").relu().cast(UQ(4, 0, overflow="SAT"))
    return layers.dense(y.reshape(-1), last, name="fc")


@functools.cache
def network() -> fxsim.Graph:
    return trace(convolutions, SQ(4, 0), shape=(8, 8, 2), name="net")


def build(**target: float) -> rtl.StreamCore:
    return rtl.build(network(), schedule="auto", target=target)


@pytest.mark.parametrize("cycles", [17, 40, 90, 600, 1200, 5000])
def test_an_interval(cycles: int) -> None:
    core = build(interval=cycles)
    assert core.interval == core.model.steady().interval <= cycles
    assert core.choice.interval == core.interval and core.choice.memory == core.memory
    assert core.choice.luts == sum(luts(p) for p in core.network.parts)


def test_more_time_takes_fewer_luts() -> None:
    cores = [build(interval=n) for n in (40, 90, 1200, 5000)]
    sizes = [c.choice.luts for c in cores]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 2
    assert [str(c.schedule.mode) for c in cores[:2]] == ["streamed(2)", "streamed"]
    assert cores[-1].choice["conv1"].schedule == "folded(1)"
    assert cores[1].choice["conv1"].schedule == "unrolled"
    assert cores[1].choice["fc"].schedule.startswith("folded")


def test_the_same_by_hand() -> None:
    core = build(interval=1200)
    again = rtl.build(network(), schedule=core.choice.schedule)
    assert again.verilog() == core.verilog() and again.choice is None


def test_no_single_change_is_smaller() -> None:
    """All numbers of processing elements of one layer, the others as chosen."""
    core = build(interval=1200)
    least = core.choice.luts
    for block in ("conv1", "conv2", "fc"):
        for mode in ("unrolled", "folded(1)", "folded(2)", "folded(4)", "folded(8)"):
            try:
                other = rtl.build(network(), schedule={**core.choice.schedule, block: mode})
            except ValueError:  # as many do not divide the layer
                continue
            if other.interval <= 1200:
                assert sum(luts(p) for p in other.network.parts) >= least, (block, mode)


def test_frames_per_second() -> None:
    by_rate, by_cycles = build(fps=25_000, clock_mhz=30), build(interval=1200)
    assert by_rate.choice.schedule == by_cycles.choice.schedule
    assert "25000 frames/s at 30 MHz, at most 1200 cycles per frame" in str(by_rate.choice)
    clocked = rtl.build(
        network(), schedule="auto", target={"fps": 25_000}, clock_mhz=30, family="ecp5", adder_depth=None
    )
    assert clocked.interval <= 1200 and clocked.predicted_fmax() >= 30


def test_budgets_take_the_fastest_that_fits() -> None:
    core = build(lut=1000)
    assert core.choice.luts <= 1000
    with pytest.raises(ValueError, match="smallest found"):
        build(lut=1000, interval=int(core.interval) // 2)
    small = build(ram=1000)
    assert small.memory <= 1000 and small.interval < core.interval
    both = build(ram=5000, lut=2500)
    assert both.memory <= 5000 and both.choice.luts <= 2500


def test_a_core_computes_the_same(rng: np.random.Generator) -> None:
    core = build(interval=1200)
    x = rng.integers(-8, 8, (4, 8, 8, 2))
    found = rtl.verify(core, x, raw=True, simulator="native")
    assert found.mismatches == 0 and found.vectors == 4


def test_the_table_and_the_data() -> None:
    core = build(interval=1200)
    choice = core.choice
    assert isinstance(choice, Choice) and len(choice) == len(list(choice))
    text = str(choice)
    assert text.startswith("chosen for at most 1200 cycles per frame\n") and "whole core" in text
    for d in choice:
        assert d.block in text and d.schedule in text and d.reason in text
    assert "the fewest for 1200 cycles; unrolled: +" in choice["fc"].reason
    assert choice["max_pool"].reason == "has no products by constants"
    data = json.loads(json.dumps(choice.to_json()))
    assert data["schedule"] == choice.schedule and len(data["decisions"]) == len(choice)
    with pytest.raises(KeyError):
        choice["other"]


def test_reasons_of_what_is_unrolled() -> None:
    at_full_rate = build(interval=90)
    assert at_full_rate.choice["conv1"].reason == "folded(8), the fastest, takes 576 cycles"
    several = "cannot be folded: more than one pixel of its input comes in a beat"
    assert build(interval=40).choice["conv1"].reason == several


def test_layers_of_whole_samples() -> None:
    def dense(x: Tensor) -> Tensor:
        rng = np.random.default_rng(5)
        y = layers.dense(x, rng.integers(-7, 8, (24, 16)), name="a").relu().cast(UQ(4, 0, overflow="SAT"))
        return layers.dense(y, rng.integers(-7, 8, (16, 8)), name="b")

    graph = trace(dense, SQ(5, 0), shape=(24,), name="mlp")
    fast = rtl.build(graph, schedule="auto", target={"interval": 1})
    slow = rtl.build(graph, schedule="auto", target={"interval": 500})
    assert fast.interval == 1 and fast.memory == 0
    assert slow.interval <= 500 and slow.choice.luts < fast.choice.luts / 2
    assert {d.schedule for d in slow.choice if d.block in "ab"} == {"folded(1)"}


def test_products_outside_of_blocks_stream() -> None:
    graph = trace(lambda x: x @ np.array([[3, 5], [7, -9]]), SQ(4, 0), shape=(2,), name="bare")
    core = rtl.build(graph, schedule="auto", target={"interval": 100})
    assert core.interval == 1 and [d.schedule for d in core.choice] == ["streamed"]


# ---- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"interval": 5}, r"out of reach: at most 5 cycles per frame; the fastest found takes \d+ cycles"),
        ({"fps": 1e8, "clock_mhz": 100}, r"found takes \d+ cycles per frame, [\d.e+]+ frames/s \(streamed"),
        ({"lut": 100}, r"out of reach: at most 100 LUTs; the smallest found takes about \d+ LUTs"),
        ({"lut": 100, "interval": 1200}, r"the smallest found takes about \d+ LUTs and \d+ memory bits"),
        ({"ram": 100, "interval": 5000, "lut": 2000}, r"the smallest found takes about"),
        ({"fps": 100}, "target fps must come with clock_mhz"),
        ({"clock_mhz": 100}, "at least one of lut, ram, fps and interval"),
        ({}, "at least one of lut, ram, fps and interval"),
        ({"luts": 100}, r"entries among lut, ram, fps, clock_mhz, interval, not \['luts'\]"),
        ({"lut": -1}, "target lut must be a whole number of at least 0, not -1"),
        ({"interval": 1.5}, "target interval must be a whole number of at least 0, not 1.5"),
        ({"fps": 0, "clock_mhz": 1}, "target fps must be a positive number, not 0"),
        ({"fps": 1, "clock_mhz": float("nan")}, "target clock_mhz must be a positive number, not nan"),
    ],
)
def test_targets_that_cannot_be(target: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**target)


def test_memory_that_no_schedule_spares() -> None:
    """A FIFO beside windows along one axis, which take one pixel a clock; only a whole core shows its
    depth."""

    def net(x: Tensor) -> Tensor:
        w = x._apply(ops.Window((5,), (1,), (3,), (6,), (6,))).reshape(32, 10)
        return w @ np.arange(-10, 10).reshape(10, 2) + x.relu()

    graph = trace(net, SQ(4, 0), shape=(32, 2), name="beside")
    streamed = rtl.build(graph, schedule="streamed")
    pattern = (
        rf"^RAM beyond the target: {streamed.memory} memory bits are needed where at most 8 are wanted; "
    )
    with pytest.raises(
        ValueError, match=rf"{pattern}the largest buffer is input_wait of layer 'input', 64 bits"
    ):
        rtl.build(graph, schedule="auto", target={"ram": 8})
    with pytest.raises(ValueError, match=pattern):
        rtl.build(graph, schedule="auto", target={"ram": 8, "interval": 100})
    assert rtl.build(graph, schedule="auto", target={"ram": streamed.memory}).memory == streamed.memory


def test_memory_that_only_a_slow_schedule_spares() -> None:
    """A row a clock needs no line buffer, but a FIFO as wide as a row beside the pipeline."""

    def net(x: Tensor) -> Tensor:
        y, kernel = x, np.arange(4).reshape(2, 2, 1, 1)
        for name in "abc":
            y = layers.conv2d(y, kernel, padding=((1, 0), (1, 0)), name=name).cast(SQ(3, 0, overflow="SAT"))
        return y + x

    graph = trace(net, SQ(4, 0), shape=(4, 5, 1), name="wide")
    streamed, rows = (
        rtl.build(graph, schedule=s, max_depth_per_stage=1) for s in ("streamed", "streamed(row)")
    )
    assert rows.memory > streamed.memory
    target = {"ram": streamed.memory}
    found = rtl.build(graph, schedule="auto", target=target, max_depth_per_stage=1)
    assert found.memory <= streamed.memory and rows.interval < found.interval <= streamed.interval


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"schedule auto needs a target, a mapping .* not None"):
        rtl.build(network(), schedule="auto")
    with pytest.raises(ValueError, match="target needs the schedule 'auto', not 'streamed'"):
        rtl.build(network(), schedule="streamed", target={"lut": 1})
    with pytest.raises(TypeError, match=r"must be a fxsim\.Graph to be streamed or folded"):
        automatic(None, {"lut": 1}, {}, 4, None, {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="axes must name inputs of the graph"):
        rtl.build(network(), schedule="auto", target={"lut": 1000}, axes={"other": (0, 1)})


def test_a_goal_may_be_given_as_such() -> None:
    goal = Goal(interval=90)
    core = rtl.build(network(), schedule="auto", target=goal)
    assert core.choice.goal == goal
