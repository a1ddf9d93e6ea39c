"""A machine as a C++ class with its state, a reset and a step; and the C simulation of that class by g++."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.emulate.feed import check_raw
from fxsim.integers import Array
from fxsim.machine import Machine
from hls.compile import shared_library
from hls.crossing import arguments, arrays, buffer, from_c, moved, pointers, to_c
from hls.lower import Port, ports, source


def machine_source(machine: Machine, name: str) -> str:
    """Header text of `class name`, over raw codes in the types of `hls.source`; see the rules of a Machine.

    name()           a machine in its initial state
    void reset()     back to the initial state
    void step(const in_t x[..], .., out_t y[..], ..)   one step: the outputs of this time, then the new state

    and of `void name_top(bool restart, const in_t x[..], .., out_t y[..], ..)`, one machine in static memory
    with an initiation interval of one clock, which resets before the step where `restart` is true. ValueError
    where `name` is no C++ identifier.
    """
    inputs, outputs, states, new = machine_ports(machine, name)
    step = source(machine.step, f"{name}_step")
    end = step.rindex("\n#endif")
    members = [f"state_{p.name}" for p in states]
    taken = ", ".join([p.declaration(True) for p in inputs] + [p.declaration(False) for p in outputs])
    passed = ", ".join(p.name for p in (*inputs, *outputs))
    called = ", ".join(
        [f"this->{m}" for m in members] + [p.name for p in inputs] + [p.name for p in (*new, *outputs)]
    )
    lines = ["", f"class {name} {{", "  public:"]
    lines += [f"    {p.code} {m}[{p.size}]; // {p.type}" for p, m in zip(states, members, strict=True)]
    lines += ["", f"    {name}() {{ reset(); }}", "", "    void reset() {"]
    for p, m, start in zip(states, members, machine.init, strict=True):
        values = np.broadcast_to(start.array, p.type.shape).ravel().tolist()
        lines += [f"        this->{m}[{k}] = {p.code.literal(int(v))};" for k, v in enumerate(values)]
    lines += ["    }", "", f"    void step({taken}) {{", "#pragma HLS INLINE"]
    lines += [f"        {p.code} {p.name}[{p.size}];" for p in new]
    lines.append(f"        {name}_step({called});")
    for p, m, v in zip(states, members, new, strict=True):
        lines += [
            f"        for (int i = 0; i < {p.type.size}; i++)",
            f"            this->{m}[i] = {v.name}[i];",
        ]
    restart, machine_ = (_free(n, (*inputs, *outputs)) for n in ("restart", "machine"))
    lines += [
        "    }", "};", "",
        f"inline void {name}_top(bool {restart}{', ' * bool(taken)}{taken}) {{",
        "#pragma HLS PIPELINE II=1",
        f"    static {name} {machine_};",
        *(f"#pragma HLS ARRAY_PARTITION variable={machine_}.{m} complete" for m in members),
        f"    if ({restart})", f"        {machine_}.reset();",
        f"    {machine_}.step({passed});",
        "}",
    ]  # fmt: skip
    return step[:end] + "\n".join(lines) + "\n" + step[end:]


def machine_ports(machine: Machine, name: str) -> tuple[list[Port], list[Port], list[Port], list[Port]]:
    """(inputs, outputs, states, new states) of the class, named as in the function of its step."""
    inputs, outputs = ports(machine.step, f"{name}_step")
    n = machine.states
    return inputs[n:], outputs[n:], inputs[:n], outputs[:n]


def _free(name: str, taken: Sequence[Port]) -> str:
    while name in {p.name for p in taken}:
        name += "_"
    return name


@dataclass(frozen=True, eq=False)
class CompiledMachine:
    """A machine as machine code of its C++ class: `run_raw` and `free_run` as those of `fxsim.Machine`."""

    machine: Machine
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    function: Any

    def run_raw(self, *inputs: Any) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """(outputs, final states) for raw inputs of shape (batch, time, *input shape)."""
        nodes = self.machine.step.inputs[self.machine.states :]
        if len(inputs) != len(nodes) or not nodes:
            raise TypeError(f"the machine has {len(nodes)} inputs, not {len(inputs)}")
        arrays = [check_raw(np.asarray(x), n) for x, n in zip(inputs, nodes, strict=True)]
        return self._run(*arrays[0].shape[:2], arrays)

    def free_run(self, batch: int, time: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """As `run_raw`, for a machine whose step reads its state only."""
        if self.inputs:
            raise TypeError(f"the machine has {len(self.inputs)} inputs; use run_raw")
        return self._run(batch, time, [])

    def _run(self, batch: int, time: int, arrays: list[Array]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        flat = [a.reshape(batch * time, *p.type.shape) for a, p in zip(arrays, self.inputs, strict=True)]
        sources = [to_c(a, p) for a, p in zip(flat, self.inputs, strict=True)]
        targets = [buffer(batch * time, p) for p in self.outputs]
        finals = [buffer(batch, p) for p in self.states]
        self.function.restype = None
        self.function(
            pointers(sources), pointers([*targets, *finals]), ctypes.c_long(batch), ctypes.c_long(time)
        )
        outputs = [from_c(t, p) for t, p in zip(targets, self.outputs, strict=True)]
        return (
            tuple(o.reshape(batch, time, *p.type.shape) for o, p in zip(outputs, self.outputs, strict=True)),
            tuple(from_c(f, p) for f, p in zip(finals, self.states, strict=True)),
        )


def compile_machines(machines: Sequence[Machine], optimize: int = 0) -> list[CompiledMachine]:
    """One compiled class per machine, all in one shared library built by g++ -O`optimize` or found in the
    cache.

    Raises FileNotFoundError without g++, RuntimeError where it refuses the code.
    """
    texts = ['#include "fx_ops.h"', '#include "fx_crossing.h"']
    found = []
    for k, machine in enumerate(machines):
        name = f"machine_{k}"
        inputs, outputs, states, _ = (tuple(p) for p in machine_ports(machine, name))
        text = machine_source(machine, name).replace('#include "fx_ops.h"', "")
        texts += [f"namespace unit_{k} {{", text, "}", _entry(k, name, inputs, outputs, states)]
        found.append((machine, inputs, outputs, states))
    library = ctypes.CDLL(str(shared_library(["\n".join(texts)], optimize)))
    return [CompiledMachine(*parts, getattr(library, f"run_{k}")) for k, parts in enumerate(found)]


def _entry(k: int, name: str, inputs: Sequence[Port], outputs: Sequence[Port], states: Sequence[Port]) -> str:
    """C++ of `run_k(in, out, batch, time)`: a machine per stream; final states behind the outputs."""
    lines = [f'extern "C" void run_{k}(const void *const *in, void *const *out, long batch, long time) {{']
    lines += arrays("x", inputs) + arrays("y", outputs)
    lines += ["    for (long s = 0; s < batch; s++) {", f"        unit_{k}::{name} machine;"]
    lines.append("        for (long t = 0; t < time; t++) {")
    for j, p in enumerate(inputs):
        lines += moved("load", p, f"x{j}", f"in[{j}]", "(s * time + t)", 12)
    lines.append(f"            machine.step({arguments(inputs, outputs)});")
    for j, p in enumerate(outputs):
        lines += moved("store", p, f"y{j}", f"out[{j}]", "(s * time + t)", 12)
    lines.append("        }")
    for j, p in enumerate(states):
        lines += moved("store", p, f"machine.state_{p.name}", f"out[{len(outputs) + j}]", "s", 8)
    return "\n".join([*lines, "    }", "}", ""])
