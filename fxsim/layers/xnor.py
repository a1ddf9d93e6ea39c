"""Binary layers: one-bit activations and weights, XNOR and popcount, batch norm folded into a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, exact
from fxsim.quantizers.codec import fractions
from fxsim.trace import Tensor


def sign_bits(x: Tensor) -> Tensor:
    """1 where x >= 0, else 0: the bit of sign(x) with sign(0) = +1. x of any shape and frac."""
    return x >= 0


def signs(bits: Tensor) -> Tensor:
    """-1 and 1 of bits 0 and 1. In hardware it stays the bit. Raises TypeError for what is no bit."""
    if bits.frac or bits.type.bounds[0] < 0 or bits.type.bounds[1] > 1:
        low, high = bits.type.bounds
        raise TypeError(f"bits must be proven in 0..1 with frac 0, not {low}..{high} with frac {bits.frac}")
    return bits * 2 - 1


def sign_weights(weights: Any) -> Array:
    """Weights as integers that are all -1 or 1; ValueError names the first that is not."""
    w = exact(weights)
    bad = np.argwhere((w != 1) & (w != -1))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise ValueError(f"weights must be -1 or 1, not {int(w[at])} at {at}")
    return w


def xnor_dot(bits: Tensor, weights: Any, name: str = "xnor") -> Tensor:
    """Dot products of signs by XNOR and popcount: y = n - 2 * popcount(bits ^ w).

    bits     (..., n) in 0..1, 1 for +1
    weights  constant -1 and 1 of shape (n,) or (n, m); or a tensor of bits of that shape, loaded at run time
    result   (...) or (..., m), frac 0, integers of the parity of n in -n..n; no bit is lost

    It is written as the product of the signs, so that the emulator runs it as a matrix product; the hardware
    counts XNORs in tables of six inputs: three products a table, or six with constant weights. Raises
    ValueError for weights other than -1 and 1, TypeError for bits beyond 0..1.
    """
    runtime = isinstance(weights, Tensor)
    with bits.builder.block("xnor", name, [bits, weights] if runtime else [bits]) as out:
        w = signs(weights) if runtime else sign_weights(weights)
        y = signs(bits) @ w
        out.append(y)
    return y


def popcount(bits: Tensor, axis: int = -1) -> Tensor:
    """The number of ones over an axis (dropped), frac 0."""
    return bits.sum(axis)


def xnor_conv(
    bits: Tensor, weights: Any, stride: int = 1, padding: int = 0, dilation: int = 1, name: str = "xnor_conv"
) -> Tensor:
    """Convolution of signs, channels last; taps in the zero padding are skipped, so they count neither way.

    bits (h, w, c) in 0..1; weights -1 and 1 of shape (kh, kw, c, m); result (h', w', m), frac 0, exact. At a
    border the dot product is over the taps inside only: n differs per position.
    """
    w = sign_weights(weights)
    if bits.ndim != 3 or w.ndim != 4 or w.shape[2] != bits.shape[2]:
        raise ValueError(
            f"weights must have shape (kh, kw, c, m) for bits (h, w, c), not {w.shape} for {bits.shape}"
        )
    kh, kw, c, m = w.shape
    with bits.builder.block("xnor_conv", name, [bits], {"stride": stride, "padding": padding}) as out:
        pad, step, spread = (padding,) * 2, (stride,) * 2, (dilation,) * 2
        taps = signs(bits)._apply(ops.Window((kh, kw), step, spread, pad, pad))
        y = taps.reshape(*taps.shape[:2], kh * kw * c) @ w.reshape(kh * kw * c, m)
        out.append(y)
    return y


@dataclass(frozen=True)
class SignThresholds:
    """sign(batch norm(dot)) as a comparison of integers, per channel.

    levels   the output is 1 where dot >= level, or dot <= level where `falling`
    falling  1 where gamma < 0
    n        inputs of the dot product

    Popcounts of XNORs are compared with `popcount_levels`: pop = (dot + n) / 2.
    """

    levels: tuple[int, ...]
    falling: tuple[int, ...]
    n: int

    @property
    def popcount_levels(self) -> tuple[int, ...]:
        return tuple(
            (v + self.n) // 2 if fall else -(-(v + self.n) // 2)
            for v, fall in zip(self.levels, self.falling, strict=True)
        )

    @property
    def rising(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(levels, inversions) for `loaded_sign`: dot <= level is not (dot >= level + 1)."""
        levels = tuple(v + fall for v, fall in zip(self.levels, self.falling, strict=True))
        return levels, self.falling


def fold_batch_norm(gamma: Any, beta: Any, mu: Any, sigma: Any, n: int) -> SignThresholds:
    """Thresholds of sign(gamma * (dot - mu) / sigma + beta), sign(0) = +1, for dots in -n..n.

    dot >= tau for gamma > 0, dot <= tau for gamma < 0, tau = mu - beta * sigma / gamma, computed in exact
    rationals and rounded to the integers that decide alike; gamma = 0 gives the sign of beta always.
    Parameters per channel (or one number each); sigma is the deviation, epsilon included. Raises ValueError
    for sigma <= 0 and n < 1.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n must be an integer of at least 1, not {n!r}")
    parameters = [np.atleast_1d(fractions(p)) for p in (gamma, beta, mu, sigma)]
    levels, falling = [], []
    for c, (g, b, m, s) in enumerate(zip(*np.broadcast_arrays(*parameters), strict=True)):
        if s <= 0:
            raise ValueError(f"sigma must be positive, not {float(s)} at channel {c}")
        if not g:
            level, fall = (-n if b >= 0 else n + 1), 0
        else:
            tau, fall = m - b * s / g, int(g < 0)
            level = math.floor(tau) if fall else math.ceil(tau)
        levels.append(max(min(level, n + 1), -n - 1))
        falling.append(fall)
    return SignThresholds(tuple(levels), tuple(falling), int(n))


def batch_norm_sign(dot: Tensor, thresholds: SignThresholds, name: str = "bn_sign") -> Tensor:
    """The bit of sign(batch norm(dot)), one comparison with a constant per channel.

    dot (..., channels), frac 0, as `xnor_dot` gives it; result in 0..1 of the same shape. Nothing is lost:
    the thresholds decide every integer as the real formula does. Raises TypeError for another number of
    channels or a dot that is not of frac 0.
    """
    if dot.frac or not dot.ndim or dot.shape[-1] != len(thresholds.levels):
        raise TypeError(
            f"dot must have frac 0 and {len(thresholds.levels)} channels last, not frac {dot.frac} and shape "
            f"{dot.shape}"
        )
    with dot.builder.block("bn_sign", name, [dot]) as out:
        levels = np.array(thresholds.levels, np.int64).reshape(-1, 1)
        falling = IntArray(np.array(thresholds.falling, np.int64))
        bit = dot._apply(ops.Threshold(IntArray(levels), dot.ndim - 1, falling))
        out.append(bit)
    return bit


def loaded_sign(dot: Tensor, levels: Tensor, inversions: Tensor, name: str = "bn_sign") -> Tensor:
    """(dot >= level) ^ inversion, thresholds loaded at run time as `SignThresholds.rising` has them.

    dot (..., channels) and levels (channels,) of frac 0, inversions bits (channels,); result in 0..1. Raises
    TypeError for inversions beyond 0..1.
    """
    if inversions.frac or inversions.type.bounds[0] < 0 or inversions.type.bounds[1] > 1:
        low, high = inversions.type.bounds
        raise TypeError(f"inversions must be proven in 0..1 with frac 0, not {low}..{high}")
    with dot.builder.block("bn_sign", name, [dot, levels, inversions]) as out:
        bit = (dot >= levels) ^ inversions
        out.append(bit)
    return bit


def xnor_layer(
    bits: Tensor, weights: Any, gamma: Any, beta: Any, mu: Any, sigma: Any, name: str = "binary"
) -> Tensor:
    """XNOR-popcount, batch norm and sign: bits (..., n) to bits (..., m), weights constant -1 and 1 (n, m).

    Source: Courbariaux et al., "Binarized Neural Networks" (2016); the fold into a threshold is exact.
    """
    with bits.builder.block("binary", name, [bits]) as out:
        dot = xnor_dot(bits, weights, f"{name}.xnor")
        g, b, m, s = (np.broadcast_to(np.asarray(p), dot.shape[-1:]) for p in (gamma, beta, mu, sigma))
        thresholds = fold_batch_norm(g, b, m, s, bits.shape[-1])
        y = batch_norm_sign(dot, thresholds, f"{name}.sign")
        out.append(y)
    return y


__all__ = [
    "SignThresholds", "batch_norm_sign", "fold_batch_norm", "loaded_sign", "popcount", "sign_bits",
    "sign_weights", "signs", "xnor_conv", "xnor_dot", "xnor_layer",
]  # fmt: skip
