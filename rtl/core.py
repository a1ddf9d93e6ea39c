"""A graph or machine as an Amaranth component with valid/ready streams; registers are placed when built."""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from amaranth import Cat, Module
from amaranth.lib import wiring

from fxsim.graph import Graph, Node
from fxsim.machine import Machine
from fxsim.types import TensorType
from rtl import stream
from rtl.circuit import Circuit
from rtl.emit import At, emit, lanes, signal_names
from rtl.layout import Layout, Port
from rtl.lower import Netlist, Wire, lower
from rtl.lower.names import Names, identifier
from rtl.lower.netlist import ADDERS, Net
from rtl.pipeline import Schedule, schedule
from rtl.state import State, single_stage
from rtl.timing import GENERIC, Family, family_of

SCHEDULES = ("unrolled",)

TICK = Port("tick", (), 1, signed=False)


def build(
    graph: Graph | Machine,
    schedule: str = "unrolled",
    max_depth_per_stage: float | None = 4,
    name: str | None = None,
    *,
    adder_depth: int | str | None = "min",
    effort: float | str = "fast",
    objective: str = "adders",
    family: str | Family = "generic",
    clock_mhz: float | None = None,
    balance: bool = True,
) -> Core:
    """The graph, or the machine, in hardware, one sample per clock.

    A machine's step is one combinational stage between its state registers, which reset sets to `init` and
    every sample taken moves on; max_depth_per_stage and balance do not apply to it.

    max_depth_per_stage  adders of logic depth between registers, at least 1; None: one combinational stage
    name                 of the Verilog module; default: the graph's
    adder_depth          depth limit of constant matrix products, as `rtl.shift_add.solve` takes it
    effort, objective    of the search for their adders, as `rtl.shift_add.solve` takes them: seconds are of
    each
                         matrix, and only "fast" and "best" give the same Verilog on every machine
    family               delay model of the device, one of `rtl.timing.FAMILIES`
    clock_mhz            the clock that every stage must allow by that model, in place of max_depth_per_stage
    balance              spread the logic over the stages, of which there are as few as the limit allows, so
                         that the slowest is as fast as can be by the model; False: as few registers as the
                         limit allows

    Raises ValueError for an unknown schedule or family, a depth below 1, a clock that is not positive, or too
    fast for a primitive or a machine's step, or for a family without a clock, and a graph without input or
    output elements.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    return Core(
        graph, max_depth_per_stage, name,
        adder_depth=adder_depth, effort=effort, objective=objective, family=family, clock_mhz=clock_mhz,
        balance=balance,
    )  # fmt: skip


class Section(NamedTuple):
    """The nets of one part of the graph: a block (its kind), or a value outside blocks (its op)."""

    name: str
    kind: str
    inputs: list[TensorType]
    outputs: list[TensorType]
    nets: list[Net]


class Core(wiring.Component):
    """Streams i and o around a pipeline; see `rtl.stream.handshake` for the protocol.

    A sample taken at one clock edge is first offered `latency` edges later: one input register, one register
    after each of the stages. Payloads are unsigned vectors with the lanes of `in_layout` and `out_layout`.

    Of a machine, `state` has the state registers, and the payloads are what its step reads and writes beside
    the state; a step that reads nothing else is driven by a stream `tick` of one bit, which means nothing.

    adders       two-input adders, subtractors and negators of any width, rounding carries included
    depth        of the deepest path in adders (comparators 1, multiplexers 1/2, gates 1/4)
    stage_depth  of the deepest path within a stage, in the unit of `family`: adders, or ns
    registers    bits, of inputs, between stages, of outputs, and valid, before Yosys drops what is never read
    """

    # A core may be built for its figures only; Amaranth would warn that it was never elaborated.
    _MustUse__silence = True

    def __init__(
        self, graph: Graph | Machine, max_depth_per_stage: float | None = 4, name: str | None = None,
        *, adder_depth: int | str | None = "min", effort: float | str = "fast", objective: str = "adders",
        family: str | Family = "generic", clock_mhz: float | None = None, balance: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(graph, (Graph, Machine)):
            raise TypeError(f"graph must be a fxsim.Graph or fxsim.Machine, not {graph!r}")
        self.machine = graph if isinstance(graph, Machine) else None
        states = self.machine.states if self.machine else 0
        graph = self.machine.step if self.machine else graph
        self.family = family_of(family)
        limit: tuple[Family, float] | None = None
        if clock_mhz is not None:
            clock_mhz = _number(clock_mhz, "clock_mhz", 0.0)
            max_depth_per_stage = None
            limit = self.family, self.family.limit(clock_mhz)
        elif max_depth_per_stage is not None:
            max_depth_per_stage = _number(max_depth_per_stage, "max_depth_per_stage", 1.0)
            limit = GENERIC, max_depth_per_stage
        if self.machine:
            max_depth_per_stage = None
        self.graph = graph
        self.top = identifier(name or graph.name, "m")
        self.max_depth_per_stage = max_depth_per_stage
        self.clock_mhz = clock_mhz
        inputs, outputs = graph.inputs[states:], graph.outputs[states:]
        self.in_layout = (
            _layout("inputs", inputs, [n.name for n in inputs]) if inputs or not states else Layout((TICK,))
        )
        self.out_layout = _layout("outputs", outputs, list(graph.output_names[states:]))
        self.netlist = Netlist(adder_depth, effort, objective)
        self.names = Names(graph, self.top)
        self.outputs: list[tuple[Wire, int]] = []  # and their lane widths
        lanes_of_inputs = [
            *self._input_wires(graph.inputs[:states], self.in_layout.bits),
            *self._input_wires(inputs, 0),
        ]
        lowered = lower(graph, lanes_of_inputs, self.netlist, self.names)
        for node, wires in zip(outputs, lowered[states:], strict=True):
            self.outputs += [(w, node.type.max_width) for w in wires.ravel()]
        self.state: State | None = None
        self.plan: Schedule
        if self.machine:
            new = [
                (w, node.type.max_width, node.type.bounds[0] < 0)
                for node, wires in zip(graph.outputs, lowered[:states], strict=False)
                for w in wires.ravel()
            ]
            layout = _layout("states", graph.inputs[:states], [n.name for n in graph.inputs[:states]])
            self.state = State(self.machine, layout, self.in_layout.bits, new)
            self.plan = single_stage([w.net for w, _ in self.outputs], [w.net for w, *_ in new])
            self._check_clock()
        else:
            self.plan = schedule([w.net for w, _ in self.outputs], limit, self.family if balance else None)
        self.top = free_name(self.top, signal_names(self.plan, len(self.outputs)))
        super().__init__(stream.ports(self.in_layout.bits, self.out_layout.bits))

    def _check_clock(self) -> None:
        """ValueError where the loop of a machine is slower than the clock that is asked for."""
        if self.clock_mhz is not None and self.stage_depth > self.family.limit(self.clock_mhz):
            raise ValueError(
                f"clock_mhz must be at most {self.predicted_fmax():.1f} for this machine, whose step is one "
                f"stage of {self.stage_depth:.3g} {self.family.unit} by the delays of {self.family.name}, "
                f"not {self.clock_mhz:g}"
            )

    def _input_wires(self, nodes: Sequence[Node], offset: int) -> list[np.ndarray]:
        tensors = []
        for node in nodes:
            t = node.type
            wires = np.empty(t.shape, object)
            ends = zip(t.lo.ravel().tolist(), t.hi.ravel().tolist(), strict=True)
            wires.ravel()[:] = [
                self.netlist.input(offset + k * t.max_width, lo, hi) for k, (lo, hi) in enumerate(ends)
            ]
            offset += t.size * t.max_width
            tensors.append(wires)
        return tensors

    @property
    def latency(self) -> int:
        """Clock edges from the one that takes a sample to the first that can hand out its result."""
        return self.plan.stages + 1

    @property
    def ii(self) -> int:
        """Initiation interval: clock cycles from one sample to the next, if nothing stalls."""
        return 1

    @cached_property
    def adders(self) -> int:
        return sum(n.kind in ADDERS for n in self.plan.nets)

    @cached_property
    def depth(self) -> float:
        return max((n.level for n in self.plan.nets), default=0)

    @cached_property
    def registers(self) -> int:
        inputs = sum(n.width for n in self.plan.nets if n.kind == "input")
        return inputs + self.plan.registers + self.latency

    @cached_property
    def stage_depth(self) -> float:
        return max(self.plan.delays(self.family))

    def predicted_fmax(self, family: str | Family | None = None) -> float:
        """Clock in MHz that the slowest stage allows by the delays of `family`, by default the core's own.

        Raises ValueError for a family without a clock, which `generic` is.
        """
        model = self.family if family is None else family_of(family)
        return model.fmax(max(self.plan.delays(model)))

    def report(self) -> list[dict[str, Any]]:
        """Kind, formats, stages, adders, primitives of each outermost block, or value outside blocks."""
        rows = []
        for section in self.sections():
            nets = section.nets
            stages = [self.plan.stage[n] for n in nets]
            rows.append(
                {
                    "name": section.name,
                    "kind": section.kind,
                    "inputs": [str(t) for t in section.inputs],
                    "outputs": [str(t) for t in section.outputs],
                    "first_stage": min(stages),
                    "last_stage": max(stages),
                    "adders": sum(n.kind in ADDERS for n in nets),
                    "primitives": dict(sorted(Counter(n.kind for n in nets).items())),
                }
            )
        return rows

    def sections(self) -> list[Section]:
        """The live nets by outermost block, or by value outside blocks, in the graph's order."""
        graph, groups = self.graph, dict[int, list[Net]]()
        for net in self.plan.nets:
            if net.kind != "input":
                groups.setdefault(net.scope, []).append(net)
        outer = {i: b for b in graph.blocks if b.parent is None for i in range(b.start, b.stop)}
        sections: dict[int, Section] = {}
        for position, nets in sorted(groups.items()):
            block, value = outer.get(position), graph.values[position]
            if block is not None:
                ins, outs = ([n.type for n in nodes] for nodes in (block.inputs, block.outputs))
                made = Section(block.name, block.kind, ins, outs, [])
                sections.setdefault(block.start, made).nets.extend(nets)
            else:
                op, args = type(value.op).__name__, value.args
                name = self.names.base[value]
                sections[position] = Section(name, op, [a.type for a in args], [value.type], nets)
        return [sections[k] for k in sorted(sections)]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance, taken = stream.handshake(m, self.i, self.o, self.latency)
        circuit = Circuit(m, self.i.payload, advance, taken)
        at: At = {}
        if self.state:
            self.state.declare(circuit, self.plan.nets, at)
        emit(circuit, self.plan, self.plan.nets, at)
        if self.state:
            self.state.update(circuit, self.plan.nets, at)
        m.d.comb += self.o.payload.eq(Cat(*lanes(circuit, self.outputs, self.plan, at)))
        return m

    def verilog(self) -> str:
        """Deterministic Verilog of the module `top`: the same graph and options give the same bytes."""
        from rtl.text import verilog

        return verilog(self)


def _number(value: Any, name: str, least: float) -> float:
    """`value`, also of NumPy's, as a float or int for JSON."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value < math.inf or not value:
        raise ValueError(
            f"{name} must be None or {f'at least {least:g}' if least else 'positive'}, not {value!r}"
        )
    value = float(value)
    return int(value) if value.is_integer() else value


def _layout(what: str, nodes: Any, names: list[str]) -> Layout:
    """One port per tensor that has elements."""
    ports: list[Port] = []
    taken: set[str] = set()
    for node, label in zip(nodes, names, strict=True):
        t = node.type
        name = identifier(label)  # and a name for Python, which `Port` asks for
        name = free_name(name, taken | set(keyword.kwlist))
        taken.add(name)
        if t.size:
            ports.append(Port(name, t.shape, t.max_width, t.bounds[0] < 0, t.frac))
    if not ports:
        shapes = [n.type.shape for n in nodes]
        raise ValueError(f"{what} of the graph must have at least one element, not shapes {shapes}")
    return Layout(tuple(ports))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with underscores behind it until it is not among `taken`."""
    while name in taken:
        name += "_"
    return name


def with_elements(items: Sequence[Any], nodes: Sequence[Node]) -> list[Any]:
    """Those of `items`, one per node, whose node has elements and so a port."""
    return [item for item, n in zip(items, nodes, strict=True) if n.type.size]
