"""A core as files for a user's own flow: Verilog, layout, stimulus, expected vectors, a page on ports."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.files import make_folder, write_text
from rtl.bench.frames import is_streamed
from rtl.core import Core
from rtl.iterate import IterateCore
from rtl.layout import Layout
from rtl.schedule.forms import Form
from rtl.solving import problems
from rtl.text import LINT_OFF
from rtl.verify import vectors


def write_project(
    core: Core | IterateCore,
    folder: str | os.PathLike[str],
    inputs_raw: Sequence[np.ndarray] | np.ndarray | Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write TOP.v, TOP.layout.json, README.md and, with `inputs_raw`, vectors; returns the paths.

    inputs_raw   raw integers, one array (n, *shape) per input of the graph (a bare array for one input); of a
                 machine one stream of n samples from its initial state; of a unit of `fxsim.iterate` its
                 parameters by name, and under "start" its start states
    TOP.layout.json   lanes of both payloads, latency, adders, depth, register bits, and the report per block
    stimulus.hex, expected.hex   one line per sample: the payload as one hexadecimal number, for $readmemh
                                 of a streamed core one line per beat, so several lines a frame
    stimulus.csv, expected.csv   one column per lane with its name in the first line, raw integers

    Every file is written at once or not at all. Raises OSError that names the folder where it cannot be
    written, and for `inputs_raw` what `Graph.run_raw` raises.
    """
    description = json.dumps(describe(core), indent=1) + "\n"
    texts = {f"{core.top}.v": core.verilog(), f"{core.top}.layout.json": description}
    count = 0
    if inputs_raw is not None:
        stimulus, expected = _vectors(core, inputs_raw)
        count = len(stimulus[0])
        for name, layout, values in (
            ("stimulus", core.in_layout, stimulus),
            ("expected", core.out_layout, expected),
        ):
            texts[f"{name}.hex"] = "".join(line + "\n" for line in layout.hex_lines(layout.pack(values)))
            texts[f"{name}.csv"] = csv_text(layout, values)
    texts["README.md"] = readme(core, count, inputs_raw is not None)
    root = make_folder(folder)
    for name, text in texts.items():
        write_text(root / name, text)
    return [root / name for name in texts]


def _vectors(core: Core | IterateCore, inputs_raw: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if isinstance(core, IterateCore):
        given = dict(inputs_raw)
        return problems(core, given, given.pop("start", None))[:2]
    arrays = list(inputs_raw) if isinstance(inputs_raw, (list, tuple)) else [np.asarray(inputs_raw)]
    return vectors(core, *arrays, raw=True)


def describe(core: Core | IterateCore) -> dict[str, Any]:
    """What a program needs to drive the core, as JSON data."""
    if is_streamed(core):
        return _describe_streamed(core)
    return {
        "top": core.top,
        "latency": core.latency,
        "stages": core.plan.stages,
        "max_depth_per_stage": core.max_depth_per_stage,
        "adders": core.adders,
        "depth": core.depth,
        "registers": core.registers,
        "input": core.in_layout.to_json(),
        "output": core.out_layout.to_json(),
        "report": core.report(),
        **({"slots": core.slots, "clocks": core.clocks} if isinstance(core, IterateCore) else {}),
        **({"state": core.state.to_json()} if getattr(core, "state", None) else {}),
    }


def _describe_streamed(core: Any) -> dict[str, Any]:
    forms = {
        side: [
            {"shape": list(f.shape), "axes": list(f.axes), "lanes": f.lanes, "beats": f.beats, "text": str(f)}
            for f in getattr(core, f"{side}_forms")
        ]
        for side in ("input", "output")
    }
    return {
        "top": core.top,
        "latency": core.latency,
        "interval": float(core.interval),
        "beats_in": core.beats_in,
        "beats_out": core.beats_out,
        "input": core.in_layout.to_json(),
        "output": core.out_layout.to_json(),
        "input_forms": forms["input"],
        "output_forms": forms["output"],
        "adders": core.adders,
        "depth": core.depth,
        "registers": core.registers,
        "memory": core.memory,
        "max_depth_per_stage": core.max_depth_per_stage,
        "report": core.report(),
    }


def csv_text(layout: Layout, values: Sequence[np.ndarray]) -> str:
    """One line per sample, one column per lane, lane 0 of port 0 first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(layout.header)
    flat = [np.asarray(a).reshape(len(a), p.lanes) for a, p in zip(values, layout.ports, strict=True)]
    for rows in zip(*(a.tolist() for a in flat), strict=True):
        writer.writerow([int(v) for row in rows for v in row])
    return out.getvalue()


def readme(core: Core | IterateCore, count: int, with_vectors: bool) -> str:
    """The page on ports; count: of samples, or of a streamed core beats, in the stimulus."""
    top, unit, streamed = core.top, isinstance(core, IterateCore), is_streamed(core)
    what = "beat" if streamed else "sample"
    path = "" if streamed else " (combinational from o__ready)"
    inside = "every part" if streamed else "the pipeline"
    restart = ", sets the state to its initial value" if getattr(core, "state", None) else ""
    ports = [
        ("clk", 1, "in", "clock, rising edge"),
        ("rst", 1, "in", f"synchronous reset, active high: empties {inside}{restart}"),
        ("i__payload", core.in_layout.bits, "in", f"one input {what}"),
        ("i__valid", 1, "in", f"a {what} is offered"),
        ("i__ready", 1, "out", f"it is taken at this edge{path}"),
        ("o__payload", core.out_layout.bits, "out", f"one output {what}"),
        ("o__valid", 1, "out", "a result is offered; it stays until it is taken"),
        ("o__ready", 1, "in", "it is taken at this edge"),
    ]
    speed = f"A sample taken at one clock edge is offered at the output {core.latency} edges later."
    if isinstance(core, IterateCore):
        ports += [
            ("cancel", 1, "in", "every problem inside leaves after its pass, with status 6 (aborted)"),
            ("busy", 1, "out", "a problem or a result is inside"),
        ]
        speed = (
            f"A problem of k sweeps is offered k * {core.slots * core.clocks} + 1 edges after it was taken; "
            f"{core.slots} slots work side by side."
        )
    figures = _framing(core) if streamed else [
        f"{core.adders} adders, {core.registers} register bits, "
        + (f"one sweep per {core.clocks} clock(s)." if unit else "one sample per clock."),
        speed,
    ]  # fmt: skip
    lines = [
        f"# {top}",
        "",
        *figures,
        "",
        "| port | bits | direction | meaning |",
        "|---|---|---|---|",
        *[f"| `{name}` | {bits} | {way} | {text} |" for name, bits, way, text in ports],
        "",
        "A transfer takes place at each rising edge where valid and ready are both 1.",
        "",
    ]
    for payload, layout in (("i__payload", core.in_layout), ("o__payload", core.out_layout)):
        lines += [
            f"Lanes of `{payload}`, row-major, lane 0 in the lowest bits, two's complement if signed:",
            "",
            "| tensor | shape | first bit | bits per lane | signed | value |",
            "|---|---|---|---|---|---|",
        ]
        for p, offset in zip(layout.ports, layout.offsets, strict=True):
            dims = "x".join(map(str, p.shape)) or "scalar"
            sign = "yes" if p.signed else "no"
            lines.append(f"| {p.name} | {dims} | {offset} | {p.width} | {sign} | raw * 2^{-p.frac} |")
        lines.append("")
    if with_vectors and streamed:
        lines += [
            f"`stimulus` holds the {count} beats of {count // core.beats_in} frames, `expected` those of",
            "their results: `.hex` one payload a line (`$readmemh`), `.csv` one raw integer per lane. Offer",
            "the lines of the stimulus in order; the beats of the output must equal the lines of the",
            "expected vectors.",
            "",
        ]
    elif with_vectors:
        lines += [
            f"`stimulus` and `expected` hold {count} samples: `.hex` one payload a line (`$readmemh`),",
            "`.csv` one raw integer per lane. Offer line k of the stimulus; output k must equal line k",
            "of the expected vectors" + (", where the tags agree." if unit and core.slots > 1 else "."),
            "",
        ]
    lines += [
        f"`verilator --lint-only -Wall {top}.v` is clean; the file itself turns off {', '.join(LINT_OFF)}.",
        "",
    ]
    return "\n".join(lines)


def _framing(core: Any) -> list[str]:
    """How a frame is cut into beats, and how long it takes."""
    lines = [
        f"One frame is {core.beats_in} beat(s) in and {core.beats_out} beat(s) out. Without stalls a frame",
        f"may begin every {float(core.interval):g} clock cycle(s); the first beat of the first result is",
        f"offered {core.latency} edges after the first beat of its frame was taken. Frames are counted in",
        "beats from reset on: no other mark tells where one begins.",
        "",
        f"{core.adders} adders, {core.registers} register bits, {core.memory} memory bits.",
        "",
        "| tensor | shape | beats | elements of a beat |",
        "|---|---|---|---|",
    ]
    graph = core.graph
    names = [n.name for n in graph.inputs], list(graph.output_names)
    for forms, labels in zip((core.input_forms, core.output_forms), names, strict=True):
        for form, label in zip(forms, labels, strict=True):
            shape = "x".join(map(str, form.shape)) or "scalar"
            lines.append(f"| {label} | {shape} | {form.beats} | {_elements(form)} |")
    return lines


def _elements(form: Form) -> str:
    if not form.axes:
        return "all"
    order = ", ".join(f"axis {a}" for a in form.axes)
    text = f"row-major over {order}, the last fastest; the other axes whole"
    if form.lanes > 1:
        text += f"; {form.lanes} neighbours along axis {form.axes[-1]}"
    if form.ragged:
        text += ", lanes beyond its end: any legal code in, 0 out"
    return text
