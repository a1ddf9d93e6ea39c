"""Write a model as Verilog, with stimulus and expected vectors.

The vectors (hex and CSV, one sample a line) are for your own bench; README.md in the folder says how.
"""

from __future__ import annotations

import argparse
from typing import Any

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments, effort, frequency, positive
from fxsim.cli.console import Console, number
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import locked
from fxsim.cli.schedule import add_schedule_arguments, clock_of, schedule_options, tell_schedule
from fxsim.graph import Graph


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    add_build_arguments(p)
    p.add_argument(
        "-o", "--output", metavar="FOLDER", default="build/verilog",
        help="folder to write into (default build/verilog)",
    )  # fmt: skip


def add_build_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--name", help="name of the top module (default: the graph's name)")
    p.add_argument(
        "--max-depth-per-stage", type=positive, default=4, metavar="D",
        help="adder depth between two pipeline registers (default 4)",
    )  # fmt: skip
    p.add_argument(
        "--family", default="generic", metavar="F",
        help="delay model: generic (counts adders), ice40 or ecp5 (ns) (default generic)",
    )  # fmt: skip
    p.add_argument(
        "--clock", type=frequency, metavar="MHZ",
        help="clock that every stage must allow by the family's model, in place of --max-depth-per-stage",
    )  # fmt: skip
    p.add_argument(
        "--effort", type=effort, default="fast", metavar="E",
        help="search for few adders: fast, best, or seconds for each constant matrix (default fast)",
    )  # fmt: skip
    add_schedule_arguments(p)


def build_core(graph: Graph, arguments: argparse.Namespace) -> Any:
    """The hardware as the arguments of `add_build_arguments` ask for it."""
    import rtl

    return rtl.build(
        graph, max_depth_per_stage=arguments.max_depth_per_stage, name=arguments.name,
        effort=arguments.effort, family=arguments.family, clock_mhz=clock_of(arguments),
        **schedule_options(arguments),
    )  # fmt: skip


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl

    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    with locked(arguments.output, console):
        with console.stage("build the hardware"):
            core = build_core(graph, arguments)
        with console.stage(f"write Verilog and {len(raw[0])} vectors"):
            files = [str(f) for f in rtl.write_project(core, arguments.output, raw)]
    console.data |= {
        "top": core.top, "adders": core.adders, "depth": number(core.depth), "latency": core.latency,
        "registers": core.registers, "vectors": len(raw[0]), "files": files,
    }  # fmt: skip
    console.line(
        f"module {core.top}: {core.adders} adders, depth {number(core.depth)}, "
        f"latency {core.latency} cycles, {core.registers} register bits"
    )
    tell_schedule(core, console)
    for f in files:
        console.line(f"  {f}")
    return True
