"""What every core has in common: options, a lowered graph, its figures and its parts."""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from amaranth.lib import wiring

from fxsim.graph import Graph, Node
from fxsim.types import TensorType
from rtl.layout import Layout, Port
from rtl.lower import Netlist
from rtl.lower.names import Names, identifier
from rtl.lower.netlist import ADDERS, Net
from rtl.pipeline import Schedule
from rtl.timing import GENERIC, Family, family_of

TICK = Port("tick", (), 1, signed=False)


class Section(NamedTuple):
    """The nets of one part of the graph: a block (its kind), or a value outside blocks (its op)."""

    name: str
    kind: str
    inputs: list[TensorType]
    outputs: list[TensorType]
    nets: list[Net]


class Design(wiring.Component):
    """A lowered graph and its schedule, of which a subclass makes a component with streams i and o.

    adders       two-input adders, subtractors and negators of any width, rounding carries included
    depth        of the deepest path in adders (comparators 1, multiplexers 1/2, gates 1/4)
    stage_depth  of the deepest path within a stage, in the unit of `family`: adders, or ns
    """

    # A core may be built for its figures only; Amaranth would warn that it was never elaborated.
    _MustUse__silence = True

    graph: Graph
    top: str
    in_layout: Layout
    out_layout: Layout
    netlist: Netlist
    names: Names
    plan: Schedule

    def _limit(
        self, max_depth_per_stage: float | None, family: str | Family, clock_mhz: float | None
    ) -> tuple[Family, float] | None:
        """Sets the options of the schedule; the limit of a stage."""
        self.family = family_of(family)
        limit: tuple[Family, float] | None = None
        if clock_mhz is not None:
            clock_mhz = _number(clock_mhz, "clock_mhz", 0.0)
            max_depth_per_stage = None
            limit = self.family, self.family.limit(clock_mhz)
        elif max_depth_per_stage is not None:
            max_depth_per_stage = _number(max_depth_per_stage, "max_depth_per_stage", 1.0)
            limit = GENERIC, max_depth_per_stage
        self.max_depth_per_stage, self.clock_mhz = max_depth_per_stage, clock_mhz
        return limit

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

    # What stands in the module beside the nets of the graph: names of signals, bits of registers; and per bit
    # of the output payload the net that it carries, None for control.
    control_names: tuple[str, ...]
    control_registers: int
    payload_nets: list[Net | None]

    @property
    def latency(self) -> int:
        raise NotImplementedError

    @cached_property
    def adders(self) -> int:
        return sum(n.kind in ADDERS for n in self.plan.nets)

    @cached_property
    def depth(self) -> float:
        return max((n.level for n in self.plan.nets), default=0)

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

    def verilog(self) -> str:
        """Deterministic Verilog of the module `top`: the same graph and options give the same bytes."""
        raise NotImplementedError


def _number(value: Any, name: str, least: float) -> float:
    """`value`, also of NumPy's, as a float or int for JSON."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value < math.inf or not value:
        raise ValueError(
            f"{name} must be None or {f'at least {least:g}' if least else 'positive'}, not {value!r}"
        )
    value = float(value)
    return int(value) if value.is_integer() else value


def layout_of(what: str, nodes: Any, names: list[str]) -> Layout:
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
