"""FracBNN: two-bit activations of which the second bit is multiplied only where a gate opens."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import Array, IntArray
from fxsim.layers.xnor import xnor_conv, xnor_dot
from fxsim.quantizers.codec import fractions
from fxsim.quantizers.thermometer import Thermometer, TwoBit
from fxsim.trace import Tensor, concat, constant, select

FEATURE_MAP = Format.parse("ap_fixed<16,9,AP_RND,AP_SAT,0>")
"""The accelerator's feature maps for CIFAR-10; those for ImageNet are ap_fixed<13,9>."""

PARAMETER = Format.parse("ap_fixed<12,4,AP_RND,AP_SAT,0>")
"""Its constants behind the convolution, CIFAR-10; ap_fixed<14,6> for ImageNet."""


def two_bit(x: Tensor, rounding: str = "RND", name: str = "two_bit") -> tuple[Tensor, Tensor]:
    """(msb, lsb) of clip(round((x + 1) * 1.5), 0, 3), bits in 0..1 of x's shape; value = (2m + l) / 3.

    Three comparisons with -2/3, 0, 2/3, of which only 0 can be a tie: `rounding` as in `TwoBit`. What is
    lost: all of x but the code.
    """
    levels = TwoBit(rounding).levels(x.frac)
    with x.builder.block("two_bit", name, [x], {"rounding": rounding}) as out:
        code = x._apply(ops.Threshold(IntArray(np.array([levels], object))))
        msb, lsb = (code._apply(ops.Table(IntArray(np.array(t)))) for t in ([0, 0, 1, 1], [0, 1, 0, 1]))
        out += [msb, lsb]
    return msb, lsb


def thermometer(x: Tensor, resolution: int = 8, largest: int = 255, name: str = "thermometer") -> Tensor:
    """Bits of round(x / resolution), ties to even, as a thermometer on a new last axis: bit j is j < count.

    x  integers (frac 0) proven in 0..largest, of any shape; 32 planes for 8-bit pixels and resolution 8

    One comparison with a constant per plane. What is lost: the pixel within its step. Raises TypeError for
    other ranges.
    """
    low, high = x.type.bounds
    if x.frac or low < 0 or high > largest:
        raise TypeError(f"x must be integers proven in 0..{largest}, not {low}..{high} with frac {x.frac}")
    levels = Thermometer(resolution, largest).levels()
    with x.builder.block("thermometer", name, [x], {"resolution": resolution}) as out:
        bits = x.reshape(*x.shape, 1) >= np.array(levels)
        out.append(bits)
    return bits


@dataclass(frozen=True)
class Gated:
    """What `gated_dot` gives, each (..., m), frac 0.

    msb    the dot product of the high bits, dm
    lsb    that of the low bits, dl, and 0 where the gate is closed
    open   1 where (2/3) * dm > Delta
    total  2 * dm + lsb, in units of one third
    """

    msb: Tensor
    lsb: Tensor
    open: Tensor
    total: Tensor


def gated_dot(msb: Tensor, lsb: Tensor, weights: Any, delta: Any, name: str = "gated") -> Gated:
    """Two binary dot products; the second, of the low bits, counts only where the first passes a gate.

    msb, lsb  bits (..., n), as `two_bit` gives them
    weights   -1 and 1 (n, m), constant or bits at run time
    delta     gate Delta, one real number or one per output channel

    total = 2 * dm + (dl if (2/3) * dm > Delta else 0), exact, in thirds; the gate is dm > 1.5 * Delta as a
    comparison of integers. Raises ValueError for a delta of another length, or NaN.
    """
    with msb.builder.block("gated_dot", name, [msb, lsb]) as out:
        dm, dl = xnor_dot(msb, weights, f"{name}.msb"), xnor_dot(lsb, weights, f"{name}.lsb")
        y = _gated(dm, dl, delta)
        out += [y.msb, y.lsb, y.open, y.total]
    return y


def gated_conv(
    msb: Tensor, lsb: Tensor, weights: Any, delta: Any, stride: int = 1, padding: int = 0, name: str = "gated"
) -> Gated:
    """The same as a convolution of bits (h, w, c) with signs (kh, kw, c, m), padded as `xnor_conv` is."""
    with msb.builder.block("gated_conv", name, [msb, lsb]) as out:
        dm = xnor_conv(msb, weights, stride, padding, name=f"{name}.msb")
        dl = xnor_conv(lsb, weights, stride, padding, name=f"{name}.lsb")
        y = _gated(dm, dl, delta)
        out += [y.msb, y.lsb, y.open, y.total]
    return y


def _gated(dm: Tensor, dl: Tensor, delta: Any) -> Gated:
    gate = dm > _gates(delta, dm.shape)
    kept = select(gate, dl, 0)
    return Gated(dm, kept, gate, 2 * dm + kept)


def _gates(delta: Any, shape: tuple[int, ...]) -> Array:
    """Largest integer dm that leaves the gate closed, per channel: floor(1.5 * Delta)."""
    d = fractions(delta)
    if d.ndim > 1 or (d.ndim and (not shape or d.shape != shape[-1:])):
        raise ValueError(f"delta must be one number or one per channel of {shape}, not of shape {d.shape}")
    bounds = [math.floor(Fraction(3, 2) * v) for v in d.ravel()]
    return np.array(bounds, object).reshape(d.shape)


@dataclass(frozen=True)
class PostConv:
    """Real parameters behind a gated convolution, one number or one per channel each.

    g0, b0     batch norm of the convolution
    bx, alpha, by   shift, slope of the negative half, shift (RPReLU)
    g1, b1     batch norm behind the shortcut
    """

    g0: Any
    b0: Any
    bx: Any
    alpha: Any
    by: Any
    g1: Any
    b1: Any


def post_conv(
    dot: Gated,
    shortcut: Tensor,
    parameters: PostConv,
    feature_map: Format = FEATURE_MAP,
    parameter: Format = PARAMETER,
    name: str = "post_conv",
) -> Tensor:
    """Scale, batch norm, RPReLU, shortcut and batch norm, as the accelerator's fixed point has them.

    t = dm; t = t * 171/256; t = t + dl * 85/256; t = g0 * t + b0; t = t + bx; if t < 0: t = t * alpha; t = t
    + by; u = shortcut + t; result = g1 * u + b1

    Each assignment is a cast to `feature_map` (its rounding and overflow), each parameter a constant of
    `parameter`, 2/3 and 1/3 among them (171/256 and 85/256 in 12 bits): those casts are all that is lost.
    dot and shortcut (..., channels). Raises ValueError for parameters that do not broadcast.
    """
    values = {f.name: constant(getattr(parameters, f.name), parameter) for f in fields(parameters)}
    for key, v in values.items():
        if v.ndim > 1 or (v.ndim and v.shape != dot.msb.shape[-1:]):
            raise ValueError(
                f"{key} must be one number or one per channel of {dot.msb.shape}, not of shape {v.shape}"
            )
    two_thirds, third = (constant(v, parameter) for v in (2 / 3, 1 / 3))
    with shortcut.builder.block("post_conv", name, [dot.msb, dot.lsb, shortcut]) as out:
        t = (dot.msb.cast(feature_map) * two_thirds).cast(feature_map)
        t = (t + dot.lsb.cast(feature_map) * third).cast(feature_map)
        t = (t * values["g0"] + values["b0"]).cast(feature_map)
        t = (t + values["bx"]).cast(feature_map)
        t = select(t < 0, (t * values["alpha"]).cast(feature_map), t)
        t = (t + values["by"]).cast(feature_map)
        u = (shortcut.cast(feature_map) + t).cast(feature_map)
        y = (u * values["g1"] + values["b1"]).cast(feature_map)
        out.append(y)
    return y


def downsample(x: Tensor, feature_map: Format = FEATURE_MAP, name: str = "downsample") -> Tensor:
    """Shortcut of a layer of stride 2: 2 x 2 averages of (h, w, c), then the channels twice: (h/2, w/2, 2c).

    Sums are cast to `feature_map` at every step, as the accelerator accumulates, then a quarter of them once
    more. Raises ValueError for odd h or w.
    """
    if x.ndim != 3 or x.shape[0] % 2 or x.shape[1] % 2:
        raise ValueError(f"x must have shape (h, w, c) with even h and w, not {x.shape}")
    h, w, c = x.shape
    with x.builder.block("downsample", name, [x]) as out:
        tiles = x.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 4, 1, 3)
        tiles = tiles.reshape(h // 2, w // 2, c, 4)
        mean = (tiles.accumulate(feature_map) >> 2).cast(feature_map)
        y = concat([mean, mean], axis=2)
        out.append(y)
    return y


__all__ = [
    "FEATURE_MAP", "PARAMETER", "Gated", "PostConv", "downsample", "gated_conv", "gated_dot", "post_conv",
    "thermometer", "two_bit",
]  # fmt: skip
