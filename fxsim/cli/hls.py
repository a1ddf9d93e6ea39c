"""Write a model as an hls4ml project and run its C simulation.

Every integer of the C simulation is compared with the emulator.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments
from fxsim.cli.console import Console
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import locked


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    p.add_argument(
        "-o", "--output", metavar="FOLDER", default="build/hls", help="project folder (default build/hls)"
    )
    p.add_argument("--backend", choices=("Vitis", "Vivado"), default="Vitis", help="(default Vitis)")
    p.add_argument("--no-simulation", action="store_true", help="write the project only")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import hls

    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    # The project takes the place of its folder by a rename, so it is the folder around it that is held.
    with locked(Path(arguments.output).absolute().parent, console):
        with console.stage("write the hls4ml project"):
            project = hls.export(graph, arguments.output, backend=arguments.backend)
        console.data |= {"folder": arguments.output, "layers": project.layers()}
        console.line(project.report())
        console.line()
        console.line(f"written: {arguments.output}")
        if arguments.no_simulation:
            return True
        with console.stage("compile the C simulation"):
            project.compile()
    with console.stage(f"simulate {len(raw[0])} samples") as stage:
        got = project.predict_raw(*raw)
    mismatches = count_mismatches(got, graph.run_raw(*raw))
    console.data |= {"vectors": len(raw[0]), "mismatches": mismatches, "seconds": stage["seconds"]}
    console.line(f"{len(raw[0])} vectors, {mismatches} mismatches")
    return mismatches == 0


def count_mismatches(got: object, want: object) -> int:
    """Number of differing integers over all outputs (a missing or misshapen output counts in full)."""
    pairs = zip(_list(got), _list(want), strict=True)
    return sum(int(np.sum(a != b)) if a.shape == b.shape else b.size for a, b in pairs)


def _list(v: object) -> list[np.ndarray]:
    return [np.asarray(a) for a in (v if isinstance(v, tuple) else (v,))]
