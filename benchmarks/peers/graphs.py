"""One form for the adder graphs of every tool, evaluated and counted in exact integers by one code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Node(NamedTuple):
    """sign_a * (wire a << shift_a) + sign_b * (wire b << shift_b)."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    sign_a: int
    sign_b: int


class Out(NamedTuple):
    """sign * wire * 2**shift; wire None is the constant 0."""

    wire: int | None
    shift: int
    sign: int


@dataclass(frozen=True)
class Graph:
    """Wires are the inputs, then the nodes, each of which reads earlier wires only."""

    n_in: int
    nodes: tuple[Node, ...]
    outputs: tuple[Out, ...]


@dataclass(frozen=True)
class Cost:
    """Adders (negators included), full-adder bits, and adders on the longest path."""

    adders: int
    bits: int
    depth: int


class Builder:
    """Collects the operations of a tool as terms sign * wire * 2**exponent.

    All choices are in favour of the tool: a sign costs nothing as long as a later adder can take it, an
    operation that is written twice is built once, and one that no output needs is not built.
    """

    def __init__(self, n_in: int) -> None:
        self.n_in = n_in
        self._wires: dict[Node, int] = {}
        self.nodes: list[Node] = []

    def add(
        self, p: tuple[int, int, int] | None, q: tuple[int, int, int] | None
    ) -> tuple[int, int, int] | None:
        """p + q; a term is (wire, exponent, sign), None is 0."""
        if p is None or q is None:
            return q if p is None else p
        (a, ea, sa), (b, eb, sb) = sorted((p, q))
        base = min(ea, eb)
        sign = -1 if sa < 0 and sb < 0 else 1
        node = Node(a, b, ea - base, eb - base, sign * sa, sign * sb)
        opposite = node._replace(sign_a=-node.sign_a, sign_b=-node.sign_b)
        if opposite in self._wires:  # b - a where a - b is there
            return self._wires[opposite], base, -sign
        wire = self._wires.get(node)
        if wire is None:
            wire = self._wires[node] = self.n_in + len(self.nodes)
            self.nodes.append(node)
        return wire, base, sign

    def graph(self, outputs: Iterable[tuple[int, int, int] | None]) -> Graph:
        outs = [Out(None, 0, 1) if o is None else Out(*o) for o in outputs]
        return _turned(_pruned(Graph(self.n_in, tuple(self.nodes), tuple(outs))))


def _pruned(graph: Graph) -> Graph:
    """Without the nodes that no output needs."""
    needed = {o.wire for o in graph.outputs if o.wire is not None}
    for k in range(len(graph.nodes) - 1, -1, -1):
        if graph.n_in + k in needed:
            needed |= {graph.nodes[k].a, graph.nodes[k].b}
    place = {w: w for w in range(graph.n_in)}
    nodes = []
    for k, node in enumerate(graph.nodes):
        if graph.n_in + k in needed:
            place[graph.n_in + k] = graph.n_in + len(nodes)
            nodes.append(node._replace(a=place[node.a], b=place[node.b]))
    outputs = tuple(o if o.wire is None else o._replace(wire=place[o.wire]) for o in graph.outputs)
    return Graph(graph.n_in, tuple(nodes), outputs)


def _turned(graph: Graph) -> Graph:
    """a - b becomes b - a where only its negative goes out and every reader can take the other sign."""
    nodes, outputs = list(graph.nodes), list(graph.outputs)
    for k in range(len(nodes)):
        wire = graph.n_in + k
        signs = {o.sign for o in outputs if o.wire == wire}
        readers = {j for j, n in enumerate(nodes) if wire in (n.a, n.b)}
        if signs != {-1} or nodes[k].sign_a == nodes[k].sign_b:
            continue
        turned = {
            j: n._replace(
                sign_a=-n.sign_a if n.a == wire else n.sign_a, sign_b=-n.sign_b if n.b == wire else n.sign_b
            )
            for j in readers
            for n in (nodes[j],)
        }
        if any(n.sign_a < 0 and n.sign_b < 0 for n in turned.values()):
            continue
        for j, n in turned.items():
            nodes[j] = n
        nodes[k] = nodes[k]._replace(sign_a=-nodes[k].sign_a, sign_b=-nodes[k].sign_b)
        outputs = [o._replace(sign=1) if o.wire == wire else o for o in outputs]
    return Graph(graph.n_in, tuple(nodes), tuple(outputs))


def rows(graph: Graph) -> list[list[int]]:
    """Per wire its coefficients of the inputs, Python integers."""
    found = [[int(i == j) for j in range(graph.n_in)] for i in range(graph.n_in)]
    for node in graph.nodes:
        fa, fb = node.sign_a * (1 << node.shift_a), node.sign_b * (1 << node.shift_b)
        found.append([fa * u + fb * v for u, v in zip(found[node.a], found[node.b], strict=True)])
    return found


def check(graph: Graph, weights: Sequence[Sequence[int]]) -> list[list[int]]:
    """`rows` if every output is exactly its column of weights, else ArithmeticError."""
    found = rows(graph)
    if len(graph.outputs) != len(weights[0]):
        raise ArithmeticError(f"{len(graph.outputs)} outputs for {len(weights[0])} columns")
    for c, (wire, shift, sign) in enumerate(graph.outputs):
        row = [0] * graph.n_in if wire is None else [sign * v for v in found[wire]]
        want = [int(w[c]) for w in weights]
        up, down = max(shift, 0), max(-shift, 0)
        if [v << up for v in row] != [v << down for v in want]:
            raise ArithmeticError(f"column {c} is {row} * 2**{shift}, not {want}")
    return found


def cost(graph: Graph, weights: Sequence[Sequence[int]], lo: int = -128, hi: int = 127) -> Cost:
    """Checks the graph against the weights and counts it, every input in lo..hi.

    Bits of an adder: the width of its exact interval, less the low bits where one operand is 0 and the
    other passes through (under a subtraction: where both are 0). An output with sign -1 costs one negator
    a wire.
    """
    found = check(graph, weights)
    depth = [0] * graph.n_in
    for node in graph.nodes:
        depth.append(max(depth[node.a], depth[node.b]) + 1)
    spans = []
    for row in found:
        up, down = sum(v for v in row if v > 0), sum(v for v in row if v < 0)
        spans.append((up * lo + down * hi, up * hi + down * lo))
    zeros = [_trailing_zeros(row) for row in found]
    bits = 0
    for k, node in enumerate(graph.nodes):
        low_a, low_b = zeros[node.a] + node.shift_a, zeros[node.b] + node.shift_b
        lower_sign = node.sign_a if low_a < low_b else node.sign_b
        free = max(low_a, low_b) if lower_sign > 0 or low_a == low_b else min(low_a, low_b)
        bits += max(_width(*spans[graph.n_in + k]) - free, 0)
    negated = {o.wire for o in graph.outputs if o.wire is not None and o.sign < 0}
    bits += sum(max(_width(-spans[w][1], -spans[w][0]) - zeros[w], 0) for w in negated)
    longest = max((depth[o.wire] + (o.sign < 0) for o in graph.outputs if o.wire is not None), default=0)
    return Cost(len(graph.nodes) + len(negated), bits, longest)


def _trailing_zeros(row: Sequence[int]) -> int:
    merged = 0
    for v in row:
        merged |= v
    return (merged & -merged).bit_length() - 1 if merged else 0


def _width(lo: int, hi: int) -> int:
    return max(hi, ~lo).bit_length() + 1 if lo < 0 else hi.bit_length()
