"""AdderNet: distances in place of products, y = -sum |x - w|."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.formats import Format
from fxsim.trace import Tensor, maximum

CONSTANT, RUNTIME = "constant", "runtime"


def distance(x: Tensor, w: Tensor) -> Tensor:
    """|x - w| of two varying tensors of one frac, exact: d = x - w, then (d ^ m) - m with m = -(d < 0).

    In hardware one subtractor, and the exclusive or in the LUTs of a second: 16 LUTs for 8 bits. Broadcasts.
    Raises TypeError where the fracs differ.
    """
    _one_scale(x.frac, w.frac)
    d = x - w
    lo, hi = d.type.bounds
    if lo >= 0 or hi <= 0:
        return d if lo >= 0 else -d
    whole = d._apply(ops.Scale(d.frac))  # bit ops and the mask on the raw integers
    mask = -(whole < 0)
    bits = max(-lo, hi).bit_length()
    y = ((whole ^ mask) - mask).cast(Format(bits, bits, False))
    return y._apply(ops.Scale(-d.frac))


def adder_dot(x: Tensor, weights: Any, frac: int | None = None, name: str = "adder") -> Tensor:
    """y_j = -sum_i |x_i - w_ij|, exact: (..., n) and (n, m) or (n,) to (..., m) or (...), at x's frac.

    weights  constant reals, exactly representable at x's frac; or a tensor of x's frac, loaded at run time
    frac     of the weights, if they are constants given as raw integers: it must be x's

    x and w must share one scale: |x - w| of two scales is no distance, and no factor behind the sum repairs
    it. With constants it is sum_i x_i + sum_i w_ij - 2 * sum_i max(x_i, w_ij), where the sum of x serves all
    outputs and max with a constant is a clamp, about half of a distance; at run time it is `distance`. y <=
    0: a batch norm belongs behind it. The accumulator has ceil(log2(n)) + 1 more bits than the distances
    (576 of 8 bits: 19). Raises TypeError for weights of another frac, ValueError for other shapes.

    Source: AdderNet (CVPR 2020).
    """
    runtime = isinstance(weights, Tensor)
    inputs = [x, weights] if runtime else [x]
    with x.builder.block("adder_dot", name, inputs, {"form": RUNTIME if runtime else CONSTANT}) as out:
        y = _runtime(x, weights) if runtime else _constant(x, weights, frac)
        out.append(y)
    return y


def _runtime(x: Tensor, w: Tensor) -> Tensor:
    _check_shape(x, w.shape)
    _one_scale(x.frac, w.frac)
    if w.ndim == 1:
        return -distance(x, w).sum(-1)
    return -distance(x.reshape(*x.shape, 1), w).sum(-2)


def _constant(x: Tensor, weights: Any, frac: int | None) -> Tensor:
    raw, own = (np.asarray(weights), frac) if frac is not None else to_raw(weights)
    if frac is None and own <= x.frac:  # coarser constants stand exactly on x's grid
        raw, own = np.asarray(raw).astype(object) * 2 ** (x.frac - own), x.frac
    _one_scale(x.frac, own)
    _check_shape(x, raw.shape)
    matrix = raw.reshape(len(raw), -1).astype(object)
    whole = x._apply(ops.Scale(x.frac))
    greater = maximum(whole.reshape(*x.shape, 1), matrix).sum(-2)
    y: Tensor = whole.sum(-1).reshape(*x.shape[:-1], 1) + matrix.sum(0) - 2 * greater
    y = y.cast(_format_of(whole, matrix))._apply(ops.Scale(-x.frac))
    return y.reshape(*x.shape[:-1]) if raw.ndim == 1 else y


def _format_of(x: Tensor, matrix: np.ndarray[Any, Any]) -> Format:
    """The least signed format of all sums: proven from the distances, which the rewritten sum hides."""
    lo, hi = (np.asarray(e).astype(object)[..., None] for e in (x.type.lo, x.type.hi))
    most = int(np.maximum(abs(lo - matrix), abs(hi - matrix)).sum(-2).max())
    width = (most - 1).bit_length() + 1 if most else 1
    return Format(width, width, True)


def _check_shape(x: Tensor, shape: tuple[int, ...]) -> None:
    if not x.ndim or len(shape) not in (1, 2) or shape[0] != x.shape[-1]:
        raise ValueError(f"weights must have shape (n,) or (n, m) for x of shape (..., n), not {shape}")


def _one_scale(x: int, w: int) -> None:
    if x != w:
        raise TypeError(f"weights must share x's scale, frac {x}, not frac {w}: |x - w| has no other meaning")


def adder_gradients(x: Any, w: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(dy/dw, dy/dx) as AdderNet trains, elementwise: x - w (not its sign) and clip(w - x, -1, 1)."""
    a, b = np.asarray(x), np.asarray(w)
    return a - b, np.clip(b - a, -1, 1)


__all__ = ["adder_dot", "adder_gradients", "distance"]
