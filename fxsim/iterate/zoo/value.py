"""Value iteration, policy evaluation and PageRank: order-preserving maps, which floor and ceil enclose."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, UQ, Format
from fxsim.integers import Array, exact
from fxsim.iterate.example import Example
from fxsim.iterate.references import rational
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.zoo.affine import room
from fxsim.trace import Tensor

__all__ = ["pagerank", "policy_evaluation", "value_iteration"]


def value_iteration(
    transitions: Any, gamma: Any = Fraction(7, 8), *, frac: int = 10, rewards: Format | None = None,
    state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """v_s <- max_a (rewards_sa + gamma v[next]), from v = 0; rewards (S, A) come with the problem.

    transitions  (S, A) integers, the next state of each action, or (S, A, S) real and dyadic, the probability
                 of each; a state with fewer actions repeats one
    gamma        the discount, dyadic, below 1: L in the max-norm. 7/8 and 15/16 are one subtraction
    rewards      format of the parameter, SQ(2, frac) by default
    state        the state's format; by default it holds max|rewards| / (1 - gamma)
    options      as of `unit`: update, stop, schedule, cap, start, name. From the least code with
                 update=assign("TRN"), v is a lower bound of the exact values, from the greatest one with
                 assign("CEIL") an upper one (T5)

    ValueError for a gamma outside 0..1, next states that there are not, or probabilities that are negative or
    sum to more than 1.
    """
    given = np.asarray(transitions)
    factor = _discount(gamma)
    if given.ndim == 2 and given.dtype.kind in "iu":
        n, actions = given.shape
        if np.any(given < 0) or np.any(given >= n):
            raise ValueError(f"next states must be 0..{n - 1}, not {int(given.min())}..{int(given.max())}")
        probability, p_frac = None, 0
    elif given.ndim == 3 and given.shape[0] == given.shape[2]:
        n, actions = given.shape[:2]
        probability, p_frac = _probabilities(given)
    else:
        raise ValueError(
            f"transitions must be (S, A) integers or (S, A, S) probabilities, not {given.dtype}{given.shape}"
        )

    def step(v: Tensor, rewards: Tensor, only: Any = None) -> Tensor:
        chosen = list(range(n)) if only is None else list(only)
        now = _times(v, factor)
        if probability is None:
            later = now.take(given[chosen].ravel())
        else:
            later = (now @ probability[chosen].reshape(-1, n).T) >> p_frac
        own = rewards if only is None else rewards.take(chosen)
        return (later.reshape(len(chosen), actions) + own).max(axis=1)

    held = SQ(2, frac) if rewards is None else rewards
    form = _room(factor, held, frac) if state is None else state
    settings = {"name": "value_iteration", **options}
    return unit(step, {"v": (form, (n,))}, {"rewards": (held, (n, actions))}, **settings)


def policy_evaluation(
    P: Any, gamma: Any = Fraction(7, 8), *, frac: int = 10, rewards: Format | None = None,
    state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """v <- rewards + gamma P v, from v = 0; rewards (S,) come with the problem.

    P  (S, S), real and dyadic: the probabilities of the next state under the policy; the rest as of
       `value_iteration`
    """
    factor = _discount(gamma)
    probability, p_frac = _probabilities(np.asarray(P))
    if probability.ndim != 2 or probability.shape[0] != probability.shape[1]:
        raise ValueError(f"P must have shape (S, S), not {probability.shape}")
    n = len(probability)

    def step(v: Tensor, rewards: Tensor, only: Any = None) -> Tensor:
        rows = probability if only is None else probability[list(only)]
        own = rewards if only is None else rewards.take(list(only))
        return own + _times((v @ rows.T) >> p_frac, factor)

    held = SQ(2, frac) if rewards is None else rewards
    form = _room(factor, held, frac) if state is None else state
    settings = {"name": "policy_evaluation", **options}
    return unit(step, {"v": (form, (n,))}, {"rewards": (held, (n,))}, **settings)


def pagerank(
    links: Any, d: Any = Fraction(7, 8), *, frac: int = 20, coefficient_frac: int = 12, **options: Any,
) -> Unit:  # fmt: skip
    """x <- d P x + teleport, P_ij = 1 / outdegree(j) for a link from j to i; from x = 0.

    links             (n, n), nonzero at [j, i] for a link from page j to page i; a page without links has
                      one to all
    d                 the damping, dyadic, below 1: L in the 1-norm, and in a weighted max-norm, as P is not
                      negative
    frac              fraction bits of the state, which is unsigned and below 1
    coefficient_frac  fraction bits of P, rounded down (`link_weights`): no column sums to more than 1
    options           as of `unit`

    The parameter teleport (n,) holds (1 - d) times where a surfer starts anew: (1 - d) / n everywhere for the
    PageRank, unequal for a personal one.
    """
    factor = _discount(d)
    weights = link_weights(links, coefficient_frac)
    n = len(weights)

    def step(x: Tensor, teleport: Tensor, only: Any = None) -> Tensor:
        rows = weights if only is None else weights[list(only)]
        own = teleport if only is None else teleport.take(list(only))
        return own + _times((x @ rows.T) >> coefficient_frac, factor)

    form = UQ(0, frac, overflow="SAT")
    settings = {"name": "pagerank", **options}
    return unit(step, {"x": (form, (n,))}, {"teleport": (form, (n,))}, **settings)


def link_weights(links: Any, frac: int) -> Array:
    """P of `pagerank` as raw integers, (n, n)."""
    joined = np.asarray(links) != 0
    if joined.ndim != 2 or joined.shape[0] != joined.shape[1] or not joined.size:
        raise ValueError(f"links must have shape (n, n), not {joined.shape}")
    joined = np.where(joined.any(axis=1)[:, None], joined, True)
    found: Array = ((joined << frac) // joined.sum(axis=1)[:, None]).T
    return found


def optimal_values(transitions: Any, gamma: Any, rewards: Any) -> Array:
    """The values of the best policy as Fractions, (rows, S), by policy iteration (Howard 1960): the policy is
    evaluated exactly, and improved until no action is better. rewards (rows, S, A), exact numbers."""
    given = np.asarray(transitions)
    n, discount = len(given), Fraction(gamma)
    sure = given.ndim == 2
    P = np.eye(n, dtype=np.int64)[given] if sure else rational.fractions(given)
    eye = rational.fractions(np.eye(n, dtype=np.int64))
    found = []
    for r in rational.fractions(rewards):
        policy = np.zeros(n, np.int64)
        while True:
            own = np.arange(n), policy
            v = rational.solve(eye - discount * P[own], r[own])
            q = r + discount * (v[given] if sure else P @ v)
            best = q.max(axis=1)
            better = q[own] < best
            if not np.any(better):
                break
            policy = np.where(better, (q == best[:, None]).argmax(axis=1), policy)
        found.append(v)
    return np.array(found, object)


def reference(P: Any, gamma: Any, b: Any) -> Array:
    """The fixed points of v = gamma P v + b as Fractions, (rows, S): `policy_evaluation`, `pagerank`."""
    values = rational.fractions(P)
    eye = rational.fractions(np.eye(len(values), dtype=np.int64))
    return rational.solve(eye - Fraction(gamma) * values, rational.fractions(b).T).T


def grid_world(
    rows: int, columns: int, jumps: dict[tuple[int, int], tuple[tuple[int, int], Any]], wall: Any = -1
) -> tuple[Array, Array]:
    """(next states (S, 4), rewards (S, 4)) of a grid with the actions north, south, east and west.

    jumps  {cell: (where every action there leads, its reward)}; wall: the reward of an action off the grid,
           which leads nowhere; other actions have reward 0
    """
    follow = np.zeros((rows * columns, 4), np.int64)
    rewards = np.zeros((rows * columns, 4), object)
    for i in range(rows):
        for j in range(columns):
            for k, (di, dj) in enumerate(((-1, 0), (1, 0), (0, 1), (0, -1))):
                s, inside = i * columns + j, 0 <= i + di < rows and 0 <= j + dj < columns
                follow[s, k] = (i + di) * columns + j + dj if inside else s
                rewards[s, k] = 0 if inside else wall
                if (i, j) in jumps:
                    (a, b), rewards[s, k] = jumps[i, j]
                    follow[s, k] = a * columns + b
    return follow, rewards


def example() -> Example:
    """Sutton and Barto's 5 x 5 grid world (figure 3.2), discount 29/32, with eight prices of the jumps."""
    frac, gamma = 8, Fraction(29, 32)
    listed = []
    for a, b in ((10, 5), (10, 0), (0, 5), (5, 10), (10, 10), (1, 1), (8, 7), (-10, -5)):
        follow, rewards = grid_world(5, 5, {(0, 1): ((4, 1), a), (0, 3): ((2, 3), b)})
        listed.append(rewards.astype(np.int64) << frac)
    raw = np.stack(listed)
    made = value_iteration(follow, gamma, frac=frac, rewards=SQ(5, frac), name="grid_world")

    def solutions() -> Array:
        return optimal_values(follow, gamma, rational.fractions(raw, frac))

    return Example(made, {"rewards": raw}, None, solutions, "Sutton and Barto's 5 x 5 grid world")


def _discount(gamma: Any) -> Fraction:
    raw, frac = to_raw(gamma, "gamma")
    if raw.ndim or not 0 < raw < 1 << frac:
        raise ValueError(f"the discount must be one number between 0 and 1, not {gamma!r}")
    return Fraction(int(raw), 1 << frac)


def _probabilities(P: Array) -> tuple[Array, int]:
    raw, frac = to_raw(P, "probabilities")
    if np.any(raw < 0) or np.any(raw.sum(axis=-1) > 1 << frac):
        raise ValueError("probabilities must not be negative, and sum to at most 1")
    return exact(raw), frac


def _times(t: Tensor, factor: Fraction) -> Tensor:
    return t >> (factor.denominator.bit_length() - 1) if factor.numerator == 1 else t * factor


def _room(gamma: Fraction, rewards: Format, frac: int) -> Format:
    return room(gamma, max(-rewards.lo, rewards.hi + 1) * rewards.lsb, frac)
