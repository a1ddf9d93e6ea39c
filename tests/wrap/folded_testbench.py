"""cocotb test of a wrapped core with frames of many transfers: its own weights, then written ones."""

from __future__ import annotations

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

OUTPUTS = ("s_axis_tready", "m_axis_tvalid", "m_axis_tdata", "m_axis_tlast")
INPUTS = ("s_axis_tvalid", "s_axis_tdata", "m_axis_tready")


@cocotb.test(timeout_time=2000, timeout_unit="us")
async def frames_and_weights(dut):
    job = np.load(os.environ["JOB"])
    Clock(dut.aclk, 10, "ns").start()
    reset = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **reset)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **reset)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), **reset)
    dut.aresetn.value = 0
    for _ in range(3):
        await RisingEdge(dut.aclk)
    dut.aresetn.value = 1
    for k, side in enumerate((source, sink)):
        draw = random.Random(k)
        side.set_pause_generator(iter(lambda draw=draw: draw.random() < 0.3, None))
    for name in ("own", "written"):
        if name == "written":
            for address, value in job["writes"].tolist():
                await with_timeout(master.write_dword(address, value), 10, "us")
        for frame in job["inputs"]:
            await source.send(AxiStreamFrame(frame.tobytes()))
        for frame in job[name]:
            received = await with_timeout(sink.recv(), 100, "us")
            assert bytes(received.tdata) == frame.tobytes()
    assert dut.frame_error.value == 0
    assert await with_timeout(master.read_dword(0x14), 10, "us") == 2 * len(job["inputs"])
    assert await with_timeout(master.read_dword(0x0C), 10, "us") == 0
    source.clear_pause_generator()
    sink.clear_pause_generator()
    source.pause = sink.pause = False

    # Soft resets amid a frame: the next one is a frame from its first transfer on.
    cut = len(job["inputs"][0]) // 2
    await source.send(AxiStreamFrame(job["inputs"][0][:cut].tobytes()))
    await source.wait()
    await with_timeout(master.write_dword(0x08, 1), 10, "us")
    await source.send(AxiStreamFrame(job["inputs"][1].tobytes()))
    received = await with_timeout(sink.recv(), 100, "us")
    assert bytes(received.tdata) == job["written"][1].tobytes()

    for frame in job["inputs"][:2]:
        await source.send(AxiStreamFrame(frame.tobytes()))
    for _ in range(60):  # no output follows an input within a cycle
        await RisingEdge(dut.aclk)
        await Timer(2, "ns")
        before = [int(getattr(dut, name).value) for name in OUTPUTS]
        given = {name: int(getattr(dut, name).value) for name in INPUTS}
        for name in INPUTS:
            getattr(dut, name).value = given[name] ^ 1
        await Timer(1, "ns")
        await ReadOnly()
        assert [int(getattr(dut, name).value) for name in OUTPUTS] == before
        await Timer(1, "ns")
        for name in INPUTS:
            getattr(dut, name).value = given[name]
