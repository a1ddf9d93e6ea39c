"""A serial line of bytes: 8 data bits, no parity, one stop bit, least significant bit first."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

LEAST = 4
"""Least clock cycles of a bit: the receiver's two registers at the line and its sampling point need them."""

FRAME = 10
"""Bits on the line for a byte."""


def divisor(clock: float, baud: float) -> int:
    """Clock cycles of a bit, for both in Hz.

    Raises ValueError unless a bit has at least 4 cycles, and the nearest whole number of them is within 2 %
    of the bit, so that the sampling point moves by at most a fifth of a bit until the stop bit.
    """
    if not baud > 0 or not clock > 0:
        raise ValueError(f"clock and baud must be positive, not {clock!r} and {baud!r}")
    cycles = round(clock / baud)
    if cycles < LEAST:
        raise ValueError(f"baud must be at most {clock / LEAST:g} for a clock of {clock:g} Hz, not {baud:g}")
    if abs(clock / cycles - baud) > 0.02 * baud:
        raise ValueError(f"baud must be within 2 % of {clock / cycles:g}, the nearest rate, not {baud:g}")
    return cycles


def checked(cycles: int) -> int:
    """Clock cycles of a bit; ValueError for what is none, or fewer than 4."""
    if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < LEAST:
        raise ValueError(f"cycles must be a number of clock cycles of at least {LEAST}, not {cycles!r}")
    return cycles


class Receiver(wiring.Component):
    """Bytes from a line, which rests at 1.

    rx      the line, of any clock
    data    a byte, in the one cycle with `valid` 1
    broken  1 for a cycle where the stop bit was 0; the byte is dropped
    """

    def __init__(self, cycles: int) -> None:
        self.cycles = checked(cycles)
        super().__init__({"rx": In(1, init=1), "data": Out(8), "valid": Out(1), "broken": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line, left, bit = Signal(init=1), Signal(range(self.cycles)), Signal(range(FRAME))
        busy, sample, resting = Signal(), Signal(), Signal(init=1)
        m.submodules.line = FFSynchronizer(self.rx, line, init=1)
        m.d.comb += sample.eq(busy & (left == 0))
        m.d.sync += [self.valid.eq(0), self.broken.eq(0)]
        with m.If(~resting):  # behind a broken byte the line must rest before the next start bit
            m.d.sync += resting.eq(line)
        with m.Elif(~busy):
            # The middle of the start bit is half a bit away, less the cycle that this decision takes.
            m.d.sync += [busy.eq(~line), bit.eq(0), left.eq(self.cycles // 2 - 1)]
        with m.Else():
            m.d.sync += left.eq(Mux(sample, self.cycles - 1, left - 1))
        with m.If(sample):
            m.d.sync += bit.eq(bit + 1)
            with m.If(bit == 0):
                m.d.sync += busy.eq(~line)  # a start bit, not a spike
            with m.Elif(bit == FRAME - 1):
                m.d.sync += [busy.eq(0), resting.eq(line), self.valid.eq(line), self.broken.eq(~line)]
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], line))
        return m


class Transmitter(wiring.Component):
    """Bytes of a stream on a line; one follows the stop bit of another after a cycle."""

    def __init__(self, cycles: int) -> None:
        self.cycles = checked(cycles)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        word, left, bits = Signal(FRAME - 1), Signal(range(self.cycles)), Signal(range(FRAME + 1))
        m.d.comb += self.i.ready.eq(bits == 0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.tx.eq(0), word.eq(Cat(self.i.payload, 1))]
            m.d.sync += [bits.eq(FRAME), left.eq(self.cycles - 1)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(bits != 0):  # behind the stop bit a 1 follows, which is rest
            m.d.sync += [self.tx.eq(word[0]), word.eq(Cat(word[1:], 1))]
            m.d.sync += [bits.eq(bits - 1), left.eq(self.cycles - 1)]
        return m
