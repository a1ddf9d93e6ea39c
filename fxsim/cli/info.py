"""Print what a model became: every tensor's format, range and scale, every block, adders and depth."""

from __future__ import annotations

import argparse
from typing import Any

from fxsim.cli.data import add_model_arguments, load_model
from fxsim.cli.report import Console
from fxsim.cost import cost
from fxsim.graph import Graph, Name


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    p.add_argument("--graph", action="store_true", help="print every value of the graph as well")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    graph = load_model(arguments.model, arguments)
    describe(graph, console)
    if arguments.graph:
        console.line()
        console.line(str(graph))
        console.data["graph"] = str(graph).splitlines()
    return True


def describe(graph: Graph, console: Console) -> None:
    """Tensors, blocks and cost, as tables and as data."""
    tensors = [tensor_entry(name, n) for name, n in graph.names.items()]
    console.data |= {
        "name": graph.name,
        "inputs": [{"name": n.name, "shape": n.type.shape, "type": str(n.type)} for n in graph.inputs],
        "outputs": [
            {"name": k, "shape": o.type.shape, "type": str(o.type)}
            for k, o in zip(graph.output_names, graph.outputs, strict=True)
        ],
        "tensors": tensors,
    }
    console.line(f"{graph.name}: {len(graph.values)} values, {len(graph.blocks)} blocks")
    console.line()
    columns = ("tensor", "shape", "bits", "frac", "raw range", "scale", "note")
    console.table(columns, [[t[c.replace(" ", "_")] for c in columns] for t in tensors], left=1)
    console.line()
    summary = cost(graph)
    rows = [[b.name, b.kind, b.luts, b.adders, b.depth] for b in summary.blocks]
    total = summary.total
    console.table(("block", "kind", "LUT estimate", "adders", "depth"), [*rows, ["total", "", total.luts, total.adders, total.depth]], left=2)
    console.data["blocks"] = [
        {"name": b.name, "kind": b.kind, "luts": b.luts, "adders": b.adders, "depth": b.depth} for b in summary.blocks
    ]
    console.data["total"] = {"luts": total.luts, "adders": total.adders, "depth": total.depth}


def tensor_entry(name: str, n: Name) -> dict[str, Any]:
    """One tensor of the file: its codes' format, or why it has none."""
    if n.value is None:
        return dict.fromkeys(("shape", "bits", "frac", "raw_range", "scale")) | {"tensor": name, "note": n.reason}
    t = n.value.type
    lo, hi = t.bounds
    scales = sorted({float(s) for s in n.affine.scale})
    scale = f"{scales[0]:.6g}" if len(scales) == 1 else f"{scales[0]:.4g}..{scales[-1]:.4g}"
    return {
        "tensor": name, "shape": "x".join(map(str, t.shape)) or "scalar", "bits": t.max_width, "frac": t.frac,
        "raw_range": f"{lo}..{hi}", "scale": scale, "note": n.reason,
    }  # fmt: skip
