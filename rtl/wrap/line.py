"""A serial line to a design in Amaranth's simulator: what a program sees of a board, without the board."""

from __future__ import annotations

from collections import deque
from typing import Any

from amaranth import ClockDomain, Module, Signal
from amaranth.sim import Simulator

from rtl.wrap.serial import Serial
from rtl.wrap.uart import FRAME

RESET = 4
"""Clock cycles of reset at the start."""


class SimulatedLine:
    """A port for `Serial.run`: every bit on the line is simulated, for `serial.cycles` clock cycles.

    limit     clock cycles that one `read` may take
    bit       clock cycles of a bit as this end sends it, by default the design's
    cycles    clock cycles simulated so far

    The design must have been given to no other simulation.
    """

    def __init__(self, serial: Serial, *, limit: int = 1_000_000, bit: int | None = None) -> None:
        self.serial, self.limit, self.bit = serial, limit, bit or serial.cycles
        self.cycles = 0
        self._waiting: deque[int] = deque()
        self._sending = False
        self._received = bytearray()
        m = Module()
        domain = ClockDomain("line", reset_less=True)
        domain.clk = serial.clk  # the same signal, or the simulator would see two edges
        m.domains += domain
        m.submodules.serial = serial
        beat = Signal()
        m.d.line += beat.eq(~beat)  # a domain without a register would be none
        self.simulator = Simulator(m)
        self.simulator.add_clock(1e-6, domain="line")
        self.simulator.add_testbench(self._send)
        self.simulator.add_testbench(self._receive)
        self.simulator.add_testbench(self._count, background=True)

    def write(self, octets: bytes) -> int:
        """Bytes to be sent, one behind the other, from the next clock cycle on."""
        self._waiting.extend(octets)
        return len(octets)

    def read(self, count: int) -> bytes:
        """The next `count` bytes from the design; fewer where `limit` clock cycles did not bring them."""
        self.advance(self.limit, count)
        out = bytes(self._received[:count])
        del self._received[:count]
        return out

    def advance(self, cycles: int, count: int | None = None) -> None:
        """Simulates clock cycles, until `count` bytes have come if it is given."""
        end = self.cycles + cycles
        while self.cycles < end and (count is None or len(self._received) < count):
            self.simulator.advance()

    def sent(self) -> bool:
        """Whether every byte of `write` is on its way or through."""
        return not self._waiting and not self._sending

    async def _wait(self, ctx: Any, cycles: int) -> None:
        for _ in range(cycles):  # `repeat` complains where a simulation is left unfinished
            await ctx.tick("line")

    async def _count(self, ctx: Any) -> None:
        while True:
            await ctx.tick("line")
            self.cycles += 1

    async def _send(self, ctx: Any) -> None:
        ctx.set(self.serial.rst, 1)
        await self._wait(ctx, RESET)
        ctx.set(self.serial.rst, 0)
        while True:
            self._sending = bool(self._waiting)
            if not self._waiting:
                await ctx.tick("line")
                continue
            word = self._waiting.popleft() << 1 | 1 << FRAME - 1
            for k in range(FRAME):
                ctx.set(self.serial.rx, word >> k & 1)
                await self._wait(ctx, self.bit)

    async def _receive(self, ctx: Any) -> None:
        tx, cycles = self.serial.tx, self.serial.cycles
        while True:
            while ctx.get(tx):
                await ctx.tick("line")
            await self._wait(ctx, cycles // 2)
            word = ctx.get(tx)
            for k in range(1, FRAME):
                await self._wait(ctx, cycles)
                word |= ctx.get(tx) << k
            if word & 1 or not word >> FRAME - 1:
                raise RuntimeError(f"a byte on tx must have a start and a stop bit, not {word:010b}")
            self._received.append(word >> 1 & 0xFF)
