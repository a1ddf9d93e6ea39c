"""Products: constant factors as shift-add graphs, two varying factors as a unit of gated partial products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.integers import exact
from rtl.lower.encode import estimate
from rtl.lower.netlist import Netlist, Wire
from rtl.lower.pack import bit_products, is_bit, packed_product
from rtl.shift_add import solve


def times(nl: Netlist, a: Wire, b: Wire, bounds: tuple[int, int]) -> Wire:
    """a * b, proven to lie in `bounds`: shifted adders if one is constant, else partial products."""
    if a.is_constant:
        a, b = b, a
    if b.is_constant:
        return nl.const(a.value * b.value) if a.is_constant else constant_product(nl, [a], [[b.value]])[0]
    if is_bit(nl, a) and is_bit(nl, b):
        return bit_products(nl, [(a, b)])
    return partial_products(nl, a, b, bounds)


def dot(nl: Netlist, pairs: Sequence[tuple[Wire, Wire]], bounds: tuple[int, int]) -> Wire:
    """Sum of a * b, proven to lie in `bounds`; factors of one bit each and one weight stand in tables."""
    weights = {_weight(nl, a) * _weight(nl, b) for a, b in pairs}
    if len(pairs) > 1 and len(weights - {0}) == 1 and 0 not in weights:
        return bit_products(nl, pairs)
    return nl.sum(((times(nl, a, b, _corners(a, b)), 1) for a, b in pairs), bounds)


def total(nl: Netlist, wires: Sequence[Wire], bounds: tuple[int, int]) -> Wire:
    """Sum of wires, proven to lie in `bounds`; those of one bit and one weight stand in tables of six."""
    bits = [a for a in wires if is_bit(nl, a)]
    if len(bits) > 2 and len({_weight(nl, a) for a in bits}) == 1:
        rest = [a for a in wires if not is_bit(nl, a)]
        wires = [*packed_product(nl, bits, [[1]] * len(bits)), *rest]
    return nl.sum(((a, 1) for a in wires), bounds)


def _weight(nl: Netlist, a: Wire) -> int:
    """What the one bit of a counts, 1 for a constant, 0 for other wires."""
    return 1 if a.is_constant else abs(nl.affine(a)[1]) if is_bit(nl, a) else 0


def _corners(a: Wire, b: Wire) -> tuple[int, int]:
    corners = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    return min(corners), max(corners)


def partial_products(nl: Netlist, a: Wire, b: Wire, bounds: tuple[int, int]) -> Wire:
    """sum_j b_j * (a << j): one gate of a per bit of the narrower factor, summed by a balanced tree.

    The top bit of a signed factor weighs -2**j, so its term is subtracted. No `*` of signals is ever written.
    """
    if b.net.width > a.net.width:
        a, b = b, a
    bits = b.net.width
    terms = []
    for j in range(bits):
        bit = nl.bit(Wire(b.net), j)
        term = nl.mux(bit, a, nl.const(0))
        terms.append((nl.shift(term, j + b.zeros), -1 if b.net.signed and j == bits - 1 else 1))
    return nl.sum(terms, bounds)


def constant_product(nl: Netlist, x: Sequence[Wire], weights: Any) -> list[Wire]:
    """x @ weights for constant integers (n_in, n_out), by one shared adder graph.

    Constant inputs become an offset; the graph is searched for the others. Inputs of one bit stand in it or
    in tables of six, by what takes fewer LUTs.
    """
    w = exact(np.asarray(weights))
    live = [i for i, wire in enumerate(x) if not wire.is_constant and np.any(w[i])]
    offset = [0] * w.shape[1]
    for i, wire in enumerate(x):
        if wire.is_constant and wire.value:
            offset = [o + wire.value * int(c) for o, c in zip(offset, w[i], strict=True)]
    if not live:
        return [nl.const(o) for o in offset]
    first = len(nl.nets)
    found = _by_adders(nl, [x[i] for i in live], w[live])
    bits = [i for i in live if is_bit(nl, x[i])]
    if len(bits) > 2:
        cost, second = estimate(found, first), len(nl.nets)
        packed = packed_product(nl, [x[i] for i in bits], w[bits].tolist())
        rest = [i for i in live if i not in bits]
        if rest:
            others = _by_adders(nl, [x[i] for i in rest], w[rest])
            packed = [nl.add(a, b) for a, b in zip(packed, others, strict=True)]
        if estimate(packed, second) < cost:
            found = packed
    return [nl.add(y, nl.const(o)) for y, o in zip(found, offset, strict=True)]


def _by_adders(nl: Netlist, x: Sequence[Wire], weights: np.ndarray) -> list[Wire]:
    """x @ weights as one shared adder graph."""
    graph = solve(
        weights, [(a.lo, a.hi) for a in x], max_depth=nl.adder_depth, effort=nl.effort, objective=nl.objective
    )
    wires = list(x)
    for node, bounds in zip(graph.nodes, graph.intervals()[graph.first_node :], strict=True):
        a, b = nl.shift(wires[node.a], node.shift_a), nl.shift(wires[node.b], node.shift_b)
        if node.sign_b < 0:
            wires.append(nl.sub(a, b, bounds))
        elif node.sign_a < 0:
            wires.append(nl.sub(b, a, bounds))
        else:
            wires.append(nl.add(a, b, bounds))
    sums = [nl.const(0) if i is None else nl.shift(wires[i], k) for i, k, _ in graph.outputs]
    return [y if out.sign > 0 else nl.neg(y) for y, out in zip(sums, graph.outputs, strict=True)]
