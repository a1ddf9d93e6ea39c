"""Modern Hopfield memory and attention: x <- P^T softmax(beta P x) with an integer softmax."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import data
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Graph
from fxsim.integers import Array
from fxsim.iterate.example import Exact, Example
from fxsim.iterate.softmax import LOG2_E, dyadic, integers, softmax_exact, softmax_of
from fxsim.iterate.stops import Stop, count, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.trace import Tensor, trace

__all__ = ["modern_hopfield"]

BETA_BITS = 10


def modern_hopfield(
    patterns: Any, beta: Any = 1, *, steps: int = 1, frac: int = 10, score_frac: int = 6,
    exp_frac: int | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """The unit x <- P^T softmax(beta P x) over N patterns of d integers, the rows of P.

        y = b2 x,   p = 2**(P y) / sum 2**(P y),   x' = P^T p,    b2 = beta log2 e in 10 bits

    With patterns of -1 and 1 both products are additions and subtractions. One step recalls: N may be far
    above the 0.14 d of the classical net. `steps` = 1 stops after it; more steps stop when nothing changes.

    frac        fraction bits of x and of p;  score_frac  of the exponents P y, rounded to nearest
    exp_frac    of the powers: see `fxsim.iterate.softmax.softmax_of`
    options     as of `unit`: update, stop, cap, proofs, name

    As a memory the map has many fixed points and is no contraction: a count ends every solve, and what is
    proven is the error of one step. For a small beta, L < 1, it contracts to one mean of all patterns, which
    `increment_trunc` of the map's error finds (T4'). x stays in the patterns' hull, so that the state need
    not saturate but for the softmax's own rounding. Lost: what the softmax loses, and half an LSB of x.
    Source: Ramsauer et al., arXiv 2008.02217.
    """
    rows = integers(patterns, "patterns", 2)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"steps must be an integer of at least 1, not {steps!r}")
    step = _step(rows, rows, beta, Format(frac + 1, 1, False), score_frac, exp_frac)
    stop: tuple[Stop, ...] = (count(1),) if steps == 1 else (unchanged(), count(int(steps)))
    whole = int(np.abs(rows).max()).bit_length() + 1
    state = Format(whole + frac, whole, True, Rounding.RND, Overflow.SAT)
    common = {"update": assign("RND"), "stop": stop, "cap": int(steps), "name": "modern_hopfield"}
    return unit(step, {"x": (state, (rows.shape[1],))}, **{**common, **options})


def attention(
    keys: Any, values: Any, query: Format, beta: Any = 1, *, frac: int = 10, score_frac: int = 6,
    exp_frac: int | None = None,
) -> Graph:  # fmt: skip
    """The graph q -> V^T softmax(beta K q) for N constant keys (N, d) and values (N, e), both integers.

    It is one step of the memory with another matrix behind the softmax. The result (e,) is exact in p:
    nothing is rounded behind the softmax, whose results have `frac` fraction bits.
    """
    K, V = integers(keys, "keys", 2), integers(values, "values", 2)
    if len(K) != len(V):
        raise ValueError(f"values must have one row per key, {len(K)}, not {len(V)}")
    step = _step(K, V, beta, Format(frac + 1, 1, False), score_frac, exp_frac)
    return trace(step, query, shape=(K.shape[1],), name="attention")


def reference(patterns: Any, beta: Any, start: Any, frac: int = 10, steps: int = 1) -> Exact:
    """x after so many exact steps, right to 2**-100, for raw starts (rows, d) at `frac`.

    beta is the unit's own, with log2 e to 10 bits. Between two steps x is rounded to 2**-128, which a step
    enlarges by beta max|P|**2 d at most.
    """
    P = integers(patterns, "patterns", 2)
    factor = _factor(beta)
    found = []
    for row in np.atleast_2d(np.asarray(start)):
        x = [Fraction(int(v), 1 << frac) for v in row]
        for _ in range(steps):
            scores = [sum((int(p) * v for p, v in zip(r, x, strict=True)), Fraction(0)) for r in P]
            weights = softmax_exact([factor * s for s in scores])
            exact = [sum((int(p) * w for p, w in zip(c, weights, strict=True)), Fraction(0)) for c in P.T]
            x = [dyadic(v, 128, "x") for v in exact]
        found.append(x)
    return np.array(found, object)


def digit_patterns(number: int = 16) -> Array:
    """The first images of the shipped digits as vectors of -1 and 1: (number, 64)."""
    images = data.digits_samples()[0].reshape(-1, 64)[:number]
    return np.where(images > 0.5, 1, -1).astype(np.int64)


def flipped(patterns: Array, flips: int, seed: int) -> Array:
    """Every pattern with `flips` of its elements negated."""
    rng = np.random.default_rng(seed)
    found = patterns.copy()
    for row in found:
        row[rng.permutation(row.size)[:flips]] *= -1
    return found


def example() -> Example:
    """8 digit images, each recalled from two copies with 6 of its 64 pixels flipped."""
    patterns = digit_patterns(8)
    start = np.concatenate([flipped(patterns, 6, seed) for seed in (5, 6)]) << 10
    return Example(
        modern_hopfield(patterns, Fraction(1, 2)), {}, start, lambda: reference(patterns, 0.5, start),
        "The first 8 digit images, black and white, with 6 pixels flipped; exact: the ideal step.",
    )  # fmt: skip


def _factor(beta: Any) -> Fraction:
    value = dyadic(beta, 64, "beta")
    if value <= 0:
        raise ValueError(f"beta must be positive, not {beta!r}")
    factor = dyadic(value * LOG2_E, BETA_BITS, "beta")
    if not factor:
        raise ValueError(f"beta must be at least {float(1 / LOG2_E) / (2 << BETA_BITS):.1e}, not {beta!r}")
    return factor


def _step(P: Array, V: Array, beta: Any, out: Format, score_frac: int, exp_frac: int | None) -> Any:
    factor = _factor(beta)

    def step(x: Tensor) -> Tensor:
        return softmax_of((x * factor) @ P.T, out, score_frac, exp_frac=exp_frac) @ V

    return step
