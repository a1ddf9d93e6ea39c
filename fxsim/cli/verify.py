"""Simulate a model's Verilog and compare every integer with the emulator."""

from __future__ import annotations

import argparse

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments, add_stall_arguments, file_name
from fxsim.cli.console import Console
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import check_file, draft_file
from fxsim.cli.verilog import add_build_arguments, build_core


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    add_build_arguments(p)
    p.add_argument(
        "--simulator", choices=("cocotb", "native", "amaranth"), default="cocotb",
        help="the cocotb bench in Verilator; the native Verilator library, for many vectors; or Amaranth's "
        "own simulator, which needs no compiler and is slow (default cocotb)",
    )  # fmt: skip
    add_stall_arguments(p)
    p.add_argument(
        "--waves", metavar="FILE", type=file_name(".vcd", ".fst"),
        help="write a waveform, .vcd or .fst (cocotb bench only)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl

    if arguments.waves and arguments.simulator != "cocotb":
        raise ValueError(f"--waves needs --simulator cocotb, not {arguments.simulator}")
    check_file(arguments.waves)
    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    with console.stage("build the hardware"):
        core = build_core(graph, arguments)
    with (
        draft_file(arguments.waves) as waves,
        console.stage(f"simulate {len(raw[0])} samples ({arguments.simulator})") as stage,
    ):
        result = rtl.verify(
            core, *raw, raw=True, simulator=arguments.simulator, idle=arguments.idle,
            backpressure=arguments.backpressure, seed=arguments.seed, waves=waves,
        )  # fmt: skip
    first = None if result.first_difference is None else str(result.first_difference)
    console.data |= {
        "top": core.top, "simulator": arguments.simulator, "vectors": result.vectors,
        "mismatches": result.mismatches, "first_difference": first, "cycles": result.cycles,
        "latency": core.latency, "waves": arguments.waves, "seconds": stage["seconds"],
    }  # fmt: skip
    console.line(
        f"{result.vectors} vectors, {result.mismatches} mismatches, "
        f"{result.cycles} cycles, latency {core.latency}"
    )
    if first is not None:
        console.line(f"first difference: {first}")
    if arguments.waves:
        console.line(f"waveform in {arguments.waves}")
    return bool(result.mismatches == 0)
