"""What every project has: hls4ml's model, a folder, and the C simulation's entry for raw codes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hls.lower import Port
from hls.plan import Plan


@dataclass(eq=False)
class Simulation:
    """An hls4ml project: `model` is hls4ml's ModelGraph, `folder` holds what the vendor's tool needs."""

    folder: Path
    backend: str
    model: Any
    plan: Plan

    def compile(self) -> None:
        """Compile the C simulation with g++, or find it in the cache. FileNotFoundError without g++."""
        self.model._compile()

    def ports(self) -> tuple[list[Port], list[Port]]:
        """What crosses into the C simulation and back, in order."""
        from hls.bridge import raw_ports

        return raw_ports(self.plan)

    def function(self) -> Any:
        """The compiled entry `f(in, out, batch)` over raw codes."""
        if self.model._top_function_lib is None:
            self.compile()
        found = getattr(self.model._top_function_lib, f"{self.model.config.get_project_name()}_raw")
        found.restype = None
        return found

    def call(self, sources: Any, targets: Any, batch: int) -> None:
        self.function()(sources, targets, ctypes.c_long(batch))

    def layers(self) -> list[dict[str, str]]:
        """Per layer: its name, whether it is hls4ml's own or a generated one, its strategy, and its types."""
        from hls.describe import title

        rows = []
        for layer in self.plan.layers:
            strategy, factor = self.plan.settings.get(layer.name, ("", 0))
            rows.append(
                {
                    "name": layer.name,
                    "layer": title(layer),
                    "strategy": f"{strategy} {factor}" if strategy else "",
                    "inputs": ", ".join(str(self.plan.formats[i]) for i in layer.inputs),
                    "outputs": ", ".join(str(f) for f in layer.formats),
                }
            )
        return rows

    def report(self) -> str:
        """`layers` as a table."""
        head = ("layer", "by", "strategy", "inputs", "outputs")
        rows = [head, *(tuple(row.values()) for row in self.layers())]
        widths = [max(len(r[k]) for r in rows) for k in range(len(head))]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(r, widths, strict=True)).rstrip() for r in rows)
