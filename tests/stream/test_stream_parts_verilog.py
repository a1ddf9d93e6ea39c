"""Every small part of the stream networks as Verilog: lint, beats and cycles in Verilator, RAMs in Yosys."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtl.bench import native, tools
from rtl.layout import Layout, Port
from rtl.stream import Network
from rtl.stream.accumulate import Accumulate
from rtl.stream.fifo import Fifo
from rtl.stream.fork import Fork
from rtl.stream.gather import Gather
from rtl.stream.join import Join
from rtl.stream.part import Part
from rtl.stream.repeat import Repeat
from rtl.stream.rom import Rom
from rtl.stream.spread import Spread
from rtl.stream.trim import Trim
from rtl.synth.mapping import synthesize
from tests.stream.parts_bench import alone, predicted
from tests.stream.test_stream_parts import CASES, STALLS, accumulated, gathered, looked_up, spread, trimmed

TEXTS = {
    "fifo": (Fifo("p", 7, 4), list),
    "memory": (Fifo("p", 40, 64), list),
    "odd memory": (Fifo("p", 3, 37), list),
    "gather": (Gather("p", 12, 5, 3, (14, 2, 3, 1, 0, 7)), gathered),
    "spread": (Spread("p", 12, 5, 3, (14, 2, 3, 1, 0, 7), fill=-3), spread),
    "spread with a register": (Spread("p", 12, 5, 3, (14, 2, 3, 1, 0, 7), fill=-3, held=True), spread),
    "maxima": (Accumulate("p", "max", 3, 7, 9, True, 6), accumulated),
    "constants": (Rom("p", 5, 33, tuple(pow(3, 40 + k, 2**33) for k in range(50)), 3), looked_up),
}


def payloads(beats: list[int], bits: int) -> np.ndarray:
    return np.array([[v >> k & 1 for k in range(bits)] for v in beats])


def run(net: Network, beats: list[int], expected: list[int]) -> None:
    """Beats, cycles and latency under all stalls; every run begins with a reset in mid-stream."""
    ends = (
        Layout((Port("x", (net.first.bits,), 1, False),)),
        Layout((Port("y", (net.last.bits,), 1, False),)),
    )
    core = native.build(net.verilog(), net.top, *ends)
    given, wanted = payloads(beats, net.first.bits), payloads(expected, net.last.bits)
    for name, (idle, backpressure) in STALLS.items():
        done = core.run(given, idle=idle, backpressure=backpressure, samples=len(expected))
        assert (done.output == wanted).all(), name
        counted = predicted(net, len(beats), len(expected), idle, backpressure)
        assert (done.cycles, done.latency) == counted, name


def random_beats(rng: np.random.Generator, bits: int, count: int) -> list[int]:
    return [int.from_bytes(rng.bytes(bits // 8 + 1), "little") & (1 << bits) - 1 for _ in range(count)]


@pytest.mark.parametrize("name", TEXTS)
def test_one_part(name: str, rng: np.random.Generator) -> None:
    part, rule = TEXTS[name]
    beats = random_beats(rng, part.inputs[0].bits, 900)
    run(alone(part), beats, beats if rule is list else rule(part)(beats))


def test_many_parts_in_a_row(rng: np.random.Generator) -> None:
    """Each takes what the one before gives: the last beats of frames meet at all distances."""
    trim, rom = Trim("trim", 4, 3, 2, 5), Rom("rom", 12, 4, (3, 9, 14))
    cut, total = Spread("spread", 8, 2), Accumulate("sum", "sum", 2, 4, 9, True, 3)
    whole, least = Gather("gather", 18, 2), Accumulate("least", "min", 4, 9, 9, False, 2)
    net, source, port = Network("row"), None, "i"
    parts = (trim, rom, cut, Fifo("f", 8, 3), total, Repeat("again", 18, 4), Fifo("g", 18, 11), whole, least)
    for part in parts:
        net.add(part)
        net.connect(source, port, part, "i")
        source, port = part, "o"
    net.connect(source, port, None, "o")
    beats = random_beats(rng, 12, 900)
    sums = accumulated(total)(spread(cut)(looked_up(rom)(trimmed(trim)(beats))))
    run(net, beats, accumulated(least)(gathered(whole)([v for v in sums for _ in range(4)])))


def test_lint(tmp_path: Path) -> None:
    """Verilator -Wall has nothing to say of any case, nor of a fork and a join."""
    verilator, several = tools.verilator(), Network("several")
    fork, join = several.add(Fork("forks", 3, 3)), several.add(Join("joins", (3, 3, 3)))
    several.connect(None, "i", fork, "i")
    for k in range(3):
        several.connect(fork, f"o{k}", join, f"i{k}")
    several.connect(join, "o", None, "o")
    nets = [several, *(alone(case.part, f"dut_{k}") for k, case in enumerate(CASES))]
    for net in nets:
        path = tmp_path / f"{net.top}.v"
        path.write_text(net.verilog(["one part"]))
        done = subprocess.run(
            verilator.command("--lint-only", "-Wall", "--top-module", net.top, str(path)),
            env=verilator.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), net.parts[0]


@pytest.mark.parametrize(
    ("part", "flip_flops"), [(Fifo("p", 8, 64), 8 + 8 + 2 * 6 + 3), (Fifo("p", 16, 512), 16 + 2 * 9 + 3)]
)
def test_deep_fifos_are_rams(part: Fifo, flip_flops: int) -> None:
    """Small ones LUTs as RAM and a register behind, large ones a block RAM with its own; no logic around."""
    made = synthesize(alone(part).verilog(), "dut", "ecp5")
    assert (made.lutram > 0, made.bram) == ((True, 0) if part.depth == 64 else (False, 1))
    assert (made.ff, made.other) == (flip_flops, 0)
    assert part.memory == part.bits * part.depth


def test_constants_are_a_rom() -> None:
    """2048 words of 16 bits are in two block RAMs, which hold the register too: LUTs only count."""
    words = tuple(pow(7, 60 + k, 2**16) for k in range(2048))
    made = synthesize(alone(Rom("p", 2, 16, words)).verilog(), "dut", "ecp5")
    assert (made.bram, made.lutram, made.ff, made.other) == (2, 0, 2 + 11 + 1, 0)


def test_no_multiplier_in_any_text() -> None:
    for case in CASES:
        code = re.sub(r"//.*|/\*.*?\*/", "", alone(case.part).verilog())
        assert not re.search(r"[*/%]", code)


ERRORS = {
    "bits of p must be at least 1, not 0": lambda: Fifo("p", 0, 4),
    "depth of p must be at least 1, not 0": lambda: Fifo("p", 4, 0),
    "name of a part must be an identifier and no keyword of Verilog, not 'fork'": lambda: Fork("fork", 4, 2),
    "name of a part must be an identifier and no keyword of Verilog, not '4'": lambda: Fifo("4", 4, 2),
    "ways of p must be at least 2, not 1": lambda: Fork("p", 4, 1),
    "widths of p must be two or more, each at least 1, not (3,)": lambda: Join("p", (3,)),
    "widths of p must be two or more, each at least 1, not (3, 0)": lambda: Join("p", (3, 0)),
    "elements of p must divide its 4 bits, not 3": lambda: Gather("p", 4, 2, 3),
    "order of p must be different numbers below 4, not (4,)": lambda: Gather("p", 4, 2, 2, (4,)),
    "order of p must be different numbers below 4, not (1, 1)": lambda: Spread("p", 4, 2, 2, (1, 1)),
    "fill of p must fit its elements of 2 bits, not 4": lambda: Spread("p", 4, 2, 2, (1, 0), 4),
    "fill of p must fit its elements of 2 bits, not -3": lambda: Spread("p", 4, 2, 2, (1, 0), -3),
    "count of p must be at least 1, not 0": lambda: Repeat("p", 4, 0),
    "kind of p must be one of sum, max, min, not 'mean'": lambda: Accumulate("p", "mean", 1, 4, 4, True, 2),
    "out_bits of p must be at least its 4 bits, not 3": lambda: Accumulate("p", "max", 1, 4, 3, True, 2),
    "words of p must be codes of 2 bits, not (4,)": lambda: Rom("p", 4, 2, (4,)),
    "words of p must be codes of 2 bits, not (0, -1)": lambda: Rom("p", 4, 2, (0, -1)),
    "words of p must be codes of 2 bits, not ()": lambda: Rom("p", 4, 2, ()),
    "surplus of p must be below 3 lanes, not 3": lambda: Trim("p", 4, 3, 3, 2),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ERRORS[message]()


def test_types_of_parameters() -> None:
    for make, message in (
        (lambda: Fifo("p", 4, 2.0), "depth of p must be an integer, not 2.0"),
        (lambda: Fifo("p", True, 2), "bits of p must be an integer, not True"),
        (lambda: Join("p", 3), "widths of p must be integers, not 3"),
        (lambda: Rom("p", 4, 2, (1.5,)), "words of p must be an integer, not 1.5"),
    ):
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            make()
    words = Rom("p", 4, 2, np.array([1, 3])).words
    assert words == (1, 3)
    assert {type(v) for v in words} == {int}
    assert type(Fifo("p", np.int8(4), np.int64(2)).bits) is int


def test_parts_are_values() -> None:
    """Equal parameters make equal parts, also as keys."""
    for case in CASES:
        assert isinstance(case.part, Part)
        assert len({case.part, type(case.part)(**vars(case.part))}) == 1
