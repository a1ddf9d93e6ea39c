"""Streamed cores: frames go in and come out in beats, and differences are told by frame and element."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, trace
from rtl.bench import frames, patterns
from rtl.bench.frames import is_streamed, place
from rtl.schedule.forms import Form
from rtl.verify import vectors
from tests.rtl.streamed_cores import Chain, HandMade, carried, doubled, halved, ragged

CORES = {"halved": halved, "doubled": doubled, "ragged": ragged}
PAUSES: dict[str, dict[str, Any]] = {
    "none": {},
    "random": {"idle": 0.4, "backpressure": 0.3, "seed": 2},
    "bursts": {"idle": patterns.every(3), "backpressure": patterns.bursts(2, 5)},
}


def samples(core: Any, count: int, seed: int = 1) -> np.ndarray:
    t = core.graph.inputs[0].type
    return np.random.default_rng(seed).integers(t.lo, t.hi + 1, (count, *t.shape))


# ---- the three simulators ----


@pytest.mark.parametrize("name", CORES)
def test_all_simulators_agree_to_the_cycle(name: str) -> None:
    core = CORES[name]()
    x = samples(core, 25)
    for case, pauses in PAUSES.items():
        simulators = ("amaranth", "native", "cocotb") if case == "random" else ("amaranth", "native")
        runs = [rtl.verify(core, x, raw=True, simulator=s, **pauses) for s in simulators]
        assert all(runs)
        assert {(r.vectors, r.mismatches) for r in runs} == {(25, 0)}
        assert len({(r.cycles, r.latency) for r in runs}) == 1
        if case == "none":
            assert runs[0].latency == core.latency


def test_cycles_without_pauses() -> None:
    # Six beats a frame, one a cycle; the frame's last result is of its fifth beat.
    assert rtl.verify(halved(), samples(halved(), 7), raw=True, simulator="native").cycles == 7 * 6 - 1 + 5
    assert rtl.verify(ragged(), samples(ragged(), 7), raw=True, simulator="native").cycles == 7 * 3 + 3


@pytest.mark.parametrize("simulator", rtl.verify.__globals__["SIMULATORS"])
def test_no_frames(simulator: str) -> None:
    v = rtl.verify(halved(), np.zeros((0, 6, 3), int), raw=True, simulator=simulator)
    assert (v.vectors, v.mismatches, v.latency) == (0, 0, None)


def test_real_values() -> None:
    core = halved()
    v = rtl.verify(core, samples(core, 3).astype(float), simulator="amaranth")
    assert v and v.vectors == 3


# ---- differences ----


def other(core: HandMade, graph: Any, **kw: Any) -> HandMade:
    """The hardware of `core` under another graph."""
    new = HandMade(graph, core.network, core.latency, core.interval)
    for name, value in kw.items():
        setattr(new, name, value)
    return new


@pytest.mark.parametrize("simulator", ["amaranth", "native", "cocotb"])
def test_a_difference_by_frame_and_element(simulator: str) -> None:
    def fn(x: Any) -> Any:
        y = (3 * x - 1)[::2]
        return (
            y
            + np.array([[2, 2, 2], [2, 2, 2], [2, 2, 2]])
            + (x[::2] == 7) * np.array([[0] * 3] * 2 + [[0, 1, 0]])
        )

    core = other(halved(), trace(fn, SQ(4, 0), shape=(6, 3), name="halved"))
    x = samples(core, 30)
    x[:17, 4, 1] = 0
    x[17, 4, 1] = 7
    v = rtl.verify(core, x, raw=True, simulator=simulator)
    assert not v
    want = 3 * 7 - 1 + 2 + 1
    assert str(v.first_difference) == f"sample 17, y[2, 1] (beat 2 of the frame): got {want - 1}, want {want}"
    assert v.mismatches == int((x[:, 4, 1] == 7).sum())
    assert v.first_difference.to_json()["beat"] == 2
    assert json.loads(json.dumps(v.to_json()))["first_difference"] == str(v.first_difference)


def test_surplus_lanes_of_outputs_must_be_zero() -> None:
    good = ragged()
    form = good.input_forms[0]
    (y,) = good.graph.outputs
    c = Chain("ragged")
    c.start(carried(good.graph.inputs[0], form))
    pipe = c.pipe("plus", c.carries.type, lambda x: x + 1)
    c.carry(carried(y, form))
    core = HandMade(good.graph, c.finish(), pipe.latency, 3)
    v = rtl.verify(core, samples(core, 4), raw=True, simulator="amaranth")
    # The surplus lanes of the input hold 3 and -2, the codes nearest to 0.
    assert v.mismatches == 8
    assert str(v.first_difference) == "sample 0, y[0, 5] (beat 2 of the frame): got 4, want 0"


def test_a_wrong_latency() -> None:
    core = other(halved(), halved().graph, latency=6)
    with pytest.raises(RuntimeError, match="latency must be 6 clock cycles, but the first sample took 5"):
        rtl.verify(core, samples(core, 2), raw=True, simulator="amaranth")
    assert rtl.verify(core, samples(core, 2), raw=True, simulator="amaranth", idle=0.5, seed=1)


# ---- the cycle model ----


@dataclasses.dataclass
class FixedModel:
    """Says the same whatever it is asked."""

    cycles: int
    asked: int = 0

    def run(self, frames: int, idle: Any, backpressure: Any) -> FixedModel:
        self.asked += 1
        assert (frames, idle.never, backpressure.never) == (7, self.asked < 3, True)
        return self


def test_cycles_are_compared_with_the_model() -> None:
    x = samples(halved(), 7)
    model = FixedModel(46)
    core = other(halved(), halved().graph, model=model)
    v = rtl.verify(core, x, raw=True, simulator="amaranth")
    assert (v.cycles, v.predicted_cycles, model.asked) == (46, 46, 1)
    assert rtl.verify(core, x, raw=True, simulator="amaranth", check_cycles=False).predicted_cycles is None
    assert rtl.verify(core, x, raw=True, simulator="amaranth", idle=0.5).predicted_cycles is None
    model.cycles, model.asked = 45, 1
    with pytest.raises(RuntimeError, match="cycle model says 45 clock cycles of 7 frames, but they took 46"):
        rtl.verify(core, x, raw=True, simulator="amaranth")
    with pytest.raises(RuntimeError, match="cycle model says 45 clock cycles of 7 frames, but they took"):
        rtl.verify(core, x, raw=True, simulator="amaranth", idle=0.5, check_cycles=True)
    with pytest.raises(ValueError, match="check_cycles must be None"):
        rtl.verify(trace(lambda x: x + 1, SQ(4, 0)), np.zeros(3, int), raw=True, check_cycles=True)


# ---- frames and beats ----

SHAPES = [(), (3,), (2, 3), (4, 5), (2, 3, 4)]
FORMS = [
    Form(shape, axes, lanes)
    for shape in SHAPES
    for count in range(len(shape) + 1)
    for axes in itertools.permutations(range(len(shape)), count)
    for lanes in range(1, (shape[axes[-1]] if axes else 1) + 1)
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_place_of_every_lane(form: Form) -> None:
    ids = np.arange(1, np.prod(form.shape, dtype=int) + 1).reshape(1, *form.shape)
    seen = 0
    for beat, lanes in enumerate(form.split(ids).reshape(form.beats, -1)):
        for lane, value in enumerate(lanes):
            index = place(form, beat, lane)
            if value:
                assert ids[(0, *index)] == value
                seen += 1
            else:
                last = form.axes[-1]
                assert form.shape[last] <= index[last] < form.per_row * form.lanes
    assert seen == ids.size


def test_stimulus_and_expected_are_beats() -> None:
    core = ragged()
    x = samples(core, 2)
    (given,), (want,) = vectors(core, x, raw=True)
    assert given.shape == want.shape == (6, 2, 2)
    assert given[2].tolist() == [[x[0, 0, 4], 3], [x[0, 1, 4], -2]]
    assert want[5].tolist() == [[x[1, 0, 4] + 1, 0], [x[1, 1, 4] + 1, 0]]
    assert is_streamed(core) and not is_streamed(rtl.build(core.graph))
    assert frames.run_options(core, 1000) == {"fill": core.latency + 48, "patience": 6}


# ---- files ----


def test_project_files(tmp_path: Any) -> None:
    core = ragged()
    x = samples(core, 4)
    text = {p.name: p.read_text() for p in rtl.write_project(core, tmp_path, x)}
    layout = json.loads(text["ragged.layout.json"])
    assert (layout["latency"], layout["interval"], layout["beats_in"], layout["beats_out"]) == (3, 3, 3, 3)
    assert layout["input_forms"] == [
        {"shape": [2, 5], "axes": [1], "lanes": 2, "beats": 3, "text": str(core.input_forms[0])}
    ]
    assert [p["name"] for p in layout["report"]] == ["plus", "zeros"]
    given, want = vectors(core, x, raw=True)
    assert text["stimulus.hex"].split() == core.in_layout.hex_lines(core.in_layout.pack(given))
    assert text["expected.hex"].split() == core.out_layout.hex_lines(core.out_layout.pack(want))
    for words in ("One frame is 3 beat(s) in and 3 beat(s) out", "the 12 beats of 4 frames", "2 neighbours"):
        assert words in text["README.md"]
    whole = HandMade(core.graph, core.network, core.latency, core.interval)
    whole.input_forms = (Form((2, 5)),)
    assert (
        "| x | 2x5 | 1 | all |"
        in {p.name: p.read_text() for p in rtl.write_project(whole, tmp_path)}["README.md"]
    )
