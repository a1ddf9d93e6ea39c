"""A unit of `fxsim.iterate` in hardware: problems come in a stream, go round a ring, and leave solved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from amaranth import Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from fxsim.graph import Node
from fxsim.iterate.certify import ends_anyway, require
from fxsim.iterate.loop import STATUS_BITS
from fxsim.iterate.unit import Unit
from rtl import stream
from rtl.circuit import Circuit
from rtl.design import TICK, Design, free_name, layout_of
from rtl.emit import At, emit, signal_names
from rtl.layout import Layout, Port
from rtl.lower import Net, Netlist, lower
from rtl.lower.names import OWN, Names, identifier
from rtl.ring import PORTS, Lane, Ring, close, passed
from rtl.timing import Family

TAG_BITS = 8


def build(
    unit: Unit,
    max_depth_per_stage: float | None = 4,
    name: str | None = None,
    *,
    start: bool | None = None,
    tag: int | None = None,
    adder_depth: int | str | None = "min",
    effort: float | str = "fast",
    objective: str = "adders",
    family: str | Family = "generic",
    clock_mhz: float | None = None,
    balance: bool = True,
) -> IterateCore:
    """The unit in hardware: problems in, solutions out.

    max_depth_per_stage, family, clock_mhz, balance   the stages of the step, as `rtl.build` takes them: each
                is a slot for one problem; None without a clock is one stage
    start       whether the stream brings the start states; if not, every problem begins at the unit's own.
                None: it does unless the unit's certificate `needs_start`, as it stops from some only
    tag         bits of a number that a problem brings and its solution returns; None: 8 with several slots,
                which solve out of order, and 0 with one

    Raises ValueError where no proof says that the unit stops, for a tag below 0, and what `rtl.build` raises.
    """
    return IterateCore(
        unit, max_depth_per_stage, name, start=start, tag=tag, adder_depth=adder_depth, effort=effort,
        objective=objective, family=family, clock_mhz=clock_mhz, balance=balance,
    )  # fmt: skip


class IterateCore(Design):
    """Streams i of problems and o of solutions around a ring of `slots`, one per stage of the step.

    A payload of i has the start states (unless `start` is False), the parameters and the tag; one of o the
    states, steps, status and the tag. Every slot holds one problem, which passes the step once in `slots`
    clocks; a sweep is `clocks` passes. The first status that is not 0 sends the problem out, and the next one
    in at the same edge: a problem of k sweeps taken at one edge is offered `solve_clocks(k)` edges later if
    nothing stalls, and with all slots full one problem is taken per k * clocks edges. A result that nobody
    takes stops the ring when the next one ends. With one slot results come in the order of the problems;
    with more in the order in which they end.

    busy    1 while a problem or a result is inside
    cancel  in a cycle where it is 1 every problem inside is marked (not one taken at that very edge): at the
            end of its pass it leaves with the states that it then has, and with status "aborted" unless it
            ended by itself. `steps` counts its whole sweeps; of a folded sequential schedule the states may
            be within the next

    registers    bits: of the slots, their marks and tags, and the result
    stage_depth  does not count the multiplexer at the ring's entry
    """

    def __init__(
        self, unit: Unit, max_depth_per_stage: float | None = 4, name: str | None = None, *,
        start: bool | None = None, tag: int | None = None, adder_depth: int | str | None = "min",
        effort: float | str = "fast", objective: str = "adders", family: str | Family = "generic",
        clock_mhz: float | None = None, balance: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(unit, Unit):
            raise TypeError(f"unit must be a fxsim.iterate.Unit, not {unit!r}")
        if tag is not None and (isinstance(tag, bool) or not isinstance(tag, (int, np.integer)) or tag < 0):
            raise ValueError(f"tag must be None or a number of bits of at least 0, not {tag!r}")
        require(unit)
        if start is None:
            start = ends_anyway(unit) or not unit.certify().needs_start
        limit = self._limit(max_depth_per_stage, family, clock_mhz)
        self.unit, self.loop, self.brings_start = unit, unit.datapath, bool(start)
        graph = self.graph = self.loop.graph
        self.top = identifier(name or unit.name, "m")
        self.netlist = Netlist(adder_depth, effort, objective)
        self.names = Names(graph, self.top, (*OWN, *PORTS))
        wires = lower(graph, self._input_wires(graph.inputs, 0), self.netlist, self.names)
        lanes = [
            [Lane(w, n.type.max_width, n.type.bounds[0] < 0) for w in tensor.ravel()]
            for n, tensor in zip(graph.outputs, wires, strict=True)
        ]
        kept = self.loop.kept
        held = first_bit(graph.inputs, kept)
        outputs = [lane.wire.net for tensor in lanes for lane in tensor]
        self.plan = close([*outputs, *passed(outputs, held)], limit, self.family if balance else None)
        self.tag = int(tag) if tag is not None else TAG_BITS if self.slots > 1 else 0
        self.in_layout, brought = self._incoming()
        self.out_layout = self._outgoing()
        firsts = [list(bits(n, first_bit(graph.inputs, k))) for k, n in enumerate(graph.inputs)]
        comes_back = {
            f: x
            for row, tensor in zip(firsts[:kept], lanes, strict=False)
            for f, x in zip(row, tensor, strict=True)
        }
        states, size = self.loop.states, len(self.loop.memory)
        tensors = [*lanes[:states], lanes[kept - 1], lanes[kept]]
        ports = [p for p in self.out_layout.ports if p.name != "tag" or not self.tag]
        self.ring = Ring(
            self.plan, comes_back, brought, self._begins(firsts[: states + size + 1], brought),
            [(p.name, p.width, t) for p, t in zip(ports, tensors, strict=True)],
            self.in_layout, self.out_layout, self.tag,
        )  # fmt: skip
        self.top = free_name(self.top, signal_names(self.plan, 0) | set(PORTS))
        streams = stream.ports(self.in_layout.bits, self.out_layout.bits).members
        super().__init__(Signature({**streams, "cancel": In(1), "busy": Out(1)}))

    def _incoming(self) -> tuple[Layout, dict[int, int]]:
        """The payload of a problem, and per first bit of an input's lane that of the payload's."""
        inputs, states, kept = self.graph.inputs, self.loop.states, self.loop.kept
        chosen = [*(range(states) if self.brings_start else ()), *range(kept, len(inputs))]
        chosen = [k for k in chosen if inputs[k].type.size]
        ports: tuple[Port, ...] = ()
        if chosen:
            ports = layout_of("inputs", [inputs[k] for k in chosen], [inputs[k].name for k in chosen]).ports
        ports += (self._tag_port({p.name for p in ports}),) if self.tag else ()
        layout = Layout(ports or (TICK,))
        brought: dict[int, int] = {}
        for k, offset in zip(chosen, layout.offsets, strict=False):
            lanes = list(bits(inputs[k], offset))
            places = [k] if k >= states else [k, *self._copies(k)]
            for place in places:
                brought.update(zip(bits(inputs[place], first_bit(inputs, place)), lanes, strict=True))
        return layout, brought

    def _copies(self, state: int) -> list[int]:
        """The inputs that begin as a copy of a state."""
        return [self.loop.states + k for k, m in enumerate(self.loop.memory) if m.source == state]

    def _outgoing(self) -> Layout:
        states, kept, graph = self.loop.states, self.loop.kept, self.graph
        nodes = [*graph.outputs[:states], *graph.outputs[kept - 1 :]]
        ports = layout_of("outputs", nodes, [*self.unit.state, "steps", "status"]).ports
        # "aborted" is no status of the graph's, which may need fewer bits.
        ports = (*ports[:-1], replace(ports[-1], width=STATUS_BITS))
        return Layout(ports + ((self._tag_port({p.name for p in ports}),) if self.tag else ()))

    def _tag_port(self, taken: set[str]) -> Port:
        return Port(free_name("tag", taken), (), self.tag, signed=False)

    def _begins(self, firsts: Sequence[Sequence[int]], brought: dict[int, int]) -> dict[int, int]:
        """What the lanes of states, memory and steps begin with, where no payload brings it."""
        begins: dict[int, int] = {}
        sources = [*range(self.loop.states), *(m.source for m in self.loop.memory), None]
        for source, row in zip(sources, firsts, strict=True):
            values = [0] * len(row)
            if source is not None:
                shape = self.graph.inputs[source].type.shape
                values = np.broadcast_to(self.unit.start[source].array, shape).ravel().tolist()
            begins.update((f, int(v)) for f, v in zip(row, values, strict=True) if f not in brought)
        return begins

    @property
    def slots(self) -> int:
        """Problems that are solved side by side: stages of the step."""
        return self.plan.stages

    @property
    def clocks(self) -> int:
        """Passes of the step in a sweep."""
        return self.loop.clocks

    @property
    def latency(self) -> int:
        """Clock edges from the one that takes a problem of one sweep to the first that can hand it out."""
        return self.solve_clocks(1)

    def solve_clocks(self, steps: Any) -> Any:
        """The same of a problem of `steps` sweeps: steps * slots * clocks + 1."""
        return steps * self.slots * self.clocks + 1

    @property
    def interval(self) -> int:
        """Clock cycles per sweep of some problem, with all slots full."""
        return self.clocks

    @property
    def control_names(self) -> tuple[str, ...]:
        return ("advance", "i__ready", "o__valid", "busy", *self.ring.names)

    @property
    def control_registers(self) -> int:
        return self.ring.control

    @property
    def payload_nets(self) -> list[Net | None]:
        return [None] * self.out_layout.bits

    @property
    def registers(self) -> int:
        inputs = sum(n.width for n in self.plan.nets if n.kind == "input")
        return inputs + self.plan.registers + self.control_registers

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins = {
            "i__valid": self.i.valid, "i__ready": self.i.ready, "o__valid": self.o.valid,
            "o__ready": self.o.ready, "o__payload": self.o.payload, "cancel": self.cancel, "busy": self.busy,
            "advance": Signal(name="advance"),
        }  # fmt: skip
        circuit = Circuit(m, self.i.payload, pins["advance"], pins["advance"], pins)
        at: At = {}
        self.ring.declare(circuit, at)
        emit(circuit, self.plan, self.plan.nets, at)
        self.ring.close(circuit, at)
        return m

    def verilog(self) -> str:
        from rtl.verilog import ring_verilog

        return ring_verilog(self)


def first_bit(nodes: Sequence[Node], k: int) -> int:
    """The first bit of tensor k where all lie side by side."""
    return sum(n.type.size * n.type.max_width for n in nodes[:k])


def bits(node: Node, offset: int) -> Iterator[int]:
    """The first bit of each lane of a tensor whose first lane begins at `offset`."""
    return (offset + k * node.type.max_width for k in range(node.type.size))
