"""What the host does to a real input before a file's first integers: float32 arithmetic and thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fxsim.boundary import CodeEncoder, Encoder, check_real, round_real
from fxsim.integers import Array

STEPS: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "SubFrom": lambda x, c: c - x,
    "Mul": np.multiply,
    "Div": np.divide,
    "DivBy": lambda x, c: c / x,
    "Max": np.maximum,
    "Min": np.minimum,
}
"""x op constant; SubFrom is constant - x, DivBy is constant / x."""

INVERSES: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.subtract,
    "Sub": np.add,
    "SubFrom": lambda y, c: c - y,
    "Mul": np.divide,
    "Div": np.multiply,
    "Max": lambda y, c: y,
    "Min": lambda y, c: y,
}
"""What undoes a step inside its range."""


@dataclass(frozen=True)
class HostStep:
    """One float32 op with a constant: one value, or one per index of `axis` of the input."""

    op: str
    values: tuple[float, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.op not in STEPS:
            raise ValueError(f"op must be one of {', '.join(STEPS)}, not {self.op!r}")


@dataclass(frozen=True)
class SteppedEncoder(Encoder):
    """The file's float32 ops before its first quantizer, each rounded as in the file, then that quantizer.

    ValueError where a step gives NaN (a quotient 0 / 0 or a difference of infinities).
    """

    steps: tuple[HostStep, ...]
    encoder: CodeEncoder

    def encode(self, x: Array, name: str) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
            y = check_real(x, name).astype(np.float32)
            for step in self.steps:
                y = STEPS[step.op](y, spread(step.values, step.axis, y.ndim)).astype(np.float32)
        if np.isnan(y).any():
            where = tuple(int(i) for i in np.argwhere(np.isnan(y))[0])
            raise ValueError(
                f"input {name!r} must have a value before its quantizer, but {x[where]!s} at index {where} "
                f"becomes NaN in {', '.join(s.op for s in self.steps)}"
            )
        return self.encoder.encode_float32(y, x, name)

    def span(self, ndim: int) -> tuple[Array, Array]:
        """The quantizer's span before the steps; DivBy has none."""
        ends = list(self.encoder.span(ndim))
        for step in reversed(self.steps):
            if step.op not in INVERSES:
                raise ValueError(f"the host's step {step.op} has no inverse that is a range")
            values = spread(step.values, step.axis, ndim + 1).astype(np.float64)
            ends = [np.asarray(INVERSES[step.op](e, values)) for e in ends]
        return np.minimum(*ends), np.maximum(*ends)


@dataclass(frozen=True)
class LevelEncoder(CodeEncoder):
    """code = #{j : x >= levels[c][j]} in float32, as FINN's MultiThreshold: one row, or one per index of
    `axis`."""

    levels: tuple[tuple[float, ...], ...]
    axis: int | None = None

    def span(self, ndim: int) -> tuple[Array, Array]:
        """From one step below the first level to one above the last, a step being their mean distance."""
        first, last = ([row[i] for row in self.levels] for i in (0, -1))
        count = max(len(self.levels[0]) - 1, 1)
        step = [(b - a) / count or 1.0 for a, b in zip(first, last, strict=True)]
        low = [a - s for a, s in zip(first, step, strict=True)]
        high = [b + s for b, s in zip(last, step, strict=True)]
        return spread(low, self.axis, ndim + 1), spread(high, self.axis, ndim + 1)

    def bounds(self) -> tuple[Array, Array]:
        return np.array(0), np.array(len(self.levels[0]))

    def codes(self, x: Array) -> Array:
        codes = np.zeros(x.shape, np.int64)
        for level in zip(*self.levels, strict=True):
            codes += x >= spread(level, self.axis, x.ndim)
        return codes


@dataclass(frozen=True)
class FloatEncoder(CodeEncoder):
    """Small floats as QONNX's FloatQuant makes them in float32, in units of the finest: raw = value / unit.

    unit = 2**-frac, frac = bias + mantissa bits - 1. x / scale is rounded to `mantissa` bits behind its
    leading one (never finer than unit) and clipped to -largest..largest units.
    """

    scale: tuple[float, ...]
    mantissa: int
    frac: int
    largest: int
    rounding: str = "ROUND"
    axis: int | None = None

    def span(self, ndim: int) -> tuple[Array, Array]:
        top = spread(self.scale, self.axis, ndim + 1) * self.largest * 2.0**-self.frac
        return -top, top

    def bounds(self) -> tuple[Array, Array]:
        return np.array(-self.largest), np.array(self.largest)

    def codes(self, x: Array) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            y = x / spread(self.scale, self.axis, x.ndim)
        return float_codes(y, self.mantissa, self.frac, self.largest, self.rounding)


def float_codes(y: Array, mantissa: int, frac: int, largest: int, rounding: str) -> Array:
    """Integers value / 2**-frac of the small floats of y, in y's own arithmetic (QONNX's FloatQuant)."""
    tiny = np.finfo(y.dtype).tiny
    y = np.clip(y, *(y.dtype.type(s * 2.0 * (largest + 1) * 2.0**-frac) for s in (-1, 1)))
    power = np.maximum(np.floor(np.log2(np.abs(y) + tiny)) - mantissa, -frac)
    rounded = round_real(y / np.exp2(power), rounding).astype(np.float64) * np.exp2(power.astype(np.float64))
    codes: Array = np.clip(rounded * 2.0**frac, -largest, largest).astype(np.int64)
    return codes


def spread(values: object, axis: int | None, ndim: int) -> Array:
    """float32 values shaped to broadcast against an input of `ndim` axes, the batch included."""
    a = np.array(values, np.float32)
    return a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (ndim - 2 - axis % (ndim - 1)))
