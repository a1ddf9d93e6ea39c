"""The measured figures of affine, linear and value units, in any number: tests run few, the benchmark all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import plain_updates

from fxsim.iterate.references import rational
from fxsim.iterate.references.graphs import by_degree, laplacian, numgrid
from fxsim.iterate.tsallis_inf import TsallisInf
from fxsim.iterate.zoo.value import optimal_values

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
    x, steps, fixed = plain_updates.run(m, b << frac, start, frac, "RND", 1000)
    corner = -(-np.abs(b).max(axis=1) * gamma.denominator // (gamma.denominator - gamma.numerator))
    corner = np.broadcast_to(corner[:, None], b.shape)
    low, low_steps, low_fixed = plain_updates.run(m, b << frac, -corner, frac, "TRN", 1000)
    high, high_steps, high_fixed = plain_updates.run(m, b << frac, corner, frac, "CEIL", 1000)
    worst, valid = Fraction(0), bool(low_fixed.all() and high_fixed.all())
    for k in range(count):
        exact = rational.solve((np.eye(most, dtype=np.int64) << frac) - m[k], b[k] << frac)
        worst = max([worst, *(abs(int(v) - w) for v, w in zip(x[k], exact, strict=True))])
        valid &= all(int(v) <= w <= int(u) for v, w, u in zip(low[k], exact, high[k], strict=True))
    return Affine(
        count, int(np.sum(~fixed)), worst, int(steps[fixed].max()), valid, int((high - low).max()),
        int(max(low_steps.max(), high_steps.max())),
    )  # fmt: skip


@dataclass(frozen=True)
class Relaxed:
    """Of many right-hand sides: those that came to rest, the most sweeps, the worst error in LSB."""

    count: int
    stopped: int
    sweeps: int
    error: Fraction


def square_loads(count, n, seed, frac=F):
    """Right-hand sides U(-1, 1) in LSB of 2**-frac."""
    return np.random.default_rng(seed).integers(-(1 << frac), (1 << frac) + 1, (count, n))


def worst_error(matrix, b, x):
    """max |x - A^-1 b| in LSB, exactly."""
    exact = rational.solve(matrix, b.T).T
    return max(abs(int(v) - w) for v, w in zip(x.ravel(), exact.ravel(), strict=True))


def sor_square(count, omega, mode, seed=1, cap=600, side=6):
    """5-point SOR on side x side points, from 0, 14 bits, one after another: mode INC, RND or RND_CONV."""
    matrix = laplacian(numgrid("S", side + 2))
    n, c = len(matrix), Fraction(omega) / 4
    frac = c.denominator.bit_length() - 1
    m = (np.eye(n, dtype=np.int64) << frac) - c.numerator * matrix
    b = square_loads(count, n, seed, 14)
    groups = [[i] for i in range(n)]
    spread = np.broadcast_to(m, (count, n, n))
    x, steps, fixed = plain_updates.run(spread, b * c.numerator, np.zeros_like(b), frac, mode, cap, groups)
    error = worst_error(matrix, b, x)
    return Relaxed(count, int(fixed.sum()), int(steps.max()), error)


def sor_bound(matrix, omega):
    """||A^-1 D||_inf / omega, in LSB."""
    inverse = rational.solve(matrix, np.diag(np.diag(matrix)))
    return max(sum(abs(v) for v in row) for row in inverse) / Fraction(omega)


def enclosed_square(count, seed=2, side=6):
    """Jacobi on side x side points: (whether floor and ceil enclose, greatest width, bound of it)."""
    matrix = laplacian(numgrid("S", side + 2))
    n = len(matrix)
    m = np.broadcast_to(4 * np.eye(n, dtype=np.int64) - matrix, (count, n, n))
    b = square_loads(count, n, seed)
    ones = [sum(row) for row in rational.solve(matrix, np.eye(n, dtype=np.int64))]
    corner = np.ceil([float(v) * 1.001 for v in ones]).astype(np.int64) << F  # x0 >= A^-1 |b|
    low, _, a = plain_updates.run(m, b, np.broadcast_to(-corner, b.shape), 2, "TRN", 5000)
    high, _, z = plain_updates.run(m, b, np.broadcast_to(corner, b.shape), 2, "CEIL", 5000)
    exact = rational.solve(matrix, b.T).T
    valid = all(
        int(u) <= w <= int(v) for u, w, v in zip(low.ravel(), exact.ravel(), high.ravel(), strict=True)
    )
    return bool(valid and a.all() and z.all()), int((high - low).max()), 2 * 4 * max(ones)


def nearest_jacobi_square(count, seed=3, side=6):
    """How many of so many right-hand sides cycle under nearest rounding from 0."""
    matrix = laplacian(numgrid("S", side + 2))
    n = len(matrix)
    m = np.broadcast_to(4 * np.eye(n, dtype=np.int64) - matrix, (count, n, n))
    b = square_loads(count, n, seed)
    _, _, fixed = plain_updates.run(m, b, np.zeros_like(b), 2, "RND", 2000)
    return int(np.sum(~fixed))


def coordinate_descent(count, ties, seed=4, cap=2000):
    """Symmetric positive definite integer systems, x_i <- the nearest integer to the minimum over x_i: how
    many come to rest. ties: "up", or "keep" the component where it is as good as the new value."""
    rng = np.random.default_rng(seed)
    stopped = 0
    for _ in range(count):
        n = int(rng.integers(2, 9))
        root = rng.integers(-8, 9, (n, n + 2))
        a = root @ root.T + np.eye(n, dtype=np.int64)
        b, x = rng.integers(-5000, 5001, n), rng.integers(-200, 201, n)
        for _ in range(cap):
            before = x.copy()
            for i in range(n):
                r, d = int(b[i] - a[i] @ x), int(a[i, i])
                move = (2 * r + d) // (2 * d)
                x[i] += 0 if ties == "keep" and 2 * abs(r) == d else move
            if np.array_equal(x, before):
                stopped += 1
                break
    return stopped


def sweeps_of_sor(matrix, b, omega, tolerance=1e-8, cap=10000):
    """Sweeps of float64 SOR until ||r|| < tolerance ||r_0||, as learning-to-relax counts; None: Jacobi."""
    d = np.diag(np.diag(matrix))
    lower = d if omega is None else d / omega + np.tril(matrix, -1)
    step = np.eye(len(matrix)) - matrix @ np.linalg.inv(lower)
    r = np.array(b, float)
    limit = tolerance * np.linalg.norm(r)
    for k in range(1, cap + 1):
        r = step @ r
        if np.linalg.norm(r) < limit:
            return k
    return cap


FIXED_OMEGAS = (1.0, 1.2, 1.4, 1.6, 1.8)


def learned_omega(instances, seed=0, arms=20, cap=400, side=10):
    """Shifted side x side Laplacians A + c, c = -.15 + .6 Beta(1/2, 3/2), one after another: the sweeps
    of each instance, at most `cap`, omega by the learner from linspace(1, 1.95, arms), and fixed."""
    rng = np.random.default_rng(seed)
    base = laplacian(numgrid("S", side + 2)).astype(float)
    learner = TsallisInf(tuple(np.linspace(1, 1.95, arms)), seed)
    learned, fixed = [], {w: [] for w in FIXED_OMEGAS}
    for _ in range(instances):
        matrix = base + (-0.15 + 0.6 * rng.beta(0.5, 1.5)) * np.eye(side**2)
        b = rng.normal(size=side**2)
        learned.append(sweeps_of_sor(matrix, b, learner.pick(), cap=cap))
        learner.update(learned[-1])
        for w, listed in fixed.items():
            listed.append(sweeps_of_sor(matrix, b, w, cap=cap))
    return np.array(learned), {w: float(np.mean(v)) for w, v in fixed.items()}, learner


def _values(follow, gamma, r, v, mode, frac, cap=4000):
    """Value iteration in plain integers: (values, sweeps, whether it came to rest)."""
    for k in range(1, cap + 1):
        q = gamma.numerator * v[follow] + (r << frac)
        new = plain_updates.rounded(v, q.max(axis=1), frac, mode)
        if np.array_equal(new, v):
            return v, k, True
        v = new
    return v, cap, False


def gvi(count, gamma, seed=6):
    """Random graphs of 20 to 49 states and 5 to 9 actions, rewards U(-1, 1), 10 bits: nearest from 0, and
    floor and ceil from -+R / (1 - gamma)."""
    rng = np.random.default_rng(seed)
    gamma = Fraction(gamma)
    frac = gamma.denominator.bit_length() - 1
    cycles, error, most, valid, width, corner_most = 0, Fraction(0), 0, True, 0, 0
    for _ in range(count):
        n, actions = int(rng.integers(20, 50)), int(rng.integers(5, 10))
        follow = rng.integers(0, n, (n, actions))
        r = rng.integers(-(1 << F), (1 << F) + 1, (n, actions))
        exact = optimal_values(follow, gamma, r[None])[0]
        v, steps, rests = _values(follow, gamma, r, np.zeros(n, np.int64), "RND", frac)
        cycles += not rests
        most = max(most, steps if rests else 0)
        error = max([error, *(abs(int(a) - b) for a, b in zip(v, exact, strict=True))])
        corner = np.full(
            n, -(-int(np.abs(r).max()) * gamma.denominator // (gamma.denominator - gamma.numerator))
        )
        low, down, a = _values(follow, gamma, r, -corner, "TRN", frac)
        high, up, b = _values(follow, gamma, r, corner, "CEIL", frac)
        valid &= a and b and bool(np.all(low <= exact) and np.all(exact <= high))
        width, corner_most = max(width, int((high - low).max())), max(corner_most, down, up)
    return Affine(count, cycles, error, most, bool(valid), width, corner_most)


def web(n=64, degree=6, seed=7):
    """A random web: every page links to 1 to 2 `degree` others, the low numbers more often."""
    rng = np.random.default_rng(seed)
    links = np.zeros((n, n), np.int64)
    popular = 1 / (1 + np.arange(n))
    for j in range(n):
        p = np.where(np.arange(n) == j, 0, popular)
        links[j, rng.choice(n, int(rng.integers(1, 2 * degree + 1)), False, p / p.sum())] = 1
    return links


def kaczmarz(seed, n=8, m=40):
    """Randomised Kaczmarz on a consistent system with a solution on the grid, every move rounded to nearest:
    (expected factor of |e|^2 per row, largest errors in LSB after 100 and 300 rows)."""
    rng = np.random.default_rng(seed)
    a = np.rint(rng.normal(size=(m, n)) * 64).astype(np.int64)
    point = rng.integers(-4096, 4097, n)
    b, squares = a @ point, (a * a).sum(axis=1)
    values = np.linalg.svd(a.astype(float), compute_uv=False)
    x, errors = np.zeros(n, np.int64), []
    for i in rng.choice(m, 300, p=squares / squares.sum()):
        move = a[i] * (b[i] - a[i] @ x)
        x = x + (2 * move + squares[i]) // (2 * squares[i])
        errors.append(int(np.abs(x - point).max()))
    return 1 - values[-1] ** 2 / (values**2).sum(), errors[99], errors[299]


def nonconvex_descent(count, seed=10, cap=2000):
    """Truncated gradient descent on x^T A x / 2 - b^T x + sum k_i cos x_i, 8-bit states, eta = 15/8 / L_f;
    the sine is a table of 20 bits, whose error the increments are shrunk by: (how many rest, most steps)."""
    rng = np.random.default_rng(seed)
    sines = np.rint(np.sin(np.arange(-(1 << 13), 1 << 13) / 256) * 2**20).astype(np.int64)  # |x| < 32
    stopped, most = 0, 0
    for _ in range(count):
        n = int(rng.integers(2, 9))
        root = rng.integers(-8, 9, (n, n))
        A = root @ root.T + 8 * np.eye(n, dtype=np.int64)  # 4 bits
        k = rng.integers(16, 160, n)
        b, x = rng.integers(-2048, 2048, n), rng.integers(-2048, 2048, n)  # 8 bits
        curvature = float(np.linalg.eigvalsh(A)[-1] + k.max()) / 16
        eta = int(15 / 8 / curvature * 2**12)
        for steps in range(1, cap + 1):
            # At 36 bits eta (A x - b - k sin x), of which the table's error is up to eta k / 2.
            g = eta * (((A @ x) << 12) - (b << 16) - k * sines[x + (1 << 13)])
            d = np.sign(g) * (np.maximum(np.abs(g) - eta * k, 0) >> 28)
            x = x - d
            assert np.all(np.abs(x) < 1 << 13)
            if not d.any():
                stopped, most = stopped + 1, max(most, steps)
                break
    return stopped, most
