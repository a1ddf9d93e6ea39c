"""cocotb test of any wrapped core without registers: bytes in, bytes out, pauses on both sides."""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource


@cocotb.test(timeout_time=100, timeout_unit="us")
async def frames_of_one_transfer(dut):
    job = np.load(os.environ["JOB"])
    Clock(dut.aclk, 10, "ns").start()
    reset = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **reset)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **reset)
    for pause in (0.0, 0.4):
        dut.aresetn.value = 0
        for _ in range(3):
            await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        for k, side in enumerate((source, sink)):
            draw = random.Random(k)
            side.set_pause_generator(iter(lambda draw=draw, pause=pause: draw.random() < pause, None))
        for row in job["inputs"]:
            await source.send(AxiStreamFrame(row.tobytes()))
        for row in job["outputs"]:
            frame = await with_timeout(sink.recv(), 50, "us")
            assert bytes(frame.tdata) == row.tobytes()
        assert dut.frame_error.value == 0
    for _ in range(20):
        await RisingEdge(dut.aclk)
        assert dut.m_axis_tvalid.value == 0
