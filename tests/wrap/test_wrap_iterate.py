"""An iteration behind AXI: its solutions, and CONTROL.CANCEL, which ends it early."""

from __future__ import annotations

import numpy as np
import pytest

import rtl
from fxsim.iterate import zoo
from fxsim.iterate.stops import ABORTED
from rtl import wrap
from rtl.solving import problems
from tests.wrap.wrap_cores import simulate

CONTROL, STATUS, CANCEL = 0x08, 0x0C, 4


async def write(ctx, dut, address, data):
    ctx.set(dut.s_axil_awaddr, address)
    ctx.set(dut.s_axil_wdata, data)
    ctx.set(dut.s_axil_wstrb, 15)
    for name in ("awvalid", "wvalid"):
        ctx.set(getattr(dut, f"s_axil_{name}"), 1)
    await ctx.tick("bench")
    for name, value in (("awvalid", 0), ("wvalid", 0), ("bready", 1)):
        ctx.set(getattr(dut, f"s_axil_{name}"), value)
    while not ctx.get(dut.s_axil_bvalid):
        await ctx.tick("bench")
    await ctx.tick("bench")
    ctx.set(dut.s_axil_bready, 0)


async def read(ctx, dut, address):
    ctx.set(dut.s_axil_araddr, address)
    ctx.set(dut.s_axil_arvalid, 1)
    await ctx.tick("bench")
    ctx.set(dut.s_axil_arvalid, 0)
    value = ctx.get(dut.s_axil_rdata)
    assert ctx.get(dut.s_axil_rvalid)
    ctx.set(dut.s_axil_rready, 1)
    await ctx.tick("bench")
    ctx.set(dut.s_axil_rready, 0)
    return value


@pytest.mark.parametrize("cancel", [False, True])
def test_a_problem_is_solved_or_cancelled(cancel):
    matrix = np.array([[0, 0.5, 0.25], [0.25, 0, 0.25], [0.125, 0.5, 0]])
    core = rtl.build(zoo.affine(matrix, frac=12))
    wrapped = wrap.axi_stream(core, registers=True)
    assert "_CONTROL_CANCEL 0x4u" in wrapped.c_header()
    given, want, _ = problems(core, {"b": np.array([[2048, -3072, 1024]])}, None)
    got = {}

    async def bench(ctx):
        ctx.set(wrapped.aresetn, 0)
        await ctx.tick("bench")
        ctx.set(wrapped.aresetn, 1)
        assert await read(ctx, wrapped, STATUS) == 0
        (octets,) = wrapped.in_beat.encode(given)
        ctx.set(wrapped.s_axis_tdata, int.from_bytes(octets.tobytes(), "little"))
        ctx.set(wrapped.s_axis_tlast, 1)
        ctx.set(wrapped.s_axis_tvalid, 1)
        while not ctx.get(wrapped.s_axis_tready):
            await ctx.tick("bench")
        await ctx.tick("bench")
        ctx.set(wrapped.s_axis_tvalid, 0)
        assert await read(ctx, wrapped, STATUS) == 1
        if cancel:
            await write(ctx, wrapped, CONTROL, CANCEL)
        for _ in range(200):
            if ctx.get(wrapped.m_axis_tvalid):
                break
            await ctx.tick("bench")
        result = ctx.get(wrapped.m_axis_tdata).to_bytes(wrapped.out_beat.octets, "little")
        names = [p.name for p in core.out_layout.ports]
        got.update(zip(names, wrapped.out_beat.decode(result), strict=True))
        ctx.set(wrapped.m_axis_tready, 1)
        await ctx.tick("bench")
        assert await read(ctx, wrapped, STATUS) == 0

    simulate(wrapped, bench)
    if cancel:
        assert got["status"] == ABORTED and got["steps"] < 10
    else:
        for port, value in zip(core.out_layout.ports, want, strict=True):
            np.testing.assert_array_equal(got[port.name], value)
        assert got["status"] != ABORTED and got["steps"] > 10
