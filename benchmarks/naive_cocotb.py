"""The bench one would write first: a handle for every lane, values set, read and checked one by one."""

import json
import os
import time
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


@cocotb.test()
async def naive(dut):
    data = np.load(os.environ["NAIVE_DATA"])
    x, weights = data["x"], data["weights"]
    lanes_in, lanes_out = weights.shape
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    dut.i__valid.value = 0
    dut.o__ready.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    xs = [getattr(dut, f"x{k}") for k in range(lanes_in)]
    ys = [getattr(dut, f"y{k}") for k in range(lanes_out)]
    sent = received = cycles = 0
    start = time.process_time()
    while received < len(x):
        if sent < len(x):
            dut.i__valid.value = 1
            for k in range(lanes_in):
                xs[k].value = int(x[sent, k])
        else:
            dut.i__valid.value = 0
        await RisingEdge(dut.clk)
        cycles += 1
        assert cycles < 10 * len(x) + 1000
        if sent < len(x) and dut.i__ready.value == 1:
            sent += 1
        if dut.o__valid.value == 1 and dut.o__ready.value == 1:
            y = [signal.value.to_signed() for signal in ys]
            assert y == (x[received] @ weights).tolist()
            received += 1
    seconds = time.process_time() - start
    Path(os.environ["NAIVE_RESULT"]).write_text(json.dumps({"cpu_seconds": seconds, "cycles": cycles}))
