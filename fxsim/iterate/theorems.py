"""The bounds of theorems T1 to T5 as exact formulas, in LSB of each component.

x* is the fixed point of the ideal map T, an L-contraction with L < 1 in a norm; `total` bounds per component
how far a sweep's new state is from T: rounding, shrinking of increments and evaluation error together. `w`
says which norm: weights of the max-norm max_i |x_i| / w_i, None for the 2-norm, or `Blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, isqrt

from fxsim.formats import Rounding
from fxsim.iterate.norms import root_above


@dataclass(frozen=True)
class Blocks:
    """The norm max_p |x_p| / w_p of the 2-norms of blocks of so many components, one after another."""

    sizes: tuple[int, ...]
    weights: tuple[int, ...]

    def split(self, values: Sequence[Fraction]) -> list[Sequence[Fraction]]:
        ends = [sum(self.sizes[: k + 1]) for k in range(len(self.sizes))]
        return [values[e - s : e] for e, s in zip(ends, self.sizes, strict=True)]

    @property
    def spread(self) -> tuple[int, ...]:
        """The weight of every component."""
        return tuple(w for w, s in zip(self.weights, self.sizes, strict=True) for _ in range(s))


Weights = Sequence[int] | Blocks | None
# Ties that depend on the value: the tie between 2 k and 2 k + 1 goes up for some k and down for others.
TIES_MOVE = (Rounding.RND_CONV, Rounding.RND_CONV_ODD, Rounding.RND_INF)


def size(values: Sequence[Fraction], w: Weights) -> Fraction:
    """The norm of a vector of bounds, rounded up where it is a root."""
    if w is None:
        return root_above(sum((v * v for v in values), Fraction(0)))
    if isinstance(w, Blocks):
        return max(size(part, None) / k for part, k in zip(w.split(values), w.weights, strict=True))
    return max((v / k for v, k in zip(values, w, strict=True)), default=Fraction(0))


def components(bound: Fraction, w: Weights, n: int) -> tuple[Fraction, ...]:
    """What a bound of the norm says of every component."""
    if w is None:
        return (bound,) * n
    return tuple(bound * k for k in (w.spread if isinstance(w, Blocks) else w))


def ball(L: Fraction, total: Sequence[Fraction], w: Weights) -> Fraction:
    """T1: r = delta / (1 - L), where every fixed point and every cycle of the rounded map lies; T4, T4'."""
    return size(total, w) / (1 - L)


def after_count(
    L: Fraction, total: Sequence[Fraction], w: Weights, start: Sequence[Fraction], K: int
) -> Fraction:
    """T1: r + L**K R after K sweeps from a start at most R away."""
    return ball(L, total, w) + power_above(L, K) * size(start, w)


def after_change(L: Fraction, total: Sequence[Fraction], w: Weights, change: Sequence[Fraction]) -> Fraction:
    """T2: (L D + delta) / (1 - L) behind a sweep that changed the rounded state by at most D."""
    return (L * size(change, w) + size(total, w)) / (1 - L)


def steps_to(L: Fraction, start: Fraction, goal: Fraction) -> int:
    """Least K with L**K start <= goal, exactly; goal > 0."""
    if start <= goal:
        return 0
    if not L:
        return 1
    low, high = 0, 1
    while _power(L, high) * start > goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(L, middle) * start <= goal else (middle, high)
    return high


def power_above(L: Fraction, K: int) -> Fraction:
    """L**K; beyond 2**11 bits rounded up, so that a certificate can be printed."""
    bits = (L.denominator.bit_length() + L.numerator.bit_length()) * K
    if bits < 1 << 11:
        return L**K
    return _power(L, K)


def _power(L: Fraction, K: int) -> Fraction:
    """L**K rounded up at every square to 256 bits behind the point of the leading one."""
    out, square = Fraction(1), L
    while K:
        if K & 1:
            out = _short(out * square)
        square = _short(square * square)
        K >>= 1
    return out


def _short(v: Fraction, bits: int = 256) -> Fraction:
    if v.denominator.bit_length() <= bits or not v:
        return v
    k = bits + max(v.denominator.bit_length() - v.numerator.bit_length(), 0)
    return Fraction(-(-(v.numerator << k) // v.denominator), 1 << k)


def least_change(L: Fraction, error: Fraction, modes: Sequence[Rounding]) -> int:
    """T3: the least m for which the stop max_i |x_i' - x_i| <= m LSB is proven to fire, for assignments of a
    map with max-norm L < 1 in LSB and an evaluation error of `error` LSB."""
    reach = (1 + 2 * error) / (1 - L)
    return floor(reach) if any(m in TIES_MOVE for m in modes) else ceil(reach) - 1


def least_change_in(L: Fraction, spread: Sequence[Fraction], w: Weights) -> int:
    """The same in any norm: D' <= L D + |spread|, `spread` per component the most by which two errors of
    sweeps differ. Steps are integers, so that D comes to the last one not above |spread| / (1 - L)."""
    if w is None:
        square = sum((v * v for v in spread), Fraction(0)) / (1 - L) ** 2
        return isqrt(floor(square))
    reach = size(spread, w) / (1 - L)
    return max(floor(reach * k) for k in (w.weights if isinstance(w, Blocks) else w))


def guard_bits(error: Fraction) -> int:
    """T2: g = ceil(log2(2 e)), at least 0: the extra bits that turn an error of e internal LSB into one of an
    output LSB, the final rounding to nearest included."""
    g = 0
    while 2 * error > 1 << g:
        g += 1
    return g
