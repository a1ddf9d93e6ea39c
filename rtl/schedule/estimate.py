"""LUTs and memory of a streamed core before synthesis: pipelines by the cost reading, all other parts by the
operators that they write."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.cost import Cost, cost_rules
from fxsim.graph import Graph, Value
from rtl.design import layout_of
from rtl.schedule.assemble import Assembly
from rtl.schedule.plan import Plan
from rtl.stream.model_tables import Tables
from rtl.stream.part import Part
from rtl.stream.pipe import Pipe
from rtl.text import Text, Vector

WEIGHTS = {"add": 1.29, "gate": 0.76, "test": 0.22, "pick": 1.25, "clear": 0.02, "rom": 1.73, "ram": 2.1}
"""LUT4 per operator bit of ECP5, by least squares over parts that Yosys mapped; of a small memory that holds
constants, per 16 bits; of a memory, once."""

ROM = 1024
"""Bits from which a memory of constants becomes block RAM."""

SHARED = (1.05, -0.09)
"""A constant product of n adders without sharing takes n * min(1, a * n ** b), where (a, b) are these: by
searches for matrices of 37 to 13,537 adders."""

VARYING, OTHER = 0.88, 1.75
"""LUT4 per LUT of the cost reading, which counts those of 6 inputs: products of two varying factors, and all
that is no sum or product."""


@dataclass(frozen=True)
class Estimate:
    """LUT4s of logic (those of RAM not among them), memory bits, and least cycles per frame of a network.

    Against Yosys 0.70 on ECP5, over six cores of 650 to 2,150 LUTs, streamed and folded, the sum of the LUTs
    is 3 to 8 % too high; single parts of more than 40 LUTs are off by up to a third. Memory bits are exact,
    but for FIFOs beside other ways, whose depths are not known before the core is built. No core needs fewer
    cycles; with such FIFOs it may need more.
    """

    luts: int
    memory: int
    cycles: int


class Sketch(Assembly):
    """The network of a plan with pipelines that are not lowered: enough for an estimate, in a fraction of
    the time."""

    def __init__(self, plan: Plan, top: str, options: Mapping[str, Any]) -> None:
        super().__init__(plan, top, options, {})

    def core(self, graph: Graph, name: str) -> Any:
        return Unlowered(graph, name)

    def estimate(self) -> Estimate:
        beats = max(self.plan.form(n).beats for n in self.plan.graph.inputs)
        tables = Tables(self.network, beats, self.output_forms[0].beats)
        return Estimate(
            sum(luts(p) for p in self.network.parts),
            sum(p.memory for p in self.network.parts),
            int(max([*tables.own, *tables.beats])),
        )


class Unlowered:
    """What a network asks of a core, of one that is not built."""

    latency = 3

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.top = graph, name
        self.in_layout = layout_of("inputs", graph.inputs, [n.name for n in graph.inputs])
        self.out_layout = layout_of("outputs", graph.outputs, list(graph.output_names))


def luts(part: Part) -> int:
    """Estimated LUT4s of a part."""
    if isinstance(part, Pipe):
        return pipeline(part.core.graph)
    w = _Operators()
    part.write(w)
    return round(sum(WEIGHTS[k] * n for k, n in w.bits.items()))


def pipeline(graph: Graph) -> int:
    """Estimated LUT4s of a pipeline for a graph."""
    costs = cost_rules.fold(graph, [Cost()] * len(graph.inputs))
    total = 0.0
    for v, cost in costs.items():
        if not isinstance(v, Value) or not cost.luts:
            continue
        if isinstance(v.op, (ops.MatMul, ops.Mul)):
            constant = any(bool(np.all(a.type.is_constant)) for a in v.args)
            a, b = SHARED
            share = min(1.0, a * max(cost.adders, 1) ** b) if constant else VARYING
            total += share * cost.luts
        else:
            plain = isinstance(v.op, (ops.Add, ops.Sub, ops.Sum, ops.Neg))
            total += cost.luts if plain else OTHER * cost.luts
    return math.ceil(total)


class _Operators(Text):
    """Counts operator bits by class as a part writes them."""

    def __init__(self) -> None:
        super().__init__("", 0)
        self.bits: Counter[str] = Counter()

    def _count(self, kind: str, n: float) -> None:
        self.bits[kind] += n  # type: ignore[assignment]

    def add(self, a: Vector, b: Vector) -> Vector:
        self._count("add", self.width(a))
        return super().add(a, b)

    def subtract(self, a: Vector, b: Vector) -> Vector:
        self._count("add", self.width(a))
        return super().subtract(a, b)

    def less(self, a: Vector, b: Vector, signed: bool) -> Vector:
        self._count("add", self.width(a))
        return super().less(a, b, signed)

    def bitwise(self, kind: str, a: Vector, b: Vector) -> Vector:
        self._count("gate", self.width(a))
        return super().bitwise(kind, a, b)

    def any(self, a: Vector) -> Vector:
        self._count("test", self.width(a))
        return super().any(a)

    def all(self, a: Vector) -> Vector:
        self._count("test", self.width(a))
        return super().all(a)

    def equal(self, a: Vector, b: Vector) -> Vector:
        self._count("test", self.width(a))
        return super().equal(a, b)

    def pick(self, c: Vector, a: Vector, b: Vector) -> Vector:
        width = self.width(a)
        known = min(width, sum(p.width for v in (a, b) for p in v if p.value is not None))
        self._count("pick", width - known)
        self._count("clear", known)
        return super().pick(c, a, b)

    def entry(self, bits: int, index: Vector) -> Vector:
        self._count("rom", max(1, (1 << self.width(index)) // 16))
        return super().entry(bits, index)

    def memory(self, name: str, width: int, depth: int, init: Sequence[int] = ()) -> Vector:
        if init:
            self._count("rom", width * depth / 16 if width * depth < ROM else 0)
        else:
            self._count("ram", 1)
        return super().memory(name, width, depth)
