"""Units as one file, like graphs: descriptions and arrays, versioned; loading executes no code."""

from __future__ import annotations

import os
from typing import Any

from fxsim.graph import Graph
from fxsim.iterate import proofs as _proofs
from fxsim.iterate import stops as _stops
from fxsim.iterate import updates as _updates
from fxsim.iterate.ends import Ends
from fxsim.iterate.loop import Loop, Memory
from fxsim.iterate.schedules import Schedule
from fxsim.iterate.unit import Unit
from fxsim.iterate.zoo.hopfield import DenseEnergy
from fxsim.serialize import Arrays, decode, describe, encode, read, rebuild, saves, write

VERSION = 1

saves(
    Schedule, Memory,
    _updates.Assign, _updates.IncrementTrunc, _updates.Relax, _updates.Anchor, _updates.TwoStep,
    _updates.Each,
    _stops.Unchanged, _stops.Delta, _stops.Residual, _stops.Count, _stops.Cycle,
    _proofs.SymmetricRelaxation, _proofs.Descent, _proofs.IntegerEnergy, Ends, DenseEnergy,
)  # fmt: skip


def save(unit: Unit, path: str | os.PathLike[str]) -> None:
    """Writes `unit` to `path`, whole or not at all."""
    arrays: Arrays = {}
    own = ("name", "state", "formats", "parameters", "update", "stops", "schedule", "cap", "start", "proofs")
    description: dict[str, Any] = {k: encode(getattr(unit, k), arrays) for k in own}
    graphs = {"map": describe(unit.map, arrays), "loop": _loop(unit.loop, arrays)}
    if unit.schedule.folded:
        graphs["datapath"] = _loop(unit.datapath, arrays)
    if unit.schedule.unroll:
        graphs["pipeline"] = describe(unit.pipeline(), arrays)
    write(path, "unit.json", {"version": VERSION, **description, **graphs}, arrays)


def load(path: str | os.PathLike[str]) -> Unit:
    """The unit that `save` wrote; it has no step function, so `pipeline` knows its own sweeps only.

    Raises FileNotFoundError, or ValueError for a file that is truncated, of another kind or of a later
    version.
    """
    return read(path, "unit", VERSION, _unit)


def _loop(loop: Loop, arrays: Arrays) -> dict[str, Any]:
    return {
        "graph": describe(loop.graph, arrays), "states": loop.states, "clocks": loop.clocks,
        "memory": encode(loop.memory, arrays),
    }  # fmt: skip


def _unit(d: dict[str, Any], arrays: Arrays) -> Unit:
    def loop(part: dict[str, Any]) -> Loop:
        return Loop(
            rebuild(part["graph"], arrays), part["states"], decode(part["memory"], arrays), part["clocks"]
        )

    get = {k: decode(d[k], arrays) for k in ("formats", "update", "stops", "schedule", "start", "proofs")}
    unit = Unit(
        d["name"], tuple(d["state"]), get["formats"], tuple(d["parameters"]), rebuild(d["map"], arrays),
        loop(d["loop"]), get["update"], get["stops"], get["schedule"], d["cap"], get["start"], get["proofs"],
    )  # fmt: skip
    if "datapath" in d:
        unit.__dict__["datapath"] = loop(d["datapath"])
    if "pipeline" in d:
        pipeline: Graph = rebuild(d["pipeline"], arrays)
        unit.__dict__["_stored_pipeline"] = pipeline
    return unit
