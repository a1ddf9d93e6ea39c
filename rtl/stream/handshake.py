"""Valid/ready handshake of a pipeline: one enable for all registers, exact under backpressure."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


def ports(in_bits: int, out_bits: int) -> wiring.Signature:
    """Streams `i` and `o` of plain unsigned vectors: ports i__payload, i__valid, i__ready, and so for o."""
    return wiring.Signature({"i": In(stream.Signature(in_bits)), "o": Out(stream.Signature(out_bits))})


def handshake(m: Module, i: stream.Interface, o: stream.Interface, latency: int) -> tuple[Value, Value]:
    """(advance, taken) of a pipeline of `latency` registers from i to o.

    advance enables every register; taken says that the first one, behind the input, holds a sample.

    The pipeline advances whenever its last register is empty or taken: advance = o.ready or not o.valid. It
    takes one sample per clock while it advances and holds every register, and so o.valid and o.payload,
    while it does not. i.ready depends on o.ready in the same clock and never on i.valid; o.valid comes from
    a register. Reset empties the pipeline; data registers need none.
    """
    valid = Signal(latency, name="valid", reset_less=True)
    advance = Signal(name="advance")
    m.d.comb += [
        o.valid.eq(valid[-1]),
        advance.eq(o.ready | ~valid[-1]),
        i.ready.eq(advance),
    ]
    # The reset is written as logic, which Yosys prints more plainly than Amaranth's own process for it.
    m.d.sync += valid.eq(Mux(ResetSignal(), 0, Mux(advance, Cat(i.valid, valid[:-1]), valid)))
    return advance, valid[0]
