"""2:4 sparsity in hardware: a front end that gathers the inputs which any dot product then reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import IntArray
from fxsim.quantizers.two_four import TwoFour
from fxsim.trace import Tensor, concat, select


def gather_packed(x: Tensor, packed: TwoFour, name: str = "gather") -> Tensor:
    """The inputs that constant packed weights meet: (..., n) to (..., n / 2), or (..., m, n / 2) for (n, m).

    Wiring only. Element k of the last axis belongs to row k of `packed.values`, so any multiply-and-add unit
    follows: sum(unit(gathered, values.T)).
    """
    _check(x, packed.shape)
    with x.builder.block("gather_2_4", name, [x]) as out:
        g = x._apply(ops.Gather(IntArray(packed.rows.T), x.ndim - 1))
        out.append(g)
    return g


def gather_by_nibbles(x: Tensor, nibbles: Tensor, name: str = "gather") -> Tensor:
    """The same with indices loaded at run time: two 4:1 selections per group of four inputs.

    x        (..., n)
    nibbles  codes in 0..15 (frac 0) of shape (n / 4,) or (n / 4, m): index 0 | index 1 << 2
    result   (..., n / 2) or (..., m, n / 2); any nibble is defined, also one that does not ascend

    A selection is one LUT of six inputs per bit. Raises TypeError for nibbles beyond 0..15, ValueError for
    shapes that do not fit.
    """
    low, high = nibbles.type.bounds
    if nibbles.frac or low < 0 or high > 15:
        raise TypeError(
            f"nibbles must be proven in 0..15 with frac 0, not {low}..{high} with frac {nibbles.frac}"
        )
    if nibbles.ndim not in (1, 2):
        raise ValueError(f"nibbles must have shape (n / 4,) or (n / 4, m), not {nibbles.shape}")
    _check(x, (4 * nibbles.shape[0], *nibbles.shape[1:]))
    with x.builder.block("gather_2_4", name, [x, nibbles]) as out:
        codes = nibbles.T if nibbles.ndim == 2 else nibbles  # (m, groups) or (groups,)
        groups = codes.shape[-1]
        quads = x.reshape(*x.shape[:-1], *(1,) * (codes.ndim - 1), groups, 4)
        bits = [_bit(codes, k) for k in range(4)]
        chosen = [_four_to_one(quads, bits[2 * k], bits[2 * k + 1]) for k in range(2)]
        pairs = concat([c.reshape(*c.shape, 1) for c in chosen], axis=chosen[0].ndim)
        g = pairs.reshape(*pairs.shape[:-2], 2 * groups)
        out.append(g)
    return g


def _bit(codes: Tensor, k: int) -> Tensor:
    entries = np.arange(16) >> k & 1
    return codes._apply(ops.Table(IntArray(entries)))


def _four_to_one(quads: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """quads[..., 2 * high + low]."""
    x = [quads[..., i] for i in range(4)]
    return select(high, select(low, x[3], x[2]), select(low, x[1], x[0]))


def sparse_dot(x: Tensor, packed: TwoFour, frac: int = 0, name: str = "sparse") -> Tensor:
    """x @ weights of packed constant weights value = raw * 2**-frac, exact: n / 2 products for n inputs.

    (..., n) and packed (n,) or (n, m) give (...) or (..., m). The zeros are left out by the shift-add graph
    of the full matrix as well, which shares sums between columns, so that is what is built.
    """
    _check(x, packed.shape)
    with x.builder.block("sparse_dot", name, [x]) as out:
        y = x @ x.builder.apply(ops.Const(IntArray(packed.unpack()), frac))
        out.append(y)
    return y


def sparse_dot_by_nibbles(x: Tensor, values: Tensor, nibbles: Tensor, name: str = "sparse") -> Tensor:
    """x @ weights with values and nibbles loaded at run time: n / 2 multipliers behind 4:1 selections.

    values (n / 2,) or (n / 2, m), nibbles (n / 4,) or (n / 4, m); exact.
    """
    if values.shape != (2 * nibbles.shape[0], *nibbles.shape[1:]):
        raise ValueError(f"values must have two rows for each of nibbles {nibbles.shape}, not {values.shape}")
    with x.builder.block("sparse_dot", name, [x, values, nibbles]) as out:
        g = gather_by_nibbles(x, nibbles, f"{name}.gather")
        y = (g * (values.T if values.ndim == 2 else values)).sum(-1)
        out.append(y)
    return y


def _check(x: Tensor, shape: Any) -> None:
    if not x.ndim or len(shape) not in (1, 2) or x.shape[-1] != shape[0]:
        raise ValueError(
            f"weights must have shape (n,) or (n, m) for x of shape {x.shape}, not {tuple(shape)}"
        )


__all__ = ["gather_by_nibbles", "gather_packed", "sparse_dot", "sparse_dot_by_nibbles"]
