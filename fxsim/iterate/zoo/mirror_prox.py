"""Nash mirror prox of a regularised game, and exponentiated gradients: weights by their logarithms."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, Format, Overflow, Rounding
from fxsim.integers import Array
from fxsim.iterate.example import Exact, Example
from fxsim.iterate.softmax import LOG2_E, dyadic, softmax_of
from fxsim.iterate.stops import cycle, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import increment_trunc
from fxsim.layers.leading_one import Exp2
from fxsim.layers.references import exp2
from fxsim.trace import Tensor

__all__ = ["exponentiated_gradient", "mirror_prox"]

COEFFICIENT_BITS = 14
BITS = 128  # of the reference


def mirror_prox(
    P: Any, beta: Any, *, eta: Any = 1, extra: bool = True, frac: int = 12, whole: int = 5,
    coefficient_frac: int = COEFFICIENT_BITS, **options: Any,
) -> Unit:  # fmt: skip
    """The unit that finds the policy pi with pi ~ ref * exp(P pi / beta), the Nash equilibrium near `ref`.

        y  = (l + eta beta l_ref + eta log2e P pi(l)) / (1 + eta beta)        half step
        l' = (l + eta beta l_ref + eta log2e P pi(y)) / (1 + eta beta)        full step, from the same l
        pi(l) = 2**l / sum 2**l;  after each the maximum is subtracted, so that l is in -2**whole..0

    P        (n, n) real: P_ij, what i gains on j; by its antisymmetric part (preferences of sum 1 do as well)
    beta     weight of the reference policy, positive; the step `eta` likewise
    extra    False leaves out the half step: multiplicative weights
    frac     fraction bits of l, the logarithms to base 2; the parameter `l_ref` has that format too
    coefficient_frac  bits of 1 / (1 + eta beta) and of the game, see `coefficients`; the unit solves the game
             that these say

    KL(pi*, pi) falls by 1 / (1 + 2 beta) an iteration for eta = 1, but that is no norm: a small cycle may be
    left, and the default stop looks for one. The default update truncates increments shrunk by one LSB, which
    leaves hardly any. `distance` proves how far an answer is. Lost: logarithms below -2**whole saturate; half
    an LSB of l per half step; what the softmax loses; increments below two LSB.
    Source: Tiapkin et al., arXiv 2505.19731.
    """
    shrink, pull, game = coefficients(P, beta, eta, coefficient_frac)
    n = len(game)
    fmt = Format(1 + whole + frac, 1 + whole, True, Rounding.RND, Overflow.SAT)
    out = Format(frac + 1, 1, False)

    def play(policy: Tensor, base: Tensor) -> Tensor:
        gain = policy.builder.constant(game) >> coefficient_frac
        v = base + gain @ softmax_of(policy, out, frac)
        below: Tensor = (v.max() - v).relu()
        return -below  # 0 at most, and proven so

    def step(l: Tensor, l_ref: Tensor) -> Tensor:
        base = l * shrink + l_ref * pull
        return play(play(l, base).cast(fmt) if extra else l, base)

    common = {"update": increment_trunc(fmt.lsb), "stop": (unchanged(), cycle()), "name": "mirror_prox"}
    return unit(step, {"l": (fmt, (n,))}, {"l_ref": (fmt, (n,))}, **{**common, **options})


def coefficients(
    P: Any, beta: Any, eta: Any = 1, frac: int = COEFFICIENT_BITS
) -> tuple[Fraction, Fraction, Array]:
    """(1 / (1 + eta beta), eta beta / (1 + eta beta), raw eta log2e P / (1 + eta beta)), rounded to `frac`
    bits: the first two add up to 1, the last is exactly antisymmetric."""
    game = np.asarray(P, float)
    if game.ndim != 2 or game.shape[0] != game.shape[1] or len(game) < 2 or not np.all(np.isfinite(game)):
        raise ValueError(f"P must be a square matrix of finite numbers, not {P!r}")
    weight, size = dyadic(beta, 64, "beta"), dyadic(eta, 64, "eta")
    if weight <= 0 or size <= 0:
        raise ValueError(f"beta and eta must be positive, not {beta!r} and {eta!r}")
    shrink = dyadic(1 / (1 + size * weight), frac, "beta")
    if not 0 < shrink < 1:
        raise ValueError(f"eta * beta must be seen at {frac} bits of 1 / (1 + eta beta), not {size * weight}")
    factor = float(size * LOG2_E / (1 + size * weight))
    raw = np.rint((game - game.T) / 2 * factor * 2.0**frac).astype(np.int64)
    return shrink, 1 - shrink, raw


def exponentiated_gradient(
    A: Any, signs: Any, *, eta: Any = Fraction(1, 8), b: Format | None = None, frac: int = 12,
    lowest: int = 3, highest: int = 2, **options: Any,
) -> Unit:  # fmt: skip
    """The unit l <- l - eta s g, g = A^T (A w - b), w = s 2**l: least squares whose signs never change.

    A        (m, n) dyadic; signs (n,) of -1 and 1, of the weights (Dale's law: a cell excites or inhibits)
    eta      dyadic; b, format of the parameter (m,), SQ(4, 8) by default
    frac     of l, in -2**lowest..2**highest, and of w

    It descends |A w - b|^2 / 2 over the logarithms; the increments are truncated. The objective is not convex
    in l and the powers come from a table, so the default stop looks for cycles. Lost: the error of 2**l (2/3
    LSB of w), increments below one LSB, logarithms beyond the ends.
    Source: Cornford et al., "Brain-like learning with exponentiated gradients" (2024); Kivinen and Warmuth
    (1997).
    """
    matrix = to_raw(A, "A")[0]
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"A must be a matrix, not of shape {np.shape(A)}")
    s = to_raw(signs, "signs")[0]
    if s.shape != (matrix.shape[1],) or np.any(np.abs(s) != 1):
        raise ValueError(f"signs must be {matrix.shape[1]} of -1 and 1, not {signs!r}")
    size = to_raw(eta, "eta")[0]
    if size.ndim or size <= 0:
        raise ValueError(f"eta must be one positive number, not {eta!r}")
    bits = max(lowest, highest) + 1
    fmt = Format(bits + frac, bits, True, Rounding.RND, Overflow.SAT)
    weights = Format((1 << highest) + 1 + frac, (1 << highest) + 1, False)
    power = Exp2(fmt, weights, max(frac - frac // 2 - 1, 0))
    coefficients = np.asarray(A)

    def step(l: Tensor, b: Tensor) -> Tensor:
        w = power(l) * s
        g: Tensor = coefficients.T @ (coefficients @ w - b)
        new: Tensor = l - g * s * eta
        return new

    b = SQ(4, 8) if b is None else b
    return unit(
        step, {"l": (fmt, (matrix.shape[1],))}, {"b": (b, (len(matrix),))},
        **{"stop": (unchanged(), cycle()), "cap": 2000, "name": "exponentiated_gradient", **options},
    )  # fmt: skip


def reference(
    P: Any, beta: Any, l_ref: Any, eta: Any = 1, frac: int = COEFFICIENT_BITS, tolerance: int = 64
) -> Exact:  # fmt: skip
    """The exact l, maximum 0, for real dyadic l_ref (rows, n), of the game that the coefficients say.

    The half and full steps in integers of 128 bits, until `distance` is below 2**-tolerance; then
    |l - l*| <= max |game| * that / (1 - shrink) + the residual.
    """
    shrink, pull, game = coefficients(P, beta, eta, frac)
    keep = int(shrink * (1 << frac))
    found = []
    for row in np.atleast_2d(np.asarray(l_ref)):
        far = [_fixed(pull * Fraction(float(v))) for v in row]
        l = [0] * len(game)
        for k in range(10000):
            base = [(keep * v >> frac) + c for v, c in zip(l, far, strict=True)]
            l = _played(game, frac, base, _played(game, frac, base, l))
            if k % 8 == 7 and distance(P, beta, _values(l), row, eta, frac) <= Fraction(1, 1 << tolerance):
                break
        found.append(_values(l))
    return np.array(found, object)


def distance(
    P: Any, beta: Any, l: Any, l_ref: Any, eta: Any = 1, frac: int = COEFFICIENT_BITS
) -> Fraction:  # fmt: skip
    """A proven bound of sum_i |pi_i - pi*_i| for pi = 2**l / sum 2**l, real l and l_ref (n,).

    With r = (1 - shrink) (l_ref - l) + game pi, the antisymmetric game gives <pi - pi*, r> =
    -(1 - shrink) <pi - pi*, l - l*>, which is -(1 - shrink) log2e (KL + KL) and, by Pinsker, at most
    -(1 - shrink) log2e |pi - pi*|_1^2; the left side is at least -|pi - pi*|_1 (max r - min r) / 2. So
    |pi - pi*|_1 <= (max r - min r) / (2 (1 - shrink) log2e).
    """
    shrink, pull, game = coefficients(P, beta, eta, frac)
    exact = [v if isinstance(v, Fraction) else Fraction(float(v)) for v in l]
    pi = _policy([_fixed(v) for v in exact])
    r = []
    for row, v, far in zip(game, exact, l_ref, strict=True):
        gain = sum(int(g) * p for g, p in zip(row, pi, strict=True))
        r.append(pull * Fraction(float(far)) - (1 - shrink) * v + Fraction(gain, 1 << frac + BITS))
    # 2**-100 is far more than what 128 bits err by in pi.
    return (max(r) - min(r)) / (2 * (1 - shrink) * LOG2_E) + Fraction(1, 1 << 100)


def example() -> Example:
    """Rock, paper, scissors, lizard, Spock with 16 reference policies."""
    game = rock_paper_scissors(5)
    rng = np.random.default_rng(9)
    l_ref = -rng.integers(0, 3 << 10, (16, 5))
    l_ref -= l_ref.max(1, keepdims=True)
    return Example(
        mirror_prox(game, 0.25, frac=10), {"l_ref": l_ref}, None, lambda: reference(game, 0.25, l_ref / 1024),
        "Rock, paper, scissors, lizard, Spock against 16 policies to stay near; states are log2 policies.",
    )  # fmt: skip


def rock_paper_scissors(n: int = 3) -> Array:
    """The cyclic game of odd n: i beats the (n - 1) / 2 that follow."""
    if n < 3 or n % 2 == 0:
        raise ValueError(f"n must be odd and at least 3, not {n!r}")
    step = (np.arange(n)[:, None] - np.arange(n)) % n
    found: Array = np.where(step == 0, 0, np.where(step <= n // 2, 1, -1)).astype(np.int64)
    return found


def _policy(l: list[int]) -> list[int]:
    """2**l / sum 2**l in integers of BITS bits, right to a few of their LSB."""
    top = max(l)
    powers = [sum(exp2(Fraction(v - top, 1 << BITS))) for v in l]
    total = sum(powers)
    return [(p << BITS) // total for p in powers]


def _played(game: Array, frac: int, base: list[int], policy: list[int]) -> list[int]:
    pi = _policy(policy)
    gains = [sum(int(g) * p for g, p in zip(r, pi, strict=True)) >> frac for r in game]
    v = [b + g for b, g in zip(base, gains, strict=True)]
    top = max(v)
    return [a - top for a in v]


def _fixed(v: Fraction) -> int:
    return round(v * (1 << BITS))


def _values(l: list[int]) -> list[Fraction]:
    return [Fraction(v, 1 << BITS) for v in l]
