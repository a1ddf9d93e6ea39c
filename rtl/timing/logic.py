"""The nets of a pipeline as a graph of delays and widths, wiring that needs no place of its own left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtl.lower.net import Net, live
from rtl.timing.model import JOIN, Family

VIEWS = frozenset(("shr", "shl"))
"""Primitives that are wiring of one net: they are read from the net wherever its value is at hand."""

TICKS = 1000
"""Steps of one unit of delay: delays are integers here, so that sums and comparisons are exact."""


class Delays(NamedTuple):
    """Per cell in ticks, the fixed part and the carry of its delay, and whether its result needs all bits."""

    fixed: list[int]
    carry: list[int]
    join: list[bool]

    def whole(self, cell: int) -> int:
        return self.fixed[cell] + self.carry[cell]


class Logic:
    """Cells and holders of the nets that `outputs` need.

    A cell is a net that is no view; it is computed in one stage. A holder is what registers may keep: a cell,
    or a slice (shr) of one, as long as it is narrower than keeping its source. A net shifted left (shl) is
    kept as its source.

    nets      the live nets, operands first, constants left out
    cells     those that are no views; all lists by cell are in this order
    before    per cell, the cells that it reads, through views or not
    fixed     per cell, whether it stays in stage 0: the inputs
    holders   cells and slices
    parent    per holder, the holder that it is a slice of, or -1
    cell_of   per holder, its cell
    reads     (holder, cell): the cell reads the holder's value, in the cell's stage
    kept      holders that the outputs need behind the last stage
    """

    def __init__(self, outputs: Sequence[Net]) -> None:
        self.nets = live(outputs)
        self.cells: list[Net] = []
        self.before: list[list[int]] = []
        self.holders: list[Net] = []
        self.parent: list[int] = []
        self.cell_of: list[int] = []
        self.holder: dict[Net, int] = {}  # also of nets shifted left: their source's
        reads: list[tuple[int, int]] = []
        for net in self.nets:
            if net.kind == "shl":
                self.holder[net] = self.holder[net.args[0]]
                continue
            if net.kind == "shr":
                parent = self.holder[net.args[0]]
                cell = self.cell_of[parent]
            else:
                parent, cell = -1, len(self.cells)
                read = {self.holder[a] for a in net.args if not a.is_constant}
                reads += [(h, cell) for h in sorted(read)]
                self.cells.append(net)
                self.before.append(sorted({self.cell_of[h] for h in read}))
            self.holder[net] = len(self.holders)
            self.holders.append(net)
            self.parent.append(parent)
            self.cell_of.append(cell)
        self.fixed = [net.kind == "input" for net in self.cells]
        self.reads = np.array(reads, np.int64).reshape(-1, 2)
        self.kept = sorted({self.holder[net] for net in outputs if not net.is_constant})
        self.after: list[list[int]] = [[] for _ in self.cells]
        for v, before in enumerate(self.before):
            for u in before:
                self.after[u].append(v)

    def delays(self, family: Family) -> Delays:
        parts = [family.parts(net) for net in self.cells]
        return Delays(
            [round(TICKS * fixed) for fixed, _ in parts],
            [round(TICKS * carry) for _, carry in parts],
            [net.kind in JOIN for net in self.cells],
        )
