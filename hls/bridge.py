"""The project's entry for raw codes: C++ behind hls4ml's own bridge, for each back end and interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hls.crossing import entry
from hls.lower import Port
from hls.lower.code import Code
from hls.plan import Plan

STREAMS = {"Vitis": "hls::stream", "Vivado": "hls::stream", "Catapult": "ac_channel"}


def raw_ports(plan: Plan) -> tuple[list[Port], list[Port]]:
    """The ports of the project's entry for raw codes."""
    inputs = [Port(f"in{k}", Code.of(n.type), n.type) for k, n in enumerate(plan.nodes)]
    made = [o.type for e in plan.ends for o in e.outputs]
    outputs = [Port(f"out{k}", Code.of(t), t) for k, t in enumerate(made)]
    return inputs, outputs


def raw_entry(model: Any, plan: Plan, project: str) -> str:
    """C++ for the bridge: a batch of raw codes through the top function, without the detour over float64."""
    inputs, outputs = raw_ports(plan)
    given = list(zip(inputs, model.get_input_variables(), strict=True))
    made = list(zip(outputs, model.get_output_variables(), strict=True))
    arguments = [p.declaration(True) for p in inputs] + [p.declaration(False) for p in outputs]
    if plan.target.stream:
        body = streams(plan.target.backend, project, given, made)
    elif plan.target.backend == "Quartus":
        body = structures(project, given, made)
    else:
        body = arrays(project, given, made)
    lines = ["", "// Raw codes in and out: one int64 a code, or 32-bit limbs where a lane is wider."]
    lines += ['#include "firmware/nnet_utils/fx_crossing.h"', '#include "firmware/nnet_utils/fx_types.h"', ""]
    lines += [f"static void {project}_codes({', '.join(arguments)}) {{", *body, "}", ""]
    return "\n".join([*lines, entry(f"{project}_raw", f"{project}_codes", inputs, outputs)])


Ports = Sequence[tuple[Port, Any]]


def arrays(project: str, given: Ports, made: Ports) -> list[str]:
    both = [*given, *made]
    lines = [f"    static {v.type.name} {p.name}_value[{p.size}];" for p, v in both]
    lines += [f"    fx::values({p.name}, {p.name}_value, {p.size});" for p, _ in given]
    lines.append(f"    {project}({', '.join(p.name + '_value' for p, _ in both)});")
    return lines + [f"    fx::codes({p.name}_value, {p.name}, {p.size});" for p, _ in made]


def structures(project: str, given: Ports, made: Ports) -> list[str]:
    lines = ["    static input_data given;"]
    lines += [f"    fx::values({p.name}, given.{v.member_name}, {p.size});" for p, v in given]
    lines.append(f"    output_data made = {project}(given);")
    return lines + [f"    fx::codes(made.{v.member_name}, {p.name}, {p.size});" for p, v in made]


def streams(backend: str, project: str, given: Ports, made: Ports) -> list[str]:
    lines = []
    for side, ports in (("stream_in", given), ("stream_out", made)):
        kind = STREAMS.get(backend, side)
        lines += [f"    {kind}<{v.type.name}> {p.name}_stream;" for p, v in ports]
    lines += [f"    fx::push({p.name}, {p.name}_stream, {p.size});" for p, _ in given]
    lines.append(f"    {project}({', '.join(p.name + '_stream' for p, _ in (*given, *made))});")
    return lines + [f"    fx::pull({p.name}_stream, {p.name}, {p.size});" for p, _ in made]
