"""Names of nets: after the tensor in the file, else after block and op; each net knows its value."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from fxsim.graph import Graph, Input, Node, Value
from rtl.lower.netlist import Netlist

# Words that a module, port or net must not be named: the keywords of IEEE 1800-2017, Verilog's among
# them, since Verilator reads .v files by its rules.
_WORDS = """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before
    begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class
    clocking cmos config const constraint context continue cover covergroup coverpoint cross deassign
    default defparam design disable dist do edge else end endcase endchecker endclass endclocking
    endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram
    endproperty endsequence endspecify endtable endtask enum event eventually expect export extends
    extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include
    initial inout input inside instance int integer interconnect interface intersect join join_any
    join_none large let liblist library local localparam logic longint macromodule matches medium
    modport module nand negedge nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or
    output package packed parameter pmos posedge primitive priority program property protected pull0
    pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence
    rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal
    showcancelled signed small soft solve specify specparam static string strong strong0 strong1 struct
    super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union
    unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait wait_order
    wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
KEYWORDS = frozenset(_WORDS.split())

# Signals of the module's own, beside lanes and ports.
OWN = ("clk", "rst", "valid", "advance")


def identifier(text: str, fallback: str = "x") -> str:
    """`text` as a plain Verilog identifier: other characters become underscores."""
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", text, flags=re.ASCII)).strip("_") or fallback
    if name[0].isdigit():
        name = f"{fallback}{name}"
    return f"{name}_" if name in KEYWORDS else name


class Names:
    """What the nets of a graph are called, and which of the graph's values (its position) they compute.

    No tensor is called as the module `top` is: in Verilator, a signal of that name would hide the module.
    """

    def __init__(self, graph: Graph, top: str = "", own: Collection[str] = OWN) -> None:
        self.position = graph.index
        self.base: dict[Node, str] = {}
        named = {n.value: identifier(k) for k, n in reversed(graph.names.items()) if n.value is not None}
        inner = {i: identifier(b.name) for b in graph.blocks for i in range(b.start, b.stop)}
        self.follower: dict[Node | None, Node | None] = {}
        before: Node | None = None
        taken = dict.fromkeys((top, *own), 0)
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
            name = "_".join([self.base[node], *map(str, index)])
            nl.rename(wire.net, f"{name}_" if name in KEYWORDS else name)
