"""What a tensor of a TFLite file becomes: codes of the graph, a constant, or reals that the host has."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.boundary import Affine
from fxsim.integers import Array
from fxsim.trace import Tensor

CODES = (-128, 127)  # of int8
UNSIGNED = (0, 255)  # of uint8, at the ends of a model


@dataclass(frozen=True)
class Codes:
    """Integer codes as the runtime stores them; `lead` says that the file's axis 0 is the batch, not in
    `tensor`."""

    tensor: Tensor
    lead: bool = True


@dataclass(frozen=True)
class Fixed:
    """A constant of the file, or one computed from constants."""

    values: Array


@dataclass(frozen=True)
class Real:
    """A float input before its QUANTIZE, by its tensor index."""

    index: int


@dataclass(frozen=True)
class Decoded:
    """What DEQUANTIZE makes of codes: reals that only the host has."""

    codes: Codes
    affine: Affine


Symbol = Codes | Fixed | Real | Decoded


@dataclass(frozen=True)
class Quant:
    """real = scale * (code - zero) of one tensor, the scale in float32; `bounds` of its codes."""

    scale: np.float32
    zero: int
    bounds: tuple[int, int] = CODES

    @property
    def real(self) -> float:
        """The scale in double precision."""
        return float(self.scale)

    @property
    def affine(self) -> Affine:
        """Codes to reals, exactly."""
        s = Fraction(self.real)
        return Affine((s,), (-s * self.zero,))
