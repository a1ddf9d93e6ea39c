"""Export of a graph as an hls4ml project, and its C simulation."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.emulate.feed import batched
from fxsim.graph import Graph
from fxsim.integers import Array
from hls.crossing import call
from hls.lower.code import RESERVED
from hls.plan import Plan, Planner

MARKER = "firmware/nnet_utils/fx_types.h"
"""A file that only projects written here have."""
BACKENDS = ("Vitis", "Vivado")


@dataclass(eq=False)
class Project:
    """An hls4ml project of a graph: `model` is hls4ml's ModelGraph, `folder` holds what Vitis HLS needs.

    `predict` and `predict_raw` run the C simulation of the whole project, compiled on first use.
    """

    graph: Graph
    folder: Path
    backend: str
    model: Any
    plan: Plan

    def compile(self) -> None:
        """Compile the C simulation with g++, or find it in the cache. FileNotFoundError without g++."""
        self.model._compile()

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
        from hls.model import raw_ports

        if self.model._top_function_lib is None:
            self.compile()
        function = getattr(self.model._top_function_lib, f"{self.model.config.get_project_name()}_raw")
        return call(function, self.graph, raw, *raw_ports(self.plan))

    def layers(self) -> list[dict[str, str]]:
        """Per layer: its name, whether it is hls4ml's own or a generated one, and its types."""
        own = {"dense": "Dense", "relu": "Activation (relu)", "reshape": "Reshape"}
        return [
            {
                "name": layer.name,
                "layer": f"hls4ml {own[layer.kind]}" if layer.kind in own else "generated",
                "inputs": ", ".join(str(self.plan.formats[i]) for i in layer.inputs),
                "outputs": ", ".join(str(f) for f in layer.formats),
            }
            for layer in self.plan.layers
        ]

    def report(self) -> str:
        """`layers` as a table."""
        rows = [("layer", "by", "inputs", "outputs"), *(tuple(row.values()) for row in self.layers())]
        widths = [max(len(r[k]) for r in rows) for k in range(4)]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def export(
    graph: Graph, folder: str | os.PathLike[str], backend: str = "Vitis", name: str | None = None
) -> Project:
    """Write the graph as an hls4ml project into `folder`; nothing is compiled yet.

    Dense layers, ReLU with its quantizer and reshapes are hls4ml's own, with types that lose nothing; every
    run of values between them is one generated layer registered by hls4ml's extension API. `name` names the
    top function (default: the graph's name). The folder is replaced at once, and only if it is new, empty or
    an earlier export.

    Raises FileExistsError for a folder of other content, NotADirectoryError or PermissionError where it
    cannot be made, ValueError for an unknown backend or a graph without inputs, ImportError where hls4ml is
    missing, RuntimeError where it changed a type that was asked for.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, not {backend!r}")
    if not graph.inputs or any(n.type.size == 0 for n in (*graph.inputs, *graph.outputs)):
        raise ValueError("an hls4ml project needs at least one input, and no empty inputs or outputs")
    target = Path(folder).absolute()
    _check_target(target)
    plan = Planner(graph).plan()
    model_graph = _hls4ml()
    project = project_name(name or graph.name, plan)
    model = model_graph(plan, backend, project, target)
    _write(model, target)
    return Project(graph, target, backend, model, plan)


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
    taken = {
        *RESERVED,
        *plan.inputs,
        *(layer.name for layer in plan.layers),
        "nnet",
        "fx",
        "main",
        "parameters",
        "defines",
    }
    return f"{base}_top" if base in taken else base


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


def _write(model: Any, target: Path) -> None:
    """Write beside the target, then take its place: an interrupted export leaves the old project, or none."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        draft = Path(work) / "project"
        model.config.config["OutputDir"] = str(draft)
        try:
            model.write()
        finally:
            model.config.config["OutputDir"] = str(target)
        settings = draft / "hls4ml_config.yml"
        settings.write_text(settings.read_text().replace(str(draft), str(target)))
        old = Path(work) / "old"
        try:
            if target.exists():
                os.rename(target, old)
            os.rename(draft, target)
        except BaseException:
            if old.exists() and not target.exists():
                os.rename(old, target)
            raise


def _result(out: list[Array], single: bool) -> Any:
    out = [np.array(o[0] if single else o) for o in out]
    return out[0] if len(out) == 1 else tuple(out)
