"""Weights of -1 and +1: a product is x or -x, and one of signs is an XNOR."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxsim.integers import Array
from fxsim.quantizers.channels import along, positive, scaled
from fxsim.quantizers.codec import Codec, code_array, fractions, register


@register("binary")
@dataclass(frozen=True)
class Binary(Codec):
    """value = scale * raw, raw = sgn(v) with sgn(0) = +1; code 1 is +1, code 0 is -1.

    scales  one for the tensor, or one for each index of `axis` (the scale of the codec is then 1, and
            `scales` go into what follows the sum)

    `fit` gives XNOR-Net's (arXiv 1603.05279): mean |W|, there of each filter. With such codes the dot product
    of n signs is 2 * popcount(xnor(a, w)) - n.

    Raises ValueError for a scale of 0 or less, and for several without an axis.
    """

    scales: tuple[Fraction, ...] = (Fraction(1),)
    axis: int | None = None
    scale: Fraction = field(init=False, repr=False, compare=False)
    frac: int = field(init=False, default=0, repr=False, compare=False)
    bits: int = field(init=False, default=1, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", positive("scales", self.scales))
        if self.axis is None and len(self.scales) != 1:
            raise ValueError(f"scales must be one without an axis, not {len(self.scales)}")
        object.__setattr__(self, "scale", self.scales[0] if self.axis is None else Fraction(1))

    @classmethod
    def fit(cls, values: Any, axis: int | None = None) -> Binary:
        """scale = mean |w|, of all or for each index of `axis`. Raises ValueError where all are 0."""
        rows = along(fractions(values), axis)
        means = [sum((abs(v) for v in row), Fraction(0)) / len(row) for row in rows]
        if not all(means):
            raise ValueError("values must hold a number other than 0 to fit to, not none")
        return cls(tuple(means), axis)

    def encode(self, values: Any) -> Array:
        """1 where v >= 0, else 0."""
        return np.asarray(fractions(values) >= 0, bool).astype(np.int64)

    def raw(self, codes: Any) -> Array:
        """-1 or +1."""
        return np.asarray(2 * code_array(codes, 0, 1) - 1, np.int64)

    def decode(self, codes: Any) -> NDArray[np.float64]:
        """Values in float64, rounded where it cannot hold them."""
        return scaled(self.raw(codes), self.scales, self.axis, 0)
