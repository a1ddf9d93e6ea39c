"""Sums of products of one-bit wires: six inputs are a table, one LUT per bit of a sum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rtl.lower.net import Net, Wire
from rtl.lower.netlist import Netlist

GROUP = 6  # inputs of a LUT


def is_bit(nl: Netlist, a: Wire) -> bool:
    """Whether a is an affine function of one bit, such as 0 or 1, or -1 or 1."""
    net, _, _ = nl.affine(a)
    return (net.lo, net.hi) == (0, 1)


def packed_product(nl: Netlist, x: Sequence[Wire], weights: Sequence[Sequence[int]]) -> list[Wire]:
    """x @ weights for wires that are affine functions of one bit each: per column a sum of tables.

    Inputs of like weights stand together, so that their sums have the fewest bits.
    """
    bits = [nl.affine(a) for a in x]
    out = []
    for c in range(len(weights[0])):
        terms = [(row[c], bit) for row, bit in zip(weights, bits, strict=True) if row[c]]
        terms.sort(key=lambda t: -abs(t[0] * t[1][1]))
        groups = [terms[k : k + GROUP] for k in range(0, len(terms), GROUP)]
        out.append(nl.sum((_table(nl, g), 1) for g in groups))
    return out


def bit_products(nl: Netlist, pairs: Sequence[tuple[Wire, Wire]]) -> Wire:
    """Sum of a * b for wires that are constant or affine functions of one bit each, three products a table.

    For -1 and 1 this is XNOR and popcount: n - 2 * popcount(a xor b), its first level in the XNOR's LUTs.
    """
    offset = 0
    groups: list[list[tuple[Factor, Factor]]] = []
    room = 0
    for a, b in pairs:
        x, y = _factor(nl, a), _factor(nl, b)
        bits = (x[0] is not None) + (y[0] is not None)
        if not bits:
            offset += x[2] * y[2]
            continue
        if bits > room:
            groups.append([])
            room = GROUP
        groups[-1].append((x, y))
        room -= bits
    return nl.sum([(nl.const(offset), 1), *((_product_table(nl, g), 1) for g in groups)])


Factor = tuple[Net | None, int, int]
"""(net, scale, offset): scale * net + offset, or the offset alone."""


def _factor(nl: Netlist, a: Wire) -> Factor:
    return (None, 0, a.value) if a.is_constant else nl.affine(a)


def _product_table(nl: Netlist, terms: Sequence[tuple[Factor, Factor]]) -> Wire:
    """Sum of the products of a group, each factor that varies one bit of the table's index."""
    nets = list(dict.fromkeys(net for pair in terms for net, _, _ in pair if net is not None))
    entries = {}
    for code in product((0, 1), repeat=len(nets)):
        bit = dict(zip(nets, code, strict=True))
        x, y = ([s * (bit[n] if n is not None else 0) + o for n, s, o in f] for f in zip(*terms, strict=True))
        entries[sum(b << k for k, b in enumerate(code))] = sum(p * q for p, q in zip(x, y, strict=True))
    return _from_least(nl, nets, entries)


def _from_least(nl: Netlist, nets: Sequence[Net], entries: dict[int, int]) -> Wire:
    """A table of the bits `nets`, stored from its least entry up."""
    index = nl.cat([(Wire(net), 1) for net in nets], False)
    least, most = min(entries.values()), max(entries.values())
    table = nl.table(index, {k: v - least for k, v in entries.items()}, (0, most - least))
    return nl.add(table, nl.const(least))


def _table(nl: Netlist, terms: Sequence[tuple[int, tuple[Net, int, int]]]) -> Wire:
    """Sum of weight * (scale * bit + offset) over a group."""
    offset = sum(w * o for w, (_, _, o) in terms)
    steps = [w * scale for w, (_, scale, _) in terms]
    entries = {}
    for code in product((0, 1), repeat=len(terms)):
        index_of = sum(b << k for k, b in enumerate(code))
        entries[index_of] = offset + sum(s for s, b in zip(steps, code, strict=True) if b)
    return _from_least(nl, [net for _, (net, _, _) in terms], entries)
