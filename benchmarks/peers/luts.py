"""LUTs and carry chains by yosys of any tool's Verilog, and plain Verilog of a neutral graph."""

from __future__ import annotations

from typing import NamedTuple

from .graphs import Graph, rows

COMMAND = "synth_xilinx -family xc7 -flatten -noiopad"


class Cells(NamedTuple):
    """Cells of a netlist: LUT1 to LUT6, inverters (a LUT1 in the chip, or none), CARRY4, flip-flops."""

    luts: int
    inverters: int
    carries: int
    registers: int


def synthesize(verilog: str, top: str) -> Cells:
    """The cells of `top` by rtl.synth: `synth_xilinx -family xc7 -flatten -noiopad`."""
    from rtl.synth import synthesize

    found = synthesize(verilog, top, "xc7", system_verilog=True)
    inverters = found.cells.get("INV", 0)
    return Cells(found.lut + found.lutram - inverters, inverters, found.carry, found.ff)


def text(cells: dict[str, Cells]) -> str:
    return "; ".join(
        f"{name}: {c.luts} LUT + {c.inverters} INV, {c.carries} CARRY4" for name, c in cells.items()
    )


def of_graph(graph: Graph) -> Cells:
    """The cells of a neutral graph alone: the same plain Verilog for every tool, combinational."""
    return synthesize(verilog(graph, "graph"), "graph")


def verilog(graph: Graph, name: str, lo: int = -128, hi: int = 127) -> str:
    """One combinational module: a signed wire for each node, as wide as its exact interval needs."""
    width = []
    for row in rows(graph):
        up, down = sum(v for v in row if v > 0), sum(v for v in row if v < 0)
        width.append(_signed_width(up * lo + down * hi, up * hi + down * lo))
    ports = [f"input signed [{width[i] - 1}:0] w{i}" for i in range(graph.n_in)]
    lines = []
    for k, node in enumerate(graph.nodes):
        wire = graph.n_in + k
        lines.append(f"  wire signed [{width[wire] - 1}:0] w{wire} = {_sum(node)};")
    for c, out in enumerate(graph.outputs):
        if out.wire is None:
            ports.append(f"output y{c}")
            lines.append(f"  assign y{c} = 1'b0;")
            continue
        bits = width[out.wire] + max(out.shift, 0) + (out.sign < 0)
        ports.append(f"output signed [{bits - 1}:0] y{c}")
        arrow = "<<<" if out.shift >= 0 else ">>>"
        lines.append(f"  assign y{c} = {'-' if out.sign < 0 else ''}(w{out.wire} {arrow} {abs(out.shift)});")
    head = ",\n  ".join(ports)
    return f"module {name}(\n  {head}\n);\n" + "\n".join(lines) + "\nendmodule\n"


def _sum(node: tuple[int, int, int, int, int, int]) -> str:
    a, b, shift_a, shift_b, sign_a, sign_b = node
    first, second = f"(w{a} <<< {shift_a})", f"(w{b} <<< {shift_b})"
    if sign_a < 0:
        return f"{second} - {first}"
    return f"{first} {'-' if sign_b < 0 else '+'} {second}"


def _signed_width(lo: int, hi: int) -> int:
    return max(hi, ~lo).bit_length() + 1
