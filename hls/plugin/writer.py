"""The project that `write` leaves in OutputDir."""

from __future__ import annotations

from typing import Any

from hls4ml.writer.writers import Writer


class FxsimWriter(Writer):
    """Verilog, bench, vectors, configuration, graph."""

    def write_hls(self, model: Any) -> None:
        """Write the project."""
