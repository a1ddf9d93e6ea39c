"""Units of `fxsim.iterate` and machines as hls4ml projects: one generated layer, and its C simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.emulate.feed import check_raw
from fxsim.graph import Input, Node
from fxsim.integers import Array
from fxsim.iterate.solution import Solution
from fxsim.iterate.unit import Unit
from fxsim.machine import Machine
from fxsim.types import TensorType
from hls.crossing import buffer, from_c, pointers, to_c
from hls.iterate import CompiledUnit, Parts, unit_source
from hls.kinds import Body, Layer
from hls.lower import Port
from hls.lower.code import RESERVED, Code
from hls.machine import machine_ports, machine_source
from hls.plan import ATTRIBUTES, Plan, unique_names
from hls.simulation import Simulation
from hls.target import Target

RESTART = TensorType((1,), 0, np.zeros(1, np.int64), np.ones(1, np.int64))


@dataclass(eq=False)
class UnitProject(Simulation):
    """An hls4ml project of a unit: start states and parameters in, states, steps and status out."""

    unit: Unit

    def solve_raw(self, start: Any = None, **parameters: Any) -> Solution:
        """States, steps and status of every row by the C simulation, as `Unit.solve_raw`."""
        parts = Parts.of(self.unit, "unit")
        return CompiledUnit(self.unit, parts, self.function()).solved(start, parameters)

    def solve(self, start: Any = None, **parameters: Any) -> Solution:
        """As `solve_raw`, for real values, as `Unit.solve`."""
        nodes = self.unit.loop.graph
        encoders = dict(zip((n.name for n in nodes.inputs), nodes.encoders, strict=True))
        held = {
            k: encoders[k].encode(np.asarray(v), k) if k in encoders else v for k, v in parameters.items()
        }
        if start is not None:
            given = start if isinstance(start, dict) else {self.unit.state[0]: start}
            start = {
                k: encoders[k].encode(np.asarray(v), k) if k in encoders else v for k, v in given.items()
            }
        return self.solve_raw(start, **held)


@dataclass(eq=False)
class MachineProject(Simulation):
    """An hls4ml project of a machine: its first input, `restart`, begins a stream."""

    machine: Machine

    def run_raw(self, *inputs: Any) -> tuple[Array, ...]:
        """Outputs for raw inputs of shape (batch, time, *input shape), as those of `Machine.run_raw`.

        Every row restarts the machine, whose state is static memory between the calls of the top function.
        """
        nodes = self.machine.step.inputs[self.machine.states :]
        if len(inputs) != len(nodes) or not nodes:
            raise TypeError(f"the machine has {len(nodes)} inputs, not {len(inputs)}")
        arrays = [check_raw(np.asarray(x), n) for x, n in zip(inputs, nodes, strict=True)]
        return self._run(*arrays[0].shape[:2], arrays)

    def free_run(self, batch: int, time: int) -> tuple[Array, ...]:
        """As `run_raw`, for a machine whose step reads its state only."""
        if len(self.machine.step.inputs) != self.machine.states:
            raise TypeError("the machine has inputs; use run_raw")
        return self._run(batch, time, [])

    def _run(self, batch: int, time: int, arrays: list[Array]) -> tuple[Array, ...]:
        restart = np.zeros((batch, time, 1), np.int64)
        restart[:, :1] = 1
        inputs, outputs = self.ports()
        flat = [
            a.reshape(batch * time, *p.type.shape) for a, p in zip([restart, *arrays], inputs, strict=True)
        ]
        targets = [buffer(batch * time, p) for p in outputs]
        sources = [to_c(a, p) for a, p in zip(flat, inputs, strict=True)]
        self.call(pointers(sources), pointers(targets), batch * time)
        made = [from_c(t, p) for t, p in zip(targets, outputs, strict=True)]
        return tuple(o.reshape(batch, time, *p.type.shape) for o, p in zip(made, outputs, strict=True))


def unit_plan(unit: Unit, target: Target) -> Plan:
    """The plan of a unit's one layer. ValueError where no proof says that the unit stops."""
    parts = Parts.of(unit, "unit")
    name = "fx_solve_codes"
    body = Body(unit_source(unit, name), parts.given, parts.found, lambda a: f"{name}({', '.join(a)})")
    return single(unit.loop.graph.values, "solve", body, target)


def machine_plan(machine: Machine, target: Target) -> Plan:
    """The plan of a machine's one layer. ValueError for a machine without outputs."""
    name = "fx_step_codes"
    inputs, outputs, _, _ = machine_ports(machine, name)
    if not outputs:
        raise ValueError("an hls4ml project needs at least one output; the machine has only its state")
    restart = "restart"
    while restart in {p.name for p in (*inputs, *outputs)}:
        restart += "_"
    given = [Port(restart, Code.of(RESTART), RESTART), *inputs]

    def call(arguments: Sequence[str]) -> str:
        return f"{name}_top({', '.join([f'{arguments[0]}[0] != 0', *arguments[1:]])})"

    body = Body(machine_source(machine, name), given, outputs, call)
    return single(machine.step.values, "step", body, target)


def single(values: Sequence[Node], name: str, body: Body, target: Target) -> Plan:
    """A plan of one layer."""
    tail = "_input" if target.stream and target.backend == "Quartus" else ""  # as in a Planner
    names = unique_names([p.name + tail for p in body.inputs], {*RESERVED, *ATTRIBUTES, name})
    nodes = tuple(Input(p.type, n) for p, n in zip(body.inputs, names, strict=True))
    made = tuple(Node(p.type) for p in body.outputs)
    formats = {n: target.lane(n.type) for n in (*nodes, *made)}
    layer = Layer("custom", name, nodes, made, tuple(formats[m] for m in made), body=body)
    return Plan(tuple(values), nodes, tuple(names), (layer,), (layer,), formats, target, target.settings({}))
