"""The bare datapath of a unit as a machine: states, step and a comparator, for figures of its size."""

from __future__ import annotations

from fxsim.iterate.loop import declare, sweep
from fxsim.iterate.stops import all_of
from fxsim.iterate.unit import Unit
from fxsim.machine import Machine
from fxsim.trace import Builder


def bare(unit: Unit) -> Machine:
    """(states, parameters) -> (new states, unchanged): a sweep per time step from the unit's own start.

    No stop but the flag `unchanged`, no cap, no count, and reset is the only way to the next problem. Raises
    ValueError for an update that reads the start or the number of the step, and for a unit without `plan`.
    """
    if unit.plan is None:
        raise ValueError("unit must be made from its step, not loaded from a file")
    if unit.update.anchored:
        raise ValueError(f"update must read the state only, not {unit.update}")
    builder = Builder(f"{unit.name}_bare")
    x, parameters = declare(unit.plan, builder)
    new = sweep(unit.plan, x, x, builder.constant(0), parameters)
    same = all_of([n == o for n, o in zip(new, x, strict=True)])
    graph = builder.finish([*new, same], [*(f"{n}_new" for n in unit.state), "unchanged"])
    return Machine(unit.start, graph)
