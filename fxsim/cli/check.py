"""Compare a model's integer codes, node by node, with the framework its file comes from.

qonnx for QONNX and FINN files, onnxruntime for plain ONNX, Keras for .keras, LiteRT for .tflite. Prints the
first difference with its inputs, and where a float reference may round to another code.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fxsim.cli.arguments import RANDOM_SAMPLES, add_model_arguments, natural, positive
from fxsim.cli.console import Console, short
from fxsim.cli.data import load_model, read_samples
from fxsim.compare import Check, Difference, check, random_reals
from fxsim.compare.check import as_table
from fxsim.compare.reference import REFERENCES
from fxsim.graph import Graph
from fxsim.integers import Array

MOST_PLACES = 20  # printed; --json has all


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    p.add_argument(
        "data", metavar="DATA", nargs="?",
        help=".npy, .npz or .csv of real values; default: "
        f"{RANDOM_SAMPLES} random samples over the range of every input",
    )  # fmt: skip
    p.add_argument("--samples", type=positive, metavar="N", help="use the first N samples (or N random ones)")
    p.add_argument("--seed", type=natural, default=0, metavar="S", help="seed of random samples (default 0)")
    files = [r for r in REFERENCES if r != "torch"]
    p.add_argument("--reference", choices=files, help="what to compare with (default: by the file)")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    graph = load_model(arguments.model, arguments)
    x = real_samples(graph, arguments)
    with console.stage(f"compare {len(x[0])} samples"):
        result = check(arguments.model, graph, x, arguments.reference)
    report(result, console)
    return result.mismatches == 0


def real_samples(graph: Graph, arguments: argparse.Namespace) -> list[Array]:
    """Real values of every input: the command line's data, or at random. ValueError for no or uneven
    samples."""
    if arguments.data is None:
        return random_reals(graph, arguments.samples or RANDOM_SAMPLES, arguments.seed)
    arrays = [a[: arguments.samples] for a in read_samples(graph, arguments.data)]
    counts = {n.name: len(a) for n, a in zip(graph.inputs, arrays, strict=True)}
    if len(set(counts.values())) != 1 or not len(arrays[0]):
        raise ValueError(
            f"data file {arguments.data} must hold as many samples of each input, at least one, not {counts}"
        )
    return arrays


def report(result: Check, console: Console) -> None:
    """Tensors, the first difference, and the near ties."""
    rows = as_table(result.tensors)
    console.data |= {
        "reference": result.reference, "samples": result.samples, "codes": result.codes,
        "mismatches": result.mismatches, "tensors": rows, "not compared": list(result.unknown),
        "first difference": None if result.first is None else as_data(result.first),
        "near ties": [vars(p) for p in result.places],
    }  # fmt: skip
    table = [[short(t.name), t.codes, t.mismatches, t.samples, f"{t.noise:.1g}"] for t in result.tensors]
    console.table(list(rows[0]), table, last=["total", result.codes, result.mismatches, "", ""])
    console.line()
    console.line(f"reference: {result.reference}; {len(result.unknown)} names not compared")
    if result.places:
        console.line(f"{len(result.places)} steps where a float32 reference may give the neighbouring code:")
        for p in result.places[:MOST_PLACES]:
            console.line(
                f"  {short(p.block)}, channel {p.channel}: code {p.code}, accumulators {p.first}..{p.last}"
            )
        if len(result.places) > MOST_PLACES:
            console.line(f"  and {len(result.places) - MOST_PLACES} more (--json lists all)")
    if result.first is not None:
        describe(result.first, console)


def describe(d: Difference, console: Console) -> None:
    """The first difference, with what it was computed from."""
    theirs = str(d.reference) if d.on_grid else f"no code (nearest {d.reference})"
    console.line()
    console.line(f"first difference: tensor {d.tensor!r}, sample {d.sample}, element {d.element}")
    console.line(f"  code {d.code} here, {theirs} in the reference; made by {d.block}")
    if d.near_tie:
        console.line(f"  {d.near_tie}: rounding in floats may decide this one")
    with np.printoptions(threshold=64, edgeitems=8):
        for what, codes in d.inputs:
            console.line(f"  from {what}, shape {codes.shape}:")
            console.line("    " + str(codes).replace("\n", "\n    "))


def as_data(d: Difference) -> dict[str, Any]:
    return vars(d) | {"inputs": {what: codes.tolist() for what, codes in d.inputs}}
