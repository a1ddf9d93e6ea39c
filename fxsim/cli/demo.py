"""The whole path on a shipped trained model: emulation, Verilog and its simulation, HLS C simulation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.cli.data import positive, probability
from fxsim.cli.hls import count_mismatches
from fxsim.cli.report import Console
from fxsim.graph import Graph
from fxsim.integers import Array


def add_arguments(p: argparse.ArgumentParser) -> None:
    from fxsim.data import DIGITS

    p.add_argument(
        "--model",
        choices=DIGITS,
        default=DIGITS[0],
        help=f"which model (default {DIGITS[0]})",
    )
    p.add_argument(
        "--samples", type=positive, default=500, metavar="N", help="test images, at most 500 (default 500)"
    )
    p.add_argument("-o", "--output", default="build/demo", help="folder to write into (default build/demo)")
    p.add_argument(
        "--idle", type=probability, default=0.25, metavar="P", help="chance of an idle source cycle"
    )
    p.add_argument(
        "--backpressure", type=probability, default=0.25, metavar="P", help="chance that the sink stalls"
    )
    p.add_argument("--seed", type=int, default=0, help="seed of the stalls (default 0)")


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    import hls
    import rtl
    from fxsim.data import digits_model, digits_reference, digits_samples
    from fxsim.files import make_folder

    folder = make_folder(arguments.output)
    rows: list[list[Any]] = []

    def row(stage: str, compared: int | None, mismatches: int | None, seconds: float) -> None:
        rows.append([stage, compared, mismatches, seconds])

    images, labels = (a[: arguments.samples] for a in digits_samples())
    with console.stage(f"load {arguments.model}") as t:
        import fxsim

        graph = fxsim.load(digits_model(arguments.model)).with_name("digits")
    row("load the trained model", None, None, t["seconds"])

    with console.stage(f"emulate {len(images)} images") as t:
        logits = graph.run(images)
        codes = graph.codes(images)
    reference = {k: v[: arguments.samples] for k, v in digits_reference(arguments.model)[0].items()}
    wrong, compared = compare_codes(codes, reference)
    row("emulator = reference, every quantizer", compared, wrong, t["seconds"])
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))

    raw = _encoded(graph, images)
    expected = np.asarray(graph.run_raw(raw))
    with console.stage("write Verilog") as t:
        core = rtl.build(graph)
        files = [str(f) for f in rtl.write_project(core, folder / "verilog", [raw])]
    row("write Verilog", None, None, t["seconds"])

    with console.stage("simulate the Verilog (cocotb, Verilator) with idle cycles and backpressure") as t:
        bench = rtl.verify(
            core, raw, raw=True, idle=arguments.idle, backpressure=arguments.backpressure, seed=arguments.seed
        )
    row("Verilog in Verilator = emulator", expected.size, bench.mismatches, t["seconds"])

    with console.stage("write and compile the hls4ml project") as t:
        project = hls.export(graph, folder / "hls")
        project.compile()
    row("write and compile the hls4ml project", None, None, t["seconds"])
    with console.stage("run the HLS C simulation") as t:
        simulated = project.predict_raw(raw)
    hls_wrong = count_mismatches(simulated, expected)
    row("HLS C simulation = emulator", expected.size, hls_wrong, t["seconds"])

    console.line(f"{arguments.model}: {len(images)} test images")
    console.table(("stage", "integers compared", "mismatches", "seconds"), rows)
    console.line()
    facts = {
        "accuracy": f"{100 * accuracy:.1f} %", "adders": core.adders, "adder depth": core.depth,
        "latency": f"{core.latency} cycles", "simulated": f"{bench.vectors} images in {bench.cycles} cycles",
    }  # fmt: skip
    console.table(("hardware", ""), list(facts.items()))
    console.line()
    console.line(f"written: {Path(arguments.output) / 'verilog'} and {Path(arguments.output) / 'hls'}")
    console.data |= {
        "model": arguments.model, "samples": len(images), "accuracy": accuracy,
        "stages": [dict(zip(("stage", "compared", "mismatches", "seconds"), r, strict=True)) for r in rows],
        "adders": core.adders, "depth": core.depth, "latency": core.latency,
        "cycles": bench.cycles, "files": files,
    }  # fmt: skip
    return all(not r[2] for r in rows)


def compare_codes(codes: dict[str, Array], reference: dict[str, Array]) -> tuple[int, int]:
    """(differing integers, compared integers) over every tensor of the reference; a missing one is a
    KeyError."""
    wrong = compared = 0
    for name, want in reference.items():
        if name not in codes:
            raise KeyError(f"the model has no codes for tensor {name!r}, which the reference has")
        got = codes[name].reshape(want.shape)
        wrong += int(np.sum(got != want))
        compared += want.size
    return wrong, compared


def _encoded(graph: Graph, images: Array) -> Array:
    return graph.encoders[0].encode(images, graph.inputs[0].name)
