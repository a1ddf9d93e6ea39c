"""cocotb tests of the wrapped `Pairs`: frames, framing errors, registers, soft reset, weights."""

from __future__ import annotations

import itertools
import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge, Timer, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from rtl.wrap.lanes import Beat
from tests.wrap.wrap_cores import IN, OUT, pairs

LANE_BITS = os.environ.get("LANE_BITS", "bytes")
BEAT_IN, BEAT_OUT = Beat(IN, LANE_BITS), Beat(OUT, LANE_BITS)
EARLY, MISSING = 1, 2
CONTROL, STATUS, FRAMES_IN, FRAMES_OUT, STALLS_IN, STALLS_OUT, CYCLES = range(0x08, 0x24, 4)
RESET, CLEAR = 1, 2
WEIGHTS, STRIDE = 0x40, 8


class Bench:
    """Clock, reset, source, sink, and the master of the registers."""

    def __init__(self, dut):
        self.dut = dut
        Clock(dut.aclk, 10, "ns").start()
        reset = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **reset)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), **reset)

    async def start(self, seed=None):
        """Reset, with pauses on both sides from a seed."""
        self.dut.aresetn.value = 0
        for _ in range(3):
            await RisingEdge(self.dut.aclk)
        self.dut.aresetn.value = 1
        if seed is not None:
            for k, side in enumerate((self.source, self.sink)):
                draw = random.Random(2 * seed + k)
                side.set_pause_generator(iter(lambda draw=draw: draw.random() < 0.4, None))
        await RisingEdge(self.dut.aclk)
        return self

    async def send(self, octets, ends=3):
        """Transfers with TLAST on the one numbered `ends` of each four; None: only after all."""
        step = len(octets) if ends is None else 4
        for rows in np.split(octets, range(step, len(octets), step)):
            await self.source.send(AxiStreamFrame(rows.tobytes()))

    async def receive(self, count):
        return [bytes((await with_timeout(self.sink.recv(), 50, "us")).tdata) for _ in range(count)]

    async def read(self, address):
        return await with_timeout(self.master.read_dword(address), 10, "us")

    async def write(self, address, value):
        await with_timeout(self.master.write_dword(address, value), 10, "us")

    async def weights(self, values):
        for k, value in enumerate(values):
            await with_timeout(self.master.write_qword(WEIGHTS + STRIDE * k, value & (1 << 64) - 1), 10, "us")


def frames(count, seed=0):
    """Transfers of `count` frames, and their bytes."""
    rng = np.random.default_rng(seed)
    x, u = rng.integers(-16, 16, (4 * count, 3)), rng.integers(0, 4096, 4 * count)
    return (x, u), BEAT_IN.encode([x, u])


def want(values, weights=(0, 0, 0, 0)):
    """The frames that must come out, as bytes."""
    octets = BEAT_OUT.encode(pairs(*values, weights))
    return [octets[k : k + 2].tobytes() for k in range(0, len(octets), 2)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def frames_with_pauses(dut):
    bench = Bench(dut)
    for seed in (None, 1, 2, 3):
        await bench.start(seed)
        w = [5 + (seed or 0), -(1 << 39), -7, (1 << 39) - 1]
        await bench.weights(w)
        values, octets = frames(25, seed or 0)
        await bench.send(octets)
        assert await bench.receive(25) == want(values, w)
        assert bench.sink.empty() and dut.frame_error.value == 0
        await bench.weights([0, 0, 0, 0])


@cocotb.test(timeout_time=100, timeout_unit="us")
async def wrong_tlast_is_flagged_and_moves_no_frame(dut):
    bench = await Bench(dut).start(4)
    values, octets = frames(6)
    await bench.send(octets, None)  # one TLAST, at the very end
    assert await bench.receive(6) == want(values)
    assert dut.frame_error.value == MISSING and await bench.read(STATUS) == MISSING << 1
    await bench.write(STATUS, EARLY << 1)  # the other bit
    assert await bench.read(STATUS) == MISSING << 1
    await bench.write(STATUS, MISSING << 1)
    assert await bench.read(STATUS) == 0 and dut.frame_error.value == 0

    for rows in (octets[:3], octets[3:4], octets[4:8]):
        await bench.source.send(AxiStreamFrame(rows.tobytes()))
    assert await bench.receive(2) == want([v[:8] for v in values])
    assert await bench.read(STATUS) == EARLY << 1
    for rows in (octets[:3], octets[3:5], octets[5:8]):
        await bench.source.send(AxiStreamFrame(rows.tobytes()))
    assert await bench.receive(2) == want([v[:8] for v in values])
    assert dut.frame_error.value == EARLY | MISSING
    for bit, left in ((EARLY, MISSING), (MISSING, 0)):
        await bench.write(STATUS, bit << 1)
        assert dut.frame_error.value == left
    await bench.source.send(AxiStreamFrame(octets[:3].tobytes()))
    await bench.source.wait()
    await RisingEdge(dut.aclk)
    assert dut.frame_error.value == EARLY
    bench = await bench.start()
    assert dut.frame_error.value == 0


@cocotb.test(timeout_time=100, timeout_unit="us")
async def every_register_is_read_and_written(dut):
    bench = await Bench(dut).start()
    constants = {0x00: 0x4658534D, 0x04: 0x00010000, CONTROL: 0, STATUS: 0, 0x24: 4, 0x28: 2}
    for address, value in constants.items():
        assert await bench.read(address) == value, hex(address)
        if address != CONTROL:
            await bench.write(address, 0xFFFFFFFF)
            assert await bench.read(address) == value, hex(address)
    for address in (0x2C, 0x3C, WEIGHTS, WEIGHTS + 0x1C):  # where nothing is read
        assert await bench.read(address) == 0
    for address in (FRAMES_IN, FRAMES_OUT, STALLS_IN, STALLS_OUT):
        await bench.write(address, 0xFFFFFFFF)
        assert await bench.read(address) == 0

    for address in (CONTROL, STATUS):  # a write without the lowest byte does nothing
        await with_timeout(bench.master.write(address + 1, b"\xff\xff\xff"), 10, "us")
    values, octets = frames(8)
    counted = cocotb.start_soon(count(dut))
    bench.source.set_pause_generator(itertools.cycle([0, 0, 1]))
    bench.sink.set_pause_generator(itertools.cycle([1, 1, 1, 0]))
    await bench.send(octets)
    assert await bench.receive(8) == want(values)
    bench.sink.clear_pause_generator()
    bench.sink.pause = False
    counted.cancel()
    assert [await bench.read(a) for a in (FRAMES_IN, FRAMES_OUT)] == [8, 8]
    assert [await bench.read(a) for a in (STALLS_IN, STALLS_OUT)] == [STALLS["in"], STALLS["out"]]
    assert STALLS["in"] and STALLS["out"]
    before = await bench.read(CYCLES)
    for _ in range(100):
        await RisingEdge(dut.aclk)
    after = await bench.read(CYCLES)
    assert 100 < after - before < 120, (before, after)
    await bench.write(CONTROL, CLEAR)
    assert [await bench.read(a) for a in (FRAMES_IN, FRAMES_OUT, STALLS_IN, STALLS_OUT)] == [0] * 4
    assert await bench.read(CYCLES) < 60
    await bench.send(octets[:4])
    assert await bench.receive(1) == want([v[:4] for v in values])
    assert [await bench.read(a) for a in (FRAMES_IN, FRAMES_OUT)] == [1, 1]


STALLS = {"in": 0, "out": 0}


async def count(dut):
    """Clock cycles in which a side waits, as the registers must count them."""
    STALLS.update({"in": 0, "out": 0})
    while True:
        await RisingEdge(dut.aclk)
        for side, port in (("in", "s"), ("out", "m")):
            valid, ready = (int(getattr(dut, f"{port}_axis_t{n}").value) for n in ("valid", "ready"))
            STALLS[side] += valid and not ready


@cocotb.test(timeout_time=100, timeout_unit="us")
async def busy_from_the_first_transfer_to_the_last(dut):
    bench = await Bench(dut).start()
    values, octets = frames(3)
    await bench.source.send(AxiStreamFrame(octets[:2].tobytes()))
    await bench.source.wait()
    assert await bench.read(STATUS) & 1 == 1
    bench.sink.pause = True
    await bench.source.send(AxiStreamFrame(octets[2:4].tobytes()))
    await bench.source.wait()
    assert await bench.read(STATUS) & 1 == 1
    bench.sink.pause = False
    assert await bench.receive(1) == want([v[:4] for v in values])
    assert await bench.read(STATUS) & 1 == 0


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_soft_reset_keeps_what_is_offered_and_empties_the_rest(dut):
    bench = await Bench(dut).start()
    values, octets = frames(3)
    bench.sink.pause = True
    await bench.send(octets[:4])
    await bench.source.send(AxiStreamFrame(octets[4:6].tobytes()))
    for _ in range(20):
        await RisingEdge(dut.aclk)
    assert dut.m_axis_tvalid.value == 1
    offered = dut.m_axis_tdata.value
    bench.source.pause = True
    await bench.write(CONTROL, RESET)
    assert dut.m_axis_tvalid.value == 1 and dut.m_axis_tdata.value == offered
    for _ in range(5):
        await RisingEdge(dut.aclk)
    assert dut.m_axis_tvalid.value == 1 and dut.m_axis_tlast.value == 0 and dut.frame_error.value == 0
    # The transfer that s_axis offered all the time is now the first of a frame.
    assert await bench.read(STATUS) == 1 and await bench.read(FRAMES_IN) == 0
    bench.sink.pause = bench.source.pause = False
    await bench.source.send(AxiStreamFrame(octets[6:8].tobytes()))
    (received,) = await bench.receive(1)
    kept, frame = received[: BEAT_OUT.octets], received[BEAT_OUT.octets :]
    assert kept == want(values)[0][: BEAT_OUT.octets] and frame == want(values)[1]
    assert await bench.read(STATUS) == EARLY << 1 and await bench.read(FRAMES_OUT) == 1

    # Amid a frame, with both errors told: afterwards there is none, and the next frame is whole.
    await bench.source.send(AxiStreamFrame(octets[:6].tobytes()))
    await bench.receive(1)
    await bench.source.wait()
    await RisingEdge(dut.aclk)
    assert dut.frame_error.value == EARLY | MISSING
    await bench.write(CONTROL, RESET)
    await bench.send(octets[:4])
    assert await bench.receive(1) == want([v[:4] for v in values])
    assert dut.frame_error.value == 0

    # In its cycle, that in which the answer to the write comes, nothing is taken.
    seen = []
    for kind in (CLEAR, RESET):
        for _ in range(5):
            await RisingEdge(dut.aclk)
        writes = cocotb.start_soon(bench.write(CONTROL, kind))
        while not dut.s_axil_bvalid.value:
            await RisingEdge(dut.aclk)
        seen.append(int(dut.s_axis_tready.value))
        await RisingEdge(dut.aclk)
        await writes
        seen.append(int(dut.s_axis_tready.value))
    assert seen == [1, 1, 0, 1]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def weights_are_written_whole(dut):
    bench = await Bench(dut).start()
    values, octets = frames(1)
    await bench.weights([1, 2, 3, 4])
    # The low word alone, and a high word without all of its bytes, move nothing into the core.
    await bench.write(WEIGHTS, 77)
    await with_timeout(bench.master.write(WEIGHTS + STRIDE + 4, b"\x11\x22"), 10, "us")
    await bench.send(octets)
    assert await bench.receive(1) == want(values, [1, 2, 3, 4])
    await bench.write(WEIGHTS + STRIDE + 4, 0x1)  # with the low word that waits
    await bench.send(octets)
    assert await bench.receive(1) == want(values, [1, (1 << 32) + 77, 3, 4])


@cocotb.test(timeout_time=100, timeout_unit="us")
async def accesses_with_pauses(dut):
    bench = await Bench(dut).start()
    channels = (bench.master.write_if, bench.master.read_if)
    for k, channel in enumerate([
        channels[0].aw_channel, channels[0].w_channel, channels[0].b_channel,
        channels[1].ar_channel, channels[1].r_channel,
    ]):  # fmt: skip
        draw = random.Random(k)
        channel.set_pause_generator(iter(lambda draw=draw: draw.random() < 0.5, None))
    values, octets = frames(1)
    for k in range(5):
        weights = [k, -k, 3 * k - 1, 1 << k]
        await bench.weights(weights)
        await bench.send(octets)
        assert await bench.receive(1) == want(values, weights)
        assert await bench.read(FRAMES_OUT) == k + 1
    many = await with_timeout(bench.master.read(0, 16), 20, "us")
    assert bytes(many.data)[:8] == (0x4658534D).to_bytes(4, "little") + (0x10000).to_bytes(4, "little")


@cocotb.test(timeout_time=100, timeout_unit="us")
async def no_output_follows_an_input_within_a_cycle(dut):
    bench = await Bench(dut).start()
    _, octets = frames(2)
    bench.sink.pause = True
    await bench.send(octets)
    outputs = [
        "s_axis_tready", "m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "frame_error", "s_axil_awready",
        "s_axil_wready", "s_axil_bvalid", "s_axil_arready", "s_axil_rvalid", "s_axil_rdata",
    ]  # fmt: skip
    inputs = ["s_axis_tvalid", "s_axis_tlast", "m_axis_tready", "s_axil_awvalid", "s_axil_bready"]
    for _ in range(12):
        await RisingEdge(dut.aclk)
        await Timer(2, "ns")
        before = [int(getattr(dut, name).value) for name in outputs]
        given = {name: int(getattr(dut, name).value) for name in inputs}
        for name, value in given.items():
            getattr(dut, name).value = 1 - value
        await Timer(1, "ns")
        await ReadOnly()
        assert [int(getattr(dut, name).value) for name in outputs] == before
        await Timer(1, "ns")
        for name, value in given.items():
            getattr(dut, name).value = value
