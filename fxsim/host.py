"""What the host does to a real input before a file's first integers: float32 arithmetic and thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fxsim.boundary import CodeEncoder, Encoder, check_real
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
        return self.encoder.codes(y)


@dataclass(frozen=True)
class LevelEncoder(CodeEncoder):
    """code = #{j : x >= levels[c][j]} in float32, as FINN's MultiThreshold: one row, or one per index of
    `axis`."""

    levels: tuple[tuple[float, ...], ...]
    axis: int | None = None

    def bounds(self) -> tuple[Array, Array]:
        return np.array(0), np.array(len(self.levels[0]))

    def codes(self, x: Array) -> Array:
        codes = np.zeros(x.shape, np.int64)
        for level in zip(*self.levels, strict=True):
            codes += x >= spread(level, self.axis, x.ndim)
        return codes


def spread(values: object, axis: int | None, ndim: int) -> Array:
    """float32 values shaped to broadcast against an input of `ndim` axes, the batch included."""
    a = np.array(values, np.float32)
    return a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (ndim - 2 - axis % (ndim - 1)))
