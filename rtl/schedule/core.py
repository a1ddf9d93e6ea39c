"""A graph as a network of streams: an Amaranth component with the ports of `rtl.core.Core`, frames in
beats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from fxsim.graph import Graph
from rtl.design import free_name, layout_of
from rtl.layout import Layout
from rtl.lower.names import OWN, identifier
from rtl.schedule.assemble import Assembly
from rtl.schedule.fold import Fold
from rtl.schedule.forms import Form
from rtl.schedule.options import Options
from rtl.schedule.plan import Plan
from rtl.schedule.reaching import reaching
from rtl.schedule.weights import Weights, weights_of
from rtl.stream.handshake import ports
from rtl.stream.model import Model
from rtl.stream.network import Network
from rtl.stream.pipe import Pipe
from rtl.timing import Family, family_of
from rtl.verilog import port_lines


class StreamCore(wiring.Component):
    """Streams i and o around a network of parts; a frame, one sample of the graph, is beats_in beats of i.

    schedule      the options that it was built with
    plan          where every value of the graph is computed, and in which form it travels
    network       parts and links
    input_forms, output_forms   how the graph's tensors are cut into beats; all inputs travel side by side
    model         the cycle model: exact timing, without data
    weights       the write port w__address, w__data, w__enable of folded weights; None where none are
                  writable
    choice        what `schedule="auto"` decided (`rtl.schedule.choice.Choice`); else None
    """

    _MustUse__silence = True
    machine = None
    choice: Any = None
    max_depth_per_stage: float | None
    clock_mhz: float | None

    def __init__(
        self, graph: Graph, options: Options, max_depth_per_stage: float | None = 4, name: str | None = None,
        *, adder_depth: int | str | None = "min", effort: float | str = "fast", objective: str = "adders",
        family: str | Family = "generic", clock_mhz: float | None = None, balance: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(graph, Graph):
            raise TypeError(f"graph must be a fxsim.Graph to be streamed or folded, not {graph!r}")
        self.graph, self.schedule = _typed(graph, options), options
        self.top = free_name(identifier(name or graph.name, "m"), OWN)
        self.family = family_of(family)
        self.max_depth_per_stage, self.clock_mhz = max_depth_per_stage, clock_mhz
        self.plan = Plan(self.graph, options)
        build = {
            "max_depth_per_stage": max_depth_per_stage, "adder_depth": adder_depth, "effort": effort,
            "objective": objective, "family": family, "clock_mhz": clock_mhz, "balance": balance,
        }  # fmt: skip
        self.input_forms = tuple(self.plan.form(n) for n in graph.inputs)
        beats = {f.beats for f in self.input_forms}
        if len(beats) != 1:
            raise ValueError(
                f"inputs must have equally many beats to travel side by side, not "
                f"{[f'{n.name}: {f.beats}' for n, f in zip(graph.inputs, self.input_forms, strict=True)]}; "
                f"say along which axes they stream"
            )
        self.beats_in = beats.pop()
        assembly = Assembly(self.plan, self.top, build, {})
        if assembly.waits:
            assembly = self._sized(assembly, build)
        self.network: Network = assembly.network
        self.block_of = assembly.block_of
        self.output_forms: tuple[Form, ...] = assembly.output_forms
        self.beats_out = self.output_forms[0].beats
        self.in_layout = _layout("inputs", graph.inputs, [n.name for n in graph.inputs], assembly.entry_types)
        self.out_layout = _layout("outputs", graph.outputs, list(graph.output_names), assembly.output_types)
        self.weights: Weights | None = weights_of(self.network, assembly.engines)
        signature = dict(ports(self.in_layout.bits, self.out_layout.bits).members)
        if self.weights is not None:
            signature |= {
                "w__address": In(self.weights.address_bits), "w__data": In(self.weights.data_bits),
                "w__enable": In(1),
            }  # fmt: skip
        super().__init__(signature)

    def _sized(self, assembly: Assembly, build: Mapping[str, Any]) -> Assembly:
        from rtl.stream.sizes import fifo_depths

        depths = fifo_depths(assembly.network, self.beats_in, assembly.output_forms[0].beats)
        return Assembly(self.plan, self.top, build, depths, cores=assembly.cores)

    @cached_property
    def model(self) -> Model:
        return Model(self.network, self.beats_in, self.beats_out)

    @cached_property
    def latency(self) -> int:
        """Clock edges from the one that takes a frame's first beat to the first that can hand out a result,
        where
        nothing stalls."""
        return self.model.run(1).latency

    @cached_property
    def interval(self) -> Fraction:
        """Clock cycles from frame to frame in the long run, where nothing stalls; nearly always an
        integer."""
        return self.model.steady().interval

    @property
    def pipes(self) -> list[Pipe]:
        return [p for p in self.network.parts if isinstance(p, Pipe)]

    @property
    def adders(self) -> int:
        """Two-input adders of all pipelines; counters of the other parts are not among them."""
        return sum(p.core.adders for p in self.pipes)

    @property
    def depth(self) -> float:
        """Of the deepest path of a pipeline in adders."""
        return max((p.core.depth for p in self.pipes), default=0)

    @property
    def stage_depth(self) -> float:
        return max((p.core.stage_depth for p in self.pipes), default=0)

    def predicted_fmax(self, family: str | Family | None = None) -> float:
        """Clock in MHz that the slowest stage of a pipeline allows; see `rtl.Core`."""
        model = self.family if family is None else family_of(family)
        return min((p.core.predicted_fmax(model) for p in self.pipes), default=math.inf)

    @cached_property
    def registers(self) -> int:
        """Register bits of all parts, before Yosys drops what is never read."""
        return sum(p.registers for p in self.network.parts)

    @property
    def memory(self) -> int:
        """Bits of line buffers, FIFOs, weights and varying constants in memories."""
        return sum(p.memory for p in self.network.parts)

    def report(self) -> list[dict[str, Any]]:
        """Name, block, kind, title, adders, register and memory bits of each part, in the order of the
        stream."""
        return [
            {
                "name": p.name, "block": self.block_of[p.name], "kind": type(p).__name__, "title": p.title,
                "adders": p.core.adders if isinstance(p, Pipe) else 0, "registers": p.registers,
                "memory": p.memory,
            }
            for p in self.network.parts
        ]  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins = self.network.elaborate(m, self.i, self.o)
        if self.weights is not None:
            self.weights.connect(m, pins, self.w__address, self.w__data, self.w__enable)
        return m

    def verilog(self, probe: bool = False) -> str:
        """Deterministic Verilog of the module `top` and its parts; `probe` shows every link at a port of
        its own."""
        declared, lines = self.network.probe_ports() if probe else ([], [])
        if self.weights is not None:
            declared, lines = [*declared, *self.weights.ports()], [*lines, *self.weights.lines()]
        return self.network.verilog(self._header(), declared, lines)

    def _header(self) -> list[str]:
        each = "; ".join(f"{n.name}: {f}" for n, f in zip(self.graph.inputs, self.input_forms, strict=True))
        out = "; ".join(f"{n}: {f}" for n, f in zip(self.graph.output_names, self.output_forms, strict=True))
        return [
            f"{self.top}: written by fxsim; {self.schedule}",
            f"a frame is {self.beats_in} beats of i ({each}) and {self.beats_out} of o ({out})",
            f"{self.adders} adders in pipelines of depth {self.depth:g}, {self.registers} register bits, "
            f"{self.memory} memory bits",
            "clk: rising edge; rst: synchronous, active high, empties every part; frames are counted from it",
            "i__valid, i__ready and o__valid, o__ready: a beat moves at each edge where both are 1",
            *port_lines([("i__payload", self.in_layout), ("o__payload", self.out_layout)]),
            *(f"{p.name}: {p.title}" for p in self.network.parts),
        ]


def _typed(graph: Graph, options: Options) -> Graph:
    """The graph with types that hold for all weights which the hardware can have."""
    if not options.writable:
        return graph
    plan = Plan(graph, options)
    folds = ((v, p.detail) for v, p in plan.placements.items() if isinstance(p.detail, Fold))
    return reaching(graph, {fold.product: (fold.constant, plan.name(v)) for v, fold in folds})


def _layout(what: str, nodes: Any, names: list[str], types: Any) -> Layout:
    """One port per tensor, of the shape of a beat."""

    class _Beat:
        def __init__(self, t: Any) -> None:
            self.type = t

    return layout_of(what, [_Beat(t) for t in types], names)
