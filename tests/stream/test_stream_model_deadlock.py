"""Deadlock: found before it happens, with the parts that wait; never where there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rtl.bench import native
from rtl.bench.patterns import Random, never
from rtl.layout import Layout, Port
from rtl.stream import Network
from rtl.stream.control import Buffered, Fork, Join, Steps
from rtl.stream.deadlock import least_depth, passes, prove
from rtl.stream.model import Model
from tests.stream.model_networks import Timed, chain, diamond, mixed, random_network


def test_a_diamond_whose_short_way_is_too_short_is_named():
    with pytest.raises(RuntimeError) as error:
        prove(Model(diamond(4), 16, 16))
    words = str(error.value)
    assert words.startswith("diamond is stuck: it took 4 beats and gave 0; ")
    for wait in (
        "both waits for spread to give a beat (spread.o -> both.i0)",
        "spread waits for between to give a beat",
        "gather waits for split to give a beat",
        "split waits for skip to take a beat (split.o1 -> skip.i)",
        "skip waits for both to take a beat",
    ):
        assert wait in words
    assert words.endswith("FIFO skip of depth 4 is too small, 7 is enough")
    assert "thin" not in words


def test_the_diamond_hangs_in_verilator_where_the_model_says_so():
    layout = Layout((Port("x", (1,), 4, signed=False),))
    beats = np.arange(16)[:, None]
    for depth, hangs in ((6, True), (7, False)):
        net = diamond(depth)
        core, model = (
            native.build(net.verilog(), net.top, layout, layout_of(net.last.bits)),
            Model(net, 16, 16),
        )
        for idle, backpressure in ((never(), never()), (Random(0.5, 1), Random(0.5, 2))):
            if hangs:
                with pytest.raises(TimeoutError, match="gave 0 of 16 samples"):
                    core.run(beats, idle=idle, backpressure=backpressure, max_cycles=3000)
                with pytest.raises(RuntimeError, match="FIFO skip of depth 6 is too small, 7 is enough"):
                    model.run(1, idle, backpressure)
            else:
                prove(model)
                got = core.run(beats, idle=idle, backpressure=backpressure)
                assert got.cycles == model.run(1, idle, backpressure).cycles


def layout_of(bits: int) -> Layout:
    return Layout((Port("x", (1,), bits, signed=False),))


def test_least_depth_is_the_first_that_passes():
    t = Model(diamond(4), 16, 16).tables
    assert least_depth(t, "skip") == 7
    assert least_depth(t, "between") == 0  # whatever its depth, `skip` is too small
    assert [passes(t.with_capacity({"skip": n})) for n in range(5, 9)] == [False, False, True, True]


def test_a_missing_fifo_is_named():
    net = Network("bare")
    always, last = np.ones(4, bool), np.arange(4) == 3
    split, join = Timed("split", Fork(2)), Timed("both", Join(2))
    gather, spread = (
        Timed("gather", Steps(always, always, last, 1)),
        Timed("spread", Steps(always, last, always, 1)),
    )
    for part in (split, gather, spread, join):
        net.add(part)
    net.connect(None, "i", split, "i0")
    net.connect(split, "o0", gather, "i0")
    net.connect(gather, "o0", spread, "i0")
    net.connect(spread, "o0", join, "i0")
    net.connect(split, "o1", join, "i1")
    net.connect(join, "o0", None, "o")
    with pytest.raises(RuntimeError, match=re.escape("a FIFO is missing in split.o1 -> both.i1")):
        prove(Model(net, 4, 4))


def test_a_memory_too_small_for_its_own_reader_is_named():
    rule = Buffered(4, np.array([3]), np.array([4]), np.ones(1, bool), 3, 2)
    with pytest.raises(RuntimeError, match=r"memory of store \(3 beats\) is too small for its own reader"):
        prove(Model(chain("small", [Timed("store", rule)]), 4, 1))


def test_a_step_that_needs_the_next_frame_is_named():
    one = np.array([True, False])
    rule = Steps(np.ones(2, bool), one, ~one, 1)
    with pytest.raises(RuntimeError, match="late waits for the input to give a beat"):
        prove(Model(chain("net", [Timed("late", rule)]), 1, 1))


def test_a_program_that_ends_in_the_middle_of_a_frame_is_named():
    # 3 beats come for a reader of 3 that has freed all; 2 beats of a program of 2 and one more would not fit.
    with pytest.raises(ValueError, match="must be a multiple of 2 per frame for odd, not 3"):
        Model(chain("net", [Timed("odd", Steps(*np.ones((3, 2), bool), 1))]), 3, 3)


def test_a_reader_that_runs_ahead_is_as_before():
    """Padding is read before its frame's first beat comes: the state between frames is not that of reset."""
    rule = Buffered(2, np.array([-1, 0, 1, -1]), np.array([0, 1, 2, 2]), np.ones(4, bool), 2, 3)
    model = Model(chain("padded", [Timed("pad", rule)]), 2, 4)
    prove(model)
    assert model.run(5).cycles > 20


def test_what_is_proved_never_hangs_and_more_room_never_hurts():
    """Random networks under random pauses; those that are refused get stuck with one register
    in place of each pipeline."""
    proved = 0
    for seed in range(300):
        net, beats_in, beats_out = random_network(np.random.default_rng(seed))
        model = Model(net, beats_in, beats_out)
        try:
            prove(model)
        except RuntimeError as error:
            assert "is stuck" in str(error)
            with pytest.raises(RuntimeError, match="is stuck"):
                Model(model.tables.shallow()).run(1)
            continue
        proved += 1
        for k in range(4):
            model.run(4, Random(0.2 * k, seed), Random((3 - k) / 5, seed + 1))
        fifos = model.tables.names_of(2)
        for name in fifos:
            prove(Model(model.tables.with_capacity({name: model.tables.capacity(name) + 1})))
    assert 100 < proved < 300


def test_mixed_rates_pass():
    prove(Model(mixed(), 8, 4))
