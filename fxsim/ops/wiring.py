"""Wiring: ops that only move elements. In hardware they cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxsim import ranges
from fxsim.graph import Op
from fxsim.integers import Array, IntArray
from fxsim.ops.common import check_axes, check_axis, check_int, same_frac
from fxsim.ranges import Range
from fxsim.types import TensorType, check_shape, int_array


class Wiring(Op):
    """An op of one operand that places elements: `place` serves the types, the emulator and the wires alike.

    Subclasses define place(array, fill) for an array whose last axes are the operand's (batch axes may lead);
    `fill` is what a padding position holds.
    """

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no place")

    def check(self, a: TensorType) -> None:
        """TypeError if the operand does not fit the parameters."""

    def padding(self) -> int:
        """The raw code of padded positions."""
        return 0

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        self.check(a)
        fill = ranges.constant(np.asarray(self.padding()))
        arrays = (self.place(v, a.ndim, f[()]) for v, f in zip(a.range, fill, strict=True))
        return TensorType.from_range(Range(*arrays), a.frac)


@dataclass(frozen=True)
class Reshape(Wiring):
    """The same elements, row-major, in another shape."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def check(self, a: TensorType) -> None:
        if int(np.prod(self.shape, dtype=np.int64)) != a.size:
            raise TypeError(f"Reshape cannot turn {a.shape} ({a.size} elements) into {self.shape}")

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        return a.reshape(a.shape[: a.ndim - ndim] + self.shape)


@dataclass(frozen=True)
class Transpose(Wiring):
    """Axis i of the result is axis `axes[i]` of the operand."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(check_int("axis of Transpose", a) for a in self.axes))

    def check(self, a: TensorType) -> None:
        if len(self.axes) != a.ndim:
            raise TypeError(f"Transpose needs {a.ndim} axes for shape {a.shape}, not {self.axes}")
        check_axes(self, self.axes, a.ndim)

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        lead = a.ndim - ndim
        return a.transpose(tuple(range(lead)) + tuple(lead + i % ndim for i in self.axes))


@dataclass(frozen=True)
class Slice(Wiring):
    """a[start:stop:step] on every axis; step may be negative, stop None means to the end in step's
    direction."""

    starts: tuple[int, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("starts", "stops", "steps"):
            ends = (
                e if e is None and name == "stops" else check_int(f"{name} of Slice", e)
                for e in getattr(self, name)
            )
            object.__setattr__(self, name, tuple(ends))
        if not len(self.starts) == len(self.stops) == len(self.steps):
            raise ValueError("starts, stops and steps of Slice must have one length")
        if 0 in self.steps:
            raise ValueError("step of Slice must not be 0")

    def check(self, a: TensorType) -> None:
        if len(self.starts) != a.ndim:
            raise TypeError(f"Slice needs {a.ndim} starts for shape {a.shape}, not {self.starts}")

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        parts = [slice(b, e, s) for b, e, s in zip(self.starts, self.stops, self.steps, strict=True)]
        return a[(..., *parts)] if parts else a


@dataclass(frozen=True)
class Gather(Wiring):
    """np.take(a, indices, axis): the result has the indices' axes in place of `axis`."""

    indices: IntArray
    axis: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", int_array(self.indices))

    def check(self, a: TensorType) -> None:
        axis = check_axis(self, self.axis, a.ndim)
        i = self.indices.array
        if i.size and (i.min() < 0 or i.max() >= a.shape[axis]):
            raise TypeError(f"indices of Gather must lie in 0..{a.shape[axis] - 1}, not {i.min()}..{i.max()}")

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        taken = np.take(a, self.indices.array, axis=a.ndim - ndim + self.axis % ndim)
        return np.asarray(taken, a.dtype)  # one element of an object array comes bare


@dataclass(frozen=True)
class Pad(Wiring):
    """`before` and `after` elements of raw code `fill` on every axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    fill: int = 0

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            object.__setattr__(
                self, name, tuple(check_int("padding of Pad", v, 0) for v in getattr(self, name))
            )
        if len(self.before) != len(self.after):
            raise ValueError("before and after of Pad must have one length")
        check_int("fill of Pad", self.fill)

    def check(self, a: TensorType) -> None:
        if len(self.before) != a.ndim:
            raise TypeError(f"Pad needs {a.ndim} paddings for shape {a.shape}, not {self.before}")

    def padding(self) -> int:
        return self.fill

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        lead = a.ndim - ndim
        return _padded(a, ((0, 0),) * lead + tuple(zip(self.before, self.after, strict=True)), fill)


def _padded(a: Array, widths: tuple[tuple[int, int], ...], fill: object) -> Array:
    shape = tuple(n + b + e for n, (b, e) in zip(a.shape, widths, strict=True))
    out = np.empty(shape, a.dtype)
    out[...] = fill
    out[tuple(slice(b, b + n) for n, (b, _) in zip(a.shape, widths, strict=True))] = a
    return out


@dataclass(frozen=True)
class Window(Wiring):
    """Sliding windows over the first len(kernel) axes (channels last): the im2col of convolution and pooling.

    Operand (*space, *rest) -> (*positions, *kernel, *rest) with positions = (space + pads - dilation *
    (kernel - 1)
    - 1) // stride + 1 per axis. conv = Window, Reshape, MatMul; pool = Window, reduce.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    fill: int = 0

    def __post_init__(self) -> None:
        n = len(self.kernel)
        for name in ("stride", "dilation", "before", "after"):
            if len(getattr(self, name)) != n:
                raise ValueError(
                    f"{name} of Window must have {n} entries as kernel has, not {getattr(self, name)}"
                )
        for name, least in (("kernel", 1), ("stride", 1), ("dilation", 1), ("before", 0), ("after", 0)):
            entries = tuple(check_int(f"{name} of Window", v, least) for v in getattr(self, name))
            object.__setattr__(self, name, entries)
        check_int("fill of Window", self.fill)

    def check(self, a: TensorType) -> None:
        n = len(self.kernel)
        if a.ndim < n:
            raise TypeError(f"Window needs {n} spatial axes, not shape {a.shape}")
        for i, p in enumerate(self.positions(a.shape)):
            if p < 1:
                raise TypeError(
                    f"Window of kernel {self.kernel[i]}, dilation {self.dilation[i]} does not fit axis {i} "
                    f"of {a.shape} with padding {self.before[i]}, {self.after[i]}"
                )

    def positions(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Window positions per spatial axis."""
        return tuple(
            (n + b + e - d * (k - 1) - 1) // s + 1
            for n, b, e, d, k, s in zip(
                shape, self.before, self.after, self.dilation, self.kernel, self.stride, strict=False
            )
        )

    def padding(self) -> int:
        return self.fill

    def place(self, a: Array, ndim: int, fill: object = 0) -> Array:
        lead, n = a.ndim - ndim, len(self.kernel)
        own = a.shape[lead:]
        widths = ((0, 0),) * lead + tuple(zip(self.before, self.after, strict=True)) + ((0, 0),) * (ndim - n)
        padded = _padded(a, widths, fill) if any(self.before) or any(self.after) else a
        index = [slice(None)] * lead
        for axis, p in enumerate(self.positions(own)):
            at = (
                np.arange(p)[:, None] * self.stride[axis] + np.arange(self.kernel[axis]) * self.dilation[axis]
            )
            # Position axes come first, then kernel axes: (p0, 1, .., k0, 1, ..) against (1, p1, .., 1, k1,
            # ..).
            shape = [1] * (2 * n)
            shape[axis], shape[n + axis] = p, self.kernel[axis]
            index.append(at.reshape(shape))  # type: ignore[arg-type]
        return padded[tuple(index)]


@dataclass(frozen=True)
class Concat(Op):
    """The operands one after another along `axis`; equal shapes elsewhere, one frac."""

    axis: int

    def infer(self, *args: TensorType) -> TensorType:
        if not args:
            raise TypeError("Concat needs at least one operand")
        frac = same_frac(self, *args)
        axis = check_axis(self, self.axis, args[0].ndim)
        try:
            lo, hi, stride = (
                np.concatenate(v, axis)
                for v in ([a.lo for a in args], [a.hi for a in args], [a.stride for a in args])
            )
        except ValueError:
            raise TypeError(
                f"Concat along axis {axis} cannot join shapes {[a.shape for a in args]}"
            ) from None
        return TensorType(lo.shape, frac, lo, hi, stride)
