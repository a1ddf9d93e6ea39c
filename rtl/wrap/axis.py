"""A core between AXI4-Stream ports, and on request an AXI4-Lite register block.

Framing is by count: every `beats_in` transfers taken are a frame, `beats_out` transfers given are one, and
the last of those has m_axis_tlast. s_axis_tlast moves nothing; where it disagrees with the count, one of two
sticky error bits is set. Proof that frames keep their places whatever s_axis_tlast does: the position within
a frame is a counter that only transfers move, from the reset that empties the core too, so position 0 is the
core's own first transfer of a frame.

No output depends on an input in the same cycle, as AXI asks: a core's i.ready may follow o.ready, and o.ready
is here a register, "the spare place is empty". (The core's own o.valid and o.payload must be registers, or
logic of registers, as they are in cores of `rtl.build`.) A transfer that the core offers is on m_axis at
once; the cycle in which m_axis does not take it moves it into the spare place, so that m_axis keeps it
whatever the core does, a soft reset included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth import ClockDomain, DomainRenamer, Module
from amaranth.hdl import ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.design import free_name
from rtl.lower.names import identifier
from rtl.text import LINT_OFF, span
from rtl.verilog import port_lines
from rtl.wrap import registers as maps
from rtl.wrap.axil import WORD, Block, both, either
from rtl.wrap.axil import ports as axil_ports
from rtl.wrap.lanes import Beat
from rtl.wrap.parts import Parts, modules, parts_of
from rtl.wrap.registers import Register, Window, register_map
from rtl.wrap.writers import CORE_DOMAIN, WrapCircuit, WrapText

DOMAIN = "axi"


def axi_stream(
    core: Any, name: str | None = None, registers: bool = False, *, lane_bits: str = "bytes"
) -> AxiStream:
    """The core with AXI4-Stream ports s_axis and m_axis; see `AxiStream`.

    core        of `rtl.build`, or another component with streams i and o, `top`, `in_layout`, `out_layout`,
                `verilog()`, and if a frame is more than one transfer `beats_in`, `beats_out`
    name        of the module, by default the core's with `_axis` behind it
    registers   whether there is an AXI4-Lite block of registers, s_axil
    lane_bits   "bytes" or "packed", how tensors lie in tdata: `rtl.wrap.lanes.Beat`

    Raises what `rtl.wrap.parts.parts_of` does, and ValueError for a name that a module of the core has,
    another `lane_bits`, and for a core with weights to be written but no registers to write them by.
    """
    return AxiStream(core, name, registers, lane_bits=lane_bits)


class AxiStream(wiring.Component):
    """A component, and Verilog, with the ports of AXI4-Stream around a core.

    aclk, aresetn    clock, rising edge; reset, synchronous, active low. They are ports of the Amaranth form
                     too: a simulation clocks it by a domain whose `clk` is `aclk`
    s_axis_*         tdata, tvalid, tready, tlast: the transfers of frames; one is taken where tvalid, tready
    m_axis_*         the results
    frame_error      bit 0: s_axis_tlast came before the last transfer of a frame; bit 1: the last one came
                     without it. Both stay 1 until reset, or until they are cleared in STATUS
    s_axil_*         with `registers`, 32 bits of data

    in_beat, out_beat   `rtl.wrap.lanes.Beat`: what a transfer's bytes are, and arrays to bytes and back
    registers        list of `Register`; `window` is where weights are written, None without
    latency          one reaches m_axis in the very cycle where the core offers it

    A soft reset (CONTROL.RESET) lasts a cycle, in which nothing is taken. It empties the core and puts both
    counts of transfers to 0. A transfer already offered on m_axis stays there, as AXI asks; the rest of its
    frame is lost, and m_axis_tlast with it.
    """

    _MustUse__silence = True

    def __init__(
        self, core: Any, name: str | None = None, registers: bool = False, *, lane_bits: str = "bytes"
    ) -> None:
        self.parts: Parts = parts_of(core)
        self.in_beat = Beat(self.parts.in_layout, lane_bits)
        self.out_beat = Beat(self.parts.out_layout, lane_bits)
        self.window: Window | None = None
        if self.parts.address_bits:
            if not registers:
                raise ValueError(
                    f"registers must be True for a core with weights to write, not {registers!r}"
                )
            self.window = Window(self.parts.address_bits, self.parts.data_bits)
        self.registers: list[Register] = register_map(self.parts) if registers else []
        self.core_verilog: str = core.verilog()
        taken = modules(self.core_verilog) | {"core"}
        self.top = free_name(f"{self.parts.top}_axis", taken) if name is None else identifier(name, "m")
        if self.top in taken:
            raise ValueError(f"name must differ from the modules of the core, not {name!r}")
        self.ports = self._ports()
        super().__init__({n: (In if way == "in" else Out)(width) for n, (way, width) in self.ports.items()})

    @property
    def beats_in(self) -> int:
        return self.parts.beats_in

    @property
    def beats_out(self) -> int:
        return self.parts.beats_out

    def _ports(self) -> dict[str, tuple[str, int]]:
        """Name -> (direction, bits), in the order of the module's ports."""
        streams = {
            "aclk": ("in", 1), "aresetn": ("in", 1), "s_axis_tdata": ("in", self.in_beat.bits),
            "s_axis_tvalid": ("in", 1), "s_axis_tready": ("out", 1), "s_axis_tlast": ("in", 1),
            "m_axis_tdata": ("out", self.out_beat.bits), "m_axis_tvalid": ("out", 1),
            "m_axis_tready": ("in", 1), "m_axis_tlast": ("out", 1), "frame_error": ("out", 2),
        }  # fmt: skip
        return streams | (axil_ports(self.window) if self.registers else {})

    # ---- the description, for both writers ---------------------------------------------------------------

    def describe(self, w: Any) -> None:
        """Writes the wrapper."""
        block = Block(w, self.parts, self.registers, self.window) if self.registers else None
        written = block.writes() if block else None
        weights = block.weights(written) if block and written else {}
        soft = written.soft if written else None

        w.title("into the core")
        data = w.lanes("i__payload", self.in_beat.inwards(w, w.pin("s_axis_tdata", self.in_beat.bits)))
        offered = w.pin("s_axis_tvalid", 1)
        valid = w.wire("i__valid", both(w, offered, w.invert(soft)) if soft is not None else offered)
        full = w.flop("spare__full", 1)
        room = w.wire("o__ready", w.invert(full))
        in_reset = w.pin("rst", 1)
        reset = w.wire("core__rst", either(w, in_reset, soft) if soft is not None else in_reset)
        inputs = {"i__payload": data, "i__valid": valid, "o__ready": room, **weights}
        if self.parts.has("cancel"):
            cancel = written.cancel if written else None
            inputs["cancel"] = w.constant(0, 1) if cancel is None else cancel
        outputs = w.core(self.parts, inputs, reset)
        ready = outputs["i__ready"]
        if soft is not None:
            ready = both(w, ready, w.invert(soft))
        ready = w.drive("s_axis_tready", ready)

        w.title("place in the frame")
        takes = w.wire("in__take", both(w, offered, ready))
        gives = w.wire("out__give", both(w, outputs["o__valid"], room))
        in_first, in_last = self._place(w, "in", self.beats_in, takes, soft)
        _, out_last = self._place(w, "out", self.beats_out, gives, soft)
        ends = w.pin("s_axis_tlast", 1)
        within = w.constant(0, 1) if in_last is None else both(w, takes, ends, w.invert(in_last))
        early = w.wire("in__early", within)
        missing = w.wire("in__missing", both(w, takes, w.invert(ends), in_last))
        self._errors(w, [early, missing], block, soft)

        w.title("out of the core, or of the spare place")
        size = self.out_beat.bits
        result = w.lanes("out__data", self.out_beat.outwards(w, outputs["o__payload"]))
        spare, spare_last = w.flop("spare__data", size), w.flop("spare__last", 1)
        sends = w.drive("m_axis_tvalid", either(w, outputs["o__valid"], full))
        closes = w.constant(1, 1) if out_last is None else out_last
        last = w.drive("m_axis_tlast", w.pick(full, spare_last, closes))
        w.drive("m_axis_tdata", w.pick(full, spare, result))
        taken = w.pin("m_axis_tready", 1)
        w.load("spare__full", both(w, sends, w.invert(taken)), reset=True)
        w.load("spare__data", result, gives)
        w.load("spare__last", closes, gives)
        if block and written:
            sent = w.wire("out__taken", both(w, sends, taken))
            values = {
                "FRAMES_IN": both(w, takes, in_last),
                "FRAMES_OUT": both(w, sent, last),
                "STALLS_IN": both(w, offered, w.invert(ready)),
                "STALLS_OUT": both(w, sends, w.invert(taken)),
                "CYCLES": w.constant(1, 1),
            }
            counted = self._counters(w, values, either(w, soft, written.clear))
            inside = self._inside(w, both(w, takes, in_first), both(w, gives, out_last), soft)
            busy = w.wire("status__busy", either(w, w.any(inside), full))
            status = w.join(busy, self.errors, w.constant(0, WORD - 3))
            block.reads({"STATUS": status, **counted})

    def _place(self, w: Any, side: str, beats: int, moves: Any, soft: Any) -> tuple[Any, Any]:
        """Whether the next transfer of a side is the first, and the last, of its frame; None: always."""
        if beats == 1:
            return None, None
        size = (beats - 1).bit_length()
        count = w.flop(f"{side}__count", size)
        last = w.wire(f"{side}__last", w.equal(count, w.constant(beats - 1, size)))
        more = w.pick(last, w.constant(0, size), w.add(count, w.constant(1, size)))
        self._load(w, f"{side}__count", more, moves, soft)
        return w.invert(w.any(count)), last

    def _load(self, w: Any, name: str, v: Any, enable: Any, zero: Any) -> None:
        """A register that reset and `zero` put to 0."""
        if zero is not None:
            v = w.pick(zero, w.constant(0, w.width(v)), v)
            enable = either(w, enable, zero)
        w.load(name, v, enable, reset=True)

    def _errors(self, w: Any, found: Sequence[Any], block: Block | None, soft: Any) -> None:
        self.errors = w.flop("error__bits", 2)
        kept = []
        for k, now in enumerate(found):
            before = w.cut(self.errors, k, k + 1)
            if block:
                before = both(w, before, w.invert(w.wire(f"error__clear_{k}", block.clears[k])))
                before = both(w, before, w.invert(soft))
            kept.append(either(w, before, now))
        w.load("error__bits", w.join(*kept), reset=True)
        w.drive("frame_error", self.errors)

    def _counters(self, w: Any, steps: dict[str, Any], clear: Any) -> dict[str, Any]:
        w.title("counters")
        clear = w.wire("count__clear", clear)
        values = {}
        for name, step in steps.items():
            signal = f"count__{name.lower()}"
            values[name] = w.flop(signal, WORD)
            more = w.add(values[name], w.constant(1, WORD))
            self._load(w, signal, more, w.wire(f"{signal}_step", step), clear)
        return values

    def _inside(self, w: Any, begins: Any, ends: Any, soft: Any) -> Any:
        """The number of frames that have begun to enter and not yet left the core."""
        inside = w.flop("inside__count", WORD)
        begins, ends = w.wire("inside__begin", begins), w.wire("inside__end", ends)
        one = w.constant(1, WORD)
        moved = w.pick(begins, w.add(inside, one), w.subtract(inside, one))
        self._load(w, "inside__count", moved, w.bitwise("xor", begins, ends), soft)
        return inside

    # ---- the two forms -----------------------------------------------------------------------------------

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        for name in (DOMAIN, CORE_DOMAIN):
            domain = ClockDomain(name, local=True)
            domain.clk = self.aclk  # the same signal, or a simulator would see two edges
            m.domains += domain
        m.d.comb += ResetSignal(DOMAIN).eq(~self.aresetn)
        pins = {name: getattr(self, name) for name in self.ports}
        w = WrapCircuit(m, {**pins, "rst": ResetSignal(DOMAIN)})
        self.describe(w)
        return DomainRenamer(DOMAIN)(m)

    def verilog(self) -> str:
        """The modules of the core, and this one: the same core and options give the same bytes."""
        w = WrapText(self.top)
        w.lines += ["", "  wire clk = aclk;", "  wire rst = ~aresetn;"]
        self.describe(w)
        w.flush()
        declared = [f"  {way}put {span(width)}{n}," for n, (way, width) in self.ports.items()]
        declared[-1] = declared[-1][:-1]
        head = [f"// {line}" for line in self.header()]
        off = [f"/* verilator lint_off {name} */" for name in LINT_OFF]
        body = [*head, *off, "", f"module {self.top}(", *declared, ");", *w.body, "endmodule", ""]
        return self.core_verilog.rstrip("\n") + "\n\n" + "\n".join(body)

    def header(self) -> list[str]:
        """Comment lines: what the module is, its ports, its registers."""
        beats = "each a frame" if self.beats_in == 1 else f"{self.beats_in} a frame"
        given = "each a frame" if self.beats_out == 1 else f"{self.beats_out} a frame"
        out = [
            f"{self.top}: written by fxsim; {self.parts.top} between AXI4-Stream ports",
            "aclk: rising edge; aresetn: synchronous, active low",
            f"s_axis: transfers of {self.in_beat.octets} bytes, {beats}; by count, s_axis_tlast is checked",
            f"m_axis: transfers of {self.out_beat.octets} bytes, {given}, the last one with m_axis_tlast",
            "frame_error: bit 0, s_axis_tlast came early; bit 1, it was missing; until reset"
            + (" or cleared" if self.registers else ""),
            *port_lines([("s_axis_tdata", self.in_beat.padded), ("m_axis_tdata", self.out_beat.padded)]),
        ]
        if self.registers:
            out += ["s_axil: 32 bits", *maps.lines(self.registers, self.window)]
        return out

    def encode(self, inputs: Any) -> np.ndarray:
        """Raw frames, an array (n, *shape) per input, as bytes (n * beats_in, octets).

        Of a core with transfers of its own, but without a form of them, the arrays are by transfer. Raises
        what `Beat.encode` does, and ValueError where the transfers are no whole frames.
        """
        return self.parts.encode(self.in_beat, inputs)

    def decode(self, octets: Any) -> list[np.ndarray]:
        """Raw frames, an array (n, *shape) per output, of the bytes of whole frames."""
        return self.parts.decode(self.out_beat, octets)

    def markdown(self) -> str:
        """The register map as a Markdown table; ValueError without registers."""
        if not self.registers:
            raise ValueError("registers must be True for a register map, not False")
        return maps.markdown(self.registers, self.window)

    def c_header(self) -> str:
        """A C header: bytes and ports of both sides, and offsets and masks of the registers."""
        sides = [("IN", self.beats_in, self.in_beat), ("OUT", self.beats_out, self.out_beat)]
        return maps.c_header(self.top, sides, self.registers, self.window)
