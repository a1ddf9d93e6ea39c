"""Arrays of dyadic rationals: exact integers over one power of two, for bounds that must not round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.integers import Array, add, exact, matmul, multiply, shift_left, subtract

UP_BITS = 64  # a rational that is no dyadic one is rounded up to 2**-UP_BITS


@dataclass(frozen=True, eq=False)
class Scaled:
    """The values raw * 2**-scale; every operation is exact (int64 while it fits, Python integers beyond)."""

    raw: Array
    scale: int = 0

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> Scaled:
        """All 0, in no memory."""
        return cls(np.broadcast_to(np.int64(0), shape))

    @classmethod
    def above(cls, value: Fraction | int, shape: tuple[int, ...] = ()) -> Scaled:
        """`value` everywhere, rounded up to 2**-64 unless it is dyadic."""
        value = Fraction(value)
        d = value.denominator
        scale = d.bit_length() - 1 if d & (d - 1) == 0 else UP_BITS
        raw = exact(-((-value.numerator << scale) // d))
        return cls(np.broadcast_to(raw, shape), scale)

    @classmethod
    def below(cls, value: Fraction | int, shape: tuple[int, ...] = ()) -> Scaled:
        """`value` everywhere, rounded down to 2**-64 unless it is dyadic."""
        return -cls.above(-Fraction(value), shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    def at(self, scale: int) -> Array:
        """The integers over 2**scale, for a scale no coarser than this one."""
        return self.raw if scale == self.scale else shift_left(self.raw, scale - self.scale)

    def each(self, fn: Callable[[Array], Array]) -> Scaled:
        """fn of the integers, at the same scale."""
        return Scaled(exact(fn(self.raw)), self.scale)

    def __neg__(self) -> Scaled:
        return self.each(lambda a: exact(-a))

    def __abs__(self) -> Scaled:
        return self.each(lambda a: exact(np.abs(a)))

    def __add__(self, other: Scaled) -> Scaled:
        scale = max(self.scale, other.scale)
        return Scaled(add(self.at(scale), other.at(scale)), scale)

    def __sub__(self, other: Scaled) -> Scaled:
        scale = max(self.scale, other.scale)
        return Scaled(subtract(self.at(scale), other.at(scale)), scale)

    def __mul__(self, other: Scaled) -> Scaled:
        return Scaled(multiply(self.raw, other.raw), self.scale + other.scale)

    def __matmul__(self, other: Scaled) -> Scaled:
        return Scaled(matmul(self.raw, other.raw), self.scale + other.scale)

    def shifted(self, power: int) -> Scaled:
        """The values times 2**power."""
        return Scaled(self.raw, self.scale - power)

    def total(self, axes: tuple[int, ...]) -> Scaled:
        """The sum over `axes`."""
        out = self.raw
        for axis in sorted(axes, reverse=True):
            moved = np.moveaxis(out, axis, -1)
            if not moved.shape[-1]:
                out = np.zeros(moved.shape[:-1], np.int64)
                continue
            ones = np.ones((moved.shape[-1], 1), np.int64)
            out = matmul(moved.reshape(-1, moved.shape[-1]), ones).reshape(moved.shape[:-1])
        return Scaled(out, self.scale)

    def greatest(self) -> Fraction:
        """The largest value; 0 of none."""
        return Fraction(int(self.raw.max()), 1) * Fraction(2) ** -self.scale if self.raw.size else Fraction(0)

    def fractions(self) -> Array:
        """An object array of Fractions."""
        out = np.empty(self.shape, object)
        unit = Fraction(2) ** -self.scale
        for i in np.ndindex(self.shape):
            out[i] = int(self.raw[i]) * unit
        return out

    def trimmed(self) -> Scaled:
        """The same values at the least scale >= 0 that holds them."""
        a = self.raw
        if not a.size or self.scale <= 0:
            return self
        drop = self.scale
        for v in np.unique(a).tolist():
            if v:
                drop = min(drop, (v & -v).bit_length() - 1)
        return Scaled(exact(a >> drop), self.scale - drop) if drop else self


def greater(a: Scaled, b: Scaled) -> Scaled:
    """Elementwise maximum."""
    scale = max(a.scale, b.scale)
    return Scaled(exact(np.maximum(*_alike(a.at(scale), b.at(scale)))), scale)


def lesser(a: Scaled, b: Scaled) -> Scaled:
    """Elementwise minimum."""
    scale = max(a.scale, b.scale)
    return Scaled(exact(np.minimum(*_alike(a.at(scale), b.at(scale)))), scale)


def where(mask: Array, a: Scaled, b: Scaled) -> Scaled:
    """a where the mask holds, else b."""
    scale = max(a.scale, b.scale)
    return Scaled(exact(np.where(mask, *_alike(a.at(scale), b.at(scale)))), scale)


def exceeds(a: Scaled, b: Scaled) -> Array:
    """Elementwise a > b."""
    scale = max(a.scale, b.scale)
    return np.asarray(np.greater(*_alike(a.at(scale), b.at(scale))), bool)


def _alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Both int64 or both objects, so that NumPy compares Python integers with Python integers."""
    return (a, b) if a.dtype == b.dtype else (a.astype(object), b.astype(object))
