"""Write a model as an hls4ml project and run its C simulation.

Every integer of the C simulation is compared with the emulator. The vendor's tool then builds the project by
the scripts in its folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments, nanoseconds, positive
from fxsim.cli.console import Console
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import locked


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    p.add_argument(
        "-o", "--output", metavar="FOLDER", default="build/hls", help="project folder (default build/hls)"
    )
    p.add_argument(
        "--backend", choices=("Vitis", "Vivado", "Quartus", "Catapult"), default="Vitis",
        help="hls4ml's back end (default Vitis)",
    )  # fmt: skip
    p.add_argument(
        "--io-type", choices=("io_parallel", "io_stream"), default="io_parallel",
        help="whole arrays at once, or a stream of pixels or vectors (default io_parallel)",
    )  # fmt: skip
    p.add_argument(
        "--strategy", type=by_layer, action="append", metavar="[LAYER=]NAME",
        help="how layers multiply by weights: Latency, Resource, Resource_unrolled or "
        "distributed_arithmetic; for all layers, or once for each layer (default: the back end's first)",
    )  # fmt: skip
    p.add_argument(
        "--reuse-factor", type=factor_by_layer, action="append", metavar="[LAYER=]N",
        help="products that one multiplier does, for all layers or once for each layer (default 1)",
    )  # fmt: skip
    p.add_argument(
        "--clock-period", type=nanoseconds, default=5, metavar="NS", help="nanoseconds (default 5)"
    )
    p.add_argument("--part", metavar="NAME", help="the vendor's name of the device (default: hls4ml's)")
    p.add_argument("--no-simulation", action="store_true", help="write the project only")


def by_layer(text: str) -> tuple[str, str]:
    """LAYER=VALUE, or VALUE for all layers."""
    layer, given, value = text.rpartition("=")
    if (given and not layer) or not value:
        raise argparse.ArgumentTypeError(f"must be VALUE or LAYER=VALUE, not {text!r}")
    return layer or "*", value


def factor_by_layer(text: str) -> tuple[str, int]:
    layer, value = by_layer(text)
    return layer, positive(value)


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import hls

    graph = load_model(arguments.model, arguments)
    raw = raw_samples(graph, arguments)
    # The project takes the place of its folder by a rename, so it is the folder around it that is held.
    with locked(Path(arguments.output).absolute().parent, console):
        with console.stage("write the hls4ml project"):
            project = hls.export(
                graph,
                arguments.output,
                backend=arguments.backend,
                io_type=arguments.io_type,
                strategy=dict(arguments.strategy or ()),
                reuse_factor=dict(arguments.reuse_factor or ()),
                clock_period=arguments.clock_period,
                part=arguments.part,
            )
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
