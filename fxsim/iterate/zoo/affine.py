"""Affine contractions x <- gamma A x + b, and the Convergent Graph Solver, which stacks them in heads."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, Format
from fxsim.integers import Array, exact
from fxsim.iterate.example import Example
from fxsim.iterate.references import rational
from fxsim.iterate.references.graphs import karate_club, neighbours
from fxsim.iterate.unit import Unit, unit
from fxsim.trace import Tensor, concat

__all__ = ["affine", "cgs"]

Activation = Callable[[Tensor], Tensor]


def affine(
    A: Any, *, frac: int = 12, gamma: Any = 1, b: Format | None = None, state: Format | None = None,
    activation: Activation | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """x <- activation(gamma A x + b), from x = 0 by default.

    A           (n, n), or (heads, n, n) for the state (heads, n); real and dyadic, exactly as given
    frac        fraction bits of the state
    gamma       a dyadic number; a power of two is a shift
    b           format of the parameter of the state's shape, SQ(1, frac) by default
    state       the state's format; by default it holds max|b| / (1 - L), L = gamma max_i sum_j |a_ij|, so
                that nothing saturates. ValueError where L is not below 1 and none is given
    activation  elementwise, of slope at most 1, 0 at 0 (relu); None: identity
    options     as of `unit`: update, stop, schedule, cap, start, proofs, name

    For a schedule of groups only the rows of the group are computed. The unit's residual is T(x) - x.
    """
    raw, coefficient_frac = to_raw(A, "A")
    return _affine(raw, coefficient_frac, frac, gamma, b, state, activation, {"name": "affine", **options})


def cgs(
    A_raw: Any, coefficient_frac: int, *, gamma: Any = Fraction(1, 2), heads: int | None = None,
    frac: int = 10, b: Format | None = None, state: Format | None = None,
    activation: Activation | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """The Convergent Graph Solver (Park, Choi and Park 2021): x_m <- gamma A_m x_m + b_m for every head m.

    A_raw    integers of `coefficient_frac` bits, not negative, rows summing to at most 1 (as `by_degree` of
             `fxsim.iterate.references.graphs` makes them): (n, n), or (heads, n, n)
    gamma    in 0..1, the contraction; order-preserving, so floor and ceil enclose the fixed point (T5)
    heads    one A for so many heads with a `b` each; None: as many as A_raw has, or a state without that axis
    the rest as of `affine`; b is SQ(2, frac) by default

    ValueError for negative coefficients or rows beyond 1.
    """
    raw = exact(A_raw)
    if np.any(raw < 0) or np.any(raw.sum(axis=-1) > 1 << coefficient_frac):
        raise ValueError(
            f"A_raw must not be negative, and rows sum to at most {1 << coefficient_frac}, "
            f"not {int(raw.min())} and {int(raw.sum(axis=-1).max())}"
        )
    if heads is not None and raw.ndim == 2:
        raw = np.broadcast_to(raw, (heads, *raw.shape))
    if heads is not None and raw.shape[0] != heads:
        raise ValueError(f"A_raw must have {heads} heads, not {raw.shape[0]}")
    b = SQ(2, frac) if b is None else b
    return _affine(raw, coefficient_frac, frac, gamma, b, state, activation, {"name": "cgs", **options})


def reference(A: Any, b: Any, gamma: Any = 1) -> Array:
    """The fixed points of x = gamma A x + b as Fractions: A (n, n) or (heads, n, n), b (rows, *state)."""
    values = rational.fractions(A)
    wanted = rational.fractions(b)
    eye = rational.fractions(np.eye(values.shape[-1], dtype=np.int64))
    if values.ndim == 2:
        return rational.solve(eye - Fraction(gamma) * values, wanted.T).T
    solved = [rational.solve(eye - Fraction(gamma) * a, wanted[:, m].T).T for m, a in enumerate(values)]
    return np.stack(solved, axis=1)


def room(L: Fraction, largest: Fraction, frac: int) -> Format:
    """The least saturating format that holds largest / (1 - L): |x| <= L |x| + largest."""
    bound = largest / (1 - L)
    bits = 1
    while Fraction(2) ** (bits - 1) < bound:
        bits += 1
    while bits + frac > 1 and Fraction(2) ** (bits - 2) >= bound:
        bits -= 1
    return SQ(bits, frac, overflow="SAT")


def _affine(
    raw: Array, coefficient_frac: int, frac: int, gamma: Any, b: Format | None, state: Format | None,
    activation: Activation | None, options: dict[str, Any],
) -> Unit:  # fmt: skip
    if raw.ndim not in (2, 3) or raw.shape[-1] != raw.shape[-2] or not raw.size:
        raise ValueError(f"A must have shape (n, n) or (heads, n, n), not {raw.shape}")
    factor, factor_frac = to_raw(gamma, "gamma")
    if factor.ndim or factor <= 0:
        raise ValueError(f"gamma must be one positive number, not {gamma!r}")
    scale = Fraction(int(factor), 1 << factor_frac)
    held = SQ(1, frac) if b is None else b
    if state is None:
        L = scale * Fraction(int(np.abs(raw).sum(axis=-1).max()), 1 << coefficient_frac)
        if L >= 1:
            raise ValueError(
                f"state must be given: gamma max_i sum_j |a_ij| is {L}, and only below 1 bounds the state"
            )
        state = room(L, max(-held.lo, held.hi + 1) * held.lsb, frac)
    n = raw.shape[-1]
    shape = raw.shape[:-1] if raw.ndim == 3 else (n,)
    matrices = raw if raw.ndim == 3 else raw[None]

    def step(x: Tensor, b: Tensor, only: Any = None) -> Tensor:
        flat = x if x.ndim == 1 else x.reshape(-1)
        chosen = list(range(matrices.shape[0] * n)) if only is None else list(only)
        parts, order = [], []
        for m, matrix in enumerate(matrices):
            mine = [(k, i - m * n) for k, i in enumerate(chosen) if m * n <= i < (m + 1) * n]
            if mine:
                rows = matrix[[i for _, i in mine]]
                parts.append((flat[m * n : (m + 1) * n] @ rows.T) >> coefficient_frac)
                order += [k for k, _ in mine]
        y = parts[0] if len(parts) == 1 else concat(parts)
        if order != sorted(order):
            y = y.take(np.argsort(order))
        if scale.numerator == 1:
            y = y >> (scale.denominator.bit_length() - 1)
        elif scale != 1:
            y = y * scale
        whole = b if b.ndim == 1 else b.reshape(-1)
        y = y + (whole if only is None else whole.take(chosen))
        if activation is not None:
            y = activation(y)
        return y if only is not None or len(shape) == 1 else y.reshape(*shape)

    def residual(x: Tensor, b: Tensor) -> Tensor:
        return step(x, b) - x

    settings: dict[str, Any] = {"residual": residual, **options}
    return unit(step, {"x": (state, shape)}, {"b": (held, shape)}, **settings)


def example() -> Example:
    """Opinions in Zachary's karate club (Friedkin and Johnsen 1990): x = 7/8 (mean of the friends) + b."""
    friends = neighbours(karate_club(), 34)
    weights = (friends << 8) // friends.sum(axis=1)[:, None]
    frac = 12
    made = cgs(weights, 8, gamma=Fraction(7, 8), frac=frac, b=SQ(1, frac), name="karate_club")
    # What each of eight members would have the club believe, an eighth of it held for ever.
    people = (0, 33, 2, 32, 1, 31, 8, 16)
    b = np.zeros((8, 34), np.int64)
    b[np.arange(8), people] = (1 << frac) // 8
    b[1::2] *= -1

    def solutions() -> Array:
        return reference(rational.fractions(weights, 8), rational.fractions(b, frac), Fraction(7, 8))

    about = "the 34 members of Zachary's karate club, who weigh their friends' opinions equally"
    return Example(made, {"b": b}, None, solutions, about)
