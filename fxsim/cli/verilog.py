"""Write a model as Verilog, with stimulus and expected vectors (hex and CSV) for your own bench."""

from __future__ import annotations

import argparse

from fxsim.cli.data import add_model_arguments, add_sample_arguments, load_model, positive, raw_samples
from fxsim.cli.report import Console


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    add_build_arguments(p)
    p.add_argument(
        "-o", "--output", default="build/verilog", help="folder to write into (default build/verilog)"
    )


def add_build_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--name", help="name of the top module (default: the graph's name)")
    p.add_argument(
        "--max-depth-per-stage", type=positive, default=4, metavar="D",
        help="adder depth between two pipeline registers (default 4)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl
    from fxsim.files import make_folder

    make_folder(arguments.output)
    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    with console.stage("build"):
        core = rtl.build(graph, max_depth_per_stage=arguments.max_depth_per_stage, name=arguments.name)
    with console.stage(f"write Verilog and {len(raw[0])} vectors"):
        files = [str(f) for f in rtl.write_project(core, arguments.output, raw)]
    console.data |= {
        "top": core.top, "files": files, "adders": core.adders, "depth": core.depth, "latency": core.latency,
        "registers": core.registers, "vectors": len(raw[0]),
    }  # fmt: skip
    console.line(
        f"module {core.top}: {core.adders} adders, depth {core.depth}, latency {core.latency} cycles"
    )
    for f in files:
        console.line(f"  {f}")
    return True
