"""A core written by hand, four transfers a frame in, two out, with weights; and a simulation of wrappers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from amaranth import Array, ClockDomain, Module, Signal
from amaranth.back.verilog import convert
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl import wrap
from rtl.layout import Layout, Port

IN = Layout((Port("x", (3,), 5), Port("u", (), 12, signed=False)))
OUT = Layout((Port("s", (2,), 41), Port("place", (), 1, signed=False)))


class Pairs(wiring.Component):
    """Of four transfers (x, u) the sums X and U, then the transfers (X + w0, w1, 0) and (U + w2, w3, 1)."""

    _MustUse__silence = True
    top, in_layout, out_layout = "pairs", IN, OUT
    beats_in, beats_out = 4, 2

    def __init__(self, writable: bool = True) -> None:
        write = wiring.Signature({"address": Out(2), "data": Out(40), "enable": Out(1)})
        streams = {"i": In(stream.Signature(IN.bits)), "o": Out(stream.Signature(OUT.bits))}
        self.weights = SimpleNamespace(address_bits=2, data_bits=40) if writable else None
        super().__init__(streams | ({"w": In(write)} if writable else {}))

    def elaborate(self, platform):
        m = Module()
        weights = Array(Signal(40, name=f"weight_{k}") for k in range(4))
        if self.weights:
            with m.If(self.w.enable):
                m.d.sync += weights[self.w.address].eq(self.w.data)
        count, place = Signal(3), Signal(1)
        sums = Signal(12, name="sum_x"), Signal(16, name="sum_u")
        lanes = [self.i.payload[5 * k : 5 * k + 5].as_signed() for k in range(3)]
        m.d.comb += self.i.ready.eq(count < 4), self.o.valid.eq(count == 4)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 0):
                m.d.sync += sums[0].eq(sum(lanes)), sums[1].eq(self.i.payload[15:])
            with m.Else():
                m.d.sync += sums[0].eq(sums[0] + sum(lanes)), sums[1].eq(sums[1] + self.i.payload[15:])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += place.eq(~place)
            with m.If(place):
                m.d.sync += count.eq(0)
        for k, total in enumerate((sums[0].as_signed(), sums[1])):
            with m.If(place == k):
                low, high = (weights[2 * k + n].as_signed() for n in range(2))
                m.d.comb += self.o.payload[:41].eq(low + total)
                m.d.comb += self.o.payload[41:82].eq(high)
        m.d.comb += self.o.payload[82].eq(place)
        return m

    def verilog(self) -> str:
        return convert(self, name=self.top, strip_internal_attrs=True)


def pairs(x: np.ndarray, u: np.ndarray, weights=(0, 0, 0, 0)) -> list[np.ndarray]:
    """What `Pairs` gives, by transfer, for transfers x (4 n, 3) and u (4 n,)."""
    totals = np.stack([x.reshape(-1, 12).sum(1), u.reshape(-1, 4).sum(1)], axis=1)
    w = np.array(weights, np.int64).reshape(2, 2)
    s = np.stack([totals + w[:, 0], np.broadcast_to(w[:, 1], totals.shape)], axis=2)
    return [s.reshape(-1, 2), np.tile([0, 1], len(totals))]


def simulate(wrapped: wrap.AxiStream, testbench) -> None:
    """Simulates the Amaranth form; its clock is the domain "bench"."""
    m = Module()
    domain = ClockDomain("bench", reset_less=True)
    domain.clk = wrapped.aclk
    m.domains += domain
    m.submodules.wrapped = wrapped
    # A domain without a register would be none.
    beat = Signal()
    m.d.bench += beat.eq(~beat)
    simulator = Simulator(m)
    simulator.add_clock(1e-6, domain="bench")
    simulator.add_testbench(testbench)
    simulator.run()
