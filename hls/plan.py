"""A graph as a list of hls4ml layers: its own where they are exact, generated ones for the runs between."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import Affine, FormatEncoder
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Block, Graph, Input, Name, Node, Value
from fxsim.integers import Array, IntArray, magnitude_bits
from hls.lower.code import RESERVED

DOUBLE_BITS = 53

# hls4ml keeps a layer's outputs among its attributes, so that an output may not have an attribute's name ...
ATTRIBUTES = frozenset(
    """
    name class_name input inputs outputs index trace weight bias weight_data bias_data data_format n_in
    n_out n_elem activation input_shape target_shape strategy reuse_factor fx_function fx_outputs
    include_header function_cpp config_cpp result_t input_t accum_t weight_t bias_t index_t type_name
    """.split()  # noqa: SIM905
)
# ... and its C++ has variables and types with names of this form.
NUMBERED = re.compile(r"(w|b|s|z|t|layer|config|input|output|in|out)\d+(_.*)?")


@dataclass(frozen=True, eq=False)
class Layer:
    """One hls4ml layer: `kind` is dense, relu, reshape or custom; `formats` are the types of its outputs.

    dense: `weight` (n_in, n_out) and `bias` raw integers with their formats, `accumulator` wide enough to
    lose nothing. custom: `graph` is the run as a graph of its own, one port per input and output.
    """

    kind: str
    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    formats: tuple[Format, ...]
    weight: Array | None = None
    weight_format: Format | None = None
    bias: Array | None = None
    bias_format: Format | None = None
    accumulator: Format | None = None
    graph: Graph | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """Layers in an order of execution, the layer of each graph output (its only tensor), every type."""

    values: tuple[Node, ...]
    nodes: tuple[Input, ...]
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    ends: tuple[Layer, ...]
    formats: dict[Node, Format]


class Planner:
    """Walks the values in order: an exact chain closes the open run; everything else joins it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = graph.index
        self.readers: dict[Node, list[Value]] = {v: [] for v in graph.values}
        for v in graph.values:
            for a in dict.fromkeys(v.args if isinstance(v, Value) else ()):
                self.readers[a].append(v)  # type: ignore[arg-type]
        self.formats: dict[Node, Format] = {i: i.type.lane() for i in graph.inputs}
        self.layers: list[Layer] = []
        self.run: list[Value] = []

    def plan(self) -> Plan:
        """The layers in an order of execution, uniquely named, one single-output layer per graph output."""
        claimed: set[Node] = set()
        for v in self.graph.values:
            if not isinstance(v, Value) or v in claimed or is_constant(v):
                continue
            layer, used = self.dense(v) or self.relu(v) or self.reshape(v) or (None, ())
            if layer is None:
                self.run.append(v)
                continue
            self.close()
            claimed.update(used)
            self.add(layer)
        self.close()
        ends = [
            self.port(o, name) for o, name in zip(self.graph.outputs, self.graph.output_names, strict=True)
        ]
        labels = [i.name for i in self.graph.inputs] + [layer.name for layer in self.layers]
        names = unique_names(labels, RESERVED | ATTRIBUTES)
        inputs, names = names[: len(self.graph.inputs)], names[len(self.graph.inputs) :]
        layers = [replace(layer, name=n) for layer, n in zip(self.layers, names, strict=True)]
        values, nodes = self.graph.values, self.graph.inputs
        return Plan(values, nodes, tuple(inputs), tuple(layers), tuple(layers[k] for k in ends), self.formats)

    def port(self, o: Node, name: str) -> int:
        """The layer whose only tensor is the output o, read by nothing else; a copy where there is none."""
        for k, layer in enumerate(self.layers):
            if layer.outputs == (o,) and layer.kind != "reshape":
                if self.graph.outputs.count(o) == 1 and not self.readers[o]:
                    return k
                break
        self.layers.append(custom(self.graph, name, [], (o,), (o,)))
        return len(self.layers) - 1

    def add(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.formats.update(zip(layer.outputs, layer.formats, strict=True))

    def close(self) -> None:
        """The open run as one custom layer."""
        if not self.run:
            return
        inside = set(self.run)
        inputs = dict.fromkeys(a for v in self.run for a in v.args if a not in inside and not is_constant(a))
        outputs = [
            v for v in self.run if v in self.graph.outputs or any(r not in inside for r in self.readers[v])
        ]
        if outputs:
            self.add(custom(self.graph, self.label(self.run) or "block", self.run, tuple(inputs), outputs))
        self.run = []

    def next(self, v: Node) -> Value | None:
        """The only reader of v, unless v is an output as well."""
        readers = self.readers[v]
        return readers[0] if len(readers) == 1 and v not in self.graph.outputs else None

    def follow(self, used: list[Value], kind: type[ops.Shift] | type[ops.Cast]) -> Value | None:
        """The next value of the chain, if it is of this kind."""
        v = self.next(used[-1])
        return v if v is not None and isinstance(v.op, kind) else None

    def shifts(self, used: list[Value]) -> None:
        while (v := self.follow(used, ops.Shift)) is not None:
            used.append(v)

    def quantized(self, used: list[Value], source: Format) -> tuple[Value, Format]:
        """The end of the chain, with a cast that the assignment of a `source` does exactly; its type."""
        v = self.follow(used, ops.Cast)
        fmt = None if v is None else assignable(v, source)
        if v is None or fmt is None:
            return used[-1], used[-1].type.lane()
        used.append(v)
        return v, fmt

    def dense(self, v: Value) -> tuple[Layer, list[Value]] | None:
        """x @ constant [+ constant] [cast]."""
        if not isinstance(v.op, ops.MatMul) or is_constant(v.args[0]) or not is_constant(v.args[1]):
            return None
        x, w = v.args
        if x.type.ndim != 1 or w.type.ndim != 2:
            return None
        used, bias = [v], None
        self.shifts(used)
        after = self.next(used[-1])
        if after is not None and isinstance(after.op, ops.Add):
            bias = next((a for a in after.args if is_constant(a)), None)
            if bias is not None and after.type.shape == v.type.shape:
                used.append(after)
                self.shifts(used)
            else:
                bias = None
        total = used[-1]
        end, fmt = self.quantized(used, total.type.lane())
        zero = np.zeros(w.type.shape[1], np.int64)
        b = zero if bias is None else np.broadcast_to(bias.type.lo, zero.shape)
        weight_format, bias_format = w.type.lane(), Format(1, 1, False) if bias is None else bias.type.lane()
        if max(magnitude_bits(w.type.lo), magnitude_bits(b)) > DOUBLE_BITS:  # weights cross as doubles
            return None
        layer = Layer(
            "dense", self.label(used) or "dense", (x,), (end,), (fmt,),
            w.type.lo, weight_format, b, bias_format, total.type.lane(),
        )  # fmt: skip
        return layer, used

    def relu(self, v: Value) -> tuple[Layer, list[Value]] | None:
        """max(x, 0) [cast]."""
        if not isinstance(v.op, ops.Max):
            return None
        x = next((a for a in v.args if not is_constant(a)), None)
        zeros = [a for a in v.args if is_constant(a) and not np.any(a.type.lo)]
        if x is None or not zeros or x.type.shape != v.type.shape or not v.type.ndim:
            return None
        used = [v]
        self.shifts(used)
        end, fmt = self.quantized(used, self.formats.get(x, x.type.lane()))  # an open run writes lanes
        return Layer("relu", self.label(used) or "relu", (x,), (end,), (fmt,)), used

    def reshape(self, v: Value) -> tuple[Layer, list[Value]] | None:
        """A Reshape that feeds a layer of hls4ml's own; elsewhere arrays are flat and it joins the run."""
        if not isinstance(v.op, ops.Reshape) or self.run or v in self.graph.outputs or not v.type.ndim:
            return None
        if not any(self.dense(r) or self.relu(r) for r in self.readers[v]):
            return None
        fmt = self.formats[v.args[0]]
        return Layer("reshape", self.label([v]) or "reshape", (v.args[0],), (v,), (fmt,)), [v]

    def label(self, values: Sequence[Value]) -> str:
        """The name of the innermost block that begins the run or holds its first value."""
        at = self.place[values[0]]
        around = [b for b in self.graph.blocks if b.start <= at < b.stop]
        return around[-1].name if around else ""


def is_constant(v: Node) -> bool:
    return isinstance(v, Value) and bool(np.all(v.type.is_constant))


def assignable(v: Value, source: Format) -> Format | None:
    """The ap_fixed type whose assignment from `source` is this cast; None where there is no such type."""
    op: Any = v.op
    parameters = [np.unique(p) for p in op.parameters(v.type.shape)]
    if any(p.size != 1 for p in parameters):
        return None
    frac, width, signed = (int(p[0]) for p in parameters)
    exact = op.rounding is not Rounding.RND_CONV_ODD and op.overflow is not Overflow.WRAP_SM and op.n == 0
    # ap_fixed aborts where rounding drops more bits than the source has.
    if not exact or width == 0 or source.width < source.frac - frac + 2:
        return None
    return Format(width, width - frac, bool(signed), op.rounding, op.overflow)


def custom(
    graph: Graph, name: str, run: Sequence[Value], inputs: tuple[Node, ...], outputs: Sequence[Node]
) -> Layer:
    """The run as a layer with its constants. A run of constants reads the graph's first input, unused."""
    inputs = tuple(a for a in inputs if not is_constant(a)) or graph.inputs[:1]
    ports = {a: Input(a.type, f"x{k}") for k, a in enumerate(inputs)}
    new: dict[Node, Node] = dict(ports)
    values: list[Node] = list(ports.values())

    def node(v: Node) -> Node:
        if v not in new:
            new[v] = Value(v.type, ops.Const(IntArray(v.type.lo), v.type.frac), ())
            values.append(new[v])
        return new[v]

    place = graph.index
    starts = {}
    for v in run:
        args = tuple(node(a) for a in v.args)
        starts[place[v]] = len(values)
        new[v] = Value(v.type, v.op, args)
        values.append(new[v])
    ends = tuple(node(o) for o in outputs)
    blocks = []
    for b in graph.blocks:
        inside = [starts[i] for i in range(b.start, b.stop) if i in starts]
        if inside:
            blocks.append(Block(b.kind, b.name, {}, b.inputs, b.outputs, inside[0], inside[-1] + 1))
    names = {k: Name(new[n.value]) for k, n in graph.names.items() if n.value in new and n.value not in ports}
    part = Graph(
        tuple(ports.values()), ends, tuple(values), tuple(f"y{k}" for k in range(len(ends))),
        tuple(FormatEncoder(p.type.lane()) for p in ports.values()), tuple(Affine() for _ in ends),
        tuple(blocks), names, name,
    )  # fmt: skip
    return Layer("custom", name, inputs, tuple(outputs), tuple(o.type.lane() for o in outputs), graph=part)


def unique_names(wanted: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names as C++ identifiers that differ from each other and from `taken`."""
    used, out = set(taken), []
    for name in wanted:
        base = re.sub(r"\W", "_", name, flags=re.ASCII) or "t"
        base = re.sub("__+", "_", f"t{base}" if base[0].isdigit() or base[0] == "_" else base)
        base = f"x_{base}" if NUMBERED.fullmatch(base) else base
        text, count = base, 1
        while text in used:
            count += 1
            text = f"{base}_{count}"
        used.add(text)
        out.append(text)
    return out
