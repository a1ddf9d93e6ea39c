"""The serial line: bytes bit by bit, frames through a core, and what becomes of broken ones."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.sim import Simulator

import fxsim
import rtl
from fxsim import SQ, UQ
from rtl.wrap.line import SimulatedLine
from rtl.wrap.serial import Serial
from rtl.wrap.uart import Receiver, Transmitter, divisor
from tests.wrap.wrap_cores import Pairs, pairs

CYCLES, PATIENCE = 5, 400


def small() -> rtl.Core:
    return rtl.build(
        fxsim.trace(lambda x, y: (x * y, x - y), SQ(7, 3), UQ(10, 0), shape=[(2,), ()], name="small")
    )


def stimulus(core, count):
    rng = np.random.default_rng(5)
    inputs = [rng.integers(p.lo, p.hi + 1, (count, *p.shape)) for p in core.in_layout.ports]
    return inputs, core.graph.run_raw(*inputs)


def same(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("lane_bits", ["bytes", "packed"])
def test_frames_through_a_core(lane_bits):
    serial = Serial(small(), CYCLES, PATIENCE, lane_bits=lane_bits)
    inputs, outputs = stimulus(serial.parts.core, 6)
    line = SimulatedLine(serial, limit=20000)
    same(serial.run(line, inputs), outputs)
    # a frame takes its bytes, the answer's, and some cycles in between
    octets = serial.in_beat.octets + serial.out_beat.octets
    assert line.cycles < 6 * (octets * (10 * CYCLES + 1) + 20)


def test_frames_of_several_transfers():
    rng = np.random.default_rng(2)
    x, u = rng.integers(-16, 16, (12, 3)), rng.integers(0, 4096, 12)
    serial = Serial(Pairs(writable=False), CYCLES, PATIENCE)
    same(serial.run(SimulatedLine(serial, limit=20000), [x, u]), pairs(x, u))


@pytest.mark.parametrize("begun", [1, 5, 7, 19])
def test_an_unfinished_frame_is_given_up(begun):
    """After the silence the next frame is a whole one again, whether or not a transfer was in the core."""
    rng = np.random.default_rng(begun)
    x, u = rng.integers(-16, 16, (4, 3)), rng.integers(0, 4096, 4)
    serial = Serial(Pairs(writable=False), CYCLES, PATIENCE)
    line = SimulatedLine(serial, limit=20000)
    seen = []

    async def watch(ctx):
        while True:
            await ctx.tick("line")
            state = tuple(map(ctx.get, (serial.busy, serial.dropped, serial.overrun, serial.broken)))
            if not seen or seen[-1] != state:
                seen.append(state)

    line.simulator.add_testbench(watch, background=True)
    octets = serial.encode([x, u])
    line.write(octets[:begun])
    line.advance((begun + 1) * 10 * CYCLES + PATIENCE // 2)
    line.write(octets[begun:])  # a pause within the patience is none
    same(serial.decode(line.read(34)), pairs(x, u))
    assert (0, 1, 0, 0) not in seen and (1, 1, 0, 0) not in seen
    line.write(octets[:begun])
    line.advance((begun + 1) * 10 * CYCLES + PATIENCE)
    assert seen[-1] == (0, 1, 0, 0)
    same(serial.run(line, [x, u]), pairs(x, u))


def test_bytes_that_find_no_place_are_told():
    """A frame of 20 bytes behind another, whose result of 34 bytes is still on the line."""
    serial = Serial(Pairs(writable=False), CYCLES, PATIENCE)
    line = SimulatedLine(serial, limit=20000)
    overrun = []

    async def watch(ctx):
        while True:
            await ctx.tick("line")
            overrun.append(ctx.get(serial.overrun))

    line.simulator.add_testbench(watch, background=True)
    x, u = np.arange(24).reshape(8, 3) - 12, np.arange(8)
    want = pairs(x, u)
    same(serial.run(line, [x, u]), want)
    assert not any(overrun)
    line.write(serial.encode([x, u]))
    same(serial.decode(line.read(34)), [v[:2] for v in want])
    assert overrun[-1]
    line.advance(PATIENCE + 100)
    same(serial.run(line, [x, u]), want)


def test_no_answer_is_an_error():
    serial = Serial(small(), CYCLES, PATIENCE)

    class Deaf:
        def write(self, octets):
            return len(octets)

        def read(self, count):
            return b"\0" * (count - 1)

    with pytest.raises(TimeoutError, match=r"frame 0 must be answered by 12 bytes, not 11"):
        serial.run(Deaf(), stimulus(serial.parts.core, 1)[0])
    with pytest.raises(ValueError, match="transfers must be a multiple of 4, not 3"):
        Serial(Pairs(writable=False), CYCLES, PATIENCE).encode([np.zeros((3, 3), int), np.zeros(3, int)])


@pytest.mark.parametrize(
    ("cycles", "bit"), [(4, 4.0), (5, 5.0), (16, 16.0), (50, 49.0), (50, 51.0), (100, 98.0)]
)
def test_all_bytes_at_rates_that_differ(cycles, bit):
    """Bytes back to back, bits of up to 2 % more or less than the receiver's; then a spike, and a long 0."""
    receiver, got = Receiver(cycles), []

    async def collect(ctx):
        while True:
            await ctx.tick()
            if ctx.get(receiver.valid):
                got.append(ctx.get(receiver.data))
            if ctx.get(receiver.broken):
                got.append("broken")

    async def send(ctx):
        clock, due = 0, 0.0

        async def hold(level, bits):
            nonlocal clock, due
            ctx.set(receiver.rx, level)
            due += bits * bit
            while clock < due:
                await ctx.tick()
                clock += 1

        await hold(1, 2)
        for octet in range(0, 256, 1 if cycles < 50 else 15):
            for k in range(10):
                await hold((octet << 1 | 0x200) >> k & 1, 1)
        await hold(1, 12)
        ctx.set(receiver.rx, 0)
        await ctx.tick()
        ctx.set(receiver.rx, 1)
        await hold(1, 12)
        await hold(0, 35)
        await hold(1, 3)
        for k in range(10):
            await hold((0xA5 << 1 | 0x200) >> k & 1, 1)
        await hold(1, 3)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(collect, background=True)
    simulator.run()
    assert got == [*range(0, 256, 1 if cycles < 50 else 15), "broken", 0xA5]


def test_the_transmitter_sends_what_it_takes():
    transmitter, levels = Transmitter(4), []

    async def watch(ctx):
        while True:
            await ctx.tick()
            levels.append(ctx.get(transmitter.tx))

    async def offer(ctx):
        for octet in (0x00, 0xFF, 0x5A):
            ctx.set(transmitter.i.payload, octet)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
        ctx.set(transmitter.i.valid, 0)
        await ctx.tick().repeat(60)

    simulator = Simulator(transmitter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(offer)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    text = "".join(map(str, levels)).strip("1")
    want = "0" * 36 + "11111" + "0000" + "1" * 37 + "0000" + "".join(4 * b for b in "01011010")
    assert text == want.strip("1")


def test_rates_and_errors():
    assert (divisor(25e6, 115200), divisor(12e6, 1e6), divisor(12e6, 3e6)) == (217, 12, 4)
    with pytest.raises(
        ValueError, match=r"baud must be at most 3e\+06 for a clock of 1.2e\+07 Hz, not 4e\+06"
    ):
        divisor(12e6, 4e6)
    with pytest.raises(
        ValueError, match=r"baud must be within 2 % of 1.33333e\+06, the nearest rate, not 1.3e"
    ):
        divisor(12e6, 1.3e6)
    with pytest.raises(ValueError, match="clock and baud must be positive"):
        divisor(12e6, 0)
    for cycles in (3, True, 4.0):
        with pytest.raises(ValueError, match="cycles must be a number of clock cycles of at least 4, not"):
            Serial(small(), cycles, PATIENCE)
    with pytest.raises(ValueError, match="patience must be at least the 50 cycles of a byte, not 49"):
        Serial(small(), 5, 49)
    with pytest.raises(ValueError, match="core must have no weights to be written"):
        Serial(Pairs(), 5, 50)
