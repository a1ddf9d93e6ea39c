"""Export of a graph as an hls4ml project, and its C simulation."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from fxsim.emulate.feed import batched
from fxsim.graph import Graph
from fxsim.integers import Array
from fxsim.iterate.unit import Unit
from fxsim.machine import Machine
from hls.crossing import call
from hls.lower.code import RESERVED
from hls.plan import NUMBERED, Plan, Planner
from hls.simulation import Simulation
from hls.solvers import MachineProject, UnitProject, machine_plan, unit_plan
from hls.target import Target

RESERVED_TOP = frozenset(
    ("nnet", "fx", "main", "parameters", "defines", "given", "made", "input_data", "output_data")
)
"""Names that the files and functions around the top function have."""
MARKER = "firmware/nnet_utils/fx_types.h"
"""A file that only projects written here have."""


@dataclass(eq=False)
class Project(Simulation):
    """An hls4ml project of a graph. `predict` and `predict_raw` run the C simulation of the whole project,
    compiled on first use.
    """

    graph: Graph

    def predict(self, *x: Any) -> Any:
        """Real values in, real values out, as Graph.run: host encoders, C simulation, output affines."""
        arrays, single = batched(self.graph, x)
        raw = [
            e.encode(a, i.name)
            for e, a, i in zip(self.graph.encoders, arrays, self.graph.inputs, strict=True)
        ]
        out = [
            affine.apply(r, node.type.frac, node.type.ndim)
            for r, node, affine in zip(
                self._simulate(raw), self.graph.outputs, self.graph.output_affines, strict=True
            )
        ]
        return _result(out, single)

    def predict_raw(self, *raw: Any) -> Any:
        """Raw integers in, raw integers out, as Graph.run_raw, by the C simulation; lanes of any width."""
        arrays, single = batched(self.graph, raw)
        return _result(self._simulate(arrays), single)

    def _simulate(self, raw: list[Array]) -> list[Array]:
        return call(self.function(), self.graph, raw, *self.ports())


@overload
def export(graph: Graph, folder: str | os.PathLike[str], *args: Any, **options: Any) -> Project: ...
@overload
def export(graph: Unit, folder: str | os.PathLike[str], *args: Any, **options: Any) -> UnitProject: ...
@overload
def export(graph: Machine, folder: str | os.PathLike[str], *args: Any, **options: Any) -> MachineProject: ...
def export(
    graph: Graph | Unit | Machine,
    folder: str | os.PathLike[str],
    backend: str = "Vitis",
    name: str | None = None,
    *,
    io_type: str = "io_parallel",
    strategy: str | Mapping[str, str] | None = None,
    reuse_factor: int | Mapping[str, int] = 1,
    clock_period: float = 5,
    part: str | None = None,
) -> Project | UnitProject | MachineProject:
    """Write a graph, a unit or a machine as an hls4ml project into `folder`; nothing is compiled yet.

    In a graph, where a chain of values is exactly what a layer of hls4ml's own computes, it becomes that
    layer, with types that lose nothing; every run of values between them is one generated layer, registered
    by hls4ml's extension API. A unit of `fxsim.iterate` and a machine are one generated layer each. The
    folder is replaced at once, and only if it is new, empty or an earlier export.

    backend       Vitis, Vivado, Quartus or Catapult
    name          the top function (default: the graph's name)
    io_type       io_parallel (arrays) or io_stream (one pixel or vector at a time)
    strategy      how layers multiply: Latency, Resource, Resource_unrolled or distributed_arithmetic, as the
                  back end has it; or {layer: strategy}, with "*" for the others
    reuse_factor  products that a multiplier does, one that hls4ml accepts for the layer; or {layer: factor}
    clock_period  nanoseconds
    part          the vendor's name of the device (default: hls4ml's)

    Raises FileExistsError for a folder of other content, NotADirectoryError or PermissionError where it
    cannot be made, ValueError for an unknown backend, io_type, strategy, layer or reuse factor, for weights
    that distributed arithmetic would round, or a graph without inputs, ImportError where hls4ml is missing,
    RuntimeError where it changed a type that was asked for.
    """
    aim = Target(backend, io_type, strategy, reuse_factor, clock_period, part)
    target = Path(folder).absolute()
    if not isinstance(graph, (Graph, Unit, Machine)):
        raise TypeError(f"graph must be a Graph, a Unit or a Machine, not {type(graph).__name__}")
    if isinstance(graph, Graph) and (
        not graph.inputs or any(n.type.size == 0 for n in (*graph.inputs, *graph.outputs))
    ):
        raise ValueError("an hls4ml project needs at least one input, and no empty inputs or outputs")
    _check_target(target)
    model_graph = _hls4ml()
    if isinstance(graph, Graph):
        plan, wanted = Planner(graph, aim).plan(), graph.name
    elif isinstance(graph, Unit):
        plan, wanted = unit_plan(graph, aim), graph.name
    else:
        plan, wanted = machine_plan(graph, aim), graph.step.name
    model = model_graph(plan, project_name(name or wanted, plan), target)
    _write(model, target, os.fspath(folder))
    if isinstance(graph, Graph):
        return Project(target, backend, model, plan, graph)
    if isinstance(graph, Unit):
        return UnitProject(target, backend, model, plan, graph)
    return MachineProject(target, backend, model, plan, graph)


def _hls4ml() -> Any:
    """The function that makes the ModelGraph; ImportError that says what to install without hls4ml."""
    try:
        from hls.model import model_graph
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "hls4ml":
            raise
        raise ImportError("hls.export needs hls4ml; pip install 'fxsim-hdl[hls]'") from None
    return model_graph


def project_name(wanted: str, plan: Plan) -> str:
    """An identifier that neither C++ nor a tensor of the project has."""
    base = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    base = base if base[:1].isalpha() else f"graph_{base}"
    layers = (layer.name for layer in plan.layers)
    taken = {*RESERVED, *RESERVED_TOP, *plan.inputs, *layers}
    return f"{base}_top" if base in taken or NUMBERED.fullmatch(base) else base


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"output folder {target} is a file")
    if target.is_dir() and any(target.iterdir()) and not (target / MARKER).exists():
        raise FileExistsError(
            f"output folder {target} holds files that were not exported here; choose another"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"output folder {target} cannot be made: {error.strerror}") from None
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"output folder {target} cannot be made: {target.parent} is not writable")


def _write(model: Any, target: Path, given: str) -> None:
    """Write beside the target, then take its place: an interrupted export leaves the old project, or none.

    The settings name the folder as it was given, so that the bytes do not depend on the machine.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        draft = Path(work) / "project"
        model.config.config["OutputDir"] = str(draft)
        try:
            model.write()
        finally:
            model.config.config["OutputDir"] = str(target)
        _place(draft / "hls4ml_config.yml", given)
        old = Path(work) / "old"
        try:
            if target.exists():
                os.rename(target, old)
            os.rename(draft, target)
        except BaseException:
            if old.exists() and not target.exists():
                os.rename(old, target)
            raise


def _place(settings: Path, folder: str) -> None:
    """OutputDir in hls4ml's settings, in whatever form YAML needs for it."""
    import yaml

    text = re.sub(r"^OutputDir: .*\n(?: .*\n)*", "", settings.read_text(), flags=re.MULTILINE)
    settings.write_text(text + yaml.safe_dump({"OutputDir": folder}, width=4096, allow_unicode=True))


def _result(out: list[Array], single: bool) -> Any:
    out = [np.array(o[0] if single else o) for o in out]
    return out[0] if len(out) == 1 else tuple(out)
