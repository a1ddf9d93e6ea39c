"""The state of a machine in hardware: a register for each element, inside the loop of a single stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.machine import Machine
from rtl.emit import At
from rtl.emit.writer import Writer, extended, up
from rtl.layout import Layout
from rtl.lower.net import Net, Wire
from rtl.pipeline import Schedule, schedule


class State:
    """State registers: reset to `init`, and the step's new state wherever a sample leaves stage 0.

    layout   lanes of the state tensors
    start    bit number of their first lane among the input nets, behind the lanes of the input payload
    init     the initial state as one packed integer
    new      per lane, the wire of the new state, its width in the step's output, and whether that is signed
    """

    def __init__(
        self, machine: Machine, layout: Layout, start: int, new: Sequence[tuple[Wire, int, bool]]
    ) -> None:
        values = [
            np.broadcast_to(i.array, n.type.shape)[None]
            for i, n in zip(machine.init, machine.step.inputs, strict=False)
            if n.type.size
        ]
        self.layout, self.start, self.new = layout, start, list(new)
        self.init = layout.integers(layout.pack(values))[0]

    def to_json(self) -> dict[str, Any]:
        """The lanes of the state, and per tensor the raw initial values."""
        packed = np.frombuffer(self.init.to_bytes(4 * self.layout.words, "little"), "<u4")
        values = self.layout.unpack(packed.astype(np.uint32)[None])
        return {**self.layout.to_json(), "initial": [v[0].tolist() for v in values]}

    def owns(self, net: Net) -> bool:
        """Whether a net is a register of the state."""
        return net.kind == "input" and net.params[0] >= self.start

    def initial(self, net: Net) -> int:
        """The unsigned code that reset gives a register."""
        return self.init >> net.params[0] - self.start & (1 << net.width) - 1

    def declare(self, w: Writer, nets: Sequence[Net], at: At) -> None:
        """The registers, as what stage 0 reads."""
        for net in filter(self.owns, nets):
            at[net, 0] = w.state(net.name, net, self.initial(net))

    def update(self, w: Writer, nets: Sequence[Net], at: At) -> None:
        """What every register takes: its bits of the new state."""
        lanes = []
        widths = (p.width for p in self.layout.ports for _ in range(p.lanes))
        for (wire, own, signed), width in zip(self.new, widths, strict=True):
            net = wire.net
            v = w.constant(net.lo, net.width) if net.is_constant else at[net, 0]
            lanes.append(extended(w, extended(w, up(w, v, wire.zeros), net.signed, own), signed, width))
        new = w.join(*lanes)
        for net in filter(self.owns, nets):
            first = net.params[0] - self.start
            w.next_state(net.name, self.initial(net), w.cut(new, first, first + net.width))


def single_stage(outputs: Sequence[Net], new: Sequence[Net]) -> Schedule:
    """One stage for all: registers behind it hold the outputs, and none the new state, which has its own."""
    whole, front = schedule([*outputs, *new], None), schedule(outputs, None)
    return Schedule(whole.nets, whole.stage, {n: front.until.get(n, 0) for n in whole.nets}, whole.stages)
