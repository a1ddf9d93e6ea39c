"""Print what a model became, or save it as a graph file.

Every tensor's format, range and scale; every block, how it was made exact and its estimated cost.
"""

from __future__ import annotations

import argparse
from typing import Any

from fxsim.cli.arguments import add_model_arguments, file_name
from fxsim.cli.console import Console, number, short
from fxsim.cli.data import load_model
from fxsim.cli.exactness import how_exact
from fxsim.cli.output import check_file
from fxsim.graph import Graph, Name


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    p.add_argument("--graph", action="store_true", help="print every value of the graph as well")
    p.add_argument(
        "--save", metavar="FILE", type=file_name(".fxs"),
        help="save the graph as .fxs, which every command takes as MODEL",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    check_file(arguments.save)
    graph = load_model(arguments.model, arguments)
    describe(graph, console)
    if arguments.graph:
        console.line()
        console.line(str(graph))
        console.data["graph"] = str(graph).splitlines()
    if arguments.save:
        graph.save(arguments.save)
        console.data["saved"] = arguments.save
        console.line(f"saved: {arguments.save}")
    return True


def describe(graph: Graph, console: Console) -> None:
    """Tensors, blocks and cost, as tables and as data."""
    from fxsim.cost import cost

    tensors = [tensor_entry(name, n) for name, n in graph.names.items()]
    exactness = {(b.kind, b.name): how_exact(graph, b) for b in graph.blocks}
    summary = cost(graph)
    blocks = [
        {
            "block": b.name,
            "kind": b.kind,
            "LUT": b.cost.luts,
            "adders": b.cost.adders,
            "depth": number(b.cost.depth),
        }
        | {"how it is exact": exactness.get((b.kind, b.name), "")}
        for b in summary.blocks
    ]
    total = {"LUT": summary.total.luts, "adders": summary.total.adders, "depth": number(summary.total.depth)}
    console.data |= {
        "name": graph.name,
        "inputs": [{"name": n.name, "shape": n.type.shape, "type": str(n.type)} for n in graph.inputs],
        "outputs": [
            {"name": k, "shape": o.type.shape, "type": str(o.type)}
            for k, o in zip(graph.output_names, graph.outputs, strict=True)
        ],
        "tensors": tensors,
        "blocks": blocks,
        "total": total,
    }
    console.line(f"{graph.name}: {len(graph.values)} values, {len(graph.blocks)} blocks")
    for n, encoder in zip(graph.inputs, graph.encoders, strict=True):
        console.line(f"input {n.name}: {n.type}; the host encodes by {type(encoder).__name__}")
    console.line()
    if tensors:
        console.table(list(tensors[0]), [[short(t["tensor"]), *list(t.values())[1:]] for t in tensors])
        console.line()
    console.table(
        ("block", "kind", "LUT", "adders", "depth", "how it is exact"),
        [[short(str(b["block"])) or "(no block)", *list(b.values())[1:]] for b in blocks],
        last=["total", "", *total.values(), ""],
    )
    console.line()
    console.line(
        "LUT, adders and depth are estimates; in hardware constants share adders (see fxsim verilog)."
    )


def tensor_entry(name: str, n: Name) -> dict[str, Any]:
    """One tensor of the file: its codes' format, or why it has none."""
    columns = ("shape", "bits", "frac", "raw range", "scale")
    if n.value is None:
        return {"tensor": name, **dict.fromkeys(columns), "note": n.reason}
    t = n.value.type
    lo, hi = t.bounds
    scales = sorted({float(s) for s in n.affine.scale})
    scale = f"{scales[0]:.6g}" if len(scales) == 1 else f"{scales[0]:.4g}..{scales[-1]:.4g}"
    values = ("x".join(map(str, t.shape)) or "scalar", t.max_width, t.frac, f"{lo}..{hi}", scale)
    return {"tensor": name, **dict(zip(columns, values, strict=True)), "note": n.reason}
