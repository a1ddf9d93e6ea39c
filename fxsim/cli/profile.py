"""What data do to a model: dead bits, saturation and error against the unrounded network, per tensor."""

from __future__ import annotations

import argparse
from typing import Any

from fxsim.cli.arguments import add_model_arguments, file_name, natural, positive
from fxsim.cli.check import real_samples
from fxsim.cli.console import Console, short
from fxsim.cli.data import load_model
from fxsim.cli.output import check_file
from fxsim.compare import TensorProfile, profile

SHOWN = (
    "tensor", "shape", "bits", "dead bits", "codes", "proven", "constant", "clipped low", "clipped high",
    "max error", "RMS error", "SQNR dB",
)  # fmt: skip


def add_arguments(p: argparse.ArgumentParser) -> None:
    add_model_arguments(p)
    p.add_argument("data", metavar="DATA", help=".npy, .npz or .csv of real values")
    p.add_argument("--samples", type=positive, metavar="N", help="use the first N samples")
    p.add_argument("--plot", metavar="FILE", type=file_name(".svg", ".png", ".pdf"), help="draw a picture")
    p.set_defaults(seed=natural("0"))


def execute(arguments: argparse.Namespace, console: Console) -> bool:
    check_file(arguments.plot)
    graph = load_model(arguments.model, arguments)
    x = real_samples(graph, arguments)
    with console.stage(f"profile {len(x[0])} samples"):
        tensors = profile(graph, x)
    rows = [entry(t) for t in tensors]
    console.data |= {"name": graph.name, "samples": len(x[0]), "tensors": rows, "plot": arguments.plot}
    console.table(SHOWN, [[_cell(k, r) for k in SHOWN] for r in rows])
    console.line()
    console.line("Dead bits carry nothing on these data; constant elements had one code in all samples.")
    console.line("Errors are real values against the same network in float64 without rounding.")
    if arguments.plot:
        from fxsim.compare.plot import plot

        plot(arguments.plot, tensors, f"{graph.name}, {len(x[0])} samples")
        console.line(f"written: {arguments.plot}")
    return True


def entry(t: TensorProfile) -> dict[str, Any]:
    """One tensor as data."""
    return {
        "tensor": t.name, "shape": list(t.shape), "bits": t.width, "dead bits": t.dead,
        "codes": [t.low, t.high], "proven": [t.proven_low, t.proven_high], "constant": t.constant,
        "elements": t.size, "clipped low": t.saturated_low, "clipped high": t.saturated_high,
        "max error": t.error_max, "RMS error": t.error_rms,
        "SQNR dB": t.sqnr if abs(t.sqnr) != float("inf") else None,
    }  # fmt: skip


def _cell(key: str, row: dict[str, Any]) -> Any:
    value = row[key]
    if key == "tensor":
        return short(value)
    if key == "shape":
        return "x".join(map(str, value)) or "scalar"
    if key in ("codes", "proven"):
        return f"{value[0]}..{value[1]}"
    if key == "constant":
        return f"{value} of {row['elements']}"
    if key.startswith("clipped"):
        return "" if value is None else f"{100 * value:.1f} %"
    if key == "SQNR dB":
        return "exact" if value is None else f"{value:.1f}"
    return f"{value:.3g}" if isinstance(value, float) else value
