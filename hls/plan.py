"""A graph as a list of hls4ml layers: its own where they are exact, generated ones for the runs between."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fxsim import ops
from fxsim.boundary import Affine, FormatEncoder
from fxsim.formats import Format
from fxsim.graph import Block, Graph, Input, Name, Node, Value
from fxsim.integers import IntArray
from hls.chains import WIRES, Chains
from hls.kinds import Layer, is_constant, require_single
from hls.layout import channels_last
from hls.lower.code import RESERVED
from hls.target import DISTRIBUTED, Target

# hls4ml keeps a layer's outputs among its attributes, so that an output may not have an attribute's name ...
ATTRIBUTES = frozenset(
    """
    name class_name input inputs outputs index trace weight bias weight_data bias_data data_format n_in
    n_out n_elem activation input_shape target_shape strategy reuse_factor fx_function fx_outputs fx_depth
    include_header function_cpp config_cpp result_t input_t accum_t weight_t bias_t index_t type_name
    op axis perm pool_op padding model data loaded_weights array stream string
    """.split()  # noqa: SIM905
)
# ... and its C++ has variables and types with names of this form.
NUMBERED = re.compile(r"(w|b|s|z|t|layer|config|input|output|in|out)\d+(_.*)?")
MOST_CLONES = 7
"""hls4ml clones a stream at most so often; beyond that a generated layer does."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Layers in an order of execution, the layer of each graph output (its only tensor), every type.

    `settings` are {layer: (strategy, reuse factor)} of the layers that multiply by weights.
    """

    values: tuple[Node, ...]
    nodes: tuple[Input, ...]
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    ends: tuple[Layer, ...]
    formats: dict[Node, Format]
    target: Target
    settings: dict[str, tuple[str, int]]


class Planner:
    """Walks the values in order: an exact chain closes the open run; everything else joins it."""

    def __init__(self, graph: Graph, target: Target | None = None) -> None:
        self.graph = channels_last(graph)
        self.target = target or Target()
        self.place = self.graph.index
        self.chains = Chains(self.graph, self.target)
        self.readers, self.formats = self.chains.readers, self.chains.formats
        self.layers: list[Layer] = []
        self.run: list[Value] = []
        self.runs: dict[Layer, Sequence[Value]] = {}

    def plan(self) -> Plan:
        """The layers in an order of execution, uniquely named, one single-output layer per graph output."""
        claimed: set[Node] = set()
        for v in self.graph.values:
            if not isinstance(v, Value) or v in claimed or is_constant(v) or self.chains.aligns(v):
                continue
            found = self.chains.match(v) or (None if self.run else self.chains.wire(v))
            if found is None:
                self.run.append(v)
                continue
            layer, used = found
            self.close()
            claimed.update(used)
            self.add(replace(layer, name=self.label(used, layer.kind)))
        self.close()
        ends = [
            self.port(o, name) for o, name in zip(self.graph.outputs, self.graph.output_names, strict=True)
        ]
        last = [self.layers[k] for k in ends]
        layers = self.forked(last) if self.target.stream else self.layers
        # Streams of Quartus are global variables, and the C library has many short names.
        tail = "_input" if self.target.stream and self.target.backend == "Quartus" else ""
        labels = [i.name + tail for i in self.graph.inputs] + [layer.name for layer in layers]
        names = unique_names(labels, RESERVED | ATTRIBUTES)
        inputs, names = names[: len(self.graph.inputs)], names[len(self.graph.inputs) :]
        named = [replace(layer, name=n) for layer, n in zip(layers, names, strict=True)]
        sizes = {layer.name: layer.product for layer in named if layer.product is not None}
        settings = self.target.settings(sizes)
        for layer in named:
            if settings.get(layer.name, ("", 0))[0] == DISTRIBUTED:
                require_single(layer)
        return Plan(
            self.graph.values, self.graph.inputs, tuple(inputs), tuple(named),
            tuple(named[layers.index(e)] for e in last), self.formats, self.target, settings,
        )  # fmt: skip

    def port(self, o: Node, name: str) -> int:
        """The layer whose only tensor is the output o, read by nothing else; a copy where there is none."""
        for k, layer in enumerate(self.layers):
            if layer.outputs == (o,) and layer.kind not in WIRES:
                if self.graph.outputs.count(o) == 1 and not self.readers[o]:
                    return k
                break
        self.layers.append(self.custom(name, [], (o,), (o,)))
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
            self.add(self.custom(self.label(self.run, "block"), self.run, tuple(inputs), outputs))
        self.run = []

    def forked(self, last: list[Layer]) -> list[Layer]:
        """The layers of a stream: what hls4ml cannot clone so often passes a generated copy, and an input
        that nothing reads ends in a generated layer. `last` follows."""
        read = Counter(x for layer in self.layers for x in layer.inputs)
        out: list[Layer] = []
        for producer in (None, *self.layers):
            made = self.graph.inputs if producer is None else producer.outputs
            out += [] if producer is None else [producer]
            if producer is not None and producer.kind == "custom":
                continue
            for tensor in made:
                if read[tensor] > MOST_CLONES:
                    name = tensor.name if isinstance(tensor, Input) else producer.name if producer else ""
                    fork = self.custom(f"{name}_fork", [], (tensor,), (tensor,))
                    out.append(replace(fork, sizes={"fork": True}))
        unread = tuple(i for i in self.graph.inputs if not read[i])
        if unread:
            k = next((k for k, layer in enumerate(out) if layer.kind == "custom"), None)
            if k is None:
                o = self.graph.outputs[0]
                out.append(self.custom(self.graph.output_names[0], [], (o,), (o,)))
                last[0], k = out[-1], len(out) - 1
            old = out[k]
            inputs, part = subgraph(
                self.graph, old.name, self.runs.get(old, []), old.inputs + unread, old.outputs
            )
            out[k] = replace(old, inputs=inputs, graph=part)
            last[:] = [out[k] if e is old else e for e in last]
        return out

    def custom(
        self, name: str, run: Sequence[Value], inputs: tuple[Node, ...], outputs: Sequence[Node]
    ) -> Layer:
        """The run as a generated layer."""
        inputs, part = subgraph(self.graph, name, run, inputs, outputs)
        formats = tuple(self.target.lane(o.type) for o in outputs)
        layer = Layer("custom", name, inputs, tuple(outputs), formats, graph=part)
        self.runs[layer] = run
        return layer

    def label(self, values: Sequence[Value], kind: str) -> str:
        """The name of the innermost block that begins the run or holds its first value.

        Wires that a block has before its own layer are called after both.
        """
        at = min(self.place[v] for v in values)
        around = [b for b in self.graph.blocks if b.start <= at < b.stop]
        if not around:
            return kind
        whole = kind not in WIRES or around[-1].stop - around[-1].start == len(values)
        return around[-1].name if whole else f"{around[-1].name}_{kind}"


def subgraph(
    graph: Graph, name: str, run: Sequence[Value], inputs: tuple[Node, ...], outputs: Sequence[Node]
) -> tuple[tuple[Node, ...], Graph]:
    """The run as a graph with its constants. A run of constants reads the graph's first input, unused."""
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
    return inputs, part


def unique_names(wanted: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names as C++ identifiers that differ from each other and from `taken`, in small letters too:
    hls4ml finds a layer's types by its name in small letters."""
    used, out = {t.lower() for t in taken}, []
    for name in wanted:
        base = re.sub(r"\W", "_", name, flags=re.ASCII) or "t"
        base = re.sub("__+", "_", f"t{base}" if base[0].isdigit() or base[0] == "_" else base)
        base = f"x_{base}" if NUMBERED.fullmatch(base) else base
        text, count = base, 1
        while text.lower() in used:
            count += 1
            text = f"{base}_{count}"
        used.add(text.lower())
        out.append(text)
    return out
