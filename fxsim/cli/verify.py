"""Simulate the model's Verilog in Verilator and compare every integer with the emulator."""

from __future__ import annotations

import argparse

from fxsim.cli.data import add_model_arguments, add_sample_arguments, load_model, probability, raw_samples
from fxsim.cli.report import Console
from fxsim.cli.verilog import add_build_arguments


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    add_build_arguments(p)
    p.add_argument(
        "--simulator", choices=("cocotb", "native"), default="cocotb",
        help="the cocotb bench, or the native Verilator library for many vectors (default cocotb)",
    )  # fmt: skip
    p.add_argument(
        "--idle", type=probability, default=0.25, metavar="P", help="chance of an idle source cycle"
    )
    p.add_argument(
        "--backpressure", type=probability, default=0.25, metavar="P", help="chance that the sink stalls"
    )
    p.add_argument("--waves", metavar="FILE", help="write a waveform (.fst or .vcd; cocotb bench only)")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl

    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    with console.stage("build"):
        core = rtl.build(graph, max_depth_per_stage=arguments.max_depth_per_stage, name=arguments.name)
    with console.stage(f"simulate {len(raw[0])} samples ({arguments.simulator})") as stage:
        result = rtl.verify(
            core, *raw, raw=True, simulator=arguments.simulator, idle=arguments.idle,
            backpressure=arguments.backpressure, seed=arguments.seed, waves=arguments.waves,
        )  # fmt: skip
    console.data |= {
        "top": core.top, "vectors": result.vectors, "mismatches": result.mismatches, "cycles": result.cycles,
        "latency": core.latency, "seconds": stage["seconds"],
        "first_difference": None if result.first_difference is None else str(result.first_difference),
    }  # fmt: skip
    console.line(
        f"{result.vectors} vectors, {result.mismatches} mismatches, "
        f"{result.cycles} cycles, latency {core.latency}"
    )
    if result.first_difference is not None:
        console.line(f"first difference: {result.first_difference}")
    return bool(result.mismatches == 0)
