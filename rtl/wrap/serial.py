"""A core at a serial line: the bytes of a frame in, the bytes of its result out."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth import Cat, ClockDomain, DomainRenamer, Module, Mux, Signal
from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.wrap.lanes import Beat
from rtl.wrap.parts import Parts, parts_of
from rtl.wrap.uart import FRAME, Receiver, Transmitter, checked
from rtl.wrap.writers import WrapCircuit

DOMAIN, CORE_DOMAIN = "serial", "serial_core"


class Serial(wiring.Component):
    """A core between a receiver and a transmitter.

    core      as `rtl.wrap.axi_stream` takes it, but without weights to be written
    cycles    clock cycles of a bit, at least 4
    patience  clock cycles without a byte after which an unfinished frame is given up: its bytes are dropped,
              and the core is reset if some of its transfers are in there already. At least a byte's 10 bits
    lane_bits   of `rtl.wrap.lanes.Beat`, by which the bytes of a transfer lie on the line, lowest first

    clk, rst  clock, and reset, active high; they are ports so that a simulation can make `clk` its own clock
    rx, tx    the lines
    overrun   stays 1 from where a byte came that no place was left for, which was dropped: the next frame was
              sent while results still waited for the line
    broken    stays 1 from where a byte came without its stop bit
    dropped   stays 1 from where an unfinished frame was given up
    busy      a byte of a frame, a frame, or a result is inside

    Raises what `parts_of` does, and ValueError for weights, and for `cycles` or `patience` too small.
    """

    _MustUse__silence = True

    def __init__(self, core: Any, cycles: int, patience: int, *, lane_bits: str = "bytes") -> None:
        self.parts: Parts = parts_of(core)
        if self.parts.address_bits:
            raise ValueError("core must have no weights to be written, which a serial line does not reach")
        self.in_beat = Beat(self.parts.in_layout, lane_bits)
        self.out_beat = Beat(self.parts.out_layout, lane_bits)
        self.cycles = checked(cycles)
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < FRAME * cycles:
            raise ValueError(
                f"patience must be at least the {FRAME * cycles} cycles of a byte, not {patience!r}"
            )
        self.patience = patience
        super().__init__(
            {
                "clk": In(1), "rst": In(1), "rx": In(1, init=1), "tx": Out(1, init=1), "overrun": Out(1),
                "broken": Out(1), "dropped": Out(1), "busy": Out(1),
            }
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        for name in (DOMAIN, CORE_DOMAIN):
            domain = ClockDomain(name, local=True)
            domain.clk = self.clk  # the same signal, or a simulator would see two edges
            m.domains += domain
        m.d.comb += ResetSignal(DOMAIN).eq(self.rst)
        self.receiver, self.transmitter = Receiver(self.cycles), Transmitter(self.cycles)
        m.submodules.receiver, m.submodules.transmitter = self.receiver, self.transmitter
        m.d.comb += [self.receiver.rx.eq(self.rx), self.tx.eq(self.transmitter.tx)]
        pins = self._core(m, platform)
        idle = self._gather(m, pins)
        empty = self._send(m, pins)
        inside = self._inside(m, pins)
        m.d.comb += self.busy.eq(~idle | ~empty | inside)
        return DomainRenamer(DOMAIN)(m)

    def _core(self, m: Module, platform: Any) -> dict[str, Any]:
        """The core: its own Verilog where a platform builds the design, its Amaranth form in a simulation."""
        parts = self.parts
        if platform is None:
            m.submodules.core = DomainRenamer(CORE_DOMAIN)(parts.core)
            found = parts.core.signature.flatten(parts.core)
            return {"__".join(map(str, path)): value for path, _, value in found}
        platform.add_file(f"{parts.top}.v", parts.core.verilog())
        pins = {name: Signal(pin.width, name=name) for name, pin in parts.pins.items()}
        m.submodules.core = Instance(
            parts.top, i_clk=ClockSignal(CORE_DOMAIN), i_rst=ResetSignal(CORE_DOMAIN),
            **{("i_" if pin.input else "o_") + name: pins[name] for name, pin in parts.pins.items()},
        )  # fmt: skip
        return pins

    def _gather(self, m: Module, pins: dict[str, Any]) -> Any:
        """Bytes to transfers; whether none has begun."""
        size, beats = self.in_beat.octets, self.parts.beats_in
        octets, count, full = Signal(8 * size, name="in__octets"), Signal(range(size + 1)), Signal()
        beat, silence = Signal(range(max(beats, 2))), Signal(range(self.patience + 1))
        lanes = self.in_beat.inwards(WrapCircuit(m, {}), octets)
        m.d.comb += [pins["i__payload"].eq(Cat(*lanes)), pins["i__valid"].eq(full)]
        with m.If(full & pins["i__ready"]):
            m.d.sync += [full.eq(0), beat.eq(Mux(beat == beats - 1, 0, beat + 1))]
        with m.If(self.receiver.valid):
            with m.If(full & ~pins["i__ready"]):
                m.d.sync += self.overrun.eq(1)
            with m.Else():
                m.d.sync += octets.eq(Cat(octets[8:], self.receiver.data))
                m.d.sync += [count.eq(Mux(count == size - 1, 0, count + 1)), full.eq(count == size - 1)]
        with m.If(self.receiver.broken):
            m.d.sync += self.broken.eq(1)
        begun, given_up = Signal(), Signal()
        m.d.comb += begun.eq((count != 0) | (beat != 0))
        # While a transfer waits for the core, it is not the line that is slow.
        with m.If(self.receiver.valid | ~begun | full):
            m.d.sync += silence.eq(0)
        with m.Else():
            m.d.comb += given_up.eq(silence == self.patience - 1)
            m.d.sync += silence.eq(silence + 1)
        with m.If(given_up):
            m.d.sync += [self.dropped.eq(1), count.eq(0), beat.eq(0), silence.eq(0)]
        m.d.comb += ResetSignal(CORE_DOMAIN).eq(ResetSignal() | given_up & (beat != 0))
        self.emptied = given_up & (beat != 0)
        return ~begun & ~full

    def _send(self, m: Module, pins: dict[str, Any]) -> Any:
        """Transfers to bytes; whether none waits."""
        size = self.out_beat.octets
        octets, left = Signal(8 * size, name="out__octets"), Signal(range(size + 1))
        line, slots = self.transmitter.i, self.out_beat.outwards(WrapCircuit(m, {}), pins["o__payload"])
        m.d.comb += [pins["o__ready"].eq(left == 0), line.valid.eq(left != 0), line.payload.eq(octets[:8])]
        with m.If(pins["o__valid"] & pins["o__ready"]):
            m.d.sync += [octets.eq(Cat(*slots)), left.eq(size)]
        with m.If(line.valid & line.ready):
            m.d.sync += [octets.eq(octets[8:]), left.eq(left - 1)]
        return (left == 0) & line.ready

    def _inside(self, m: Module, pins: dict[str, Any]) -> Any:
        """Whether transfers of a frame are in the core."""
        frames = Signal(16, name="inside")
        moves = []
        for side, beats in (("i", self.parts.beats_in), ("o", self.parts.beats_out)):
            place = Signal(range(max(beats, 2)), name=f"{side}__place")
            move = Signal(name=f"{side}__moves")
            m.d.comb += move.eq(pins[f"{side}__valid"] & pins[f"{side}__ready"])
            with m.If(move):
                m.d.sync += place.eq(Mux(place == beats - 1, 0, place + 1))
            with m.If(self.emptied):
                m.d.sync += place.eq(0)
            moves.append(move & (place == (0 if side == "i" else beats - 1)))
        with m.If(self.emptied):
            m.d.sync += frames.eq(0)
        with m.Else():
            m.d.sync += frames.eq(frames + moves[0] - moves[1])
        return frames != 0

    # ---- the other end of the line -----------------------------------------------------------------------

    def encode(self, inputs: Any) -> bytes:
        """What to send: raw integers, an array (n, *shape) per input; raises what `Parts.encode` does."""
        return self.parts.encode(self.in_beat, inputs).tobytes()

    def decode(self, octets: bytes) -> list[np.ndarray]:
        """What came back, as raw integers, an array (n, *shape) per output."""
        return self.parts.decode(self.out_beat, octets)

    def run(self, port: Any, inputs: Any) -> list[np.ndarray]:
        """Frames through a board, one after another: each is sent when the one before it is answered.

        port    with write(bytes) and read(count) -> bytes, as `serial.Serial` of pyserial, opened with a
                timeout and this design's baud rate

        Raises TimeoutError that names the frame where fewer bytes than asked for come back, and what `encode`
        does.
        """
        sent = self.encode(inputs)
        size, answer = self.in_beat.octets * self.parts.beats_in, self.out_beat.octets * self.parts.beats_out
        received = bytearray()
        for k in range(0, len(sent), size):
            port.write(sent[k : k + size])
            got = port.read(answer)
            if len(got) < answer:
                raise TimeoutError(f"frame {k // size} must be answered by {answer} bytes, not {len(got)}")
            received += got
        return self.decode(bytes(received))
