"""Tsallis-INF: the host learns which omega, or which other setting of a unit, needs the fewest steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NEWTON_STEPS = 20

Reals = np.ndarray[Any, np.dtype[np.float64]]


class TsallisInf:
    """A bandit over `arms` that pays for every pick what the unit reports: its number of steps.

    Zimmert and Seldin (2021) in the form of Khodak et al. (2024, "Learning to relax"): in round t = 1, 2, ...

        p_i = 4 / (eta_t (k_i / s - x))^2,  eta_t = 2 / sqrt(t),  x such that the p_i sum to 1
        k_i += (cost - 1) / p_i             for the arm i that was picked with probability p_i
        s = mean cost - 1

    x is found by Newton's method, x -= (sum p - 1) / (eta sum p^1.5), from min k_i / s - 2 / eta, where sum p
    is at least 1: as sum p is convex in x below every k_i / s, every step stays on that side of the root.

    seed   of the NumPy generator that draws, or the generator

    >>> learner = TsallisInf((1.0, 1.5, 1.9), seed=0)
    >>> for b in problems:                                     # doctest: +SKIP
    ...     omega = learner.pick()
    ...     learner.update(units[omega].solve_raw(b=b).steps)
    """

    def __init__(self, arms: Sequence[Any], seed: int | np.random.Generator = 0) -> None:
        if not len(arms):
            raise ValueError("arms must be at least one setting, not none")
        self.arms = tuple(arms)
        self.losses: Reals = np.zeros(len(self.arms))
        self.scale = 1.0
        self.rounds = 0
        self.total = 0.0
        self._rng = np.random.default_rng(seed)
        self._picked: tuple[int, float] | None = None

    def probabilities(self) -> Reals:
        """With which each arm is picked next."""
        eta = 2 / np.sqrt(self.rounds + 1)
        k = self.losses / self.scale
        x = float(k.min()) - 2 / eta
        for _ in range(NEWTON_STEPS):
            p = 4 / (eta * (k - x)) ** 2
            x -= float((p.sum() - 1) / (eta * (p**1.5).sum()))
        p = 4 / (eta * (k - x)) ** 2
        return np.asarray(p / p.sum(), np.float64)

    def pick(self) -> Any:
        """The arm for the next problem."""
        p = self.probabilities()
        i = int(self._rng.choice(len(self.arms), p=p))
        self._picked = i, float(p[i])
        return self.arms[i]

    def update(self, cost: float) -> None:
        """What the picked arm cost: steps, at least 1. ValueError otherwise, RuntimeError before `pick`."""
        if self._picked is None:
            raise RuntimeError("update must follow a pick")
        if not 1 <= cost < np.inf:
            raise ValueError(f"cost must be a number of steps of at least 1, not {cost!r}")
        i, p = self._picked
        self._picked = None
        self.losses[i] += (float(cost) - 1) / p
        self.rounds += 1
        self.total += float(cost)
        # All costs 1 leave nothing to learn and no scale.
        self.scale = max(self.total / self.rounds - 1, 1e-9)

    @property
    def best(self) -> Any:
        """The arm that is picked most probably."""
        return self.arms[int(np.argmax(self.probabilities()))]
