"""Products of one-bit inputs and constants: six inputs of a column are a table, one LUT per bit of a sum."""

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


def _table(nl: Netlist, terms: Sequence[tuple[int, tuple[Net, int, int]]]) -> Wire:
    """Sum of weight * (scale * bit + offset) over a group."""
    offset = sum(w * o for w, (_, _, o) in terms)
    steps = [w * scale for w, (_, scale, _) in terms]
    index = nl.cat([(Wire(net), 1) for _, (net, _, _) in terms], False)
    entries = {}
    for code in product((0, 1), repeat=len(terms)):
        index_of = sum(b << k for k, b in enumerate(code))
        entries[index_of] = sum(s for s, b in zip(steps, code, strict=True) if b)
    least = min(entries.values())
    table = nl.table(index, {k: v - least for k, v in entries.items()}, (0, max(entries.values()) - least))
    return nl.add(table, nl.const(least + offset))
