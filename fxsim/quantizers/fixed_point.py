"""Fixed point with a format for the tensor, each channel or each element; any rounding and overflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.casting import cast_raw
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array, IntArray, exact, shift_left
from fxsim.ops.common import check_int
from fxsim.ops.lossy import Cast
from fxsim.quantizers.channels import along
from fxsim.quantizers.codec import Codec, code_array, fractions, register


@register("fixed point")
@dataclass(frozen=True)
class FixedPoint(Codec):
    """value = code * 2**-f, code = overflow(round(v * 2**f), width): QFX's cast (arXiv 2401.17544).

    cast  f, width and sign as arrays that broadcast against the values (one for all, one for each channel or
          each element), rounding and overflow; the op that does the same in a graph. `of` makes it from a
          Format, `fit` chooses f

    Codes are signed integers on the grid of their own element; raw = code * 2**(frac - f) is on the finest.
    Every real number is rounded exactly, as if by a cast from infinitely many bits. Lost are the bits
    below 2**-f and those that the overflow takes.

    QFX's K-hot variant, which limits the ones of a code, is the codec "K-hot".
    """

    cast: Cast
    frac: int = field(init=False, repr=False, compare=False)
    bits: int = field(init=False, repr=False, compare=False)
    scale: Fraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.cast, Cast):
            raise TypeError(f"cast must be a fxsim.ops.Cast, not {self.cast!r}; of() takes a Format")
        put = object.__setattr__
        put(self, "frac", max(self.cast.result_frac, 0))
        put(self, "scale", Fraction(2) ** max(-self.cast.result_frac, 0))
        put(self, "bits", int(self.cast.width.array.max()))

    @classmethod
    def of(cls, fmt: Format) -> FixedPoint:
        """One format for all."""
        if not isinstance(fmt, Format):
            raise TypeError(f"format must be a fxsim.Format, not {fmt!r}")
        return cls(Cast.to(fmt, source_width=fmt.width + 64))

    @classmethod
    def fit(
        cls,
        values: Any,
        width: int = 8,
        axis: int | None = None,
        *,
        element: bool = False,
        signed: bool = True,
        rounding: Rounding | str = "RND",
        overflow: Overflow | str = "SAT",
    ) -> FixedPoint:
        """f = width - 1 - ceil(log2 max |v|) (without a sign: one more) of the tensor, or of each index of
        `axis`, or of each `element`.

        A maximum that is a power of two saturates by one code if it is positive. Where all values are 0, f
        is that of a maximum of 1. Raises ValueError for width below 1, a missing axis, and both axis and
        element.
        """
        v = fractions(values)
        check_int("width", width, 1)
        if element and axis is not None:
            raise ValueError(f"axis must be None for a format of each element, not {axis!r}")
        shape: tuple[int, ...] = v.shape if element else ()
        rows = ([e] for e in v.ravel()) if element else along(v, axis)
        fracs = [width - signed - _log2_ceil(max(abs(e) for e in row)) for row in rows]
        if axis is not None:
            shape = (-1,) + (1,) * (v.ndim - 1 - axis % v.ndim)
        frac = IntArray(np.array(fracs, np.int64).reshape(shape))
        return cls(
            Cast(
                frac, IntArray(np.asarray(width)), IntArray(np.asarray(int(signed))), Rounding(rounding),
                Overflow(overflow), 0, width + 64,
            )
        )  # fmt: skip

    def encode(self, values: Any) -> Array:
        """Codes at each element's own f."""
        v = fractions(values)
        frac, width, signed = self.cast.parameters(v.shape)
        source = np.empty(v.shape, object)
        for i, e in np.ndenumerate(v):
            # Two more bits and one that says whether anything is below them: all that a rounding asks for.
            scaled = e * Fraction(2) ** (int(frac[i]) + 2)
            floor = scaled.numerator // scaled.denominator
            source[i] = 2 * floor + (floor != scaled)
        c = self.cast
        return cast_raw(
            exact(source), src_frac=frac + 3, frac=frac, width=width, signed=signed, rounding=c.rounding,
            overflow=c.overflow, n=c.n, source_width=width + 64,
        )  # fmt: skip

    def raw(self, codes: Any) -> Array:
        """code * 2**(frac - f). Raises ValueError for a code that its element's format lacks."""
        a = exact(codes)
        frac, width, signed = self.cast.parameters(a.shape)
        one = shift_left(np.ones(a.shape, np.int64), np.maximum(width - signed, 0))
        most = np.where(width == 0, 0, exact(one - 1))
        least = np.where((signed == 1) & (width > 0), -most - 1, 0)
        bad = np.argwhere((a < least) | (a > most))
        if len(bad):
            at = tuple(int(k) for k in bad[0])
            code_array(a[at], int(np.asarray(least)[at]), int(np.asarray(most)[at]), f"code at {at}")
        return shift_left(a, self.cast.result_frac - frac)


def _log2_ceil(v: Fraction) -> int:
    """ceil(log2 v) of v > 0, exactly; 0 of 0."""
    if not v:
        return 0
    e = v.numerator.bit_length() - v.denominator.bit_length() - 1
    while Fraction(2) ** e < v:
        e += 1
    return e
