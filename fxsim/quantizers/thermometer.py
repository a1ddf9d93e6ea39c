"""FracBNN's codes: two-bit activations in thirds, and the thermometer of signs that its input becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.integers import Array, to_object
from fxsim.quantizers.codec import Codec, code_array, fractions, register

TIES = {"RND": "up", "RND_MIN_INF": "down", "RND_CONV": "even"}


@register("two-bit")
@dataclass(frozen=True)
class TwoBit(Codec):
    """Two-bit activations: code = clip(round((x + 1) * 1.5), 0, 3), value = (2 * code - 3) / 3.

    The bits are signs: code = 2 * msb + lsb, value = (2 * m + l) / 3 with m, l = -1 for bit 0 and +1 for 1,
    so that a dot product with signs is (2 * dm + dl) / 3 of two binary dot products.

    rounding  of ties, of which there is one among dyadic numbers, x = 0: "RND" (up, code 2: the accelerator
              for CIFAR-10, the default), "RND_CONV" (to even, code 2: the training code), "RND_MIN_INF"
              (down, code 1: the accelerator for ImageNet)

    Source: FracBNN (arXiv 2012.12206) and its released code.
    """

    rounding: str = "RND"
    frac = 0
    bits = 2
    scale = Fraction(1, 3)

    def __post_init__(self) -> None:
        if self.rounding not in TIES:
            raise ValueError(f"rounding must be one of {', '.join(TIES)}, not {self.rounding!r}")

    def encode(self, values: Any) -> Array:
        x = fractions(values)
        codes = [min(max(_rounded((v + 1) * Fraction(3, 2), self.rounding), 0), 3) for v in x.ravel()]
        return np.array(codes, np.int64).reshape(x.shape)

    def raw(self, codes: Any) -> Array:
        """2 * code - 3, of which scale is a third."""
        return 2 * code_array(codes, 0, 3) - 3

    def levels(self, frac: int) -> tuple[int, int, int]:
        """Least raw integers at `frac` that give codes 1, 2 and 3."""
        third = Fraction(2, 3) * Fraction(2) ** frac
        return math.ceil(-third), int(self.rounding == "RND_MIN_INF"), math.ceil(third)


@register("thermometer")
@dataclass(frozen=True)
class Thermometer(Codec):
    """Pixels as counts of ones: code = round(p / resolution), ties to even; value = code * resolution.

    Plane j of 0..planes - 1 is +1 (bit 1) where j < code, else -1: 32 planes for resolution 8 and pixels
    0..255. Values outside 0..largest raise ValueError. Source: FracBNN (arXiv 2012.12206), `InputEncoder`.
    """

    resolution: int = 8
    largest: int = 255
    frac = 0

    def __post_init__(self) -> None:
        for name, least in (("largest", 1), ("resolution", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
        if self.planes < 1:
            raise ValueError(
                f"resolution must give a plane or more, not {self.resolution} for {self.largest}"
            )

    @property
    def planes(self) -> int:
        """Signs per pixel: the code of the largest."""
        return round(Fraction(self.largest, self.resolution))

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Of a count; the planes are as many bits as there are planes."""
        return self.planes.bit_length()

    def encode(self, values: Any) -> Array:
        p = fractions(values)
        for at, v in np.ndenumerate(p):
            if not 0 <= v <= self.largest:
                raise ValueError(f"values must lie in 0..{self.largest}, not {float(v):g} at index {at}")
        return np.array([round(v / self.resolution) for v in p.ravel()], np.int64).reshape(p.shape)

    def raw(self, codes: Any) -> Array:
        return to_object(code_array(codes, 0, self.planes) * self.resolution).astype(np.int64)

    def signs(self, codes: Any) -> Array:
        """Bits of the planes, on a new last axis."""
        return (np.arange(self.planes) < code_array(codes, 0, self.planes)[..., None]).astype(np.int64)

    def levels(self) -> tuple[int, ...]:
        """Least integer pixel that lights each plane, the first plane first."""
        halves = (Fraction(2 * j + 1, 2) * self.resolution for j in range(self.planes))
        # At a tie, plane j is lit where the even neighbour is the upper one, j + 1.
        return tuple(math.ceil(h) if j % 2 else math.floor(h) + 1 for j, h in enumerate(halves))


def _rounded(v: Fraction, rounding: str) -> int:
    if TIES[rounding] == "even":
        return round(v)
    half = Fraction(1, 2)
    return math.floor(v + half) if TIES[rounding] == "up" else math.ceil(v - half)
