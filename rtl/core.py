"""A graph or machine as an Amaranth component with valid/ready streams; registers are placed when built."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module

from fxsim.graph import Graph
from fxsim.iterate.unit import Unit
from fxsim.machine import Machine
from rtl import stream
from rtl.circuit import Circuit
from rtl.design import TICK, Design, free_name, layout_of
from rtl.emit import At, emit, lanes, signal_names
from rtl.layout import Layout
from rtl.lower import Net, Netlist, Wire, lower
from rtl.lower.names import Names, identifier
from rtl.pipeline import Schedule, schedule
from rtl.state import State, single_stage
from rtl.timing import Family


def build(
    graph: Graph | Machine | Unit,
    schedule: Any = "unrolled",
    max_depth_per_stage: float | None = 4,
    name: str | None = None,
    *,
    adder_depth: int | str | None = "min",
    effort: float | str = "fast",
    objective: str = "adders",
    family: str | Family = "generic",
    clock_mhz: float | None = None,
    balance: bool = True,
    **unit_options: Any,
) -> Any:
    """The graph, or the machine, in hardware: one sample per clock, or beat by beat.

    schedule             "unrolled": every op has its own logic, one sample per clock. "streamed": one pixel
                         per clock through line buffers; "streamed(4)" four neighbours, "streamed(row)" a row.
                         "folded(n)": the products of each layer share n processing elements, their weights
                         in memories. {block name: one of these, "*": of all others} mixes them. "auto":
                         chosen by `target`; `core.choice` says what, and why. All but the first give a
                         `rtl.StreamCore`

    A machine's step is one combinational stage between its state registers, which reset sets to `init` and
    every sample taken moves on; max_depth_per_stage and balance do not apply to it.

    max_depth_per_stage  adders of logic depth between registers, at least 1; None: one combinational stage
    name                 of the Verilog module; default: the graph's
    adder_depth          depth limit of constant matrix products, as `rtl.shift_add.solve` takes it
    effort, objective    of the search for their adders, as `rtl.shift_add.solve` takes them: seconds are of
                         each matrix, and only "fast" and "best" give the same Verilog on every machine
    family               delay model of the device, one of `rtl.timing.FAMILIES`
    clock_mhz            the clock that every stage must allow by that model, in place of max_depth_per_stage
    balance              spread the logic over the stages, of which there are as few as the limit allows, so
                         that the slowest is as fast as can be by the model; False: as few registers as the
                         limit allows
    unit_options         of schedules that give a `rtl.StreamCore`: axes, along which each input streams, by
                         its name (default: those of its first windows); encoding of folded weights, "codes",
                         "shifts" or "auto"; writable, whether they can be written; target of "auto": a
                         `rtl.schedule.goal.Goal` or a mapping with any of lut, ram (memory bits), interval
                         (cycles per frame) and fps (with clock_mhz).
                         With a unit: those of `rtl.iterate.build`, which makes a `rtl.iterate.IterateCore`

    Raises ValueError for an unknown schedule, block or family, a target that nothing found meets, a depth
    below 1, a clock that is not positive, or too fast for a primitive or a machine's step, or for a family
    without a clock, and a graph without input or output elements.
    """
    if isinstance(graph, Unit):
        from rtl import iterate

        return iterate.build(
            graph, max_depth_per_stage, name, adder_depth=adder_depth, effort=effort, objective=objective,
            family=family, clock_mhz=clock_mhz, balance=balance, **unit_options,
        )  # fmt: skip
    built = {
        "adder_depth": adder_depth, "effort": effort, "objective": objective, "family": family,
        "clock_mhz": clock_mhz, "balance": balance,
    }  # fmt: skip
    if schedule == "auto":
        from rtl.schedule.choice import automatic

        target = unit_options.pop("target", None)
        return automatic(graph, target, unit_options, max_depth_per_stage, name, built)
    if "target" in unit_options:
        raise ValueError(f"target needs the schedule 'auto', not {schedule!r}")
    if schedule != "unrolled":
        from rtl.schedule.core import StreamCore
        from rtl.schedule.options import Options

        unknown = sorted(set(unit_options) - {"axes", "encoding", "writable"})
        if unknown:
            raise TypeError(f"build options of a stream must be axes, encoding or writable, not {unknown}")
        return StreamCore(
            graph, Options.of(graph, schedule, **unit_options), max_depth_per_stage, name, **built
        )
    if unit_options:
        raise TypeError(
            f"build options {sorted(unit_options)} need a unit or a stream, not an unrolled graph"
        )
    return Core(graph, max_depth_per_stage, name, **built)


class Core(Design):
    """Streams i and o around a pipeline; see `rtl.stream.handshake` for the protocol.

    A sample taken at one clock edge is first offered `latency` edges later: one input register, one register
    after each of the stages. Payloads are unsigned vectors with the lanes of `in_layout` and `out_layout`.

    Of a machine, `state` has the state registers, and the payloads are what its step reads and writes beside
    the state; a step that reads nothing else is driven by a stream `tick` of one bit, which means nothing.

    registers    bits, of inputs, between stages, of outputs, and valid, before Yosys drops what is never read
    """

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
        limit = self._limit(max_depth_per_stage, family, clock_mhz)
        if self.machine:
            self.max_depth_per_stage = None
        self.graph = graph
        self.top = identifier(name or graph.name, "m")
        inputs, outputs = graph.inputs[states:], graph.outputs[states:]
        self.in_layout = (
            layout_of("inputs", inputs, [n.name for n in inputs]) if inputs or not states else Layout((TICK,))
        )
        self.out_layout = layout_of("outputs", outputs, list(graph.output_names[states:]))
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
            layout = layout_of("states", graph.inputs[:states], [n.name for n in graph.inputs[:states]])
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

    @property
    def latency(self) -> int:
        """Clock edges from the one that takes a sample to the first that can hand out its result."""
        return self.plan.stages + 1

    @property
    def ii(self) -> int:
        """Initiation interval: clock cycles from one sample to the next, if nothing stalls."""
        return 1

    control_names = ("valid", "advance", "i__ready", "o__valid")

    @property
    def control_registers(self) -> int:
        return self.latency

    @property
    def payload_nets(self) -> list[Net | None]:
        return [wire.net for wire, width in self.outputs for _ in range(width)]

    @property
    def registers(self) -> int:
        inputs = sum(n.width for n in self.plan.nets if n.kind == "input")
        return inputs + self.plan.registers + self.control_registers

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
        from rtl.verilog import verilog

        return verilog(self)
