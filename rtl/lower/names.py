"""Names of nets: after the tensor in the file, else after block and op; each net knows its value."""

from __future__ import annotations

import re

import numpy as np

from fxsim.graph import Graph, Input, Node, Value
from rtl.lower.netlist import Netlist

# Words that a module, port or net must not be named: Verilog-2005's keywords that a user might well use, and
# SystemVerilog's, since Verilator reads .v files by its rules.
_WORDS = (
    "always and assign begin bit bool buf byte case cell chandle class config const context cover "
    "default do edge else end endmodule enum event expect export extends final first_match for "
    "force forever fork function generate genvar global if import include initial inout input "
    "inside instance int integer interface join large let library local logic longint macromodule "
    "matches medium module modport nand negedge new nmos nor not null or output package packed "
    "parameter pmos posedge priority program property protected pull0 pull1 pulldown pullup pure "
    "rand real ref reg release repeat return scalared sequence shortint signed small solve "
    "specify static string strong struct super supply0 supply1 table tagged task then this "
    "throughout time timeunit tri type typedef union unique unsigned use var vectored virtual "
    "void wait wand weak while wildcard wire with within wor xnor xor "
)
KEYWORDS = frozenset(_WORDS.split())


def identifier(text: str, fallback: str = "x") -> str:
    """`text` as a plain Verilog identifier: other characters become underscores."""
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", text, flags=re.ASCII)).strip("_") or fallback
    if name[0].isdigit():
        name = f"{fallback}{name}"
    return f"{name}_" if name in KEYWORDS else name


class Names:
    """What the nets of a graph are called, and which of the graph's values (its position) they compute."""

    def __init__(self, graph: Graph) -> None:
        self.position = graph.index
        self.base: dict[Node, str] = {}
        named = {n.value: identifier(k) for k, n in reversed(graph.names.items()) if n.value is not None}
        inner = {i: identifier(b.name) for b in graph.blocks for i in range(b.start, b.stop)}
        self.follower: dict[Node | None, Node | None] = {}
        before: Node | None = None
        taken: dict[str, int] = {}
        for node in graph.values:
            i = self.position[node]
            if isinstance(node, Input):
                base = identifier(node.name)
            else:
                assert isinstance(node, Value)
                op = type(node.op).__name__.lower()
                base = named.get(node) or (f"{inner[i]}_{op}" if i in inner else op)
            taken[base] = taken.get(base, -1) + 1
            self.base[node] = f"{base}_{taken[base]}n" if taken[base] else base
            if isinstance(node, Value):
                self.follower[before] = node
                before = node
        self.follower[before] = None

    def enter(self, nl: Netlist, node: Node | None) -> None:
        """Nets made from now on belong to the value after `node`."""
        after = self.follower.get(node if isinstance(node, Value) else None)
        if after is not None:
            nl.prefix, nl.scope = self.base[after], self.position[after]

    def give(self, nl: Netlist, node: Node, wires: np.ndarray) -> None:
        """Name the nets of a tensor's elements `base_i_j`."""
        for index, wire in np.ndenumerate(wires):
            nl.rename(wire.net, "_".join([self.base[node], *map(str, index)]))
