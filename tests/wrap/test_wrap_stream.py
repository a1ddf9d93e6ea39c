"""Cores of `rtl.build` behind AXI4-Stream: lanes in bytes and packed, text, header, errors."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

import fxsim
import rtl
from fxsim import SQ, UQ
from rtl import wrap
from rtl.bench import tools
from rtl.layout import Layout, Port
from rtl.wrap.lanes import slot
from tests.wrap import wrap_bench
from tests.wrap.wrap_cores import IN, OUT, Pairs, simulate


def mixed(name: str = "mixed") -> rtl.Core:
    """Two inputs and three outputs, signed and not, of 3 to 41 bits."""
    graph = fxsim.trace(
        lambda x, y: (x + y, x * y - 1, (y * 1073741827).named("wide")),
        SQ(4, 1),
        UQ(9, 0),
        shape=[(2, 3), ()],
        name=name,
    )
    return rtl.build(graph)


def stimulus(core: rtl.Core, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(7)
    inputs = [rng.integers(p.lo, p.hi + 1, (count, *p.shape)) for p in core.in_layout.ports]
    return inputs, core.graph.run_raw(*inputs)


@pytest.mark.parametrize("lane_bits", ["bytes", "packed"])
def test_amaranth_form(lane_bits):
    """In Amaranth's simulator, with pauses: the bytes of the results are those of the emulator's integers."""
    wrapped = wrap.axi_stream(mixed(), lane_bits=lane_bits)
    inputs, outputs = stimulus(wrapped.parts.core, 40)
    sent = [int.from_bytes(row.tobytes(), "little") for row in wrapped.in_beat.encode(inputs)]
    if lane_bits == "bytes":  # what a lane does not hold is not looked at
        high = sum(((1 << 8) - (1 << 5)) << 8 * k for k in range(6))
        sent = [word ^ high if k % 2 else word for k, word in enumerate(sent)]
    received = bytearray()
    rng = np.random.default_rng(1)

    async def bench(ctx):
        ctx.set(wrapped.aresetn, 0)
        await ctx.tick("bench")
        ctx.set(wrapped.aresetn, 1)
        todo = list(sent)
        ctx.set(wrapped.s_axis_tlast, 1)
        for _ in range(1000):
            if len(received) == len(sent) * wrapped.out_beat.octets:
                break
            if todo and (ctx.get(wrapped.s_axis_tvalid) or rng.random() < 0.7):
                ctx.set(wrapped.s_axis_tdata, todo[0])
                ctx.set(wrapped.s_axis_tvalid, 1)
            ctx.set(wrapped.m_axis_tready, int(rng.random() < 0.6))
            if ctx.get(wrapped.s_axis_tvalid) and ctx.get(wrapped.s_axis_tready):
                todo.pop(0)
                taken = True
            else:
                taken = False
            if ctx.get(wrapped.m_axis_tvalid) and ctx.get(wrapped.m_axis_tready):
                assert ctx.get(wrapped.m_axis_tlast) == 1
                received.extend(ctx.get(wrapped.m_axis_tdata).to_bytes(wrapped.out_beat.octets, "little"))
            await ctx.tick("bench")
            if taken:
                ctx.set(wrapped.s_axis_tvalid, 0)
        assert ctx.get(wrapped.frame_error) == 0

    simulate(wrapped, bench)
    found = wrapped.out_beat.decode(bytes(received))
    for got, want in zip(found, outputs, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("lane_bits", ["bytes", "packed"])
def test_verilog_form(lane_bits, tmp_path):
    wrapped = wrap.axi_stream(mixed(), lane_bits=lane_bits)
    inputs, outputs = stimulus(wrapped.parts.core, 50)
    job = tmp_path / "job.npz"
    np.savez(job, inputs=wrapped.in_beat.encode(inputs), outputs=wrapped.out_beat.encode(outputs))
    found = wrap_bench.run(
        wrapped.verilog(), wrapped.top, "tests.wrap.stream_testbench", tmp_path, JOB=str(job)
    )
    assert found == {"frames_of_one_transfer": ""}


@pytest.mark.parametrize("lane_bits", ["bytes", "packed"])
@pytest.mark.parametrize("registers", [False, True])
def test_lint_and_determinism(lane_bits, registers, tmp_path):
    verilator = tools.verilator()
    text = wrap.axi_stream(mixed(), registers=registers, lane_bits=lane_bits).verilog()
    assert text == wrap.axi_stream(mixed(), registers=registers, lane_bits=lane_bits).verilog()
    (tmp_path / "mixed.v").write_text(text)
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", "mixed_axis", str(tmp_path / "mixed.v")),
        capture_output=True, text=True, env=verilator.environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, text[text.index("// mixed_axis: written") :].splitlines())) <= 200


def test_the_wrapper_of_weights_is_clean(tmp_path):
    """Amaranth's text of the core is not, and so a black box stands for it."""
    verilator = tools.verilator()
    wrapped = wrap.axi_stream(Pairs(), registers=True)
    own = wrapped.verilog()[len(wrapped.core_verilog) :]
    inputs = {"clk": 1, "rst": 1, "i__payload": IN.bits, "i__valid": 1, "o__ready": 1}
    inputs |= {"w__address": 2, "w__data": 40, "w__enable": 1}
    declared = [f"input [{n - 1}:0] {name}" if n > 1 else f"input {name}" for name, n in inputs.items()]
    declared += ["output i__ready", "output o__valid", f"output [{OUT.bits - 1}:0] o__payload"]
    box = f"module pairs({', '.join(declared)});\n  assign i__ready = ^{{{', '.join(inputs)}}};\n"
    box += f"  assign o__payload = {OUT.bits}'d0;\n  assign o__valid = 1'd0;\nendmodule\n"
    (tmp_path / "box.v").write_text(own + box)
    done = subprocess.run(
        verilator.command("--lint-only", "-Wall", "--top-module", wrapped.top, str(tmp_path / "box.v")),
        capture_output=True, text=True, env=verilator.environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_slots_and_bytes():
    assert [slot(n) for n in (1, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129)] == [
        8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 192,
    ]  # fmt: skip
    layout = Layout((Port("a", (2,), 12), Port("b", (), 3, signed=False), Port("c", (), 70)))
    values = [np.array([[-1, 5]]), np.array([6]), np.array([-(1 << 69)], object)]
    beat = wrap.Beat(layout)
    octets = beat.encode(values)
    assert octets.tobytes().hex() == "ffff0500" + "06" + "00" * 8 + "e0" + "ff" * 7
    assert beat.octets == 21 and beat.bits == 168
    packed = wrap.Beat(layout, "packed")
    assert packed.octets == 13 and layout.bits == 97
    whole = (1 << 97) - (1 << 96) | 6 << 24 | 5 << 12 | 0xFFF
    assert int.from_bytes(packed.encode(values).tobytes(), "little") == whole
    for b in (beat, packed):
        for got, want in zip(b.decode(b.encode(values).tobytes()), values, strict=True):
            np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="must be uint8, a multiple of 21, not 20 of uint8"):
        beat.decode(b"\0" * 20)
    with pytest.raises(ValueError, match="value of port 'b' at"):  # in its slot, not in its lane
        beat.encode([values[0], np.array([8]), values[2]])
    with pytest.raises(ValueError, match="lane_bits must be one of bytes, packed, not 'words'"):
        wrap.Beat(layout, "words")


def test_names_and_headers():
    core = mixed()
    wrapped = wrap.axi_stream(core)
    assert (wrapped.top, wrapped.beats_in, wrapped.beats_out, wrapped.registers) == ("mixed_axis", 1, 1, [])
    assert wrap.axi_stream(core, "my top").top == "my_top"
    text = wrapped.c_header()
    assert "#define MIXED_AXIS_IN_X_BYTE 0u /* int8_t[6], frac 1 */" in text
    assert "#define MIXED_AXIS_OUT_BEAT_BYTES" in text and "_STATUS" not in text
    with pytest.raises(ValueError, match="name must differ from the modules of the core, not 'mixed'"):
        wrap.axi_stream(core, "mixed")
    with pytest.raises(ValueError, match="registers must be True for a register map"):
        wrapped.markdown()
    full = wrap.axi_stream(Pairs(), registers=True)
    assert [r.offset for r in full.registers] == list(range(0, 0x2C, 4))
    assert full.window == wrap.Window(2, 40) and (full.window.offset, full.window.stride) == (0x40, 8)
    for text in (full.markdown(), full.c_header(), full.verilog()):
        assert all(r.name in text and r.description in text for r in full.registers)
    assert "#define PAIRS_AXIS_WEIGHTS 0x40u" in full.c_header()


def test_a_c_compiler_reads_the_header(tmp_path):
    (tmp_path / "pairs.h").write_text(wrap.axi_stream(Pairs(), registers=True).c_header())
    (tmp_path / "main.c").write_text(
        '#include "pairs.h"\n'
        "_Static_assert(PAIRS_AXIS_STATUS == 12 && PAIRS_AXIS_STATUS_MISSING_TLAST == 4, \"\");\n"
        "_Static_assert(PAIRS_AXIS_IN_BEATS * PAIRS_AXIS_IN_BEAT_BYTES == 20, \"\");\n"
        "_Static_assert(PAIRS_AXIS_OUT_PLACE_BYTE == 16, \"\");\nint main(void) { return 0; }\n"
    )  # fmt: skip
    command = [
        tools.compiler(),
        "-x",
        "c",
        "-std=c11",
        "-Wall",
        "-Werror",
        "-fsyntax-only",
        str(tmp_path / "main.c"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


class Broken(wiring.Component):
    """Streams as asked, and whatever a test adds."""

    _MustUse__silence = True
    top, in_layout, out_layout = "broken", Layout((Port("a", (), 4),)), Layout((Port("b", (), 4),))

    def __init__(self, more=(), bits=4, **attributes):
        super().__init__(
            {"i": In(stream.Signature(bits)), "o": Out(stream.Signature(4)), **dict(more)}
        )  # fmt: skip
        for name, value in attributes.items():
            setattr(self, name, value)

    def elaborate(self, platform):
        return Module()

    def verilog(self):
        return "module broken(); endmodule\n"


WRITE = {"w": In(wiring.Signature({"address": Out(2), "data": Out(8), "enable": Out(1)}))}


@pytest.mark.parametrize(
    ("core", "error", "text"),
    [
        (lambda: object(), TypeError, "core must be a core, as rtl.build gives it, not <object"),
        (lambda: Broken({"extra": In(1)}), TypeError, "must be the streams, cancel, .* not extra"),
        (lambda: Broken(bits=5), ValueError, "i__payload must have the 4 bits of its layout, not 5"),
        (lambda: Broken(beats_in=0), ValueError, "beats_in must be a number of transfers .*, not 0"),
        (lambda: Broken(beats_out=1.5), ValueError, "beats_out must be a number of transfers .*, not 1.5"),
        (lambda: Broken(WRITE), ValueError, "core.weights must describe the ports .* not be None"),
        (
            lambda: Broken(WRITE, weights=SimpleNamespace(address_bits=2, data_bits=9)), ValueError,
            "w__data must be an input of 9 bits, at least 1, as core.weights says, not Pin",
        ),
        (
            lambda: Broken(WRITE, weights=SimpleNamespace(address_bits=2, data_bits=8)), ValueError,
            "registers must be True for a core with weights to write, not False",
        ),
    ],
)  # fmt: skip
def test_errors(core, error, text):
    with pytest.raises(error, match=text):
        wrap.axi_stream(core())
