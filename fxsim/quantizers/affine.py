"""Affine codes with a zero point, q = clip(round(x / S) + Z): one scale for a tensor, or one per channel."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fxsim.casting import round_shift
from fxsim.formats import Rounding
from fxsim.integers import Array, exact, to_object
from fxsim.quantizers.codec import Codec, code_array, fractions, register


def nearest(values: Any, rounding: Rounding | str = Rounding.RND_CONV) -> Array:
    """Exact rationals (any shape) rounded to integers by a mode of casts."""
    real = np.asarray(values, object)
    quarters = np.empty(real.shape, object)
    for i, v in np.ndenumerate(real):
        floor, rest = divmod(2 * v, 1)
        # Every mode asks only whether a value is an integer, below, at or above a half: quarters tell.
        quarters[i] = 2 * int(floor) + (rest != 0)
    return round_shift(quarters, 2, Rounding(rounding))


@register("affine")
@dataclass(frozen=True)
class Affine(Codec):
    """x = scale * (q - zero), q = clip(round(x / scale) + zero) in `bits` bits; raw = q - zero, frac 0.

    scale     real value of one step, exact and positive (a float is the dyadic number that it is)
    zero      the code of 0.0, itself a code: 0.0 is then exact, which zero padding needs
    bits      of a code; signed codes lie in -2**(bits-1)..2**(bits-1)-1, unsigned ones in 0..2**bits-1
    narrow    signed only: the least code is left out, so that codes are symmetric
    rounding  of x / scale, ties to even by default (as ONNX and NumPy round)

    Lost: what lies below half a step, and values beyond the codes, which saturate. With zero = 0 it is the
    symmetric quantizer; `symmetric` takes S = max|x| / (2**(bits-1) - 1), `fit` the range of the values with
    0 in it. Raises ValueError for a scale that is not positive or a zero point that is no code.
    Source: Gholami et al., arXiv 2103.13630; gemmlowp.
    """

    scale: Fraction
    zero: int = 0
    bits: int = 8
    signed: bool = True
    narrow: bool = False
    rounding: Rounding = Rounding.RND_CONV

    frac = 0

    def __post_init__(self) -> None:
        scale = fractions(self.scale)
        if scale.ndim or scale[()] <= 0:
            raise ValueError(f"scale of Affine must be one positive number, not {self.scale!r}")
        object.__setattr__(self, "scale", scale[()])
        object.__setattr__(self, "rounding", Rounding(self.rounding))
        for name in ("zero", "bits"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{name} of Affine must be an integer, not {value!r}")
            object.__setattr__(self, name, int(value))
        if not 1 + self.signed <= self.bits <= 32:
            raise ValueError(f"bits of Affine must lie in {1 + self.signed}..32, not {self.bits}")
        if self.narrow and not self.signed:
            raise ValueError("narrow of Affine must be False for unsigned codes, not True")
        if not self.lo <= self.zero <= self.hi:
            raise ValueError(f"zero of Affine must be a code, {self.lo}..{self.hi}, not {self.zero}")

    @property
    def lo(self) -> int:
        """The least code."""
        return int(self.narrow) - (1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """The greatest code."""
        return (1 << (self.bits - self.signed)) - 1

    @classmethod
    def symmetric(cls, values: Any, bits: int = 8, rounding: Rounding | str = Rounding.RND_CONV) -> Self:
        """Zero point 0, S = max|x| / (2**(bits-1) - 1), no least code. ValueError for all zeros."""
        largest = _largest([abs(v) for v in fractions(values).ravel()])
        if bits < 2:
            raise ValueError(f"bits of symmetric codes must be at least 2, not {bits!r}")
        return cls(largest / ((1 << (bits - 1)) - 1), 0, bits, True, True, Rounding(rounding))

    @classmethod
    def fit(
        cls, values: Any, bits: int = 8, signed: bool = True, rounding: Rounding | str = Rounding.RND_CONV
    ) -> Self:
        """The codes over least..greatest value and 0: S = range / (2**bits - 1), the zero point rounded."""
        flat = list(fractions(values).ravel())
        low, high = min([*flat, Fraction(0)]), max([*flat, Fraction(0)])
        scale = _largest([high - low]) / ((1 << bits) - 1)
        least = -(1 << (bits - 1)) if signed else 0
        zero = min(max(least + int(nearest(-low / scale)), least), least + (1 << bits) - 1)
        return cls(scale, zero, bits, signed, False, Rounding(rounding))

    def encode(self, values: Any) -> Array:
        """Codes lo..hi, signed as the codec is."""
        real = fractions(values)
        steps = np.empty(real.shape, object)
        for i, v in np.ndenumerate(real):
            steps[i] = v / self.scale
        codes = to_object(nearest(steps, self.rounding)) + self.zero
        return exact(np.minimum(np.maximum(codes, self.lo), self.hi))

    def raw(self, codes: Any) -> Array:
        """q - zero."""
        return exact(code_array(codes, self.lo, self.hi) - self.zero)


@register("affine per channel")
@dataclass(frozen=True)
class AffinePerChannel(Codec):
    """One Affine per index of `axis`: x_c = scale_c * (q_c - zero_c); raw = q - zero, frac 0, scale 1.

    channels  the codecs, all of one width and sign; their scales join the factor of the requantization that
              follows a sum, channel by channel
    axis      of the tensor that the channels run along

    `decode` multiplies by each channel's own scale. Raises ValueError for channels of unlike codes and for
    an axis of another size. Source: Krishnamoorthi, arXiv 1806.08342.
    """

    channels: tuple[Affine, ...]
    axis: int = -1

    frac = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if not self.channels or not all(isinstance(c, Affine) for c in self.channels):
            raise TypeError(f"channels must be one Affine or more, not {self.channels!r}")
        if len({(c.bits, c.lo, c.hi) for c in self.channels}) > 1:
            raise ValueError("channels must share bits, signed and narrow; they do not")
        object.__setattr__(self, "bits", self.channels[0].bits)

    @classmethod
    def symmetric(
        cls, values: Any, axis: int = -1, bits: int = 8, rounding: Rounding | str = Rounding.RND_CONV
    ) -> Self:
        """`Affine.symmetric` of every channel; a channel of zeros takes scale 1."""
        moved = np.moveaxis(fractions(values), axis, 0)
        ones = [c if np.any(c != 0) else np.array([Fraction((1 << (bits - 1)) - 1)], object) for c in moved]
        return cls(tuple(Affine.symmetric(c, bits, rounding) for c in ones), axis)

    @property
    def scales(self) -> tuple[Fraction, ...]:
        """Real value of one step, per channel."""
        return tuple(c.scale for c in self.channels)

    @property
    def zeros(self) -> tuple[int, ...]:
        """Zero point per channel."""
        return tuple(c.zero for c in self.channels)

    def encode(self, values: Any) -> Array:
        return self._each("encode", fractions(values), object)

    def raw(self, codes: Any) -> Array:
        return exact(self._each("raw", exact(codes), object))

    def decode(self, codes: Any) -> NDArray[np.float64]:
        return self._each("decode", exact(codes), np.float64)

    def _each(self, method: str, values: Array, dtype: Any) -> Array:
        if not -values.ndim <= self.axis < values.ndim or values.shape[self.axis] != len(self.channels):
            raise ValueError(
                f"axis {self.axis} must have {len(self.channels)} channels, not shape {values.shape}"
            )
        rows = np.moveaxis(values, self.axis, 0)
        out = np.empty(rows.shape, dtype)
        for k, channel in enumerate(self.channels):
            out[k] = getattr(channel, method)(rows[k])
        moved = np.moveaxis(out, 0, self.axis)
        return exact(moved) if dtype is object else moved


def _largest(values: list[Fraction]) -> Fraction:
    largest = max(values, default=Fraction(0))
    if not largest:
        raise ValueError("values must not all be zero: no scale fits them")
    return largest
