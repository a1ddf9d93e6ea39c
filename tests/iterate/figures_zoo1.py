"""The measured figures of affine, linear and value units, in any number: tests run few, the benchmark all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import plain_updates

from fxsim.iterate import rational
from fxsim.iterate.graphs import by_degree

F = 10


@dataclass(frozen=True)
class Affine:
    """Of many systems: those that cycle, the worst error in LSB, the most sweeps; then of the enclosure
    whether it always holds, its greatest width in LSB and the most sweeps."""

    count: int
    cycles: int
    error: Fraction
    sweeps: int
    valid: bool
    width: int
    corner_sweeps: int


def graph(rng, n, frac=8, degree=3):
    """Random "degree" weights: every node points to `degree` others, logits U(0, 1.2)."""
    edges = [
        (i, int(j)) for i in range(n) for j in rng.choice([k for k in range(n) if k != i], degree, False)
    ]
    return by_degree(rng.uniform(0, 1.2, len(edges)), edges, n, frac)


def cgs(count, gamma, seed=0):
    """Random graphs of 8 to 32 nodes, weights of 8 bits, states of 10: nearest rounding from 0, and floor
    and ceil from the corners -+B / (1 - gamma)."""
    rng = np.random.default_rng(seed)
    gamma = Fraction(gamma)
    frac = 8 + gamma.denominator.bit_length() - 1
    most = 32
    m, b = np.zeros((count, most, most), np.int64), np.zeros((count, most), np.int64)
    for k in range(count):
        n = int(rng.integers(8, most + 1))
        m[k, :n, :n] = graph(rng, n) * gamma.numerator
        b[k, :n] = rng.integers(-(1 << F), (1 << F) + 1, n)
    start = np.zeros_like(b)
    x, steps, fixed = plain_updates.run(m, b, start, frac, "RND", 1000)
    corner = -(-np.abs(b).max(axis=1) * gamma.denominator // (gamma.denominator - gamma.numerator))
    corner = np.broadcast_to(corner[:, None], b.shape)
    low, low_steps, low_fixed = plain_updates.run(m, b, -corner, frac, "TRN", 1000)
    high, high_steps, high_fixed = plain_updates.run(m, b, corner, frac, "CEIL", 1000)
    worst, valid = Fraction(0), bool(low_fixed.all() and high_fixed.all())
    for k in range(count):
        exact = rational.solve((np.eye(most, dtype=np.int64) << frac) - m[k], b[k] << frac)
        worst = max([worst, *(abs(int(v) - w) for v, w in zip(x[k], exact, strict=True))])
        valid &= all(int(v) <= w <= int(u) for v, w, u in zip(low[k], exact, high[k], strict=True))
    return Affine(
        count, int(np.sum(~fixed)), worst, int(steps[fixed].max()), valid, int((high - low).max()),
        int(max(low_steps.max(), high_steps.max())),
    )  # fmt: skip
