"""A fault planted in one block of a network: probes name that block, its first wrong element, the cycle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vcd.reader import TokenKind, tokenize

import rtl
from fxsim import SQ, trace
from rtl.bench import native, patterns
from rtl.bench.recording import Recording
from rtl.probe import Probe, name_of
from rtl.verify import vectors
from tests.rtl.streamed_cores import HandMade, doubled, halved, ragged

STALLS: dict[str, Any] = {"idle": 0.3, "backpressure": 0.4, "seed": 5}


def samples(core: Any, count: int = 20, seed: int = 3) -> np.ndarray:
    t = core.graph.inputs[0].type
    return np.random.default_rng(seed).integers(t.lo, t.hi + 1, (count, *t.shape))


def faulty(core: HandMade, old: str, new: str) -> HandMade:
    """The core, with `old` in its Verilog, which is there once, replaced."""

    class Faulty(HandMade):
        def verilog(self, probe: bool = False) -> str:
            text = super().verilog(probe)
            assert text.count(old) == 1
            return text.replace(old, new)

    return Faulty(core.graph, core.network, core.latency, core.interval)


# Adds 1 to column 0 of the first block's result where the input is 7.
SEVEN = ("wire [5:0] sub_0_0 = sub_0_0_sum[6:1];", "wire [5:0] sub_0_0 = sub_0_0_sum[6:1] + (x_0_0 == 4'd7);")


def first_seven(x: np.ndarray, rows: slice = slice(None)) -> tuple[int, int]:
    frame, row = np.argwhere(x[:, rows, 0] == 7)[0]
    return int(frame), int(np.arange(x.shape[1])[rows][row])


# ---- right hardware ----


@pytest.mark.parametrize(("core", "links"), [(halved, 4), (doubled, 2), (ragged, 3)])
def test_every_link_is_equal_with_and_without_stalls(core: Callable[[], HandMade], links: int) -> None:
    for pauses in ({}, STALLS, {"idle": patterns.every(3), "backpressure": patterns.bursts(3, 4)}):
        v = rtl.verify(core(), samples(core()), raw=True, simulator="native", probe=True, **pauses)
        assert v and (v.mismatches, v.links, v.first_probe) == (0, links, None)
        assert f"{links} links inside are equal" in str(v)
        plain = rtl.verify(core(), samples(core()), raw=True, simulator="native", **pauses)
        assert (plain.cycles, plain.latency, plain.links) == (v.cycles, v.latency, None)


def recorded(core: HandMade, x: np.ndarray, simulator: str, window: tuple[int, int]) -> Recording:
    inputs, expected = vectors(core, x, raw=True)
    seen = Probe(core, inputs).recording(window)
    design = core.verilog(probe=True), core.top, core.in_layout, core.out_layout
    if simulator == "native":
        native.build(*design).run(inputs, samples=len(expected[0]), recording=seen, **STALLS)
    else:
        from rtl.bench import cocotb_bench

        assert cocotb_bench.run(*design, inputs, expected, recording=seen, **STALLS)
    return seen


def test_cocotb_and_the_native_library_record_the_same() -> None:
    core = halved()
    x = samples(core)
    a, b = (recorded(core, x, s, (30, 45)) for s in ("native", "cocotb"))
    assert a.counts == b.counts == [120, 120, 60, 60]
    for name in ("cycles", "words"):
        for one, other in zip(getattr(a, name), getattr(b, name), strict=True):
            assert len(one) and np.array_equal(one, other)
    assert a.seen is not None and b.seen is not None
    assert a.seen.start == b.seen.start == 30 and a.seen.valid.shape == (15, 4)
    assert np.array_equal(a.seen.valid, b.seen.valid) and np.array_equal(a.seen.ready, b.seen.ready)
    assert all(np.array_equal(p, q) for p, q in zip(a.seen.payload, b.seen.payload, strict=True))
    moved = a.seen.valid & a.seen.ready
    for k in range(4):
        inside = (a.cycles[k] >= 30) & (a.cycles[k] < 45)
        assert np.array_equal(np.flatnonzero(moved[:, k]) + 30, a.cycles[k][inside])
        assert np.array_equal(a.seen.payload[k][moved[:, k]], a.words[k][inside])


# ---- a wrong block ----


@pytest.mark.parametrize("simulator", ["native", "cocotb"])
def test_the_first_wrong_element_of_the_first_wrong_block(simulator: str, tmp_path: Path) -> None:
    core = faulty(halved(), *SEVEN)
    x = samples(core)
    frame, row = first_seven(x)
    assert (frame, row) != (0, 0)
    file = tmp_path / "around.vcd"
    v = rtl.verify(core, x, raw=True, simulator=simulator, probe=True, waves=file)
    found = v.first_probe
    assert not v and found is not None
    # A beat a cycle without stalls, two edges from the first block's input to its output.
    assert (found.part, found.value, found.sample, found.index) == ("scale", "scaled", frame, (row, 0))
    assert (found.beat, found.cycle) == (row, 6 * frame + row + 2)
    assert (found.got, found.want) == (21, 20)
    assert found.link == "scale.o -> rows.i" and v.links == 4
    assert v.waves == found.waves == str(file) and file.exists()
    where = f"scaled[{row}, 0] (beat {row} of sample {frame}, cycle {found.cycle})"
    text = (
        f"scale (scale: 6 adders, 2 clock edges), scale.o -> rows.i: sample {frame}, {where}: got 21, want 20"
    )
    assert f"first block that differs: {text}; waves in {file}" in str(v)
    assert json.loads(json.dumps(v.to_json()))["first_probe"]["part"] == "scale"
    frame, row = first_seven(x, slice(None, None, 2))
    assert f"sample {frame}, y[{row // 2}, 0]" in str(v.first_difference)


def test_a_fault_that_no_output_shows() -> None:
    x = samples(halved())
    x[:, :, 0] = 0
    frame, row = 11, 3  # a row that the second block drops
    x[frame, row, 0] = 7
    v = rtl.verify(faulty(halved(), *SEVEN), x, raw=True, simulator="native", probe=True)
    assert not v and v.mismatches == 0 and v.first_probe is not None and v.waves is None
    assert (v.first_probe.sample, v.first_probe.index) == (frame, (row, 0))
    v = rtl.verify(faulty(halved(), *SEVEN), x, raw=True, simulator="native", probe=frame)
    assert v and v.links == 4, "only the frames before the fault are compared"


def test_cycles_under_stalls_are_the_same_in_both_simulators() -> None:
    core = faulty(halved(), *SEVEN)
    a, b = (
        rtl.verify(core, samples(core), raw=True, simulator=s, probe=True, **STALLS).first_probe
        for s in ("native", "cocotb")
    )
    assert a is not None and a == b and a.cycle > 6 * a.sample + a.beat + 2


@pytest.mark.parametrize(
    ("old", "new", "part", "value"),
    [
        ("sub_0_1_sum = 7'd40", "sub_0_1_sum = 7'd42", "scale", "scaled"),
        ("data <= i__payload;", "data <= i__payload ^ 18'd64;", "rows", "slice"),
        ("add_0_2_sum = {x_0_2[5:1], 1'd0} + 6'd2", "add_0_2_sum = {x_0_2[5:1], 1'd0} + 6'd4", "shift", "y"),
    ],
)
def test_the_block_of_the_fault(old: str, new: str, part: str, value: str) -> None:
    v = rtl.verify(faulty(halved(), old, new), samples(halved()), raw=True, simulator="native", probe=True)
    assert v.first_probe is not None and not v
    assert (v.first_probe.part, v.first_probe.value, v.first_probe.sample) == (part, value, 0)
    assert v.mismatches


def test_an_error_of_timing_names_the_block_too() -> None:
    # The second row of two comes out in place of the first.
    core = faulty(halved(), "wire first = ~place;", "wire first = place;")
    with pytest.raises(RuntimeError, match=r"latency must be 5 .* took 6; first block that differs: rows \("):
        rtl.verify(core, samples(core), raw=True, simulator="native", probe=True)


def test_surplus_lanes_inside_are_not_compared() -> None:
    # The lanes beyond the end of a row, 3 and -2 of the stimulus, reach the mask as anything.
    core = ragged()
    x = samples(core)
    v = rtl.verify(faulty(core, "data <= i__payload & mask;", "data <= i__payload;"), x, raw=True,
                   simulator="native", probe=True)  # fmt: skip
    assert v.first_probe is None and v.mismatches == 40 and v.links == 3


# ---- runs that do not end ----


def test_a_deadlock_tells_how_far_every_link_came() -> None:
    core = faulty(halved(), "wire first = ~place;", "reg [4:0] n; always @(posedge clk) n <= rst ? 0 : "
                  "n + (n != 20 && advance && i__valid); wire first = ~place & (n != 20);")  # fmt: skip
    with pytest.raises(TimeoutError, match="of 60 samples in 400 clock cycles") as error:
        rtl.verify(core, samples(core), raw=True, simulator="native", probe=True, max_cycles=400)
    assert str(error.value).splitlines()[1:] == [
        "beats that moved on each link, in stream order:",
        "  input -> scale.i: 120 of 120",
        "  scale.o -> rows.i: 120 of 120",
        "  rows.o -> shift.i: 10 of 60",
        "  shift.o -> output: 10 of 60",
    ]


def test_a_wrong_code_before_the_deadlock_is_told() -> None:
    stuck = ("wire [5:0] sub_0_0 = sub_0_0_sum[6:1];",
             "reg [4:0] n; always @(posedge clk) n <= rst ? 0 : n + (n != 20 && valid[0]); "
             "wire [5:0] sub_0_0 = sub_0_0_sum[6:1] + (n >= 10);")  # fmt: skip
    core = faulty(halved(), *stuck)
    with pytest.raises(TimeoutError, match=r"first block that differs: scale .*sample 1, scaled") as error:
        rtl.verify(core, samples(core), raw=True, simulator="native", probe=True, max_cycles=30)
    assert "beats that moved on each link" in str(error.value)


def test_missing_beats_and_beats_too_many() -> None:
    core = halved()
    x = samples(core)
    seen = recorded(core, x, "native", (0, 0))
    probe = Probe(core, vectors(core, x, raw=True)[0])
    assert probe.compare(seen) is None
    at = int(seen.cycles[2][56])
    fewer = dataclasses.replace(
        seen, counts=[120, 120, 57, 60], cycles=[*seen.cycles[:2], seen.cycles[2][:57], seen.cycles[3]],
        words=[*seen.words[:2], seen.words[2][:57], seen.words[3]],
    )  # fmt: skip
    found = probe.compare(fewer)
    assert found is not None and (found.part, found.got, found.sample, found.beat) == ("rows", None, 19, 0)
    assert f"beat 0 of sample 19 of slice never came; the last beat came in cycle {at}" in str(found)
    found = probe.compare(dataclasses.replace(seen, counts=[120, 121, 60, 60]))
    assert found is not None and (found.part, found.want, found.sample, found.beat) == ("scale", None, 20, 0)
    assert "beat 0 of sample 20 of scaled is beyond the end of the stream" in str(found)


# ---- the waveform ----


def waveform(path: Path) -> dict[str, dict[int, int]]:
    """signal -> {time: value} of a VCD file."""
    names, scopes, changes = {}, [], {}
    now = 0
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                names[token.var.id_code] = ".".join([*scopes[1:], token.var.reference])
                changes[names[token.var.id_code]] = {}
            elif token.kind is TokenKind.CHANGE_TIME:
                now = token.time_change
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                change = token.scalar_change if token.kind is TokenKind.CHANGE_SCALAR else token.vector_change
                changes[names[change.id_code]][now] = int(change.value)
    return changes


def value(changes: dict[int, int], time: int) -> int:
    return changes[max(t for t in changes if t <= time)]


def test_the_waveform_shows_the_difference(tmp_path: Path) -> None:
    core = faulty(halved(), *SEVEN)
    x = samples(core)
    files = [tmp_path / "a.vcd", tmp_path / "b.vcd"]
    runs = [rtl.verify(core, x, raw=True, simulator="native", probe=True, waves=f, **STALLS) for f in files]
    found = runs[0].first_probe
    assert found is not None
    assert files[0].read_text() == files[1].read_text().replace(str(files[1]), str(files[0]))
    seen = waveform(files[0])
    link, time = "scale_o_to_rows", 10 * found.cycle
    shown = {
        name: value(seen[f"{link}.{name}"], time)
        for name in ("valid", "ready", "frame", "beat", "e_0_0", "want_0_0", "e_0_1", "want_0_1")
    }
    assert (shown["e_0_0"], shown["want_0_0"]) == (found.got, found.want) == (21, 20)
    assert shown["e_0_1"] == shown["want_0_1"] == (3 * x[found.sample, found.beat, 1] - 1) % 64
    assert (shown["valid"], shown["ready"]) == (1, 1)
    assert (shown["frame"], shown["beat"]) == (found.sample, found.beat)
    assert value(seen["cycle"], time) == found.cycle
    assert value(seen["clk"], time) == 1 and value(seen["clk"], time + 5) == 0
    assert {name.split(".")[0] for name in seen if "." in name} == {"i_to_scale", link, "rows_o_to_shift"}
    start, stop = 10 * max(found.cycle - 50, 0), 10 * (found.cycle + 20)
    times = {t for changes in seen.values() for t in changes if t}
    assert min(times) >= start and max(times) < stop


# ---- arguments ----


def test_errors(tmp_path: Path) -> None:
    core, x = halved(), samples(halved())
    with pytest.raises(ValueError, match="probe must be False for the simulator 'amaranth'"):
        rtl.verify(core, x, raw=True, simulator="amaranth", probe=True)
    with pytest.raises(ValueError, match=r"waves must name a \.vcd file where probe is asked"):
        rtl.verify(core, x, raw=True, probe=True, waves=tmp_path / "x.fst")
    with pytest.raises(ValueError, match="probe must be False for a core that is not streamed"):
        rtl.verify(trace(lambda x: x + 1, SQ(4, 0)), np.zeros(3, int), raw=True, probe=True)


def test_names_of_values() -> None:
    g = halved().graph
    (y,) = g.outputs
    scaled = g.names["scaled"].value
    assert scaled is not None
    assert [name_of(g, n) for n in (g.inputs[0], scaled, y.args[0], y)] == ["x", "scaled", "slice", "y"]  # type: ignore[attr-defined]
