"""Parameters of a codec that are one for the tensor, or one for each index of an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxsim.integers import Array, to_object


def along(values: Array, axis: int | None) -> Iterator[Array]:
    """The elements that share a parameter, one flat array for each index of `axis`.

    Raises ValueError for an axis that values lack, and for no elements, of which there is no statistic.
    """
    if axis is not None and not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be one of values of shape {values.shape}, not {axis}")
    if not values.size:
        raise ValueError(f"values must hold at least one number to fit to, not shape {values.shape}")
    rows = values.reshape(1, -1) if axis is None else np.moveaxis(values, axis, 0)
    for row in rows:
        yield row.ravel()


def spread(parameters: Sequence[Any], axis: int | None, shape: tuple[int, ...]) -> Array:
    """One parameter for each index of `axis` as an object array that broadcasts against `shape`.

    Raises ValueError where the axis has another length.
    """
    out = np.empty(len(parameters), object)
    out[:] = list(parameters)
    if axis is None:
        return out.reshape(())
    if not -len(shape) <= axis < len(shape) or shape[axis] != len(parameters):
        raise ValueError(f"axis {axis} of {shape} must have length {len(parameters)}")
    return out.reshape((-1,) + (1,) * (len(shape) - 1 - axis % len(shape)))


def scaled(raw: Array, scales: Sequence[Fraction], axis: int | None, frac: int) -> NDArray[np.float64]:
    """scale * raw * 2**-frac in float64, rounded where it cannot hold them."""
    values = to_object(raw) * (spread(scales, axis, raw.shape) / Fraction(2) ** frac)
    return np.asarray(values, np.float64).reshape(raw.shape)


def unscaled(values: Array, scales: Sequence[Fraction], axis: int | None) -> Array:
    """values / scale, exactly."""
    return np.asarray(values / spread(scales, axis, values.shape), object).reshape(values.shape)


def positive(name: str, parameters: Sequence[Any]) -> tuple[Fraction, ...]:
    """Exact parameters, all above 0; TypeError or ValueError otherwise."""
    found = tuple(Fraction(p) for p in parameters)
    if not found or any(p <= 0 for p in found):
        raise ValueError(f"{name} must be above 0, not {next((str(p) for p in found if p <= 0), 'none')}")
    return found
