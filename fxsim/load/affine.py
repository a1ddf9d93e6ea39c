"""Real values during loading: per channel a line over the integer codes, with the clamps that ReLU leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from fxsim.boundary import Affine
from fxsim.graph import Op
from fxsim.host import HostStep
from fxsim.integers import Array
from fxsim.trace import Tensor

if TYPE_CHECKING:
    from fxsim.load.terms import Curve

ZERO, ONE = Fraction(0), Fraction(1)
T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """real = scale * min(max(value, low), high) + offset, in exact rationals; None is no clamp.

    Closed under affine maps and clips, so that any chain of batch norm, scale, bias and ReLU stays one line.
    """

    scale: Fraction = ONE
    offset: Fraction = ZERO
    low: Fraction | None = None
    high: Fraction | None = None

    @property
    def clamped(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def identity(self) -> bool:
        return self == IDENTITY

    def then(self, scale: Fraction, offset: Fraction) -> Line:
        """scale * real + offset."""
        return replace(self, scale=self.scale * scale, offset=self.offset * scale + offset)

    def clip(self, low: Fraction | None, high: Fraction | None) -> Line:
        """min(max(real, low), high)."""
        if self.scale == 0:
            real = self.offset if low is None else max(self.offset, low)
            return Line(ZERO, real if high is None else min(real, high))
        at = [None if bound is None else (bound - self.offset) / self.scale for bound in (low, high)]
        if self.scale < 0:
            at.reverse()
        low, high = self.low, self.high
        if at[0] is not None:
            low = at[0] if low is None else max(low, at[0])
            high = None if high is None else max(high, at[0])
        if at[1] is not None:
            high = at[1] if high is None else min(high, at[1])
            low = None if low is None else min(low, at[1])
        return replace(self, low=low, high=high)


IDENTITY = Line()


@dataclass(frozen=True)
class Activation:
    """A tensor of the file: real = line(value of `tensor`), one line, or one per index of `axis`."""

    tensor: Tensor
    lines: tuple[Line, ...] = (IDENTITY,)
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.axis is not None and len(set(self.lines)) == 1:
            object.__setattr__(self, "axis", None)
            object.__setattr__(self, "lines", self.lines[:1])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def identity(self) -> bool:
        """Is the tensor's value the real value?"""
        return all(line.identity for line in self.lines)

    @property
    def clamped(self) -> bool:
        return any(line.clamped for line in self.lines)

    def affine(self) -> Affine:
        """The host's map to real values; the caller has excluded clamps."""
        return Affine(tuple(li.scale for li in self.lines), tuple(li.offset for li in self.lines), self.axis)

    def map(self, fn: Callable[..., Line], *parameters: Channels) -> Activation:
        """fn(line, *parameters) per channel."""
        axes = {a for a in (self.axis, *(p.axis for p in parameters)) if a is not None}
        if len(axes) > 1:
            raise ValueError(f"scales must vary along one axis, not along axes {sorted(axes)} at once")
        axis = axes.pop() if axes else None
        n = 1 if axis is None else self.shape[axis]
        columns = [_spread(self.lines, n), *(_spread(p.values, n) for p in parameters)]
        return Activation(self.tensor, tuple(fn(*row) for row in zip(*columns, strict=True)), axis)

    def settled(self) -> Activation:
        """The same reals, a common power-of-two scale moved into the tensor's binary point (free)."""
        line = self.lines[0]
        if len(self.lines) == 1 and not line.clamped and line.offset == 0 and line.scale != 1:
            power = log2(line.scale)
            if power is not None:
                return Activation(self.tensor << power)
        return self


@dataclass(frozen=True)
class RealInput:
    """The file's real-valued input before its first quantizer: the wiring and the arithmetic met so far.

    `steps` act on the input as it comes, of shape `start`, and `wiring` follows them.
    """

    name: str
    shape: tuple[int, ...]
    start: tuple[int, ...]
    wiring: tuple[Op, ...] = ()
    steps: tuple[HostStep, ...] = ()

    def unwired(self, values: Array) -> Channels:
        """Parameters that broadcast against the wired input, as ones of the input itself.

        ValueError where they vary along several axes of it.
        """
        a = np.asarray(values)
        if a.size > 1 and self.wiring:
            a = np.broadcast_to(a, (1, *self.shape))
            index = np.arange(int(np.prod(self.start))).reshape(1, *self.start)
            for op in self.wiring:
                index = np.asarray(op.place(index, index.ndim - 1))  # type: ignore[attr-defined]
            full = np.ones((1, *self.start), a.dtype)  # elements that the wiring drops do not matter
            full.ravel()[index.ravel()] = a.ravel()
            if np.any(full.ravel()[index] != a):
                raise ValueError("an element of the input that is used twice has two parameters")
            a = full
        return channels(a, self.start)


@dataclass(frozen=True)
class Constant:
    """An array of the file (its own batch axis included). A quantized one keeps its integers: codes * scale.

    `scale` is a float32 array that broadcasts to `codes`; the zero point is subtracted from the codes
    already.
    """

    values: Array
    codes: Array | None = None
    scale: Array | None = None

    def fractions(self) -> Array:
        """The exact values, as an object array of Fractions."""
        if self.codes is None or self.scale is None:
            return as_fractions(self.values)
        return np.asarray(
            as_fractions(np.broadcast_to(self.scale, self.codes.shape)) * as_fractions(self.codes)
        )


@dataclass(frozen=True)
class Channels:
    """One value, or one per index of `axis`."""

    values: tuple[Fraction, ...]
    axis: int | None = field(default=None)


Symbol: TypeAlias = "Activation | RealInput | Constant | Curve"


def as_fractions(a: Array) -> Array:
    """Every finite number as its exact Fraction."""
    a = np.asarray(a)
    if a.dtype.kind not in "biufO":  # bfloat16, int4: doubles hold them
        a = a.astype(np.float64)
    if a.dtype.kind == "f" and not np.all(np.isfinite(a)):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise ValueError(f"a constant must be finite, not {a[at]} at {at}; train or export the model again")
    out = np.empty(a.shape, object)
    flat = a.ravel().tolist()
    out.ravel()[:] = [Fraction(v) for v in flat]
    if out.ndim == 0:
        out[()] = Fraction(flat[0])
    return out


def channels(values: Array, shape: tuple[int, ...]) -> Channels:
    """A constant that broadcasts against a tensor of `shape` (batch axis first in the file), per channel.

    ValueError where it varies along the batch axis or along several axes.
    """
    full = (1, *shape)
    a = np.asarray(values)
    if a.ndim > len(full):
        if any(n != 1 for n in a.shape[: a.ndim - len(full)]):
            raise ValueError(f"a constant of shape {a.shape} does not broadcast to {full}")
        a = a.reshape(a.shape[a.ndim - len(full) :])
    a = a.reshape((1,) * (len(full) - a.ndim) + a.shape)
    wide = [i for i, n in enumerate(a.shape) if n != 1]
    if any(a.shape[i] != full[i] for i in wide):
        raise ValueError(f"a constant of shape {np.shape(values)} does not broadcast to {full}")
    if len(wide) > 1:
        flat = [i for i in wide if not _varies(a, i)]
        a = a[tuple(slice(0, 1) if i in flat else slice(None) for i in range(a.ndim))]
        wide = [i for i in wide if i not in flat]
    if not wide:
        return Channels(tuple(as_fractions(a).ravel()))
    if len(wide) > 1 or wide == [0]:
        raise ValueError(
            f"a constant must vary along one axis other than the batch, not have shape {np.shape(values)}"
        )
    return Channels(tuple(as_fractions(a).ravel()), wide[0] - 1)


def _varies(a: Array, axis: int) -> bool:
    return not bool(np.all(a == np.take(a, [0], axis)))


def rewired(lines: Sequence[T], axis: int, old: tuple[int, ...], op: Op) -> tuple[tuple[T, ...], int]:
    """The lines and their axis after a wiring op; ValueError where no axis separates the channels."""
    index = np.broadcast_to(np.arange(old[axis]).reshape((-1,) + (1,) * (len(old) - 1 - axis)), old)
    placed = np.asarray(op.place(index[None], len(old), 0)[0])  # type: ignore[attr-defined]
    for i in range(placed.ndim):
        rows = np.moveaxis(placed, i, 0).reshape(placed.shape[i], -1)
        if np.all(rows == rows[:, :1]):
            return tuple(lines[c] for c in rows[:, 0]), i
    raise ValueError("the per-channel scales do not follow one axis of the result")


def log2(value: Fraction) -> int | None:
    """The power of a positive power of two, else None."""
    n, d = value.numerator, value.denominator
    if n <= 0 or n & (n - 1) or d & (d - 1):
        return None
    return n.bit_length() - d.bit_length()


def _spread(values: Iterable[object], n: int) -> list[object]:
    out = list(values)
    return out if len(out) == n else out * n
