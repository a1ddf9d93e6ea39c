"""The host's side of a graph: how real values become raw codes, and how raw codes become real values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxsim.casting import from_double, to_double
from fxsim.formats import Format, Overflow
from fxsim.integers import Array, exact

QUANT_ROUNDINGS = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


@dataclass(frozen=True)
class Affine:
    """real = scale * value + offset, in exact rationals; value = raw * 2**-frac of the tensor.

    `scale` and `offset` hold one Fraction, or one per index of `axis` (an axis of the tensor without its
    batch).
    """

    scale: tuple[Fraction, ...] = (Fraction(1),)
    offset: tuple[Fraction, ...] = (Fraction(0),)
    axis: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(Fraction(s) for s in self.scale))
        object.__setattr__(self, "offset", tuple(Fraction(o) for o in self.offset))
        if self.axis is None and (len(self.scale), len(self.offset)) != (1, 1):
            raise ValueError(
                f"axis must be given for {max(len(self.scale), len(self.offset))} scales or offsets"
            )

    @property
    def is_identity(self) -> bool:
        return all(s == 1 for s in self.scale) and all(o == 0 for o in self.offset)

    def apply(self, raw: Array, frac: int, ndim: int) -> Array:
        """float64 nearest to scale * raw * 2**-frac + offset; raw has the batch axes before its `ndim` own
        axes.

        OverflowError where the scale is a power of two and the offset 0, so that the exact value is expected,
        but float64 does not hold it. ValueError where `axis` is none of the own axes.
        """
        raw = exact(raw)
        if self.axis is not None and not -ndim <= self.axis < ndim:
            raise ValueError(f"axis must be in {-ndim}..{ndim - 1}, not {self.axis}")
        unit = Fraction(1, 1 << frac) if frac >= 0 else Fraction(1 << -frac)
        if self.axis is None:
            return _affine(raw, self.scale[0] * unit, self.offset[0])
        axis = self.axis - ndim if self.axis >= 0 else self.axis
        rows = np.moveaxis(raw, axis, 0)
        n = len(rows)
        scale = self.scale if len(self.scale) == n else self.scale * n
        offset = self.offset if len(self.offset) == n else self.offset * n
        if len(scale) != n or len(offset) != n:
            raise ValueError(
                f"scale and offset must have 1 or {n} entries, not {len(self.scale)}, {len(self.offset)}"
            )
        out = [_affine(r, s * unit, o) for r, s, o in zip(rows, scale, offset, strict=True)]
        return np.moveaxis(np.stack(out), 0, axis) if out else raw.astype(np.float64)


def _affine(raw: Array, scale: Fraction, offset: Fraction) -> Array:
    power = scale > 0 and (scale.numerator == 1 or scale.denominator == 1) and _is_power(scale)
    if offset == 0 and power:
        exponent = scale.numerator.bit_length() - scale.denominator.bit_length()
        values, lost = to_double(raw, -exponent)
        if np.any(lost):
            raise OverflowError(
                f"raw code {raw[lost][0]} times 2**{exponent} needs more than the 53 bits or the exponents "
                f"that float64 has; use run_raw"
            )
        return values
    codes, inverse = np.unique(raw, return_inverse=True)
    try:
        reals = np.array([float(scale * int(c) + offset) for c in codes], np.float64)
    except OverflowError:
        raise OverflowError(f"{scale} * code + {offset} is beyond float64's largest; use run_raw") from None
    return reals[inverse].reshape(raw.shape) if raw.size else raw.astype(np.float64)


def _is_power(q: Fraction) -> bool:
    n = q.numerator * q.denominator
    return n & (n - 1) == 0


@dataclass(frozen=True)
class Encoder:
    """Real values to raw codes, on the host. A frozen description; subclasses say how."""

    registry: ClassVar[dict[str, type[Encoder]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        Encoder.registry[cls.__name__] = cls

    def encode(self, x: Array, name: str) -> Array:
        """Raw codes of real values x; ValueError names the input and the first bad index."""
        raise NotImplementedError(f"{type(self).__name__} has no encode rule")

    def span(self, ndim: int) -> tuple[Array, Array]:
        """(a, b): real values of codes of their own lie between, for an input of `ndim` axes without the
        batch; shaped to broadcast to it. What random samples are drawn from."""
        raise NotImplementedError(f"{type(self).__name__} has no span rule")


@dataclass(frozen=True)
class FormatEncoder(Encoder):
    """The format's own rounding; saturation only where the format asks for it, else out of range is an
    error."""

    format: Format

    def span(self, ndim: int) -> tuple[Array, Array]:
        return np.array(self.format.lo * 2.0**-self.format.frac), np.array(
            self.format.hi * 2.0**-self.format.frac
        )

    def encode(self, x: Array, name: str) -> Array:
        x, f = check_real(x, name), self.format
        if f.overflow not in (Overflow.WRAP, Overflow.WRAP_SM):
            return from_double(x, f)
        # A wrapped input is never what a user means, so wrapping is left to casts inside the graph. What
        # saturates one bit further out tells a code outside from every code inside.
        raw = from_double(
            x, f.replace(width=f.width + 1, int_bits=f.int_bits + 1, overflow=Overflow.SAT, saturation_bits=0)
        )
        bad = np.argwhere((raw < f.lo) | (raw > f.hi))
        if len(bad):
            where = tuple(int(i) for i in bad[0])
            lo, hi = (_real_text(v, f.frac) for v in (f.lo, f.hi))
            raise ValueError(
                f"input {name!r} must lie in {lo}..{hi} ({f}), not {x[where]!s} at index {where}"
            )
        return raw


def _real_text(code: int, frac: int) -> str:
    """code * 2**-frac as float64 has it nearest, or spelled out beyond float64's exponents."""
    try:
        real = float(Fraction(code) * Fraction(2) ** -frac)
    except OverflowError:
        real = 0.0
    return str(real) if real or not code else f"{code} * 2**{-frac}"


@dataclass(frozen=True)
class CodeEncoder(Encoder):
    """A quantizer of the model file in its own float32; float32 arithmetic may stand before it."""

    def bounds(self) -> tuple[Array, Array]:
        """(least, greatest) code, exact integers: one, one per index of the input's channel axis, or one per
        element."""
        raise NotImplementedError(f"{type(self).__name__} has no bounds rule")

    def codes(self, x: Array) -> Array:
        """The codes of float32 numbers (infinities saturate)."""
        raise NotImplementedError(f"{type(self).__name__} has no codes rule")

    def has_code(self, x: Array) -> Array:
        """Which float32 numbers have a code: all but NaN, unless a subclass wraps."""
        return ~np.isnan(x)

    def encode(self, x: Array, name: str) -> Array:
        with np.errstate(over="ignore"):  # beyond float32 is infinite there, and saturates
            return self.encode_float32(check_real(x, name).astype(np.float32), x, name)

    def encode_float32(self, y: Array, x: Array, name: str) -> Array:
        """The codes of y, which float32 arithmetic made from the input x; ValueError where there is none."""
        bad = ~self.has_code(y)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"input {name!r} must stay within float32 where it is quantized, not {np.asarray(x)[where]} "
                f"at index {where}"
            )
        return self.codes(y)


@dataclass(frozen=True)
class QuantEncoder(CodeEncoder):
    """The model file's own input quantizer, in its own float32: clip(round(x / scale + zero_point), lo, hi).

    `scale`, `zero_point` are float32 numbers, one or one per index of `axis`, and so are `lo` and `hi`. The
    codes keep the zero point (value = code - zero_point is the graph's affair). `after` is a zero point that
    is added once x / scale is rounded, as TFLite does: ties then go elsewhere. The rounding BIPOLAR gives 1
    where x / scale + zero_point >= 0, else 0.
    """

    scale: tuple[float, ...]
    zero_point: tuple[float, ...]
    lo: int | tuple[int, ...]
    hi: int | tuple[int, ...]
    rounding: str = "ROUND"
    axis: int | None = None
    after: int = 0

    def __post_init__(self) -> None:
        if self.rounding not in (*QUANT_ROUNDINGS, "BIPOLAR"):
            raise ValueError(f"rounding must be one of {QUANT_ROUNDINGS}, not {self.rounding!r}")
        if any(not (s > 0 and np.isfinite(s)) for s in self.scale):
            raise ValueError(f"scale must be positive and finite, not {self.scale}")

    def codes(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            scale, zero = (
                self._spread(np.array(v, np.float32), x.ndim) for v in (self.scale, self.zero_point)
            )
            q = x / scale + zero
        if self.rounding == "BIPOLAR":
            return np.asarray(q >= 0, np.int64)
        # In float64, as float32 would round the bounds of codes beyond 24 bits.
        codes = round_real(q, self.rounding).astype(np.float64) + self.after
        lo, hi = (self._spread(exact(np.array(v, object)), x.ndim) for v in (self.lo, self.hi))
        inside = np.clip(codes, lo.astype(np.float64), hi.astype(np.float64))
        if max(abs(int(lo.min())), abs(int(hi.max()))) < 1 << 53:
            return inside.astype(np.int64)
        whole = np.array([int(v) for v in inside.ravel().tolist()], object).reshape(x.shape)
        return exact(np.minimum(np.maximum(whole, lo.astype(object)), hi.astype(object)))

    def span(self, ndim: int) -> tuple[Array, Array]:
        scale, zero, lo, hi = (
            self._spread(np.array(v, np.float64), ndim + 1)
            for v in (self.scale, self.zero_point, *self.bounds())
        )
        if self.rounding == "BIPOLAR":
            lo, hi = lo - 1, hi
        return (lo - zero - self.after) * scale, (hi - zero - self.after) * scale

    def bounds(self) -> tuple[Array, Array]:
        if self.rounding == "BIPOLAR":
            return np.array(0), np.array(1)
        return exact(np.array(self.lo, object)), exact(np.array(self.hi, object))

    def _spread(self, a: Array, ndim: int) -> Array:
        if self.axis is None or a.size == 1:
            return a.reshape(())
        return a.reshape((-1,) + (1,) * (ndim - 2 - self.axis % (ndim - 1)))


def round_real(q: Array, mode: str) -> Array:
    """QONNX rounding of a real array: HALF_UP is half away from zero, HALF_DOWN half toward zero, UP away
    from 0."""
    if mode in ("ROUND", "HALF_EVEN"):
        return np.asarray(np.rint(q))
    if mode == "CEIL":
        return np.asarray(np.ceil(q))
    if mode == "FLOOR":
        return np.asarray(np.floor(q))
    magnitude = np.abs(q)
    if mode == "UP":
        rounded = np.ceil(magnitude)
    elif mode == "DOWN":
        rounded = np.floor(magnitude)
    else:
        whole = np.floor(magnitude)
        with np.errstate(invalid="ignore"):  # an infinity keeps no part, and stays one
            part = magnitude - whole  # exact: floor(m + 0.5) is wrong just below one half
        rounded = whole + (part >= 0.5 if mode == "HALF_UP" else part > 0.5)
    return np.asarray(np.copysign(rounded, q))


def check_real(x: Array, name: str) -> Array:
    """x as finite floats of at most 64 bits or as integers of any size, kept as they are.

    TypeError or ValueError names the input and the first bad index.
    """
    a = np.asarray(x)
    if a.dtype.kind in "iub":
        return a
    if a.dtype == object and all(isinstance(v, (int, np.integer)) for v in a.flat):
        return exact(a)
    if a.dtype.kind != "f":
        raise TypeError(f"input {name!r} must be real numbers, not {a.dtype}")
    if a.dtype.itemsize > 8:
        raise TypeError(f"input {name!r} must be floats of at most 64 bits, not {a.dtype}")
    if not np.isfinite(a).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise ValueError(f"input {name!r} must be finite, not {a[where]} at index {where}")
    return a
