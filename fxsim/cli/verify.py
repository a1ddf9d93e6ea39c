"""Simulate a model's Verilog and compare every integer with the emulator."""

from __future__ import annotations

import argparse

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments, add_stall_arguments, file_name
from fxsim.cli.console import Console
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import check_file, draft_file
from fxsim.cli.schedule import is_unrolled, tell_schedule
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
        help="write a waveform, .vcd or .fst (cocotb bench only); with --probe, .vcd, the cycles around the "
        "first difference inside (default build/probe/TOP.vcd)",
    )  # fmt: skip
    p.add_argument(
        "--probe", action="store_true",
        help="of streamed and folded hardware, compare the codes on every link between its blocks, too: "
        "names the first block that differs, element and clock cycle (not with --simulator amaranth)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import rtl

    if arguments.probe and arguments.simulator == "amaranth":
        raise ValueError("--probe needs --simulator cocotb or native, not amaranth")
    if arguments.probe and is_unrolled(arguments):
        raise ValueError("--probe needs --schedule streamed or folded: unrolled hardware has no links inside")
    if arguments.probe and arguments.waves and not arguments.waves.endswith(".vcd"):
        raise ValueError(f"--waves must end in .vcd with --probe, not {arguments.waves!r}")
    if arguments.waves and arguments.simulator != "cocotb" and not arguments.probe:
        raise ValueError(f"--waves needs --simulator cocotb, not {arguments.simulator}")
    check_file(arguments.waves)
    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    with console.stage("build the hardware"):
        core = build_core(graph, arguments)
    around = (arguments.waves or f"build/probe/{core.top}.vcd") if arguments.probe else None
    with (
        draft_file(None if arguments.probe else arguments.waves) as whole,
        console.stage(f"simulate {len(raw[0])} samples ({arguments.simulator})") as stage,
    ):
        result = rtl.verify(
            core, *raw, raw=True, simulator=arguments.simulator, idle=arguments.idle,
            backpressure=arguments.backpressure, seed=arguments.seed, waves=around or whole,
            probe=arguments.probe,
        )  # fmt: skip
    waves = result.waves if arguments.probe else arguments.waves
    first = None if result.first_difference is None else str(result.first_difference)
    console.data |= {
        "top": core.top, "simulator": arguments.simulator, "vectors": result.vectors,
        "mismatches": result.mismatches, "first_difference": first, "cycles": result.cycles,
        "latency": core.latency, "waves": waves, "seconds": stage["seconds"],
    }  # fmt: skip
    if not is_unrolled(arguments):
        console.data["predicted_cycles"] = result.predicted_cycles
    tell_schedule(core, console)
    console.line(
        f"{result.vectors} vectors, {result.mismatches} mismatches, "
        f"{result.cycles} cycles, latency {core.latency}"
    )
    if first is not None:
        console.line(f"first difference: {first}")
    if arguments.probe:
        found = result.first_probe
        console.data |= {"links": result.links, "first_probe": found and found.to_json()}
        console.line(
            f"{result.links} links inside are equal"
            if found is None
            else f"first block that differs: {found}"
        )
    elif waves:
        console.line(f"waveform in {waves}")
    return bool(result)
