"""Custom torch ops that stand for whole quantizers in a trace; they have shapes, no kernels."""

from __future__ import annotations

from typing import Any

NAMESPACE = "fxsim_torch"
SCHEMAS = {
    "parameter": "(Tensor codes, Tensor scale) -> Tensor",
    "quant": "(Tensor x, Tensor scale, Tensor zero, int low, int high, str rounding) -> Tensor",
    "bipolar": "(Tensor x, Tensor scale) -> Tensor",
    "ternary": "(Tensor x, Tensor scale, Tensor threshold) -> Tensor",
    "trunc": "(Tensor x, Tensor scale, Tensor out_scale, Tensor zero, Tensor out_zero, int low, int high, "
    "str rounding) -> Tensor",
}

_defined: list[Any] = []


def define() -> None:
    """Register the ops, once a process."""
    if _defined:
        return
    import torch

    library = torch.library.Library(NAMESPACE, "DEF")
    for name, schema in SCHEMAS.items():
        library.define(f"{name}{schema}")
        torch.library.register_fake(f"{NAMESPACE}::{name}", _like, lib=library)
    _defined.append(library)


def _like(x: Any, *parameters: Any) -> Any:
    """A float32 tensor of the first operand's shape."""
    import torch

    return torch.empty_like(x, dtype=torch.float32)
