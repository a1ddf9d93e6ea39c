"""Layers that only move elements: free in hardware, exact, whatever the types."""

from __future__ import annotations

from typing import Any

from fxsim.trace import Tensor
from hls.plugin.translate import Translation, rule


@rule("Reshape", "Flatten")
def reshape(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """Row-major, channels last."""
    return operands[0].reshape(*t.shape(layer))
