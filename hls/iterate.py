"""A unit of `fxsim.iterate` as a C++ function, its step in a loop, and the C simulation of that by g++."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fxsim.iterate.driver import only, prepared
from fxsim.iterate.solution import Solution
from fxsim.iterate.unit import Unit
from hls.compile import shared_library, translation_units
from hls.crossing import buffer, entry, from_c, pointers, to_c
from hls.lower import Port, ports, source


@dataclass(frozen=True)
class Parts:
    """Ports of the step by their part: what the loop keeps (states, memory, steps) before and after a step,
    parameters, status."""

    kept: Sequence[Port]
    parameters: Sequence[Port]
    new: Sequence[Port]
    status: Port
    states: int

    @classmethod
    def of(cls, unit: Unit, name: str) -> Parts:
        inputs, outputs = ports(unit.loop.graph, f"{name}_step")
        n = unit.loop.kept
        return cls(inputs[:n], inputs[n:], outputs[:n], outputs[n], unit.loop.states)

    @property
    def given(self) -> list[Port]:
        """Arguments that a solve reads: the start states, called start_NAME, and the parameters."""
        taken = {p.name for p in (*self.kept, *self.parameters, *self.new, self.status)}
        starts = []
        for p in self.kept[: self.states]:
            label = f"start_{p.name}"
            while label in taken:
                label += "_"
            starts.append(Port(label, p.code, p.type))
            taken.add(label)
        return [*starts, *self.parameters]

    @property
    def found(self) -> list[Port]:
        """Arguments that it writes: states, steps, status."""
        return [*self.new[: self.states], self.new[-1], self.status]


def unit_source(unit: Unit, name: str) -> str:
    """Header text of `void name(const start_t start_x[..], .., const in_t b[..], .., state_t x_new[..], ..,
    steps_new[1], status[1])`, over raw codes in the types of `hls.source`.

    It solves one problem: the step, in hardware one pass per initiation interval, until its status is not 0,
    at most `unit.cap` times. A folded schedule is written as the whole sweep. ValueError where `name` is no
    C++ identifier or no proof says that the unit stops.
    """
    from fxsim.iterate.certify import require

    require(unit)
    parts = Parts.of(unit, name)
    step = source(unit.loop.graph, f"{name}_step")
    end = step.rindex("\n#endif")
    given, found, inside = parts.given, parts.found, parts.new[parts.states : -1]
    taken = ", ".join([p.declaration(True) for p in given] + [p.declaration(False) for p in found])
    lines = ["", f"inline void {name}({taken}) {{"]
    for p in (*parts.kept, *inside):
        lines += [f"    {p.code} {p.name}[{p.size}]; // {p.type}"]
        lines.append(f"#pragma HLS ARRAY_PARTITION variable={p.name} complete")
    sources = [*range(parts.states), *(m.source for m in unit.loop.memory), None]
    for p, k in zip(parts.kept, sources, strict=True):
        lines += [f"    for (int i = 0; i < {p.size}; i++)"]
        lines.append(f"        {p.name}[i] = {'0' if k is None else f'{given[k].name}[i]'};")
    called = ", ".join(p.name for p in (*parts.kept, *parts.parameters, *parts.new, parts.status))
    lines += [
        "    do {", f"#pragma HLS LOOP_TRIPCOUNT min=1 max={unit.cap}", "#pragma HLS PIPELINE",
        f"        {name}_step({called});",
    ]  # fmt: skip
    for old, new in zip(parts.kept, parts.new, strict=True):
        lines.append(f"        for (int i = 0; i < {old.size}; i++)")
        lines.append(f"            {old.name}[i] = {new.name}[i];")
    lines += [f"    }} while ({parts.status.name}[0] == 0);", "}"]
    return step[:end] + "\n".join(lines) + "\n" + step[end:]


@dataclass(frozen=True, eq=False)
class CompiledUnit:
    """A unit as machine code of its C++ function: `solve_raw` as that of `fxsim.iterate.Unit`."""

    unit: Unit
    parts: Parts
    function: Any

    def solve_raw(self, start: Any = None, **parameters: Any) -> Solution:
        """States, steps and status of every row."""
        return self.solved(start, parameters)

    def solved(self, start: Any, parameters: Mapping[str, Any]) -> Solution:
        states, fixed, batch, single = prepared(self.unit, start, parameters)
        given, found = self.parts.given, self.parts.found
        sources = [to_c(a, p) for a, p in zip([*states, *fixed], given, strict=True)]
        targets = [buffer(batch, p) for p in found]
        self.function.restype = None
        self.function(pointers(sources), pointers(targets), ctypes.c_long(batch))
        *raws, steps, codes = (from_c(t, p) for t, p in zip(targets, found, strict=True))
        fracs = tuple(f.frac for f in self.unit.formats)
        solution = Solution(self.unit.state, tuple(raws), fracs, steps, codes)
        return only(solution) if single else solution


def compile_units(units: Sequence[Unit], optimize: int = 0) -> list[CompiledUnit]:
    """One compiled function per unit, all in one shared library built by g++ -O`optimize` or found in the
    cache.

    Raises FileNotFoundError without g++, RuntimeError where it refuses the code.
    """
    texts, found = [], []
    for k, unit in enumerate(units):
        name = f"unit_{k}"
        parts = Parts.of(unit, name)
        text = unit_source(unit, name).replace('#include "fx_ops.h"', "")
        run = entry(f"run_{k}", f"space_{k}::{name}", parts.given, parts.found)
        texts.append("\n".join([f"namespace space_{k} {{", text, "}", run]))
        found.append((unit, parts))
    library = ctypes.CDLL(str(shared_library(translation_units(texts), optimize)))
    return [CompiledUnit(*made, getattr(library, f"run_{k}")) for k, made in enumerate(found)]
