"""Weights of -1, 0 and +1: a product is a choice between x, -x and 0."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxsim.integers import Array
from fxsim.quantizers.channels import along, positive, scaled, spread
from fxsim.quantizers.codec import Codec, fractions, register
from fxsim.quantizers.fields import Fields


@register("ternary")
@dataclass(frozen=True)
class Ternary(Codec):
    """value = scale * raw, raw = +1 where v > threshold, -1 where v < -threshold, else 0.

    thresholds, scales  one each for the tensor, or one each for each index of `axis`

    `twn` fits them by ternary weight networks (arXiv 1605.04711), `bitnet` by BitNet b1.58 (arXiv
    2402.17764). A code has two bits, zero << 1 | sign, the field of `form`. With an axis the scale of the
    codec is 1, and `scales` go into what follows the sum.

    Raises ValueError for a negative threshold, a scale of 0 or less, and other than one of each per index.
    """

    thresholds: tuple[Fraction, ...] = (Fraction(1, 2),)
    scales: tuple[Fraction, ...] = (Fraction(1),)
    axis: int | None = None
    scale: Fraction = field(init=False, repr=False, compare=False)
    frac: int = field(init=False, default=0, repr=False, compare=False)
    bits: int = field(init=False, default=2, repr=False, compare=False)
    form: Fields = field(init=False, default=Fields(1, 0), repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "thresholds", tuple(Fraction(t) for t in self.thresholds))
        put(self, "scales", positive("scales", self.scales))
        if any(t < 0 for t in self.thresholds):
            raise ValueError(f"thresholds must be at least 0, not {min(self.thresholds)}")
        if len(self.thresholds) != len(self.scales):
            raise ValueError(f"thresholds must be {len(self.scales)} as scales, not {len(self.thresholds)}")
        if self.axis is None and len(self.scales) != 1:
            raise ValueError(f"scales must be one without an axis, not {len(self.scales)}")
        put(self, "scale", self.scales[0] if self.axis is None else Fraction(1))

    @classmethod
    def twn(cls, values: Any, axis: int | None = None) -> Ternary:
        """threshold = 0.7 * mean |w|, scale = the mean of the |w| above it.

        Raises ValueError where all values are 0.
        """
        thresholds, scales = [], []
        for row in along(fractions(values), axis):
            threshold = Fraction(7, 10) * _mean([abs(v) for v in row])
            thresholds.append(threshold)
            scales.append(_mean([abs(v) for v in row if abs(v) > threshold]))
        return cls(tuple(thresholds), tuple(scales), axis)

    @classmethod
    def bitnet(cls, values: Any, axis: int | None = None) -> Ternary:
        """scale = mean |w|, raw = clip(rint(w / scale), -1, 1): ties at half a scale are 0.

        Raises ValueError where all values are 0.
        """
        scales = [_mean([abs(v) for v in row]) for row in along(fractions(values), axis)]
        return cls(tuple(s / 2 for s in scales), tuple(scales), axis)

    def encode(self, values: Any) -> Array:
        """Codes zero << 1 | sign."""
        v = fractions(values)
        threshold = spread(self.thresholds, self.axis, v.shape)
        minus = np.asarray(v < -threshold, bool)
        return np.asarray(np.where(minus, 1, np.where(np.asarray(v > threshold, bool), 0, 2)), np.int64)

    def raw(self, codes: Any) -> Array:
        """-1, 0 or +1."""
        return self.form.raw(codes)

    def decode(self, codes: Any) -> NDArray[np.float64]:
        """Values in float64, rounded where it cannot hold them."""
        return scaled(self.raw(codes), self.scales, self.axis, 0)


def _mean(values: list[Fraction]) -> Fraction:
    total = sum(values, Fraction(0))
    if not total:
        raise ValueError("values must hold a number other than 0 to fit to, not none")
    return total / len(values)
