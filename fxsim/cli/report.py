"""Synthesise a model with open tools: cells per layer, clock frequency, throughput.

Yosys counts LUTs, flip-flops, carry cells, multipliers and RAM; with --fmax nextpnr places and routes too.
"""

from __future__ import annotations

import argparse

from fxsim.cli.arguments import add_model_arguments, positive
from fxsim.cli.console import Console, number
from fxsim.cli.data import load_model
from fxsim.cli.schedule import tell_schedule
from fxsim.cli.verilog import add_build_arguments, build_core

TARGETS = ("ecp5", "ice40", "xc7")
"""Names of `rtl.synth.TARGETS`, which is not imported only to print the help."""


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_build_arguments(p)
    p.add_argument(
        "--target", action="append", choices=TARGETS,
        help="FPGA family; several times for several (default ecp5)",
    )  # fmt: skip
    p.add_argument(
        "--fmax", action="store_true", help="place and route as well, for the clock frequency (ecp5, ice40)"
    )
    p.add_argument(
        "--seeds", type=positive, metavar="N", help="placements, of which the median counts (default 1)"
    )
    p.add_argument(
        "--device", metavar="NAME",
        help="ecp5: 25k, 45k, 85k; ice40: hx1k, hx8k, up5k (default: the smallest that fits; never up5k)",
    )  # fmt: skip
    p.add_argument(
        "--no-layers", action="store_true",
        help="the whole core only, in about half the time",
    )  # fmt: skip
    p.add_argument(
        "--timeout", type=positive, default=3600, metavar="S", help="seconds for each run of a tool (3600)"
    )


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl

    targets = list(dict.fromkeys(arguments.target or TARGETS[:1]))
    if arguments.seeds and not arguments.fmax:
        raise ValueError("--seeds needs --fmax")
    if arguments.device and len(targets) > 1:
        raise ValueError(f"--device needs one --target, not {', '.join(targets)}")
    for name in targets:
        rtl.synth.check(name, device=arguments.device, fmax=arguments.fmax)
    graph = load_model(arguments.model, arguments)
    with console.stage("build the hardware"):
        core = build_core(graph, arguments)
    console.data |= {
        "top": core.top, "adders": core.adders, "depth": number(core.depth), "registers": core.registers,
        "latency": core.latency, "reports": [],
    }  # fmt: skip
    tell_schedule(core, console)
    for name in targets:
        doing = f"synthesise for {name}" + (", place and route" if arguments.fmax else "")
        with console.stage(doing):
            report = rtl.synth.report(
                core, name, layers=not arguments.no_layers, fmax=arguments.fmax, device=arguments.device,
                seeds=arguments.seeds or 1, timeout=arguments.timeout,
            )  # fmt: skip
        console.data["reports"].append(report.to_json())
        console.line(str(report))
        if name != targets[-1]:
            console.line()
    return True
