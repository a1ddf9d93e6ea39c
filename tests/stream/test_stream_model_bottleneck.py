"""The table of a network names the part that limits it."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from rtl.bench.patterns import Cycle, Random
from rtl.stream.bottleneck import bottleneck
from rtl.stream.fifo import Fifo
from rtl.stream.model import Model
from rtl.stream.repeat import Repeat
from tests.stream.model_networks import chain, diamond, random_network


def test_the_part_with_the_most_steps_limits():
    net = chain("up", [Fifo("a", 4, 2), Repeat("twice", 4, 2), Fifo("b", 4, 2), Repeat("thrice", 4, 3)])
    report = bottleneck(Model(net, 10, 60))
    assert (report.interval, report.limit, report.reason) == (60, "thrice", "steps")
    rows = {r.part: r for r in report.rows}
    assert [rows[n].steps for n in ("input", "a", "twice", "b", "thrice", "output")] == [
        10,
        10,
        20,
        20,
        60,
        60,
    ]
    assert rows["twice"].utilisation == Fraction(1, 3) and rows["twice"].blocked == 40
    assert rows["thrice"].blocked == rows["thrice"].starved == 0
    assert (rows["b"].mark, rows["b"].room, rows["thrice"].room) == (2, 2, None)


def test_a_fifo_that_is_too_small_limits():
    report = bottleneck(Model(diamond(10), 16, 16))
    assert (report.limit, report.reason) == ("skip", "room")
    assert report.interval > 16 and report.relieved == {"skip": 16}
    assert bottleneck(Model(diamond(11), 16, 16)).limit == "input"


def test_a_paused_end_leaves_everybody_waiting():
    report = bottleneck(Model(diamond(11), 16, 16), backpressure=Cycle((True, False)))
    assert (report.interval, report.reason) == (32, "waiting")
    with pytest.raises(TypeError, match="must be of type Cycle"):
        bottleneck(Model(diamond(11), 16, 16), Random(0.5))


def test_every_row_is_a_frame_of_cycles():
    for seed in (0, 1, 2, 6, 7):
        net, beats_in, beats_out = random_network(np.random.default_rng(seed))
        report = bottleneck(Model(net, beats_in, beats_out))
        for r in report.rows:
            assert r.utilisation * report.interval + r.blocked + r.starved == report.interval
            assert r.steps <= report.interval


def test_text_and_json():
    net = chain("up", [Fifo("a", 4, 2), Repeat("twice", 4, 2)])
    report = bottleneck(Model(net, 4, 8))
    assert str(report).splitlines() == [
        "up: 8 clock cycles per frame, limited by twice",
        "part    steps    busy  blocked  starved  held  what",
        "input       4   50.0%        0        4        the source of the network's beats",
        "a           4   50.0%        4        0   2/2  FIFO of 2 x 4 bits in registers",
        f"twice       8  100.0%        0        0        {net.parts[1].title}",
        "output      8  100.0%        0        0        the sink of the network's beats",
    ]
    data = json.loads(json.dumps(report.to_json()))
    assert data["interval_exact"] == "8" and data["limit"] == "twice"
    assert [p["part"] for p in data["parts"]] == ["input", "a", "twice", "output"]
    slow = bottleneck(Model(diamond(10), 16, 16))
    assert str(slow).splitlines()[0].endswith("limited by skip, which is too small")
    assert str(slow).splitlines()[-1] == "twice the room in skip: 16 clock cycles per frame"
