"""Run the whole path on a shipped trained model.

Emulation, Verilog and its simulation, HLS C simulation; every integer code compared with the reference.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.cli.arguments import add_stall_arguments, natural, positive
from fxsim.cli.console import Console, number
from fxsim.cli.hls import count_mismatches
from fxsim.cli.output import locked
from fxsim.graph import Graph
from fxsim.integers import Array

STAGES = 6
COLUMNS = ("stage", "result", "against", "codes", "mismatches", "seconds")


def add_arguments(p: argparse.ArgumentParser) -> None:
    from fxsim.data import DIGITS

    p.add_argument("--model", choices=DIGITS, default=DIGITS[0], help=f"which model (default {DIGITS[0]})")
    p.add_argument("--samples", type=_samples, default=500, metavar="N", help="test images (default all 500)")
    p.add_argument(
        "-o", "--output", metavar="FOLDER", default="build/demo",
        help="folder to write into (default build/demo)",
    )  # fmt: skip
    add_stall_arguments(p)
    p.add_argument("--seed", type=natural, default=0, metavar="S", help="seed of the stalls (default 0)")


def _samples(text: str) -> int:
    value = positive(text)
    if value > 500:
        raise argparse.ArgumentTypeError(f"must be at most 500, the number of test images, not {text}")
    return value


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    with locked(arguments.output, console):
        return _demo(arguments, console)


def _demo(arguments: argparse.Namespace, console: Console) -> bool:
    start = time.perf_counter()
    import fxsim
    import hls
    import rtl
    from fxsim.data import digits_model, digits_reference, digits_samples

    folder = Path(arguments.output)
    rows: list[list[Any]] = []
    images, labels = (a[: arguments.samples] for a in digits_samples())

    with _stage(console, 1, f"load {arguments.model}") as t:
        graph = fxsim.load(digits_model(arguments.model)).with_name("digits")
        codes, floats = digits_reference(arguments.model)
    rows.append(["load model", f"{len(graph.blocks)} blocks", None, None, None, t["seconds"]])

    with _stage(console, 2, f"emulate {len(images)} images") as t:
        raw = graph.encoders[0].encode(images, graph.inputs[0].name)
        expected = np.asarray(graph.run_raw(raw))
        emulated = graph.codes(images)
        logits = graph.run(images)
    # The emulator meets the reference in every quantizer and in the outputs, and hardware meets it in these.
    reference = reference_codes(graph, floats[: len(images)])
    wrong, compared = compare_codes(emulated, {k: v[: len(images)] for k, v in codes.items()})
    wrong += count_mismatches(expected, reference)
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    rows.append([
        "emulate", f"accuracy {100 * accuracy:.1f} %", "reference", compared + reference.size, wrong,
        t["seconds"],
    ])  # fmt: skip

    with _stage(console, 3, "write Verilog") as t:
        core = rtl.build(graph)
        files = [str(f) for f in rtl.write_project(core, folder / "verilog", [raw])]
    depth = number(core.depth)
    text = f"{core.adders} adders, depth {depth}, latency {core.latency} cycles"
    rows.append(["write Verilog", text, None, None, None, t["seconds"]])

    with _stage(console, 4, "simulate it in Verilator, cocotb bench with stalls on both sides") as t:
        bench = rtl.verify(
            core, raw, raw=True, idle=arguments.idle, backpressure=arguments.backpressure, seed=arguments.seed
        )
    text = f"{bench.vectors} images in {bench.cycles} cycles"
    rows.append(["simulate Verilog", text, "emulator", expected.size, bench.mismatches, t["seconds"]])

    with _stage(console, 5, "write the hls4ml project and compile its C simulation") as t:
        project = hls.export(graph, folder / "hls")
        project.compile()
    text = f"{len(project.layers())} layers"
    rows.append(["compile hls4ml", text, None, None, None, t["seconds"]])

    with _stage(console, 6, "run the C simulation") as t:
        simulated = project.predict_raw(raw)
    text = f"{len(images)} images"
    hls_wrong = count_mismatches(simulated, expected)
    rows.append(["simulate HLS", text, "emulator", expected.size, hls_wrong, t["seconds"]])

    total = ["total", "", "", *(sum(r[k] or 0 for r in rows) for k in (3, 4))]
    seconds = round(time.perf_counter() - start, 4)
    console.note("")
    console.line(f"{arguments.model}, {len(images)} test images")
    console.line()
    console.table(COLUMNS, [[*r[:2], r[2] or "", *r[3:]] for r in rows], last=[*total, seconds])
    console.line()
    console.line(f"written: {folder / 'verilog'} and {folder / 'hls'}")
    console.data |= {
        "model": arguments.model, "samples": len(images), "accuracy": accuracy, "mismatches": total[4],
        "adders": core.adders, "depth": depth, "latency": core.latency, "cycles": bench.cycles,
        "seconds": seconds, "stages": [dict(zip(COLUMNS, r, strict=True)) for r in rows],
        "folders": [str(folder / "verilog"), str(folder / "hls")], "files": files,
    }  # fmt: skip
    return total[4] == 0


def _stage(console: Console, k: int, text: str) -> Any:
    return console.stage(f"[{k}/{STAGES}] {text}")


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


def reference_codes(graph: Graph, floats: Array) -> Array:
    """The output codes of which the reference's float32 outputs (batch, n) are the values.

    A code's value is scale * raw / 2^frac + offset. Its float32 is off by roundings some thousand times
    smaller than the distance to the next code, so the nearest code is the one meant.
    """
    node, affine = graph.outputs[0], graph.output_affines[0]
    scale = np.array([float(s) for s in affine.scale])
    offset = np.array([float(o) for o in affine.offset])
    codes: Array = np.rint((floats.astype(np.float64) - offset) / scale * 2.0**node.type.frac)
    return codes.astype(np.int64)
