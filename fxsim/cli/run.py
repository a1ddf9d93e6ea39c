"""Run samples through the emulator; print or save the outputs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fxsim.cli.arguments import add_model_arguments, add_sample_arguments, file_name
from fxsim.cli.console import Console
from fxsim.cli.data import load_model, raw_samples
from fxsim.cli.output import check_file
from fxsim.files import atomic_path
from fxsim.integers import Array


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    add_sample_arguments(p)
    p.add_argument(
        "-o", "--output", metavar="FILE", type=file_name(".npz", ".npy", ".csv"),
        help="write outputs here: .npz (one array per output), .npy or .csv (one output)",
    )  # fmt: skip
    p.add_argument("--codes", action="store_true", help="outputs as raw integer codes, not real values")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    check_file(arguments.output)
    graph = load_model(arguments.model, arguments)
    if arguments.output and Path(arguments.output).suffix != ".npz" and len(graph.outputs) != 1:
        names = list(graph.output_names)
        raise ValueError(f"output must be .npz for {len(names)} outputs {names}, not {arguments.output!r}")
    raw = raw_samples(graph, arguments)
    with console.stage(f"emulate {len(raw[0])} samples") as stage:
        result = graph.run_raw(*raw)
    codes = list(result) if isinstance(result, tuple) else [result]
    outputs = codes
    if not arguments.codes:
        outputs = [
            affine.apply(c, node.type.frac, node.type.ndim)
            for c, node, affine in zip(codes, graph.outputs, graph.output_affines, strict=True)
        ]
    named = dict(zip(graph.output_names, outputs, strict=True))
    if arguments.output:
        save(arguments.output, named)
    console.data |= {
        "samples": len(raw[0]), "codes": arguments.codes, "seconds": stage["seconds"],
        "output": arguments.output, "outputs": None if arguments.output else named,
    }  # fmt: skip
    for name, a in named.items():
        console.line(
            f"{name}: shape {a.shape}" + (f", written to {arguments.output}" if arguments.output else "")
        )
        if not arguments.output:
            console.line(str(a))
    return True


def save(path: str, named: dict[str, Array]) -> None:
    """Write outputs by the suffix of `path`, whole or not at all. ValueError for codes it cannot hold."""
    suffix = Path(path).suffix
    for name, a in named.items():
        if a.dtype == object and suffix != ".csv":
            raise ValueError(
                f"output {name!r} has codes beyond 63 bits, which {suffix} cannot hold; name a .csv file"
            )
    first = next(iter(named.values()))
    with atomic_path(path) as temporary, temporary.open("wb") as f:
        if suffix == ".npz":
            np.savez_compressed(f, **named)  # type: ignore[arg-type]
        elif suffix == ".npy":
            np.save(f, first)
        else:
            np.savetxt(f, first.reshape(len(first), -1), delimiter=",", fmt="%s")
