"""Streamed cores made by hand of few parts, with what benches and files ask of such a core."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth import Module
from amaranth.lib import wiring

from fxsim import SQ, trace
from fxsim.graph import Graph
from fxsim.types import TensorType
from rtl import stream
from rtl.core import Core
from rtl.design import layout_of
from rtl.emit import Writer
from rtl.layout import Layout, Port
from rtl.lower.names import identifier
from rtl.schedule.forms import Carried, Form
from rtl.stream.control import Steps
from rtl.stream.network import Network
from rtl.stream.part import Part, Stream
from rtl.stream.pipe import Pipe
from rtl.stream.steps import counter, flow


class HandMade(wiring.Component):
    """A network of parts for a graph of one input and one output."""

    _MustUse__silence = True
    machine = None
    adders, depth, registers, memory, max_depth_per_stage = 7, 2, 60, 0, 4
    beats_in = property(lambda self: self.input_forms[0].beats)
    beats_out = property(lambda self: self.output_forms[0].beats)

    def __init__(
        self, graph: Graph, network: Network, latency: int, interval: int, model: Any = None
    ) -> None:
        self.graph, self.network, self.top = graph, network, network.top
        first, last = network.first.carries, network.last.carries
        self.input_forms, self.output_forms = (first.form,), (last.form,)
        self.in_layout = layout_of("inputs", [Beat(first.type)], [n.name for n in graph.inputs])
        self.out_layout = layout_of("outputs", [Beat(last.type)], list(graph.output_names))
        self.latency, self.interval, self.model = latency, interval, model
        super().__init__(stream.ports(self.in_layout.bits, self.out_layout.bits))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.network.elaborate(m, self.i, self.o)
        return m

    def report(self) -> list[dict[str, Any]]:
        return [{"name": p.name, "title": p.title} for p in self.network.parts]

    def verilog(self, probe: bool = False) -> str:
        ports, more = self.network.probe_ports() if probe else ([], [])
        return self.network.verilog([self.top], ports, more)


@dataclass(frozen=True)
class Beat:
    type: TensorType


@dataclass(frozen=True)
class Every(Part):
    """Gives the first beat of every `step`, drops the others."""

    name: str
    bits: int
    step: int
    inputs = property(lambda self: (Stream("i", self.bits),))
    outputs = property(lambda self: (Stream("o", self.bits),))
    title = property(lambda self: f"one beat of {self.step}")

    def control(self) -> Steps:
        always = np.ones(self.step, bool)
        return Steps(always, always, np.arange(self.step) == 0, 1)

    def write(self, w: Writer) -> None:
        count = w.flop("place", max(1, (self.step - 1).bit_length()))
        emits = w.wire("first", w.invert(w.any(count)))
        f = flow(w, 1, emits=emits)
        last = w.equal(count, w.constant(self.step - 1, w.width(count)))
        more = w.add(count, w.constant(1, w.width(count)))
        w.load("place", w.pick(last, w.constant(0, w.width(count)), more), f.fire, True)
        data = w.flop("data", self.bits)
        w.load("data", w.pin("i__payload", self.bits), f.advance)
        w.drive("o__payload", data)


@dataclass(frozen=True)
class Twice(Part):
    """Gives every beat twice."""

    name: str
    bits: int
    inputs = property(lambda self: (Stream("i", self.bits),))
    outputs = property(lambda self: (Stream("o", self.bits),))
    title = "every beat twice"

    def control(self) -> Steps:
        always = np.ones(2, bool)
        return Steps(always, np.arange(2) == 1, always, 1)

    def write(self, w: Writer) -> None:
        second = w.flop("second", 1)
        f = flow(w, 1, takes=second)
        w.load("second", w.invert(second), f.fire, True)
        data = w.flop("data", self.bits)
        w.load("data", w.pin("i__payload", self.bits), f.advance)
        w.drive("o__payload", data)


@dataclass(frozen=True)
class Masked(Part):
    """Sets the bits `zero` of the last beat of every `beats` to 0."""

    name: str
    bits: int
    beats: int
    zero: int
    inputs = property(lambda self: (Stream("i", self.bits),))
    outputs = property(lambda self: (Stream("o", self.bits),))
    title = "surplus lanes are zero"

    def control(self) -> Steps:
        always = np.ones(1, bool)
        return Steps(always, always, always, 1)

    def write(self, w: Writer) -> None:
        f = flow(w, 1)
        _, last = counter(w, "place", self.beats, f.fire)
        keep = w.constant((1 << self.bits) - 1 & ~self.zero, self.bits)
        mask = w.wire("mask", w.pick(last, keep, w.constant((1 << self.bits) - 1, self.bits)))
        data = w.flop("data", self.bits)
        w.load("data", w.bitwise("and", w.pin("i__payload", self.bits), mask), f.advance)
        w.drive("o__payload", data)


@dataclass
class Chain:
    """Parts one after another."""

    top: str
    network: Network = field(init=False)

    def __post_init__(self) -> None:
        self.network = Network(self.top)
        self.end: Part | None = None
        self.carries: Any = None

    def pipe(self, name: str, t: TensorType, fn: Callable[[Any], Any]) -> Core:
        core = Core(trace(fn, t, name="f"), name=identifier(f"{self.top}_{name}"))
        self.then(Pipe(name, core, name))
        return core

    def start(self, carries: Any) -> None:
        self.carries = carries

    def then(self, part: Part) -> None:
        self.network.add(part)
        self.network.connect(self.end, "i" if self.end is None else "o", part, "i", self.carries)
        self.end, self.carries = part, None

    def carry(self, carries: Any) -> None:
        self.carries = carries

    def finish(self) -> Network:
        self.network.connect(self.end, "o", None, "o", self.carries)
        self.network.check()
        return self.network


def carried(node: Any, form: Form) -> Carried:
    return Carried(node, form, form.joined(node.type))


@functools.cache
def halved() -> HandMade:
    """y = (3 x - 1)[::2] + 2 of x (6, 3), a row a beat: six beats in, three out."""
    g = trace(lambda x: (3 * x - 1).named("scaled")[::2] + 2, SQ(4, 0), shape=(6, 3), name="halved")
    (y,) = g.outputs
    cut = y.args[0]
    c = Chain("halved")
    c.start(carried(g.inputs[0], Form((6, 3), (0,))))
    first = c.pipe("scale", c.carries.type, lambda x: 3 * x - 1)
    c.carry(carried(cut.args[0], Form((6, 3), (0,))))
    c.then(Every("rows", c.carries.bits, 2))
    c.carry(carried(cut, Form((3, 3), (0,))))
    second = c.pipe("shift", c.carries.type, lambda x: x + 2)
    c.carry(carried(y, Form((3, 3), (0,))))
    return HandMade(g, c.finish(), first.latency + 1 + second.latency, 6)


@functools.cache
def doubled() -> HandMade:
    """y[2 k] = y[2 k + 1] = x[k] + 1 of x (3, 2): three beats in, six out."""
    g = trace(lambda x: (x + 1).take([0, 0, 1, 1, 2, 2]), SQ(4, 0), shape=(3, 2), name="doubled")
    (y,) = g.outputs
    c = Chain("doubled")
    c.start(carried(g.inputs[0], Form((3, 2), (0,))))
    core = c.pipe("plus", c.carries.type, lambda x: x + 1)
    c.then(Twice("again", core.out_layout.bits))
    c.carry(carried(y, Form((6, 2), (0,))))
    return HandMade(g, c.finish(), core.latency + 1, 6)


@functools.cache
def ragged() -> HandMade:
    """y = x + 1 of x (2, 5) in 3..12 and -9..-2, two columns a beat, the last one with a surplus lane."""
    lo, hi = np.array([[3], [-9]]), np.array([[12], [-2]])
    t = TensorType((2, 5), 0, np.broadcast_to(lo, (2, 5)), np.broadcast_to(hi, (2, 5)))
    g = trace(lambda x: x + 1, t, name="ragged")
    form = Form((2, 5), (1,), 2)
    c = Chain("ragged")
    c.start(carried(g.inputs[0], form))
    core = c.pipe("plus", c.carries.type, lambda x: x + 1)
    (y,) = g.outputs
    c.carry(carried(y, form))
    width = c.carries.type.max_width
    lane = (1 << width) - 1
    c.then(Masked("zeros", core.out_layout.bits, form.beats, lane << width | lane << 3 * width))
    c.carry(carried(y, form))
    return HandMade(g, c.finish(), core.latency + 1, 3)


def single(part: Part, beats_in: int, beats_out: int) -> tuple[str, Layout, Layout]:
    """Verilog and layouts of a network of one part."""
    c = Chain("alone")
    c.then(part)
    text = c.finish().verilog()
    ends = (part.inputs[0].bits, part.outputs[0].bits)
    return text, *(Layout((Port("x", (), n, False),)) for n in ends)
