"""A network as plain data, whatever the file: nodes in ONNX's vocabulary, constants, inputs, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fxsim.integers import Array

DEFAULT_DOMAIN = ("", "ai.onnx")
LINEAR_DOMAINS = (*DEFAULT_DOMAIN, "com.microsoft")  # QuantizeLinear and DequantizeLinear
QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")

# TensorProto's numbers of the types that a quantizer may have: (bits, signed).
INTEGER_TYPES = {
    2: (8, False), 3: (8, True), 4: (16, False), 5: (16, True),
    21: (4, False), 22: (4, True), 25: (2, False), 26: (2, True),
}  # fmt: skip


@dataclass(frozen=True)
class FileNode:
    """One node of the file; `attributes` hold numbers, strings, tuples and arrays."""

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The node's name, or its output's, for block names."""
        return self.name or (self.outputs[0] if self.outputs else self.op)

    def __str__(self) -> str:
        where = f"node {self.name!r}" if self.name else f"the node that makes {self.label!r}"
        return f"{where} ({self.op})"

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)


@dataclass(frozen=True)
class FileInput:
    """An input; `shape` has the batch axis first (1 where the file leaves it open).

    `bits` is 0 for real values, else the width of the file's integer type. `kind` is the type of real values.
    """

    name: str
    shape: tuple[int, ...]
    bits: int = 0
    signed: bool = False
    kind: str = "float"


@dataclass(frozen=True)
class Model:
    """What the file says, checked: every tensor is defined before it is used."""

    path: Path
    nodes: tuple[FileNode, ...]
    inputs: tuple[FileInput, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    opset: int

    @property
    def name(self) -> str:
        """The file's name up to its first dot, as an identifier."""
        stem = "".join(c if c.isalnum() else "_" for c in self.path.name.split(".")[0])
        return stem if stem and not stem[0].isdigit() else f"model_{stem}"
