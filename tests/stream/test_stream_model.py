"""The cycle model says, to the cycle, what the hardware does: against Verilator and a plain model."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rtl.bench import native
from rtl.bench.patterns import Cycle, Pattern, Random, bursts, every, never
from rtl.layout import Layout, Port
from rtl.stream import Network
from rtl.stream.control import Steps
from rtl.stream.deadlock import passes
from rtl.stream.fifo import Fifo
from rtl.stream.model import Model
from tests.stream.model_networks import Timed, chain, diamond, mixed, plain, random_network, steps

SIDES: list[tuple[Pattern, Pattern]] = [
    (never(), never()),
    (Random(0.3, 1), never()),
    (never(), Random(0.6, 2)),
    (Random(0.5, 3), Random(0.5, 4)),
    (bursts(5, 3), every(3)),
    (Cycle((True, False)), Random(0.2, 5)),
]


def layout(bits: int) -> Layout:
    return Layout((Port("x", (1,), bits, signed=False),))


def core_of(net: Network) -> native.Core:
    return native.build(net.verilog(), net.top, layout(net.first.bits), layout(net.last.bits))


@pytest.mark.parametrize(("net", "beats_in", "beats_out"), [(mixed(), 8, 4), (diamond(9), 16, 16)])
def test_cycles_are_those_of_verilator(net, beats_in, beats_out, rng):
    core, model = core_of(net), Model(net, beats_in, beats_out)
    for frames in (1, 5):
        beats = rng.integers(0, 2**net.first.bits, (frames * beats_in, 1))
        for idle, backpressure in SIDES:
            got = core.run(beats, idle=idle, backpressure=backpressure, samples=frames * beats_out)
            said = model.run(frames, idle, backpressure)
            assert (said.cycles, said.latency) == (got.cycles, got.latency)


def test_probabilities_mean_the_same_as_in_the_bench(rng):
    net = diamond(9)
    core, model = core_of(net), Model(net, 16, 16)
    beats = rng.integers(0, 16, (64, 1))
    for seed in range(3):
        got = core.run(beats, idle=0.25, backpressure=0.5, seed=seed)
        assert model.run(4, 0.25, 0.5, seed).cycles == got.cycles


def test_two_hundred_random_networks_against_the_plain_model():
    passed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        net, beats_in, beats_out = random_network(rng)
        model = Model(net, beats_in, beats_out)
        for idle, backpressure in (SIDES[0], SIDES[2 + seed % 4]):
            expected = plain(net, 3 * beats_in, 3 * beats_out, idle, backpressure)
            if expected is None:
                with pytest.raises(RuntimeError, match="is stuck"):
                    model.run(3, idle, backpressure)
                continue
            run = model.run(3, idle, backpressure)
            parts = [(p.fired, p.blocked, p.starved, p.mark) for p in run.parts]
            assert (run.cycles, run.latency, parts) == expected, seed
            assert run.completions[-1] == run.cycles
            passed += 1
    assert passed > 150


def test_completions_are_the_ends_of_shorter_runs():
    model = Model(diamond(9), 16, 16)
    run = model.run(6, Random(0.2, 7), Random(0.3, 8))
    for frames in range(1, 6):
        short = model.run(frames, Random(0.2, 7), Random(0.3, 8))
        assert short.completions == run.completions[:frames]


def test_every_cycle_of_a_part_is_of_one_kind():
    run = Model(mixed(), 8, 4).run(4, Random(0.2, 1), Random(0.4, 2))
    assert {p.fired + p.blocked + p.starved for p in run.parts} == {run.cycles}


def test_the_interval_is_the_distance_of_frames_in_a_long_run():
    for seed in range(40):
        net, beats_in, beats_out = random_network(np.random.default_rng(seed))
        model = Model(net, beats_in, beats_out)
        if not passes(model.tables):
            continue
        steady, ends = model.steady(), model.run(120).completions
        assert steady.frames < 20
        assert Fraction(ends[80 + steady.frames] - ends[80], steady.frames) == steady.interval
        for part, own in zip(steady.parts, model.tables.own, strict=True):
            assert part.fired == own * steady.frames
            assert part.fired + part.blocked + part.starved == steady.interval * steady.frames


def test_a_run_has_the_interval_of_the_steady_state():
    model = Model(mixed(), 8, 4)
    steady = model.steady()
    assert model.run(12).interval == steady.interval == 28
    assert model.run(1).interval is None
    assert model.run(12, Random(0.1, 1)).interval is None
    # A source that offers in one of 6 cycles, 8 beats a frame.
    slow = Cycle((True,) * 5 + (False,))
    assert model.steady(slow).interval == model.run(12, slow).interval == 48


def test_a_source_at_a_pace():
    model = Model(mixed(), 8, 4)
    assert model.steady(pace=100).interval == 100
    assert model.steady(pace=28).interval == 28
    assert model.steady(pace=Fraction(201, 7)).interval == Fraction(201, 7)
    with pytest.raises(TimeoutError, match="mixed did not come back to a state in 50 frames"):
        model.steady(pace=27, max_frames=50)


def test_frames_of_fifty_thousand_beats_in_thirty_parts():
    frame = 50_000
    always = np.ones(frame, bool)
    parts = [
        Timed(f"p{k}", Steps(always, always, always, 3)) if k % 3 else Fifo(f"p{k}", 1, 5) for k in range(30)
    ]
    run = Model(chain("long", parts), frame, frame).run(3)
    assert run.cycles == 3 * frame + 20 * 3 + 10 and run.latency == 70 and run.interval == frame


def test_bounds_are_of_the_bench():
    with pytest.raises(TimeoutError, match=r"mixed gave 1 of 4 beats in 20 clock cycles, .* bound is 20"):
        Model(mixed(), 8, 4).run(1, max_cycles=20)


def test_arguments_are_checked():
    model = Model(mixed(), 8, 4)
    with pytest.raises(ValueError, match="frames must be a positive integer, not 0"):
        model.run(0)
    with pytest.raises(TypeError, match="must be of type Cycle"):
        model.steady(Random(0.5, 1))
    with pytest.raises(ValueError, match="beats_in must be at least 1, not 0"):
        Model(mixed(), 0, 4)
    with pytest.raises(ValueError, match="must be 5 per frame, not 4"):
        Model(mixed(), 8, 5)
    with pytest.raises(ValueError, match=r"must be a multiple of 4 per frame for fours, not 6"):
        Model(mixed(), 3, 1)


def test_unsound_control_is_named():
    one, two = np.ones(1, bool), np.ones(2, bool)
    for rule, words in (
        (Steps(one, one, one, 0), "depth of p must be at least 1, not 0"),
        (Steps(two, one, one, 1), "needs, takes and emits of p must be of one length"),
        (Steps(~one, one, one, 1), "p must need every beat that it takes"),
    ):
        with pytest.raises(ValueError, match=words):
            Model(chain("bad", [Timed("p", rule)]), 1, 1)
    assert steps(np.random.default_rng(0), 2, 3).takes.sum() == 2
