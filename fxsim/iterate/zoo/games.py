"""Nash equilibria of quadratic games H x = c: Small-Gain Nash (2025), extragradient and proximal point.

F(x) = H x - c stacks every player's gradient by its own strategy. `small_gain_nash` steps x <- x - eta F(x):
where H is not monotone, so that the 2-norm proves nothing, it is so in a metric that weights the players,
x^T M H x >= alpha x^T M x, if the product of their couplings is small. `extragradient` evaluates F a second
time at the first step's end, which turns rotations inward; `proximal_point` solves for the step's end.

All contract in a (weighted) 2-norm only: the stop is a count that reaches the limit ball of theorem T1, or,
earlier, a sweep that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, Format
from fxsim.integers import Array, exact, shift_left, to_object
from fxsim.iterate.counted import counted
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.norms import block_norms, positive_definite, root_above, two_norm
from fxsim.iterate.references import rational
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.trace import Tensor

__all__ = ["extragradient", "proximal_point", "small_gain_nash"]

FINE = 1 << 32  # grid of proven bounds
WEIGHT_BITS = 12  # of the smallest weight


@dataclass(frozen=True)
class SmallGain:
    """Proven of a game in the metric M = diag(weights), one weight per strategy component.

    alpha  M H + H^T M >= 2 alpha M;  beta  H^T M H <= beta**2 M
    """

    weights: tuple[int, ...]
    alpha: Fraction
    beta: Fraction

    @property
    def most(self) -> Fraction:
        """Below this eta a step contracts: 2 alpha / beta**2."""
        return 2 * self.alpha / self.beta**2

    def contraction(self, eta: Any) -> Fraction:
        """sqrt(1 - 2 eta alpha + eta**2 beta**2), which needs no other look at H; see `step_norm`."""
        eta = Fraction(eta)
        return root_above(1 - 2 * eta * self.alpha + eta**2 * self.beta**2)


def small_gain(H: Any, players: Sequence[int], weights: Sequence[Any] | None = None) -> SmallGain:
    """The metric in which the game is monotone, and its constants, proven.

    players  components of each player, one after another
    weights  one per player; None: v_i / u_i of the Perron vectors of the couplings' norms, which for two
             players is the balance w1 / w2 = L21 / L12

    ValueError where alpha is not positive: the gains are not small.
    """
    raw, frac = _square(H)
    owner = np.repeat(np.arange(len(players)), players)
    if len(owner) != len(raw):
        raise ValueError(f"players must have {len(raw)} components in all, not {len(owner)}")
    per_player = _balance(raw, frac, players) if weights is None else [Fraction(w) for w in weights]
    whole = _integers([per_player[p] for p in owner])
    M, h = np.diag(np.array(whole, object)), to_object(raw)
    twice = M @ h + h.T @ M
    root = np.sqrt(np.array([float(w / min(whole)) for w in whole]))
    floats = np.ldexp(raw.astype(float), -frac) * root[:, None] / root
    guess = float(np.linalg.eigvalsh((floats + floats.T) / 2)[0])
    alpha = _searched(guess, -1, lambda a: positive_definite(twice * FINE - M * (2 * a << frac)))
    if alpha is None or alpha <= 0:
        raise ValueError(
            f"H must be monotone in the metric of weights {[str(w) for w in per_player]}, "
            f"not have the margin {guess:.4g}"
        )
    gram = h.T @ M @ h
    size = float(np.linalg.norm(floats, 2))
    beta = _searched(size, 1, lambda v: positive_definite(M * (v * v << (2 * frac)) - gram * FINE**2))
    assert beta is not None
    return SmallGain(whole, alpha, beta)


def ratio_band(mu: tuple[Any, Any], couplings: tuple[Any, Any], alpha: Any = 0) -> tuple[Fraction, Fraction]:
    """The weight ratios w2 / w1 of two players for which the margin alpha is proven, rounded inward.

    mu, couplings  curvatures and (L12, L21). ValueError where there is none.
    """
    p = (Fraction(mu[0]) - Fraction(alpha)) * (Fraction(mu[1]) - Fraction(alpha))
    L12, L21 = (Fraction(v) for v in couplings)
    det = p - L12 * L21
    if det <= 0:
        raise ValueError(f"L12 L21 must be less than (mu1 - alpha)(mu2 - alpha) = {p}, not {L12 * L21}")
    above = root_above(p * det)
    below = p * det / above  # the two enclose the root, and so do the ends that follow
    return (2 * p - L12 * L21 - 2 * below) / L21**2, (2 * p - L12 * L21 + 2 * below) / L21**2


def step_norm(H: Any, eta: Any, weights: Sequence[int]) -> Fraction:
    """A proven bound of ||I - eta H|| in the metric: (I - eta H)^T M (I - eta H) <= L**2 M."""
    raw, frac = _square(H)
    step, scale = _minus(raw, frac, Fraction(eta))
    M = np.diag(np.array([int(w) for w in weights], object))
    gram = step.T @ M @ step
    root = np.sqrt(np.array([float(w) for w in weights]))
    guess = float(np.linalg.norm(np.ldexp(step.astype(float), -scale) * root[:, None] / root, 2))
    found = _searched(guess, 1, lambda v: positive_definite(M * (v * v << (2 * scale)) - gram * FINE**2))
    assert found is not None
    return found


def small_gain_nash(
    H: Any, players: Sequence[int], eta: Any = None, *, weights: Sequence[Any] | None = None, frac: int = 12,
    c: Format | None = None, state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """x <- x - eta (H x - c), rounded once, to nearest.

    H        (n, n), real and dyadic, exactly as given;  players, weights  as of `small_gain`
    eta      dyadic; None: the greatest power of two of at most alpha / beta**2, where it contracts most
    c        format of the parameter (n,), SQ(1, frac) by default
    state    its format, by default one that holds every solution
    options  as of `unit`; by default nearest rounding and the stops of `counted`
    """
    known = small_gain(H, players, weights)
    if eta is None:
        eta = Fraction(1)
        while eta > known.most / 2:
            eta /= 2
    eta = _dyadic(eta)
    L = step_norm(H, eta, known.weights)
    if L >= 1:
        raise ValueError(f"eta must be less than {float(known.most):.4g} to contract, not {eta}")
    held, room = _formats(H, c, state, frac)
    gradient = _gradient(H, eta)
    given = {"name": "small_gain_nash", "update": assign("RND"), **options}
    made = _unit(lambda x, c: x - gradient(x, c), held, room, L, known.weights, given)
    if {"stop", "update", "schedule"} & set(options):
        return made
    # The ball of T1 in the metric says this of a component, and the count adds at most an LSB.
    r = radius(L, known.weights)
    found = tuple(root_above(r * r / w) + 1 for w in known.weights)
    return ends(made, dict.fromkeys(made.stops, found), "the radius is that of the players' metric")


def extragradient(
    H: Any, eta: Any, *, frac: int = 12, c: Format | None = None, state: Format | None = None, **options: Any
) -> Unit:
    """y = Q(x - eta (H x - c)), x <- x - eta (H y - c), both rounded to nearest; for games that only rotate.

    y has the LSB of x and bits enough that it never saturates, so that the map is affine but for y's
    rounding, and the certificate sees its rotation inward. Where nothing saturates, the update `two_step()`
    of a plain gradient step is the same bit for bit. The rest as of `small_gain_nash`.

    ValueError where I - eta H (I - eta H) is not proven to contract in the 2-norm.
    """
    eta = _dyadic(eta)
    L = extragradient_norm(H, eta)
    if L >= 1:
        raise ValueError(f"eta must make extragradient contract, not {eta}: its norm is {float(L):.6g}")
    held, room = _formats(H, c, state, frac)
    gradient = _gradient(H, eta)

    def step(x: Tensor, c: Tensor) -> Tensor:
        first = x - gradient(x, c)
        lo, hi = first.type.bounds
        bits = max(int(hi).bit_length(), int(-lo).bit_length()) + 2 - first.frac
        return x - gradient(first.cast(SQ(max(bits, 1), room.frac, rounding="RND")), c)

    given = {"name": "extragradient", "update": assign("RND"), **options}
    return _unit(step, held, room, L, (1,) * len(np.asarray(H)), given)


def extragradient_norm(H: Any, eta: Any) -> Fraction:
    """A proven bound of ||I - eta H (I - eta H)||, the 2-norm."""
    raw, frac = _square(H)
    step, scale = _minus(raw, frac, Fraction(eta))
    eye = np.eye(len(raw), dtype=np.int64).astype(object)
    # eta H = I - S: the map is I - (I - S) S = I - S + S**2.
    return two_norm(exact(eye * (1 << (2 * scale)) - step * (1 << scale) + step @ step), 2 * scale)


def proximal_point(
    H: Any, eta: Any, *, frac: int = 12, coefficient_frac: int = 16, c: Format | None = None,
    state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """x <- V (x + eta c), V = (I + eta H)^-1 solved exactly and stored at `coefficient_frac` bits."""
    eta = _dyadic(eta)
    V = proximal_matrix(H, eta, coefficient_frac)
    L = two_norm(V, coefficient_frac)
    if L >= 1:
        raise ValueError(f"V must contract, as it does for monotone H, but its norm is {float(L):.6g}")
    held, room = _formats(H, c, state, frac)

    def step(x: Tensor, c: Tensor) -> Tensor:
        moved: Tensor = (x + c * eta) @ V.T
        return moved >> coefficient_frac

    given = {"name": "proximal_point", "update": assign("RND"), **options}
    return _unit(step, held, room, L, (1,) * len(V), given)


def proximal_matrix(H: Any, eta: Any, coefficient_frac: int) -> Array:
    """(I + eta H)^-1 to nearest, raw (n, n)."""
    h = rational.fractions(np.asarray(H))
    eye = np.eye(len(h), dtype=np.int64)
    V = rational.solve(rational.fractions(eye) + h * Fraction(eta), eye)
    raw = np.array([round(v * (1 << coefficient_frac)) for v in V.ravel()], object)
    return exact(raw.reshape(V.shape))


def radius(L: Fraction, weights: Sequence[int], half_steps: Fraction | int = 1) -> Fraction:
    """r of theorem T1 in LSB and the metric: half_steps (sum w)**.5 / 2 / (1 - L)."""
    return Fraction(half_steps) * root_above(Fraction(sum(weights), 4)) / (1 - L)


def reference(H: Any, c: Any) -> Array:
    """The equilibria H x = c of every row of c (rows, n), as Fractions."""
    return rational.solve(rational.fractions(np.asarray(H)), rational.fractions(np.asarray(c)).T).T


def two_player(a: Any, b: Any, R: Any) -> Array:
    """[[I, a R], [b R^T, I]] as Fractions: curvature 1 and couplings a R, b R^T."""
    r = rational.fractions(np.asarray(R))
    eye = rational.fractions(np.eye(len(r), dtype=np.int64))
    return np.block([[eye, r * Fraction(a)], [r.T * Fraction(b), eye]])


def example() -> Example:
    """The game whose first player minds the second 40 times as much as the other way round."""
    H, frac = two_player(4, Fraction(410, 4096), np.array([[6, -5], [5, 6]]) / 8), 12
    made = small_gain_nash(H, (2, 2), Fraction(1, 8), frac=frac)
    angles = np.arange(8) * np.pi / 4
    c = np.stack([np.cos(angles), np.sin(angles), np.sin(angles), np.cos(angles)], axis=1)
    raw = np.round(c * (1 << (frac - 1))).astype(np.int64)
    return Example(
        made, {"c": raw}, None, lambda: reference(H, rational.fractions(raw, frac)),
        "the two-player linear-quadratic game of Small-Gain Nash, a = 4 and b = .1, for eight targets",
    )  # fmt: skip


def bilinear_example() -> Example:
    """Saddle points of x^T A y with linear terms, where plain descent spirals outward."""
    A = np.array([[4, 1, 0], [-1, 3, 1], [0, 1, 4]]) / 4
    H = np.block([[np.zeros((3, 3)), A], [-A.T, np.zeros((3, 3))]])
    rng, frac = np.random.default_rng(0), 12
    c = rng.integers(-(1 << (frac - 1)), 1 << (frac - 1), (8, 6))
    return Example(
        extragradient(H, Fraction(1, 4), frac=frac), {"c": c}, None,
        lambda: reference(H, rational.fractions(c, frac)),
        "a bilinear saddle of 3 by 3 strategies, eight random targets",
    )  # fmt: skip


def _unit(
    step: Any, held: Format, room: Format, L: Fraction, weights: Sequence[int], options: dict[str, Any]
) -> Unit:
    n = len(weights)

    def make(**more: Any) -> Unit:
        return unit(step, {"x": (room, (n,))}, {"c": (held, (n,))}, **{**more, **options})

    return make() if "stop" in options else counted(make, L, [room] * n, weights)


def _gradient(H: Any, eta: Fraction) -> Callable[[Tensor, Tensor], Tensor]:
    """(x, c) -> eta (H x - c), exactly."""
    raw, frac = _square(H)

    def gradient(x: Tensor, c: Tensor) -> Tensor:
        force: Tensor = ((x @ raw.T) >> frac) - c
        return force * eta

    return gradient


def _formats(H: Any, c: Format | None, state: Format | None, frac: int) -> tuple[Format, Format]:
    """Of c and of the state, which holds every solution."""
    held = SQ(1, frac) if c is None else c
    if state is not None:
        return held, state
    inverse = rational.solve(rational.fractions(np.asarray(H)), np.eye(len(np.asarray(H)), dtype=np.int64))
    bound = max(np.abs(inverse).sum(axis=1)) * max(-held.lo, held.hi) * held.lsb
    bits = 1
    while Fraction(2) ** (bits - 1) <= bound:
        bits += 1
    return held, SQ(bits, frac, overflow="SAT")


def _balance(raw: Array, frac: int, players: Sequence[int]) -> list[Fraction]:
    """v_i / u_i of the left and right Perron vectors of the couplings' norms: a proposal, proven later."""
    ends = np.cumsum([0, *players])
    groups = [range(a, b) for a, b in pairwise(ends.tolist())]
    gains = block_norms(raw, frac, groups).astype(float)
    np.fill_diagonal(gains, 0)
    gains += 1e-9 * max(gains.max(), 1.0)  # irreducible
    u, v = np.ones(len(gains)), np.ones(len(gains))
    shifted = gains + np.eye(len(gains)) * gains.max()  # of one dominant eigenvalue
    for _ in range(1000):
        u, v = shifted @ u, shifted.T @ v
        u, v = u / u.sum(), v / v.sum()
    ratio = v / u
    return [Fraction(float(r)).limit_denominator(1 << 20) for r in ratio / ratio.min()]


def _integers(weights: Sequence[Fraction]) -> tuple[int, ...]:
    if min(weights) <= 0:
        raise ValueError(f"weights must be positive, not {[str(w) for w in weights]}")
    return tuple(round(w / min(weights) * (1 << WEIGHT_BITS)) for w in weights)


def _searched(guess: float, side: int, holds: Any) -> Fraction | None:
    """A number near `guess`, above (side 1) or below it, for which holds(number * FINE) is proven."""
    for margin in (1e-9, 1e-7, 1e-5, 1e-3):
        v = int((guess + side * margin * max(abs(guess), 1e-3)) * FINE) + side
        if v and (side < 0 or v > 0) and holds(v):
            return Fraction(v, FINE)
    return None


def _minus(raw: Array, frac: int, eta: Fraction) -> tuple[Array, int]:
    """(integers, scale) of I - eta H, for dyadic eta."""
    eta = _dyadic(eta)
    scale = frac + eta.denominator.bit_length() - 1
    eye = np.eye(len(raw), dtype=np.int64)
    return to_object(shift_left(eye, scale)) - to_object(raw) * eta.numerator, scale


def _dyadic(eta: Any) -> Fraction:
    raw, frac = to_raw(eta, "eta")
    if raw.ndim or raw <= 0:
        raise ValueError(f"eta must be one positive number, not {eta!r}")
    return Fraction(int(raw), 1 << frac)


def _square(H: Any) -> tuple[Array, int]:
    raw, frac = to_raw(H, "H")
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or not raw.size:
        raise ValueError(f"H must have shape (n, n), not {raw.shape}")
    return raw, frac
