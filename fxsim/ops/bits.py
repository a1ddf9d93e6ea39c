"""Bitwise ops on the two's complement of the raw integers, with exact interval typing by a walk over the
bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fxsim.graph import Op
from fxsim.integers import exact
from fxsim.ops.common import broadcast, same_frac
from fxsim.types import TensorType

Bit = Callable[[int, int], int]


@dataclass(frozen=True)
class And(Op):
    """raw = a & b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        stride = np.maximum(args[0].stride, args[1].stride)
        return _bitwise(self, lambda x, y: x & y, stride, *args)


@dataclass(frozen=True)
class Or(Op):
    """raw = a | b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        return _bitwise(self, lambda x, y: x | y, np.minimum(args[0].stride, args[1].stride), *args)


@dataclass(frozen=True)
class Xor(Op):
    """raw = a ^ b, broadcast; operands of one frac."""

    def infer(self, *args: TensorType) -> TensorType:
        return _bitwise(self, lambda x, y: x ^ y, np.minimum(args[0].stride, args[1].stride), *args)


@dataclass(frozen=True)
class Not(Op):
    """raw = ~a = -1 - a."""

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        return TensorType(a.shape, a.frac, exact(-1 - a.hi), exact(-1 - a.lo))


def _bitwise(op: Op, bit: Bit, stride: np.ndarray, *args: TensorType) -> TensorType:
    a, b = args
    frac, shape = same_frac(op, a, b), broadcast(op, a, b)
    ra, rb = a.range.broadcast(shape), b.range.broadcast(shape)
    lo, hi = np.empty(shape, object), np.empty(shape, object)
    seen: dict[tuple[int, ...], tuple[int, int]] = {}
    for i in np.ndindex(shape):
        key = tuple(int(v[i]) for v in (*ra, *rb))
        if key not in seen:
            seen[key] = _extremes(bit, key[:3], key[3:])  # type: ignore[arg-type]
        lo[i], hi[i] = seen[key]
    return TensorType(shape, frac, exact(lo), exact(hi), np.broadcast_to(stride, shape))


def _extremes(bit: Bit, a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int]:
    """Least and greatest bit(x, y) for x, y in the sets (lo, hi, stride): greedy from the sign bit down.

    A state says, per bound of each operand, whether its prefix still equals the bound's; every state
    reachable with the best prefix is kept, so the choice at each bit is exact.
    """
    width = 1 + max((v if v >= 0 else ~v).bit_length() for v in (a[0], a[1], b[0], b[1]))
    extremes = []
    for sign in (-1, 1):
        states = {(True, True, True, True)}
        result = 0
        for k in reversed(range(width)):
            flip = k == width - 1  # the sign bit weighs -2**k: order it by its complement
            best: int | None = None
            following: set[tuple[bool, bool, bool, bool]] = set()
            for al, ah, bl, bh in states:
                for x in _choices(a, k, al, ah, flip):
                    for y in _choices(b, k, bl, bh, flip):
                        z = bit(x[0], y[0])
                        rank = sign * (1 - z if flip else z)
                        if best is None or rank > best:
                            best, following = rank, set()
                        if rank == best:
                            following.add((*x[1:], *y[1:]))
                            chosen = z
            states = following
            result |= chosen << k
        extremes.append(result - (1 << width) if result >> (width - 1) else result)
    return extremes[0], extremes[1]


def _choices(
    r: tuple[int, int, int], k: int, at_lo: bool, at_hi: bool, flip: bool
) -> list[tuple[int, bool, bool]]:
    """Bits x_k that keep the prefix within lo..hi, with the bounds still met: [(bit, at_lo, at_hi)]."""
    lo, hi, stride = r
    out = []
    for x in (0, 1):
        if x and k < stride and lo != hi:
            continue
        low, high = lo >> k & 1, hi >> k & 1
        key, low_key, high_key = (1 - x, 1 - low, 1 - high) if flip else (x, low, high)
        if (at_lo and key < low_key) or (at_hi and key > high_key):
            continue
        out.append((x, at_lo and key == low_key, at_hi and key == high_key))
    return out
