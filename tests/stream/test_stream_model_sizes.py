"""FIFO depths: the full rate, no deadlock, and not a beat more than that needs."""

from __future__ import annotations

import numpy as np
import pytest

from rtl.bench import native
from rtl.bench.patterns import Random, never
from rtl.layout import Layout, Port
from rtl.stream.control import Fifo, Steps
from rtl.stream.deadlock import passes, prove
from rtl.stream.model import Model
from rtl.stream.model_kernel import FIFO
from rtl.stream.sizes import fifo_depths, interval
from tests.stream.model_networks import Timed, chain, diamond, mixed, random_network


def layout(bits: int) -> Layout:
    return Layout((Port("x", (1,), bits, signed=False),))


def test_the_diamond_runs_at_full_rate_with_the_least_depths():
    depths = fifo_depths(diamond(2), 16, 16)
    assert depths == {"skip": 11, "thin": 11, "between": 2}
    t = Model(diamond(2), 16, 16).tables
    # Both ways that wait must be as deep: all other depths up to 14 are slower, or stuck.
    for skip in range(2, 15):
        for thin in range(2, 15):
            tried = {"skip": skip, "thin": thin, "between": 2}
            fast = passes(t.with_capacity(tried)) and interval(t, tried) == 16
            assert fast == (min(skip, thin) >= 11), tried


def test_the_diamond_of_that_depth_runs_at_full_rate_in_verilator(rng):
    net = diamond(11)
    core = native.build(net.verilog(), net.top, layout(4), layout(12))
    model = Model(net, 16, 16)
    assert (
        core.run(rng.integers(0, 16, (160, 1))).cycles == model.run(10).cycles == 9 * 16 + model.run(1).cycles
    )
    for idle, backpressure in ((never(), Random(0.5, 1)), (Random(0.5, 2), never())):
        got = core.run(rng.integers(0, 16, (160, 1)), idle=idle, backpressure=backpressure)
        assert got.cycles == model.run(10, idle, backpressure).cycles


def test_a_fifo_before_the_slowest_part_stays_short():
    always = np.ones(16, bool)
    slow = Steps(always, np.arange(16) % 4 == 3, always, 2)
    net = chain("slow", [Timed("fast", Fifo(2)), Timed("waits", Fifo(2)), Timed("slow", slow)])
    assert fifo_depths(net, 4, 16) == {"fast": 2, "waits": 2}


def test_only_the_named_ones_change():
    assert fifo_depths(diamond(40), 16, 16, ["thin"]) == {"thin": 11}
    assert fifo_depths(diamond(11), 16, 16, []) == {}
    with pytest.raises(RuntimeError, match="FIFO skip of depth 4 is too small, 7 is enough"):
        fifo_depths(diamond(4), 16, 16, ["thin"])
    with pytest.raises(ValueError, match="names must be FIFOs of diamond, not 'split'"):
        fifo_depths(diamond(4), 16, 16, ["split"])


def test_random_networks_keep_the_interval_of_deep_fifos_and_no_depth_can_go_down():
    sized = 0
    for seed in range(150):
        net, beats_in, beats_out = random_network(np.random.default_rng(seed))
        t = Model(net, beats_in, beats_out).tables
        names = t.names_of(FIFO)
        deep = dict.fromkeys(names, 1000)
        if not names or not passes(t.with_capacity(deep)):
            continue
        depths = fifo_depths(net, beats_in, beats_out)
        full = interval(t, depths)
        assert full == interval(t, deep)
        prove(Model(t.with_capacity(depths)))
        for name in names:
            less = {**depths, name: depths[name] - 1}
            if less[name] >= 2 and passes(t.with_capacity(less)):
                assert interval(t, less) > full, (seed, name)
        sized += 1
    assert sized > 50


def test_rates_that_go_up_and_down():
    assert fifo_depths(mixed(), 8, 4) == {"first": 2, "second": 2, "third": 2}
